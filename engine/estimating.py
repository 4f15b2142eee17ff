"""How long will it take? Pure arithmetic on how long it took lately, and silence where nothing is known.

A guess is made of how long pictures of nearly the same kind took; then it is corrected by how far such guesses were
off so far, so that nine of ten are kept whatever was left out. Of little that is known the look goes further out, and
comes back as more is. Who asks, and where the numbers are, it is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

#: From so many pictures of the very same kind on, no others are asked; and never fewer than that, where there are.
ENOUGH = 7
#: Of one kind only the newest count: machines get warm, and other programs come and go.
NEWEST = 30
#: Fewer promises than this say nothing of how good they are.
TELLING = 10
#: The newest promises say how the machine is now; all that are known say how far errors go.
LATEST = 30
#: What past errors may make of a guess.
LEAST, MOST = 0.5, 4.0
#: So many are to be there in time.
KEPT = 0.9
#: A house that is new has not seen yet what can go wrong. It reckons as if so many more promises had been broken,
#: which weighs the less the more of them there really are.
BROKEN = 2
#: Of a few the longest is not long enough: this power of e lies beyond it where a whole one of them is lacking.
BEYOND = 0.5
#: Delays come together in part, for the machine is the same: so much of their squares.
TOGETHER = 0.3

#: As pictures in two passes are made: first in about so many pixels, unless that is nearly what is wanted, …
FIRST_PASS = 1024 * 1024
NEARLY = 1.15
#: … and then over again, by so much of the way.
SECOND_PASS = 0.35


@dataclass(frozen=True)
class Work:
    """So many pictures of one kind, as they were asked for."""

    width: int
    height: int
    steps: int
    count: int = 1
    hires: bool = False
    #: Begun from another picture, and so much of the way; None: from noise.
    strength: float | None = None
    #: The share of it that is made already.
    done: float = 0.0

    @property
    def each(self) -> float:
        """What one of them takes, in pixels that are gone over."""
        pixels = float(self.width * self.height)
        if self.strength is not None:
            return pixels * max(1.0, self.steps * min(1.0, max(0.0, self.strength)))
        if self.hires and pixels > FIRST_PASS * NEARLY:
            return self.steps * (FIRST_PASS + SECOND_PASS * pixels)
        return pixels * self.steps

    @property
    def passes(self) -> int:
        return (
            2
            if self.hires and self.strength is None and self.width * self.height > FIRST_PASS * NEARLY
            else 1
        )

    @property
    def left(self) -> float:
        """How many of them are still to be made; the one that is begun counts in part."""
        return self.count * (1.0 - min(1.0, max(0.0, self.done)))


@dataclass(frozen=True)
class Made:
    """One finished picture: what was asked for, who made it, and what share of the machine's time that took."""

    seconds: float
    work: Work
    model: str = ""
    device: str = ""
    #: Drawn in place of a picture that a model could not make.
    in_place: bool = False


@dataclass(frozen=True)
class Expected:
    """Seconds: half of all take no longer than `likely`, nine of ten no longer than `at_most`."""

    likely: float
    at_most: float


@dataclass(frozen=True)
class Promise:
    """What somebody was told, what had been guessed before past errors were reckoned in, and what it took."""

    told: Expected
    guessed: Expected
    took: float


@dataclass(frozen=True)
class Record:
    """How good promises were: of so many, which share was there in time, and by which share they were usually off."""

    promises: int
    in_time: float
    off: float


def expected(made: Sequence[Made], wanted: Work, before: Sequence[Work] = ()) -> Expected | None:
    """A guess how long until `wanted` is there, with all that work in front of it; one machine does it all in turn.

    `made` are the last pictures, the newest first. Only what was made as the newest one was is asked: what a stand-in
    takes says nothing of a model, and one device nothing of another. None where there is no such thing.
    """
    known = [one for one in made if one.seconds > 0 and one.work.each > 0]
    # A card that was drawn for once in place of a picture says nothing of the next ones.
    known = [one for one in known if not one.in_place] or known
    known = [one for one in known if (one.model, one.device) == (known[0].model, known[0].device)]
    if not known:
        return None
    kinds: dict[Work, Expected] = {}
    likely = apart = together = 0.0
    for work in (*before, wanted):
        kind = replace(work, count=1, done=0.0)
        if kind not in kinds:
            kinds[kind] = _one(known, kind)
        one = kinds[kind]
        likely += one.likely * work.left
        # Independent spreads add up in their squares; those that come together as they are.
        spread = one.at_most - one.likely
        apart = math.hypot(apart, spread * math.sqrt(work.left))
        together += spread * work.left
    spread = math.hypot(math.sqrt(1.0 - TOGETHER) * apart, math.sqrt(TOGETHER) * together)
    return Expected(likely, likely + spread)


