"""Clocks: the hour in UTC, seconds that only go forward, and sleeps in their order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import Clock, SystemClock
from engine.testing import DAWN, ManualClock


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


async def wind(clock: Clock, seconds: float) -> None:
    """Let time pass, on whichever side it passes."""
    if isinstance(clock, ManualClock):
        await asyncio.sleep(0)
        await clock.advance(seconds)
    else:
        await asyncio.sleep(seconds + 0.02)


async def test_the_hour_is_in_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


async def test_both_sides_go_forward_together(clock: Clock) -> None:
    hour, seconds = clock.now(), clock.monotonic()
    await wind(clock, 0.05)
    assert clock.monotonic() - seconds >= 0.05
    assert (clock.now() - hour).total_seconds() == pytest.approx(clock.monotonic() - seconds, abs=0.05)


async def test_sleepers_wake_in_the_order_of_their_hours(clock: Clock) -> None:
    woke: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append(name)

    sleeping = [
        asyncio.create_task(sleeper(*one))
        for one in [("last", 0.06), ("first", 0.01), ("second", 0.03), ("at once", 0), ("late", -1)]
    ]
    await wind(clock, 0.1)
    await asyncio.gather(*sleeping)
    assert set(woke[:2]) == {"at once", "late"}
    assert woke[2:] == ["first", "second", "last"]


async def test_nobody_wakes_early(clock: Clock) -> None:
    began = clock.monotonic()
    sleeping = asyncio.create_task(clock.sleep(0.05))
    await wind(clock, 0.02)
    assert not sleeping.done() or clock.monotonic() - began >= 0.05
    await wind(clock, 0.05)
    await sleeping
    assert clock.monotonic() - began >= 0.05


async def test_a_sleeper_can_be_cancelled(clock: Clock) -> None:
    sleeping = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    sleeping.cancel()
    await wind(clock, 0.01)
    with pytest.raises(asyncio.CancelledError):
        await sleeping


async def test_a_manual_clock_jumps_on_one_side_alone() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    clock.jump(timedelta(days=-400))
    await clock.advance(59)
    assert not sleeping.done()
    await clock.advance(1)
    await sleeping
    assert clock.now() == DAWN + timedelta(days=-400, seconds=60)
    assert clock.monotonic() == 60


async def test_a_cancelled_sleeper_does_not_stop_a_manual_clock() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    first, second = asyncio.create_task(clock.sleep(1)), asyncio.create_task(clock.sleep(2))
    await asyncio.sleep(0)
    first.cancel()
    await clock.advance(3)
    await second
    assert first.cancelled()
