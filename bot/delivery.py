"""Drains the outbox: takes what is owed, shows it through its front, and writes down that it arrived.

In order within a chat, at once across chats. What cannot be shown now waits with growing pauses; what can never be
shown is given up with a line in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.completing import Completing
from bot.front import Front
from engine.engine import Engine
from engine.errors import DeliveryFailed, GreenroomError, NotReachable, TryAgain
from engine.events import Watch
from engine.store import messages as shown_messages
from engine.store import outbox, posts
from engine.store.records import ChatRef, Delivery, DeliveryKind, Manner, Place
from engine.unbroken import ended, unbroken

log = structlog.get_logger(__name__)

#: Another process may have added rows without being able to nudge us.
LOOK_EVERY = 2.0
#: Nobody was there. They are heard coming, and this is for the case that they came in that very moment.
ABSENT_PAUSE = timedelta(minutes=1)
MOST_ATTEMPTS = 8
#: When the house closes, so long for what is being shown at that moment.
FINISH_WITHIN = 1.5
#: After these there is something new to show.
NEWS = frozenset({"reply.stored", "notice.stored", "job.ended", "post.published"})


class Hands(Protocol):
    """Who else uses the messages in which deliveries are shown."""

    async def before(self, row: Delivery) -> None:
        """Wait until nothing else is shown any more in the messages that a delivery is going to take over."""

    def after(self, row: Delivery) -> None:
        """It is there."""


class Deliveries:
    """One pump for all fronts of this process."""

    def __init__(
        self,
        engine: Engine,
        fronts: Sequence[Front],
        hands: Hands | None = None,
    ) -> None:
        self._engine = engine
        self._hands = hands
        self._completing = Completing(engine)
        self._fronts: Mapping[tuple[str, str], Front] = {(f.name, f.account): f for f in fronts}
        self._news = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], ChatRef] = {}

    def nudge(self) -> None:
        self._news.set()

    async def somebody_came(self, place: Place) -> None:
        """Somebody is in the chat now, and its front knows it: what waited for them goes out at once."""
        # Whoever found nobody there a moment ago must have said so first, or it would be said over this.
        if showing := [task for task, chat in self._under_way.items() if chat == place.ref]:
            await asyncio.wait(showing)
        await self._write_down(partial(outbox.wake, chat_id=place.id))
        self._news.set()

    async def recover(self) -> None:
        """At a start: what was being shown when the last process ended may have arrived, or not."""
        for address, front in self._fronts.items():
            async with self._engine.database.write() as tx:
                again, held = await outbox.recover(tx, [address], recognises_repeats=front.recognises_repeats)
            if again or held:
                log.warning("deliveries_unknown", front=front.name, sent_again=again, held=held)

    async def run(self) -> None:
        """Show what is owed until cancelled; what is being shown at that moment is still finished."""
        await self.recover()
        with self._engine.events.watch(lambda event: event.name in NEWS) as news:
            nudging = asyncio.create_task(self._nudge_by(news))
            try:
                while True:
                    self._news.clear()
                    if not await self._drain():
                        await self._pause()
            except asyncio.CancelledError:
                await self._drain()  # what was promised a moment ago is not left for the next start
                raise
            finally:
                nudging.cancel()
                await self._finish()

    async def _finish(self) -> None:
        """What takes longer than the house has is *unknown*, and shown again after the next start."""
        await ended(self._under_way, within=FINISH_WITHIN)

    async def _nudge_by(self, news: Watch) -> None:
        async for _event in news:
            self._news.set()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await self._news.wait()

    async def _drain(self) -> bool:
        """Start showing all that may go out now; False when there was nothing."""
        try:
            # What is marked as under way must be: a cancellation between the two would leave it for the next start.
            return await unbroken(self._take())
        except GreenroomError as error:
            log.warning("outbox_not_read", cause=str(error))
            return False

    async def _take(self) -> bool:
        fronts, now = list(self._fronts), self._engine.clock.now()
        # Most looks find nothing, and nobody's words wait in line for the store behind them.
        if not await self._engine.database.look(partial(outbox.anything, fronts=fronts, now=now)):
            return False
        most_rated = self._engine.settings.safety.rating
        take = partial(outbox.take, fronts=fronts, now=now, most_rated=most_rated)
        owed = await self._engine.database.change(take)
        by_chat: dict[ChatRef, list[Delivery]] = {}
        for row in owed:
            by_chat.setdefault(row.chat, []).append(row)
        for rows in by_chat.values():
            task = asyncio.create_task(self._show_all(rows))
            self._under_way[task] = rows[0].chat
            task.add_done_callback(self._under_way.pop)
        return bool(owed)

    async def _show_all(self, rows: list[Delivery]) -> None:
        """One chat's rows, one after the other; at the first that must wait, the rest wait too."""
        while rows:
            pause = await self._show(rows[0])
            if pause is not None:
                until = self._engine.clock.now() + pause
                await self._write_down(
                    partial(_put_off, rows=rows, until=until, counted=pause != ABSENT_PAUSE)
                )
                return
            rows = rows[1:]
        self._news.set()  # more may have come for this chat, and was held back by these

    async def _show(self, row: Delivery) -> timedelta | None:
        """Show one row; answers how long to wait when it must be shown later."""
        front = self._fronts[row.chat.front, row.chat.account]
        try:
            if self._hands and front.keeps_messages:
                await self._hands.before(row)
            outgoing = await self._completing.complete(row, edits=front.keeps_messages)
            messages = await front.deliver(outgoing)
        except NotReachable:
            return ABSENT_PAUSE
        except TryAgain as error:
            return min(outbox.LONGEST_PAUSE, timedelta(seconds=error.after_s))
        except DeliveryFailed as error:
            await self._give_up(row, error.sentence)
            return None
        except Exception as error:
            if row.attempts >= MOST_ATTEMPTS:
                await self._give_up(row, str(error))
                return None
            log.warning("delivery_postponed", delivery=row.id, attempt=row.attempts, cause=repr(error))
            return min(outbox.LONGEST_PAUSE, timedelta(seconds=2.0**row.attempts))
        await self._write_down(partial(_sent, row=row, messages=messages, now=self._engine.clock.now()))
        self._engine.gauges.count("deliveries", row.chat.front, "sent")
        if self._hands:
            self._hands.after(row)
        return None

    async def _give_up(self, row: Delivery, error: str) -> None:
        self._engine.gauges.count("deliveries", row.chat.front, "failed")
        log.error("delivery_given_up", delivery=row.id, turn=row.turn_id, job=row.job_id, cause=error)
        await self._write_down(partial(outbox.give_up, delivery_id=row.id, error=error))

    async def _write_down(self, change: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """What became of a delivery; waits out the store's trouble, or its chat would stand still until a restart."""
        while True:
            try:
                return await self._engine.database.change(change)
            except Exception as error:
                log.warning("outbox_not_written", cause=repr(error))
                await asyncio.sleep(LOOK_EVERY)


async def _sent(tx: AsyncConnection, row: Delivery, messages: Sequence[str], now: datetime) -> None:
    """It arrived, and is to be seen in these messages from now on."""
    # First of all: whoever takes a post back meanwhile waits, and then finds the messages.
    recalled = row.post_id is not None and await posts.is_recalled(tx, row.post_id)
    arrived = await outbox.sent(tx, row.id, messages, now=now)
    if arrived is None:
        return
    if recalled or (row.turn_id is not None and arrived.turn_id is None):
        # Taken back while it was on its way.
        gone = Manner(removes=tuple(messages))
        await outbox.owe(tx, row.chat_id, DeliveryKind.REMOVAL, manner=gone, now=now)
    await shown_messages.shown(tx, row.chat_id, row.id, messages)
    if row.manner.removes:
        await shown_messages.forgotten(tx, row.chat_id, row.manner.removes)


async def _put_off(tx: AsyncConnection, rows: Sequence[Delivery], until: datetime, counted: bool) -> None:
    """The first was tried, perhaps in vain; those behind it were not tried at all."""
    first, *behind = [row.id for row in rows]
    await outbox.wait(tx, [first], until=until, counted=counted)
    if behind:
        await outbox.wait(tx, behind, until=until, counted=False)
