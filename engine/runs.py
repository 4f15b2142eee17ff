"""Runs: one order for many pictures is looked at beforehand, opened, paused, and gone on with.

What a run is and how far it is stands in its row and in those of its jobs; whoever is stopped in the middle, by
Ctrl-C or by a power cut, goes on from them. How its jobs come to stand in line little by little: see `feeding.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import estimating, ordering, wishes
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, NotFound
from engine.estimating import Expected, Work
from engine.events import Events
from engine.feeding import Feeder
from engine.imagining import Imagining, Instructions
from engine.language import Source
from engine.locales import say
from engine.ordering import Order, Understood
from engine.pictures import fairness
from engine.pictures.painting import choice
from engine.settings import Settings
from engine.store import cohorts, promises
from engine.store import runs as store
from engine.store.cohorts import Member, Pictured
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane, PictureRequest, Run
from engine.store.runs import Counts, RunState
from engine.wishes import Wish

log = structlog.get_logger(__name__)

__all__ = ["Began", "Order", "Plan", "Runs", "Standing"]

#: A tag that no job in line has.
FAR_BEHIND = 2**30
#: Of the members of a plan, so many are told by name.
NAMED = 10_000


@dataclass(frozen=True)
class Plan:
    """What would come of an order."""

    key: str
    cohort: str
    #: How many pictures it would make, and of whom.
    total: int
    members: tuple[Member, ...]
    #: Until the last one is made; None where nothing is known of this machine yet.
    expected: Expected | None
    cost: float
    #: The version of that key that is not done yet: the order would go on with it.
    goes_on: Run | None = None
    #: What costs are counted in.
    currency: str = ""


@dataclass(frozen=True)
class Standing:
    """How far a run is."""

    run: Run
    counts: Counts
    total: int
    #: Until it is done.
    expected: Expected | None = None
    #: What costs are counted in.
    currency: str = ""

    @property
    def cancelled(self) -> int:
        """Taken back one by one; what a pause took out of the line comes again."""
        return self.counts.cancelled - len(self.run.options.get("set_aside", ()))

    @property
    def left(self) -> int:
        return max(0, self.total - self.counts.made - self.counts.failed - self.cancelled)


def standing_of(run: Run, counts: Counts, currency: str = "") -> Standing:
    """As far as its rows say; how long it still takes is not among them."""
    return Standing(run, counts, int(run.options.get("total", counts.placed)), currency=currency)


@dataclass(frozen=True)
class Began:
    """The run that an order opened, or goes on with; None where there is nothing to be made."""

    run: Run | None
    key: str
    cohort: str
    resumed: bool = False


class Runs:
    """Opens runs, and keeps every open one in work while `run` runs."""

    def __init__(
        self,
        database: Database,
        imagining: Imagining,
        feeder: Feeder,
        events: Events,
        settings: Settings,
        clock: Clock,
        instructions: Instructions,
    ) -> None:
        self._database = database
        self._imagining = imagining
        self._feeder = feeder
        self._events = events
        self._settings = settings
        self._clock = clock
        self._prompt, _, self._prompt_version = instructions.version.partition(".")
        #: What a pause takes out of the line is not put back in before it is done with that.
        self._one_by_one = asyncio.Lock()

    async def plan(self, order: Order) -> Plan:
        """What would come of an order; nothing is stored."""
        wanted = await self._understood(order)
        async with self._database.read() as tx:
            members = await cohorts.members(tx, wanted.cohort, most=order.limit)
            pace = await promises.pace(tx, _last_in_line(self._clock.now()), head_start=fairness.HEAD_START)
            price = self._settings.pictures.cost_per_hour
            cost = await store.usual_cost(tx, len(members), per_hour=price)
            newest = await store.newest(tx, wanted.key)
        work = self._work(order, len(members))
        guess = estimating.expected(pace.made, work, pace.before) if members else None
        return Plan(
            wanted.key,
            wanted.words,
            len(members),
            tuple(members[:NAMED]),
            estimating.corrected(guess, pace.met) if guess else None,
            cost,
            newest if newest is not None and newest.state != RunState.DONE else None,
            currency=self._settings.pictures.currency,
        )

    async def begin(self, order: Order) -> Began:
        """Open a run; or go on with the one of that key that is not done yet."""
        wanted = await self._understood(order)
        # Counted before: of very many that takes a while, in which others want to write.
        find = partial(cohorts.members, cohort=wanted.cohort, most=order.limit)
        total = len(await self._database.look(find))
        async with self._one_by_one, self._database.write() as tx:
            newest = await store.newest(tx, wanted.key)
            resumed = newest is not None and newest.state != RunState.DONE
            if newest is not None and resumed:
                if newest.options["order"] != wanted.kept:
                    told = say("runs.open_otherwise", key=store.named(newest), cohort=newest.cohort)
                    raise Conflict(told)
                run = await self._resumed(tx, newest)
            elif total:
                run = await self._opened(tx, wanted, total)
            else:
                return Began(None, wanted.key, wanted.words)
        log.info("run_begun", run=run.id, key=store.named(run), resumed=resumed)
        self._events.publish("run.begun", run=run.id)
        self._imagining.nudge()
        self._feeder.look(run.id)
        return Began(run, wanted.key, wanted.words, resumed)

    async def pause(self, run_id: int) -> Run:
        """No more of it is put in line, and what nobody has begun is taken out. The same order goes on with it."""
        async with self._one_by_one:
            async with self._database.write() as tx:
                run = await store.get(tx, run_id)
                if run.state == RunState.DONE:
                    raise BadRequest(say("runs.has_ended", key=store.named(run)))
                held = await store.hold(tx, run_id)
                if held is None:
                    return run  # paused already
                aside = await store.take_out(tx, run_id, now=self._clock.now())
                run = replace(held, state=RunState.PAUSED.value, options=held.options | {"set_aside": aside})
                await store.keep(tx, run)
            await self._feeder.set_aside(aside)
        log.info("run_paused", run=run.id, key=store.named(run), set_aside=len(aside))
        self._feeder.look(run.id)
        return run

    async def standing(self, run_id: int) -> Standing:
        async with self._database.read() as tx:
            run = await store.get(tx, run_id)
            found = (await store.counts(tx, [run_id]))[run_id]
            standing = standing_of(run, found, self._settings.pictures.currency)
            if run.state == RunState.DONE or not standing.left:
                return standing
            pace = await promises.pace(tx, _last_in_line(self._clock.now()), head_start=fairness.HEAD_START)
        order = ordering.order_kept(run.options["order"])
        guess = estimating.expected(pace.made, self._work(order, standing.left))
        return replace(standing, expected=estimating.corrected(guess, pace.met) if guess else None)

    async def pictured(self, style: str = "") -> tuple[Pictured, Pictured]:
        """How many personas have a picture, or one in a style; and how many of the posts that were published."""
        nothing_paints = await self._nothing_paints()
        async with self._database.read() as tx:
            people = await cohorts.personas_pictured(tx, style=style, stand_ins_count=nothing_paints)
            return people, await cohorts.posts_pictured(tx)

    async def run(self) -> None:
        """Keep every open run in work, until cancelled."""
        await self._feeder.run()

    async def _understood(self, order: Order) -> Understood:
        """The order with its names looked up; raises for whatever cannot be had, before anything is stored."""
        wish = Wish(order.scene, **order.wish)
        wishes.check(wish, self._settings.pictures)
        if order.scene.strip():
            self._imagining.check_words(order.scene)
            if len(order.scene) > self._imagining.longest_scene:
                most = self._imagining.longest_scene
                raise BadRequest(say("runs.scene", n=len(order.scene), most=most))
        if order.style and order.style not in self._imagining.styles:
            known = sorted(self._imagining.styles)
            raise NotFound(say("pictures.no_style", style=order.style[:40], styles=known))
        nothing_paints = await self._nothing_paints()
        async with self._database.read() as tx:
            return await ordering.understood(tx, order, stand_ins_count=nothing_paints)

    async def _nothing_paints(self) -> bool:
        return (await asyncio.to_thread(choice, self._settings)).found is None

    async def _opened(self, tx: AsyncConnection, wanted: Understood, total: int) -> Run:
        width, height = wishes.size_of(Wish("", **wanted.order.wish), self._settings.pictures)
        return await store.add(
            tx,
            key=wanted.key,
            kind=wanted.order.kind.value,
            style=wanted.order.style,
            size=f"{width}x{height}",
            cohort=wanted.words,
            prompt_name=self._prompt,
            prompt_version=self._prompt_version,
            notes=wanted.notes,
            options={
                "order": wanted.kept,
                "stand_ins_count": wanted.cohort.stand_ins_count,
                "total": total,
                "last": await cohorts.last_of(tx, wanted.cohort),
                "after": 0,
                "placed": 0,
                "set_aside": [],
            },
            now=self._clock.now(),
        )

    async def _resumed(self, tx: AsyncConnection, run: Run) -> Run:
        await self._feeder.put_back(tx, run.options["set_aside"])
        run = replace(run, state=RunState.OPEN.value, options=run.options | {"set_aside": []})
        await store.keep(tx, run)
        return run

    def _work(self, order: Order, count: int) -> Work:
        wish = Wish("", **order.wish)
        width, height = wishes.size_of(wish, self._settings.pictures)
        effort = wishes.effort_of(wish, self._settings.pictures)
        return Work(width, height, effort.steps, count, effort.hires)


def _last_in_line(now: datetime) -> Job:
    """A job behind all that wait: what there is to do before it is all that there is."""
    request = PictureRequest("", "", "", "", Source.UNDERSTUDY, 0, 0)
    return Job(0, JobState.QUEUED, Lane.BACKFILL, FAR_BEHIND, request, now)
