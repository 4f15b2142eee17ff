"""Looks at pictures in the making: taken when somebody asks, and no faster than they can be shown."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO

from PIL import Image

from engine.engine import Engine
from engine.pictures.previews import EVERY_SECONDS, SIDE
from engine.store.records import JobState
from engine.testing import ManualClock
from tests.engine.moody import (  # noqa: F401 - fixtures
    Moody,
    ask,
    ended,
    moody_renderer,
    seen,
)
from tests.working import working


@asynccontextmanager
async def stepwise(engine: Engine, renderer: Moody) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """While it lasts, a picture is made a step at a time: what is given makes one, and waits for its news."""
    may = threading.Semaphore(0)
    renderer.at_step = lambda: may.acquire(timeout=30)
    with engine.events.watch(lambda event: event.name == "job.step") as told:
        steps = aiter(told)

        async def step() -> None:
            may.release()
            await anext(steps)

        async with working(engine):
            try:
                yield step
            finally:
                may.release(100)


async def test_where_nobody_looks_nothing_is_shown(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine, count=2)
    async with working(engine):
        await ended(engine, job.id)
    assert renderer.looks == 0
    assert engine.worker.preview(job.id) == b""


async def test_who_asks_sees_the_picture_after_the_next_step(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine)
    async with stepwise(engine, renderer) as step:
        await step()
        assert engine.worker.preview(job.id) == b"", "nobody had asked before this step"
        await step()
        with Image.open(BytesIO(await seen(engine, job))) as image:
            assert image.format == "JPEG"
            assert max(image.size) == SIDE
    assert engine.worker.preview(job.id) == b"", "and when it is over there is a real one"


async def test_looks_are_taken_no_faster_than_they_can_be_shown(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine, count=3)
    assert isinstance(engine.clock, ManualClock)
    async with stepwise(engine, renderer) as step:
        await step()
        for _ in range(3):
            engine.worker.preview(job.id)
            await step()
        assert renderer.looks == 1
        await engine.clock.advance(EVERY_SECONDS)
        engine.worker.preview(job.id)
        await step()
        assert renderer.looks == 2


async def test_a_look_that_fails_costs_nobody_the_picture(engine: Engine, renderer: Moody) -> None:
    renderer.blinks = True
    job = await ask(engine)
    async with stepwise(engine, renderer) as step:
        await step()
        engine.worker.preview(job.id)
        await step()
        await step()
        done, _ = await ended(engine, job.id)
    assert done.state is JobState.DONE
