"""How long will it take? Pure arithmetic on how long it took lately, and silence where nothing is known.

It knows seconds, pixels and steps. Who asks, and what stands in line, it is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: From so many pictures of the very same size and steps on, no others are asked.
ENOUGH = 5


@dataclass(frozen=True)
class Made:
    """One finished picture: how much work it was, who did it, and how long that took."""

    seconds: float
    width: int
    height: int
    steps: int
    model: str = ""
    device: str = ""

    @property
    def work(self) -> int:
        return self.width * self.height * self.steps


@dataclass(frozen=True)
class Expected:
    """Seconds: half of all take no longer than `likely`, nine of ten no longer than `at_most`."""

    likely: float
    at_most: float


def expected(
    made: Sequence[Made],
    *,
    width: int,
    height: int,
    steps: int,
    count: int = 1,
    before: int = 0,
    concurrency: int = 1,
) -> Expected | None:
    """How long until `count` such pictures are there, with `before` others in front of them.

    `made` are the last pictures, the newest first. Only what was made as the newest one was is asked: what a stand-in
    takes says nothing of a model, and one device nothing of another. None where there is no such thing.
    """
    known = [one for one in made if one.seconds > 0 and one.work > 0]
    known = [one for one in known if (one.model, one.device) == (known[0].model, known[0].device)]
    if not known:
        return None
    one, other = _one(known, width, height, steps), _spread([picture.seconds for picture in known])
    hands = max(1, concurrency)
    likely = one.likely * count + other.likely * before / hands
    # Delays do not all come together: independent spreads add up in their squares.
    spread = math.hypot(
        (one.at_most - one.likely) * math.sqrt(count),
        (other.at_most - other.likely) * math.sqrt(before) / hands,
    )
    return Expected(likely, likely + spread)


def left(step: int, steps: int, *, passed: float, since: int = 0) -> float | None:
    """Seconds to the last step, at the pace of those since `since`; None before there is a pace."""
    if step <= since or step > steps or passed <= 0:
        return None
    return passed / (step - since) * (steps - step)


def _one(known: Sequence[Made], width: int, height: int, steps: int) -> Expected:
    """One picture: from those of its size and steps if there are enough, else from all, in proportion."""
    same = [one.seconds for one in known if (one.width, one.height, one.steps) == (width, height, steps)]
    if len(same) >= ENOUGH:
        return _spread(same)
    work = width * height * steps
    return _spread([one.seconds * work / one.work for one in known])


def _spread(seconds: Sequence[float]) -> Expected:
    return Expected(_quantile(seconds, 0.5), _quantile(seconds, 0.9))


def _quantile(values: Sequence[float], share: float) -> float:
    """Between two neighbours in proportion."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
