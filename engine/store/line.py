"""The line of picture jobs as it stands now: who waits in which lane, in their order, and what is being made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.jobs import job_of
from engine.store.records import Job, JobState, Lane
from engine.store.tables import jobs, people, personas


@dataclass(frozen=True)
class InLine:
    """A job that has not ended, and for whom it is."""

    job: Job
    #: The slug and the name of whoever is on it; empty once they have left.
    persona: str
    persona_name: str
    #: What whoever asked is called; empty where nobody did, or they have no name.
    person: str
    #: Whose share of the machine it uses: `person:4`, `run:2`, `schedule:7`, `house`, …
    owner: str


@dataclass(frozen=True)
class Line:
    #: In each lane the first ones, in their order.
    lanes: dict[Lane, tuple[InLine, ...]]
    #: How many wait in each.
    counts: dict[Lane, int]
    running: tuple[InLine, ...]
    #: The last one of each lane in which somebody waits.
    lasts: tuple[Job, ...] = ()


async def standing(tx: AsyncConnection, *, most: int, person_id: int | None = None) -> Line:
    """`person_id`: only what this one has asked for."""
    own: list[ColumnElement[bool]] = [] if person_id is None else [jobs.c.person_id == person_id]
    waits = jobs.c.state == JobState.QUEUED.value
    counted = select(jobs.c.lane, func.count().label("waiting")).where(waits, *own).group_by(jobs.c.lane)
    numbers = {row.lane: int(row.waiting) for row in await tx.execute(counted)}
    lanes, lasts = {}, []
    for lane in Lane:
        here = _in_line().where(waits, jobs.c.lane == lane.value, *own)
        lanes[lane] = await _read(tx, here.order_by(jobs.c.fair_tag, jobs.c.id).limit(most))
        last = here.order_by(jobs.c.fair_tag.desc(), jobs.c.id.desc()).limit(1)
        lasts += [one.job for one in await _read(tx, last)]
    running = _in_line().where(jobs.c.state == JobState.RUNNING.value, *own).order_by(jobs.c.started_at)
    counts = {lane: numbers.get(lane.value, 0) for lane in Lane}
    return Line(lanes, counts, await _read(tx, running.limit(most)), tuple(lasts))


def _in_line() -> Select[Any]:
    return (
        select(jobs, personas.c.slug, personas.c.name.label("persona_name"), people.c.name.label("person"))
        .outerjoin(personas, personas.c.id == jobs.c.persona_id)
        .outerjoin(people, people.c.id == jobs.c.person_id)
    )


async def _read(tx: AsyncConnection, found: Select[Any]) -> tuple[InLine, ...]:
    return tuple(
        InLine(
            job_of(row),
            row["slug"] or "",
            row["persona_name"] or "",
            row["person"] or "",
            row["fair_owner"],
        )
        for row in (await tx.execute(found)).mappings()
    )
