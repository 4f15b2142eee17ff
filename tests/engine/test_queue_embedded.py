"""What only the embedded queue can be asked: clocks that jump, processes that vanish, a database in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from engine.clock import SystemClock
from engine.errors import StoreError, TryAgain
from engine.pictures import Claim
from engine.pictures.queue import EmbeddedQueue, Pace
from tests.engine.queue_bench import (  # noqa: F401 - fixtures
    QUICK,
    Bench,
    Hands,
    an_embedded_queue,
    soon,
    working,
)


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
    async with asyncio.timeout(30):
        async with working(slow, hands) as shift:
            await soon(lambda: bool(hands.given))
            shift.cancel()
            await asyncio.sleep(0.05)
            assert hands.at_once == 1
    assert hands.at_once == 0
    assert await slow.position(job) == 0
