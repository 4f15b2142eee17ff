"""Pictures that were not made here: each is a row like any other, of a job that ended as it began. What was lent
lately is read from those jobs. One function per use.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store import jobs as job_rows
from engine.store import pictures as picture_rows
from engine.store.records import JobState, Lane, PictureRequest
from engine.store.tables import jobs, pictures
from personas.persona import Rating

#: Nobody works on their jobs; a flow of their own, so that they take no place in anybody else's.
_OWNER = "borrowed"


async def add(
    tx: AsyncConnection,
    *,
    lender: str,
    scene: str,
    file: str,
    width: int,
    height: int,
    rating: Rating,
    model: str,
    facts: dict[str, Any],
    dedup_key: str,
    now: datetime,
) -> tuple[int, int] | None:
    """The ids of its job and of itself; None where the same was lent before."""
    request = PictureRequest(
        scene, "", "", "", Source.PERSON, 0, 0, width=width, height=height, steps=0, guidance=0, rating=rating
    )
    added = await job_rows.add(
        tx,
        request=request,
        lane=Lane.EVENTS,
        fair_owner=f"{_OWNER}:{lender}",
        cost=1,
        now=now,
        dedup_key=dedup_key,
    )
    if not added.is_new:
        return None
    await job_rows.end(tx, added.job.id, JobState.DONE, now)
    row = {
        "job_id": added.job.id,
        "number": 1,
        "file": file,
        "scene": scene,
        "prompt": "",
        "negative": "",
        "style": "",
        "source": Source.PERSON.value,
        "word_count": 0,
        "seed": 0,
        "width": width,
        "height": height,
        "steps": 0,
        "guidance": 0.0,
        "rating": rating.value,
        "model": model,
        "device": "",
        "stand_in": True,
        "facts": facts,
        "created_at": now,
    }
    [picture_id] = await picture_rows.add(tx, [row])
    return added.job.id, picture_id


_LATELY = (
    select(pictures.c.facts)
    .join(jobs, jobs.c.id == pictures.c.job_id)
    .where(jobs.c.lane == Lane.EVENTS.value, jobs.c.fair_owner == bindparam("owner"))
    .order_by(jobs.c.fair_tag.desc())
    .limit(bindparam("most", type_=Integer))
)


async def lately(tx: AsyncConnection, lender: str, *, most: int) -> list[dict[str, Any]]:
    """The facts of what somebody lent last, the latest first."""
    asked = {"owner": f"{_OWNER}:{lender}", "most": most}
    return [dict(facts or {}) for facts in (await tx.execute(_LATELY, asked)).scalars()]


async def is_shown(tx: AsyncConnection, file: str, *, dedup_key: str) -> bool:
    """Whether the picture that was lent under this key is there, in this file."""
    found = exists().where(
        jobs.c.dedup_key == dedup_key, pictures.c.job_id == jobs.c.id, pictures.c.file == file
    )
    return bool((await tx.execute(select(found))).scalar_one())
