"""What goes on beside a test for as long as a block lasts. It does not know what is done there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from engine.engine import Engine


@asynccontextmanager
async def meanwhile(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """It is done beside the block, and cancelled at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def working(engine: Engine) -> AbstractAsyncContextManager[None]:
    """The house's worker, until the end of the block."""
    return meanwhile(engine.work())
