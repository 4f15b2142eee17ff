"""What goes wrong on purpose: at a seeded rate, next time on a route, or held around its effect."""

from __future__ import annotations

import asyncio
import enum
import random
from collections import defaultdict, deque
from dataclasses import dataclass, field


class Fault(enum.Enum):
    RATE_LIMIT = "429"
    ERROR_500 = "500"
    ERROR_502 = "502"
    #: It was done, and the answer says that the server is in trouble.
    ERROR_AFTER = "502 after"
    #: The connection closes and nothing was done.
    DROP_BEFORE = "drop before"
    #: The connection closes and it *was* done: the client cannot know.
    DROP_AFTER = "drop after"


@dataclass
class Faults:
    """How often what goes wrong, each between 0 and 1; the same seed and the same calls fail alike."""

    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_drop_before: float = 0.0
    rate_drop_after: float = 0.0
    #: Per gateway event sent: the connection closes after it, and can be resumed.
    rate_disconnect: float = 0.0
    seed: int = 0
    #: Routes that are left alone, as written in the routing table.
    spare: frozenset[str] = frozenset()
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, route: str) -> Fault | None:
        if route in self.spare:
            return None
        roll = self._random.random()
        for rate, fault in (
            (self.rate_429, Fault.RATE_LIMIT),
            (self.rate_5xx, Fault.ERROR_502),
            (self.rate_drop_before, Fault.DROP_BEFORE),
            (self.rate_drop_after, Fault.DROP_AFTER),
        ):
            if roll < rate:
                return fault
            roll -= rate
        return None

    def disconnects(self) -> bool:
        return self.rate_disconnect > 0 and self._random.random() < self.rate_disconnect


class Hold:
    """One call stopped on its way: wait until it is here, look (or kill), then let it go or drop it."""

    def __init__(self, *, after: bool) -> None:
        self.after = after
        self.dropped = False
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def reached(self, within: float = 10.0) -> None:
        async with asyncio.timeout(within):
            await self._reached.wait()

    def release(self) -> None:
        self._released.set()

    def drop(self) -> None:
        """Close the connection instead of going on; held before, it never takes effect."""
        self.dropped = True
        self._released.set()

    async def pause(self) -> None:
        """The server's side of it."""
        self._reached.set()
        await self._released.wait()


class Script:
    """Faults and holds that a test asked for, first come, first served."""

    def __init__(self) -> None:
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._holds: defaultdict[str, deque[Hold]] = defaultdict(deque)
        self._every: list[Hold] = []

    def fail_next(self, route: str, fault: Fault, times: int) -> None:
        self._faults[route].extend([fault] * times)

    def hold(self, route: str, *, after: bool) -> Hold:
        held = Hold(after=after)
        self._holds[route].append(held)
        self._every.append(held)
        return held

    def next_fault(self, route: str) -> Fault | None:
        waiting = self._faults.get(route)
        return waiting.popleft() if waiting else None

    def next_hold(self, route: str) -> Hold | None:
        waiting = self._holds.get(route)
        return waiting.popleft() if waiting else None

    def release_all(self) -> None:
        """At the end nothing may stay held."""
        for held in self._every:
            held.drop()
