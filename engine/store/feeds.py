"""Feeds and hooks, and the items that were seen in them. One function per use.

An item is a row from when it is seen: that makes it new once, whatever stops in between and whoever looks beside us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, RowMapping, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, NotFound
from engine.locales import say
from engine.store import once, sentences
from engine.store.jobs import LAST_ID
from engine.store.posts import OPEN
from engine.store.records import Feed, FeedItem, FeedKind, FeedState
from engine.store.tables import chats, feed_items, feeds, posts


async def add(
    tx: AsyncConnection,
    *,
    chat_id: int,
    persona_id: int,
    person_id: int | None,
    kind: FeedKind,
    now: datetime,
    address: str = "",
    secret: str = "",
    options: dict[str, Any] | None = None,
    next_at: datetime | None = None,
    dedup_key: str = "",
    told: str = "",
) -> Feed:
    """The one that is there already where the same was ordered under the key; `Conflict` where something else was.

    `told` is what was ordered, in brief.
    """
    values = {
        "chat_id": chat_id,
        "persona_id": persona_id,
        "person_id": person_id,
        "kind": kind.value,
        "address": address,
        "secret": secret,
        "state": FeedState.ACTIVE.value,
        "options": options or {},
        "next_at": next_at,
        "dedup_key": dedup_key or None,
        "told": told or None,
        "created_at": now,
    }
    row = (await tx.execute(_ADD[tx.dialect.name], values)).mappings().one_or_none()
    if row is None:
        row = (await tx.execute(_ORDERED, {"dedup_key": dedup_key})).mappings().one()
        once.check_same(row["told"], told)
    return _feed(row)


_ADD = {
    name: made(feeds).on_conflict_do_nothing(index_elements=[feeds.c.dedup_key]).returning(feeds)
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}
_ORDERED = select(feeds).where(feeds.c.dedup_key == bindparam("dedup_key"))


async def ordered(
    tx: AsyncConnection, dedup_key: str, *, told: str, chat_id: int, kind: FeedKind
) -> Feed | None:
    """The feed or hook that was ordered under a key, if it was; raises `Conflict` where something else was."""
    if not dedup_key:
        return None
    row = (await tx.execute(_ORDERED, {"dedup_key": dedup_key})).mappings().one_or_none()
    if row is None:
        return None
    once.check_same(row["told"], told)
    if row["told"] is None and (row["chat_id"], row["kind"]) != (chat_id, kind.value):
        # It was ordered when each place had keys of its own, and nothing else tells what was.
        raise Conflict(say("store.key_taken"))
    return _feed(row)


async def get(tx: AsyncConnection, feed_id: int, *, alone: bool = False) -> Feed:
    """`alone`: nobody else changes it before this transaction is over."""
    if 0 < feed_id <= LAST_ID:
        found = select(feeds).where(feeds.c.id == feed_id)
        row = (await tx.execute(found.with_for_update() if alone else found)).mappings().one_or_none()
        if row is not None:
            return _feed(row)
    raise NotFound(say("feeds.no_feed", id=str(feed_id)))


async def listing(tx: AsyncConnection, *, chat_id: int | None = None) -> list[Feed]:
    found = select(feeds).order_by(feeds.c.id)
    if chat_id is not None:
        found = found.where(feeds.c.chat_id == chat_id)
    return [_feed(row) for row in (await tx.execute(found)).mappings()]


async def page(
    tx: AsyncConnection, *, chat_id: int | None = None, before: int | None = None, most: int = 100
) -> list[Feed]:
    """The newest first."""
    found = select(feeds).order_by(feeds.c.id.desc()).limit(most)
    if chat_id is not None:
        found = found.where(feeds.c.chat_id == chat_id)
    if before is not None:
        found = found.where(feeds.c.id < before)
    return [_feed(row) for row in (await tx.execute(found)).mappings()]


async def change(tx: AsyncConnection, feed_id: int, **changes: Any) -> Feed:
    values = {name: getattr(value, "value", value) for name, value in changes.items()}
    if "error" in values:
        values["error"] = sentences.kept(values["error"])
    changed = update(feeds).where(feeds.c.id == feed_id).values(values).returning(feeds)
    row = (await tx.execute(changed)).mappings().one_or_none()
    if row is None:
        raise NotFound(say("feeds.no_feed", id=str(feed_id)))
    return _feed(row)


async def remove(tx: AsyncConnection, feed_id: int) -> None:
    await tx.execute(delete(feeds).where(feeds.c.id == feed_id))


#: Where we were shown the door, nobody waits for news.
_THERE = select(chats.c.id).where(chats.c.left_at.is_(None))
_LISTENED = and_(
    feeds.c.kind == FeedKind.FEED.value,
    feeds.c.state == FeedState.ACTIVE.value,
    feeds.c.chat_id.in_(_THERE),
)
_DUE = (
    select(feeds)
    .where(_LISTENED, feeds.c.next_at <= bindparam("now"))
    .order_by(feeds.c.next_at)
    .limit(bindparam("most", type_=Integer))
)
_NEXT = select(func.min(feeds.c.next_at)).where(_LISTENED, feeds.c.next_at > bindparam("now"))


async def due(tx: AsyncConnection, *, now: datetime, most: int = 100) -> list[Feed]:
    """Feeds that are to be looked at, the longest overdue first."""
    return [_feed(row) for row in (await tx.execute(_DUE, {"now": now, "most": most})).mappings()]


async def next_look(tx: AsyncConnection, *, now: datetime) -> datetime | None:
    """When the next of the others is to be looked at."""
    found: datetime | None = (await tx.execute(_NEXT, {"now": now})).scalar_one()
    return found


# Items


async def known(tx: AsyncConnection, feed_id: int, keys: Sequence[str]) -> dict[str, FeedItem]:
    """Those of the items that were seen before, by their keys."""
    found = select(feed_items).where(feed_items.c.feed_id == feed_id, feed_items.c.key.in_(keys))
    return {row["key"]: _item(row) for row in (await tx.execute(found)).mappings()}


_REMEMBER = {
    name: made(feed_items)
    .on_conflict_do_nothing(index_elements=[feed_items.c.feed_id, feed_items.c.key])
    .returning(feed_items.c.id)
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


async def remember(
    tx: AsyncConnection,
    feed_id: int,
    *,
    key: str,
    title: str,
    link: str,
    now: datetime,
    told: str | None = None,
) -> int | None:
    """The item's number; None where somebody has seen it already."""
    values = {"feed_id": feed_id, "key": key, "title": title, "link": link, "told": told, "created_at": now}
    found: int | None = (await tx.execute(_REMEMBER[tx.dialect.name], values)).scalar_one_or_none()
    return found


