"""Looks at finished pictures before anybody else does: what does not suit the place is made again, and at last
stood in for. What a picture shows is for the judge to say; of words and persons it knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from engine.errors import ModelUnavailable, Stopped, TryAgain
from engine.locales import Said, say
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered, Renderer
from engine.pictures.sdxl.judging import Verdict
from personas.persona import Rating

if TYPE_CHECKING:
    from PIL.Image import Image

log = structlog.get_logger(__name__)

#: A picture that does not suit is made again so often.
TRIES = 2
#: From try to try the seed goes on by this: far from the neighbours that other pictures of an order have.
STRIDE = 0x9E3779B9
#: Before it was checked, so many spots of a picture are to be seen, across and down.
SPOTS = 6
#: Pillow's names for ways to resize; whoever only imports this need not load it.
_BOX, _BICUBIC = 4, 3


class Judge(Protocol):
    """Says at which rating a picture may be shown. Used by the picture thread, and nobody else."""

    @property
    def name(self) -> str: ...

    def open(self) -> None:
        """Makes ready, and raises what keeps it from looking at anything. Open already, it is at no cost."""

    def verdicts(self, images: Sequence[Image]) -> list[Verdict]: ...

    def close(self) -> None: ...


class Absent:
    """A judge that should be there and is not; the reason says why."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def open(self) -> None:
        raise ModelUnavailable(self._reason)

    def verdicts(self, images: Sequence[Image]) -> list[Verdict]:
        raise ModelUnavailable(self._reason)

    def close(self) -> None:
        """There is nothing to let go of."""


class Reviewed:
    """A Renderer whose pictures were all looked at, but for those of a place where anything may be shown."""

    def __init__(self, renderer: Renderer, judge: Judge, stand_in: Renderer) -> None:
        self._renderer = renderer
        self._judge = judge
        #: It belongs to somebody else, who closes it.
        self._stand_in = stand_in
        #: Why the judge failed the last time: the operator is told once, not at every picture.
        self._failed = ""

    @property
    def name(self) -> str:
        return self._renderer.name

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        return self._renderer.company(wanted)

    def warm(self) -> bool:
        return self._renderer.warm()

    def close(self) -> None:
        self._judge.close()
        self._renderer.close()

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        # Nobody waits for pictures that could not be shown afterwards.
        sees = self._opened()
        places = [place for place, one in enumerate(wanted) if sees or _anything_suits(one)]
        way = _Way(progress, wanted, places)
        painted = self._renderer.render([wanted[place] for place in places], way) if places else []
        verdicts = self._looked_at(painted) if sees else [None] * len(painted)
        finished = {
            place: self._suitable(wanted[place], made, verdict, way.again([place]))
            for place, made, verdict in zip(places, painted, verdicts, strict=True)
        }
        left = [place for place in range(len(wanted)) if place not in finished]
        if left:
            told = way.again(left, veils=False) if painted else _Way(progress, wanted, left, veils=False)
            cards = self._drawn([wanted[place] for place in left], told, say("pictures.unchecked"))
            finished |= zip(left, cards, strict=True)
        return [finished[place] for place in range(len(wanted))]

    def _suitable(
        self, wanted: PictureWanted, made: Rendered, verdict: Verdict | None, again: Progress
    ) -> Rendered:
        """The picture, or another one in its place, or the card that stands in for it."""
        asked = wanted
        for tried in range(TRIES + 1):
            if made.stand_in:
                return made
            if verdict is None:
                return (
                    made if _anything_suits(wanted) else self._card(wanted, again, say("pictures.unchecked"))
                )
            allowed = _allowed(wanted)
            if verdict.rating.level <= allowed.level:
                # Whoever makes it once more needs the seed that it has.
                seed = {"seed_taken": asked.seed} if tried else {}
                return replace(made, facts=seed | made.facts | self._as_facts(verdict))
            log.warning(
                "picture_unsuitable",
                model=self.name,
                label=verdict.label,
                likelihood=round(verdict.likelihood, 3),
                fit_for=verdict.rating.value,
                wanted=allowed.value,
                seed=asked.seed,
                tries_left=TRIES - tried,
            )
            if tried == TRIES:
                break
            asked = replace(wanted, seed=(wanted.seed + (tried + 1) * STRIDE) % 2**32)
            another = self._another(asked, again)
            if another is None:
                break
            made = another
            [verdict] = self._looked_at([made])
        facts = self._as_facts(verdict) if verdict else {}
        return self._card(wanted, again, say("pictures.unsuitable"), **facts)

    def _another(self, wanted: PictureWanted, again: Progress) -> Rendered | None:
        """The same alone, with another seed. What keeps it from being made is no reason to show the one before."""
        try:
            [made] = self._renderer.render([wanted], again)
        except (Stopped, TryAgain):
            raise
        except Exception as error:
            # Its sentence may name what a person asked for.
            log.warning("picture_not_made_again", model=self.name, cause=type(error).__name__)
            return None
        return made

    def _opened(self) -> bool:
        try:
            self._judge.open()
        except Exception as error:
            self._warn(error)
            return False
        return True

    def _looked_at(self, made: Sequence[Rendered]) -> list[Verdict | None]:
        """A verdict on each; none on a stand-in, and none on anything where the judge fails."""
        nothing: list[Verdict | None] = [None] * len(made)
        places = [place for place, one in enumerate(made) if not one.stand_in]
        if not places:
            return nothing
        try:
            told = self._judge.verdicts([made[place].image for place in places])
            verdicts = dict(zip(places, told, strict=True))
        except Exception as error:
            self._warn(error)
            return nothing
        if self._failed:
            self._failed = ""
            log.info("picture_check_back", checker=self._judge.name)
        return [verdicts.get(place) for place in range(len(made))]

    def _warn(self, error: Exception) -> None:
        cause = str(error) or type(error).__name__
        told = log.debug if self._failed == cause else log.warning
        self._failed = cause
        told("picture_check_failed", checker=self._judge.name, cause=cause)
        # Opened anew with the next picture: its file may have been mended, the memory be free again.
        self._judge.close()

    def _card(self, wanted: PictureWanted, again: Progress, why: Said, **facts: Any) -> Rendered:
        [card] = self._drawn([wanted], again, why)
        return replace(card, facts=card.facts | facts)

    def _drawn(self, wanted: Sequence[PictureWanted], progress: Progress, why: Said) -> list[Rendered]:
        # The key too: a row keeps the English sentence, and whoever shows it may say it in another language.
        facts = {"instead_of": self.name, "because": str(why), "because_key": why.key}
        return [replace(one, facts=one.facts | facts) for one in self._stand_in.render(wanted, progress)]

    def _as_facts(self, verdict: Verdict) -> dict[str, Any]:
        likelihood = round(verdict.likelihood, 4)
        return {"checked": {"by": self._judge.name, "label": verdict.label, "likelihood": likelihood}}


