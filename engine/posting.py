"""Personas that post: schedules, and the posts that come of them, for whoever orders, approves or takes them back.

Each order is one change of the rows; what follows from it, `run` does. Who may order what, it does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import occurrences, safety, schedules
from engine.captions import LONGEST
from engine.clock import Clock
from engine.errors import BadRequest, NotFound
from engine.imagining import Imagining
from engine.language import Source
from engine.locales import say
from engine.making import PAUSED, POSTS, Making
from engine.occurrences import zone_of
from engine.planning import seed_of, state_made, wants
from engine.publishing import Publishing
from engine.store import chats, outbox, posts
from engine.store.database import Database
from engine.store.records import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    Manner,
    Person,
    PersonaRecord,
    Place,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from engine.timetable import Timing
from engine.timewords import read

log = structlog.get_logger(__name__)


def preview_seed(place: Place, persona: PersonaRecord) -> str:
    """What will draw the minute of a window in a schedule that is made here: its next times can be told before."""
    return f"{place.id}:{persona.id}"


class Posting:
    """Takes orders for posts; `run` carries them out for as long as the house is open."""

    def __init__(
        self,
        database: Database,
        publishing: Publishing,
        making: Making,
        imagining: Imagining,
        clock: Clock,
    ) -> None:
        self._database = database
        self.publishing = publishing
        self._making = making
        self._imagining = imagining
        self._clock = clock

    async def run(self) -> None:
        await self.publishing.run()

    # Schedules

    async def add(
        self,
        *,
        place: Place,
        persona: PersonaRecord,
        person: Person | None,
        timing: Timing,
        zone: str,
        theme: str,
        options: Mapping[str, Any],
    ) -> Schedule:
        """Raises `BadRequest` for what never comes, `NotFound` for a chat or a style that is not there."""
        told = schedules.checked(options, self._imagining)
        added = partial(
            schedules.add,
            chat_id=place.id,
            persona_id=persona.id,
            person_id=person.id if person else None,
            timing=timing,
            zone=zone_of(zone),
            theme=schedules.checked_theme(theme, self._imagining),
            options=told | {"seed": str(options.get("seed") or preview_seed(place, persona))},
            now=self._clock.now(),
        )
        schedule = await self._database.change(added)
        log.info("schedule_added", schedule=schedule.id, spec=schedule.spec, zone=schedule.zone)
        self.publishing.nudge()
        return schedule

    async def listing(self, chat_id: int | None = None) -> list[Schedule]:
        return await self._database.look(partial(posts.schedule_listing, chat_id=chat_id))

    async def get(self, schedule_id: int) -> Schedule:
        return await self._database.look(partial(posts.schedule, schedule_id=schedule_id))

    def next_times(self, schedule: Schedule, most: int = 5) -> list[datetime]:
        """When it posts next, in UTC; a schedule that is paused is told as if it were not."""
        if schedule.state is ScheduleState.ENDED:
            return []
        passed_over = set(schedule.options.get(schedules.SKIPPED, ()))
        found = occurrences.next_times(
            read(schedule.spec)[0],
            zone_of(schedule.zone),
            self._clock.now(),
            seed=seed_of(schedule),
            most=most + len(passed_over),
        )
        return [one for one in found if one.isoformat() not in passed_over][:most]

    async def pause(self, schedule_id: int) -> Schedule:
        """Nothing more is planned, and what was planned is not shown unless it goes on before its time."""
        return await self._changed(partial(schedules.pause, schedule_id=schedule_id))

    async def resume(self, schedule_id: int) -> Schedule:
        """It goes on with its next time; what would have come meanwhile is not made up."""
        now = self._clock.now()
        return await self._changed(partial(schedules.resume, schedule_id=schedule_id, now=now))

    async def remove(self, schedule_id: int) -> None:
        """It is gone, with what was planned. What was published stays."""
        await self._let_go(await self._database.change(partial(schedules.remove, schedule_id=schedule_id)))
        log.info("schedule_removed", schedule=schedule_id)

    async def edit(
        self,
        schedule_id: int,
        *,
        timing: Timing | None = None,
        zone: str | None = None,
        theme: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Schedule:
        """What is named is changed, `options` one by one. What was planned is planned anew."""
        change = schedules.Change(
            timing,
            None if zone is None else zone_of(zone),
            None if theme is None else schedules.checked_theme(theme, self._imagining),
            schedules.checked(options or {}, self._imagining),
        )
        edited = partial(schedules.edit, schedule_id=schedule_id, change=change, now=self._clock.now())
        schedule, gone = await self._database.change(edited)
        await self._let_go(gone)
        log.info("schedule_edited", schedule=schedule.id, spec=schedule.spec, zone=schedule.zone)
        return schedule

    async def skip_next(self, schedule_id: int) -> Schedule:
        """Its next time is passed over, whether or not that is a post by now."""
        skipped = partial(schedules.skip_next, schedule_id=schedule_id, now=self._clock.now())
        schedule, gone = await self._database.change(skipped)
        await self._let_go(gone)
        return schedule

    async def run_now(self, schedule_id: int) -> Post:
        """One more post, as soon as it is made. Whoever orders it has approved it."""
        ordered = partial(schedules.order, schedule_id=schedule_id, now=self._clock.now())
        post = await self._database.change(ordered)
        log.info("post_ordered", post=post.id, schedule=schedule_id)
        self.publishing.nudge()
        return post

    # Posts

    async def posts(
        self, chat_id: int | None = None, states: Iterable[PostState] | None = None, most: int = 20
    ) -> list[Post]:
        """The latest first."""
        return await self._database.look(
            partial(
                posts.listing, chat_id=chat_id, states=None if states is None else list(states), most=most
            )
        )

    async def post(self, post_id: int) -> Post:
        return await self._database.look(partial(posts.get, post_id=post_id))

    async def approve(self, post_id: int) -> Post:
        """It is shown at its time; one that is not made yet waits for nobody once it is."""

        async def approved(tx: AsyncConnection) -> Post:
            known = await _open(tx, post_id)
            state = PostState.READY if known.state is PostState.WAITING else known.state
            options = known.options | {"approved": True}
            changed = await posts.change(tx, post_id, was=(known.state,), state=state, options=options)
            return _unchanged(changed)

        return await self._changed_post(approved, "post_approved")

    async def skip(self, post_id: int) -> Post:
        async def skipped(tx: AsyncConnection) -> Post:
            known = await _open(tx, post_id)
            why = str(say("posting.reason.by_hand"))
            changed = await posts.change(tx, post_id, was=(known.state,), state=PostState.SKIPPED, error=why)
            return _unchanged(changed)

        post = await self._changed_post(skipped, "post_skipped")
        await self._let_go([post])
        return post

    async def reword(self, post_id: int, caption: str | None) -> Post:
        """Another caption: this one, or None: one that a model writes, and that is to be approved like any other."""
        known = await self._database.look(partial(_open, post_id=post_id))
        if caption is None:
            made = await self._making.caption(known, unlike=(known.caption,) if known.caption else ())
            text, source = made.text, made.source
        else:
            text, source = safety.cleaned(caption, most=LONGEST), Source.PERSON
            self._imagining.check_words(text)

        async def reworded(tx: AsyncConnection) -> Post:
            now = await _open(tx, post_id)
            options = now.options | {"text": True}
            state = now.state
            if caption is None:
                options = _unapproved(options)
                if state in (PostState.WAITING, PostState.READY):
                    state = state_made(replace(now, options=options))
            changes: dict[str, Any] = {"caption": text, "source": source, "options": options}
            return _unchanged(await posts.change(tx, post_id, was=(now.state,), state=state, **changes))

        return await self._changed_post(reworded, "post_reworded")

    async def repicture(self, post_id: int) -> Post:
        """Another picture, put in line as soon as its prompt is written."""

        async def again(tx: AsyncConnection) -> tuple[Post, Post]:
            known = await _open(tx, post_id)
            if not wants(known, "picture"):
                raise BadRequest(say("posting.no_picture_wanted", id=str(post_id)))
            options = _unapproved(known.options) | {"take": int(known.options.get("take", 1)) + 1}
            state = known.state if known.state is PostState.PLANNED else PostState.MAKING
            changed = await posts.change(
                tx,
                post_id,
                was=(known.state,),
                state=state,
                job_id=None,
                picture_id=None,
                error="",
                options=options,
            )
            return _unchanged(changed), known

        post, before = await self._database.change(again)
        await self._let_go([before])
        log.info("post_repictured", post=post_id)
        return post

    async def recall(self, post_id: int) -> int:
        """A post that was published is taken back everywhere; answers how many messages that are."""
        now = self._clock.now()

        async def recalled(tx: AsyncConnection) -> int:
            known = await posts.get(tx, post_id)
            back = await posts.change(tx, post_id, was=(PostState.PUBLISHED,), state=PostState.RECALLED)
            if back is None:
                if known.state in posts.OPEN:
                    raise BadRequest(say("posting.not_published", id=str(post_id)))
                raise _over(known)
            count = 0
            for shown in await posts.shown(tx, post_id):
                if shown.state is DeliveryState.SENT and shown.messages:
                    gone = Manner(removes=shown.messages)
                    await outbox.owe(tx, shown.chat_id, DeliveryKind.REMOVAL, manner=gone, now=now)
                    count += len(shown.messages)
                elif shown.state in (DeliveryState.PENDING, DeliveryState.HELD):
                    await outbox.give_up(tx, shown.delivery_id, error="The post was taken back.")
                    count += 1
            return count

        count = await self._database.change(recalled)
        log.info("post_recalled", post=post_id, messages=count)
        self.publishing.tell_outbox()
        return count

    async def pause_place(self, chat_id: int, paused: bool) -> int:
        """Nothing is posted in a chat, or something is again; answers how many schedules that concerns."""

        async def set_so(tx: AsyncConnection) -> int:
            if await chats.place_of(tx, chat_id) is None:
                raise NotFound(say("posting.no_target", id=str(chat_id)))
            await chats.set_setting(tx, chat_id, POSTS, PAUSED if paused else "")
            there = await posts.schedule_listing(tx, chat_id=chat_id)
            return sum(one.state is ScheduleState.ACTIVE for one in there)

        count = await self._database.change(set_so)
        log.info("posts_of_place", chat_id=chat_id, paused=paused, schedules=count)
        self.publishing.nudge()
        return count

    # What may have arrived, and may not

    async def held(self, chat_id: int | None = None) -> list[Delivery]:
        """Posts that were being shown when the house stopped, on a platform that would show them twice."""
        return await self._database.look(partial(outbox.held, chat_id=chat_id))

    async def release(self, delivery_id: int, again: bool) -> None:
        """Somebody has looked: it is shown again, or stands there already."""
        released = partial(outbox.release, delivery_id=delivery_id, again=again, now=self._clock.now())
        if not await self._database.change(released):
            raise NotFound(say("posting.no_held", id=str(delivery_id)))
        log.info("delivery_released", delivery=delivery_id, again=again)
        self.publishing.tell_outbox()

    # What orders have in common

    async def _changed(self, work: Callable[[AsyncConnection], Awaitable[Schedule]]) -> Schedule:
        schedule = await self._database.change(work)
        log.info("schedule_changed", schedule=schedule.id, state=schedule.state.value)
        self.publishing.nudge()
        return schedule

    async def _changed_post(self, work: Callable[[AsyncConnection], Awaitable[Post]], what: str) -> Post:
        post = await self._database.change(work)
        log.info(what, post=post.id, state=post.state.value)
        self.publishing.nudge()
        return post

    async def _let_go(self, gone: Sequence[Post]) -> None:
        """Pictures that nobody waits for any more take nobody's time."""
        for post in gone:
            if post.job_id is not None and post.picture_id is None:
                with suppress(BadRequest, NotFound):  # it has ended
                    await self._imagining.cancel(post.job_id)
        self.publishing.nudge()


async def _open(tx: AsyncConnection, post_id: int) -> Post:
    known = await posts.get(tx, post_id)
    if known.state not in posts.OPEN:
        raise _over(known)
    return known


def _over(post: Post) -> BadRequest:
    return BadRequest(say("posting.is_over", id=str(post.id), state=say(f"posting.state.{post.state.value}")))


def _unchanged(post: Post | None) -> Post:
    if post is None:
        raise BadRequest(say("posting.changed_meanwhile"))
    return post


def _unapproved(options: Mapping[str, Any]) -> dict[str, Any]:
    """Nobody has seen it as it is now; but who orders a post by hand wants it whatever it is."""
    return {**options, "approved": bool(options.get("by_hand"))}
