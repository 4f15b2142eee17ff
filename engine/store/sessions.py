"""Browsers that were let in: each by a random word in a cookie, of which a hash is kept. One function per use."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.keys import key_of
from engine.store.records import Key, Session
from engine.store.tables import keys, sessions

#: So many are kept of all who came in by no key, and of each key; beyond that the oldest of these end. On loopback
#: anybody who opens the page begins one.
MOST = 1_000


async def begin(
    tx: AsyncConnection, *, kept: str, now: datetime, ends_at: datetime, key: Key | None = None
) -> Session:
    """Let somebody in; on the way, those whose time is over are forgotten."""
    # Whoever has a key pushes nobody out but themselves.
    alike = sessions.c.key_id.is_not_distinct_from(key.id if key else None)
    newest = select(sessions.c.id).where(alike).order_by(sessions.c.id.desc()).limit(1).offset(MOST - 2)
    too_many = and_(alike, sessions.c.id < newest.scalar_subquery())
    await tx.execute(delete(sessions).where(or_(sessions.c.ends_at <= now, too_many)))
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
_GOOD = _WITH_KEY.where(sessions.c.id.in_(bindparam("ids", expanding=True)))


async def find(tx: AsyncConnection, *, kept: str, now: datetime) -> Session | None:
    """The session that is good, and whose word somebody showed."""
    row = (await tx.execute(_FIND, {"hash": kept, "now": now})).mappings().one_or_none()
    if row is None:
        return None
    key = key_of(row) if row["id"] is not None else None
    return Session(row["session_id"], row["began_at"], row["ends_at"], key)


async def good(tx: AsyncConnection, ids: Collection[int], *, now: datetime) -> set[int]:
    """Those of these sessions that are not over."""
    return set((await tx.execute(_GOOD, {"ids": list(ids), "now": now})).scalars()) if ids else set()


async def end(tx: AsyncConnection, session_id: int) -> None:
    await tx.execute(delete(sessions).where(sessions.c.id == session_id))


async def end_all(tx: AsyncConnection) -> int:
    """Send everybody out who did not come in by a key; answers how many they were."""
    ended = await tx.execute(delete(sessions).where(sessions.c.key_id.is_(None)))
    return ended.rowcount
