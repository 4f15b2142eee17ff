"""Which pictures go through the model together, and how far they are: what they must have in common, and one count
of steps over all that is done. It runs nothing, and knows no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.pictures import Looks, Lora, PictureWanted, Preview, Progress
from engine.pictures.sdxl.recipes import HIRES_STRENGTH, Recipe
from engine.pictures.sdxl.sparing import Step


@dataclass(frozen=True)
class Manner:
    """How a picture is made. What is made in the same manner can share a pass."""

    recipe: Recipe
    #: Width and height, in whole squares.
    size: tuple[int, int]
    #: In two passes, the size of the first.
    first: tuple[int, int] | None
    #: How far from its start it goes; None: it begins from noise.
    strength: float | None
    loras: tuple[Lora, ...]
    #: How many chunks of words each model is shown. Filled up to a longer neighbour's length, a prompt would make
    #: another picture than it makes alone.
    chunks: tuple[int, ...]

    @property
    def kept(self) -> bool:
        """It is its start, and nothing is done to it."""
        return self.strength == 0

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Of the picture, each time that it goes through the model."""
        return (self.size,) if self.first is None else (self.first, self.size)

    @property
    def legs(self) -> tuple[float | None, ...]:
        """Each time that it goes through the model, by how far from its start it goes."""
        return (self.strength,) if self.first is None else (None, HIRES_STRENGTH)


@dataclass(frozen=True)
class Pass:
    """Pictures that go through the model together, and where in the whole they stand."""

    manner: Manner
    wanted: tuple[PictureWanted, ...]
    places: tuple[int, ...]
    #: What was tried so far because memory ran out.
    spared: frozenset[Step] = frozenset()

    def halves(self) -> tuple[Pass, Pass]:
        middle = len(self.wanted) // 2
        first, second = slice(None, middle), slice(middle, None)
        return (
            replace(self, wanted=self.wanted[first], places=self.places[first]),
            replace(self, wanted=self.wanted[second], places=self.places[second]),
        )

    def only(self, number: int) -> Pass:
        return replace(self, wanted=(self.wanted[number],), places=(self.places[number],))

    def seen(self, preview: Preview) -> Preview:
        """Looks at its pictures, by their number in it, become looks by their places in the whole."""
        if not isinstance(preview, Looks):
            return preview
        return Looks({self.places[number]: look for number, look in preview.each.items()})

    def after(self, step: Step) -> Pass:
        return replace(self, spared=self.spared | {step})


def together(manners: Sequence[Manner | None], at_once: int) -> list[list[int]]:
    """The places of those that share a pass, pass after pass, in the order in which they came; None is in none."""
    shared: dict[Manner, list[int]] = {}
    for place, manner in enumerate(manners):
        if manner is not None:
            shared.setdefault(manner, []).append(place)
    return [
        alike[start : start + at_once] for alike in shared.values() for start in range(0, len(alike), at_once)
    ]


class Way:
    """How far a rendering is, over all its passes. What is done again is not told again, but may be stopped."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._furthest = 1

    def part(self, start: float, share: float) -> Part:
        return Part(self, start, share)

    def at(self, position: float, preview: Preview) -> None:
        self._furthest = max(self._furthest, min(round(position), self._total))
        self._progress(self._furthest, self._total, preview)


@dataclass(frozen=True)
class Part:
    """The part of the way that one pass goes."""

    way: Way
    start: float
    share: float

    def __call__(self, step: int, steps: int, preview: Preview) -> None:
        self.way.at(self.start + self.share * step / steps, preview)

    def cut(self, shares: Sequence[float]) -> list[Part]:
        """Into pieces one behind the other, as large as they are to each other."""
        whole = sum(shares)
        starts = [sum(shares[:number]) for number in range(len(shares))]
        return [
            self.way.part(self.start + self.share * start / whole, self.share * share / whole)
            for start, share in zip(starts, shares, strict=True)
        ]

    def end(self) -> Part:
        return self.way.part(self.start + self.share, 0)
