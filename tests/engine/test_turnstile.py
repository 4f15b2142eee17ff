"""Who writes next: in order, those in a hurry first, nobody never, and nobody's turn is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from engine.store.turnstile import IN_A_ROW, Turnstile


async def through(who: list[tuple[str, bool]], *, gone: Collection[str] = ()) -> list[str]:
    """In which order people go through who all come while somebody is inside; `gone` give up waiting."""
    turnstile, passed = Turnstile(), []

    async def go(name: str, hurried: bool) -> None:
        async with turnstile.turn(hurried=hurried):
            passed.append(name)
            await asyncio.sleep(0)

    async with turnstile.turn():
        waiting = {name: asyncio.create_task(go(name, hurried)) for name, hurried in who}
        await asyncio.sleep(0)
        for name in gone:
            waiting[name].cancel()
    for name, task in waiting.items():
        with suppress(asyncio.CancelledError):
            await task
        assert name in gone or name in passed
    async with asyncio.timeout(30), turnstile.turn():
        pass  # nobody left it locked
    return passed


async def test_one_after_the_other_and_those_in_a_hurry_before() -> None:
    assert await through([("a", False), ("b", False)]) == ["a", "b"]
    assert await through([("a", False), ("b", True), ("c", True), ("d", False)]) == ["b", "c", "a", "d"]


async def test_whoever_has_time_is_not_passed_for_ever() -> None:
    crowd = [("patient", False), *((f"hurried {n}", True) for n in range(3 * IN_A_ROW))]
    assert (await through(crowd)).index("patient") == IN_A_ROW


async def test_a_turn_that_nobody_wants_any_more_goes_to_the_next() -> None:
    turnstile = Turnstile()
    inside, done = asyncio.Event(), []

    async def go(name: str) -> None:
        async with turnstile.turn():
            inside.set()
            done.append(name)

    async with turnstile.turn():
        first, second = asyncio.create_task(go("first")), asyncio.create_task(go("second"))
        await asyncio.sleep(0)
    first.cancel()  # it has just been called, and has not heard it yet
    with suppress(asyncio.CancelledError):
        await first
    async with asyncio.timeout(30):
        await second
    assert done[-1] == "second"


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_everybody_who_waits_goes_through_once(crowd: list[tuple[bool, bool]]) -> None:
    who = [(f"{number}", hurried) for number, (hurried, _gone) in enumerate(crowd)]
    gone = {f"{number}" for number, (_hurried, leaves) in enumerate(crowd) if leaves}
    passed = asyncio.run(through(who, gone=gone))
    assert sorted(passed) == sorted(name for name, _ in who if name not in gone)
    for kind in (True, False):
        ours = [name for name, hurried in who if hurried is kind and name not in gone]
        assert [name for name in passed if name in ours] == ours
