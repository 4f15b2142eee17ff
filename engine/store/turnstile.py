"""Who writes next: SQLite has one writer. What somebody waits for goes first, and nobody is passed for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: So many who are in a hurry go through in a row, while somebody else waits.
IN_A_ROW = 16


class Turnstile:
    """One at a time, in the order in which they came; those in a hurry before the others."""

    def __init__(self) -> None:
        self._taken = False
        self._row = 0
        self._hurried: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, hurried: bool = False) -> AsyncIterator[None]:
        if self._taken:
            await self._wait(self._hurried if hurried else self._patient)
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, line: deque[asyncio.Future[None]]) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()  # it had been our turn
            raise

    def _pass_on(self) -> None:
        while line := self._next():
            waiting = line.popleft()
            if not waiting.done():
                waiting.set_result(None)  # taken as it is, by whoever that wakes
                return
        self._taken = False

    def _next(self) -> deque[asyncio.Future[None]] | None:
        if self._hurried and (self._row < IN_A_ROW or not self._patient):
            self._row += 1
            return self._hurried
        self._row = 0
        return self._patient or None
