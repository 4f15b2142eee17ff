"""What comes to stand in the chats of the page, which has no platform that would keep it, and what goes again.

A message that is taken away stays as an empty row, and every change takes the next number of all of them: whoever
was not there is told what came behind the last number that they know. See `page_news.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store.jobs import LAST_ID
from engine.store.messages import About, react
from engine.store.page_news import chat_named, of_chat
from engine.store.records import Button, By, ChatRef, Message, Person, Turn
from engine.store.tables import deliveries, messages

#: Databases take only so many values in one statement.
AT_ONCE = 500

#: What a message that was taken away still says.
_NOTHING: dict[str, Any] = {
    "name": "",
    "slug": "",
    "text": "",
    "source": None,
    "turn_id": None,
    "job_id": None,
    "pictures": [],
    "buttons": [],
    "gone": True,
}


@dataclass(frozen=True)
class Words:
    """What a message is to show."""

    by: By
    text: str
    name: str = ""
    slug: str = ""
    source: Source | None = None
    pictures: tuple[int, ...] = ()
    faces: tuple[str, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()


async def heard(tx: AsyncConnection, turn: Turn, text: str, person: Person, now: datetime) -> None:
    """What a person has said stands there, in the words in which they said it."""
    [revision] = await _revisions(tx, 1)
    await tx.execute(
        _ADD,
        {
            "chat_id": turn.chat_id,
            "by": By.PERSON.value,
            "name": person.name,
            "text": text,
            "turn_id": turn.id,
            "revision": revision,
            "created_at": now,
        },
    )


async def show(
    tx: AsyncConnection, delivery_id: int, words: Words, *, replaces: Sequence[str], now: datetime
) -> int | None:
    """What a delivery holds stands there, in place of the first message of `replaces` that does. A second time
    changes nothing. None where nobody is owed it any more.
    """
    owed = (await tx.execute(_OWED, {"delivery": delivery_id})).one_or_none()
    if owed is None:
        return None
    if owed.message is not None:
        return int(owed.message)
    there = await _there(tx, owed.chat_id, replaces)
    revisions = await _revisions(tx, max(1, len(there)))
    values = {
        "by": words.by.value,
        "name": words.name,
        "slug": words.slug,
        "text": words.text,
        "source": words.source.value if words.source else None,
        "delivery_id": delivery_id,
        # As they are now: they may have been taken back since it was read what is owed.
        "turn_id": owed.turn_id,
        "job_id": owed.job_id,
        "pictures": [*words.pictures, *words.faces],
        "buttons": _buttons_to_json(words.buttons),
    }
    for old, revision in list(zip(there, revisions, strict=False))[1:]:
        await _take_away(tx, old, revision)
    if not there:
        added = values | {"chat_id": owed.chat_id, "revision": revisions[0], "created_at": now}
        return int((await tx.execute(_ADD, added)).scalar_one())
    await tx.execute(
        update(messages).where(messages.c.id == there[0]).values(**values, revision=revisions[0])
    )
    return there[0]


async def reword(
    tx: AsyncConnection, chat: ChatRef, message: int, text: str, buttons: tuple[tuple[Button, ...], ...]
) -> bool:
    """A message says something else from now on; False where it is not there, or says so already."""
    found = of_chat(chat, messages).where(messages.c.id == message, messages.c.gone.is_(False))
    row = (await tx.execute(found)).mappings().one_or_none()
    shown = _buttons_to_json(buttons)
    if row is None or (row["text"], row["buttons"]) == (text, shown):
        return False
    [revision] = await _revisions(tx, 1)
    changed = update(messages).where(messages.c.id == message)
    await tx.execute(changed.values(text=text, buttons=shown, revision=revision))
    return True


async def mark(
    tx: AsyncConnection, message: Message, person: Person, emoji: str, *, added: bool, now: datetime
) -> None:
    """Somebody thinks something of a message, or no more: kept where the reactions of all fronts are."""
    what = About(message.turn_id, message.job_id)
    at = message.chat_id, str(message.id)
    await react(tx, *at, person.id, emoji, added=added, what=what, now=now)
    [revision] = await _revisions(tx, 1)
    await tx.execute(update(messages).where(messages.c.id == message.id).values(revision=revision))


async def take_away(tx: AsyncConnection, chat: ChatRef, ids: Sequence[str]) -> None:
    """These messages are there no more. It does not matter whether they were."""
    chat_id = (await tx.execute(chat_named(chat))).scalar_one_or_none()
    if chat_id is not None:
        await _all_away(tx, await _there(tx, chat_id, ids))


async def unsaid(tx: AsyncConnection, turn_ids: Sequence[int]) -> None:
    """Words that were taken back stand nowhere. Before their turns go: nothing tells afterwards which they were."""
    await _away_where(tx, messages.c.turn_id, turn_ids)


async def forgotten(
    tx: AsyncConnection, *, chat_ids: Sequence[int], turn_ids: Collection[int], job_ids: Sequence[int]
) -> None:
    """Nothing stands there any more of somebody who is forgotten, nor of what was made for them."""
    await _away_where(tx, messages.c.chat_id, chat_ids)
    await _away_where(tx, messages.c.turn_id, sorted(turn_ids))
    await _away_where(tx, messages.c.job_id, job_ids)


_ADD = insert(messages).returning(messages.c.id)
_OWED = (
    select(deliveries.c.chat_id, deliveries.c.turn_id, deliveries.c.job_id, messages.c.id.label("message"))
    .outerjoin(messages, messages.c.delivery_id == deliveries.c.id)
    .where(deliveries.c.id == bindparam("delivery"))
)


async def _revisions(tx: AsyncConnection, count: int) -> list[int]:
    """The next numbers. Who takes some is alone with it until the end of their transaction, so that nobody is told
    of a later change first.
    """
    if tx.dialect.name == "postgresql":
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal("page messages")))))
    last = (await tx.execute(_LAST)).scalar_one()
    return list(range(last + 1, last + 1 + count))


_LAST = select(func.coalesce(func.max(messages.c.revision), 0))


async def _there(tx: AsyncConnection, chat_id: int, ids: Sequence[str]) -> list[int]:
    """Those of the messages that stand in the chat, in the order in which they are named."""
    wanted = [int(one) for one in ids if one.isdecimal() and int(one) <= LAST_ID]
    if not wanted:
        return []
    found = select(messages.c.id).where(
        messages.c.chat_id == chat_id, messages.c.gone.is_(False), messages.c.id.in_(wanted)
    )
    there = set((await tx.execute(found)).scalars())
    return [one for one in dict.fromkeys(wanted) if one in there]


async def _away_where(tx: AsyncConnection, column: ColumnElement[int], values: Sequence[int]) -> None:
    for start in range(0, len(values), AT_ONCE):
        some = values[start : start + AT_ONCE]
        found = select(messages.c.id).where(column.in_(some), or_(~messages.c.gone, messages.c.text != ""))
        await _all_away(tx, list((await tx.execute(found.order_by(messages.c.id))).scalars()))


async def _all_away(tx: AsyncConnection, ids: Sequence[int]) -> None:
    if ids:
        for one, number in zip(ids, await _revisions(tx, len(ids)), strict=True):
            await _take_away(tx, one, number)


async def _take_away(tx: AsyncConnection, message: int, revision: int) -> None:
    await tx.execute(_AWAY, {"message": message, "number": revision})


_AWAY = (
    update(messages)
    .where(messages.c.id == bindparam("message"))
    .values(**_NOTHING, revision=bindparam("number"))
)


def _buttons_to_json(buttons: tuple[tuple[Button, ...], ...]) -> list[list[dict[str, str]]]:
    return [[asdict(one) for one in row] for row in buttons]
