"""What happens elsewhere becomes posts: feeds are looked at, hooks are heard, and each item is posted once at most.

Who may order what, how a document is fetched, what it says, and how a post is made, it does not know.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import listening
from engine.bell import Bell
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, GreenroomError, NotFound, Refused, TryAgain
from engine.feeds import Document, Filter, Item, key_of, next_wait, read_document
from engine.fetching import Fetched, fetch, host_of
from engine.listening import Change
from engine.locales import say
from engine.news import BEGIN, NEWEST, Taken, every, said_by, take_in
from engine.publishing import Publishing
from engine.settings import Settings
from engine.store import chats, feeds
from engine.store.database import Database
from engine.store.records import Feed, FeedKind, FeedState, Person, PersonaRecord, Place

log = structlog.get_logger(__name__)

#: Another process may have changed rows without being able to nudge us, in seconds.
LOOK_EVERY = 5.0
#: So many feeds are fetched at once.
AT_ONCE = 4


@dataclass(frozen=True)
class Look:
    """What a feed says just now, for whoever wants to see whether it works."""

    document: Document
    wanted: tuple[Item, ...]
    known: int


class Newsroom:
    """Takes orders for feeds and hooks; `run` looks at the feeds for as long as the house is open."""

    def __init__(self, database: Database, publishing: Publishing, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._publishing = publishing
        self._settings = settings
        self._clock = clock
        self._bell = Bell(clock)
        #: Feeds that are being looked at.
        self._busy: set[int] = set()

    def nudge(self) -> None:
        """Something was changed: there may be a feed to look at."""
        self._bell.ring()

    # Orders

    async def add(
        self,
        *,
        place: Place,
        persona: PersonaRecord,
        person: Person | None,
        address: str,
        options: Mapping[str, Any],
        told: str = "",
    ) -> Feed:
        """A feed from now on. It is read at once, so that whoever orders it hears what is wrong with it.

        Its newest item becomes a post, unless `options` says that it begins with `NOTHING`. Where they name an
        `order`, that counts once, and `told` is what it says, in brief; `Conflict` where it said something else.
        """
        order = _order_in(options)
        ordered = partial(feeds.ordered, dedup_key=order, told=told, chat_id=place.id, kind=FeedKind.FEED)
        if (known := await self._database.look(ordered)) is not None:
            return known  # it was done before, and nobody heard of it
        fetched = await self._fetch(address)
        document = await asyncio.to_thread(_read, fetched)

        async def added(tx: AsyncConnection) -> Taken:
            await chats.hold(tx, place.id)  # who orders it a second time finds it there
            if (known := await ordered(tx)) is not None:
                return Taken(known)
            there = await feeds.listing(tx, chat_id=place.id)
            if same := next((one for one in there if one.address == address), None):
                raise BadRequest(say("feeds.is_there", id=str(same.id)))
            feed = await feeds.add(
                tx,
                chat_id=place.id,
                persona_id=persona.id,
                person_id=person.id if person else None,
                kind=FeedKind.FEED,
                address=address,
                options={BEGIN: NEWEST} | dict(options),
                now=self._clock.now(),
                dedup_key=order,
                told=told,
            )
            return await self._take_in(tx, feed, document, fetched)

        taken = await self._database.change(added)
        log.info("feed_added", feed=taken.feed.id, host=host_of(address))
        self._tell(taken)
        return taken.feed

    async def add_hook(
        self,
        *,
        place: Place,
        persona: PersonaRecord,
        person: Person | None,
        options: Mapping[str, Any],
        told: str = "",
    ) -> tuple[Feed, str]:
        """A hook, and its secret: nobody can be told that again. An order that is given again gets another one."""
        secret, order = secrets.token_urlsafe(32), _order_in(options)
        ordered = partial(feeds.ordered, dedup_key=order, told=told, chat_id=place.id, kind=FeedKind.HOOK)

        async def added(tx: AsyncConnection) -> Feed:
            await chats.hold(tx, place.id)
            if (same := await ordered(tx)) is not None:
                return await feeds.change(tx, same.id, secret=key_for_signatures(secret))
            return await feeds.add(
                tx,
                chat_id=place.id,
                persona_id=persona.id,
                person_id=person.id if person else None,
                kind=FeedKind.HOOK,
                secret=key_for_signatures(secret),
                options=dict(options),
                now=self._clock.now(),
                dedup_key=order,
                told=told,
            )

        feed = await self._database.change(added)
        log.info("hook_added", feed=feed.id)
        return feed, secret

    async def listing(self, chat_id: int | None = None) -> list[Feed]:
        return await self._database.look(partial(feeds.listing, chat_id=chat_id))

    async def get(self, feed_id: int) -> Feed:
        return await self._database.look(partial(feeds.get, feed_id=feed_id))

    async def pause(self, feed_id: int) -> Feed:
        feed = await self._database.change(partial(feeds.change, feed_id=feed_id, state=FeedState.PAUSED))
        log.info("feed_paused", feed=feed_id)
        return feed

    async def edit(self, feed_id: int, change: Change) -> Feed:
        """What is named is changed, and goes for what comes from now on. Another address is read at once, too."""
        known = await self.get(feed_id)
        if known.kind is not FeedKind.FEED and (change.address is not None or "every" in change.options):
            raise BadRequest(say("feeds.hook_is_called"))
        fetched: Fetched | None = None
        if change.address not in (None, known.address):
            fetched = await self._fetch(str(change.address))
        document = await asyncio.to_thread(_read, fetched) if fetched else Document("", ())

        async def edited(tx: AsyncConnection) -> Taken:
            now = self._clock.now()
            feed = await listening.edit(tx, feed_id, change=change, settings=self._settings, now=now)
            return Taken(feed) if fetched is None else await self._take_in(tx, feed, document, fetched)

        taken = await self._database.change(edited)
        log.info("feed_edited", feed=feed_id)
        self._tell(taken)
        return taken.feed

    async def resume(self, feed_id: int) -> Feed:
        """It goes on with what is new from now on; what came meanwhile is not made up."""
        resumed = partial(listening.resume, feed_id=feed_id, now=self._clock.now())
        feed = await self._database.change(resumed)
        log.info("feed_resumed", feed=feed_id)
        self._bell.ring()
        return feed

    async def remove(self, feed_id: int) -> None:
        """It is gone, with what is still to come of it. What was published stays."""
        await self._database.change(partial(listening.remove, feed_id=feed_id))
        log.info("feed_removed", feed=feed_id)
        self._publishing.nudge()

    async def check(self, feed_id: int) -> Look:
        """Look at a feed now, and change nothing."""
        feed = await self.get(feed_id)
        if feed.kind is not FeedKind.FEED:
            raise BadRequest(say("feeds.is_hook", id=str(feed_id)))
        document = await asyncio.to_thread(_read, await self._fetch(feed.address))
        keys = [item.key for item in document.items]
        known = await self._database.look(partial(feeds.known, feed_id=feed_id, keys=keys))
        wants = Filter.of(feed.options).wants
        fresh = [item for item in document.items if item.key not in known and wants(item)]
        return Look(document, tuple(fresh), len(known))

    # Hooks

    async def knocked(
        self, hook_id: int, *, secret: str = "", signature: str = "", body: bytes = b""
    ) -> Feed | None:
        """The hook that somebody may use; None, without a word on why, for all others.

        Either the secret itself is shown, or the HMAC of the body under what `key_for_signatures` makes of it.
        """
        feed: Feed | None = None
        with suppress(NotFound):
            feed = await self.get(hook_id)
        if feed is not None and feed.kind is not FeedKind.HOOK:
            feed = None
        # What is not there is compared with too, so that nobody can tell by the time that it takes.
        key = feed.secret if feed is not None else key_for_signatures(secrets.token_urlsafe(32))
        shown = key_for_signatures(secret)
        signed = f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"
        right = hmac.compare_digest(shown, key) if secret else False
        right |= hmac.compare_digest(signed.encode(), signature.strip().lower().encode("utf-8", "replace"))
        return feed if right else None

    async def hear(self, feed: Feed, item: Item) -> Taken:
        """What somebody told a hook becomes a post, once. Raises `Refused` while the hook is paused, and `Conflict`
        for an event whose name was another one's before.
        """

        async def heard(tx: AsyncConnection) -> Taken:
            # As the rows say by now: it may have been changed or removed since its secret was looked at.
            known = await feeds.get(tx, feed.id, alone=True)
            if known.state is FeedState.PAUSED:
                raise Refused(say("feeds.hook_paused"))
            before = (await feeds.known(tx, feed.id, [item.key])).get(item.key)
            if before is not None and before.told not in (None, said_by(item)):
                raise Conflict(say("feeds.told_otherwise"))
            return await self._take_in(tx, known, Document("", (item,)), None)

        taken = await self._database.change(heard)
        self._tell(taken)
        return taken

    # Looking

    async def run(self) -> None:
        """Look at each feed at its time until cancelled."""
        at_once = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                self._bell.hush()
                now = self._clock.now()
                for feed in await self._database.look(partial(feeds.due, now=now)):
                    if feed.id not in self._busy:
                        self._busy.add(feed.id)
                        group.create_task(self._look_in_turn(feed, at_once))
                coming = await self._database.look(partial(feeds.next_look, now=now))
                # Another process may have changed rows, too.
                await self._bell.rest(LOOK_EVERY, until=coming)

    async def round(self) -> None:
        """Look at all that are due, one after the other."""
        for feed in await self._database.look(partial(feeds.due, now=self._clock.now())):
            await self.look(feed)

    async def _look_in_turn(self, feed: Feed, at_once: asyncio.Semaphore) -> None:
        try:
            async with at_once:
                await self.look(feed)
        except Exception:
            # The others go on, and so does this one: at its next look, or when the store can be used again.
            log.exception("feed_not_looked_at", feed=feed.id)
            await self._clock.sleep(LOOK_EVERY)
        finally:
            self._busy.discard(feed.id)

    async def look(self, feed: Feed) -> Taken | None:
        """Fetch a feed, and make posts of what is new in it; None where that could not be."""
        try:
            fetched = await self._fetch(feed.address, etag=feed.etag, modified=feed.modified)
            document = Document("", ()) if fetched.unchanged else await asyncio.to_thread(_read, fetched)
        except GreenroomError as error:
            await self._failed(feed, error)
            return None
        except Exception as error:  # whatever a stranger's document does to those who read it
            log.exception("feed_unreadable", feed=feed.id)
            await self._failed(feed, BadRequest(say("feeds.no_feed_there")), cause=repr(error))
            return None
        try:
            taken = await self._database.change(
                partial(self._taken, asked=feed, document=document, fetched=fetched)
            )
        except NotFound:
            return None  # it was removed meanwhile
        self._tell(taken)
        return taken

    async def _taken(self, tx: AsyncConnection, asked: Feed, document: Document, fetched: Fetched) -> Taken:
        """As the rows say by now: it may have been paused while it was fetched, or moved elsewhere."""
        feed = await feeds.get(tx, asked.id, alone=True)
        if feed.state is FeedState.PAUSED or feed.address != asked.address:
            return Taken(feed)
        return await self._take_in(tx, feed, document, fetched)

    async def _failed(self, feed: Feed, error: GreenroomError, *, cause: str = "") -> None:
        after = timedelta(seconds=error.after_s) if isinstance(error, TryAgain) else None
        failures = feed.failures + 1
        wait = next_wait(every(feed, self._settings), failures=failures, after=after)
        next_at = self._clock.now() + wait

        async def changed(tx: AsyncConnection) -> None:
            now = await feeds.get(tx, feed.id, alone=True)
            if now.address == feed.address:  # what is wrong elsewhere is no matter of its new one
                await feeds.change(tx, feed.id, failures=failures, error=error.sentence, next_at=next_at)

        log.warning(
            "feed_failed",
            feed=feed.id,
            failures=failures,
            cause=cause or str(error),
            again_in=round(wait.total_seconds()),
        )
        with suppress(NotFound):
            await self._database.change(changed)

    async def _fetch(self, address: str, *, etag: str = "", modified: str = "") -> Fetched:
        return await fetch(address, private=self._settings.feeds.private, etag=etag, modified=modified)

    async def _take_in(
        self, tx: AsyncConnection, feed: Feed, document: Document, fetched: Fetched | None
    ) -> Taken:
        return await take_in(tx, feed, document, fetched, settings=self._settings, now=self._clock.now())

    def _tell(self, taken: Taken) -> None:
        for post in taken.posted:
            log.info("news_posted", feed=taken.feed.id, post=post.id)
        for title in taken.refused:
            log.warning("news_refused", feed=taken.feed.id, title=title)
        if taken.passed:
            log.info("news_passed_over", feed=taken.feed.id, items=taken.passed)
        if taken.posted:
            self._publishing.nudge()
        self._bell.ring()


def _order_in(options: Mapping[str, Any]) -> str:
    """What names the order that these options came with; empty where it may be given twice."""
    return str(options.get("order") or "")


def key_for_signatures(secret: str) -> str:
    """What is kept of a hook's secret. Who signs what they send uses it as their key."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def event(*, title: str, text: str = "", link: str = "", picture: str = "", name: str) -> Item:
    """What a hook was told; `name` is what makes it the same when it is told again."""
    return Item(key_of(name), title, text, link, picture=picture)


def _read(fetched: Fetched) -> Document:
    return read_document(fetched.body, address=fetched.address, content_type=fetched.content_type)