class _Way:
    """How far a rendering is. What is done again is not told again, but may be stopped, and looked at."""

    def __init__(
        self,
        progress: Progress,
        wanted: Sequence[PictureWanted],
        places: Sequence[int],
        *,
        veils: bool = True,
    ) -> None:
        """`places`: those of `wanted` that are made. What nobody has checked yet is seen as colours alone; `veils` is
        False for cards.
        """
        self._progress = progress
        self._wanted = wanted
        self._places = places
        self._veils = veils
        self._step = 1
        self._steps = 1

    def __call__(self, step: int, steps: int, preview: Preview | None = None, /) -> None:
        self._step, self._steps = max(self._step, step), steps
        self._progress(self._step, self._steps, self._seen(preview, self._places, self._veils))

    def _seen(self, preview: Preview | None, places: Sequence[int], veils: bool) -> Looks | None:
        """Each look goes to the place of its picture among all that are wanted."""
        if isinstance(preview, Looks):
            each = preview.each
        else:  # of several pictures nobody knows which one it shows
            each = {0: preview} if preview is not None and len(places) == 1 else {}
        seen = {
            places[number]: partial(_veiled, look) if veils and self._hides(places[number]) else look
            for number, look in each.items()
            if 0 <= number < len(places)
        }
        return Looks(seen) if seen else None

    def _hides(self, place: int) -> bool:
        return not _anything_suits(self._wanted[place])

    def again(self, places: Sequence[int], *, veils: bool = True) -> Progress:
        def told(_step: int, _steps: int, preview: Preview | None = None, /) -> None:
            self._progress(self._step, self._steps, self._seen(preview, places, veils))

        return told


def _veiled(look: Preview) -> Image:
    return veiled(look())


def veiled(image: Image) -> Image:
    """What is there as a few spots of colour: that it grows is to be seen, and nothing more."""
    small = image.convert("RGB").resize((SPOTS, SPOTS), _BOX)
    return small.resize(image.size, _BICUBIC)


def _allowed(wanted: PictureWanted) -> Rating:
    """By the place and by whoever is on it: the milder of the two."""
    return min(wanted.rating, wanted.scene.persona.rating, key=lambda rating: rating.level)


def _anything_suits(wanted: PictureWanted) -> bool:
    """No verdict could keep it back."""
    return _allowed(wanted).level >= max(rating.level for rating in Rating)
