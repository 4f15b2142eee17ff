"""Finished pictures and all that made them. The bytes are elsewhere: see `files.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.locales import say
from engine.store.jobs import LAST_ID
from engine.store.records import Picture
from engine.store.tables import pictures
from personas.persona import Rating


async def add(tx: AsyncConnection, made: Sequence[dict[str, Any]]) -> list[int]:
    """Store the rows of one job's pictures, in one statement; answers their ids in the same order."""
    rows = await tx.execute(insert(pictures).returning(pictures.c.id, sort_by_parameter_order=True), made)
    return [row.id for row in rows]


async def of_jobs(tx: AsyncConnection, job_ids: Sequence[int]) -> dict[int, list[Picture]]:
    found = (
        select(pictures)
        .where(pictures.c.job_id.in_(job_ids), pictures.c.deleted_at.is_(None))
        .order_by(pictures.c.job_id, pictures.c.number)
    )
    made: dict[int, list[Picture]] = {}
    for row in (await tx.execute(found)).mappings():
        made.setdefault(row["job_id"], []).append(_picture(row))
    return made


async def get(tx: AsyncConnection, picture_id: int) -> Picture:
    if 0 < picture_id <= LAST_ID:
        found = await tx.execute(
            select(pictures).where(pictures.c.id == picture_id, pictures.c.deleted_at.is_(None))
        )
        row = found.mappings().one_or_none()
        if row is not None:
            return _picture(row)
    raise NotFound(say("pictures.no_picture", id=str(picture_id)))


def _picture(row: RowMapping) -> Picture:
    values = {name: row[name] for name in Picture.__dataclass_fields__}
    values["source"] = Source(row["source"])
    values["rating"] = Rating(row["rating"])
    return Picture(**values)
