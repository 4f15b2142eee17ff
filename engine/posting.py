"""Personas that post: schedules, and the posts that come of them, for whoever orders, approves or takes them back.

Each order is one change of the rows; what follows from it, `run` does. Who may order what, it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import occurrences, safety, schedules
from engine import posts as orders
from engine.captions import LONGEST
from engine.clock import Clock
from engine.errors import BadRequest, NotFound
from engine.imagining import Imagining
from engine.language import Source
from engine.locales import say
from engine.making import Making
from engine.occurrences import zone_of
from engine.planning import (
    SKIPPED,
    seed_of,
)
from engine.publishing import Publishing
from engine.store import chats, outbox, posts
from engine.store import schedules as rows
from engine.store.atonce import Work
from engine.store.database import Database
from engine.store.records import (
    Delivery,
    Person,
    PersonaRecord,
    Place,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from engine.timetable import Timing, written
from engine.timewords import read

log = structlog.get_logger(__name__)

Outcome = TypeVar("Outcome")


class Transaction(Protocol):
    """The transaction of an order: the database's own, or a caller's, in which more happens than the order.

    What follows from an order, for this process alone, is done after it.
    """

    async def __call__(self, work: Work[Outcome]) -> Outcome: ...


def preview_seed(place: Place, persona: PersonaRecord, timing: Timing, theme: str) -> str:
    """What will draw the minute of a window in a schedule that is made here: its next times can be told before.

    Two that say something else are drawn apart.
    """
    return f"{place.id}:{persona.id}:{written(timing)}:{theme}"


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
        dedup_key: str = "",
        told: str = "",
        within: Transaction | None = None,
    ) -> Schedule:
        """Raises `BadRequest` for what never comes, `NotFound` for a chat or a style that is not there.

        `dedup_key` names an order that counts once, and `told` is what it says, in brief: `Conflict` where it said
        something else before.
        """
        kept = schedules.checked(options, self._imagining)
        seed = str(options.get("seed") or preview_seed(place, persona, timing, theme))
        added = partial(
            schedules.add,
            chat_id=place.id,
            persona_id=persona.id,
            person_id=person.id if person else None,
            timing=timing,
            zone=zone_of(zone),
            theme=schedules.checked_theme(theme, self._imagining),
            options=kept | {"seed": seed},
            now=self._clock.now(),
            dedup_key=dedup_key,
            told=told,
        )
        schedule = await self._through(within)(added)
        log.info("schedule_added", schedule=schedule.id, spec=schedule.spec, zone=schedule.zone)
        self.publishing.nudge()
        return schedule

    async def listing(self, chat_id: int | None = None) -> list[Schedule]:
        return await self._database.look(partial(rows.listing, chat_id=chat_id))

    async def get(self, schedule_id: int) -> Schedule:
        return await self._database.look(partial(rows.get, schedule_id=schedule_id))

    def next_times(self, schedule: Schedule, most: int = 5) -> list[datetime]:
        """When it posts next, in UTC; a schedule that is paused is told as if it were not."""
        if schedule.state is ScheduleState.ENDED:
            return []
        passed_over = set(schedule.options.get(SKIPPED, ()))
        found = occurrences.next_times(
            read(schedule.spec)[0],
            zone_of(schedule.zone),
            self._clock.now(),
            seed=seed_of(schedule),
            most=most + len(passed_over),
        )
        return [one for one in found if one.isoformat() not in passed_over][:most]

    async def pause(self, schedule_id: int, *, within: Transaction | None = None) -> Schedule:
        """Nothing more is planned, and what was planned is not shown unless it goes on before its time."""
        return await self._changed(partial(schedules.pause, schedule_id=schedule_id), within)

    async def resume(self, schedule_id: int, *, within: Transaction | None = None) -> Schedule:
        """It goes on with its next time; what would have come meanwhile is not made up."""
        now = self._clock.now()
        return await self._changed(partial(schedules.resume, schedule_id=schedule_id, now=now), within)

    async def remove(self, schedule_id: int, *, within: Transaction | None = None) -> None:
        """It is gone, with what was planned. What was published stays."""
        removed = partial(schedules.remove, schedule_id=schedule_id)
        await self._let_go(await self._through(within)(removed))
        log.info("schedule_removed", schedule=schedule_id)

    async def edit(
        self,
        schedule_id: int,
        *,
        timing: Timing | None = None,
        zone: str | None = None,
        theme: str | None = None,
        options: Mapping[str, Any] | None = None,
        dry: bool = False,
        within: Transaction | None = None,
    ) -> Schedule:
        """What is named is changed, `options` one by one. What was planned is planned anew.

        `dry`: nothing is changed, and it is told as it would be.
        """
        change = schedules.Change(
            timing,
            None if zone is None else zone_of(zone),
            None if theme is None else schedules.checked_theme(theme, self._imagining),
            schedules.checked(options or {}, self._imagining),
        )
        now = self._clock.now()
        if dry:
            known = await self.get(schedule_id)
            return await self._database.look(
                partial(schedules.as_edited, known=known, change=change, now=now)
            )
        edited = partial(schedules.edit, schedule_id=schedule_id, change=change, now=now)
        schedule, gone = await self._through(within)(edited)
        await self._let_go(gone)
        log.info("schedule_edited", schedule=schedule.id, spec=schedule.spec, zone=schedule.zone)
        return schedule

    async def skip_next(self, schedule_id: int, *, within: Transaction | None = None) -> Schedule:
        """Its next time is passed over, whether or not that is a post by now."""
        skipped = partial(schedules.skip_next, schedule_id=schedule_id, now=self._clock.now())
        schedule, gone = await self._through(within)(skipped)
        await self._let_go(gone)
        return schedule

    async def run_now(self, schedule_id: int, *, by: str = "", within: Transaction | None = None) -> Post:
        """One more post, as soon as it is made. Whoever orders it has approved it. Where it would be shown nowhere,
        that is said at once.

        `by` names an order that counts once.
        """
        now = self._clock.now()

        async def ordered(tx: AsyncConnection) -> Post:
            if by and (there := await schedules.ordered(tx, schedule_id, by=by)) is not None:
                return there
            post = await schedules.order(tx, schedule_id, now=now, by=by)
            reached = await self._making.reached(tx, post)
            if not reached.places:
                raise BadRequest(reached.why)
            return post

        post = await self._through(within)(ordered)
        log.info("post_ordered", post=post.id, schedule=schedule_id)
        self.publishing.tell_changed(post.id)
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

    async def approve(self, post_id: int, *, within: Transaction | None = None) -> Post:
        """It is shown at its time; one that is not made yet waits for nobody once it is."""
        approved = partial(orders.approve, post_id=post_id, now=self._clock.now())
        return await self._changed_post(approved, "post_approved", within)

    async def skip(self, post_id: int, *, within: Transaction | None = None) -> Post:
        skipped = partial(orders.skip, post_id=post_id, now=self._clock.now())
        post = await self._changed_post(skipped, "post_skipped", within)
        await self._let_go([post])
        return post

    async def reword(self, post_id: int, caption: str | None, *, within: Transaction | None = None) -> Post:
        """Another caption: this one, or None: one that a model writes, and that is to be approved like any other."""
        known = await self._database.look(partial(orders.open_one, post_id=post_id))
        if caption is None:
            made = await self._making.caption(known, unlike=(known.caption,) if known.caption else ())
            text, source = made.text, made.source
        else:
            text, source = safety.cleaned(caption, most=LONGEST), Source.PERSON
            self._imagining.check_words(text)
        reworded = partial(orders.reword, post_id=post_id, text=text, source=source)
        return await self._changed_post(reworded, "post_reworded", within)

    async def repicture(self, post_id: int, *, within: Transaction | None = None) -> Post:
        """Another picture, put in line as soon as its prompt is written."""
        again = partial(orders.repicture, post_id=post_id)
        post, before = await self._through(within)(again)
        await self._let_go([before])
        log.info("post_repictured", post=post_id)
        self.publishing.tell_changed(post_id)
        return post

    async def recall(
        self, post_id: int, *, chat_id: int | None = None, within: Transaction | None = None
    ) -> int:
        """A post that was published is taken back, everywhere or in one chat, also out of what is remembered of the
        talk; answers how many messages that are.
        """
        recalled = partial(orders.recall, post_id=post_id, chat_id=chat_id, now=self._clock.now())
        count = await self._through(within)(recalled)
        log.info("post_recalled", post=post_id, messages=count)
        self.publishing.tell_changed(post_id)
        self.publishing.tell_outbox()
        return count

    async def pause_place(self, chat_id: int, paused: bool, *, within: Transaction | None = None) -> int:
        """Nothing is posted in a chat, or something is again; answers how many schedules that concerns."""

        async def set_so(tx: AsyncConnection) -> int:
            if await chats.place_of(tx, chat_id) is None:
                raise NotFound(say("posting.no_target", id=str(chat_id)))
            await chats.set_setting(tx, chat_id, posts.SETTING, posts.PAUSED if paused else "")
            there = await rows.listing(tx, chat_id=chat_id)
            return sum(one.state is ScheduleState.ACTIVE for one in there)

        count = await self._through(within)(set_so)
        log.info("posts_of_place", chat_id=chat_id, paused=paused, schedules=count)
        self.publishing.nudge()
        return count

    async def pause_persona(
        self,
        persona_id: int,
        paused: bool,
        chat_id: int | None = None,
        *,
        within: Transaction | None = None,
    ) -> int:
        """A persona's schedules rest, or go on, in a chat or everywhere; answers how many that concerns."""
        change = partial(schedules.pause_persona, persona_id=persona_id, chat_id=chat_id)
        if not paused:
            change = partial(
                schedules.resume_persona, persona_id=persona_id, chat_id=chat_id, now=self._clock.now()
            )
        count = await self._through(within)(change)
        log.info("posts_of_persona", persona=persona_id, chat_id=chat_id, paused=paused, schedules=count)
        self.publishing.nudge()
        return count

    # What may have arrived, and may not

    async def held(self, chat_id: int | None = None) -> list[Delivery]:
        """Posts that were being shown when the house stopped, on a platform that would show them twice."""
        return await self._database.look(partial(outbox.held, chat_id=chat_id))

    async def release(self, delivery_id: int, again: bool, *, within: Transaction | None = None) -> None:
        """Somebody has looked: it is shown again, or stands there already."""
        now = self._clock.now()

        async def released(tx: AsyncConnection) -> None:
            if not await outbox.release(tx, delivery_id, again=again, now=now):
                raise NotFound(say("posting.no_held", id=str(delivery_id)))

        await self._through(within)(released)
        log.info("delivery_released", delivery=delivery_id, again=again)
        self.publishing.tell_outbox()

    # What orders have in common

    def _through(self, within: Transaction | None) -> Transaction:
        return within or self._database.change

    async def _changed(self, work: Work[Schedule], within: Transaction | None) -> Schedule:
        schedule = await self._through(within)(work)
        log.info("schedule_changed", schedule=schedule.id, state=schedule.state.value)
        self.publishing.nudge()
        return schedule

    async def _changed_post(self, work: Work[Post], what: str, within: Transaction | None) -> Post:
        post = await self._through(within)(work)
        log.info(what, post=post.id, state=post.state.value)
        self.publishing.tell_changed(post.id)
        self.publishing.nudge()
        return post

    async def _let_go(self, gone: Sequence[Post]) -> None:
        """Pictures that nobody waits for any more take nobody's time."""
        for post in gone:
            if post.job_id is not None:
                with suppress(BadRequest, NotFound):  # it has ended
                    await self._imagining.cancel(post.job_id)
        self.publishing.nudge()
