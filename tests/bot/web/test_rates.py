"""How often somebody may knock, by a clock that is wound by hand."""

from __future__ import annotations

import pytest

from bot.web.rates import (
    FORGOTTEN,
    FREE,
    FREE_FOR_ALL,
    LONGEST,
    LONGEST_FOR_ALL,
    MOST_ADDRESSES,
    Attempts,
    Rates,
)
from engine.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_after_a_quiet_minute_all_of_it_may_come_at_once_and_then_evenly(clock: ManualClock) -> None:
    rates = Rates(clock)
    assert [rates.wait(1, 60) for _ in range(60)] == [0.0] * 60
    assert rates.wait(1, 60) == pytest.approx(1.0)
    await clock.advance(1)
    assert rates.wait(1, 60) == 0.0
    assert rates.wait(1, 60) > 0
    await clock.advance(600)
    assert [rates.wait(1, 60) for _ in range(61)].count(0.0) == 60


def test_a_key_without_a_limit_never_waits(clock: ManualClock) -> None:
    rates = Rates(clock)
    assert {rates.wait(1, 0) for _ in range(10_000)} == {0.0}


def test_whoever_is_refused_does_not_wait_longer_for_having_asked(clock: ManualClock) -> None:
    rates = Rates(clock)
    rates.wait(1, 1)
    assert {rates.wait(1, 1) for _ in range(100)} == {60.0}


async def test_the_pauses_grow_to_a_longest_and_are_forgotten(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    pauses: list[float] = []
    for _ in range(20):
        attempts.begin("10.0.0.1")
        pauses.append(attempts.begin("10.0.0.1") if len(pauses) >= FREE else 0.0)
        await clock.advance(pauses[-1])
    assert pauses[FREE : FREE + 4] == [2.0, 4.0, 8.0, 16.0]
    assert max(pauses) == LONGEST
    await clock.advance(FORGOTTEN + 1)
    assert [attempts.begin("10.0.0.1") for _ in range(FREE + 1)] == [0.0] * (FREE + 1)


def test_many_addresses_together_wait_too_and_not_for_long(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    waits = [attempts.begin(f"10.0.{n}.1") for n in range(FREE_FOR_ALL + 2)]
    assert waits[: FREE_FOR_ALL + 1] == [0.0] * (FREE_FOR_ALL + 1)
    assert 0 < waits[-1] <= LONGEST_FOR_ALL


async def test_pauses_of_all_stay_short(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    longest = 0.0
    for n in range(200):
        wait = attempts.begin(f"10.1.{n}.1")
        longest = max(longest, wait)
        await clock.advance(wait)
    assert longest == LONGEST_FOR_ALL


def test_a_neighbourhood_of_ipv6_is_one(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    waits = [attempts.begin(f"2001:db8::{n:x}") for n in range(FREE + 2)]
    assert waits[-1] > 0
    assert attempts.begin("2001:db8:0:1::1") == 0.0
    for _ in range(FREE + 1):
        attempts.begin("::ffff:10.0.0.9")
    assert attempts.begin("10.0.0.9") > 0


def test_it_remembers_no_more_addresses_than_it_should(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    for n in range(2 * MOST_ADDRESSES):
        attempts.begin(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(attempts._by) == MOST_ADDRESSES
