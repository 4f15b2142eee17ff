"""Standing orders: batches and backfills that begin by the clock. Each time of their schedule is one run.

When a time comes is `occurrences`' business, and what becomes of a run that of `runs`. No post comes of these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import schedules
from engine.bell import Bell
from engine.clock import Clock
from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.occurrences import Occurrence, zone_of
from engine.ordering import Kind, Order
from engine.planning import planned, seed_of
from engine.runs import Runs
from engine.store import audits, outbox
from engine.store import runs as store
from engine.store import schedules as rows
from engine.store.atonce import Work
from engine.store.database import Database
from engine.store.records import DeliveryKind, Place, Run, Schedule, ScheduleState
from engine.store.runs import Counts, RunState
from engine.timetable import Timing, written
from engine.timewords import read

log = structlog.get_logger(__name__)

#: How often one looks whether the time of one has come, or a run is done, in seconds.
LOOK_EVERY = 15.0
#: Of a schedule's options: what is ordered, what its runs are called, and those whose end was not told yet.
ORDER, NAME, UNTOLD = "order", "name", "untold"
#: The order that it came with: where that is given twice, one is kept.
ASKED = "asked"
#: With a day and a time behind it, a name is still a key of a run.
LONGEST_NAME = 60


class Standing:
    """Begins a run at each time, and tells its place what came of it, for as long as `run` runs."""

    def __init__(self, database: Database, runs: Runs, clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._clock = clock
        self._bell = Bell(clock)

    async def planned(self, *, place: Place, timing: Timing, zone: str, order: Order) -> Schedule:
        """What `add` would keep; its number is none yet."""
        name = (await self._runs.plan(order)).key[:LONGEST_NAME].rstrip("-.")
        options = {ORDER: _kept(order), NAME: name, "seed": f"{place.id}:{name}"}
        return Schedule(
            0, place.id, 0, written(timing), zone_of(zone).key, self._clock.now(), options=options
        )

    async def add(
        self,
        *,
        place: Place,
        timing: Timing,
        zone: str,
        order: Order,
        asked: str = "",
        dedup_key: str = "",
        told: str = "",
        within: Callable[[Work[Schedule]], Awaitable[Schedule]] | None = None,
    ) -> Schedule:
        """The order's key is what its runs are called, each with its day behind; `place` is told what came of them.

        `asked` names who asked for it, and when: see `ASKED`; `dedup_key` and `told` are those of `Posting.add`;
        `within` is the transaction that it is to be part of.
        Raises `BadRequest` or `NotFound` for whom, what and when there is not.
        """
        plan = await self.planned(place=place, timing=timing, zone=zone, order=order)
        added = partial(
            schedules.add,
            chat_id=place.id,
            persona_id=plan.persona_id,
            person_id=None,
            timing=timing,
            zone=zone_of(zone),
            theme="",
            options=plan.options | ({ASKED: asked} if asked else {}),
            now=self._clock.now(),
            dedup_key=dedup_key,
            told=told,
        )
        name = plan.options[NAME]
        schedule = await (within or self._database.change)(added)
        log.info("standing_order_added", schedule=schedule.id, spec=schedule.spec, run=name)
        self._bell.ring()
        return schedule

    async def run(self) -> None:
        while True:
            self._bell.hush()
            await self._bell.rest(LOOK_EVERY, until=await self.round())

    async def round(self) -> datetime | None:
        """All that can be done now; answers when the next time comes."""
        now = self._clock.now()
        coming: list[datetime] = []
        for schedule in await self._database.look(rows.standing):
            known: Schedule | None = schedule
            due = schedule.next_due_at
            if schedule.state is ScheduleState.ACTIVE and (due is None or due <= now):
                known = await self._heed(schedule, due or now, now)
            if known is not None:
                await self._tell(known)
                if known.state is ScheduleState.ACTIVE and known.next_due_at is not None:
                    coming.append(known.next_due_at)
        return min(coming, default=None)

    async def _heed(self, schedule: Schedule, due: datetime, now: datetime) -> Schedule | None:
        """Its time has come. Of those that were missed at most one is made up, as with posts."""
        timing, zone = read(schedule.spec)[0], zone_of(schedule.zone)
        plan = planned(timing, zone, since=due, now=now, ahead=timedelta(), seed=seed_of(schedule))
        run, trouble = None, ""
        if plan.coming and schedule.next_due_at is not None:
            try:
                run = await self._begun(schedule, plan.coming[-1])
            except (BadRequest, NotFound) as error:
                trouble = str(error)
                log.warning("standing_order_refused", schedule=schedule.id, cause=trouble)

        async def gone_on(tx: AsyncConnection) -> Schedule | None:
            untold = [*schedule.options.get(UNTOLD, ()), *([run.id] if run else [])]
            moved = await rows.change(
                tx,
                schedule,
                move=True,
                next_due_at=plan.next_due,
                state=ScheduleState.ACTIVE if plan.next_due else ScheduleState.ENDED,
                options=schedule.options | {UNTOLD: list(dict.fromkeys(untold))},
            )
            if moved is not None and trouble:
                told = str(say("runs.standing_refused", id=str(schedule.id), why=trouble))
                await outbox.owe(tx, schedule.chat_id, DeliveryKind.NOTICE, text=told, now=now)
            return moved

        return await self._database.change(gone_on)

    async def _begun(self, schedule: Schedule, one: Occurrence) -> Run | None:
        """The run of a time, begun once: where it is there already, a stop came between it and its schedule."""
        key = key_of(schedule, one)
        known = await self._database.look(partial(store.newest, key=key))
        if known is not None:
            return known
        began = await self._runs.begin(replace(order_of(schedule), key=key))
        log.info(
            "standing_order_begun", schedule=schedule.id, key=key, run=began.run.id if began.run else None
        )
        return began.run

    async def _tell(self, schedule: Schedule) -> None:
        for run_id in schedule.options.get(UNTOLD, ()):
            try:
                standing = await self._runs.standing(run_id)
            except NotFound:
                continue
            if standing.run.state == RunState.DONE:
                told = partial(self._told, schedule_id=schedule.id, run=standing.run, counts=standing.counts)
                await self._database.change(told)

    async def _told(self, tx: AsyncConnection, schedule_id: int, run: Run, counts: Counts) -> None:
        known = await rows.get(tx, schedule_id)
        untold = list(known.options.get(UNTOLD, ()))
        if run.id not in untold:
            return  # another process was quicker
        untold.remove(run.id)
        if await rows.change(tx, known, options=known.options | {UNTOLD: untold}) is None:
            return
        lines = [say("runs.standing_done", key=run.key, made=counts.made, failed=counts.failed)]
        lines += [
            say("runs.standing_reason", n=jobs, why=why) for why, jobs in await audits.reasons(tx, run.id)
        ]
        text = "\n".join(map(str, lines))
        await outbox.owe(tx, known.chat_id, DeliveryKind.NOTICE, text=text, now=self._clock.now())


def order_of(schedule: Schedule) -> Order:
    told: Mapping[str, Any] = schedule.options[ORDER]
    names = {"kind": Kind(told["kind"]), "tags": tuple(told["tags"]), "personas": tuple(told["personas"])}
    return Order(**{**told, **names})


def key_of(schedule: Schedule, one: Occurrence) -> str:
    """What the run of a time is called: its day is behind the name, and its time, where a day may have several."""
    day, _, rest = one.key.partition("T")
    spec = read(schedule.spec)[0]
    several = len(spec.times) > 1 or spec.kind in ("hours", "cron")
    minute = "".join(letter for letter in rest[:5] if letter.isdigit())
    return f"{schedule.options[NAME]}-{day}" + (f"-{minute}" if several else "")


def _kept(order: Order) -> dict[str, Any]:
    told = {name: value for name, value in asdict(order).items() if name != "key"}
    return told | {
        "kind": order.kind.value,
        "tags": list(order.tags),
        "personas": list(order.personas),
        "wish": {name: value for name, value in order.wish.items() if value not in (None, "")},
    }
