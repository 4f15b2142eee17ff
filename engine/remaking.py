"""A finished picture becomes the request for another: larger, a little different, the same but for a few words, or in
another pose.

It knows what was asked for then, and the picture that came of it. Who may ask for another, and that it is put in
line, is not decided here.
"""

from __future__ import annotations

from dataclasses import replace

from engine.errors import BadRequest
from engine.imagining import Imagining
from engine.language import PROMPT_WORDS, Source, count_words
from engine.locales import say
from engine.pictures import Lora, loras_told
from engine.store.records import PersonaRecord, Picture, PictureRequest
from engine.wishes import SIDES, Wish, any_seed, on_grain
from personas.appearance import Ledger, Scene

#: How far each goes from the picture that it begins from.
LARGER, VARIED, SAME_BUT = 0.3, 0.55, 0.75
#: What would be larger by less than this is not worth a picture.
LEAST_GROWTH = 1.1


def larger(asked: PictureRequest, picture: Picture) -> PictureRequest:
    """The same picture with twice the sides, or as near to it as a picture can be."""
    sides = doubled(picture.width, picture.height)
    if sides is None:
        size = f"{picture.width} × {picture.height}"
        raise BadRequest(say("pictures.largest", size=size, most=str(SIDES[-1])))
    return replace(_begun(asked, picture, LARGER), width=sides[0], height=sides[1])


def varied(asked: PictureRequest, picture: Picture) -> PictureRequest:
    """Another picture that is much like this one."""
    return replace(_begun(asked, picture, VARIED), seed=any_seed())


async def same_but(
    imagining: Imagining, record: PersonaRecord, asked: PictureRequest, picture: Picture, words: str
) -> PictureRequest:
    """The same picture, but for what these words say."""
    # In front: of two times of day the first is taken, and a long scene may be cut at its end.
    if asked.source is Source.PERSON:
        changed = await by_hand(imagining, asked, f"{words}, {asked.prompt}")
    else:
        room = imagining.longest_scene - len(words) - 2
        changed = await composed_anew(imagining, record, asked, f"{words}, {_first_of(asked.scene, room)}")
    return _begun(changed, picture, SAME_BUT)


async def in_another_pose(
    imagining: Imagining, record: PersonaRecord, asked: PictureRequest
) -> PictureRequest:
    """The same scene, clothes and place, and the same seed; they only hold themselves in another way."""
    ledger = Ledger(**asked.ledger)
    seen = Scene(record.persona, asked.scene, ledger, asked.seed)
    pose = imagining.another_pose(record.persona, ledger.pose)
    posed = replace(ledger, clothes=seen.clothes, place=seen.place, pose=pose)
    if asked.source is Source.PERSON:
        rest = asked.prompt.removeprefix(f"{ledger.pose}, ") if ledger.pose else asked.prompt
        return replace(await by_hand(imagining, asked, f"{pose}, {rest}"), ledger=posed.__dict__)
    return await composed_anew(imagining, record, asked, asked.scene, ledger=posed)


async def reworded(
    imagining: Imagining, record: PersonaRecord, asked: PictureRequest, words: str
) -> PictureRequest:
    """A prompt by hand: too short it is the scene of a whole one, else it is kept as it is, however long."""
    if count_words(words) < PROMPT_WORDS[0]:
        return await composed_anew(imagining, record, asked, words)
    # The seed stays: so one sees what the words changed.
    return await by_hand(imagining, asked, words)


async def composed_anew(
    imagining: Imagining,
    record: PersonaRecord,
    asked: PictureRequest,
    scene: str,
    *,
    ledger: Ledger | None = None,
) -> PictureRequest:
    """A new prompt for this scene; all else is as it was asked for, and it begins from noise."""
    wish = Wish(scene, asked.style, asked.seed, asked.count, asked.width, asked.height)
    request = await imagining.compose(
        record, wish, rating=asked.rating, ledger=ledger or Ledger(**asked.ledger)
    )
    return replace(
        request,
        negative=asked.negative,
        steps=asked.steps,
        guidance=asked.guidance,
        scheduler=asked.scheduler,
        loras=asked.loras | request.loras,
        hires=_from_noise(asked).hires,
    )


async def by_hand(imagining: Imagining, asked: PictureRequest, prompt: str) -> PictureRequest:
    prompt, said = loras_told.told(prompt)
    imagining.check_words(prompt)
    loras = asked.loras | {one.name: one.weight for one in said}
    if said:
        await imagining.check_loras(said, [Lora(name, weight) for name, weight in loras.items()])
    asked = _from_noise(asked)
    return replace(
        asked,
        prompt=prompt,
        word_count=count_words(prompt),
        source=Source.PERSON,
        loras=loras,
    )


def _first_of(scene: str, room: int) -> str:
    """What of a scene there is room for, by whole phrases."""
    if len(scene) <= room:
        return scene
    kept = scene[: max(0, room)]
    return (kept.rpartition(",")[0] or kept.rpartition(" ")[0] or kept).strip()


def doubled(width: int, height: int) -> tuple[int, int] | None:
    """Twice the sides, as far as there is room for them; None where there is hardly any.

    >>> doubled(832, 1216)
    (1400, 2048)
    """
    factor = min(2.0, SIDES[-1] / max(width, height))
    if factor < LEAST_GROWTH:
        return None
    return on_grain(width * factor), on_grain(height * factor)


def _begun(asked: PictureRequest, picture: Picture, strength: float) -> PictureRequest:
    """One picture that begins from another, with its size and its seed."""
    return replace(
        asked,
        seed=picture.seed,
        count=1,
        width=on_grain(picture.width),
        height=on_grain(picture.height),
        # Nothing real comes of a drawing of the house: the picture that it stands in for is tried once more.
        strength=None if picture.stand_in else strength,
        hires=picture.stand_in,
    )


def _from_noise(asked: PictureRequest) -> PictureRequest:
    """What was an enlargement has a size at which few models compose well in one pass."""
    return replace(asked, strength=None, hires=asked.hires or asked.strength is not None)
