from __future__ import annotations

import asyncio

from engine.events import ROOM, Events


async def test_a_watcher_hears_what_it_wants_in_order() -> None:
    events = Events()
    with events.watch(lambda event: event.name == "step") as watch:
        events.publish("step", number=1)
        events.publish("other")
        events.publish("step", number=2)
        heard = []
        async for event in watch:
            heard.append(event.about["number"])
            if len(heard) == 2:
                break
    assert heard == [1, 2]


async def test_a_watcher_that_looks_away_loses_its_oldest_and_holds_nobody_up() -> None:
    events = Events()
    with events.watch() as slow, events.watch() as quick:
        for number in range(ROOM + 10):
            events.publish("step", number=number)
            if number < 5:
                assert (await anext(aiter(quick))).about["number"] == number
        assert slow.missed == 10
        assert (await anext(aiter(slow))).about["number"] == 10


async def test_a_watcher_waits_without_being_asked_and_goes_without_a_trace() -> None:
    events = Events()
    with events.watch() as watch:
        waiting = asyncio.ensure_future(anext(aiter(watch)))
        await asyncio.sleep(0)
        events.publish("news")
        assert (await waiting).name == "news"
    events.publish("unheard")
    assert watch.missed == 0
