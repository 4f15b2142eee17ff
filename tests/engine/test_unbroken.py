"""Work that nobody leaves half done behind their back, and tasks that have ended when somebody leaves."""

from __future__ import annotations

import asyncio

import pytest

from engine.unbroken import ended, unbroken


async def test_work_is_done_to_its_end_though_whoever_waits_is_cancelled() -> None:
    began, goes_on, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        began.set()
        await goes_on.wait()
        done.append("all of it")

    waiting = asyncio.create_task(unbroken(work()))
    await began.wait()
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done(), "it is heard when the work has ended"
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == ["all of it"]


async def test_who_is_left_a_while_may_finish_and_all_others_are_cancelled() -> None:
    tidied = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.append("it was waited for")

    quick, late = asyncio.create_task(asyncio.sleep(0, "done")), asyncio.create_task(endless())
    await ended([quick, late], within=0.1)
    assert quick.result() == "done"
    assert late.cancelled()
    assert tidied == ["it was waited for"]
    await ended([quick, late], within=600)  # nothing is waited for where nothing goes on


async def test_without_a_while_they_are_cancelled_at_once() -> None:
    tasks = [asyncio.create_task(asyncio.sleep(600)) for _ in range(3)]
    await ended(tasks)
    assert all(task.cancelled() for task in tasks)
    await ended([])
