"""Our messages on the platforms: which delivery, reply or job each of them shows, and what people think of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.records import ChatRef
from engine.store.tables import chats, deliveries, reactions, shown_messages, turns


@dataclass(frozen=True)
class About:
    """What a message of ours shows."""

    turn_id: int | None
    job_id: int | None


async def shown(tx: AsyncConnection, chat_id: int, delivery_id: int, messages: Sequence[str]) -> None:
    """A delivery is to be seen in these messages. One that held something else holds this now."""
    if not messages:
        return
    insert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(shown_messages)
    rows = [{"chat_id": chat_id, "message": message, "delivery_id": delivery_id} for message in messages]
    await tx.execute(
        insert.values(rows).on_conflict_do_update(
            index_elements=["chat_id", "message"], set_={"delivery_id": delivery_id, "drafts_id": None}
        )
    )


async def drafted(tx: AsyncConnection, chat_id: int, turn_id: int, messages: Sequence[str]) -> None:
    """The answer to a turn is being written in these messages: after a crash the writing goes on there."""
    there = await tx.execute(select(turns.c.id).where(turns.c.id == turn_id))
    if not messages or there.one_or_none() is None:
        return
    insert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(shown_messages)
    rows = [{"chat_id": chat_id, "message": message, "drafts_id": turn_id} for message in messages]
    await tx.execute(
        insert.values(rows).on_conflict_do_update(
            index_elements=["chat_id", "message"], set_={"drafts_id": turn_id}
        )
    )


async def drafts_of(tx: AsyncConnection, turn_id: int) -> tuple[str, ...]:
    """The messages in which the answer to a turn is being written."""
    found = select(shown_messages.c.message).where(shown_messages.c.drafts_id == turn_id)
    return tuple((await tx.execute(found.order_by(shown_messages.c.id))).scalars())


async def of_job(tx: AsyncConnection, job_id: int, *, chat_id: int) -> tuple[str, ...]:
    """The messages of a chat in which a job is shown."""
    found = (
        select(shown_messages.c.message)
        .join(deliveries, deliveries.c.id == shown_messages.c.delivery_id)
        .where(deliveries.c.job_id == job_id, shown_messages.c.chat_id == chat_id)
        .order_by(shown_messages.c.id)
    )
    return tuple((await tx.execute(found)).scalars())


async def of_turns(tx: AsyncConnection, turn_ids: Sequence[int]) -> tuple[str, ...]:
    """The messages in which these turns of a persona are shown."""
    found = (
        select(shown_messages.c.message)
        .join(deliveries, deliveries.c.id == shown_messages.c.delivery_id)
        .where(deliveries.c.turn_id.in_(turn_ids))
        .order_by(shown_messages.c.id)
    )
    return tuple((await tx.execute(found)).scalars())


async def place_of(tx: AsyncConnection, chat: ChatRef, message: str) -> int | None:
    """The id of the chat that a message of ours stands in, whatever thread of it: not every platform tells that."""
    found = (
        select(chats.c.id)
        .join(shown_messages, shown_messages.c.chat_id == chats.c.id)
        .where(
            chats.c.front == chat.front,
            chats.c.account == chat.account,
            chats.c.chat == chat.chat,
            shown_messages.c.message == message,
        )
    )
    if chat.thread:
        found = found.where(chats.c.thread == chat.thread)
    return (await tx.execute(found.limit(1))).scalar_one_or_none()


async def drafts_under(tx: AsyncConnection, turn_ids: Sequence[int]) -> tuple[str, ...]:
    """The messages in which answers to these turns are being written, or were when that was broken off."""
    found = select(shown_messages.c.message).where(shown_messages.c.drafts_id.in_(turn_ids))
    return tuple((await tx.execute(found.order_by(shown_messages.c.id))).scalars())


async def about(tx: AsyncConnection, chat_id: int, message: str) -> About | None:
    """What a message shows; None when it is none of ours."""
    found = (
        select(
            func.coalesce(deliveries.c.turn_id, shown_messages.c.drafts_id).label("turn"), deliveries.c.job_id
        )
        .select_from(shown_messages)
        .outerjoin(deliveries, deliveries.c.id == shown_messages.c.delivery_id)
        .where(shown_messages.c.chat_id == chat_id, shown_messages.c.message == message)
    )
    row = (await tx.execute(found)).one_or_none()
    return About(row.turn, row.job_id) if row else None


async def forgotten(tx: AsyncConnection, chat_id: int, messages: Sequence[str]) -> None:
    """Messages that are no longer there."""
    await tx.execute(
        delete(shown_messages).where(
            shown_messages.c.chat_id == chat_id, shown_messages.c.message.in_(list(messages))
        )
    )


async def react(
    tx: AsyncConnection,
    chat_id: int,
    message: str,
    person_id: int,
    emoji: str,
    *,
    added: bool,
    what: About,
    now: datetime,
) -> None:
    """Keep an emoji under a message, or let it go. Told twice it is kept once."""
    if not added:
        await tx.execute(
            delete(reactions).where(
                reactions.c.chat_id == chat_id,
                reactions.c.message == message,
                reactions.c.person_id == person_id,
                reactions.c.emoji == emoji,
            )
        )
        return
    insert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(reactions)
    await tx.execute(
        insert.values(
            chat_id=chat_id,
            message=message,
            person_id=person_id,
            emoji=emoji,
            turn_id=what.turn_id,
            job_id=what.job_id,
            created_at=now,
        ).on_conflict_do_nothing()
    )
