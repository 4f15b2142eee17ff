"""The very first orders of a new key, several at the same moment: all of them are one person's, and none is lost."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from engine.engine import Engine
from engine.settings import Settings
from engine.store.records import Scope
from engine.store.tables import accounts, people
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.bot.web.orders import WHO, ordered
from tests.bot.web.visitors import a_key, app_of, with_key
from tests.engine.posts_stage import stored_in
from tests.working import working

AT_ONCE, TIMES = 6, 5
ORDER = {"persona": WHO, "scene": "at the harbour", "key": "the same"}


@pytest.fixture
def stored(settings: Settings, database_url: str) -> Settings:
    return stored_in(settings, database_url)


async def test_the_first_orders_of_a_key_at_once_are_one_person_s(stored: Settings) -> None:
    opened = Engine.open(stored, models=[FakeLanguage()], renderer=FakeRenderer(), clock=ManualClock())
    async with opened as engine:
        app = app_of(engine)
        for _ in range(TIMES):
            word, key = await a_key(engine, Scope.MAKE)
            async with with_key(app, word) as program:
                taken = await asyncio.gather(*(ordered(program) for _ in range(AT_ONCE)))
                own = (await program.get("/api/v1/jobs", params={"limit": 100})).json()["items"]
            assert {one["id"] for one in own} == {one["id"] for one in taken}
            assert len(own) == AT_ONCE
            known = select(accounts.c.person_id).where(accounts.c.platform_id == f"key:{key.id}")
            async with engine.database.read() as tx:
                [person_id] = (await tx.execute(known)).scalars()
                nobody = select(func.count()).where(people.c.id.not_in(select(accounts.c.person_id)))
                assert (await tx.execute(nobody)).scalar_one() == 0, (
                    "whoever was made for nothing is gone again"
                )
            assert person_id


async def test_a_picture_by_openai_s_address_and_an_order_at_once_are_one_person_s(stored: Settings) -> None:
    opened = Engine.open(stored, models=[FakeLanguage()], renderer=FakeRenderer(), clock=ManualClock())
    async with opened as engine, working(engine):
        word, _ = await a_key(engine, Scope.MAKE)
        async with with_key(app_of(engine), word) as program:
            asked = {"prompt": "a pier", "response_format": "b64_json"}
            pictures = (program.post("/v1/images/generations", json=asked) for _ in range(2))
            told = await asyncio.gather(
                *pictures, *(program.post("/api/v1/jobs", json=ORDER) for _ in range(2))
            )
            assert [one.status_code for one in told] == [200, 200, 202, 202], [one.text[:300] for one in told]
            own = (await program.get("/api/v1/jobs")).json()["items"]
    assert len(own) == 3, "one order was given twice under its key"
