"""How the house goes, in numbers, for its operator. Only read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, distinct, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import outbox
from engine.store.records import JobState, TurnKind
from engine.store.tables import chats, jobs, people, turns


@dataclass(frozen=True)
class Figures:
    #: `front` or `front:account`, of those whose chats are here.
    fronts: tuple[str, ...]
    people: int
    places: int
    #: All below, but for what is still to do, since the moment that was asked for.
    active_people: int
    turns: int
    #: By who wrote them.
    replies: dict[str, int]
    queued: int
    running: int
    failed: int
    owed: int
    database_bytes: int


async def of_house(tx: AsyncConnection, *, since: datetime) -> Figures:
    counted = select(
        select(func.count()).select_from(people).scalar_subquery().label("people"),
        select(func.count()).select_from(chats).scalar_subquery().label("places"),
        select(func.count(distinct(turns.c.person_id)))
        .where(turns.c.created_at >= since)
        .scalar_subquery()
        .label("active"),
        select(func.count())
        .select_from(turns)
        .where(
            turns.c.created_at >= since,
            turns.c.person_id.is_not(None),
            turns.c.kind != TurnKind.COMMAND.value,
        )
        .scalar_subquery()
        .label("turns"),
    )
    row = (await tx.execute(counted)).one()
    jobs_now = await _jobs(tx, since)
    return Figures(
        fronts=await _fronts(tx),
        people=row.people,
        places=row.places,
        active_people=row.active,
        turns=row.turns,
        replies=await _replies(tx, since),
        queued=jobs_now.get(JobState.QUEUED.value, 0),
        running=jobs_now.get(JobState.RUNNING.value, 0),
        failed=jobs_now.get(JobState.FAILED.value, 0),
        owed=await outbox.owed(tx),
        database_bytes=await _size(tx),
    )


async def _fronts(tx: AsyncConnection) -> tuple[str, ...]:
    found = select(chats.c.front, chats.c.account).distinct().order_by(chats.c.front, chats.c.account)
    return tuple(":".join(filter(None, row)) for row in await tx.execute(found))


async def _replies(tx: AsyncConnection, since: datetime) -> dict[str, int]:
    found = (
        select(turns.c.source, func.count())
        .where(turns.c.created_at >= since, turns.c.persona_id.is_not(None), turns.c.source.is_not(None))
        .group_by(turns.c.source)
    )
    return {row[0]: row[1] for row in await tx.execute(found)}


async def _jobs(tx: AsyncConnection, since: datetime) -> dict[str, int]:
    still = jobs.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])
    failed = and_(jobs.c.state == JobState.FAILED.value, jobs.c.ended_at >= since)
    found = select(jobs.c.state, func.count()).where(still | failed).group_by(jobs.c.state)
    return {row[0]: row[1] for row in await tx.execute(found)}


async def _size(tx: AsyncConnection) -> int:
    if tx.dialect.name == "postgresql":
        return int((await tx.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())
    pages = (await tx.execute(text("PRAGMA page_count"))).scalar_one()
    return int(pages) * int((await tx.execute(text("PRAGMA page_size"))).scalar_one())
