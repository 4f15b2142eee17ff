"""/schedule where two transactions run at the same time: what is ordered twice in one instant is there once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.engine import Engine
from engine.settings import Settings
from engine.store import schedules
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.bot.commands.guest import BEN, Guest, orders_in
from tests.engine.posts_stage import stored_in
from tests.holding import Hold


@pytest.fixture
async def engine(
    settings: Settings, language: FakeLanguage, postgres_url_with_tables: str
) -> AsyncIterator[Engine]:
    told = stored_in(settings, postgres_url_with_tables)
    async with Engine.open(told, models=[language], renderer=FakeRenderer(), clock=ManualClock()) as opened:
        yield opened


async def test_a_schedule_is_kept_once_when_its_button_is_pressed_twice_in_the_same_instant(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben = Guest(engine, BEN)
    [asks] = await ben.gets('/schedule daily 09:00 "morning coffee"')
    [button] = orders_in(asks)
    first, second = await ben.orders(f"/{button}"), await ben.orders(f"/{button}")
    hold = Hold(schedules.add)
    monkeypatch.setattr(schedules, "add", hold)
    outcomes = await hold.meanwhile(ben.run(first), lambda: ben.run(second))
    assert outcomes == [None, None]
    [schedule] = await engine.posting.listing()
    told = [row.text for row in await ben.owed()]
    assert len(told) == 2, "both presses are answered"
    assert all(f"#{schedule.id}" in text for text in told)
