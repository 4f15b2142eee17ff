"""What stands in the chats of the page now, what is new there, and the chats themselves. It changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, RowMapping, Select, bindparam, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store.jobs import LAST_ID
from engine.store.records import Button, By, ChatRef, Mark, Message, Question
from engine.store.tables import accounts, chats, deliveries, messages, personas, pictures, reactions
from personas.persona import Rating


@dataclass(frozen=True)
class Shot:
    """A picture as a message shows it."""

    id: int
    persona: str
    style: str
    width: int
    height: int
    rating: Rating
    stand_in: bool
    created_at: datetime


@dataclass(frozen=True)
class News:
    """Messages of a chat as they are now, and the pictures in them by id; `chat_id` None: there is no such chat."""

    chat_id: int | None
    messages: tuple[Message, ...] = ()
    shots: dict[int, Shot] = field(default_factory=dict)
    #: There is more behind these.
    more: bool = False


@dataclass(frozen=True)
class Talk:
    """A chat of the page in a list of them."""

    chat: str
    persona: str
    name: str
    last: str
    when: datetime | None
    #: The last message, by which the list is in order; the chat's own number where nothing was said.
    place: int


async def get(tx: AsyncConnection, chat: ChatRef, message: int) -> Message | None:
    """One message of a chat; None where it is not there, or no more."""
    if not 0 < message <= LAST_ID:
        return None
    found = of_chat(chat, messages, _MANNER).outerjoin_from(*_OWED)
    row = (
        (await tx.execute(found.where(messages.c.id == message, messages.c.gone.is_(False))))
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    [told] = await _marked(tx, chat.front, row["chat_id"], [_message(row)])
    return told


async def of_turn(tx: AsyncConnection, turn_id: int) -> Message | None:
    """What a person said in a turn."""
    found = select(messages).where(messages.c.turn_id == turn_id, messages.c.by == By.PERSON.value)
    row = (await tx.execute(found.limit(1))).mappings().one_or_none()
    return _message(row) if row else None


async def revision(tx: AsyncConnection, chat: ChatRef) -> tuple[int, int]:
    """A chat's own number, and the last change in it; zeros where there is none."""
    row = (await tx.execute(_REVISION, _named(chat))).one_or_none()
    return (row.chat_id, row.revision) if row else (0, 0)


async def since(tx: AsyncConnection, chat: ChatRef, revision: int, *, most: int) -> News:
    """All that changed in a chat behind a number, the oldest change first; what is gone, too."""
    return await _news(tx, chat, _SINCE, {"behind": min(revision, LAST_ID), "most": most + 1}, most)


async def before(tx: AsyncConnection, chat: ChatRef, message: int | None, *, most: int) -> News:
    """The last messages of a chat before one of them, or all the last; the oldest first."""
    told = {"behind": LAST_ID if message is None else min(message, LAST_ID), "most": most + 1}
    found = await _news(tx, chat, _BEFORE, told, most)
    return News(found.chat_id, tuple(reversed(found.messages)), found.shots, found.more)


async def talks(
    tx: AsyncConnection, front: str, account: str, *, begins: str, before: int | None, most: int, keys: bool
) -> list[Talk]:
    """Chats whose names begin so, the last used first. `keys`: also those that other programs have for themselves."""
    last = (
        select(func.max(messages.c.id))
        .where(messages.c.chat_id == chats.c.id, messages.c.gone.is_(False))
        .correlate(chats)
        .scalar_subquery()
    )
    of_chats = (
        select(chats.c.id, chats.c.chat, chats.c.persona_id, func.coalesce(last, literal(0)).label("last"))
        .where(chats.c.front == front, chats.c.account == account)
        .where(chats.c.chat.startswith(begins, autoescape=True))
    )
    if not keys:
        of_chats = of_chats.where(~chats.c.chat.startswith("key:"))
    of_chats_there = of_chats.subquery()
    there = of_chats_there.c
    found = (
        select(
            there.chat, there.last, personas.c.slug, personas.c.name, messages.c.text, messages.c.created_at
        )
        .select_from(of_chats_there)
        .outerjoin(personas, personas.c.id == there.persona_id)
        .outerjoin(messages, messages.c.id == there.last)
        .where(there.last > 0)
        .order_by(there.last.desc())
        .limit(most)
    )
    if before is not None:
        found = found.where(there.last < min(before, LAST_ID))
    return [
        Talk(row.chat, row.slug or "", row.name or "", row.text or "", row.created_at, row.last)
        for row in await tx.execute(found)
    ]


