"""The picture model of this process as a Renderer: pictures that can share a forward pass do, none is delivered
broken, and what runs out of memory is tried in smaller pieces. How a pass is run it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from engine.errors import RenderFailed
from engine.pictures import PictureWanted, Preview, Progress, Rendered
from engine.pictures.sdxl.finding import Found, fingerprint
from engine.pictures.sdxl.longprompt import Encoder, together
from engine.pictures.sdxl.pipelines import Pipelines, Words, open_pipelines, out_of_memory
from engine.pictures.sdxl.recipes import Recipe, recipe
from engine.pictures.sdxl.seeing import GRAIN, LEAST_LIKENESS, as_image, flaw

if TYPE_CHECKING:
    from torch import Tensor

log = structlog.get_logger(__name__)

#: So many pictures share a pass at most.
AT_ONCE = 4


@dataclass(frozen=True)
class _Pass:
    """Pictures that go through the model together, and where in the whole they stand."""

    recipe: Recipe
    #: Width and height, in whole squares: what is too much is cut off.
    size: tuple[int, int]
    wanted: tuple[PictureWanted, ...]
    places: tuple[int, ...]

    def halves(self) -> tuple[_Pass, _Pass]:
        middle = len(self.wanted) // 2
        first, second = slice(None, middle), slice(middle, None)
        return (
            _Pass(self.recipe, self.size, self.wanted[first], self.places[first]),
            _Pass(self.recipe, self.size, self.wanted[second], self.places[second]),
        )


@dataclass(frozen=True)
class _Conditioned:
    words: Words
    refined: Words | None
    receipts: list[dict[str, Any]]


class _Loaded:
    """What is kept as long as the weights are."""

    def __init__(self, pipelines: Pipelines, model_hash: str) -> None:
        self.pipelines = pipelines
        self.model_hash = model_hash
        self.encoder = Encoder(pipelines.pipe)
        self.refining = None if pipelines.refiner is None else Encoder(pipelines.refiner)

    def lengths(self, picture: PictureWanted, guided: bool) -> tuple[int, ...]:
        """How many chunks of words each model is shown for it."""
        texts = [picture.prompt, picture.negative] if guided else [picture.prompt]
        encoders = [self.encoder] if self.refining is None else [self.encoder, self.refining]
        return tuple(max(encoder.encode(text).receipt.chunks for text in texts) for encoder in encoders)

    def forget_words(self) -> None:
        """The encoders compute in other numbers now."""
        self.encoder.forget()
        if self.refining is not None:
            self.refining.forget()


class _Way:
    """How far a rendering is, over all its passes. What is done again is not told again, but may be stopped."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._furthest = 1

    def part(self, start: float, share: float) -> _Part:
        return _Part(self, start, share)

    def at(self, position: float, preview: Preview) -> None:
        self._furthest = max(self._furthest, min(round(position), self._total))
        self._progress(self._furthest, self._total, preview)


@dataclass(frozen=True)
class _Part:
    """The part of the way that one pass goes."""

    way: _Way
    start: float
    share: float

    def __call__(self, step: int, steps: int, preview: Preview) -> None:
        self.way.at(self.start + self.share * step / steps, preview)

    def halves(self) -> tuple[_Part, _Part]:
        half = self.share / 2
        return self.way.part(self.start, half), self.way.part(self.start + half, half)

    def end(self) -> _Part:
        return self.way.part(self.start + self.share, 0)


