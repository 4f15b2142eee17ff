"""Open runs are fed: their prompts are written and put in line little by little, as those before them get done.

It goes on from the rows alone, wherever the last process stopped. What may be ordered, and who orders it, it does
not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import ordering, wishes
from engine.bell import Bell
from engine.clock import Clock
from engine.errors import GreenroomError
from engine.events import Event, Events
from engine.imagining import Imagining
from engine.language import Source
from engine.locales import say
from engine.ordering import SCENE, Order
from engine.pictures import Queue, fairness
from engine.settings import Settings
from engine.store import cohorts, jobs, personas
from engine.store import runs as store
from engine.store.cohorts import Member
from engine.store.database import Database
from engine.store.records import JobState, Lane, PictureRequest, Run
from engine.wishes import Wish

log = structlog.get_logger(__name__)

#: So many of a run's jobs stand in line at most, …
MOST_OPEN = 64
#: … and so many are put there at a time: the first picture does not wait for sixty prompts.
PORTION = 8
#: For what nobody told us: jobs that other processes end. In seconds.
LOOK_AGAIN = 5.0


@dataclass
class _Feed:
    """What is known of an open run's jobs while this process lasts."""

    open: set[int]
    ended: set[int] = field(default_factory=set)
    #: Everybody whom it is about has a job.
    whole: bool = False

    @property
    def hungry(self) -> bool:
        return not self.whole and len(self.open) <= MOST_OPEN - PORTION

    @property
    def wants_a_look(self) -> bool:
        return self.hungry or (self.whole and not self.open)

    def end(self, job_ids: set[int]) -> bool:
        """Whether one of them was in work here."""
        ended = self.open & job_ids
        self.open -= ended
        self.ended |= ended
        return bool(ended)


