"""The loop behind posts: times of schedules become posts, posts are made, and what is due is owed to its chats.

It holds nothing that the rows do not say, so it may end anywhere and begin again, and another process may do the same
beside it: each change is one transaction that names the state it starts from.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from engine.agenda import Open, behind, is_followed, look, taken_in
from engine.bell import Bell
from engine.clock import Clock
from engine.errors import BadRequest, GreenroomError, NotFound
from engine.events import Events, Watch
from engine.imagining import Imagining
from engine.lead import Lead
from engine.locales import say
from engine.making import Making, gathered
from engine.occurrences import zone_of
from engine.owing import published, reached
from engine.planning import (
    LENDING,
    PICTURE_PATIENCE,
    PUNCTUAL,
    Verdict,
    ahead_of,
    is_to_lend,
    planned,
    seed_of,
    take_of,
    verdict,
)
from engine.store import posts, schedules
from engine.store.database import Database
from engine.store.posts import Under
from engine.store.records import (
    JobState,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from engine.timewords import read

log = structlog.get_logger(__name__)

#: Another process may have changed rows without being able to nudge us, in seconds.
LOOK_EVERY = 5.0
#: How often it is looked up how long pictures take, in seconds.
LEAD_EVERY = 300.0
#: So many posts are made at once, each of another persona: the second is to know what the first one said.
AT_ONCE = 4
#: So many borrow a picture at once; all have a few seconds for it.
BORROWED_AT_ONCE = 16
#: A post that could not be made so often, for no reason of ours, has failed once it is late. Until then it is tried
#: again and again, with pauses that grow up to so many seconds.
MOST_TRIES, LONGEST_PAUSE = 5, 60.0


@dataclass(frozen=True)
class Tried:
    """A post that could not be made: how often that was tried, and when it may be again, in monotonic seconds."""

    times: int
    again_at: float


class Publishing:
    def __init__(
        self, database: Database, making: Making, imagining: Imagining, events: Events, clock: Clock
    ) -> None:
        self._database = database
        self._making = making
        self._imagining = imagining
        self._events = events
        self._clock = clock
        self._bell = Bell(clock)
        self._to_make = asyncio.Event()
        self._to_lend = asyncio.Event()
        #: Posts that could not be made.
        self._tried: dict[int, Tried] = {}
        #: Posts for which somebody was asked to lend a picture in place of a late one, and of which picture.
        self._asked_for: set[tuple[int, int]] = set()
        #: How long pictures take here, and when that was looked up, in monotonic seconds.
        self._known_lead: tuple[Lead, float] | None = None
        #: The latest moment that was seen; None: nothing was looked at yet.
        self._seen: datetime | None = None

    def nudge(self) -> None:
        """Something was changed: there may be something to do at once."""
        self._bell.ring()
        self._to_make.set()

    def tell_changed(self, post_id: int) -> None:
        """Whoever looks at a post sees another one now."""
        self._events.publish("post.changed", post=post_id)

    def tell_outbox(self) -> None:
        """Something is owed."""
        self._events.publish("post.published")

    async def run(self) -> None:
        """Plan, make and publish until cancelled."""
        with self._events.watch(lambda event: event.name == "job.ended") as news:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heed(news))
                group.create_task(self._keep_making())
                group.create_task(self._keep_lending())
                group.create_task(self._keep_time())

    async def _heed(self, news: Watch) -> None:
        async for _event in news:
            self._bell.ring()

    async def _keep_making(self) -> None:
        while True:
            self._to_make.clear()
            await self.make()
            await self._to_make.wait()

    async def _keep_lending(self) -> None:
        while True:
            self._to_lend.clear()
            await self.lend()
            await self._to_lend.wait()

    async def _keep_time(self) -> None:
        while True:
            self._bell.hush()
            until = await self.round()
            self._to_make.set()
            self._to_lend.set()
            await self._rest(until)

    async def _rest(self, until: datetime | None) -> None:
        pauses = (one.again_at - self._clock.monotonic() for one in self._tried.values())
        await self._bell.rest(min([LOOK_EVERY, *(pause for pause in pauses if pause > 0)]), until=until)

    async def round(self) -> datetime | None:
        """All that can be done at once; answers when there is more to do. To make posts takes long: see `make`."""
        await self._heed_clock()
        open_ = await self._look()
        done = [
            *[await self._plan(one, open_.now) for one in open_.to_plan],
            *[await self._gather(one) for one in open_.made],
        ]
        if any(done):  # what came just now may be due
            open_ = await self._look()
        shown = [await self._publish(one, open_) for one in open_.due]
        if any(shown):
            open_ = await self._look()
        for one in open_.over:
            await self._end(one)
        return open_.coming

    async def _look(self) -> Open:
        needed = (await self._lead()).needed
        return await self._database.look(partial(look, now=self._clock.now(), needed=needed))

    async def _lead(self) -> Lead:
        """How long pictures take here; looked up now and then, for it costs more than a look that finds nothing."""
        at = self._clock.monotonic()
        if self._known_lead is None or at - self._known_lead[1] >= LEAD_EVERY:
            self._known_lead = await self._making.lead(), at
        return self._known_lead[0]

    async def _heed_clock(self) -> None:
        """What was planned while the clock was ahead, perhaps by another process, would leave a long silence."""
        now, seen = self._clock.now(), self._seen
        if seen is not None and now >= seen - PUNCTUAL:
            self._seen = max(seen, now)
            return
        self._seen = now
        for schedule, due in await self._database.look(partial(behind, now=now)):
            back = partial(schedules.change, known=schedule, move=True, next_due_at=due)
            if await self._database.change(back) is not None:
                log.warning(
                    "schedule_set_back", schedule=schedule.id, was=str(schedule.next_due_at), now=str(due)
                )

    async def _end(self, schedule: Schedule) -> None:
        ended = partial(schedules.change, known=schedule, move=True, state=ScheduleState.ENDED)
        if await self._database.change(ended) is not None:
            log.info("schedule_ended", schedule=schedule.id)

    # Times become posts.

    async def _plan(self, schedule: Schedule, now: datetime) -> bool:
        try:
            return await self._plan_one(schedule, now)
        except BadRequest as error:
            # It was written by a hand or a program that knew more, or less. The others go on.
            told = {"schedule": schedule.id, "spec": schedule.spec, "cause": str(error)}
            log.error("schedule_unreadable", **told)  # noqa: TRY400 - the sentence says it all
            paused = partial(schedules.change, known=schedule, state=ScheduleState.PAUSED)
            return await self._database.change(paused) is not None

    async def _plan_one(self, schedule: Schedule, now: datetime) -> bool:
        timing, _ = read(schedule.spec)
        plan = planned(
            timing,
            zone_of(schedule.zone),
            since=schedule.next_due_at or now,
            now=now,
            ahead=ahead_of(schedule.options, (await self._lead()).needed),
            seed=seed_of(schedule),
        )
        made = await self._database.change(
            partial(taken_in, schedule=schedule, timing=timing, plan=plan, now=now)
        )
        for post in made:
            if post.state is PostState.SKIPPED:
                log.warning("post_passed_over", post=post.id, schedule=schedule.id, cause=post.error)
            else:
                log.info("post_planned", post=post.id, schedule=schedule.id, due=post.due_at.isoformat())
        return bool(made)

    # Posts are made.

    async def make(self) -> int:
        """Make what is planned, each post once; answers how many were tried. What fails is tried again later."""
        tried: set[int] = set()
        while True:
            found = await self._database.look(posts.to_make)
            self._tried = {post.id: self._tried[post.id] for post in found if post.id in self._tried}
            resting = {id_ for id_, one in self._tried.items() if one.again_at > self._clock.monotonic()}
            batch: dict[int, Post] = {}
            for post in found:
                if post.id not in tried | resting and len(batch) < AT_ONCE:
                    batch.setdefault(post.persona_id, post)
            if not batch:
                return len(tried)
            tried |= {post.id for post in batch.values()}
            if any(await asyncio.gather(*(self._make(post) for post in batch.values()))):
                self._bell.ring()

    async def _make(self, post: Post) -> bool:
        """False where its row is as it was."""
        try:
            changed = await self._making.make(post)
        except Exception as error:
            times = self._tried[post.id].times + 1 if post.id in self._tried else 1
            pause = min(LONGEST_PAUSE, 2.0 ** min(times - 1, 10))
            self._tried[post.id] = Tried(times, self._clock.monotonic() + pause)
            log.exception("post_not_made", post=post.id, tries=times, pause=pause)
            late = self._clock.now() >= post.due_at + PICTURE_PATIENCE
            if times < MOST_TRIES or not late or isinstance(error, GreenroomError):
                return False
            await self._making.give_up(post, say("posting.reason.not_made"))
            return True
        self._tried.pop(post.id, None)
        if changed:
            self.tell_changed(post.id)
        return changed

    async def lend(self) -> int:
        """Posts whose time comes while their picture is still being made borrow one; answers how many did.

        Apart from what makes posts: to write a caption may take longer than there is time.
        """
        now = self._clock.now()
        due = await self._database.look(partial(posts.due, now=now + LENDING))
        late = {(one.post.id, take_of(one.post)): one.post for one in due if is_to_lend(one, now)}
        self._asked_for.intersection_update(late)
        asked = [key for key in late if key not in self._asked_for]
        at_once = asyncio.Semaphore(BORROWED_AT_ONCE)
        lent = await asyncio.gather(*(self._lend(late[key], at_once) for key in asked))
        self._asked_for |= {key for key, one in zip(asked, lent, strict=True) if one is not None}
        if any(lent):
            self._bell.ring()
        return sum(one is True for one in lent)

    async def _lend(self, post: Post, at_once: asyncio.Semaphore) -> bool | None:
        """None where that is to be tried again."""
        try:
            async with at_once:
                lent = await self._making.lend(post)
        except Exception:
            log.exception("picture_not_lent", post=post.id)
            return None
        if lent:
            self.tell_changed(post.id)
        return lent

    async def _gather(self, under: Under) -> bool:
        """A picture has come, or will not."""
        post = await self._database.change(partial(gathered, under=under))
        if post is None:
            return False
        told = log.info if post.picture_id is not None else log.warning
        told("post_made", post=post.id, job=under.post.job_id, state=post.state.value, error=post.error)
        self.tell_changed(post.id)
        return True

    # Posts are shown.

    async def _publish(self, under: Under, open_: Open) -> bool:
        """What is due is owed to its chats, or is not; False where it is still waited for."""
        what = verdict(under, open_.now, newer=is_followed(under, open_.due))
        if what is Verdict.WAIT:
            there = await self._database.look(partial(reached, post=under.post, making=self._making))
            if there.places:
                return False
            await self._let_go(under, what, why=there.why)
        elif what is Verdict.PUBLISH:
            await self._publish_one(under, open_.now)
        else:
            await self._let_go(under, what)
        return True

    async def _publish_one(self, under: Under, now: datetime) -> None:
        post = under.post
        shown = await self._database.change(partial(published, under=under, making=self._making, now=now))
        if shown is None:
            return  # somebody else was quicker
        if not shown.deliveries:
            log.warning("post_skipped", post=post.id, cause=shown.post.error)
            await self._stop_painting(under)
            return
        late = round((now - post.due_at).total_seconds(), 3)
        log.info(
            "post_published",
            post=post.id,
            schedule=post.schedule_id,
            late=late,
            chats=len(shown.deliveries),
        )
        self._events.publish("post.published", post=post.id, chat_id=post.chat_id)
        if under.picture_id is None:
            await self._stop_painting(under)

    async def _let_go(self, under: Under, what: Verdict, *, why: str = "") -> None:
        post, state, error = under.post, PostState.SKIPPED, why or say(_REASONS[what])
        if what is Verdict.NOTHING:
            state, error = PostState.FAILED, post.error or error
        let_go = partial(posts.change, post_id=post.id, was=(post.state,), state=state, error=error)
        if await self._database.change(let_go) is not None:
            log.warning("post_skipped", post=post.id, state=state.value, cause=error)
            if state is PostState.FAILED:
                self._events.publish("post.failed", post=post.id)
            await self._stop_painting(under)

    async def _stop_painting(self, under: Under) -> None:
        """A picture that nobody waits for any more takes nobody's time."""
        if under.post.job_id is not None and under.job_state in (JobState.QUEUED, JobState.RUNNING):
            with suppress(BadRequest, NotFound):  # it has just ended
                await self._imagining.cancel(under.post.job_id)


_REASONS = {
    Verdict.MISSED: "posting.reason.missed",
    Verdict.QUIET: "posting.reason.quiet",
    Verdict.UNAPPROVED: "posting.reason.unapproved",
    Verdict.NOTHING: "posting.reason.picture_late",
}
