"""All pictures that there are, page by page, and the family of each: what it came from, and what came from it.

Who may see how much of it, it is told. The bytes are elsewhere: see `files.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.jobs import LAST_ID
from engine.store.page_news import Shot
from engine.store.records import Picture
from engine.store.tables import jobs, personas, pictures
from personas.persona import Rating

#: A family is told so far: steps back, and pictures that were made from one.
MOST_PARENTS, MOST_VARIATIONS = 20, 100


@dataclass(frozen=True)
class Wanted:
    """Which pictures. None and empty: all of them."""

    persona_id: int | None = None
    style: str = ""
    run_id: int | None = None
    rating: Rating | None = None
    #: Only those that this person has asked for.
    person_id: int | None = None


async def page(
    tx: AsyncConnection, wanted: Wanted, *, allowed: Rating, before: int | None, most: int
) -> list[Shot]:
    """The newest first; nothing that is more grown-up than `allowed`."""
    found = _shots().where(*_of(wanted), _rated(allowed, told=_narrow(wanted))).limit(most)
    if before is not None:
        found = found.where(pictures.c.id < min(before, LAST_ID))
    return await _read(tx, found.order_by(pictures.c.id.desc()))


def _narrow(wanted: Wanted) -> bool:
    return bool(wanted.persona_id or wanted.style or wanted.run_id or wanted.person_id)


def _of(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The column that says most is looked up in its index, which is in order; the others are compared."""
    told: list[tuple[ColumnElement[Any], object]] = [
        (column, value)
        for column, value in (
            (pictures.c.run_id, wanted.run_id),
            (pictures.c.persona_id, wanted.persona_id),
            (pictures.c.style, wanted.style or None),
            (pictures.c.rating, wanted.rating.value if wanted.rating else None),
        )
        if value is not None
    ]
    conditions = [
        (column if not place else _aside(column)) == value for place, (column, value) in enumerate(told)
    ]
    if wanted.person_id is not None:
        own = select(jobs.c.id).where(jobs.c.person_id == wanted.person_id)
        conditions.append(pictures.c.job_id.in_(own))
    return conditions


def _aside(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column's value, by which nothing is looked up: of two indexes the worse one may be taken, or both."""
    return func.coalesce(column, column)


def _rated(allowed: Rating, *, told: bool) -> ColumnElement[bool]:
    column = _aside(pictures.c.rating) if told or allowed is not Rating.ALL_AGES else pictures.c.rating
    if allowed is Rating.ALL_AGES:
        return column == Rating.ALL_AGES.value
    return column != (Rating.ADULT.value if allowed is Rating.MATURE else "")


@dataclass(frozen=True)
class Family:
    #: What it was made from, and what that was made from; the nearest first.
    parents: tuple[Shot, ...]
    #: What was made from it, the newest first.
    variations: tuple[Shot, ...]


async def family(tx: AsyncConnection, picture: Picture, *, allowed: Rating, person_id: int | None) -> Family:
    """As far as it is there still, and may be seen. `person_id`: only what this one has asked for."""
    seen = [_rated(allowed, told=True), *_of(Wanted(person_id=person_id))]
    ids, up = list[int](), picture.parent_id
    while up is not None and up not in ids and len(ids) < MOST_PARENTS:
        ids.append(up)
        # Also past those that were deleted.
        up = (await tx.execute(select(pictures.c.parent_id).where(pictures.c.id == up))).scalar_one_or_none()
    there = await _read(tx, _shots().where(pictures.c.id.in_(ids) if ids else false(), *seen))
    variations = _shots().where(pictures.c.parent_id == picture.id, *seen).order_by(pictures.c.id.desc())
    return Family(
        tuple(sorted(there, key=lambda shot: ids.index(shot.id))),
        tuple(await _read(tx, variations.limit(MOST_VARIATIONS))),
    )


async def remove(tx: AsyncConnection, picture_id: int, *, now: datetime) -> None:
    """It is shown nowhere any more, and nobody's face."""
    of_it = personas.c.face_picture_id == picture_id
    await tx.execute(update(personas).where(of_it).values(face_picture_id=None))
    gone = update(pictures).where(pictures.c.id == picture_id, pictures.c.deleted_at.is_(None))
    await tx.execute(gone.values(deleted_at=now))


def _shots() -> Select[Any]:
    return (
        select(
            *(
                pictures.c[name]
                for name in ("id", "style", "width", "height", "rating", "stand_in", "created_at")
            ),
            personas.c.slug.label("persona"),
        )
        .outerjoin(personas, personas.c.id == pictures.c.persona_id)
        .where(pictures.c.deleted_at.is_(None))
    )


async def _read(tx: AsyncConnection, found: Select[Any]) -> list[Shot]:
    return [
        Shot(**row | {"persona": row["persona"] or "", "rating": Rating(row["rating"])})
        for row in map(dict, (await tx.execute(found)).mappings())
    ]
