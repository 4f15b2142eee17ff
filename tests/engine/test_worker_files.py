"""Files of jobs: only what a job has to show stays, whatever became of it while they were put."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import pytest
from sqlalchemy import insert

from engine import forgetting
from engine.engine import Engine
from engine.pictures import Claim
from engine.store import chats, gallery, jobs, people
from engine.store import forgetting as store
from engine.store.records import Account, Job, JobState
from engine.store.tables import turns
from engine.testing import ManualClock
from tests.engine.moody import ROOM, ask, ended, moody_renderer, told  # noqa: F401 - a fixture
from tests.working import working

Answer = TypeVar("Answer")

ANA = Account("stage", "u1", "Ana")


class Slow:
    """Lets nothing be put before it is told to."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._put = engine.files.put
        self.asked: list[str] = []
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(engine.files, "put", self)

    async def __call__(self, key: str, data: bytes) -> None:
        self.asked.append(key)
        self.began.set()
        await self.go_on.wait()
        await self._put(key, data)


async def lying(engine: Engine) -> list[str]:
    return sorted([key async for key in engine.files.keys("")])


async def in_time(engine: Engine, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Time goes on until it is done."""
    assert isinstance(engine.clock, ManualClock)
    task = asyncio.create_task(work)
    async with asyncio.timeout(20):
        while not task.done():
            await engine.clock.advance(0.5)
            await asyncio.sleep(0.001)
    return await task


async def let_go(engine: Engine, job: Job) -> None:
    """The worker has it in hand no more."""

    async def gone() -> None:
        while await engine.queue.cancel(job.id):  # noqa: ASYNC110 - a queue tells nobody
            await asyncio.sleep(0.001)

    await in_time(engine, gone())


async def deleted(engine: Engine, job: Job) -> None:
    """As `/delete` does it."""
    async with engine.database.write() as tx:
        await jobs.end(tx, job.id, JobState.CANCELLED, engine.clock.now())
        files = await store.delete_pictures(tx, job.id, engine.clock.now())
    for file in files:
        await engine.files.delete(file)


async def test_of_a_job_that_is_deleted_while_its_pictures_are_put_no_file_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(engine, monkeypatch)
    async with working(engine):
        job = await ask(engine, count=2)
        await slow.began.wait()
        await deleted(engine, job)
        slow.go_on.set()
        async with asyncio.timeout(30):
            while len(slow.asked) < 2:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)
        await let_go(engine, job)
    assert await lying(engine) == []
    assert await gallery.find_picture(engine.files, "glenys-prosser", wanted="noir", default="noir") is None


async def test_who_is_told_to_stop_puts_no_further_picture(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(engine, monkeypatch)
    async with working(engine):
        job = await ask(engine, count=3)
        await slow.began.wait()
        await engine.imagining.cancel(job.id)
        slow.go_on.set()
        await let_go(engine, job)
    assert len(slow.asked) == 1
    assert await lying(engine) == []
    assert (await told(engine, job.id))[0].state is JobState.CANCELLED


async def test_of_an_order_that_cannot_be_kept_as_a_whole_no_file_stays(engine: Engine) -> None:
    job = await ask(engine, count=2)
    # Where the second one is to lie there is a folder.
    second = engine.files.path(f"pictures/glenys-prosser/{job.id}-2_glenys-prosser_noir.png")
    assert second is not None
    (second / "of somebody").mkdir(parents=True)
    async with working(engine):
        failed, made = await ended(engine, job.id)
        await let_go(engine, job)
    assert (failed.state, made) == (JobState.FAILED, [])
    assert await lying(engine) == []


async def test_what_another_worker_has_shown_meanwhile_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(engine.clock, ManualClock)
    async with working(engine):
        await ended(engine, (await ask(engine)).id)
        job = await ask(engine, chat=False)
        await engine.queue.cancel(job.id)
        slow = Slow(engine, monkeypatch)
        late: Awaitable[None] = asyncio.create_task(engine.worker.work(Claim(job.id, 1, lambda: False)))
        await slow.began.wait()
        await engine.clock.advance(1)
        monkeypatch.undo()
        await engine.worker.work(Claim(job.id, 2, lambda: False))
        _, [made] = await told(engine, job.id)
        slow.go_on.set()
        await late
    assert made.file in await lying(engine)


async def test_what_another_worker_is_putting_just_now_stays_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(engine.clock, ManualClock)
    async with working(engine):
        job = await ask(engine, chat=False)
        await engine.queue.cancel(job.id)
        slow = Slow(engine, monkeypatch)
        late = asyncio.create_task(engine.worker.work(Claim(job.id, 1, lambda: False)))
        await slow.began.wait()
        await engine.clock.advance(1)
        async with engine.database.write() as tx:
            await jobs.begin(tx, job.id, engine.clock.now())
        slow.go_on.set()
        await late
    assert await lying(engine) == slow.asked


async def test_an_order_to_forget_stays_until_the_last_worker_has_let_go(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(engine, monkeypatch)
    sweep = forgetting.Sweep(engine.database, engine.files, engine.queue, engine.clock)
    async with working(engine):
        job = await ask(engine, who=ANA)
        await slow.began.wait()
        async with engine.database.write() as tx:
            person, place = await people.known(tx, ANA), await chats.place(tx, ROOM)
            assert person is not None
            assert place is not None
        await in_time(
            engine, forgetting.stop_jobs(engine.database, engine.queue, engine.clock, person.id, here=place)
        )
        async with engine.database.write() as tx:
            order = insert(turns).values(
                chat_id=place.id,
                kind="command",
                text="/forget yes",
                state="done",
                person_id=person.id,
                created_at=engine.clock.now(),
            )
            order_id = (await tx.execute(order.returning(turns.c.id))).scalar_one()
            await store.forget(tx, person.id, order_id=order_id)
        assert await in_time(engine, sweep.make()) == forgetting.AGAIN_AFTER
        async with engine.database.read() as tx:
            assert [one.job_ids for one in await store.forgotten(tx)] == [{job.id}]
        slow.go_on.set()
        await let_go(engine, job)
        assert await lying(engine) == []
        await in_time(engine, sweep.make())
    async with engine.database.read() as tx:
        assert await store.forgotten(tx) == []
