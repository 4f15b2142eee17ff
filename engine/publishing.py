"""The loop behind posts: times of schedules become posts, posts are made, and what is due is owed to its chats.

It holds nothing that the rows do not say, so it may end anywhere and begin again, and another process may do the same
beside it: each change is one transaction that names the state it starts from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import BadRequest, GreenroomError, NotFound
from engine.events import Events, Watch
from engine.imagining import Imagining
from engine.locales import Said, say
from engine.making import Making, Reached, without_picture
from engine.occurrences import zone_of
from engine.planning import (
    AHEAD,
    MOST_AHEAD,
    PICTURE_PATIENCE,
    Plan,
    Verdict,
    ahead_of,
    is_by_hand,
    key_of,
    planned,
    post_options,
    seed_of,
    state_made,
    theme_of,
    verdict,
    wants,
)
from engine.store import outbox, posts
from engine.store.database import Database
from engine.store.posts import Under
from engine.store.records import DeliveryKind, JobState, Post, PostState, Schedule, ScheduleState
from engine.timetable import Timing
from engine.timewords import read

log = structlog.get_logger(__name__)

#: Another process may have changed rows without being able to nudge us, in seconds.
LOOK_EVERY = 5.0
#: So many posts are made at once, each of another persona: the second is to know what the first one said.
AT_ONCE = 4
#: A post that could not be made so often, for no reason of ours, has failed.
MOST_TRIES = 5


@dataclass(frozen=True)
class Published:
    post: Post
    deliveries: tuple[int, ...]


@dataclass(frozen=True)
class Open:
    """What there is to do at a moment: times to become posts, pictures that came, posts that are due."""

    now: datetime
    to_plan: tuple[Schedule, ...]
    made: tuple[Under, ...]
    due: tuple[Under, ...]
    #: When there is more to do, if nothing happens meanwhile.
    coming: datetime | None


class Publishing:
    def __init__(
        self, database: Database, making: Making, imagining: Imagining, events: Events, clock: Clock
    ) -> None:
        self._database = database
        self._making = making
        self._imagining = imagining
        self._events = events
        self._clock = clock
        self._news = asyncio.Event()
        self._to_make = asyncio.Event()
        #: Posts that could not be made, and how often that was tried.
        self._tries: dict[int, int] = {}

    def nudge(self) -> None:
        """Something was changed: there may be something to do at once."""
        self._news.set()
        self._to_make.set()

    def tell_outbox(self) -> None:
        """Something is owed."""
        self._events.publish("post.published")

    async def run(self) -> None:
        """Plan, make and publish until cancelled."""
        with self._events.watch(lambda event: event.name == "job.ended") as news:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heed(news))
                group.create_task(self._keep_making())
                group.create_task(self._keep_time())

    async def _heed(self, news: Watch) -> None:
        async for _event in news:
            self._news.set()

    async def _keep_making(self) -> None:
        while True:
            self._to_make.clear()
            await self.make()
            await self._to_make.wait()

    async def _keep_time(self) -> None:
        while True:
            self._news.clear()
            until = await self.round()
            self._to_make.set()
            await self._pause(until)

    async def _pause(self, until: datetime | None) -> None:
        """Until it is time, or there is news, or somebody else may have changed something."""
        seconds = LOOK_EVERY
        if until is not None:
            seconds = min(seconds, max(0.001, (until - self._clock.now()).total_seconds()))
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._news.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def round(self) -> datetime | None:
        """All that can be done at once; answers when there is more to do. To make posts takes long: see `make`."""
        open_ = await self._look()
        done = [
            *[await self._plan(one, open_.now) for one in open_.to_plan],
            *[await self._gather(one) for one in open_.made],
            *[await self._publish(one, open_) for one in open_.due],
        ]
        return (await self._look() if any(done) else open_).coming

    async def _look(self) -> Open:
        return await self._database.look(partial(_open, now=self._clock.now()))

    # Times become posts.

    async def _plan(self, schedule: Schedule, now: datetime) -> bool:
        try:
            return await self._plan_one(schedule, now)
        except BadRequest as error:
            # It was written by a hand or a program that knew more, or less. The others go on.
            told = {"schedule": schedule.id, "spec": schedule.spec, "cause": str(error)}
            log.error("schedule_unreadable", **told)  # noqa: TRY400 - the sentence says it all
            paused = partial(posts.change_schedule, known=schedule, state=ScheduleState.PAUSED)
            return await self._database.change(paused) is not None

    async def _plan_one(self, schedule: Schedule, now: datetime) -> bool:
        timing, _ = read(schedule.spec)
        plan = planned(
            timing,
            zone_of(schedule.zone),
            since=schedule.next_due_at or now,
            now=now,
            ahead=ahead_of(schedule.options),
            seed=seed_of(schedule),
        )
        made = await self._database.change(
            partial(_taken_in, schedule=schedule, timing=timing, plan=plan, now=now)
        )
        for post in made:
            if post.state is PostState.SKIPPED:
                log.warning("post_passed_over", post=post.id, schedule=schedule.id, cause=post.error)
            else:
                log.info("post_planned", post=post.id, schedule=schedule.id, due=post.due_at.isoformat())
        return bool(made)

    # Posts are made.

    async def make(self) -> int:
        """Make what is planned, each post once; answers how many were tried. What fails is tried again next time."""
        tried: set[int] = set()
        while True:
            found = await self._database.look(posts.to_make)
            batch: dict[int, Post] = {}
            for post in found:
                if post.id not in tried and len(batch) < AT_ONCE:
                    batch.setdefault(post.persona_id, post)
            if not batch:
                return len(tried)
            tried |= {post.id for post in batch.values()}
            await asyncio.gather(*(self._make(post) for post in batch.values()))
            self._news.set()

    async def _make(self, post: Post) -> None:
        try:
            await self._making.make(post)
        except Exception as error:
            tries = self._tries[post.id] = self._tries.get(post.id, 0) + 1
            log.exception("post_not_made", post=post.id, tries=tries)
            if tries >= MOST_TRIES and not isinstance(error, GreenroomError):
                await self._making.fail(post, say("posting.reason.not_made"))
        else:
            self._tries.pop(post.id, None)

    async def _gather(self, under: Under) -> bool:
        """A picture has come, or will not."""
        post = await self._database.change(partial(_gathered, under=under))
        if post is None:
            return False
        told = log.info if post.picture_id is not None else log.warning
        told("post_made", post=post.id, job=under.post.job_id, state=post.state.value, error=post.error)
        return True

    # Posts are shown.

    async def _publish(self, under: Under, open_: Open) -> bool:
        """What is due is owed to its chats, or is not; False where it is still waited for."""
        what = verdict(under, open_.now, newer=_is_followed(under, open_.due))
        if what is Verdict.WAIT:
            reached = await self._database.look(partial(self._reached, post=under.post))
            if reached.places:
                return False
            await self._let_go(under, what, why=str(reached.why))
        elif what is Verdict.PUBLISH:
            await self._publish_one(under, open_.now)
        else:
            await self._let_go(under, what)
        return True

    async def _publish_one(self, under: Under, now: datetime) -> None:
        post = under.post
        published = await self._database.change(partial(self._published, under=under, now=now))
        if published is None:
            return  # somebody else was quicker
        if not published.deliveries:
            log.warning("post_skipped", post=post.id, cause=published.post.error)
            await self._stop_painting(under)
            return
        late = round((now - post.due_at).total_seconds(), 3)
        log.info(
            "post_published",
            post=post.id,
            schedule=post.schedule_id,
            late=late,
            chats=len(published.deliveries),
        )
        self._events.publish("post.published", post=post.id, chat_id=post.chat_id)
        if published.post.picture_id is None:
            await self._stop_painting(under)

    async def _published(self, tx: AsyncConnection, under: Under, now: datetime) -> Published | None:
        post, change = under.post, partial(posts.change, tx, under.post.id, was=(under.post.state,))
        reached = await self._reached(tx, post)
        if not reached.places:
            skipped = await change(state=PostState.SKIPPED, error=str(reached.why))
            return Published(skipped, ()) if skipped else None
        picture, why = post.picture_id or under.picture_id, post.error
        if picture is None and wants(post, "picture") and not why:
            why = str(say("posting.reason.picture_late"))
        shown = await change(state=PostState.PUBLISHED, picture_id=picture, error=why)
        if shown is None:
            return None
        owed = [
            await outbox.owe(
                tx,
                place.id,
                DeliveryKind.POST,
                text=shown.caption if wants(shown, "text") else "",
                post_id=shown.id,
                job_id=shown.job_id if picture is not None else None,
                source=shown.source,
                now=now,
            )
            for place in reached.places
        ]
        return Published(shown, tuple(owed))

    async def _reached(self, tx: AsyncConnection, post: Post) -> Reached:
        try:
            return await self._making.reached(tx, post)
        except NotFound:
            return Reached((), why=say("posting.reason.persona_gone"))

    async def _let_go(self, under: Under, what: Verdict, *, why: str = "") -> None:
        post, state, error = under.post, PostState.SKIPPED, why or str(say(_REASONS[what]))
        if what is Verdict.NOTHING:
            state, error = PostState.FAILED, post.error or error
        let_go = partial(posts.change, post_id=post.id, was=(post.state,), state=state, error=error)
        if await self._database.change(let_go) is not None:
            log.warning("post_skipped", post=post.id, state=state.value, cause=error)
            await self._stop_painting(under)

    async def _stop_painting(self, under: Under) -> None:
        """A picture that nobody waits for any more takes nobody's time."""
        if under.post.job_id is not None and under.job_state in (JobState.QUEUED, JobState.RUNNING):
            with suppress(BadRequest, NotFound):  # it has just ended
                await self._imagining.cancel(under.post.job_id)


