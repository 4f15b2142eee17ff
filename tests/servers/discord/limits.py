"""How often a call may be made, and whether somebody who was told to wait waited. Pure but for the clock handed in.

Every window is multiplied by one factor, and so is every wait that the answers name: a client that obeys them
is scaled with the server.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """So many calls in so many seconds, counted apart for each value of the route's major parameter."""

    name: str
    count: int
    seconds: float


SEND = Limit("send", 5, 5.0)
EDIT = Limit("edit", 5, 5.0)
DELETE = Limit("delete", 5, 1.0)
TYPING = Limit("typing", 5, 5.0)
REACT = Limit("react", 1, 0.25)
WEBHOOK = Limit("webhook", 5, 2.0)
COMMANDS = Limit("commands", 5, 20.0)
OPEN_DM = Limit("open dm", 10, 10.0)
PLAIN = Limit("plain", 20, 1.0)
GLOBAL = Limit("global", 50, 1.0)

#: Words already on the wire when the 429 left are nobody's fault.
ON_THE_WIRE = 0.1
#: A sleep may be this much shorter than asked on a coarse clock.
COARSE = 0.005


@dataclass(frozen=True)
class Taken:
    """What became of one call: `retry_after` is None when it may go on."""

    limit: Limit
    remaining: int
    reset_after: float
    retry_after: float | None = None


class Buckets:
    """Fixed windows that begin with their first call, as the client's own bookkeeping expects."""

    def __init__(self, scale: float, monotonic: Callable[[], float]) -> None:
        self._scale = scale
        self._monotonic = monotonic
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._waits: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, limit: Limit, major: str) -> Taken:
        now = self._monotonic()
        ends, used = self._windows.get((limit.name, major), (now, 0))
        if now >= ends:
            ends, used = now + limit.seconds * self._scale, 0
        if used >= limit.count:
            return Taken(limit, 0, _up(ends - now), _up(ends - now))
        self._windows[limit.name, major] = (ends, used + 1)
        return Taken(limit, limit.count - used - 1, _up(ends - now))

    def tell_to_wait(self, kind: str, what: str, seconds: float) -> None:
        """Remember a 429: `what` may not be tried again for so long."""
        now = self._monotonic()
        self._waits[kind, what] = (now, now + seconds)

    def waited(self, kind: str, what: str, *, grace: float = 0.0) -> bool:
        """Whether nobody tries `what` again before it was allowed."""
        told, until = self._waits.get((kind, what), (0.0, 0.0))
        now = self._monotonic()
        if now >= until - COARSE:
            self._waits.pop((kind, what), None)
            return True
        return now <= told + grace


def _up(seconds: float) -> float:
    return math.ceil(seconds * 1000) / 1000