_NAMED = (
    chats.c.front == bindparam("front"),
    chats.c.account == bindparam("account"),
    chats.c.chat == bindparam("chat"),
    chats.c.thread == bindparam("thread"),
)
_CHAT = select(chats.c.id).where(*_NAMED)
_REVISION = (
    select(chats.c.id.label("chat_id"), func.coalesce(func.max(messages.c.revision), 0).label("revision"))
    .outerjoin(messages, messages.c.chat_id == chats.c.id)
    .where(*_NAMED)
    .group_by(chats.c.id)
)
#: What a delivery says of how it is shown goes with the message that shows it.
_MANNER = deliveries.c.manner.label("manner")
_OWED = (messages, deliveries, deliveries.c.id == messages.c.delivery_id)
_SINCE = (
    select(messages, _MANNER)
    .outerjoin_from(*_OWED)
    .where(messages.c.chat_id == bindparam("chat_id"), messages.c.revision > bindparam("behind"))
    .order_by(messages.c.revision)
    .limit(bindparam("most", type_=Integer))
)
_BEFORE = (
    select(messages, _MANNER)
    .outerjoin_from(*_OWED)
    .where(
        messages.c.chat_id == bindparam("chat_id"),
        messages.c.id < bindparam("behind"),
        messages.c.gone.is_(False),
    )
    .order_by(messages.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_MARKS = (
    select(reactions.c.message, reactions.c.emoji, accounts.c.platform_id)
    .join(accounts, accounts.c.person_id == reactions.c.person_id)
    .where(
        reactions.c.chat_id == bindparam("chat_id"),
        reactions.c.message.in_(bindparam("ids", expanding=True)),
        accounts.c.front == bindparam("front"),
    )
    .order_by(reactions.c.id, accounts.c.id)
)
_SHOTS = (
    select(
        pictures.c.id,
        personas.c.slug,
        pictures.c.style,
        pictures.c.width,
        pictures.c.height,
        pictures.c.rating,
        pictures.c.stand_in,
        pictures.c.created_at,
    )
    .outerjoin(personas, personas.c.id == pictures.c.persona_id)
    .where(pictures.c.id.in_(bindparam("ids", expanding=True)), pictures.c.deleted_at.is_(None))
)


def _named(chat: ChatRef) -> dict[str, str]:
    return asdict(chat)


def chat_named(chat: ChatRef) -> Select[Any]:
    """Its number."""
    return select(chats.c.id).where(
        chats.c.front == chat.front,
        chats.c.account == chat.account,
        chats.c.chat == chat.chat,
        chats.c.thread == chat.thread,
    )


def of_chat(chat: ChatRef, *what: Any) -> Select[Any]:
    """Of the messages of one chat."""
    return select(*what).where(messages.c.chat_id.in_(chat_named(chat)))


async def _news(
    tx: AsyncConnection, chat: ChatRef, asked: Select[Any], told: dict[str, Any], most: int
) -> News:
    chat_id = (await tx.execute(_CHAT, _named(chat))).scalar_one_or_none()
    if chat_id is None:
        return News(None)
    rows = (await tx.execute(asked, told | {"chat_id": chat_id})).mappings().all()
    found = await _marked(tx, chat.front, chat_id, [_message(row) for row in rows[:most]])
    return News(chat_id, found, await shots(tx, found), len(rows) > most)


async def _marked(
    tx: AsyncConnection, front: str, chat_id: int, found: Sequence[Message]
) -> tuple[Message, ...]:
    """The same messages, with what people think of them."""
    ids = [str(one.id) for one in found if one.by is not By.PERSON and not one.gone]
    if not ids:
        return tuple(found)
    marks: dict[str, dict[str, list[str]]] = {}
    for row in await tx.execute(_MARKS, {"front": front, "chat_id": chat_id, "ids": ids}):
        marks.setdefault(row.message, {}).setdefault(row.emoji, []).append(row.platform_id)
    return tuple(
        replace(one, marks=tuple(Mark(emoji, tuple(by)) for emoji, by in marks[str(one.id)].items()))
        if str(one.id) in marks
        else one
        for one in found
    )


async def shots(tx: AsyncConnection, found: Sequence[Message]) -> dict[int, Shot]:
    """The pictures in these messages that are still there."""
    ids = sorted({one for message in found for one in message.pictures})
    if not ids:
        return {}
    return {
        row.id: Shot(
            row.id,
            row.slug or "",
            row.style,
            row.width,
            row.height,
            Rating(row.rating),
            row.stand_in,
            row.created_at,
        )
        for row in await tx.execute(_SHOTS, {"ids": ids})
    }


def _message(row: RowMapping) -> Message:
    manner = (not row["gone"] and row.get("manner")) or {}
    question = manner.get("question")
    return Message(
        id=row["id"],
        chat_id=row["chat_id"],
        by=By(row["by"]),
        text=row["text"],
        revision=row["revision"],
        created_at=row["created_at"],
        name=row["name"],
        slug=row["slug"],
        source=Source(row["source"]) if row["source"] else None,
        turn_id=row["turn_id"],
        job_id=row["job_id"],
        pictures=tuple(one for one in row["pictures"] if isinstance(one, int)),
        faces=tuple(one for one in row["pictures"] if isinstance(one, str)),
        buttons=tuple(tuple(Button(**one) for one in line) for line in row["buttons"]),
        gone=row["gone"],
        question=Question(**question) if question else None,
        code=tuple(manner.get("code", ())),
    )