async def _open(tx: AsyncConnection, now: datetime) -> Open:
    """What there is to do. Nearly always that is nothing, and it is asked again and again."""
    planned = await posts.to_plan(tx, soon=now + AHEAD, far=now + MOST_AHEAD, usual=AHEAD.total_seconds())
    due = await posts.due(tx, now=now)
    times = [
        at - (AHEAD if ahead is None else ahead_of({"ahead": ahead}))
        for at, ahead in await posts.next_times(tx)
    ]
    times += [one.post.due_at + PICTURE_PATIENCE for one in due if one.post.state is PostState.MAKING]
    if (next_due := await posts.next_due(tx, after=now)) is not None:
        times.append(next_due)
    return Open(
        now,
        tuple(one for one in planned if one.next_due_at and one.next_due_at - ahead_of(one.options) <= now),
        tuple(await posts.made(tx)),
        tuple(due),
        # Whatever could not be done at its time is tried again a moment later.
        max(now + timedelta(seconds=1), min(times)) if times else None,
    )


async def _taken_in(
    tx: AsyncConnection, schedule: Schedule, timing: Timing, plan: Plan, now: datetime
) -> list[Post]:
    """The times of a plan as posts. Nothing where somebody else has planned them, or changed the schedule."""
    state = ScheduleState.ENDED if plan.next_due is None else ScheduleState.ACTIVE
    since = schedule.next_due_at
    moved = await posts.change_schedule(tx, schedule, move=True, state=state, next_due_at=plan.next_due)
    if moved is None:
        return []
    made: list[Post | None] = []
    add = partial(
        posts.add, tx, chat_id=moved.chat_id, persona_id=moved.persona_id, now=now, schedule_id=moved.id
    )
    options = post_options(moved, timing.grace)
    if plan.passed is not None:
        why: Said = say("posting.reason.missed")
        if since is not None and since < plan.passed.due:
            local = since.astimezone(zone_of(moved.zone))
            why = say("posting.reason.missed_since", since=f"{local:%Y-%m-%d %H:%M}")
        made.append(
            await add(
                key=key_of(moved, plan.passed.key),
                due_at=plan.passed.due,
                state=PostState.SKIPPED,
                error=str(why),
                options=options,
            )
        )
    number = await posts.count_of(tx, moved.id) if moved.options.get("themes") else 0
    for ahead, one in enumerate(plan.coming):
        theme = theme_of(moved, number + ahead)
        made.append(await add(key=key_of(moved, one.key), due_at=one.due, theme=theme, options=options))
    return [one for one in made if one is not None]


