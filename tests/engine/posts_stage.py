"""What tests of posts stand on: a morning, words that are others each time, and all that happens until then."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from engine.engine import Engine
from engine.language import CaptionWanted, Wanted
from engine.settings import Settings, StoreSettings
from engine.store import chats, jobs, outbox, personas
from engine.store.records import (
    ChatRef,
    PersonaRecord,
    Place,
    Post,
    Schedule,
)
from engine.store.tables import deliveries
from engine.testing import FakeLanguage, ManualClock
from engine.timewords import read
from tests.working import working

NINE = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HALF_PAST_EIGHT = NINE - timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
STAGE = [("stage", "one")]


class Diarist(FakeLanguage):
    """Writes something else under every post."""

    def _text(self, wanted: Wanted) -> str:
        if isinstance(wanted, CaptionWanted):
            number = len([one for one in self.asked if isinstance(one, CaptionWanted)])
            return f"Entry{number} about subject{number}, mood{number} and weather{number}."
        return super()._text(wanted)


def stored_in(settings: Settings, url: str) -> Settings:
    """A house whose rows are in this database."""
    return settings.model_copy(update={"store": StoreSettings(database=SecretStr(url))})


async def place_of(engine: Engine, name: str = "room", **more: Any) -> Place:
    async with engine.database.write() as tx:
        return await chats.add_place(
            tx, ChatRef("stage", "one", name), persona_id=None, now=engine.clock.now(), **more
        )


async def glenys(engine: Engine) -> PersonaRecord:
    async with engine.database.read() as tx:
        return await personas.find(tx, "glenys")


async def scheduled(
    engine: Engine,
    words: str = "daily 09:00",
    *,
    place: Place | None = None,
    zone: str = "UTC",
    theme: str = "morning coffee",
    **options: Any,
) -> Schedule:
    timing, _ = read(words)
    return await engine.posting.add(
        place=place or await place_of(engine),
        persona=await glenys(engine),
        person=None,
        timing=timing,
        zone=zone,
        theme=theme,
        options={"picture": False, **options},
    )


def at(engine: Engine, moment: datetime) -> None:
    assert isinstance(engine.clock, ManualClock)
    engine.clock.jump(moment - engine.clock.now())


async def until(engine: Engine, moment: datetime) -> None:
    """Let the loop do all that it has to do up to a moment."""
    loop = engine.posting.publishing
    while True:
        next_at = await loop.round()
        await loop.make()
        await loop.lend()
        next_at = await loop.round()
        if next_at is None or next_at > moment:
            at(engine, moment)
            await loop.round()
            return
        at(engine, max(next_at, engine.clock.now()))


async def paint(engine: Engine) -> None:
    """Let the worker make all that is in line."""
    async with working(engine), asyncio.timeout(20):
        while await engine.database.look(jobs.unfinished):  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.01)


async def owed(engine: Engine) -> list[Any]:
    async with engine.database.read() as tx:
        return list(await tx.execute(select(deliveries).order_by(deliveries.c.id)))


async def taken(engine: Engine) -> list[int | None]:
    """The posts that a front is given to show now."""
    rows = await engine.database.change(partial(outbox.take, fronts=STAGE, now=engine.clock.now()))
    return [row.post_id for row in rows]


async def only_post(engine: Engine) -> Post:
    (post,) = await engine.posting.posts()
    return post
