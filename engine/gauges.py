"""What the house has done since it was opened, in counts and times. It knows only their names, and forgets with the
process: rows stay the truth.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection
from dataclasses import dataclass, field

#: Bounds of what took how long, in seconds.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
#: More labels than this under one name are told together, as `OTHERS`.
MOST_LABELS, OTHERS = 200, "others"

Labels = tuple[str, ...]


@dataclass
class Spans:
    """How long something took: how often within each bound, and behind the last one."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        return sum(self.counts)


class Gauges:
    """Counts and times by name and labels. One loop uses it; anybody there may read."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[Labels, float]] = {}
        self.spans: dict[str, dict[Labels, Spans]] = {}

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        there = self.counts.setdefault(name, {})
        bounded = _bounded(there, labels)
        there[bounded] = there.get(bounded, 0) + by

    def took(self, name: str, seconds: float, *labels: str) -> None:
        there = self.spans.setdefault(name, {})
        there.setdefault(_bounded(there, labels), Spans()).add(max(0.0, seconds))

    def total(self, name: str) -> float:
        return sum(self.counts.get(name, {}).values())


def _bounded(there: Collection[Labels], labels: Labels) -> Labels:
    if labels in there or len(there) < MOST_LABELS:
        return labels
    return (OTHERS,) * len(labels)
