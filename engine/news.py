"""Items become posts, as part of somebody's transaction: an item's row and its post are one change, so that nothing
is posted twice, whatever stops in between and whoever sees the same item just then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest
from engine.feeds import LEAST_WAIT, MOST_WAIT, Document, Filter, Item, next_wait
from engine.fetching import Fetched
from engine.locales import say
from engine.planning import PICTURE_OF
from engine.safety import BlockList
from engine.settings import Settings
from engine.store import chats, feeds, once, posts
from engine.store.records import Feed, FeedKind, Post

#: What is said of a feed and goes for each of its posts.
OF_POSTS = ("targets", "picture", "text", "style", "approval", PICTURE_OF)
HOUR = timedelta(hours=1)
#: News that could not be posted for so long is none.
GRACE = timedelta(hours=6)
#: An item is remembered for so long, and as long as its feed lists it.
KEPT = timedelta(days=366)
#: How a feed begins: with its newest item, or with what is new from now on. What it says by then is only remembered.
BEGIN, NEWEST, NOTHING = "begin", "newest", "nothing"
#: What a place's setting of this name says is the zone of what is posted there.
ZONE = "zone"


@dataclass(frozen=True)
class Taken:
    """What became of a document's items: those that became posts, and how many were only remembered."""

    feed: Feed
    posted: tuple[Post, ...] = ()
    #: Known by now, and not posted: not wanted, too many, or there before we were.
    passed: int = 0
    #: Titles of those that the operator's list does not allow.
    refused: tuple[str, ...] = ()
    #: Those that were seen before.
    known: int = 0


async def take_in(
    tx: AsyncConnection,
    feed: Feed,
    document: Document,
    fetched: Fetched | None,
    *,
    settings: Settings,
    now: datetime,
) -> Taken:
    """All items are remembered; those that are new and wanted become posts, and of too many the newest.

    `fetched`: how the document came, if we asked for it.
    """
    known = await feeds.known(tx, feed.id, [item.key for item in document.items])
    fresh = [item for item in document.items if item.key not in known]
    allows = BlockList(settings.safety.blocked_words).allows
    refused = {item.key: item.title for item in fresh if not allows(f"{item.title}\n{item.text}")}
    wants = Filter.of(feed.options).wants
    wanted = [item.key for item in fresh if item.key not in refused and wants(item)]
    chosen = set(wanted[: await _room(tx, feed, settings, now)])
    options = await _post_options(tx, feed, settings) if chosen else {}
    # What is to be approved is due when that is over; approved before, it is shown at once.
    due = now + timedelta(seconds=settings.feeds.approve_within) if options.get("approval") else now
    posted: list[Post] = []
    remembered = 0
    for item in reversed(fresh):  # the oldest first, as they happened
        number = await feeds.remember(
            tx,
            feed.id,
            key=item.key,
            title=item.title,
            link=item.link,
            told=said_by(item) if feed.kind is FeedKind.HOOK else None,
            now=now,
        )
        if number is None:
            continue  # somebody else has seen it just now
        remembered += 1
        if item.key not in chosen:
            continue
        post = await posts.add(
            tx,
            key=f"feed:{feed.id}:{item.key}",
            due_at=due,
            chat_id=feed.chat_id,
            persona_id=feed.persona_id,
            theme=item.title,
            options=options | {"item": _told(feed, item)},
            now=now,
        )
        if post is not None:
            await feeds.became(tx, number, post.id)
            posted.append(post)
    if fresh:  # else there is not more than there was
        await feeds.forget(tx, feed.id, before=now - KEPT, but=[item.key for item in document.items])
    if fetched is not None:
        feed = await _looked(tx, feed, document, fetched, settings, now)
    return Taken(
        feed,
        tuple(posted),
        max(0, remembered - len(posted) - len(refused)),
        tuple(refused.values()),
        len(document.items) - remembered,
    )


def said_by(item: Item) -> str:
    """What somebody told a hook, in brief."""
    return once.digest(item.title, item.text, item.link, item.picture)


async def _looked(
    tx: AsyncConnection, feed: Feed, document: Document, fetched: Fetched, settings: Settings, now: datetime
) -> Feed:
    """It went well, and this is when to look again."""
    wait = next_wait(every(feed, settings), ttl=document.ttl)
    changes: dict[str, Any] = {"failures": 0, "error": "", "next_at": now + wait}
    if not fetched.unchanged:
        options = {name: told for name, told in feed.options.items() if name != BEGIN}
        if document.title:
            options["title"] = document.title
        changes |= {"etag": fetched.etag, "modified": fetched.modified, "options": options}
    return await feeds.change(tx, feed.id, **changes)


async def _room(tx: AsyncConnection, feed: Feed, settings: Settings, now: datetime) -> int:
    """How many posts it may bring now. A hook's callers are slowed down at the door."""
    begin = feed.options.get(BEGIN)
    if feed.kind is FeedKind.HOOK:
        return 1
    if begin == NOTHING:
        return 0
    lately = await feeds.posted_since(tx, feed.id, now - HOUR)
    room = max(0, settings.feeds.per_hour - lately)
    return min(room, 1) if begin == NEWEST else room


async def _post_options(tx: AsyncConnection, feed: Feed, settings: Settings) -> dict[str, Any]:
    place = await chats.place_of(tx, feed.chat_id)
    zone = place.settings.get(ZONE) if place is not None else ""
    kept = {name: feed.options[name] for name in OF_POSTS if name in feed.options}
    return kept | {
        "zone": zone or settings.posts.usual_zone,
        "grace": round(GRACE.total_seconds()),
        **({"person": feed.person_id} if feed.person_id is not None else {}),
    }


def every(feed: Feed, settings: Settings) -> timedelta:
    """The time between two looks at a feed that says nothing of it."""
    told = feed.options.get("every")
    return timedelta(seconds=told if isinstance(told, int | float) else settings.feeds.every)


def seconds_between(told: str) -> int:
    """`30m`, `2h` or `1d`, as time between two looks at a feed; a number alone is minutes."""
    number, unit = told.strip().rstrip("smhdin "), told.strip().lstrip("0123456789 ").lower()
    each = {"": 60, "m": 60, "min": 60, "h": 3_600, "d": 86_400}.get(unit)
    if each is not None and number.isascii() and number.isdecimal() and len(number) < 7:
        seconds = int(number) * each
        if LEAST_WAIT.total_seconds() <= seconds <= 7 * MOST_WAIT.total_seconds():
            return seconds
    raise BadRequest(say("feeds.no_span", told=told[:20]))


def span_told(seconds: float) -> str:
    """Such a time as it can be written, and read again.

    >>> span_told(5_400), span_told(7_200), span_told(86_400)
    ('90m', '2h', '1d')
    """
    minutes = round(seconds / 60)
    for unit, each in (("d", 1_440), ("h", 60)):
        if minutes and minutes % each == 0:
            return f"{minutes // each}{unit}"
    return f"{minutes}m"


def _told(feed: Feed, item: Item) -> dict[str, Any]:
    told: dict[str, Any] = {"feed": feed.id, "title": item.title, "text": item.text, "link": item.link}
    if item.picture:
        told |= {"picture": item.picture, "licence": item.licence}
    return told | ({"adult": True} if item.adult else {})
