"""The rows of feeds: when one is due, and how long what was seen is remembered; and news that is to be approved."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.engine import Engine
from engine.feeds import Document
from engine.fetching import Fetched
from engine.listening import remove
from engine.news import take_in
from engine.newsroom import Newsroom
from engine.publishing import Publishing
from engine.settings import Settings
from engine.store import chats, posts
from engine.store import feeds as store_feeds
from engine.store import personas as store_personas
from engine.store.database import Database
from engine.store.records import ChatRef, Feed, FeedKind, FeedState, PostState
from engine.store.tables import feed_items
from engine.testing import DAWN, ManualClock
from personas.cast import shipped_cast
from tests.engine.feeds_stage import (  # noqa: F401 - fixtures
    NOON,
    a_paper,
    a_reporter,
    later,
    listening,
    seen,
    settings_for_listening,
    shown,
    themes,
    told,
)
from tests.engine.posts_stage import at, only_post, owed, place_of
from tests.servers.feeds import Entry, Paper


async def stored(database: Database, kind: FeedKind = FeedKind.FEED, **more: Any) -> Feed:
    async def added(tx: AsyncConnection) -> Feed:
        await store_personas.seed(tx, shipped_cast(), now=DAWN)
        who = (await store_personas.listing(tx))[0]
        place = await chats.add_place(tx, ChatRef("stage", "one", "room"), persona_id=who.id, now=DAWN)
        return await store_feeds.add(
            tx, chat_id=place.id, persona_id=who.id, person_id=None, kind=kind, now=DAWN, **more
        )

    return await database.change(added)


async def test_a_feed_is_due_at_its_time_and_not_while_it_rests_or_we_are_gone(database: Database) -> None:
    feed = await stored(database, address="https://example.org/", next_at=DAWN + timedelta(minutes=5))

    async def due(minutes: int) -> list[int]:
        now = DAWN + timedelta(minutes=minutes)
        return [one.id for one in await database.look(lambda tx: store_feeds.due(tx, now=now))]

    async def changed(**changes: Any) -> None:
        await database.change(lambda tx: store_feeds.change(tx, feed.id, **changes))

    assert (await due(4), await due(5)) == ([], [feed.id])
    assert await database.look(lambda tx: store_feeds.next_look(tx, now=DAWN)) == feed.next_at
    await changed(state=FeedState.PAUSED)
    assert await due(5) == []
    await changed(state=FeedState.ACTIVE)
    place = await database.look(lambda tx: chats.place_of(tx, feed.chat_id))
    assert place is not None
    await database.change(lambda tx: chats.left(tx, place.ref, now=DAWN))
    assert await due(5) == []
    assert await database.look(lambda tx: store_feeds.next_look(tx, now=DAWN)) is None


async def test_two_who_see_the_same_item_at_once_post_it_once(database: Database, settings: Settings) -> None:
    hook = await stored(database, FeedKind.HOOK)
    nudges: list[int] = []

    class Loop:
        def nudge(self) -> None:
            nudges.append(1)

    rooms = [Newsroom(database, cast(Publishing, Loop()), settings, ManualClock()) for _ in range(2)]
    items = [told(f"News {number}", f"n{number}") for number in range(8)]
    taken = await asyncio.gather(*[room.hear(hook, item) for item in items for room in rooms])
    assert sum(len(one.posted) for one in taken) == sum(one.known for one in taken) == 8
    assert len(await database.look(lambda tx: posts.listing(tx, most=100))) == 8


async def test_what_comes_of_a_feed_while_it_is_removed_is_not_posted(
    database: Database, settings: Settings
) -> None:
    feed = await stored(database, address="https://example.org/")
    fetched = Fetched("https://example.org/")
    comes, goes_on = asyncio.Event(), asyncio.Event()

    async def took_in() -> None:
        async with database.write() as tx:
            there = await store_feeds.get(tx, feed.id, alone=True)
            comes.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):  # the other one begins meanwhile, where the store lets it
                    await goes_on.wait()
            news = Document("", (told("News", "n1"),))
            await take_in(tx, there, news, fetched, settings=settings, now=DAWN)

    taking = asyncio.create_task(took_in())
    await comes.wait()
    await database.change(lambda tx: remove(tx, feed.id))
    goes_on.set()
    await taking
    (post,) = await database.look(posts.listing)
    assert post.state is PostState.SKIPPED


async def test_news_waits_for_approval_and_is_shown_as_soon_as_it_has_that(
    engine: Engine, paper: Paper
) -> None:
    await listening(engine, paper, approval="skip")
    await shown(engine)
    post = await only_post(engine)
    assert (post.state, post.due_at - engine.clock.now()) == (PostState.WAITING, timedelta(hours=1))
    assert await owed(engine) == []
    await engine.posting.approve(post.id)
    await shown(engine)
    assert ((await only_post(engine)).state, len(await owed(engine))) == (PostState.PUBLISHED, 1)


@pytest.mark.parametrize(("approval", "state"), [("skip", PostState.SKIPPED), ("post", PostState.PUBLISHED)])
async def test_news_that_nobody_approves_is_skipped_or_posted_when_its_time_is_over(
    engine: Engine, paper: Paper, approval: str, state: PostState
) -> None:
    await listening(engine, paper, approval=approval)
    await shown(engine)
    at(engine, engine.clock.now() + timedelta(minutes=59))
    await shown(engine)
    assert (await only_post(engine)).state is PostState.WAITING
    at(engine, engine.clock.now() + timedelta(minutes=2))
    await shown(engine)
    assert (await only_post(engine)).state is state


async def test_news_goes_to_several_places(engine: Engine, paper: Paper) -> None:
    hall = await place_of(engine, "hall")
    feed = await listening(engine, paper, targets=[hall.id])
    await shown(engine)
    assert {row.chat_id for row in await owed(engine)} == {feed.chat_id, hall.id}


async def test_items_are_forgotten_a_year_after_they_came_but_not_while_they_are_listed(
    engine: Engine, paper: Paper
) -> None:
    await listening(engine, paper)
    paper.entries = [Entry("Thaw", "3", hours=9), NOON]
    await later(engine, days=364)
    assert await seen(engine) == 3
    paper.entries = [Entry("Spring", "4", hours=10), NOON]
    await later(engine, days=3)
    assert await keys_seen(engine) == {"Spring", "Thaw", NOON.title}


async def test_what_was_posted_and_forgotten_is_not_posted_again(engine: Engine, paper: Paper) -> None:
    await listening(engine, paper)
    paper.entries = [Entry("Thaw", "3", hours=9)]
    await later(engine, days=370)
    assert await keys_seen(engine) == {"Thaw"}
    paper.entries = [Entry("Thaw", "3", hours=9), NOON]
    await later(engine, days=1)
    assert await themes(engine) == [NOON.title, "Thaw"]


async def keys_seen(engine: Engine) -> set[str]:
    async with engine.database.read() as tx:
        return set((await tx.execute(select(feed_items.c.title))).scalars())
