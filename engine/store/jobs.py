"""Jobs: what was asked for, its place among the others, and what became of it. One function per use.

The rows are the truth; who works on what is the queue's business. Owners, lanes and tags are explained in
`engine.pictures.fairness`; here they are columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    RowMapping,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.locales import say
from engine.store import once, sentences
from engine.store.records import ChatRef, Job, JobState, Lane, PictureRequest
from engine.store.tables import chats, jobs, people, personas, queue_entries
from personas.persona import Rating

OPEN = tuple(state.value for state in JobState if not state.ended)

Known = TypeVar("Known", bound=Enum)

#: Ids beyond this cannot be in the column, and PostgreSQL would not even compare them.
LAST_ID = 2**31 - 1


@dataclass(frozen=True)
class Added:
    """A job that was asked for; `is_new` is False when the same had been asked before, under the same key."""

    job: Job
    is_new: bool


async def add(
    tx: AsyncConnection,
    *,
    request: PictureRequest,
    lane: Lane,
    fair_owner: str,
    cost: int,
    now: datetime,
    person_id: int | None = None,
    persona_id: int | None = None,
    chat_id: int | None = None,
    run_id: int | None = None,
    turn_id: int | None = None,
    parent_picture_id: int | None = None,
    dedup_key: str | None = None,
    told: str = "",
    deadline_at: datetime | None = None,
) -> Added:
    """Store a job with its fair tag. Only a new one is to be put in line.

    `told` is what was asked for under the key, in brief; raises `Conflict` where that was something else before.
    """
    await _one_at_a_time(tx, lane, fair_owner)
    values = {
        "state": JobState.QUEUED.value,
        "lane": lane.value,
        "fair_owner": fair_owner,
        "in_lane": lane.value,
        "of_owner": fair_owner,
        "cost": max(1, cost),
        "request": request_to_json(request),
        "person_id": person_id,
        "persona_id": persona_id,
        "chat_id": chat_id,
        "run_id": run_id,
        "turn_id": turn_id,
        "parent_picture_id": parent_picture_id,
        "dedup_key": dedup_key,
        "told": told or None,
        "deadline_at": deadline_at,
        "created_at": now,
    }
    row = (await tx.execute(_ADD[tx.dialect.name], values)).mappings().one_or_none()
    if row is not None:
        return Added(job_of(row), is_new=True)
    there = (await tx.execute(select(jobs).where(jobs.c.dedup_key == dedup_key))).mappings().one()
    once.check_same(there["told"], told)
    return Added(job_of(there), is_new=False)


async def get(tx: AsyncConnection, job_id: int) -> Job:
    if 0 < job_id <= LAST_ID:
        row = (await tx.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one_or_none()
        if row is not None:
            return job_of(row)
    raise NotFound(say("pictures.job.unknown", id=str(job_id)))


async def ordered(tx: AsyncConnection, dedup_key: str, told: str = "") -> Job | None:
    """The job that was asked for under a key, if it was; raises `Conflict` where something else was."""
    row = (await tx.execute(select(jobs).where(jobs.c.dedup_key == dedup_key))).mappings().one_or_none()
    if row is None:
        return None
    once.check_same(row["told"], told)
    return job_of(row)


async def language_of(tx: AsyncConnection, job_id: int) -> str:
    """What whoever asked for a job wants to be spoken to in; empty where that is not known, or nobody asked."""
    found = select(people.c.language).join(jobs, jobs.c.person_id == people.c.id).where(jobs.c.id == job_id)
    return (await tx.execute(found)).scalar_one_or_none() or ""


async def listing(
    tx: AsyncConnection,
    *,
    states: Iterable[JobState] | None = None,
    person_id: int | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[Job]:
    """The newest first; `before_id` continues where the last page ended."""
    wanted: list[ColumnElement[bool]] = []
    if states is not None:
        wanted.append(jobs.c.state.in_([state.value for state in states]))
    if person_id is not None:
        wanted.append(jobs.c.person_id == person_id)
    if before_id is not None:
        wanted.append(jobs.c.id < min(before_id, LAST_ID))
    page = select(jobs).where(and_(True, *wanted)).order_by(jobs.c.id.desc()).limit(limit)
    return _jobs((await tx.execute(page)).mappings().all())


async def unfinished(tx: AsyncConnection) -> list[Job]:
    """All that was promised and has no outcome yet, the oldest first."""
    found = select(jobs).where(jobs.c.state.in_(OPEN)).order_by(jobs.c.id)
    return _jobs((await tx.execute(found)).mappings().all())


async def stranded(tx: AsyncConnection) -> list[Job]:
    """Promised, without an outcome, and in no line of the embedded queue. Only a mistake of ours leaves a job so."""
    in_line = select(queue_entries.c.job_id)
    found = select(jobs).where(jobs.c.state.in_(OPEN), jobs.c.id.not_in(in_line)).order_by(jobs.c.id)
    return _jobs((await tx.execute(found)).mappings().all())


_BEGIN = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.state.in_(OPEN))
    .values(state=JobState.RUNNING.value, attempts=jobs.c.attempts + 1, step=0, started_at=bindparam("now"))
    .returning(jobs)
)


async def begin(tx: AsyncConnection, job_id: int, now: datetime) -> Job | None:
    """Work starts, perhaps again. None if the job has ended: a job handed out twice is not done twice."""
    row = (await tx.execute(_BEGIN, {"job": job_id, "now": now})).mappings().one_or_none()
    return None if row is None else job_of(row)


async def progress(tx: AsyncConnection, job_id: int, step: int, steps: int) -> None:
    await tx.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.RUNNING.value)
        .values(step=step, steps=steps)
    )


async def end(
    tx: AsyncConnection,
    job_id: int,
    state: JobState,
    now: datetime,
    error: str = "",
    *,
    begun_at: datetime | None = None,
) -> bool:
    """Record the outcome, once. False when the job had ended already: the first outcome stands.

    A worker says when it had begun: a job that was stopped and asked for anew meanwhile is no longer that one.
    """
    if not state.ended:
        raise ValueError(f"{state} is not an end")
    ended = await tx.execute(
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.state.in_(OPEN),
            true() if begun_at is None else jobs.c.started_at == begun_at,
        )
        .values(state=state.value, error=sentences.kept(error), ended_at=now)
        .returning(jobs.c.id)
    )
    return ended.one_or_none() is not None


async def requeue(tx: AsyncConnection, job_id: int, deadline_at: datetime | None = None) -> Job | None:
    """A job that failed or was cancelled is asked for anew: new attempts, a new tag behind its owner's others.

    None when it is in no such state. The caller puts it in line again.
    """
    flow = (await tx.execute(select(jobs.c.lane, jobs.c.fair_owner).where(jobs.c.id == job_id))).one_or_none()
    if flow is None:
        return None
    lane = Lane(flow.lane)
    await _one_at_a_time(tx, lane, flow.fair_owner)
    again = await tx.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_([JobState.FAILED.value, JobState.CANCELLED.value]))
        .values(
            state=JobState.QUEUED.value,
            fair_tag=_next_tag(lane.value, flow.fair_owner),
            attempts=0,
            step=0,
            steps=0,
            error="",
            deadline_at=deadline_at,
            # Not started under its new tag: it would carry the virtual time past everybody who waits.
            started_at=None,
            ended_at=None,
            # Whoever asks anew is promised anew.
            **dict.fromkeys(("promised_at", "likely", "at_most", "guessed_likely", "guessed_at_most")),
        )
        .returning(jobs)
    )
    row = again.mappings().one_or_none()
    return None if row is None else job_of(row)


def request_to_json(request: PictureRequest) -> dict[str, Any]:
    values = {field.name: getattr(request, field.name) for field in fields(request)}
    return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}


def request_from_json(stored: dict[str, Any]) -> PictureRequest:
    """What an older or a newer Greenroom stored is read too: what it lacks has a default, the rest is passed over."""
    known = {field.name for field in fields(PictureRequest)}
    values = {name: value for name, value in stored.items() if name in known}
    for field in fields(PictureRequest):
        if field.default is MISSING and field.default_factory is MISSING:
            values.setdefault(field.name, 0 if field.name in ("seed", "word_count") else "")
    values["source"] = _known(Source, values["source"], Source.UNDERSTUDY)
    # A rating that is not known here is taken for the most grown-up one: too careful is the better mistake.
    values["rating"] = _known(Rating, values.get("rating", Rating.ALL_AGES), Rating.ADULT)
    return PictureRequest(**values)


def _known(kind: type[Known], value: object, otherwise: Known) -> Known:
    try:
        return kind(value)
    except ValueError:
        return otherwise


def _next_tag(lane: str | BindParameter[str], fair_owner: str | BindParameter[str]) -> ScalarSelect[int]:
    """`fairness.fair_tag` in SQL: one index entry for the virtual time, one for the end of the flow."""
    others = jobs.alias()
    now = select(func.max(others.c.fair_tag).label("tag")).where(others.c.started_at.is_not(None)).subquery()
    # What was cancelled before it started took nothing from anybody, so its owner is not charged for it.
    for_nothing = and_(others.c.state == JobState.CANCELLED.value, others.c.started_at.is_(None))
    last = (
        select((others.c.fair_tag + others.c.cost).label("tag"))
        .where(others.c.lane == lane, others.c.fair_owner == fair_owner, not_(for_nothing))
        .order_by(others.c.fair_tag.desc())
        .limit(1)
        .subquery()
    )
    both = union_all(select(now.c.tag), select(last.c.tag)).subquery()
    return select(func.coalesce(func.max(both.c.tag), 0)).scalar_subquery()


async def virtual_time(tx: AsyncConnection) -> int:
    """The highest tag that was ever started: see `engine.pictures.fairness`."""
    started = select(func.coalesce(func.max(jobs.c.fair_tag), 0)).where(jobs.c.started_at.is_not(None))
    return int((await tx.execute(started)).scalar_one())


#: So many jobs of the lane that goes first are looked at for who asks lately.
_NEWEST = 1_000
_ASKERS = (
    select(jobs.c.fair_owner, jobs.c.state, jobs.c.created_at, jobs.c.cost)
    # Written out, as the index has it.
    .where(text("lane = 'interactive'"))
    .order_by(jobs.c.id.desc())
    .limit(_NEWEST)
    .subquery()
)


async def askers(tx: AsyncConnection, *, since: datetime) -> int:
    """How many owners have asked for a picture since then in the lane that goes first, or still wait for one."""
    found = select(func.count(func.distinct(_ASKERS.c.fair_owner))).where(
        or_(_ASKERS.c.created_at >= since, _ASKERS.c.state.in_(OPEN))
    )
    return int((await tx.execute(found)).scalar_one())


async def pictures_asked(tx: AsyncConnection, *, since: datetime) -> int:
    """How many pictures were asked for since then in the lane that goes first."""
    found = select(func.coalesce(func.sum(_ASKERS.c.cost), 0)).where(_ASKERS.c.created_at >= since)
    return int((await tx.execute(found)).scalar_one())


#: Made once, like the other statements of what happens at every picture: to make it takes longer than to run it.
_ADD = {
    name: insert(jobs)
    .values(fair_tag=_next_tag(bindparam("in_lane", type_=String), bindparam("of_owner", type_=String)))
    .on_conflict_do_nothing(index_elements=[jobs.c.dedup_key])
    .returning(jobs)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


async def _one_at_a_time(tx: AsyncConnection, lane: Lane, fair_owner: str) -> None:
    """Two jobs of one flow, added at once, would get one tag. SQLite has a single writer anyway."""
    if tx.dialect.name == "postgresql":
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal(f"{lane}:{fair_owner}")))))


def _jobs(rows: Sequence[RowMapping]) -> list[Job]:
    return [job_of(row) for row in rows]


def job_of(row: RowMapping) -> Job:
    values = {field.name: row[field.name] for field in fields(Job)}
    values["state"] = JobState(row["state"])
    values["lane"] = Lane(row["lane"])
    values["request"] = request_from_json(row["request"])
    values["error"] = sentences.told(row["error"])
    return Job(**values)


@dataclass(frozen=True)
class Used:
    """What a person has asked for lately: pictures since a moment, the first of them, and how many still wait."""

    pictures: int
    oldest: datetime | None
    waiting: int


def _counted() -> Select[Any]:
    times = jobs.c.created_at.between(bindparam("since"), bindparam("now"))
    recent = and_(times, jobs.c.state != JobState.CANCELLED.value)
    return select(
        func.coalesce(func.sum(jobs.c.cost).filter(recent), 0).label("pictures"),
        func.min(jobs.c.created_at).filter(recent).label("oldest"),
        func.coalesce(func.sum(jobs.c.cost).filter(jobs.c.state.in_(OPEN)), 0).label("waiting"),
    ).where(jobs.c.person_id == bindparam("person"), or_(recent, jobs.c.state.in_(OPEN)))


_COUNTED = _counted()


async def used(tx: AsyncConnection, person_id: int, *, since: datetime, now: datetime) -> Used:
    row = (await tx.execute(_COUNTED, {"person": person_id, "since": since, "now": now})).one()
    return Used(row.pictures, row.oldest, row.waiting)


@dataclass(frozen=True)
class Asked:
    """A job, and what its message needs: where that is, who is on the picture, the language of whoever asked."""

    job: Job
    ref: ChatRef
    persona_name: str
    language: str


async def asked(tx: AsyncConnection, job_id: int) -> Asked | None:
    """None for a job that is not there, or that nobody asked for in a chat."""
    found = (
        select(
            jobs,
            chats.c.front,
            chats.c.account,
            chats.c.chat,
            chats.c.thread,
            personas.c.name.label("persona_name"),
            people.c.language,
        )
        .join(chats, chats.c.id == jobs.c.chat_id)
        .outerjoin(personas, personas.c.id == jobs.c.persona_id)
        .outerjoin(people, people.c.id == jobs.c.person_id)
        .where(jobs.c.id == job_id)
    )
    row = (await tx.execute(found)).mappings().one_or_none()
    if row is None:
        return None
    ref = ChatRef(row["front"], row["account"], row["chat"], row["thread"])
    return Asked(job_of(row), ref, row["persona_name"] or "", row["language"] or "")


async def open_in_chats(tx: AsyncConnection) -> list[int]:
    """What was promised to somebody in a chat and has no outcome yet."""
    found = select(jobs.c.id).where(jobs.c.state.in_(OPEN), jobs.c.chat_id.is_not(None)).order_by(jobs.c.id)
    return list((await tx.execute(found)).scalars())
