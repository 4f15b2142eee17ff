"""Posts, of schedules, feeds and by hand. One function per use.

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
    Integer,
    RowMapping,
    Select,
    and_,
    bindparam,
    cast,
    delete,
    func,
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
from engine.store.jobs import LAST_ID
from engine.store.records import (
    DeliveryKind,
    DeliveryState,
    JobState,
    Post,
    PostState,
)
from engine.store.tables import deliveries, jobs, pictures, posts

#: Not shown yet, and still to be shown.
OPEN = (PostState.PLANNED, PostState.MAKING, PostState.WAITING, PostState.READY)
#: What a place's setting of this name says when nothing is posted there.
SETTING, PAUSED = "posts", "paused"

_OPEN = tuple(state.value for state in OPEN)
_ENDED_JOBS = tuple(state.value for state in JobState if state.ended)


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


async def keyed(tx: AsyncConnection, key: str) -> Post | None:
    """The post that somebody has made of this time, or of this order."""
    row = (await tx.execute(select(posts).where(posts.c.occurrence_key == key))).mappings().one_or_none()
    return None if row is None else _post(row)


async def listing(
    tx: AsyncConnection,
    *,
    chat_id: int | None = None,
    states: Iterable[PostState] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    behind: tuple[datetime, int] | None = None,
    soonest: bool = False,
    most: int = 20,
) -> list[Post]:
    """The latest first, by the time at which they are due; of a chat: whatever is to appear there, or did.

    `soonest`: the earliest first. `behind`: in that order, behind the one of that time and number.
    """
    wanted: list[ColumnElement[bool]] = []
    if since is not None:
        wanted.append(posts.c.due_at >= since)
    if until is not None:
        wanted.append(posts.c.due_at < until)
    if behind is not None:
        due, number = behind
        later = posts.c.id > number if soonest else posts.c.id < number
        beyond = posts.c.due_at > due if soonest else posts.c.due_at < due
        wanted.append(or_(beyond, and_(posts.c.due_at == due, later)))
    if chat_id is not None:
        wanted.append(or_(posts.c.chat_id == chat_id, _comes_to(tx, chat_id), _came_to(chat_id)))
    if states is not None:
        wanted.append(posts.c.state.in_([state.value for state in states]))
    order = (posts.c.due_at, posts.c.id) if soonest else (posts.c.due_at.desc(), posts.c.id.desc())
    found = select(posts).where(and_(True, *wanted)).order_by(*order)
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


def _post(row: RowMapping) -> Post:
    values = {field.name: row[field.name] for field in fields(Post)}
    values["state"] = PostState(row["state"])
    values["error"] = sentences.told(row["error"])
    values["source"] = Source(row["source"]) if row["source"] else None
    values["options"] = dict(row["options"] or {})
    return Post(**values)


def _under(row: RowMapping) -> Under:
    state = JobState(row["job_state"]) if row["job_state"] else None
    error = sentences.told(row["job_error"] or "")
    return Under(_post(row), state, error, row["first_picture"], row["job_deadline"])
