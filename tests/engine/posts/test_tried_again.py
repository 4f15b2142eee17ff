"""The loop behind posts when something fails: it tries again, with pauses, and rests where it can do nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import StoreError
from engine.store.records import (
    PostState,
)
from engine.testing import ManualClock
from tests.engine.posts_stage import (
    HALF_PAST_EIGHT,
    MINUTE,
    NINE,
    at,
    only_post,
    scheduled,
)


async def rounds(engine: Engine, during: Callable[[], Awaitable[object]]) -> int:
    """How often the loop goes round while something happens."""
    loop, count, real = engine.posting.publishing, 0, engine.posting.publishing.round

    async def counted() -> Any:
        nonlocal count
        count += 1
        return await real()

    loop.round = counted  # type: ignore[method-assign]  # the real one is called in it
    running = asyncio.create_task(engine.posting.run())
    await during()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return count


async def turns() -> None:
    """So much that a loop that never rests goes round hundreds of times."""
    for _ in range(300):
        await asyncio.sleep(0.001)


async def test_the_loop_rests_while_a_post_reaches_nobody(engine: Engine) -> None:
    schedule = await scheduled(engine)
    at(engine, HALF_PAST_EIGHT)
    await engine.posting.pause_place(schedule.chat_id, True)
    assert await rounds(engine, turns) < 5
    assert (await only_post(engine)).state is PostState.PLANNED


def failing(engine: Engine, error: Callable[[], Exception], times: int) -> list[float]:
    """Captions fail so often; answers when that was tried, on the monotonic clock."""
    captions, tried = engine.posting._making._captions, list[float]()
    real = captions.write

    async def write(*args: Any, **more: Any) -> Any:
        tried.append(engine.clock.monotonic())
        if len(tried) <= times:
            raise error()
        return await real(*args, **more)

    captions.write = write  # type: ignore[method-assign]  # the real one is called in it
    return tried


async def pass_time(engine: Engine, seconds: int) -> None:
    assert isinstance(engine.clock, ManualClock)
    for _ in range(seconds):
        await engine.clock.advance(1)
        for _ in range(10):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("error", [RuntimeError, StoreError])
async def test_what_cannot_be_made_is_tried_again_with_growing_pauses(
    engine: Engine, error: type[Exception]
) -> None:
    await scheduled(engine)
    at(engine, HALF_PAST_EIGHT)
    tried = failing(engine, lambda: error("for a while"), times=6)
    assert await rounds(engine, partial(pass_time, engine, 120)) < 300
    assert len(tried) == 7
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert all(pause >= least for pause, least in zip(pauses, (1, 2, 4, 8, 16, 32), strict=True))
    assert (await only_post(engine)).state is PostState.READY


async def test_what_can_never_be_made_has_failed_once_it_is_late_and_not_before(engine: Engine) -> None:
    await scheduled(engine)
    at(engine, NINE - 2 * MINUTE)
    failing(engine, lambda: RuntimeError("for ever"), times=10**6)
    states = []

    async def during() -> None:
        await pass_time(engine, 110)
        states.append((await only_post(engine)).state)
        await pass_time(engine, 300)
        states.append((await only_post(engine)).state)

    await rounds(engine, during)
    assert states == [PostState.PLANNED, PostState.FAILED]
