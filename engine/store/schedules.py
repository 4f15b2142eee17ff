"""Schedules: when posts are to come, and pictures that are ordered by the clock. One function per use.

What comes of them are posts, in `posts.py`, and runs. When their times are, nobody here works out.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Float,
    Integer,
    RowMapping,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.locales import say
from engine.store import once
from engine.store.jobs import LAST_ID
from engine.store.posts import OPEN
from engine.store.records import Schedule, ScheduleState
from engine.store.tables import posts, schedules

_own_ahead = schedules.c.options["ahead"].as_float()
#: What nobody posts orders pictures: see `engine.standing`.
_ORDERS = schedules.c.persona_id.is_(None)
_ACTIVE = and_(schedules.c.state == ScheduleState.ACTIVE.value, ~_ORDERS)


async def add(
    tx: AsyncConnection,
    *,
    chat_id: int,
    persona_id: int = 0,
    spec: str,
    zone: str,
    now: datetime,
    person_id: int | None = None,
    theme: str = "",
    options: dict[str, Any] | None = None,
    next_due_at: datetime | None = None,
    dedup_key: str = "",
    told: str = "",
) -> Schedule:
    """The one that is there already where the same was ordered under the key; `Conflict` where something else was.

    `told` is what was ordered, in brief.
    """
    values = {
        "chat_id": chat_id,
        "persona_id": persona_id or None,
        "person_id": person_id,
        "spec": spec,
        "zone": zone,
        "theme": theme,
        "state": ScheduleState.ACTIVE.value,
        "options": options or {},
        "next_due_at": next_due_at,
        "dedup_key": dedup_key or None,
        "told": told or None,
        "created_at": now,
    }
    row = (await tx.execute(_ADD[tx.dialect.name], values)).mappings().one_or_none()
    if row is None:
        row = (await tx.execute(_ORDERED, {"dedup_key": dedup_key})).mappings().one()
        once.check_same(row["told"], told)
    return _schedule(row)


_ADD = {
    name: made(schedules).on_conflict_do_nothing(index_elements=[schedules.c.dedup_key]).returning(schedules)
    for name, made in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}
_ORDERED = select(schedules).where(schedules.c.dedup_key == bindparam("dedup_key"))


async def ordered(tx: AsyncConnection, dedup_key: str, *, told: str) -> Schedule | None:
    """The schedule that was ordered under a key, if it was; raises `Conflict` where something else was."""
    row = (await tx.execute(_ORDERED, {"dedup_key": dedup_key})).mappings().one_or_none()
    if row is None:
        return None
    once.check_same(row["told"], told)
    return _schedule(row)


async def get(tx: AsyncConnection, schedule_id: int) -> Schedule:
    if 0 < schedule_id <= LAST_ID:
        found = select(schedules).where(schedules.c.id == schedule_id)
        row = (await tx.execute(found)).mappings().one_or_none()
        if row is not None:
            return _schedule(row)
    raise NotFound(say("posting.no_schedule", id=str(schedule_id)))


async def listing(
    tx: AsyncConnection, *, chat_id: int | None = None, persona_id: int | None = None
) -> list[Schedule]:
    found = select(schedules).order_by(schedules.c.id)
    if chat_id is not None:
        found = found.where(schedules.c.chat_id == chat_id)
    if persona_id is not None:
        found = found.where(schedules.c.persona_id == persona_id)
    return [_schedule(row) for row in (await tx.execute(found)).mappings()]


async def page(
    tx: AsyncConnection, *, chat_id: int | None = None, before: int | None = None, most: int = 100
) -> list[Schedule]:
    """The newest first."""
    found = select(schedules).order_by(schedules.c.id.desc()).limit(most)
    if chat_id is not None:
        found = found.where(schedules.c.chat_id == chat_id)
    if before is not None:
        found = found.where(schedules.c.id < before)
    return [_schedule(row) for row in (await tx.execute(found)).mappings()]


async def standing(tx: AsyncConnection) -> list[Schedule]:
    """Standing orders of pictures, whatever state they are in."""
    found = select(schedules).where(_ORDERS).order_by(schedules.c.id)
    return [_schedule(row) for row in (await tx.execute(found)).mappings()]


async def change(
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
    ~exists().where(
        posts.c.schedule_id == schedules.c.id, posts.c.state.in_([state.value for state in OPEN])
    ),
)


async def over(tx: AsyncConnection) -> list[Schedule]:
    """Active schedules of which nothing is to come: no time, and no post."""
    return [_schedule(row) for row in (await tx.execute(_OVER)).mappings()]


_TIMED = select(schedules).where(_ACTIVE, schedules.c.next_due_at > bindparam("after"))


async def timed(tx: AsyncConnection, *, after: datetime) -> list[Schedule]:
    """Active schedules whose next time is later than this."""
    return [_schedule(row) for row in (await tx.execute(_TIMED, {"after": after})).mappings()]


async def remove(tx: AsyncConnection, schedule_id: int) -> None:
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


def _next_times() -> Select[Any]:
    pictured = func.coalesce(schedules.c.options["picture"].as_boolean(), true())
    times = (
        select(schedules.c.next_due_at.label("due"), _own_ahead.label("ahead"), pictured.label("picture"))
        .where(_ACTIVE, schedules.c.next_due_at.is_not(None))
        .subquery()
    )
    first = func.min(times.c.due, type_=times.c.due.type).label("due")
    return select(first, times.c.ahead, times.c.picture).group_by(times.c.ahead, times.c.picture)


_NEXT_TIMES = _next_times()


async def next_times(tx: AsyncConnection) -> list[tuple[datetime, dict[str, Any]]]:
    """When the next times of schedules come that are no posts yet; of each kind, as far as its options say how long
    before it is begun.
    """
    rows = await tx.execute(_NEXT_TIMES)
    return [(row.due, {"ahead": row.ahead, "picture": bool(row.picture)}) for row in rows]


def _schedule(row: RowMapping) -> Schedule:
    values = {field.name: row[field.name] for field in fields(Schedule)}
    values["persona_id"] = row["persona_id"] or 0
    return Schedule(**{**values, "state": ScheduleState(row["state"]), "options": dict(row["options"] or {})})
