"""When pictures were promised for, and what promises are made of: the pace of late, and the work in front of a job.

What to make of it is arithmetic, and elsewhere: `engine.estimating`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import RowMapping, and_, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.estimating import Expected, Made, Promise, Work
from engine.store.jobs import OPEN
from engine.store.records import Job, JobState, Lane, PictureRequest
from engine.store.tables import jobs, pictures

#: What `Work` is made of, out of the request as it is stored; what an older Greenroom did not store is null.
_KIND = (
    jobs.c.request["width"].as_integer().label("width"),
    jobs.c.request["height"].as_integer().label("height"),
    jobs.c.request["steps"].as_integer().label("steps"),
    jobs.c.request["count"].as_integer().label("count"),
    jobs.c.request["hires"].as_boolean().label("hires"),
    jobs.c.request["strength"].as_float().label("strength"),
)
#: So many jobs in front of another are looked at one by one; the others are taken to be like these.
ONE_BY_ONE = 100


_GIVE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.state.in_(OPEN), jobs.c.promised_at.is_(None))
    .values(
        promised_at=bindparam("now"),
        likely=bindparam("told_likely"),
        at_most=bindparam("told_at_most"),
        guessed_likely=bindparam("likely_before"),
        guessed_at_most=bindparam("at_most_before"),
    )
    .returning(jobs.c.id)
)


async def give(tx: AsyncConnection, job_id: int, told: Expected, guessed: Expected, now: datetime) -> bool:
    """Keep what whoever asked was told first; whatever they are told later is no promise any more."""
    promised = {
        "job": job_id,
        "now": now,
        "told_likely": told.likely,
        "told_at_most": told.at_most,
        "likely_before": guessed.likely,
        "at_most_before": guessed.at_most,
    }
    return (await tx.execute(_GIVE, promised)).one_or_none() is not None


async def met(tx: AsyncConnection, *, most: int = 100) -> tuple[Promise, ...]:
    """The last promises and what became of them, the newest first.

    What was begun twice is left out: that a house closed for a while says nothing of its machine.
    """
    found = (
        select(
            *(jobs.c[name] for name in ("promised_at", "ended_at", "likely", "at_most")),
            jobs.c.guessed_likely,
            jobs.c.guessed_at_most,
        )
        .where(jobs.c.state == JobState.DONE.value, jobs.c.promised_at.is_not(None), jobs.c.attempts <= 1)
        .order_by(jobs.c.id.desc())
        .limit(most)
    )
    return tuple(
        Promise(
            Expected(row.likely, row.at_most),
            Expected(row.guessed_likely, row.guessed_at_most),
            (row.ended_at - row.promised_at).total_seconds(),
        )
        for row in await tx.execute(found)
    )


def work_of(request: PictureRequest, done: float = 0.0) -> Work:
    return Work(
        width=request.width,
        height=request.height,
        steps=request.steps,
        count=request.count,
        hires=request.hires,
        strength=request.strength,
        done=done,
    )


@dataclass(frozen=True)
class Pace:
    """How long pictures took lately, the newest first; the work in front of a job; how good promises were."""

    made: tuple[Made, ...]
    before: tuple[Work, ...]
    met: tuple[Promise, ...]


async def pace(tx: AsyncConnection, job: Job, *, head_start: Mapping[Lane, int], most: int = 150) -> Pace:
    """What `engine.estimating` asks for. The line is sorted as `engine.pictures.fairness` says; so are its lanes."""
    made = (
        select(
            pictures.c.seconds,
            pictures.c.model,
            pictures.c.device,
            pictures.c.facts["instead_of"].as_string().label("instead_of"),
            *_KIND,
        )
        .join(jobs, jobs.c.id == pictures.c.job_id)
        .order_by(pictures.c.id.desc())
        .limit(most)
    )
    return Pace(
        tuple(
            Made(
                row["seconds"],
                _work(row, count=1),
                row["model"],
                row["device"],
                in_place=row["instead_of"] is not None,
            )
            for row in (await tx.execute(made)).mappings()
        ),
        await _before(tx, job, head_start),
        await met(tx),
    )


async def _before(tx: AsyncConnection, job: Job, head_start: Mapping[Lane, int]) -> tuple[Work, ...]:
    rank = jobs.c.fair_tag + case(
        {lane.value: start for lane, start in head_start.items()}, value=jobs.c.lane, else_=0
    )
    mine = job.fair_tag + head_start.get(job.lane, 0)
    goes_first = or_(rank < mine, and_(rank == mine, jobs.c.id < job.id))
    waits, under_way = jobs.c.state == JobState.QUEUED.value, jobs.c.state == JobState.RUNNING.value
    if job.state is JobState.RUNNING:
        # Several are taken up at once, and rendered in their order all the same.
        ahead = and_(under_way, goes_first)
    else:
        ahead = and_(or_(under_way, and_(waits, goes_first)), jobs.c.id != job.id)
    first = select(jobs.c.id).where(ahead).order_by(jobs.c.state.desc(), rank, jobs.c.id).limit(ONE_BY_ONE)
    found = select(jobs.c.state, jobs.c.step, jobs.c.steps.label("of"), *_KIND).where(jobs.c.id.in_(first))
    rows = (await tx.execute(found)).mappings().all()
    works = [_work(row, count=row["count"] or 1, done=row["step"] / max(1, row["of"])) for row in rows]
    if len(rows) < ONE_BY_ONE:
        return tuple(works)
    whole = (await tx.execute(select(func.coalesce(func.sum(jobs.c.cost), 0)).where(ahead))).scalar_one()
    known = sum(work.count for work in works)
    times, over = divmod(max(0, whole - known), known)
    more = [replace(work, count=work.count * times, done=0.0) for work in works if times]
    return (*works, *more, *([replace(works[-1], count=over, done=0.0)] if over else []))


def _work(row: RowMapping, *, count: int, done: float = 0.0) -> Work:
    # Nobody checked what another program put there; a picture of no size would be no measure.
    width, height, steps = (max(1, row[name] or 1) for name in ("width", "height", "steps"))
    return Work(width, height, steps, count, bool(row["hires"]), row["strength"], done)
