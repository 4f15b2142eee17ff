"""The parts of a house that run for as long as it is open, and how each of them is. It starts and mends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.front import Front


@dataclass(frozen=True)
class Part:
    """`why` says what keeps it from running; empty where it runs."""

    name: str
    why: str = ""
    #: It never works with these settings.
    given_up: bool = False

    @property
    def runs(self) -> bool:
        return not self.why


def called(front: Front, all_: Sequence[Front]) -> str:
    """A front as a part: by its name, and by its account too where several go by that name."""
    alone = sum(one.name == front.name for one in all_) == 1
    return front.name if alone else f"{front.name}:{front.account}"


class Parts:
    def __init__(self) -> None:
        self._known: dict[str, Part] = {}

    @property
    def listing(self) -> list[Part]:
        return list(self._known.values())

    def of(self, name: str) -> Part | None:
        return self._known.get(name)

    def runs(self, name: str) -> None:
        self._known[name] = Part(name)

    def stopped(self, name: str, why: str, *, given_up: bool = False) -> None:
        self._known[name] = Part(name, why or "it ended", given_up)
