"""Work that, once begun, is done to its end, even if whoever waits for it is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def unbroken(work: Coroutine[Any, Any, Answer]) -> Answer:
    """What `work` answers. A cancellation is heard when it has ended, so nothing goes on behind our back."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
