"""A newspaper on this machine, and a house that listens to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine.engine import Engine
from engine.feeds import Item
from engine.language import CaptionWanted, Wanted
from engine.newsroom import event
from engine.settings import FeedSettings, SafetySettings, Settings
from engine.store.records import Feed
from engine.store.tables import feed_items
from engine.testing import FakeLanguage
from tests.engine.posts_stage import at, glenys, place_of
from tests.servers.feeds import Entry, Paper, newspaper

MORNING = Entry("Snow in the north", "1", "It <b>snowed</b> all night.", hours=0)
NOON = Entry("Ice on the lake", "2", "Skates are out.", hours=6)


class Reporter(FakeLanguage):
    """Adds an address of its own to whatever it writes."""

    def _text(self, wanted: Wanted) -> str:
        if isinstance(wanted, CaptionWanted):
            number = len([one for one in self.asked if isinstance(one, CaptionWanted)])
            return f"Story{number} of subject{number}: read more at https://evil.example/{number} now."
        return super()._text(wanted)


@pytest.fixture(name="language")
def a_reporter() -> FakeLanguage:
    return Reporter()


@pytest.fixture(name="settings")
def settings_for_listening(settings: Settings) -> Settings:
    """The test's newspaper stands on this machine."""
    return settings.model_copy(
        update={
            "feeds": FeedSettings(private=True),
            "safety": SafetySettings(blocked_words=("turnip",)),
        }
    )


@pytest.fixture(name="paper")
async def a_paper() -> AsyncIterator[Paper]:
    async with newspaper() as opened:
        opened.entries = [NOON, MORNING]
        yield opened


async def listening(engine: Engine, paper: Paper, path: str = "feed", **options: Any) -> Feed:
    return await engine.newsroom.add(
        place=await place_of(engine),
        persona=await glenys(engine),
        person=None,
        address=paper.at(path),
        options={"picture": False, **options},
    )


async def later(engine: Engine, **span: float) -> None:
    """Time passes, and whatever is due is done: feeds are looked at, posts are made and shown."""
    at(engine, engine.clock.now() + timedelta(**span))
    await engine.newsroom.round()
    await shown(engine)


async def shown(engine: Engine) -> None:
    loop = engine.posting.publishing
    for _ in range(3):
        await loop.round()
        await loop.make()
    await loop.round()


async def themes(engine: Engine) -> list[str]:
    """What the posts are about, the earliest first."""
    found = await engine.posting.posts(most=100)
    return [post.theme for post in sorted(found, key=lambda one: one.id)]


async def seen(engine: Engine) -> int:
    async with engine.database.read() as tx:
        return len(list(await tx.execute(select(feed_items))))


# Hooks


async def hooked(engine: Engine, **options: Any) -> tuple[Feed, str]:
    return await engine.newsroom.add_hook(
        place=await place_of(engine),
        persona=await glenys(engine),
        person=None,
        options={"picture": False, **options},
    )


def told(title: str = "The kettle boils", name: str = "k1", link: str = "") -> Item:
    return event(title=title, text="At last.", link=link, name=name)
