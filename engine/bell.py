"""How a loop rests between two rounds: until somebody rings, or it is time. What for, it does not know."""

from __future__ import annotations

import asyncio
from datetime import datetime

from engine.clock import Clock

#: However late it is already: a loop that is told so again and again lets others go on.
LEAST = 0.001


class Bell:
    """Rung by whoever has changed something; `hush` it before looking, so that nothing is missed meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def hush(self) -> None:
        self._rung.clear()

    async def rung(self) -> None:
        await self._rung.wait()

    async def rest(self, most: float, *, until: datetime | None = None) -> bool:
        """For so many seconds at most, and not past this moment; True where somebody rang."""
        if until is not None:
            most = min(most, (until - self._clock.now()).total_seconds())
        waits = [
            asyncio.ensure_future(self._clock.sleep(max(LEAST, most))),
            asyncio.ensure_future(self._rung.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return self._rung.is_set()
