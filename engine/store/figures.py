"""How the house goes, in numbers, for its operator. Only read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, distinct, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import outbox, sentences
from engine.store.records import JobState, Lane, TurnKind
from engine.store.tables import chats, jobs, people, pictures, turns


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


@dataclass(frozen=True)
class InLane:
    """Jobs of a lane that have no outcome yet, and since when the one that waits longest does."""

    lane: Lane
    waiting: int
    running: int
    oldest: datetime | None


@dataclass(frozen=True)
class MadeBy:
    """What one model made on one device lately: how many pictures, and what one took, in seconds."""

    model: str
    device: str
    stand_in: bool
    pictures: int
    seconds: float


@dataclass(frozen=True)
class PictureFigures:
    lanes: tuple[InLane, ...]
    #: Of the last hour: what was made, and how many pictures somebody asked for.
    made: tuple[MadeBy, ...]
    asked: int
    #: Jobs of the last day that came to nothing, of how many that ended; and the commonest reason.
    failed: int
    ended: int
    reason: str = ""

    @property
    def waiting(self) -> int:
        return sum(lane.waiting for lane in self.lanes)

    @property
    def running(self) -> int:
        return sum(lane.running for lane in self.lanes)

    @property
    def pictures(self) -> int:
        return sum(one.pictures for one in self.made)


async def of_pictures(tx: AsyncConnection, *, now: datetime) -> PictureFigures:
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    asked = select(func.coalesce(func.sum(jobs.c.cost), 0)).where(
        jobs.c.created_at >= hour, jobs.c.state != JobState.CANCELLED.value
    )
    failed = jobs.c.state == JobState.FAILED.value
    ended = select(func.count(), func.count().filter(failed)).where(
        jobs.c.state.in_([JobState.DONE.value, JobState.FAILED.value]), jobs.c.ended_at >= day
    )
    reason = (
        select(jobs.c.error)
        .where(failed, jobs.c.ended_at >= day)
        .group_by(jobs.c.error)
        .order_by(func.count().desc(), jobs.c.error)
        .limit(1)
    )
    counted, came_to_nothing = (await tx.execute(ended)).one()
    return PictureFigures(
        lanes=await lanes(tx),
        made=await _made_by(tx, hour),
        asked=int((await tx.execute(asked)).scalar_one()),
        failed=came_to_nothing,
        ended=counted,
        reason=sentences.told((await tx.execute(reason)).scalar_one_or_none() or ""),
    )


async def lanes(tx: AsyncConnection) -> tuple[InLane, ...]:
    """In the order in which lanes go first; those where nothing is left out."""
    waits = jobs.c.state == JobState.QUEUED.value
    found = (
        select(
            jobs.c.lane,
            func.count().filter(waits).label("waiting"),
            func.count().filter(~waits).label("running"),
            func.min(jobs.c.created_at).filter(waits).label("oldest"),
        )
        .where(jobs.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value]))
        .group_by(jobs.c.lane)
    )
    there = {
        row.lane: InLane(Lane(row.lane), row.waiting, row.running, row.oldest)
        for row in await tx.execute(found)
    }
    return tuple(there[lane.value] for lane in Lane if lane.value in there)


async def _made_by(tx: AsyncConnection, since: datetime) -> tuple[MadeBy, ...]:
    found = (
        select(
            pictures.c.model,
            pictures.c.device,
            pictures.c.stand_in,
            func.count().label("pictures"),
            func.avg(pictures.c.seconds).label("seconds"),
        )
        .where(pictures.c.created_at >= since)
        .group_by(pictures.c.model, pictures.c.device, pictures.c.stand_in)
        .order_by(func.count().desc(), pictures.c.model)
    )
    return tuple(MadeBy(**row) for row in (await tx.execute(found)).mappings())


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
