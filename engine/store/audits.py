"""Audits: what a run made of whom, out of what time and money, and why it could not; and two runs side by side.

All of it is read from the rows of jobs and pictures, which were written with the work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import costs
from engine.store import sentences
from engine.store.records import JobState
from engine.store.tables import jobs, personas, pictures


async def reasons(tx: AsyncConnection, run_id: int, *, most: int = 20) -> list[tuple[str, int]]:
    """Why jobs failed, and how many for each; the most frequent first."""
    found = (
        select(jobs.c.error, func.count().label("n"))
        .where(jobs.c.run_id == run_id, jobs.c.state == JobState.FAILED.value)
        .group_by(jobs.c.error)
        .order_by(func.count().desc(), jobs.c.error)
        .limit(most)
    )
    return [(sentences.told(row.error), row.n) for row in await tx.execute(found)]


@dataclass(frozen=True)
class Line:
    """One picture of a run, or a job of it that gave none."""

    job_id: int
    state: str
    error: str
    persona_id: int | None
    #: Slug and name as they are now; empty where somebody is gone for good.
    slug: str
    name: str
    style: str
    seed: int
    picture_id: int | None
    file: str
    seconds: float
    cost: float
    stand_in: bool


async def lines(tx: AsyncConnection, run_id: int, *, after: int = 0, most: int = 100) -> list[Line]:
    """By job; `after` is the last job of the page before."""
    page = select(jobs.c.id).where(jobs.c.run_id == run_id, jobs.c.id > after).order_by(jobs.c.id).limit(most)
    found = (
        select(
            jobs.c.id.label("job_id"),
            jobs.c.state,
            jobs.c.error,
            jobs.c.persona_id,
            func.coalesce(personas.c.slug, "").label("slug"),
            func.coalesce(personas.c.name, "").label("name"),
            func.coalesce(pictures.c.style, jobs.c.request["style"].as_string(), "").label("style"),
            # As text: PostgreSQL's whole numbers end below the largest seeds.
            func.coalesce(cast(pictures.c.seed, Text), jobs.c.request["seed"].as_string(), "0").label("seed"),
            pictures.c.id.label("picture_id"),
            func.coalesce(pictures.c.file, "").label("file"),
            func.coalesce(pictures.c.seconds, 0.0).label("seconds"),
            func.coalesce(pictures.c.cost, 0.0).label("cost"),
            func.coalesce(pictures.c.stand_in, False).label("stand_in"),
        )
        .outerjoin(personas, personas.c.id == jobs.c.persona_id)
        .outerjoin(pictures, pictures.c.job_id == jobs.c.id)
        .where(jobs.c.id.in_(page))
        .order_by(jobs.c.id, pictures.c.number)
    )
    rows = (await tx.execute(found)).mappings()
    return [
        Line(**(dict(row) | {"seed": int(row["seed"]), "error": sentences.told(row["error"])}))
        for row in rows
    ]


@dataclass(frozen=True)
class Share:
    """What a run made of one persona."""

    pictures: int
    failed: int
    style: str
    seconds: float
    cost: float


NOTHING = Share(0, 0, "", 0.0, 0.0)


@dataclass(frozen=True)
class Both:
    """One persona in two runs; None where a run is not about them."""

    persona_id: int | None
    slug: str
    name: str
    one: Share | None
    other: Share | None


async def compare(tx: AsyncConnection, one: int, other: int) -> list[Both]:
    """Side by side, by slug."""
    first, second = await _shares(tx, one), await _shares(tx, other)
    everybody = first.keys() | second.keys()
    named = select(personas.c.id, personas.c.slug, personas.c.name).where(
        personas.c.id.in_(
            select(jobs.c.persona_id).where(jobs.c.run_id.in_([one, other]), jobs.c.persona_id.is_not(None))
        )
    )
    names = {row.id: (row.slug, row.name) for row in await tx.execute(named)}
    told = [Both(who, *names.get(who or 0, ("", "")), first.get(who), second.get(who)) for who in everybody]
    return sorted(told, key=lambda both: (both.slug, both.persona_id or 0))


async def _shares(tx: AsyncConnection, run_id: int) -> dict[int | None, Share]:
    # Apart, for a job with several pictures would be counted as often.
    made = (
        select(
            pictures.c.persona_id,
            func.count().label("n"),
            func.max(pictures.c.style).label("style"),
            func.sum(pictures.c.seconds).label("seconds"),
            func.sum(pictures.c.cost).label("cost"),
        )
        .where(pictures.c.run_id == run_id)
        .group_by(pictures.c.persona_id)
    )
    failed = func.sum(case((jobs.c.state == JobState.FAILED.value, 1), else_=0))
    asked = (
        select(jobs.c.persona_id, failed.label("failed"))
        .where(jobs.c.run_id == run_id)
        .group_by(jobs.c.persona_id)
    )
    shares = {row.persona_id: replace(NOTHING, failed=int(row.failed)) for row in await tx.execute(asked)}
    for row in await tx.execute(made):
        before = shares.get(row.persona_id, NOTHING)
        shares[row.persona_id] = Share(
            row.n, before.failed, row.style, float(row.seconds), costs.kept(row.cost)
        )
    return shares
