"""An order for posts is carried out once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from bot.commands.calling import Answer, Call
from engine.engine import Engine
from engine.errors import GreenroomError
from engine.store import tables
from engine.store.records import PostState
from engine.testing import ManualClock
from tests.bot.commands.guest import Guest, orders_in
from tests.bot.commands.posts.planned import NINE, made, post_of, schedules


class HouseDiedError(Exception):
    """Where a house is killed, nothing of this is ever caught."""


class TestAnOrder:
    """What it changes and what is told of it are one transaction: after a crash it happened once, or not at all."""

    @pytest.mark.parametrize(
        "order",
        [
            '/schedule daily 10:00 "tea" --yes',
            "/schedule run 1",
            "/schedule skip 1",
            "/schedule pause 1",
            "/schedule resume 2",
            "/schedule remove 1",
            '/schedule edit 1 "tea"',
            "/posts approve 1",
            "/posts skip 1",
            "/posts picture 1",
            "/posts edit 1 Good evening.",
            "/recall 2",
            "/pause",
            "/pause babajide-ogunleye",
        ],
    )
    async def test_that_a_crash_interrupts_is_carried_out_once(
        self, engine: Engine, clock: ManualClock, ben: Guest, monkeypatch: pytest.MonkeyPatch, order: str
    ) -> None:
        for _ in range(2):
            await ben.gets(f"{NINE} --yes")
        await ben.gets("/schedule pause 2")
        await made(ben, PostState.WAITING, key="a")
        await made(ben, PostState.PUBLISHED, key="b")
        before = await self.rows(engine)
        said = await ben.orders(order)
        await ben.owed()

        async def dies(_call: Call, _answer: Answer) -> None:
            raise HouseDiedError

        with monkeypatch.context() as killed:
            killed.setattr(Call, "_owe", dies)
            with pytest.raises(HouseDiedError):
                await ben.run(said)
        assert await self.rows(engine) == before
        assert await ben.owed() == []
        clock.jump(timedelta(seconds=3))
        await ben.run(said)
        once = await self.rows(engine)
        assert once != before
        assert await ben.owed()
        with suppress(GreenroomError):  # what it names may be gone by now
            await ben.run(said)
        assert await self.rows(engine) == once
        assert await ben.owed() == []

    async def rows(self, engine: Engine) -> list[Any]:
        async with engine.database.read() as tx:
            settings = [row.settings for row in await tx.execute(tables.chats.select())]
        return [await schedules(engine), await engine.posting.posts(), settings]

    async def test_to_save_that_is_given_twice_at_once_saves_once(self, engine: Engine, ben: Guest) -> None:
        [asks] = await ben.gets(NINE)
        pressed = [await ben.orders(f"/{orders_in(asks)[0]}") for _ in range(2)]
        await asyncio.gather(*map(ben.run, pressed))
        assert len(await schedules(engine)) == 1

    async def test_to_post_now_counts_once_whenever_it_is_carried_out(
        self, engine: Engine, ben: Guest
    ) -> None:
        await ben.gets(f"{NINE} --yes")
        said = await ben.orders("/schedule run 1")
        await ben.run(said)
        assert (await post_of(engine, 1)).occurrence_key == f"schedule:1:now:turn:{said.turn.id}"
