"""What those who run the house were told, so that a restart does not tell it again.

What is worth a word, and how often it is said, is decided in `engine/alerts.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, bindparam, cast, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.records import DeliveryState
from engine.store.tables import alerts, deliveries

#: With this and its number begins what was told of a delivery that is held.
HELD = "held:"
#: A key that is longer is cut: its column ends there.
LONGEST_KEY = 300


@dataclass(frozen=True)
class Told:
    key: str
    at: datetime
    #: It was not over when somebody looked last.
    lasts: bool


async def told(tx: AsyncConnection) -> list[Told]:
    return [Told(row.key, row.told_at, row.lasts) for row in await tx.execute(select(alerts))]


async def keep(tx: AsyncConnection, those: Iterable[Told]) -> None:
    """They were told then; what was kept of them before counts no more."""
    rows = [{"key": one.key[:LONGEST_KEY], "told_at": one.at, "lasts": one.lasts} for one in those]
    if rows:
        await tx.execute(_KEEP[tx.dialect.name], rows)


_KEEP = {
    name: added(alerts)
    .values(key=bindparam("key"), told_at=bindparam("told_at"), lasts=bindparam("lasts"))
    .on_conflict_do_update(
        index_elements=[alerts.c.key],
        set_={"told_at": bindparam("told_at"), "lasts": bindparam("lasts")},
    )
    for name, added in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


async def forget(tx: AsyncConnection, *, before: datetime) -> None:
    """What was told before then is told again where it is still so; but not what waits for somebody's word."""
    waits = select(HELD + cast(deliveries.c.id, String)).where(deliveries.c.state == DeliveryState.HELD.value)
    await tx.execute(delete(alerts).where(alerts.c.told_at < before, alerts.c.key.not_in(waits)))
