"""What is remembered about how a bot behaved: the rules it broke, what it was refused, whom it woke.

It judges nothing: the parts of the server that find a broken rule write it down here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Breach:
    """One broken rule, with enough beside it to find the code that broke it."""

    at: float
    rule: str
    detail: str


@dataclass
class Ledger:
    monotonic: Callable[[], float]
    #: Rules that a correct client would not have broken, by name.
    broken: Counter[str] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)
    #: Calls that were answered with 429, by route.
    limited: Counter[str] = field(default_factory=Counter)
    #: Calls that were answered with an error, by Discord's error code.
    refused: Counter[int] = field(default_factory=Counter)
    #: Every call that arrived, by route.
    calls: Counter[str] = field(default_factory=Counter)
    #: Who was really notified by a bot: "everyone", "role", "person", "reply".
    pings: Counter[str] = field(default_factory=Counter)
    #: What went unanswered through no fault of the bot (no connection, an injected fault).
    excused: Counter[str] = field(default_factory=Counter)

    def breach(self, rule: str, detail: str = "") -> None:
        self.broken[rule] += 1
        self.breaches.append(Breach(self.monotonic(), rule, detail))