def corrected(guess: Expected, past: Sequence[Promise]) -> Expected:
    """The guess as past errors bid to tell it; `past` are the last promises that were met, the newest first.

    A few of them can only put the later time off: that the first went well promises nothing.
    """
    known = [one for one in past if one.took > 0 and one.guessed.likely > 0 and one.guessed.at_most > 0]
    if not known:
        return guess
    latest = known[:LATEST]
    ratios = [one.took / one.guessed.at_most for one in known]
    if len(known) < TELLING:
        factor = max(1.0, _bound(ratios, _share(len(known))))
        return Expected(guess.likely, guess.at_most * _bounded(factor))
    likely = guess.likely * _bounded(_quantile([one.took / one.guessed.likely for one in latest], 0.5))
    late = sum(one.took > one.told.at_most for one in latest) / len(latest)
    factor = _bound(ratios, _share(len(known), late))
    return Expected(likely, max(likely, guess.at_most * _bounded(factor)))


def _share(known: int, late: float = 1.0 - KEPT) -> float:
    """Of so many promises that are known, which share the later time lies behind."""
    new = min(1.0, KEPT * (known + 1 + BROKEN) / (known + 1))
    # Misses come in swarms: where more were late than may be, the look goes further out, and the other way round; but
    # not beyond the longest for that.
    return min(max(new, known / (known + 1)), max(0.5, new + late - (1.0 - KEPT)))


def record(past: Sequence[Promise]) -> Record | None:
    """How good the promises were that somebody was told; None until that can be said."""
    known = [one for one in past if one.took > 0 and one.told.likely > 0]
    if len(known) < TELLING:
        return None
    in_time = sum(one.took <= one.told.at_most for one in known) / len(known)
    off = _quantile([abs(one.took / one.told.likely - 1.0) for one in known], 0.5)
    return Record(len(known), in_time, off)


def left(step: int, steps: int, *, passed: float, since: int = 0) -> float | None:
    """Seconds to the last step, at the pace of those since `since`; None before there is a pace."""
    if step <= since or step > steps or passed <= 0:
        return None
    return passed / (step - since) * (steps - step)


def _one(known: Sequence[Made], wanted: Work) -> Expected:
    """One picture: from those that are most like it, in proportion to their work."""
    far = {work: _distance(work, wanted) for work in {one.work for one in known}}
    nearest = sorted(known, key=lambda one: far[one.work])
    furthest = far[nearest[min(ENOUGH, len(nearest)) - 1].work]
    like = [one for one in nearest[:NEWEST] if far[one.work] <= furthest]
    seconds = [one.seconds * wanted.each / one.work.each for one in like]
    return Expected(_quantile(seconds, 0.5), _bound(seconds, KEPT))


def _distance(one: Work, other: Work) -> float:
    """How unlike two kinds are. Pixels count more than steps: with steps alone the time grows evenly."""
    pixels = math.log((one.width * one.height) / (other.width * other.height))
    steps = math.log(one.each / other.each) - pixels
    strange = (one.passes != other.passes) + ((one.strength is None) != (other.strength is None))
    return round(math.hypot(2.0 * pixels, steps) + 4.0 * strange, 9)


def _bounded(factor: float) -> float:
    return min(MOST, max(LEAST, factor))


def _bound(values: Sequence[float], share: float) -> float:
    """What the next one stays under with that chance; the share among themselves would promise too much. Of a few it
    lies beyond the longest, the further the more of them are lacking.
    """
    place = share * (len(values) + 1)
    if place > len(values):
        return max(values) * math.exp(BEYOND * (place - len(values)))
    return sorted(values)[math.ceil(place) - 1]


def _quantile(values: Sequence[float], share: float) -> float:
    """Between two neighbours in proportion."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
