"""The keys of other programs. A key is told once, when it is made; what is kept of it opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import RowMapping, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest, NotFound
from engine.store.jobs import LAST_ID
from engine.store.records import Key, Scope
from engine.store.tables import keys

#: Each key begins so: whoever finds one in a file knows what it is, and so do programs that look for lost keys.
PREFIX = "grk_"
LONGEST_NAME = 64


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def kept_of(word: str) -> str:
    """What is stored of a key or a session. They hold 256 random bits: a fast hash is enough."""
    return hashlib.sha256(word.encode("utf-8", "surrogateescape")).hexdigest()


async def add(
    tx: AsyncConnection, name: str, *, kept: str, scopes: frozenset[Scope], rate: int, now: datetime
) -> Key:
    taken = await tx.execute(select(keys.c.revoked_at).where(keys.c.name == name))
    if (row := taken.one_or_none()) is not None:
        how = "There is a key" if row.revoked_at is None else "There was a key"
        raise BadRequest(f"{how} called {name} already. Choose another name.")
    values = {"name": name, "hash": kept, "scopes": sorted(scopes), "rate": rate, "created_at": now}
    made = await tx.execute(insert(keys).values(values).returning(keys))
    return key_of(made.mappings().one())


_FIND = select(keys).where(keys.c.hash == bindparam("hash"), keys.c.revoked_at.is_(None))


async def find(tx: AsyncConnection, *, kept: str) -> Key | None:
    """The key that is good, and that somebody showed."""
    row = (await tx.execute(_FIND, {"hash": kept})).mappings().one_or_none()
    return None if row is None else key_of(row)


_GOOD = select(keys.c.id).where(keys.c.id.in_(bindparam("ids", expanding=True)), keys.c.revoked_at.is_(None))


async def good(tx: AsyncConnection, ids: Collection[int]) -> set[int]:
    """Those of these keys that still open something."""
    return set((await tx.execute(_GOOD, {"ids": list(ids)})).scalars()) if ids else set()


async def are_there(tx: AsyncConnection) -> bool:
    """Whether any key opens this house."""
    counted = select(func.count()).select_from(keys).where(keys.c.revoked_at.is_(None))
    return bool((await tx.execute(counted)).scalar_one())


async def listing(tx: AsyncConnection) -> list[Key]:
    return [key_of(row) for row in (await tx.execute(select(keys).order_by(keys.c.id))).mappings()]


async def revoke(tx: AsyncConnection, wanted: str, *, now: datetime) -> Key:
    """Let a key, by its name or number, open nothing any more."""
    named = keys.c.name == wanted
    if wanted.isascii() and wanted.isdecimal() and 0 < int(wanted[:20]) <= LAST_ID:
        named = named | (keys.c.id == int(wanted))
    found = await tx.execute(select(keys.c.id).where(named).order_by(keys.c.name != wanted).limit(1))
    if (key_id := found.scalar_one_or_none()) is None:
        raise NotFound(f"There is no key {wanted}. `greenroom keys list` names them.")
    moment = func.coalesce(keys.c.revoked_at, now)
    gone = update(keys).where(keys.c.id == key_id).values(revoked_at=moment).returning(keys)
    return key_of((await tx.execute(gone)).mappings().one())


_USED = update(keys).where(keys.c.id == bindparam("key_id")).values(used_at=bindparam("now"))


async def used(tx: AsyncConnection, key_id: int, *, now: datetime) -> None:
    await tx.execute(_USED, {"key_id": key_id, "now": now})


def key_of(row: RowMapping) -> Key:
    known = {scope.value for scope in Scope}
    return Key(
        id=row["id"],
        name=row["name"],
        # A scope that a newer Greenroom gave is none here.
        scopes=frozenset(Scope(scope) for scope in row["scopes"] if scope in known),
        created_at=row["created_at"],
        rate=row["rate"],
        used_at=row["used_at"],
        revoked_at=row["revoked_at"],
    )
