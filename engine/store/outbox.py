"""What chats are owed: pending, sending, sent. A row here is a promise that outlives the process.

`sending` is written before the platform is asked, so that after a crash a row in that state is *unknown*:
it may have arrived. Replies, notices and pictures are sent again; posts on a front that cannot recognise a
repeat are held for the admin.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, FromClause, RowMapping, bindparam, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store.records import ChatRef, Delivery, DeliveryKind, DeliveryState
from engine.store.tables import chats, deliveries, personas, turns

#: No pause between two tries is longer.
LONGEST_PAUSE = timedelta(minutes=5)

_OWE = insert(deliveries).returning(deliveries.c.id)


async def owe(
    tx: AsyncConnection,
    chat_id: int,
    kind: DeliveryKind,
    *,
    now: datetime,
    text: str = "",
    turn_id: int | None = None,
    job_id: int | None = None,
    post_id: int | None = None,
    source: Source | None = None,
) -> int:
    """Promise something to a chat. The words of a turn stay with the turn; `text` is for all else."""
    values = {
        "chat_id": chat_id,
        "kind": kind.value,
        "state": DeliveryState.PENDING.value,
        "text": text,
        "turn_id": turn_id,
        "job_id": job_id,
        "post_id": post_id,
        "source": source.value if source else None,
        "nonce": secrets.token_hex(8),
        "created_at": now,
    }
    return int((await tx.execute(_OWE, values)).scalar_one())


async def take(
    tx: AsyncConnection, fronts: Collection[tuple[str, str]], *, now: datetime, most: int = 50
) -> list[Delivery]:
    """Mark what may go out now as `sending`: in order within a chat, and nothing past one that waits."""
    earlier = deliveries.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.chat_id == deliveries.c.chat_id,
            earlier.c.id < deliveries.c.id,
            (earlier.c.state == DeliveryState.SENDING.value)
            | ((earlier.c.state == DeliveryState.PENDING.value) & ~_due(earlier, now)),
        )
        .exists()
    )
    ready = (
        select(deliveries.c.id)
        .join(chats, chats.c.id == deliveries.c.chat_id)
        .where(
            deliveries.c.state == DeliveryState.PENDING.value,
            _due(deliveries, now),
            ~blocked,
            _on(fronts),
        )
        .order_by(deliveries.c.id)
        .limit(most)
    )
    ids = list((await tx.execute(ready)).scalars())
    if not ids:
        return []
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(state=DeliveryState.SENDING.value, attempts=deliveries.c.attempts + 1)
    )
    return await _by_id(tx, ids)


def _due(rows: FromClause, now: datetime) -> ColumnElement[bool]:
    """Its pause is over; so is one that ends impossibly late, because the clock was set back meanwhile."""
    ends = rows.c.available_at
    return ends.is_(None) | (ends <= now) | (ends > now + 2 * LONGEST_PAUSE)


def _on(fronts: Collection[tuple[str, str]]) -> ColumnElement[bool]:
    return tuple_(chats.c.front, chats.c.account).in_(list(fronts))


async def _by_id(tx: AsyncConnection, ids: Sequence[int]) -> list[Delivery]:
    found = (
        select(
            deliveries,
            func.coalesce(turns.c.text, deliveries.c.text).label("words"),
            func.coalesce(turns.c.source, deliveries.c.source).label("written_by"),
            personas.c.name.label("persona_name"),
            personas.c.slug.label("persona_slug"),
            chats.c.front,
            chats.c.account,
            chats.c.chat,
            chats.c.thread,
        )
        .join(chats, chats.c.id == deliveries.c.chat_id)
        .outerjoin(turns, turns.c.id == deliveries.c.turn_id)
        .outerjoin(personas, personas.c.id == turns.c.persona_id)
        .where(deliveries.c.id.in_(ids))
        .order_by(deliveries.c.id)
    )
    return [_delivery(row) for row in (await tx.execute(found)).mappings()]


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        chat=ChatRef(row["front"], row["account"], row["chat"], row["thread"]),
        kind=DeliveryKind(row["kind"]),
        state=DeliveryState(row["state"]),
        text=row["words"],
        nonce=row["nonce"],
        created_at=row["created_at"],
        turn_id=row["turn_id"],
        job_id=row["job_id"],
        post_id=row["post_id"],
        source=Source(row["written_by"]) if row["written_by"] else None,
        persona_name=row["persona_name"] or "",
        persona_slug=row["persona_slug"] or "",
        attempts=row["attempts"],
        messages=tuple(row["messages"]),
        error=row["error"],
    )


_SENT = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery"))
    .values(
        state=DeliveryState.SENT.value,
        messages=bindparam("sent_messages"),
        sent_at=bindparam("sent"),
        error="",
    )
)


async def sent(tx: AsyncConnection, delivery_id: int, messages: Sequence[str], *, now: datetime) -> None:
    await tx.execute(_SENT, {"delivery": delivery_id, "sent_messages": list(messages), "sent": now})


async def wait(
    tx: AsyncConnection,
    delivery_ids: Sequence[int],
    *,
    until: datetime,
    counted: bool = True,
    error: str = "",
) -> None:
    """Not now: back to pending, and not before `until`. That nobody was there does not count as an attempt."""
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(delivery_ids), deliveries.c.state == DeliveryState.SENDING.value)
        .values(
            state=DeliveryState.PENDING.value,
            available_at=until,
            attempts=deliveries.c.attempts - (0 if counted else 1),
            error=error,
        )
    )


async def give_up(tx: AsyncConnection, delivery_id: int, *, error: str) -> None:
    """It can never arrive: the chat is gone, or the front says no for good."""
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(state=DeliveryState.FAILED.value, error=error)
    )


async def wake(tx: AsyncConnection, chat_id: int) -> None:
    """Somebody is there again: what waited for them may go out at once."""
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.chat_id == chat_id, deliveries.c.state == DeliveryState.PENDING.value)
        .values(available_at=None)
    )


async def recover(
    tx: AsyncConnection, fronts: Collection[tuple[str, str]], *, recognises_repeats: bool
) -> tuple[int, int]:
    """After a crash: what was being sent is unknown. Answers how many are sent again, and how many held."""
    of_front = select(chats.c.id).where(_on(fronts))
    unknown = update(deliveries).where(
        deliveries.c.state == DeliveryState.SENDING.value, deliveries.c.chat_id.in_(of_front)
    )
    held = 0
    if not recognises_repeats:
        posts = unknown.where(deliveries.c.kind == DeliveryKind.POST.value)
        held = (
            await tx.execute(
                posts.values(
                    state=DeliveryState.HELD.value,
                    error="Greenroom stopped while this was being sent; it may have arrived.",
                )
            )
        ).rowcount
    again = await tx.execute(unknown.values(state=DeliveryState.PENDING.value, available_at=None))
    return again.rowcount, held


async def owed(tx: AsyncConnection, *, chat_id: int | None = None) -> int:
    """How many deliveries are still owed, to everybody or to one chat."""
    states = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
    counted = select(func.count()).select_from(deliveries).where(deliveries.c.state.in_(states))
    if chat_id is not None:
        counted = counted.where(deliveries.c.chat_id == chat_id)
    return int((await tx.execute(counted)).scalar_one())
