"""Published posts in the talk of their place: whoever answers one is understood, and one that is taken back is gone.

The delivery of a post points to the turn in which it is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import chats as store
from engine.store.records import DeliveryKind, Place, Post, TurnState
from engine.store.tables import chats, deliveries, turns


async def remember(tx: AsyncConnection, place: Place, post: Post, text: str, *, now: datetime) -> int | None:
    """The turn that a post is from now on, where its persona is there; None where it says nothing, or is not."""
    is_there = post.persona_id == place.persona_id or post.persona_id in place.guests
    if not text or place.persona_id is None or not is_there:
        return None
    turn = await store.add_turn(
        tx,
        place.id,
        text,
        now=now,
        state=TurnState.ANSWERED,
        parent_id=place.head_turn_id,
        persona_id=post.persona_id,
        source=post.source,
    )
    await store.move_head(tx, place.id, turn.id, of_persona=place.persona_id)
    return turn.id


async def among(tx: AsyncConnection, turn_ids: Sequence[int]) -> list[int]:
    """Which of these turns are posts, in the order in which they were shown."""
    found = select(deliveries.c.turn_id).where(
        deliveries.c.turn_id.in_(turn_ids), deliveries.c.kind == DeliveryKind.POST.value
    )
    return sorted((await tx.execute(found)).scalars())


async def take_out(tx: AsyncConnection, turn_id: int) -> None:
    """As if it had never been said. What was said after it stays, and goes on from what was said before it."""
    before = select(turns.c.parent_id).where(turns.c.id == turn_id)
    parent_id = (await tx.execute(before)).scalar_one_or_none()
    await tx.execute(update(turns).where(turns.c.parent_id == turn_id).values(parent_id=parent_id))
    await tx.execute(update(chats).where(chats.c.head_turn_id == turn_id).values(head_turn_id=parent_id))
    await store.cut(tx, [turn_id])


async def keep(tx: AsyncConnection, turn_ids: Sequence[int], *, after: int | None) -> int | None:
    """Posts stay though what was said before them goes; answers where the talk goes on from."""
    for turn_id in turn_ids:
        await tx.execute(update(turns).where(turns.c.id == turn_id).values(parent_id=after))
        after = turn_id
    return after
