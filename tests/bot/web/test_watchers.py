"""What waits for a watcher: bounded, the passing first to go, and nobody misses something without being told."""

from __future__ import annotations

import asyncio
import json

import pytest

from bot.web import watchers as module
from bot.web.watchers import BEAT, CLOSING, LETTERS, MISSED, ROOM, Watcher, Watchers


async def read(watcher: Watcher) -> list[str]:
    """All that waits."""
    found: list[str] = []
    while True:
        try:
            async with asyncio.timeout(0.05):
                text = await watcher.next()
        except TimeoutError:
            return found
        if text is None:
            return found
        found.append(text)


async def test_what_is_told_is_read_in_order() -> None:
    watcher = Watcher()
    for number in range(5):
        watcher.put(str(number))
    assert await read(watcher) == ["0", "1", "2", "3", "4"]
    watcher.put("5")
    assert await read(watcher) == ["5"]


async def test_of_drafts_only_the_latest_waits() -> None:
    watcher = Watcher()
    for number in range(1_000):
        watcher.put(f"draft {number}", "draft home 1")
    watcher.put("the reply")
    watcher.put("step", "step 7")
    assert await read(watcher) == ["draft 999", "the reply", "step"]


async def test_a_slow_watcher_loses_the_passing_first_and_nothing_else_by_that() -> None:
    watcher = Watcher()
    for number in range(ROOM // 2):
        watcher.put(f"step {number}", f"step {number}")
        watcher.put(f"message {number}")
    watcher.put("one more")
    assert await read(watcher) == [*(f"message {number}" for number in range(ROOM // 2)), "one more"]


async def test_who_loses_messages_is_told_so_once_and_hears_what_comes_then() -> None:
    watcher = Watcher()
    for number in range(ROOM + 3):
        watcher.put(str(number))
    assert await read(watcher) == [MISSED, str(ROOM), str(ROOM + 1), str(ROOM + 2)]


async def test_long_texts_fill_it_too_and_one_always_fits() -> None:
    watcher = Watcher()
    watcher.put("x" * (LETTERS * 2))
    assert [len(text) for text in await read(watcher)] == [LETTERS * 2]
    watcher.put("y" * (LETTERS - 1))
    watcher.put("zz")
    assert await read(watcher) == [MISSED, "zz"]


async def test_what_waits_is_counted_right_whatever_came_and_went() -> None:
    watcher = Watcher()
    for round_ in range(20):
        for number in range(ROOM * 2):
            watcher.put("x" * (number % 7), f"p{number}" if number % 3 else "")
        await read(watcher)
        assert (watcher._letters, watcher._passing, len(watcher._waiting)) == (0, 0, 0), round_


async def test_closing_is_the_last_thing_and_comes_before_all_that_waits() -> None:
    watchers = Watchers()
    with watchers.joined() as watcher:
        watchers.watch(watcher, ("jobs",))
        watchers.publish([("jobs",)], {"is": "job"})
        watchers.close()
        watchers.publish([("jobs",)], {"is": "job"})
        assert await watcher.next() == CLOSING
        assert await watcher.next() is None
    with watchers.joined() as late:
        assert await late.next() == CLOSING


async def test_each_is_told_once_however_many_of_the_topics_they_watch_and_it_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []

    def counted(happening: dict[str, object]) -> str:
        made.append(happening)
        return json.dumps(happening)

    monkeypatch.setattr(module, "told", counted)
    watchers = Watchers()
    with watchers.joined() as one, watchers.joined() as other, watchers.joined() as nobody:
        watchers.watch(one, ("jobs",))
        watchers.watch(one, ("chat", "home", "home"))
        watchers.watch(other, ("jobs",))
        watchers.publish([("jobs",), ("chat", "home", "home")], {"is": "job"})
        for watcher in (one, other):
            assert await read(watcher) == ['{"is": "job"}']
        assert await read(nobody) == []
        assert len(made) == 1
        watchers.beat()
        assert await read(nobody) == [BEAT]
    watchers.publish([("jobs",)], {"is": "job"})
    assert len(made) == 1, "for nobody nothing is made"
    assert not watchers.are_there()


async def test_whoever_asks_for_more_waits_until_they_have_read() -> None:
    watcher = Watcher()
    watcher.fill(str(number) for number in range(ROOM * 2))
    waiting = asyncio.create_task(watcher.not_behind())
    await asyncio.sleep(0)
    assert not waiting.done()
    for _ in range(ROOM + 1):
        await watcher.next()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert waiting.done()