class Feeder:
    """Keeps every open run in work while `run` runs."""

    def __init__(
        self,
        database: Database,
        imagining: Imagining,
        queue: Queue,
        events: Events,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._imagining = imagining
        self._queue = queue
        self._events = events
        self._settings = settings
        self._clock = clock
        self._feeds: dict[int, _Feed] = {}
        #: Runs whose feeds are no longer what the rows say.
        self._anew: set[int] = set()
        self._bell = Bell(clock)

    def look(self, run_id: int) -> None:
        """A run was opened, paused or gone on with: what is known of it is looked up anew."""
        self._anew.add(run_id)
        self._bell.ring()

    async def set_aside(self, job_ids: Sequence[int]) -> None:
        """They were cancelled in their rows, until their run is gone on with: out of the line with them."""
        for job_id in job_ids:
            await self._queue.cancel(job_id)
            told = {"job": job_id, "chat_id": None, "state": JobState.CANCELLED.value}
            self._events.publish("job.ended", **told, set_aside=True)

    async def put_back(self, tx: AsyncConnection, job_ids: Sequence[int]) -> None:
        """What was set aside stands in line again."""
        for job_id in job_ids:
            job = await jobs.requeue(tx, job_id)
            if job is not None:
                await self._queue.submit(tx, job.id, fairness.rank_of(job))

    async def run(self) -> None:
        """Keep every open run in work, until cancelled."""
        async with self._hearing():
            look = False
            while True:
                self._bell.hush()
                try:
                    wants_more = await self._round(look=look)
                except Exception:
                    # The rows are as they were: the next round goes on from them.
                    log.exception("runs_not_fed")
                    await self._clock.sleep(LOOK_AGAIN)
                    continue
                look = False if wants_more else await self._rested()

    @asynccontextmanager
    async def _hearing(self) -> AsyncIterator[None]:
        def ends(event: Event) -> bool:
            # What a pause took out may be in line again before anybody hears of it.
            return event.name == "job.ended" and not event.about.get("set_aside")

        with self._events.watch(ends) as watch:

            async def hear() -> None:
                async for event in watch:
                    for feed in self._feeds.values():
                        if feed.end({event.about["job"]}) and feed.wants_a_look:
                            self._bell.ring()

            hearing = asyncio.create_task(hear())
            try:
                yield
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError):
                    await hearing

    async def _rested(self) -> bool:
        """Until there is news; True when it is only time to look whether there was some that nobody told."""
        if not self._feeds and self._database.is_sqlite:
            await self._bell.rung()  # one process owns the home: whoever opens a run does it here
            return False
        return not await self._bell.rest(LOOK_AGAIN)

    async def _round(self, *, look: bool) -> bool:
        """A portion for each that is hungry; True while one of them is."""
        under_way = await self._database.look(store.under_way)
        known = {run.id for run in under_way} - self._anew
        # Those that stay go on hearing what ends while the others are looked up.
        self._anew, self._feeds = set(), {one: feed for one, feed in self._feeds.items() if one in known}
        for run in under_way:
            feed = self._feeds.get(run.id)
            if feed is None:
                self._feeds[run.id] = _Feed(await self._open_jobs(run))
            elif look and feed.open:
                asked = set(feed.open)
                there = await self._database.look(partial(store.still_open, job_ids=asked))
                feed.end(asked.difference(there))
        for run in under_way:
            await self._tend(run, self._feeds[run.id])
        return any(feed.wants_a_look for feed in self._feeds.values())

    async def _tend(self, run: Run, feed: _Feed) -> None:
        if feed.ended:
            ended, feed.ended = feed.ended, set()
            if run.options["order"]["posts"]:
                await self._database.change(partial(store.illustrate, job_ids=ended))
        if feed.hungry:
            await self._fed(run, feed)
        if feed.whole and not feed.open:
            # What other processes put in line, or what was asked for anew, is not in our book.
            feed.open = await self._open_jobs(run)
            if not feed.open:
                await self._done(run)
                self._feeds.pop(run.id, None)

    async def _open_jobs(self, run: Run) -> set[int]:
        return set(await self._database.look(partial(store.open_jobs, run_id=run.id)))

    async def _fed(self, run: Run, feed: _Feed) -> None:
        told = run.options
        order = ordering.order_kept(told["order"])
        room = PORTION if order.limit is None else min(PORTION, order.limit - told["placed"])
        cohort = ordering.cohort_kept(told["order"], stand_ins_count=told["stand_ins_count"])
        find = partial(cohorts.members, cohort=cohort, after=told["after"], last=told["last"], most=room)
        next_ones = await self._database.look(find) if room > 0 else []
        if not next_ones:
            feed.whole = True
            return
        composed = [(member, *await self._composed(order, member)) for member in next_ones]

        async def place(tx: AsyncConnection) -> list[int] | None:
            held = await store.hold(tx, run.id)
            if held is None or held.options["after"] != told["after"]:
                return None  # paused meanwhile, or another process was quicker
            placed = []
            for member, request, error in composed:
                job = await self._put(tx, run, order, member, request, error)
                if job is not None:
                    placed.append(job)
            gone_on = {"after": next_ones[-1].id, "placed": told["placed"] + len(composed)}
            await store.keep(tx, replace(held, options=held.options | gone_on))
            return placed

        placed = await self._database.change(place)
        if placed is None:
            return
        feed.open.update(placed)
        self._imagining.nudge()

    async def _composed(self, order: Order, member: Member) -> tuple[PictureRequest, str]:
        """What is to be made; or why nothing can be."""
        words = (member.scene or order.scene or SCENE)[: self._imagining.longest_scene]
        try:
            record = await self._database.look(partial(personas.get, persona_id=member.persona_id))
            return await self._imagining.compose(record, Wish(words, **order.wish)), ""
        except GreenroomError as error:
            return self._unwritten(order, words), error.sentence
        except Exception:
            log.exception("not_composed", persona=member.persona_id)
            return self._unwritten(order, words), say("runs.not_composed")

    def _unwritten(self, order: Order, words: str) -> PictureRequest:
        wish = Wish(words, **order.wish)
        width, height = wishes.size_of(wish, self._settings.pictures)
        return PictureRequest(
            words, "", "", order.style, Source.UNDERSTUDY, 0, wish.seed or 0, width=width, height=height
        )

    async def _put(
        self,
        tx: AsyncConnection,
        run: Run,
        order: Order,
        member: Member,
        request: PictureRequest,
        error: str,
    ) -> int | None:
        """The id of a job that stands in line now; None where one had been there, or nothing can come of it."""
        now = self._clock.now()
        whose = f"post:{member.id}" if order.posts else str(member.id)
        added = await jobs.add(
            tx,
            request=request,
            lane=Lane.BACKFILL,
            fair_owner=f"run:{run.id}",
            cost=request.count,
            now=now,
            persona_id=member.persona_id,
            run_id=run.id,
            dedup_key=f"run:{run.id}:{whose}",
        )
        if not added.is_new:
            return None
        if error:
            await jobs.end(tx, added.job.id, JobState.FAILED, now, error)
            return None
        await self._queue.submit(tx, added.job.id, fairness.rank_of(added.job))
        if order.posts:
            await store.meant_for_post(tx, added.job.id, member.id)
        return added.job.id

    async def _done(self, run: Run) -> None:
        order = ordering.order_kept(run.options["order"])
        if order.posts:
            await self._database.change(partial(store.illustrate_all, run_id=run.id))
        after: int | None = None if order.posts else 0
        while after is not None:
            wear = partial(store.wear, run_id=run.id, every=order.face, after=after)
            after = await self._database.change(wear)

        async def close(tx: AsyncConnection) -> Run | None:
            held = await store.hold(tx, run.id)
            if held is None or await store.open_jobs(tx, run.id):
                return None  # paused, or gone on with, just now
            # Somebody may have got a picture in another way meanwhile: no job was made for them.
            told = held.options | {"total": held.options["placed"]}
            return await store.close(tx, replace(held, options=told), now=self._clock.now())

        done = await self._database.change(close)
        if done is not None:
            log.info("run_done", run=done.id, key=store.named(done), cost=done.cost)
            self._events.publish("run.ended", run=done.id)
