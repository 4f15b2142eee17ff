"""A queue on a bench: each kind that there is, with a hand to ask for jobs and hands that do them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import SystemClock
from engine.language import Source
from engine.pictures import Claim, Handler, Queue
from engine.pictures.cluster import QUEUE, ClusterQueue
from engine.pictures.queue import EmbeddedQueue, Pace
from engine.store import jobs
from engine.store.database import Database
from engine.store.records import Lane, PictureRequest
from engine.store.tables import queue_entries

QUICK = Pace(poll=0.02, heartbeat=0.05, vanished=0.25, grace=0.1, trouble=0.1)

REQUEST = PictureRequest(
    scene="on a pier",
    prompt="a woman on a pier",
    negative="",
    style="photorealistic",
    source=Source.UNDERSTUDY,
    word_count=5,
    seed=1,
)


@dataclass
class Bench:
    """A queue, its database, and a hand to ask for jobs."""

    database: Database
    queue: Queue
    #: Somebody elsewhere takes the first job in line and is never heard of again.
    taken_by_one_who_vanishes: Callable[[], Awaitable[None]]
    #: How often job `:id` stands in the queue's own book.
    in_line: TextClause

    async def add(self, tx: AsyncConnection, rank: int = 0) -> int:
        added = await jobs.add(
            tx, request=REQUEST, lane=Lane.INTERACTIVE, fair_owner="ada", cost=1, now=datetime.now(UTC)
        )
        await self.queue.submit(tx, added.job.id, rank)
        return added.job.id

    async def ask(self, *ranks: int) -> list[int]:
        async with self.database.write() as tx:
            asked = [await self.add(tx, rank) for rank in ranks]
        self.queue.nudge()
        return asked

    async def out_of_line(self, job_id: int) -> bool:
        """Neither waiting nor in anybody's hands."""
        async with self.database.read() as tx:
            return not (await tx.execute(self.in_line, {"id": job_id})).scalar()


@pytest.fixture(name="embedded")
async def an_embedded_queue(tmp_path: Path, sqlite_tables: Path) -> AsyncIterator[Bench]:
    file = shutil.copy(sqlite_tables, tmp_path / "greenroom.db")
    database = await Database.open(f"sqlite:///{file}")

    async def vanish() -> None:
        first = select(queue_entries.c.job_id).order_by(queue_entries.c.rank).limit(1).scalar_subquery()
        async with database.write() as tx:
            await tx.execute(
                update(queue_entries)
                .where(queue_entries.c.job_id == first)
                .values(holder="gone/1", heartbeat_at=datetime.now(UTC), attempt=queue_entries.c.attempt + 1)
            )

    book = text("SELECT count(*) FROM queue_entries WHERE job_id = :id")
    yield Bench(database, EmbeddedQueue(database, SystemClock(), pace=QUICK), vanish, book)
    await database.close()


@pytest.fixture(name="cluster")
async def a_cluster_queue(postgres_url_with_tables: str) -> AsyncIterator[Bench]:
    database = await Database.open(postgres_url_with_tables)
    queue = await ClusterQueue.open(database, postgres_url_with_tables, SystemClock(), pace=QUICK)

    async def vanish() -> None:
        async with database.write() as tx:
            worker = (
                await tx.execute(text("SELECT worker_id FROM procrastinate_register_worker_v1()"))
            ).scalar()
            await tx.execute(
                text("SELECT procrastinate_fetch_job_v2(CAST(:queues AS varchar[]), :worker)"),
                {"queues": [QUEUE], "worker": worker},
            )

    book = text(
        "SELECT count(*) FROM procrastinate_jobs"
        " WHERE CAST(args ->> 'job_id' AS int) = :id AND status IN ('todo', 'doing')"
    )
    yield Bench(database, queue, vanish, book)
    await queue.close()
    await database.close()


@pytest.fixture(name="bench", params=["embedded", "cluster"])
def a_bench(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@asynccontextmanager
async def working(queue: Queue, handler: Handler, concurrency: int = 1) -> AsyncIterator[asyncio.Task[None]]:
    shift = asyncio.create_task(queue.consume(handler, concurrency))
    try:
        yield shift
    finally:
        shift.cancel()
        with suppress(asyncio.CancelledError):
            await shift


async def soon(check: Callable[[], bool | Awaitable[bool]], within: float = 5) -> None:
    async with asyncio.timeout(within):
        while True:
            answer = check()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


@dataclass
class Hands:
    """A handler that notes what it was given, and holds on to it while `busy` is set."""

    given: list[Claim] = field(default_factory=list)
    busy: bool = False
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, claim: Claim) -> None:
        self.given.append(claim)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await soon(lambda: not self.busy or claim.stopped(), within=60)
        finally:
            self.at_once -= 1

    @property
    def ids(self) -> list[int]:
        return [claim.job_id for claim in self.given]
