"""Schedules and the posts that come of them. One function per use.

The rows are the truth: which time has become a post, how far that is made, and what was decided of it. A change of
state names the states that it starts from, so that of two who decide at once only one does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    RowMapping,
    Select,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.locales import say
from engine.store import sentences
from engine.store.records import (
    DeliveryKind,
    DeliveryState,
    JobState,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from engine.store.tables import deliveries, jobs, pictures, posts, schedules

#: Not shown yet, and still to be shown.
OPEN = (PostState.PLANNED, PostState.MAKING, PostState.WAITING, PostState.READY)
#: What a place's setting of this name says when nothing is posted there.
SETTING, PAUSED = "posts", "paused"
#: Ids beyond this cannot be in the column, and PostgreSQL would not even compare them.
LAST_ID = 2**31 - 1

_OPEN = tuple(state.value for state in OPEN)
_own_ahead = schedules.c.options["ahead"].as_float()
#: What is ordered by it is pictures, and no post: see `engine.standing`.
_ORDERS = schedules.c.options[("order", "kind")].as_string().is_not(None)
_ACTIVE = and_(schedules.c.state == ScheduleState.ACTIVE.value, ~_ORDERS)
_ENDED_JOBS = tuple(state.value for state in JobState if state.ended)


# Schedules


async def add_schedule(
    tx: AsyncConnection,
    *,
    chat_id: int,
    persona_id: int,
    spec: str,
    zone: str,
    now: datetime,
    person_id: int | None = None,
    theme: str = "",
    options: dict[str, Any] | None = None,
    next_due_at: datetime | None = None,
) -> Schedule:
    values = {
        "chat_id": chat_id,
        "persona_id": persona_id,
        "person_id": person_id,
        "spec": spec,
        "zone": zone,
        "theme": theme,
        "state": ScheduleState.ACTIVE.value,
        "options": options or {},
        "next_due_at": next_due_at,
        "created_at": now,
    }
    row = (await tx.execute(insert(schedules).values(values).returning(schedules))).mappings().one()
    return _schedule(row)


async def schedule(tx: AsyncConnection, schedule_id: int) -> Schedule:
    if 0 < schedule_id <= LAST_ID:
        found = select(schedules).where(schedules.c.id == schedule_id)
        row = (await tx.execute(found)).mappings().one_or_none()
        if row is not None:
            return _schedule(row)
    raise NotFound(say("posting.no_schedule", id=str(schedule_id)))


async def schedule_listing(
    tx: AsyncConnection, *, chat_id: int | None = None, persona_id: int | None = None
) -> list[Schedule]:
    found = select(schedules).order_by(schedules.c.id)
    if chat_id is not None:
        found = found.where(schedules.c.chat_id == chat_id)
    if persona_id is not None:
        found = found.where(schedules.c.persona_id == persona_id)
    return [_schedule(row) for row in (await tx.execute(found)).mappings()]


async def standing(tx: AsyncConnection) -> list[Schedule]:
    """Standing orders of pictures, whatever state they are in."""
    found = select(schedules).where(_ORDERS).order_by(schedules.c.id)
    return [_schedule(row) for row in (await tx.execute(found)).mappings()]


async def change_schedule(
    tx: AsyncConnection, known: Schedule, *, move: bool = False, **changes: Any
) -> Schedule | None:
    """The schedule with these columns changed; None where it is not as it was known any more.

    `move`: only while its next time is the one that is known, too: two who plan it at once plan it once.
    """
    same = [
        schedules.c.id == known.id,
        schedules.c.spec == known.spec,
        schedules.c.zone == known.zone,
        schedules.c.state == known.state.value,
    ]
    if move:
        same.append(schedules.c.next_due_at == known.next_due_at)
    values = {name: getattr(value, "value", value) for name, value in changes.items()}
    changed = update(schedules).where(and_(*same)).values(values).returning(schedules)
    row = (await tx.execute(changed)).mappings().one_or_none()
    return None if row is None else _schedule(row)


_OVER = select(schedules).where(
    _ACTIVE,
    schedules.c.next_due_at.is_(None),
    ~exists().where(posts.c.schedule_id == schedules.c.id, posts.c.state.in_(_OPEN)),
)


async def over(tx: AsyncConnection) -> list[Schedule]:
    """Active schedules of which nothing is to come: no time, and no post."""
    return [_schedule(row) for row in (await tx.execute(_OVER)).mappings()]


_TIMED = select(schedules).where(_ACTIVE, schedules.c.next_due_at > bindparam("after"))


async def timed(tx: AsyncConnection, *, after: datetime) -> list[Schedule]:
    """Active schedules whose next time is later than this."""
    return [_schedule(row) for row in (await tx.execute(_TIMED, {"after": after})).mappings()]


async def delete_schedule(tx: AsyncConnection, schedule_id: int) -> None:
    await tx.execute(delete(schedules).where(schedules.c.id == schedule_id))


def _to_plan() -> Select[Any]:
    # Nearly all begin to make a post so long before its time; those that say otherwise are looked at one by one.
    soon = schedules.c.next_due_at <= bindparam("soon")
    far = and_(_own_ahead > bindparam("usual", type_=Float), schedules.c.next_due_at <= bindparam("far"))
    return (
        select(schedules)
        .where(_ACTIVE, or_(soon, far))
        .order_by(schedules.c.next_due_at)
        .limit(bindparam("most", type_=Integer))
    )


#: Made once, like the other statements that are asked at every look: a schedule is rarely due, and often looked for.
_TO_PLAN = _to_plan()


async def to_plan(
    tx: AsyncConnection, *, soon: datetime, far: datetime, usual: float, most: int = 500
) -> list[Schedule]:
    """Active schedules whose next time comes before `soon`; before `far`, for those that begin earlier than usual."""
    asked = {"soon": soon, "far": far, "usual": usual, "most": most}
    return [_schedule(row) for row in (await tx.execute(_TO_PLAN, asked)).mappings()]


_NEXT_TIME = (
    select(schedules.c.next_due_at)
    .where(_ACTIVE, schedules.c.next_due_at.is_not(None), _own_ahead.is_(None))
    .order_by(schedules.c.next_due_at)
    .limit(1)
)
_NEXT_TIMES = select(schedules.c.next_due_at, _own_ahead.label("ahead")).where(
    _ACTIVE, schedules.c.next_due_at.is_not(None), _own_ahead.is_not(None)
)


async def next_times(tx: AsyncConnection) -> list[tuple[datetime, float | None]]:
    """When times of schedules come that are no posts yet, and how many seconds ahead those are begun: the next of
    all that begin as usual, and each that says otherwise.
    """
    usual = (await tx.execute(_NEXT_TIME)).scalars()
    return [*((due, None) for due in usual), *((row[0], row[1]) for row in await tx.execute(_NEXT_TIMES))]


# Posts


async def add(
    tx: AsyncConnection,
    *,
    key: str,
    due_at: datetime,
    chat_id: int,
    persona_id: int,
    now: datetime,
    schedule_id: int | None = None,
    theme: str = "",
    state: PostState = PostState.PLANNED,
    error: str = "",
    options: dict[str, Any] | None = None,
) -> Post | None:
    """A post that is to come, or was passed over; None where this time is a post already."""
    values = {
        "occurrence_key": key,
        "due_at": due_at,
        "chat_id": chat_id,
        "persona_id": persona_id,
        "schedule_id": schedule_id,
        "theme": theme,
        "state": state.value,
        "error": sentences.kept(error),
        "options": options or {},
        "created_at": now,
    }
    row = (await tx.execute(_ADD[tx.dialect.name], values)).mappings().one_or_none()
    return None if row is None else _post(row)


_ADD = {
    name: made(posts).on_conflict_do_nothing(index_elements=[posts.c.occurrence_key]).returning(posts)
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


async def get(tx: AsyncConnection, post_id: int, *, alone: bool = False) -> Post:
    """`alone`: nobody else changes it before this transaction is over."""
    if 0 < post_id <= LAST_ID:
        found = select(posts).where(posts.c.id == post_id)
        row = (await tx.execute(found.with_for_update() if alone else found)).mappings().one_or_none()
        if row is not None:
            return _post(row)
    raise NotFound(say("posting.no_post", id=str(post_id)))


async def listing(
    tx: AsyncConnection,
    *,
    chat_id: int | None = None,
    states: Iterable[PostState] | None = None,
    most: int = 20,
) -> list[Post]:
    """The latest first, by the time at which they are due; of a chat: whatever is to appear there, or did."""
    wanted: list[ColumnElement[bool]] = []
    if chat_id is not None:
        wanted.append(or_(posts.c.chat_id == chat_id, _comes_to(tx, chat_id), _came_to(chat_id)))
    if states is not None:
        wanted.append(posts.c.state.in_([state.value for state in states]))
    found = select(posts).where(and_(True, *wanted)).order_by(posts.c.due_at.desc(), posts.c.id.desc())
    return [_post(row) for row in (await tx.execute(found.limit(most))).mappings()]


def _comes_to(tx: AsyncConnection, chat_id: int) -> ColumnElement[bool]:
    """Of those that are still to come: a chat is among their targets."""
    if tx.dialect.name == "postgresql":
        named = cast(posts.c.options["targets"], postgresql.JSONB).contains([chat_id])
    else:
        targets = func.json_each(posts.c.options, "$.targets").table_valued("value")
        named = select(targets.c.value).where(targets.c.value == chat_id).exists()
    return and_(posts.c.state.in_(_OPEN), named)


def _came_to(chat_id: int) -> ColumnElement[bool]:
    owed = deliveries.c.chat_id == chat_id, deliveries.c.kind == DeliveryKind.POST.value
    return posts.c.id.in_(select(deliveries.c.post_id).where(*owed, deliveries.c.post_id.is_not(None)))


async def open_of(tx: AsyncConnection, schedule_id: int) -> list[Post]:
    """What is still to come of a schedule, the next first."""
    found = select(posts).where(posts.c.schedule_id == schedule_id, posts.c.state.in_(_OPEN))
    return [_post(row) for row in (await tx.execute(found.order_by(posts.c.due_at, posts.c.id))).mappings()]


async def keys_of(tx: AsyncConnection, schedule_id: int, *, after: datetime) -> set[str]:
    """Which of its times after this moment are posts, whatever became of those."""
    found = select(posts.c.occurrence_key).where(posts.c.schedule_id == schedule_id, posts.c.due_at > after)
    return set((await tx.execute(found)).scalars())


async def count_of(tx: AsyncConnection, schedule_id: int) -> int:
    """How many times of a schedule have become posts, whatever became of those."""
    counted = select(func.count()).select_from(posts).where(posts.c.schedule_id == schedule_id)
    return int((await tx.execute(counted)).scalar_one())


async def change(
    tx: AsyncConnection,
    post_id: int,
    *,
    was: Collection[PostState],
    of_job: int | None = None,
    **changes: Any,
) -> Post | None:
    """The post with these columns changed; None where it is in none of those states any more.

    `of_job`: only while this is the job of its picture.
    """
    values = {name: getattr(value, "value", value) for name, value in changes.items()}
    if "error" in values:
        values["error"] = sentences.kept(values["error"])
    states = [state.value for state in was]
    changed = update(posts).where(posts.c.id == post_id, posts.c.state.in_(states)).values(values)
    if of_job is not None:
        changed = changed.where(posts.c.job_id == of_job)
    row = (await tx.execute(changed.returning(posts))).mappings().one_or_none()
    return None if row is None else _post(row)


async def delete_coming(tx: AsyncConnection, schedule_id: int, *, after: datetime) -> list[Post]:
    """Take away what was planned for later and nobody has seen; answers what that was."""
    gone = delete(posts).where(
        posts.c.schedule_id == schedule_id, posts.c.state.in_(_OPEN), posts.c.due_at > after
    )
    return [_post(row) for row in (await tx.execute(gone.returning(posts))).mappings()]


# What is to be done


@dataclass(frozen=True)
class Under:
    """An open post, and how its picture stands: the job, until when that has time, and the first of what it made."""

    post: Post
    job_state: JobState | None = None
    job_error: str = ""
    picture_id: int | None = None
    picture_deadline: datetime | None = None


def _under_way(*wanted: ColumnElement[bool]) -> Select[Any]:
    made = (
        select(func.min(pictures.c.id))
        .where(pictures.c.job_id == jobs.c.id, pictures.c.deleted_at.is_(None))
        .scalar_subquery()
    )
    return (
        select(
            posts,
            jobs.c.state.label("job_state"),
            jobs.c.error.label("job_error"),
            jobs.c.deadline_at.label("job_deadline"),
            made.label("first_picture"),
        )
        .outerjoin(jobs, jobs.c.id == posts.c.job_id)
        .where(*wanted)
        .order_by(posts.c.due_at, posts.c.id)
        .limit(bindparam("most", type_=Integer))
    )


_DUE = _under_way(posts.c.state.in_(_OPEN), posts.c.due_at <= bindparam("now"))
_MADE = _under_way(posts.c.state == PostState.MAKING.value, jobs.c.state.in_(_ENDED_JOBS))


async def due(tx: AsyncConnection, *, now: datetime, most: int = 500) -> list[Under]:
    """Open posts whose time has come, the earliest first."""
    return [_under(row) for row in (await tx.execute(_DUE, {"now": now, "most": most})).mappings()]


async def made(tx: AsyncConnection, *, most: int = 500) -> list[Under]:
    """Posts that waited for a picture which has come, or will not."""
    return [_under(row) for row in (await tx.execute(_MADE, {"most": most})).mappings()]


_TO_MAKE = (
    select(posts)
    .where(
        or_(
            posts.c.state == PostState.PLANNED.value,
            and_(posts.c.state == PostState.MAKING.value, posts.c.job_id.is_(None)),
        )
    )
    .order_by(posts.c.due_at, posts.c.id)
    .limit(bindparam("most", type_=Integer))
)


async def to_make(tx: AsyncConnection, *, most: int = 500) -> list[Post]:
    """Posts that lack a caption, or an order for their picture; the most urgent first."""
    return [_post(row) for row in (await tx.execute(_TO_MAKE, {"most": most})).mappings()]


_NEXT_DUE = select(func.min(posts.c.due_at)).where(
    posts.c.state.in_(_OPEN), posts.c.due_at > bindparam("after")
)


async def next_due(tx: AsyncConnection, *, after: datetime) -> datetime | None:
    """When the next open post is due."""
    found: datetime | None = (await tx.execute(_NEXT_DUE, {"after": after})).scalar_one()
    return found


_RECENT = (
    select(posts.c.caption)
    .where(posts.c.persona_id == bindparam("persona"), posts.c.caption != "", posts.c.id != bindparam("but"))
    .order_by(posts.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)


async def recent_captions(tx: AsyncConnection, persona_id: int, *, most: int, but: int = 0) -> list[str]:
    """What a persona posted last, or is about to; the newest first."""
    asked = {"persona": persona_id, "most": most, "but": but}
    return list((await tx.execute(_RECENT, asked)).scalars())


# Taking back


@dataclass(frozen=True)
class Shown:
    """A delivery of a post: where it went, and what became of it."""

    delivery_id: int
    chat_id: int
    state: DeliveryState
    messages: tuple[str, ...]
    #: Where the talk of that chat remembers it.
    turn_id: int | None = None


async def shown(tx: AsyncConnection, post_id: int) -> list[Shown]:
    found = select(deliveries).where(
        deliveries.c.post_id == post_id, deliveries.c.kind == DeliveryKind.POST.value
    )
    return [
        Shown(row.id, row.chat_id, DeliveryState(row.state), tuple(row.messages), row.turn_id)
        for row in await tx.execute(found.order_by(deliveries.c.id))
    ]


async def order_picture(tx: AsyncConnection, post_id: int, job_id: int) -> bool:
    """This job makes its picture; False where another one does, or none is wanted any more."""
    ordered = (
        update(posts)
        .where(posts.c.id == post_id, posts.c.state == PostState.MAKING.value, posts.c.job_id.is_(None))
        .values(job_id=job_id)
    )
    return bool((await tx.execute(ordered)).rowcount)


async def is_recalled(tx: AsyncConnection, post_id: int) -> bool:
    """Nobody takes it back any more before this transaction is over: whoever asks tells what follows from it."""
    found = select(posts.c.state).where(posts.c.id == post_id).with_for_update()
    return (await tx.execute(found)).scalar_one_or_none() == PostState.RECALLED.value


def _schedule(row: RowMapping) -> Schedule:
    values = {field.name: row[field.name] for field in fields(Schedule)}
    return Schedule(**{**values, "state": ScheduleState(row["state"]), "options": dict(row["options"] or {})})


def _post(row: RowMapping) -> Post:
    values = {field.name: row[field.name] for field in fields(Post)}
    values["state"] = PostState(row["state"])
    values["error"] = sentences.told(row["error"])
    values["source"] = Source(row["source"]) if row["source"] else None
    values["options"] = dict(row["options"] or {})
    return Post(**values)


def _under(row: RowMapping) -> Under:
    state = JobState(row["job_state"]) if row["job_state"] else None
    return Under(_post(row), state, row["job_error"] or "", row["first_picture"], row["job_deadline"])
