"""The pace: never faster than the rates; what must be said waits its turn, what may be dropped does not wait."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from bot.telegram.pacing import EVERYWHERE, Bucket, Pace, Rate, Rates


@given(
    st.integers(1, 5),
    st.floats(0.05, 5),
    st.lists(st.floats(0, 3, allow_subnormal=False), min_size=1, max_size=60),
)
def test_a_bucket_never_lets_more_through_than_its_rate(burst: int, every: float, gaps: list[float]) -> None:
    bucket, now, taken = Bucket(Rate(burst, every)), 100.0, []
    for gap in gaps:
        now += gap
        if bucket.missing(now) <= 0:
            bucket.take()
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - start) / every + 1e-6


@given(st.integers(1, 5), st.floats(0.05, 5), st.integers(1, 40))
def test_whoever_waits_as_long_as_told_is_let_through(burst: int, every: float, many: int) -> None:
    bucket, now = Bucket(Rate(burst, every)), 0.0
    for _ in range(many):
        now += max(0.0, bucket.missing(now))
        assert bucket.missing(now) <= 1e-6
        bucket.take()
    assert now >= (many - burst) * every - 1e-6


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


async def room(pace: Pace, chat: str, *, draft: bool = False) -> bool:
    async with pace.room(chat, draft=draft) as there_is:
        return there_is


async def test_what_may_be_dropped_leaves_room_for_what_must_be_said() -> None:
    watch = Watch()
    pace = Pace(watch, rates=Rates(chat=Rate(3, 1.0)))
    assert [await room(pace, "7") for _ in range(4)] == [True, True, False, False]
    async with asyncio.timeout(30), pace.turn("7"):
        pass  # at once, though the clock stands still
    assert await room(pace, "8"), "another chat has its own"
    watch.at += 2.0
    assert await room(pace, "7")


async def test_a_group_is_slower() -> None:
    watch = Watch()
    pace = Pace(watch, rates=Rates(chat=Rate(3, 1.0), group=Rate(3, 30.0)))
    assert [await room(pace, "-7") for _ in range(3)] == [True, True, False]
    watch.at += 20.0
    assert not await room(pace, "-7")


async def test_drafts_have_their_own_pace() -> None:
    pace = Pace(Watch(), rates=Rates(draft=Rate(2, 1.0)))
    assert [await room(pace, "7", draft=True) for _ in range(3)] == [True, True, False]
    assert await room(pace, "7")


async def test_whoever_was_asked_to_wait_is_silent_and_others_are_not() -> None:
    watch = Watch()
    pace = Pace(watch)
    pace.flooded("7", 5)
    assert not await room(pace, "7")
    assert await room(pace, "8")
    watch.at += 5.1
    assert await room(pace, "7")


async def test_where_everybody_is_asked_to_wait_nobody_speaks() -> None:
    pace = Pace(Watch())
    for number in range(1, EVERYWHERE):
        pace.flooded(str(number), 5)
    assert await room(pace, "quiet")
    pace.flooded("one more", 5)
    assert not await room(pace, "quiet")


async def test_hurry_shortens_every_wait() -> None:
    watch = Watch()
    pace = Pace(watch, hurry=0.01)
    pace.flooded("7", 5)
    watch.at += 0.051
    assert await room(pace, "7")
    assert pace.real(300) == 3.0


async def test_what_must_be_said_waits_in_the_order_in_which_it_came() -> None:
    pace = Pace(asyncio.get_running_loop().time, hurry=0.01)
    said: list[int] = []

    async def say(number: int) -> None:
        async with pace.turn("7"):
            said.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(say(number))
    assert said == list(range(8))


async def test_a_long_wait_is_not_idle() -> None:
    pace = Pace(asyncio.get_running_loop().time, hurry=0.001)
    looked: list[float] = []

    async def look() -> None:
        looked.append(pace.now())

    async with pace.turn("7", look):
        assert looked == []
    pace.flooded("7", 30)
    async with pace.turn("7", look):
        assert looked


async def test_while_something_must_be_said_nothing_is_said_in_passing() -> None:
    pace = Pace(asyncio.get_running_loop().time, hurry=0.01)
    async with pace.turn("7"):
        assert not await room(pace, "7")
    assert await room(pace, "7")
