"""Browsers that were let in: each by a random word in a cookie, of which a hash is kept. One function per use."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.keys import key_of
from engine.store.records import Key, Session
from engine.store.tables import keys, sessions

#: So many are kept; beyond that the oldest end. On loopback anybody who opens the page begins one.
MOST = 1_000


async def begin(
    tx: AsyncConnection, *, kept: str, now: datetime, ends_at: datetime, key: Key | None = None
) -> Session:
    """Let somebody in; on the way, those whose time is over are forgotten."""
    newest = select(sessions.c.id).order_by(sessions.c.id.desc()).limit(1).offset(MOST - 2).scalar_subquery()
    await tx.execute(delete(sessions).where(or_(sessions.c.ends_at <= now, sessions.c.id < newest)))
    values = {"hash": kept, "key_id": key.id if key else None, "created_at": now, "ends_at": ends_at}
    made = await tx.execute(insert(sessions).values(values).returning(sessions.c.id))
    return Session(made.scalar_one(), now, ends_at, key)


_WITH_KEY = (
    select(
        sessions.c.id.label("session_id"),
        sessions.c.created_at.label("began_at"),
        sessions.c.ends_at,
        keys,
    )
    .select_from(sessions.outerjoin(keys, keys.c.id == sessions.c.key_id))
    # Where a key was revoked, nobody is inside any more who came in by it.
    .where(sessions.c.ends_at > bindparam("now"), keys.c.revoked_at.is_(None))
)
_FIND = _WITH_KEY.where(sessions.c.hash == bindparam("hash"))
_GOOD = _WITH_KEY.where(sessions.c.id == bindparam("session_id"))


async def find(tx: AsyncConnection, *, kept: str, now: datetime) -> Session | None:
    """The session that is good, and whose word somebody showed."""
    row = (await tx.execute(_FIND, {"hash": kept, "now": now})).mappings().one_or_none()
    if row is None:
        return None
    key = key_of(row) if row["id"] is not None else None
    return Session(row["session_id"], row["began_at"], row["ends_at"], key)


async def is_good(tx: AsyncConnection, session_id: int, *, now: datetime) -> bool:
    found = await tx.execute(_GOOD, {"session_id": session_id, "now": now})
    return found.one_or_none() is not None


async def end(tx: AsyncConnection, session_id: int) -> None:
    await tx.execute(delete(sessions).where(sessions.c.id == session_id))


async def end_all(tx: AsyncConnection) -> int:
    """Send everybody out who did not come in by a key; answers how many they were."""
    ended = await tx.execute(delete(sessions).where(sessions.c.key_id.is_(None)))
    return ended.rowcount