async def became(tx: AsyncConnection, item_id: int, post_id: int) -> None:
    """An item has become a post."""
    await tx.execute(update(feed_items).where(feed_items.c.id == item_id).values(post_id=post_id))


async def coming(tx: AsyncConnection, feed_id: int) -> list[int]:
    """The posts that are still to come of a feed."""
    found = (
        select(posts.c.id)
        .join(feed_items, feed_items.c.post_id == posts.c.id)
        .where(feed_items.c.feed_id == feed_id, posts.c.state.in_([state.value for state in OPEN]))
        .order_by(posts.c.id)
    )
    return list((await tx.execute(found)).scalars())


async def forget(tx: AsyncConnection, feed_id: int, *, before: datetime, but: Sequence[str]) -> None:
    """Items that were seen first before that moment are forgotten, `but` those that are listed still."""
    old = feed_items.c.feed_id == feed_id, feed_items.c.created_at < before
    await tx.execute(delete(feed_items).where(*old, feed_items.c.key.not_in(but)))


async def posted_since(tx: AsyncConnection, feed_id: int, since: datetime) -> int:
    """How many posts came of a feed lately."""
    counted = (
        select(func.count())
        .select_from(feed_items)
        .where(
            feed_items.c.feed_id == feed_id,
            feed_items.c.post_id.is_not(None),
            feed_items.c.created_at > since,
        )
    )
    return int((await tx.execute(counted)).scalar_one())


def _feed(row: RowMapping) -> Feed:
    values = {field.name: row[field.name] for field in fields(Feed)}
    values["kind"], values["state"] = FeedKind(row["kind"]), FeedState(row["state"])
    values["options"] = dict(row["options"] or {})
    values["error"] = sentences.told(row["error"])
    return Feed(**values)


def _item(row: RowMapping) -> FeedItem:
    return FeedItem(**{field.name: row[field.name] for field in fields(FeedItem)})