class Sdxl:
    """SDXL, or Stable Diffusion 1.5 or 2.1. The weights are loaded when the first picture is wanted."""

    def __init__(
        self,
        found: Found,
        refiner: Found | None = None,
        *,
        device: str = "auto",
        bits: int = 0,
        scheduler: str = "",
        at_once: int = AT_ONCE,
        least_likeness: float = LEAST_LIKENESS,
    ) -> None:
        self._found = found
        self._refiner = refiner
        self._device = device
        self._bits = bits
        self._scheduler = scheduler
        self._at_once = at_once
        #: Below it a picture is taken for noise.
        self._least_likeness = least_likeness
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        return self._found.name

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        if not wanted:
            return []
        loaded = self._load()
        passes = list(self._passes(loaded, wanted))
        steps = [loaded.pipelines.plan(one.recipe).total for one in passes]
        way = _Way(progress, sum(steps))
        made: dict[int, Rendered] = {}
        for number, one in enumerate(passes):
            part = way.part(sum(steps[:number]), steps[number])
            made |= zip(one.places, self._pass(loaded, one, part), strict=True)
        return [made[place] for place in range(len(wanted))]

    def close(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            pipelines = loaded.pipelines
            del loaded.encoder, loaded.refining, pipelines.pipe, pipelines.refiner
            pipelines.let_go()

    def _load(self) -> _Loaded:
        if self._loaded is None:
            pipelines = open_pipelines(self._found, self._refiner, self._device, self._bits)
            self._loaded = _Loaded(pipelines, fingerprint(self._found))
            log.info("picture_model_loaded", model=self.name, device=pipelines.device)
        return self._loaded

    def _passes(self, loaded: _Loaded, wanted: Sequence[PictureWanted]) -> Iterator[_Pass]:
        shared: dict[tuple[object, ...], list[tuple[int, PictureWanted, Recipe, tuple[int, int]]]] = {}
        for place, one in enumerate(wanted):
            how = recipe(self._found, one.steps, one.guidance, self._scheduler)
            size = (_whole(one.width), _whole(one.height))
            # Filled up to a longer neighbour's length, a prompt would make another picture than it makes alone.
            key = (how.steps, how.guidance, how.scheduler.name, size, loaded.lengths(one, how.guided))
            shared.setdefault(key, []).append((place, one, how, size))
        for alike in shared.values():
            for start in range(0, len(alike), self._at_once):
                some = alike[start : start + self._at_once]
                _, _, how, size = some[0]
                yield _Pass(
                    how, size, tuple(one for _, one, _, _ in some), tuple(place for place, *_ in some)
                )

    def _pass(self, loaded: _Loaded, one: _Pass, part: _Part) -> list[Rendered]:
        try:
            return self._painted(loaded, one, part)
        except Exception as error:
            if not out_of_memory(error):
                raise
        # Out here nothing holds on to the tensors of the pass that failed.
        loaded.pipelines.let_go()
        log.warning("picture_out_of_memory", model=self.name, pictures=len(one.wanted), size=one.size)
        if len(one.wanted) > 1:
            pairs = zip(one.halves(), part.halves(), strict=True)
            return [made for half, its_part in pairs for made in self._pass(loaded, half, its_part)]
        if loaded.pipelines.spare():
            return self._pass(loaded, one, part)
        width, height = one.size
        raise RenderFailed(
            f"There is not enough memory for a picture of {width} × {height}. Ask for a smaller one, or stop what "
            "else uses the memory."
        )

    def _painted(self, loaded: _Loaded, one: _Pass, part: _Part) -> list[Rendered]:
        conditioned = _conditioned(loaded, one)
        seeds = [picture.seed for picture in one.wanted]
        pipelines = loaded.pipelines
        latents = pipelines.denoise(one.recipe, conditioned.words, conditioned.refined, one.size, seeds, part)
        made = []
        for number, picture in enumerate(one.wanted):
            facts: dict[str, Any] = {
                "sampler": one.recipe.scheduler.name,
                "scheduler": one.recipe.scheduler.kind,
                "steps": one.recipe.steps,
                "guidance": one.recipe.guidance,
                "batch": len(one.wanted),
                "model_hash": loaded.model_hash,
                "receipt": conditioned.receipts[number],
            }
            if pipelines.refiner is not None and self._refiner is not None:
                facts["refiner"] = self._refiner.name
            alone = _Pass(one.recipe, one.size, (picture,), (0,))
            pixels = self._sound(loaded, alone, latents[number], part.end(), facts)
            image = as_image(pixels[: picture.height, : picture.width].contiguous())
            made.append(Rendered(image, self.name, pipelines.device, facts=facts))
        return made

    def _sound(
        self, loaded: _Loaded, alone: _Pass, latents: Tensor, part: _Part, facts: dict[str, Any]
    ) -> Tensor:
        """The pixels of a picture that is one: developed once more in 32 bit, and rendered once more, if need be."""
        pipelines = loaded.pipelines
        pixels = pipelines.develop(latents)
        first = wrong = flaw(latents, pixels, self._least_likeness)
        if not wrong:
            return pixels
        log.warning("picture_flawed", model=self.name, flaw=wrong, seed=alone.wanted[0].seed)
        pipelines.develop_wide()
        pixels = pipelines.develop(latents)
        facts["flawed_at_first"] = first
        if not (wrong := flaw(latents, pixels, self._least_likeness)):
            return pixels
        seed = alone.wanted[0].seed
        if pipelines.widen():
            loaded.forget_words()
        else:
            # The same numbers would make the same picture; this other seed is always the same one.
            seed = (seed + 2**31) % 2**32
        facts["seed_taken"] = seed
        again = _conditioned(loaded, alone)
        [latents] = pipelines.denoise(alone.recipe, again.words, again.refined, alone.size, [seed], part)
        pixels = pipelines.develop(latents)
        if not (wrong := flaw(latents, pixels, self._least_likeness)):
            return pixels
        raise RenderFailed(
            f"{self.name} made no picture but {wrong}, twice. Try another number of steps or another scheduler; "
            "if it goes on, fetch the model again."
        )


def _conditioned(loaded: _Loaded, one: _Pass) -> _Conditioned:
    words, receipts = _words(loaded.encoder, one)
    refined = None if loaded.refining is None else _words(loaded.refining, one)[0]
    return _Conditioned(words, refined, receipts)


def _words(encoder: Encoder, one: _Pass) -> tuple[Words, list[dict[str, Any]]]:
    """Positives and negatives go into one stack, so that all are padded to one length."""
    count = len(one.wanted)
    texts = [picture.prompt for picture in one.wanted]
    if one.recipe.guided:
        texts += [picture.negative for picture in one.wanted]
    known = {text: encoder.encode(text) for text in dict.fromkeys(texts)}
    embeds, pooled = together([known[text] for text in texts])
    receipts = [known[text].receipt.as_json() for text in texts[:count]]
    if not one.recipe.guided:
        return Words(embeds, pooled), receipts
    if pooled is None:
        return Words(embeds[:count], None, embeds[count:]), receipts
    return Words(embeds[:count], pooled[:count], embeds[count:], pooled[count:]), receipts


def _whole(side: int) -> int:
    return max(GRAIN, -(-side // GRAIN) * GRAIN)