async def _gathered(tx: AsyncConnection, under: Under) -> Post | None:
    """A picture has come, or will not. Whether somebody has to approve the post is read again: they may have."""
    post = under.post
    if under.job_state is not JobState.DONE or under.picture_id is None:
        why: Said = say("posting.reason.picture_cancelled")
        if under.job_state is JobState.FAILED:
            why = say("posting.reason.no_picture", why=under.job_error)
        return await without_picture(tx, post, str(why), of_job=post.job_id)
    now = await posts.get(tx, post.id)
    return await posts.change(
        tx,
        post.id,
        was=(PostState.MAKING,),
        of_job=post.job_id,
        state=state_made(now),
        picture_id=under.picture_id,
        error="",
    )


def _is_followed(under: Under, due: Sequence[Under]) -> bool:
    """Whether a later time of the same schedule is due as well."""
    post = under.post
    if post.schedule_id is None or is_by_hand(post):
        return False
    return any(
        one.post.schedule_id == post.schedule_id
        and one.post.due_at > post.due_at
        and not is_by_hand(one.post)
        for one in due
    )


_REASONS = {
    Verdict.MISSED: "posting.reason.missed",
    Verdict.UNAPPROVED: "posting.reason.unapproved",
    Verdict.NOTHING: "posting.reason.picture_late",
}
