"""The seam to time. Everything that asks the hour or waits takes a Clock, so that tests can own the day."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, in UTC. It may jump, forwards and back."""

    def monotonic(self) -> float:
        """Seconds that only ever go forward; for pauses and durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic side of the clock."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()  # which is the loop's own, and any thread may ask

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
