"""Nothing goes on behind our back: work is done to its end though whoever waits for it is cancelled, and tasks have
ended when somebody leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
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


async def ended(tasks: Iterable[asyncio.Future[Any]], *, within: float = 0.0) -> None:
    """They have ended when this has. What takes longer than so many seconds is cancelled."""
    late = {task for task in tasks if not task.done()}
    if late and within:
        _, late = await asyncio.wait(late, timeout=within)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
