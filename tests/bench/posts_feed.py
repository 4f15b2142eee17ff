"""How long it takes from when something happens elsewhere until the post about it stands in line.

A whole house on the real clock. An event is told to a hook over HTTP; an item appears in a feed whose time to be
looked at comes. Either has arrived when its first byte is on its way to the house, and is queued when the row of its
post is there.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.house import House, open_house
from bot.logs import keep_quiet
from engine.engine import Engine
from engine.news import BEGIN, NOTHING
from engine.settings import FeedSettings, LanguageSettings, PictureSettings, Settings, WebSettings
from engine.store import chats, feeds, personas
from engine.store.records import ChatRef, Feed, PersonaRecord, Place
from engine.store.tables import posts
from engine.testing import FakeLanguage, FakeRenderer
from tests.bench.harness import Figure, median
from tests.servers.feeds import Entry, Paper, newspaper

#: What has not come after so many seconds does not come.
PATIENCE = 30.0
#: The hook hears no more in a minute than this.
MOST_EVENTS = 25


def take_feed(folder: Path, *, items: int) -> tuple[list[Figure], str]:
    keep_quiet()
    items = min(items, MOST_EVENTS)
    settings = Settings(
        home=folder / "home",
        language=LanguageSettings(models="off"),
        pictures=PictureSettings(models="off", width=64, height=64, steps=3),
        feeds=FeedSettings(private=True, per_hour=60),
        web=WebSettings(port=0),
    )
    looked, told = asyncio.run(_taken(settings, items))
    figures = [
        Figure(
            f"feed: {name}, arrival → post queued, the slowest of {items} (s)",
            max(taken),
            "≤ 1",
            "lower",
            "0",
        )
        for name, taken in (("an item of a feed", looked), ("an event of a hook", told))
    ]
    notes = "\n".join(
        f"{name}: median {1000 * median(taken):.0f} ms, slowest {1000 * max(taken):.0f} ms"
        for name, taken in (("item", looked), ("event", told))
    )
    return figures, notes


async def _taken(settings: Settings, items: int) -> tuple[list[float], list[float]]:
    async with (
        newspaper() as paper,
        open_house(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as house,
    ):
        engine = house.engine
        place, who = await engine.database.change(partial(_room, now=engine.clock.now()))
        looked = await _items(engine, paper, place, who, items)
        told = await _events(house, place, who, items)
    return looked, told


async def _room(tx: AsyncConnection, now: datetime) -> tuple[Place, PersonaRecord]:
    who = await personas.get(tx, (await personas.listing(tx))[0].id)
    ref = ChatRef("stage", "one", "room")
    return await chats.add_place(tx, ref, persona_id=who.id, now=now), who


async def _items(engine: Engine, paper: Paper, place: Place, who: PersonaRecord, items: int) -> list[float]:
    """An item is there when its feed is asked for: the server's clock says when that was."""
    paper.entries = [Entry(f"Old news {number}", f"old{number}") for number in range(50)]
    feed = await engine.newsroom.add(
        place=place, persona=who, person=None, address=paper.at("feed"), options={BEGIN: NOTHING}
    )
    taken = []
    for number in range(items):
        paper.entries.append(Entry(f"News {number}", f"n{number}", hours=number + 1))
        asked = len(paper.asked)
        before = await _count(engine)
        # Its time comes a moment from now, and the loop finds it by itself.
        await engine.database.change(
            partial(_comes, feed=feed, at=engine.clock.now() + timedelta(seconds=0.05))
        )
        engine.newsroom.nudge()
        async with asyncio.timeout(PATIENCE):
            while len(paper.asked) == asked:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.001)
            began = time.perf_counter()
            while await _count(engine) == before:  # noqa: ASYNC110 - rows tell nobody
                await asyncio.sleep(0.002)
            taken.append(time.perf_counter() - began)
    await engine.newsroom.remove(feed.id)
    return taken


async def _events(house: House, place: Place, who: PersonaRecord, items: int) -> list[float]:
    hook, secret = await house.engine.newsroom.add_hook(place=place, persona=who, person=None, options={})
    taken = []
    async with httpx.AsyncClient(base_url=house.address.url, trust_env=False) as http:
        for number in range(items):
            before = await _count(house.engine)
            body = json.dumps({"title": f"Event {number}", "link": "https://example.org/"}).encode()
            began = time.perf_counter()
            answer = await http.post(
                f"/hooks/{hook.id}", content=body, headers={"X-Greenroom-Secret": secret}
            )
            taken.append(time.perf_counter() - began)
            if answer.status_code != 202 or await _count(house.engine) != before + 1:
                raise RuntimeError(f"an event was not posted: {answer.status_code} {answer.text}")
    return taken


async def _comes(tx: AsyncConnection, feed: Feed, at: datetime) -> None:
    await feeds.change(tx, feed.id, next_at=at)


async def _count(engine: Engine) -> int:
    return await engine.database.look(_counted)


async def _counted(tx: AsyncConnection) -> int:
    return int((await tx.execute(select(func.count()).select_from(posts))).scalar_one())
