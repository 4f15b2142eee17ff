"""Looks at the house once a minute, and when something happens, and tells those who run it what is wrong.

What is worth a word is decided in `engine/alerts.py`. Where no operator has spoken with the house alone, the log is
told and nobody else.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import alerts, monitor
from engine.alerts import Model, Seen, Standing, Stretch, stretched
from engine.bell import Bell
from engine.engine import Engine
from engine.events import Event, Watch
from engine.language.scribe import State
from engine.locales import Said, locale_of
from engine.pictures import painting
from engine.store import alerts as store
from engine.store import chats, outbox, troubles
from engine.store.alerts import Told
from engine.store.records import DeliveryKind, Place
from engine.store.troubles import Mark, Mishap

log = structlog.get_logger(__name__)

LOOK_EVERY = 60.0
#: After these there may be something to tell at once.
LEFT = "place.left"
NEWS = frozenset({LEFT, "post.failed"})
#: A missed post is made up no later than that.
LATEST = timedelta(days=7)
#: So much is told in one message; the log has all of it.
MOST_LINES = 10
NONE = Stretch()


@dataclass(frozen=True)
class Known:
    """What is known from looks before."""

    since: datetime
    mark: Mark
    #: Mishaps that were news at an earlier look, and are still in sight.
    mishaps: frozenset[Mishap]
    words: Stretch = NONE
    pictures: Stretch = NONE
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True)
class News:
    """What the rows say that they did not say at the last look."""

    known: Known
    mishaps: tuple[Mishap, ...]
    left: tuple[Place, ...]


class Lookout:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: Known | None = None
        #: Places that we were shown the door of, and nobody was told yet.
        self._left: list[int] = []
        #: A picture model that was there once is missed when it is gone.
        self._paints = False
        self._bell = Bell(engine.clock)

    async def run(self) -> None:
        with self._engine.events.watch(lambda event: event.name in NEWS) as news:
            heeding = asyncio.create_task(self._heed(news))
            try:
                while True:
                    self._bell.hush()
                    await self.look()
                    await self._bell.rest(LOOK_EVERY)
            finally:
                heeding.cancel()

    async def _heed(self, news: Watch) -> None:
        async for event in news:
            self._take_in(event)
            self._bell.ring()

    def _take_in(self, event: Event) -> None:
        if event.name == LEFT:
            self._left += event.about["places"]

    async def look(self) -> None:
        """Look once, and tell what there is to tell. What could not be told is seen again at the next look."""
        left = tuple(self._left)
        news = await self._engine.database.look(partial(self._looked, left=left))
        system = await asyncio.to_thread(monitor.system, self._engine.settings.home, os.getpid())
        seen = Seen(
            system.disk,
            system.disk_free,
            words=self._writer(news.known.words),
            pictures=await self._painter(news.known.pictures),
            mishaps=news.mishaps,
            left=news.left,
        )
        at = self._engine.clock.monotonic()
        before = news.known.standing
        standing, told = alerts.heed(before, alerts.troubles(seen), at)
        if told:
            await self._tell(told, self._kept(before, standing, at))
        self._known = replace(news.known, standing=standing)
        del self._left[: len(left)]

    async def _looked(self, tx: AsyncConnection, left: Sequence[int]) -> News:
        known = self._known
        mark = await troubles.mark(tx)
        since = known.since if known else self._engine.clock.now() - LATEST
        failed = await troubles.failed(tx, since=since)
        unseen = await troubles.unseen(tx, first=known.mark.delivery if known else 0)
        places = [await chats.place_of(tx, chat_id) for chat_id in left]
        met = frozenset((*failed, *unseen))
        if known is None:
            # Whatever is held now still is to be decided; all else was told when it happened, or is long past.
            held = [one for one in unseen if one.held]
            told = {one.key: one for one in await store.told(tx)}
            new = tuple(one for one in held if alerts.key_of(one) not in told)
            return News(Known(since, mark, met, standing=self._remembered(told.values())), new, ())
        return News(
            Known(
                since,
                mark,
                met,
                stretched(known.words, await troubles.replies(tx, known.mark.turn)),
                stretched(known.pictures, await troubles.painted(tx, known.mark.picture)),
                known.standing,
            ),
            tuple(one for one in (*failed, *unseen) if one not in known.mishaps),
            tuple(place for place in places if place is not None and place.shared),
        )

    def _writer(self, stood_in: Stretch) -> Model:
        wishes, told = self._engine.settings.language, self._engine.shelf.told()
        there = wishes.models != "off" and bool(told or wishes.model or wishes.chat)
        broken = next((f"{name}: {why}" for name, state, why in told if state is State.BROKEN), "")
        return Model(there, broken, stood_in)

    async def _painter(self, stood_in: Stretch) -> Model:
        settings = self._engine.settings
        if settings.pictures.models == "off":
            return Model()
        made = await asyncio.to_thread(painting.choice, settings)
        self._paints = self._paints or made.found is not None or bool(settings.pictures.model)
        return Model(self._paints, "" if made.found else made.reason, stood_in)

    def _remembered(self, told: Iterable[Told]) -> Standing:
        """How things stood when the house closed. Clocks that never jump begin anew with each start."""
        now, at = self._engine.clock.now(), self._engine.clock.monotonic()
        ago = {one.key: max(0.0, (now - one.at).total_seconds()) for one in told}
        return Standing(
            told={key: at - seconds for key, seconds in ago.items()},
            left_open=frozenset(one.key for one in told if one.lasts),
        )

    def _kept(self, before: Standing, standing: Standing, at: float) -> list[Told]:
        """What changed in what was told: it is new, or over."""
        now = self._engine.clock.now()
        changed = [key for key, when in standing.told.items() if when == at and before.told.get(key) != at]
        changed += [key for key in before.open if key not in standing.open and key not in changed]
        return [
            Told(key, now - timedelta(seconds=at - standing.told.get(key, at)), key in standing.open)
            for key in changed
        ]

    async def _tell(self, told: Sequence[Said], kept: Sequence[Told]) -> None:
        people = self._engine.settings.people
        operators = people.operators if people.alerts else ()
        own = await self._engine.database.look(partial(troubles.own_chats, operators=operators))
        for one in told:
            log.warning("alert", says=str(one), told=len(own))
        if not own:
            return
        now = self._engine.clock.now()

        async def owed(tx: AsyncConnection) -> None:
            for chat in own:
                locale = locale_of(chat.language)
                lines = [locale.says(one) for one in told[:MOST_LINES]]
                if len(told) > MOST_LINES:
                    lines.append(locale.say("alerts.more", n=len(told) - MOST_LINES))
                await outbox.owe(tx, chat.chat_id, DeliveryKind.NOTICE, text="\n".join(lines), now=now)
            await store.keep(tx, kept)
            await store.forget(tx, before=now - alerts.AGAIN_AFTER)

        await self._engine.database.change(owed)
        self._engine.events.publish("notice.stored")
