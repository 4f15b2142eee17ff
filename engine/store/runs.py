"""Runs: what was ordered, how far it is, and what came of it. One function per use.

Counts and costs are read from the rows of the jobs and pictures themselves, so that they cannot say otherwise. Who
feeds a run is told in `engine.feeding`; whom it is about in `cohorts.py`, what it made of whom in `audits.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, Select, and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import costs
from engine.errors import NotFound
from engine.locales import say
from engine.store.jobs import LAST_ID, OPEN
from engine.store.records import JobState, Run
from engine.store.tables import jobs, personas, pictures, posts, runs
from personas.persona import Rating

#: Between a run's key and its version: `fitness@2`.
AT = "@"
#: So many faces change in one transaction.
FACES = 200
#: So many pictures say what one costs at present.
NEWEST = 30


class RunState(StrEnum):
    OPEN = "open"
    #: Nothing more is put in line until somebody gives the same order again.
    PAUSED = "paused"
    DONE = "done"


async def add(
    tx: AsyncConnection,
    *,
    key: str,
    kind: str,
    style: str,
    size: str,
    cohort: str,
    prompt_name: str,
    prompt_version: str,
    notes: str,
    options: dict[str, Any],
    now: datetime,
) -> Run:
    """The next version of a key. It is the current one only once it is done."""
    version = select(func.coalesce(func.max(runs.c.version), 0) + 1).where(runs.c.key == key)
    added = insert(runs).values(
        key=key,
        version=version.scalar_subquery(),
        current=False,
        kind=kind,
        state=RunState.OPEN.value,
        style=style,
        size=size,
        cohort=cohort,
        prompt_name=prompt_name,
        prompt_version=prompt_version,
        notes=notes,
        options=options,
        created_at=now,
    )
    return _run((await tx.execute(added.returning(runs))).mappings().one())


async def get(tx: AsyncConnection, run_id: int) -> Run:
    if 0 < run_id <= LAST_ID:
        found = await _one(tx, select(runs).where(runs.c.id == run_id))
        if found is not None:
            return found
    raise NotFound(say("runs.unknown", key=str(run_id)))


async def newest(tx: AsyncConnection, key: str) -> Run | None:
    return await _one(tx, select(runs).where(runs.c.key == key).order_by(runs.c.version.desc()).limit(1))


async def find(tx: AsyncConnection, wanted: str) -> Run:
    """By its key, which means the newest version, or by key and version: `fitness@2`."""
    key, at, version = wanted.strip().partition(AT)
    if not at:
        found = await newest(tx, key)
    elif version.isascii() and version.isdigit() and len(version) < 10:
        found = await _one(tx, select(runs).where(runs.c.key == key, runs.c.version == int(version)))
    else:
        found = None
    if found is None:
        raise NotFound(say("runs.unknown", key=wanted.strip()[:80]))
    return found


async def listing(
    tx: AsyncConnection, *, key: str | None = None, before: int | None = None, most: int = 20
) -> list[Run]:
    """The newest first."""
    found = select(runs).order_by(runs.c.id.desc()).limit(most)
    if before is not None:
        found = found.where(runs.c.id < before)
    if key is not None:
        found = found.where(runs.c.key == key)
    return [_run(row) for row in (await tx.execute(found)).mappings()]


async def under_way(tx: AsyncConnection) -> list[Run]:
    """Those that want more jobs, or wait for some; the oldest first."""
    found = select(runs).where(runs.c.state == RunState.OPEN.value).order_by(runs.c.id)
    return [_run(row) for row in (await tx.execute(found)).mappings()]


async def hold(tx: AsyncConnection, run_id: int) -> Run | None:
    """A run that is open, and that nobody else changes before this transaction ends; else None."""
    is_open = select(runs).where(runs.c.id == run_id, runs.c.state == RunState.OPEN.value)
    return await _one(tx, is_open.with_for_update())


async def keep(tx: AsyncConnection, run: Run) -> None:
    """Its state and how far it is, as they are from now on."""
    changed = update(runs).where(runs.c.id == run.id)
    await tx.execute(changed.values(state=run.state, options=run.options))


async def take_out(tx: AsyncConnection, run_id: int, *, now: datetime) -> list[int]:
    """Cancel its jobs that nobody has begun; answers which those were."""
    taken = await tx.execute(
        update(jobs)
        .where(
            jobs.c.run_id == run_id,
            jobs.c.state == JobState.QUEUED.value,
            jobs.c.started_at.is_(None),
        )
        .values(state=JobState.CANCELLED.value, ended_at=now)
        .returning(jobs.c.id)
    )
    return sorted(taken.scalars())


async def close(tx: AsyncConnection, run: Run, *, now: datetime) -> Run:
    """It is done, and with it the current one of its key, unless a newer one is that already."""
    cost = (await counts(tx, [run.id]))[run.id].cost
    newer = select(func.count()).where(
        runs.c.key == run.key, runs.c.version > run.version, runs.c.state == RunState.DONE.value
    )
    current = (await tx.execute(newer)).scalar_one() == 0
    if current:
        await tx.execute(update(runs).where(runs.c.key == run.key).values(current=False))
    done = replace(run, state=RunState.DONE.value, current=current, cost=cost, ended_at=now)
    await tx.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(state=done.state, current=current, cost=cost, ended_at=now, options=run.options)
    )
    return done


async def open_jobs(tx: AsyncConnection, run_id: int) -> list[int]:
    # Of the few that are open, those of this run; the other way round all that it ever had would be looked at.
    found = select(jobs.c.id).where(jobs.c.state.in_(OPEN), jobs.c.run_id + 0 == run_id).order_by(jobs.c.id)
    return list((await tx.execute(found)).scalars())


#: Asked whenever some of a run's jobs have ended.
_STILL_OPEN = (
    select(jobs.c.id)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.state.in_(OPEN))
    .order_by(jobs.c.id)
)


async def still_open(tx: AsyncConnection, job_ids: Collection[int]) -> list[int]:
    return list((await tx.execute(_STILL_OPEN, {"ids": sorted(job_ids)})).scalars())


@dataclass(frozen=True)
class Counts:
    """What became of a run's jobs, and what its pictures took."""

    made: int = 0
    failed: int = 0
    cancelled: int = 0
    waiting: int = 0
    pictures: int = 0
    stand_ins: int = 0
    seconds: float = 0.0
    cost: float = 0.0

    @property
    def placed(self) -> int:
        return self.made + self.failed + self.cancelled + self.waiting


