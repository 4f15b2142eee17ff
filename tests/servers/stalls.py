"""For how long a loop stood still, because the machine had other things to do or Python looked for waste.

A platform on loopback may ask for an answer within a few hundredths of a second: it counts those in which somebody
could have given it. What is asked for, it does not know.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

#: Between two beats.
BEAT = 0.01
#: What a beat may be late without a reason to mention it.
USUAL = 0.02


class Stalls:
    """Begins to count with `start`; before that, and for a clock that is wound by hand, nothing is ever lost."""

    def __init__(self) -> None:
        self._lost = 0.0
        self._due = float("inf")
        self._beating: asyncio.Task[None] | None = None

    def lost(self) -> float:
        """Seconds so far in which nothing went on here."""
        late = time.monotonic() - self._due
        return self._lost + (late if late > USUAL else 0.0)

    def start(self) -> None:
        self._beating = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating
        self._due = float("inf")

    async def _beat(self) -> None:
        while True:
            self._due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self._lost = self.lost()
