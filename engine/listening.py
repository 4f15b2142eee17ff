"""What a place listens to, as orders change it: each order is one function, and part of its caller's transaction.

What feeds say, and how they are fetched, is none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest
from engine.feeds import next_wait
from engine.locales import say
from engine.news import BEGIN, NOTHING, every
from engine.settings import Settings
from engine.store import chats, feeds, posts
from engine.store.records import Feed, FeedKind, FeedState, PostState


@dataclass(frozen=True)
class Change:
    """What an edit says anew; None, and what is not among the options, stays as it is."""

    chat_id: int | None = None
    persona_id: int | None = None
    address: str | None = None
    #: What is None is as usual again.
    options: Mapping[str, Any] = field(default_factory=dict)


async def edit(
    tx: AsyncConnection, feed_id: int, *, change: Change, settings: Settings, now: datetime
) -> Feed:
    """It goes for what comes from now on: what is in the making stays as it was ordered.

    Of another address nothing is known yet, and what it says by now is only remembered.
    """
    known = await feeds.get(tx, feed_id, alone=True)
    told = known.options | dict(change.options)
    options = {name: one for name, one in told.items() if one is not None}
    changes: dict[str, Any] = {}
    if change.persona_id is not None:
        changes["persona_id"] = change.persona_id
    if change.chat_id not in (None, known.chat_id):
        changes["chat_id"] = change.chat_id
    if change.address not in (None, known.address):
        options = {name: one for name, one in options.items() if name != "title"} | {BEGIN: NOTHING}
        changes |= {"address": change.address, "etag": "", "modified": "", "failures": 0, "error": ""}
    await _check_alone(tx, known, changes)
    feed = await feeds.change(tx, feed_id, options=options, **changes)
    if known.kind is FeedKind.FEED and not feed.failures and every(feed, settings) != every(known, settings):
        # Where something is wrong, its server has the say, and not whoever is in a hurry.
        feed = await feeds.change(tx, feed_id, next_at=now + next_wait(every(feed, settings)))
    return feed


async def _check_alone(tx: AsyncConnection, known: Feed, changes: Mapping[str, Any]) -> None:
    """A place listens to an address once."""
    if known.kind is not FeedKind.FEED or not changes.keys() & {"chat_id", "address"}:
        return
    chat_id, address = changes.get("chat_id", known.chat_id), changes.get("address", known.address)
    await chats.hold(tx, chat_id)
    there = await feeds.listing(tx, chat_id=chat_id)
    if same := next((one for one in there if one.address == address and one.id != known.id), None):
        raise BadRequest(say("feeds.is_there", id=str(same.id)))


async def resume(tx: AsyncConnection, feed_id: int, *, now: datetime) -> Feed:
    """It goes on with what is new from now on; what came meanwhile is not made up."""
    known = await feeds.get(tx, feed_id, alone=True)
    begin = {BEGIN: NOTHING} if known.state is FeedState.PAUSED else {}
    return await feeds.change(
        tx,
        feed_id,
        state=FeedState.ACTIVE,
        options=known.options | begin,
        next_at=now if known.kind is FeedKind.FEED else None,
        failures=0,
        error="",
        # Else its server says that nothing is new, and what there is stays unknown.
        etag="",
        modified="",
    )


async def remove(tx: AsyncConnection, feed_id: int) -> None:
    """It is gone, with what is still to come of it. What was published stays."""
    await feeds.get(tx, feed_id, alone=True)
    for post_id in await feeds.coming(tx, feed_id):
        why = say("feeds.gone")
        await posts.change(tx, post_id, was=posts.OPEN, state=PostState.SKIPPED, error=why)
    await feeds.remove(tx, feed_id)
