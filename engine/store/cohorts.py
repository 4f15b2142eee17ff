"""Cohorts: whom a run is about, found page by page. And how many personas and posts have a picture.

It knows rows alone. Who ordered what is told in `engine.runs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.jobs import LAST_ID, OPEN
from engine.store.records import PostState
from engine.store.tables import jobs, personas, pictures, posts, schedules

#: So many rows are looked at in one go.
PAGE = 500


@dataclass(frozen=True)
class Cohort:
    """Which personas, or which posts. What is empty leaves nobody out."""

    #: Posts instead of personas.
    posts: bool = False
    tags: tuple[str, ...] = ()
    personas: tuple[int, ...] = ()
    #: Of whom the row was made in that year, in UTC; of posts, that were due in it.
    year: int | None = None
    #: Only who has no picture; with a style, none in that style.
    missing: bool = False
    style: str = ""
    #: Where nothing paints, a stand-in is as good a picture as there can be.
    stand_ins_count: bool = False


@dataclass(frozen=True)
class Member:
    """A persona; or a post, with the words that its picture is to be about."""

    id: int
    persona_id: int
    slug: str
    name: str
    scene: str = ""


async def members(
    tx: AsyncConnection, cohort: Cohort, *, after: int = 0, last: int = LAST_ID, most: int | None = None
) -> list[Member]:
    """In the order of their ids: those behind `after`, up to `last`. Whoever wants a few of them pays for a few."""
    found: list[Member] = []
    while True:
        page = _of_posts(cohort, after, last) if cohort.posts else _of_personas(cohort, after, last)
        rows = (await tx.execute(page.limit(PAGE))).mappings().all()
        for row in rows:
            if _is_in(cohort, row["tags"]) and (not cohort.posts or _is_shown(row["options"])):
                found.append(Member(row["id"], row["persona_id"], row["slug"], row["name"], row["scene"]))
                if len(found) == most:
                    return found
        if len(rows) < PAGE:
            return found
        after = rows[-1]["id"]


async def last_of(tx: AsyncConnection, cohort: Cohort) -> int:
    """Who comes later is not meant by an order that is given now."""
    of = posts if cohort.posts else personas
    return int((await tx.execute(select(func.coalesce(func.max(of.c.id), 0)))).scalar_one())


async def tags(tx: AsyncConnection) -> list[str]:
    """All that somebody has, in their order."""
    rows = (await tx.execute(select(personas.c.tags).where(personas.c.deleted_at.is_(None)))).scalars()
    return sorted({tag for row in rows for tag in row}, key=lambda tag: (tag.casefold(), tag))


@dataclass(frozen=True)
class Pictured:
    """How many there are, and how many of them have a picture."""

    total: int
    pictured: int

    @property
    def bare(self) -> int:
        return self.total - self.pictured


async def personas_pictured(tx: AsyncConnection, *, style: str = "", stand_ins_count: bool) -> Pictured:
    has = _has_picture(Cohort(style=style, stand_ins_count=stand_ins_count))
    found = select(func.count().label("total"), func.count().filter(has).label("pictured"))
    row = (await tx.execute(found.select_from(personas).where(personas.c.deleted_at.is_(None)))).one()
    return Pictured(row.total, row.pictured)


async def posts_pictured(tx: AsyncConnection) -> Pictured:
    """Of those that were published."""
    found = select(
        func.count().label("total"), func.count().filter(posts.c.picture_id.is_not(None)).label("pictured")
    ).where(posts.c.state == PostState.PUBLISHED.value)
    row = (await tx.execute(found)).one()
    return Pictured(row.total, row.pictured)


def _of_personas(cohort: Cohort, after: int, last: int) -> Select[Any]:
    wanted = [personas.c.deleted_at.is_(None), personas.c.id > after, personas.c.id <= last]
    if cohort.personas:
        wanted.append(personas.c.id.in_(cohort.personas))
    if cohort.year is not None:
        wanted.append(_in_year(personas.c.created_at, cohort.year))
    if cohort.missing:
        wanted.append(~_has_picture(cohort))
    return (
        select(
            personas.c.id,
            personas.c.id.label("persona_id"),
            personas.c.slug,
            personas.c.name,
            literal("").label("scene"),
            personas.c.tags,
        )
        .where(and_(*wanted))
        .order_by(personas.c.id)
    )


def _of_posts(cohort: Cohort, after: int, last: int) -> Select[Any]:
    wanted = [
        posts.c.id > after,
        posts.c.id <= last,
        posts.c.state == PostState.PUBLISHED.value,
        personas.c.deleted_at.is_(None),
        # One that is being made for it is not missing.
        or_(posts.c.job_id.is_(None), posts.c.job_id.not_in(select(jobs.c.id).where(jobs.c.state.in_(OPEN)))),
    ]
    if cohort.personas:
        wanted.append(posts.c.persona_id.in_(cohort.personas))
    if cohort.year is not None:
        wanted.append(_in_year(posts.c.due_at, cohort.year))
    if cohort.missing:
        wanted.append(posts.c.picture_id.is_(None))
    return (
        select(
            posts.c.id,
            posts.c.persona_id,
            personas.c.slug,
            personas.c.name,
            func.coalesce(func.nullif(posts.c.theme, ""), posts.c.caption).label("scene"),
            personas.c.tags,
            schedules.c.options,
        )
        .join(personas, personas.c.id == posts.c.persona_id)
        .outerjoin(schedules, schedules.c.id == posts.c.schedule_id)
        .where(and_(*wanted))
        .order_by(posts.c.id)
    )


def _has_picture(cohort: Cohort) -> ColumnElement[bool]:
    theirs = [pictures.c.persona_id == personas.c.id, pictures.c.deleted_at.is_(None)]
    if cohort.style:
        theirs.append(pictures.c.style == cohort.style)
    if not cohort.stand_ins_count:
        theirs.append(pictures.c.stand_in.is_(False))
    return exists().where(and_(*theirs))


def _in_year(moment: ColumnElement[datetime], year: int) -> ColumnElement[bool]:
    return and_(moment >= datetime(year, 1, 1, tzinfo=UTC), moment < datetime(year + 1, 1, 1, tzinfo=UTC))


def _is_in(cohort: Cohort, their: list[str]) -> bool:
    # Compared here: SQLite's lower() knows no letters beyond ASCII.
    have = {tag.casefold() for tag in their}
    return not cohort.tags or any(tag.casefold() in have for tag in cohort.tags)


def _is_shown(options: dict[str, Any] | None) -> bool:
    """A schedule that wants words alone misses no picture."""
    return bool((options or {}).get("picture", True))
