"""Two who do something at the same time, in the order in which it goes wrong. It does not know what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Hold:
    """Stops the first who comes here, until it is let go."""

    def __init__(self, real: Callable[..., Awaitable[Any]]) -> None:
        self._real, self._there, self._go = real, asyncio.Event(), asyncio.Event()

    async def __call__(self, *args: Any, **more: Any) -> Any:
        if not self._there.is_set():
            self._there.set()
            await self._go.wait()
        return await self._real(*args, **more)

    async def meanwhile(self, first: Awaitable[Any], second: Callable[[], Awaitable[Any]]) -> list[Any]:
        """The second begins while the first holds still in the middle; the first goes on a while later."""
        one = asyncio.ensure_future(first)
        await asyncio.wait_for(self._there.wait(), 20)
        two = asyncio.ensure_future(second())
        # Either it ends, or it stands before a lock that the first has. On a full machine the former takes a while.
        await asyncio.wait([two], timeout=2.0)
        self._go.set()
        return list(await asyncio.wait_for(asyncio.gather(one, two, return_exceptions=True), 20))
