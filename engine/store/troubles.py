"""What went wrong since somebody looked, as the rows have it, and in which chats operators are told so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store.records import DeliveryKind, DeliveryState, PostState
from engine.store.sentences import told
from engine.store.tables import accounts, chats, deliveries, people, pictures, posts, turns


@dataclass(frozen=True)
class Mark:
    """How far somebody has looked: the last turn and picture, and the first delivery that was still on its way."""

    turn: int
    picture: int
    delivery: int


@dataclass(frozen=True)
class Mishap:
    """A post that nobody saw: it failed, or it did not reach a chat, or nobody knows whether it did."""

    post_id: int | None
    schedule_id: int | None
    chat_id: int
    error: str
    #: What did not reach a chat; None: the post itself failed.
    delivery_id: int | None = None
    held: bool = False


@dataclass(frozen=True)
class OwnChat:
    """Where an operator is alone with the house, and in which language."""

    chat_id: int
    language: str


_MARK = select(
    select(func.coalesce(func.max(turns.c.id), 0)).scalar_subquery().label("turn"),
    select(func.coalesce(func.max(pictures.c.id), 0)).scalar_subquery().label("picture"),
    select(func.coalesce(func.max(deliveries.c.id), 0)).scalar_subquery().label("delivery"),
    select(func.min(deliveries.c.id))
    .where(text("deliveries.state IN ('pending', 'sending')"), deliveries.c.kind == DeliveryKind.POST.value)
    .scalar_subquery()
    .label("under_way"),
)
_REPLIES = (
    select(turns.c.source, turns.c.created_at)
    .where(
        turns.c.id > bindparam("last"),
        turns.c.source.in_((Source.MODEL.value, Source.UNDERSTUDY.value)),
    )
    .order_by(turns.c.id)
)
_PICTURES = (
    select(pictures.c.stand_in, pictures.c.created_at)
    # One without a device was lent: nobody tried to paint it.
    .where(pictures.c.id > bindparam("last"), pictures.c.device != "")
    .order_by(pictures.c.id)
)
_FAILED = select(posts.c.id, posts.c.schedule_id, posts.c.chat_id, posts.c.error).where(
    posts.c.state == PostState.FAILED.value, posts.c.due_at >= bindparam("since", type_=posts.c.due_at.type)
)
# A chat that we had to leave is a trouble of its own, and so is a post that was taken back none.
_UNSEEN = (
    select(
        deliveries.c.id.label("delivery_id"),
        deliveries.c.state,
        deliveries.c.error,
        deliveries.c.chat_id,
        deliveries.c.post_id,
        posts.c.schedule_id,
    )
    .join(chats, chats.c.id == deliveries.c.chat_id)
    .outerjoin(posts, posts.c.id == deliveries.c.post_id)
    .where(
        deliveries.c.id >= bindparam("first"),
        deliveries.c.kind == DeliveryKind.POST.value,
        deliveries.c.state.in_((DeliveryState.HELD.value, DeliveryState.FAILED.value)),
        func.coalesce(posts.c.state, "") != PostState.RECALLED.value,
        chats.c.left_at.is_(None),
    )
    .order_by(deliveries.c.id)
)
_OWN_CHAT = (
    select(turns.c.chat_id, people.c.language)
    .join(accounts, accounts.c.person_id == turns.c.person_id)
    .join(people, people.c.id == turns.c.person_id)
    .join(chats, chats.c.id == turns.c.chat_id)
    .where(
        accounts.c.front == bindparam("front"),
        accounts.c.platform_id == bindparam("platform_id"),
        chats.c.front == accounts.c.front,
        chats.c.shared.is_(False),
        chats.c.left_at.is_(None),
    )
    .order_by(turns.c.created_at.desc())
    .limit(1)
)


async def mark(tx: AsyncConnection) -> Mark:
    """How far the rows go. Whatever is on its way to a chat may still fail, and is looked at again."""
    row = (await tx.execute(_MARK)).one()
    return Mark(row.turn, row.picture, row.delivery + 1 if row.under_way is None else row.under_way)


async def replies(tx: AsyncConnection, after: int) -> list[tuple[bool, datetime]]:
    """The replies behind a turn: whether the understudy wrote it, and when."""
    rows = await tx.execute(_REPLIES, {"last": after})
    return [(row.source == Source.UNDERSTUDY.value, row.created_at) for row in rows]


async def painted(tx: AsyncConnection, after: int) -> list[tuple[bool, datetime]]:
    """The pictures behind one: whether it is a stand-in, and when it was made."""
    return [(row.stand_in, row.created_at) for row in await tx.execute(_PICTURES, {"last": after})]


async def failed(tx: AsyncConnection, *, since: datetime) -> list[Mishap]:
    """Posts that came to nothing, of those that were due since then."""
    rows = await tx.execute(_FAILED, {"since": since})
    return [Mishap(row.id, row.schedule_id, row.chat_id, told(row.error)) for row in rows]


async def unseen(tx: AsyncConnection, *, first: int) -> list[Mishap]:
    """Posts that did not reach a chat, or may not have, from a delivery on."""
    return [
        Mishap(
            row.post_id,
            row.schedule_id,
            row.chat_id,
            row.error,
            row.delivery_id,
            held=row.state == DeliveryState.HELD.value,
        )
        for row in await tx.execute(_UNSEEN, {"first": first})
    ]


async def own_chats(tx: AsyncConnection, operators: Iterable[str]) -> list[OwnChat]:
    """Where operators last spoke with the house alone. They go by `front:platform-id`."""
    found: dict[int, OwnChat] = {}
    for name in operators:
        front, _, platform_id = name.partition(":")
        row = (await tx.execute(_OWN_CHAT, {"front": front, "platform_id": platform_id})).one_or_none()
        if row is not None:
            found[row.chat_id] = OwnChat(row.chat_id, row.language)
    return list(found.values())