async def counts(tx: AsyncConnection, run_ids: Sequence[int]) -> dict[int, Counts]:
    """Also of pictures that were deleted since: they were made, and paid for."""
    found = dict.fromkeys(run_ids, Counts())
    states = (
        select(jobs.c.run_id, jobs.c.state, func.count().label("n"))
        .where(jobs.c.run_id.in_(run_ids))
        .group_by(jobs.c.run_id, jobs.c.state)
    )
    for row in await tx.execute(states):
        name = _COUNTED[JobState(row.state)]
        found[row.run_id] = replace(
            found[row.run_id], **{name: getattr(found[row.run_id], name) + int(row.n)}
        )
    made = (
        select(
            pictures.c.run_id,
            func.count().label("n"),
            func.count().filter(pictures.c.stand_in).label("stand_ins"),
            func.sum(pictures.c.seconds).label("seconds"),
            func.sum(pictures.c.cost).label("cost"),
        )
        .where(pictures.c.run_id.in_(run_ids))
        .group_by(pictures.c.run_id)
    )
    for row in await tx.execute(made):
        found[row.run_id] = replace(
            found[row.run_id],
            pictures=row.n,
            stand_ins=row.stand_ins,
            seconds=float(row.seconds),
            cost=costs.kept(row.cost),
        )
    return found


_COUNTED = {
    JobState.QUEUED: "waiting",
    JobState.RUNNING: "waiting",
    JobState.DONE: "made",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


async def wear(tx: AsyncConnection, run_id: int, *, every: bool, after: int = 0) -> int | None:
    """Its pictures become the faces of some personas that have none, or of all; answers where to go on, or None.

    A stand-in is nobody's likeness, and a face is seen everywhere.
    """
    likeness = and_(
        pictures.c.run_id == run_id,
        pictures.c.deleted_at.is_(None),
        pictures.c.stand_in.is_(False),
        pictures.c.rating == Rating.ALL_AGES.value,
    )
    page = (
        select(pictures.c.persona_id.label("who"), func.max(pictures.c.id).label("picture"))
        .where(likeness, pictures.c.persona_id > after)
        .group_by(pictures.c.persona_id)
        .order_by(pictures.c.persona_id)
        .limit(FACES)
    )
    found = (await tx.execute(page)).all()
    if not found:
        return None
    faceless = (True,) if every else (personas.c.face_picture_id.is_(None),)
    change = (
        update(personas)
        .where(personas.c.id == bindparam("who"), *faceless)
        .values(face_picture_id=bindparam("picture"))
    )
    await tx.execute(change, [{"who": row.who, "picture": row.picture} for row in found])
    return int(found[-1].who)


async def usual_cost(tx: AsyncConnection, count: int, *, per_hour: float = 0.0) -> float:
    """What so many pictures would cost, as the last ones did; by the time that those took, where that has a price."""
    newest = (
        select(pictures.c.cost, pictures.c.seconds)
        .where(pictures.c.stand_in.is_(False))
        .order_by(pictures.c.id.desc())
        .limit(NEWEST)
        .subquery()
    )
    usual = select(func.avg(newest.c.cost).label("cost"), func.avg(newest.c.seconds).label("seconds"))
    row = (await tx.execute(usual)).one()
    if per_hour:
        return costs.of_time(float(row.seconds or 0.0) * count, per_hour)
    return costs.kept(float(row.cost or 0.0) * count)


async def meant_for_post(tx: AsyncConnection, job_id: int, post_id: int) -> None:
    await tx.execute(update(posts).where(posts.c.id == post_id).values(job_id=job_id))


async def illustrate(tx: AsyncConnection, job_ids: Collection[int]) -> None:
    """Posts that these jobs were for get the pictures that came of them."""
    await tx.execute(_ILLUSTRATE.where(posts.c.job_id.in_(sorted(job_ids))))


async def illustrate_all(tx: AsyncConnection, run_id: int) -> None:
    """The same for all jobs of a run: of some, nobody was left to hear that they ended."""
    await tx.execute(_ILLUSTRATE.where(posts.c.job_id.in_(select(jobs.c.id).where(jobs.c.run_id == run_id))))


_ILLUSTRATE = (
    update(posts)
    .where(posts.c.picture_id.is_(None))
    .values(
        picture_id=select(func.min(pictures.c.id))
        .where(pictures.c.job_id == posts.c.job_id, pictures.c.deleted_at.is_(None))
        .scalar_subquery()
    )
)


def named(run: Run) -> str:
    """As `find` takes it."""
    return f"{run.key}{AT}{run.version}"


async def _one(tx: AsyncConnection, found: Select[Any]) -> Run | None:
    row = (await tx.execute(found)).mappings().one_or_none()
    return None if row is None else _run(row)


def _run(row: RowMapping) -> Run:
    return Run(**{name: row[name] for name in Run.__dataclass_fields__})
