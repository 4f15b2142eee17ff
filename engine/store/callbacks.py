"""Who wants to be told at an address of theirs when a job has ended. A row is a promise that outlives the process.

How it is told, and when it is tried again, is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import sentences
from engine.store.jobs import LAST_ID
from engine.store.records import Callback, CallbackState, JobState
from engine.store.tables import callbacks, jobs, keys

ENDED = tuple(state.value for state in JobState if state.ended)


@dataclass(frozen=True)
class Due:
    """What is to be told now. `revoked`: the key that asked for it opens nothing any more."""

    callback: Callback
    revoked: bool


_ADD = insert(callbacks).returning(callbacks.c.id)


async def add(tx: AsyncConnection, job_id: int, address: str, *, key_id: int | None, now: datetime) -> int:
    """Promise it, in the transaction that takes the job."""
    values = {
        "job_id": job_id,
        "key_id": key_id,
        "address": address,
        "state": CallbackState.OWED.value,
        "created_at": now,
    }
    return int((await tx.execute(_ADD, values)).scalar_one())


def _due() -> Select[Any]:
    ends = callbacks.c.available_at
    return (
        select(callbacks, keys.c.revoked_at)
        .join(jobs, jobs.c.id == callbacks.c.job_id)
        .outerjoin(keys, keys.c.id == callbacks.c.key_id)
        .where(
            callbacks.c.state == CallbackState.OWED.value,
            # One whose pause ends impossibly late was paused before the clock was set back.
            or_(ends.is_(None), ends <= bindparam("now"), ends > bindparam("late")),
            jobs.c.state.in_(ENDED),
            callbacks.c.id.not_in(bindparam("but", expanding=True)),
        )
        .order_by(callbacks.c.id)
        .limit(bindparam("most"))
    )


_DUE = _due()


async def due(
    tx: AsyncConnection, *, now: datetime, late: datetime, but: Collection[int] = (), most: int = 100
) -> list[Due]:
    """What is owed of jobs that have ended, the oldest first. No pause ends later than `late`."""
    asked = {"now": now, "late": late, "but": list(but), "most": most}
    rows = (await tx.execute(_DUE, asked)).mappings()
    return [Due(_callback(row), row["revoked_at"] is not None) for row in rows]


_CHANGE = (
    update(callbacks)
    .where(callbacks.c.id == bindparam("callback"), callbacks.c.state == CallbackState.OWED.value)
    .values(
        state=bindparam("becomes"),
        attempts=callbacks.c.attempts + 1,
        error=bindparam("why"),
        available_at=bindparam("again"),
    )
)


async def tried(
    tx: AsyncConnection,
    callback_id: int,
    becomes: CallbackState,
    *,
    error: str = "",
    again: datetime | None = None,
) -> None:
    """What became of a try. A promise that was kept or given up stays so."""
    told = {"callback": callback_id, "becomes": becomes.value, "why": sentences.kept(error), "again": again}
    await tx.execute(_CHANGE, told)


async def listing(
    tx: AsyncConnection, *, key_id: int | None, every: bool, before: int | None, most: int
) -> list[Callback]:
    """The newest first: a key's own, those of the house, or of everybody."""
    found = select(callbacks).order_by(callbacks.c.id.desc()).limit(most)
    if not every:
        found = found.where(
            callbacks.c.key_id == key_id if key_id is not None else callbacks.c.key_id.is_(None)
        )
    if before is not None:
        found = found.where(callbacks.c.id < min(before, LAST_ID))
    return [_callback(row) for row in (await tx.execute(found)).mappings()]


def _callback(row: RowMapping) -> Callback:
    values = {name: row[name] for name in Callback.__dataclass_fields__}
    state, error = CallbackState(row["state"]), sentences.told(row["error"])
    return Callback(**values | {"state": state, "error": error})
