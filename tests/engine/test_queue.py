"""What a queue promises, held against every queue there is."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from engine.errors import Stopped, TryAgain
from engine.pictures import MAX_ATTEMPTS, Claim
from tests.engine.queue_bench import (  # noqa: F401 - fixtures
    Bench,
    Hands,
    a_bench,
    a_cluster_queue,
    an_embedded_queue,
    soon,
    working,
)


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
