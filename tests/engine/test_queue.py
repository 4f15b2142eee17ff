"""What a queue promises, held against every queue there is; then what only the embedded one can be asked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from engine.clock import SystemClock
from engine.errors import Stopped, StoreError, TryAgain
from engine.language import Source
from engine.pictures import MAX_ATTEMPTS, Claim, Handler, Queue
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


@pytest.fixture
async def embedded(tmp_path: Path, sqlite_tables: Path) -> AsyncIterator[Bench]:
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


@pytest.fixture
async def cluster(postgres_url_with_tables: str) -> AsyncIterator[Bench]:
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


@pytest.fixture(params=["embedded", "cluster"])
def bench(request: pytest.FixtureRequest) -> Any:
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


async def test_the_lowest_rank_goes_first_and_of_equals_the_older(bench: Bench) -> None:
    a, b, c, d = await bench.ask(5, -3, 5, 0)
    hands = Hands()
    async with working(bench.queue, hands):
        await soon(lambda: len(hands.given) == 4)
    assert hands.ids == [b, d, a, c]
    assert [claim.attempt for claim in hands.given] == [1, 1, 1, 1]


async def test_what_was_rolled_back_is_never_handed_out(bench: Bench) -> None:
    hands = Hands()
    async with working(bench.queue, hands):
        async with bench.database.write() as tx:
            rolled_back = await bench.add(tx)
            await tx.rollback()
        [kept] = await bench.ask(1)
        await soon(lambda: bool(hands.given))
        await asyncio.sleep(0.1)
    assert hands.ids == [kept]
    assert rolled_back == kept or await bench.out_of_line(rolled_back)


async def test_it_waits_for_the_commit_and_needs_no_nudge(bench: Bench) -> None:
    hands = Hands()
    async with working(bench.queue, hands):
        async with bench.database.write() as tx:
            job = await bench.add(tx)
            await asyncio.sleep(0.1)
            assert not hands.given
        await soon(lambda: hands.ids == [job])


async def test_the_position_counts_who_stands_before(bench: Bench) -> None:
    late, early, between = await bench.ask(9, 1, 5)
    assert [await bench.queue.position(job) for job in (early, between, late)] == [0, 1, 2]
    assert await bench.queue.position(late + 100) is None
    hands = Hands(busy=True)
    async with working(bench.queue, hands):
        await soon(lambda: hands.ids == [early])
        assert [await bench.queue.position(job) for job in (early, between, late)] == [None, 0, 1]


async def test_submitted_again_it_stands_in_line_once_with_its_new_rank(bench: Bench) -> None:
    first, second = await bench.ask(1, 2)
    async with bench.database.write() as tx:
        await bench.queue.submit(tx, first, 3)
    assert await bench.queue.position(first) == 1
    hands = Hands()
    async with working(bench.queue, hands):
        await soon(lambda: len(hands.given) == 2)
        await asyncio.sleep(0.1)
    assert hands.ids == [second, first]


async def test_a_waiting_job_is_cancelled_by_leaving_the_line(bench: Bench) -> None:
    gone, kept = await bench.ask(1, 2)
    assert await bench.queue.cancel(gone)
    assert not await bench.queue.cancel(gone)
    hands = Hands()
    async with working(bench.queue, hands):
        await soon(lambda: bool(hands.given))
    assert hands.ids == [kept]


async def test_a_running_job_is_asked_to_stop_and_ends_in_its_own_way(bench: Bench) -> None:
    hands = Hands(busy=True)
    ended = False

    async def handler(claim: Claim) -> None:
        nonlocal ended
        await hands(claim)
        await asyncio.sleep(0.02)
        ended = claim.stopped()
        raise Stopped("as you wish")

    async with working(bench.queue, handler):
        [job] = await bench.ask(0)
        await soon(lambda: hands.ids == [job])
        assert not hands.given[0].stopped()
        assert await bench.queue.cancel(job)
        await soon(lambda: ended)
        await soon(lambda: bench.out_of_line(job))


async def test_asked_to_stop_and_to_be_tried_again_it_leaves_the_line(bench: Bench) -> None:
    hands = Hands(busy=True)

    async def handler(claim: Claim) -> None:
        await hands(claim)
        raise TryAgain("no room", after_s=0.01)

    async with working(bench.queue, handler):
        [job] = await bench.ask(0)
        await soon(lambda: hands.ids == [job])
        await bench.queue.cancel(job)
        await soon(lambda: bench.out_of_line(job))
        await asyncio.sleep(0.1)
    assert hands.ids == [job]


async def test_passing_trouble_puts_a_job_back_after_a_pause_while_others_go_on(bench: Bench) -> None:
    troubled, other = await bench.ask(1, 2)
    loop = asyncio.get_running_loop()
    given: list[tuple[int, int, float]] = []

    async def handler(claim: Claim) -> None:
        given.append((claim.job_id, claim.attempt, loop.time()))
        if claim.job_id == troubled and claim.attempt == 1:
            raise TryAgain("the model is loading", after_s=0.2)

    async with working(bench.queue, handler):
        await soon(lambda: len(given) == 3)
        await soon(lambda: bench.out_of_line(troubled))
    assert [(job, attempt) for job, attempt, _ in given] == [(troubled, 1), (other, 1), (troubled, 2)]
    assert given[2][2] - given[0][2] >= 0.19


async def test_attempts_are_bounded_and_the_last_is_told(bench: Bench) -> None:
    [job] = await bench.ask(0)
    last: list[bool] = []

    async def handler(claim: Claim) -> None:
        last.append(claim.last)
        raise TryAgain("out of memory", after_s=0.01)

    async with working(bench.queue, handler):
        await soon(lambda: len(last) == MAX_ATTEMPTS)
        await soon(lambda: bench.out_of_line(job))
        await asyncio.sleep(0.1)
    assert last == [False] * (MAX_ATTEMPTS - 1) + [True]


async def test_a_job_whose_worker_vanished_is_handed_out_again(bench: Bench) -> None:
    hands = Hands()
    [job] = await bench.ask(0)
    await bench.taken_by_one_who_vanishes()
    assert await bench.queue.position(job) is None
    async with working(bench.queue, hands):
        await soon(lambda: bool(hands.given))
        await soon(lambda: bench.out_of_line(job))
    assert [(claim.job_id, claim.attempt) for claim in hands.given] == [(job, 2)]


async def test_a_job_that_costs_every_worker_its_life_is_handed_out_once_more_as_spent(bench: Bench) -> None:
    [job] = await bench.ask(0)
    hands = Hands(busy=True)
    for _ in range(MAX_ATTEMPTS):
        await bench.taken_by_one_who_vanishes()
        # Only waits until it is free again, then lets go of it in good order.
        async with working(bench.queue, hands):
            await soon(lambda: bool(hands.given))
        given = hands.given.pop()
        assert given.job_id == job
    assert given.spent


async def test_two_consumers_never_get_the_same_job(bench: Bench) -> None:
    hands = Hands()
    async with working(bench.queue, hands, 2), working(bench.queue, hands, 2):
        asked = await bench.ask(*range(30))
        await soon(lambda: len(hands.given) >= 30)
        await asyncio.sleep(0.05)
    assert sorted(hands.ids) == asked


async def test_as_many_at_once_as_was_agreed_and_no_more(bench: Bench) -> None:
    hands = Hands(busy=True)
    async with working(bench.queue, hands, 3):
        await bench.ask(*range(8))
        await soon(lambda: hands.at_once == 3)
        await asyncio.sleep(0.1)
        hands.busy = False
        await soon(lambda: len(hands.given) == 8)
    assert hands.most_at_once == 3


async def test_what_is_in_hand_at_the_end_may_be_finished_within_the_grace(bench: Bench) -> None:
    first, second = await bench.ask(1, 2)
    hands = Hands(busy=True)
    async with working(bench.queue, hands) as shift:
        await soon(lambda: bool(hands.given))
        shift.cancel()
        await asyncio.sleep(0.05)
        hands.busy = False
        await asyncio.wait({shift})
    assert hands.ids == [first]
    assert await bench.out_of_line(first)
    assert await bench.queue.position(second) == 0


async def test_what_is_not_finished_at_the_end_is_given_back_and_the_attempt_not_counted(
    bench: Bench,
) -> None:
    [job] = await bench.ask(0)
    hands = Hands(busy=True)
    async with working(bench.queue, hands):
        await soon(lambda: bool(hands.given))
    assert hands.at_once == 0
    assert await bench.queue.position(job) == 0
    async with working(bench.queue, hands):
        await soon(lambda: len(hands.given) == 2)
    assert [claim.attempt for claim in hands.given] == [1, 1]


async def test_a_handler_that_breaks_ends_its_job_and_nothing_else(bench: Bench) -> None:
    broken, cancelled, fine = await bench.ask(1, 2, 3)
    hands = Hands()

    async def handler(claim: Claim) -> None:
        await hands(claim)
        if claim.job_id == broken:
            raise ZeroDivisionError
        if claim.job_id == cancelled:
            raise asyncio.CancelledError

    with capture_logs() as logs:
        async with working(bench.queue, handler) as shift:
            await soon(lambda: len(hands.given) == 3)
            await soon(lambda: bench.out_of_line(broken))
            await soon(lambda: bench.out_of_line(cancelled))
            assert not shift.done()
    assert hands.ids == [broken, cancelled, fine]
    failed = [log["job"] for log in logs if log["event"] == "queue.handler_failed"]
    assert failed == [broken, cancelled]


# The embedded queue alone.


async def test_what_an_older_process_held_is_handed_out_at_once(embedded: Bench) -> None:
    [job] = await embedded.ask(0)
    await embedded.taken_by_one_who_vanishes()
    patient = EmbeddedQueue(embedded.database, SystemClock(), pace=Pace(poll=0.02, grace=0.1))
    hands = Hands()
    async with working(patient, hands):
        await soon(lambda: hands.ids == [job])


async def test_one_who_vanishes_later_is_noticed_by_a_heart_that_stands_still(embedded: Bench) -> None:
    hands = Hands(busy=True)
    async with working(embedded.queue, hands) as _:
        await embedded.ask(0)
        await soon(lambda: len(hands.given) == 1)
        [second] = await embedded.ask(-1)
        await embedded.taken_by_one_who_vanishes()
        hands.busy = False
        await asyncio.sleep(0.1)
        assert len(hands.given) == 1
        await soon(lambda: len(hands.given) == 2)
    assert (hands.given[1].job_id, hands.given[1].attempt) == (second, 2)


class JumpyClock(SystemClock):
    """Its wall clock can be set, as an operator or a time server does; its pauses are real."""

    offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)])
async def test_a_clock_that_jumps_steals_no_job_and_blocks_none(embedded: Bench, jump: timedelta) -> None:
    clock = JumpyClock()
    queue = EmbeddedQueue(embedded.database, clock, pace=QUICK)
    given: list[tuple[int, int]] = []
    release = asyncio.Event()

    async def handler(claim: Claim) -> None:
        given.append((claim.job_id, claim.attempt))
        if claim.attempt == 1 and claim.job_id == troubled:
            raise TryAgain("soon", after_s=0.1)
        if claim.job_id == running:
            await release.wait()

    running, troubled = await embedded.ask(1, 2)
    async with working(queue, handler, 2):
        await soon(lambda: len(given) == 2)
        clock.offset = jump
        [new] = await embedded.ask(3)
        await soon(lambda: len(given) == 4)
        await asyncio.sleep(0.4)
        release.set()
    assert sorted(given) == [(running, 1), (troubled, 1), (troubled, 2), (new, 1)]


async def test_a_wish_to_stop_from_another_process_is_heard(embedded: Bench) -> None:
    hands = Hands(busy=True)
    async with working(embedded.queue, hands):
        [job] = await embedded.ask(0)
        await soon(lambda: bool(hands.given))
        beside = EmbeddedQueue(embedded.database, SystemClock())
        assert await beside.cancel(job)
        await soon(lambda: hands.at_once == 0)
        await soon(lambda: embedded.out_of_line(job))


async def test_a_wish_to_stop_outlives_the_worker_that_did_not_hear_it(embedded: Bench) -> None:
    [job] = await embedded.ask(0)
    await embedded.taken_by_one_who_vanishes()
    assert await embedded.queue.cancel(job)
    hands = Hands(busy=True)
    async with working(embedded.queue, hands):
        await soon(lambda: embedded.out_of_line(job))
    assert hands.given[0].stopped()


async def test_asked_for_anew_while_its_old_attempt_still_ends_it_is_handed_out_after_that(
    embedded: Bench,
) -> None:
    hands = Hands(busy=True)
    async with working(embedded.queue, hands, 2):
        [job] = await embedded.ask(0)
        await soon(lambda: bool(hands.given))
        async with embedded.database.write() as tx:
            await embedded.queue.submit(tx, job, 7)
        await asyncio.sleep(0.03)
        assert hands.most_at_once == 1
        await soon(lambda: len(hands.given) == 2)
        hands.busy = False
        await soon(lambda: embedded.out_of_line(job))
    assert hands.given[0].stopped()
    assert hands.most_at_once == 1


async def test_trouble_with_the_database_is_logged_and_waited_out(
    embedded: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands()
    full = 0
    write, read = embedded.database.write, embedded.database.read

    def failing(real: Callable[[], Any]) -> Callable[[], Any]:
        @asynccontextmanager
        async def door() -> AsyncIterator[AsyncConnection]:
            nonlocal full
            if full:
                full -= 1
                raise StoreError("the disk is full")
            async with real() as tx:
                yield tx

        return door

    with capture_logs() as logs:
        async with working(embedded.queue, hands) as shift:
            [first] = await embedded.ask(0)
            await soon(lambda: hands.ids == [first])
            monkeypatch.setattr(embedded.database, "write", failing(write))
            monkeypatch.setattr(embedded.database, "read", failing(read))
            full = 6
            await soon(lambda: full == 0)
            assert not shift.done()
            [second] = await embedded.ask(0)
            await soon(lambda: hands.ids == [first, second])
            await soon(lambda: embedded.out_of_line(second))
    assert any(log["event"] == "queue.database_trouble" for log in logs)


async def test_cancelled_twice_it_hurries_and_still_gives_back(embedded: Bench) -> None:
    slow = EmbeddedQueue(embedded.database, SystemClock(), pace=Pace(poll=0.02, grace=60))
    hands = Hands(busy=True)
    [job] = await embedded.ask(0)
    async with asyncio.timeout(3):
        async with working(slow, hands) as shift:
            await soon(lambda: bool(hands.given))
            shift.cancel()
            await asyncio.sleep(0.05)
            assert hands.at_once == 1
    assert hands.at_once == 0
    assert await slow.position(job) == 0


# The queue for many machines alone.


async def test_two_machines_that_start_at_once_make_one_schema(postgres_url: str) -> None:
    database = await Database.open(postgres_url)
    queues = await asyncio.gather(
        *(ClusterQueue.open(database, postgres_url, SystemClock(), pace=QUICK) for _ in range(2))
    )
    for queue in queues:
        await queue.close()
    await database.close()


async def test_lost_connections_are_made_again(cluster: Bench) -> None:
    hands = Hands()
    async with working(cluster.queue, hands) as shift:
        [first] = await cluster.ask(0)
        await soon(lambda: hands.ids == [first])
        async with cluster.database.write() as tx:
            await tx.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid()"
                )
            )
        [second] = await cluster.ask(0)
        await soon(lambda: hands.ids == [first, second])
        assert not shift.done()
