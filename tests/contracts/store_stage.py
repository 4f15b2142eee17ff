"""A store where somebody talks with Ada in the kitchen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store import chats, people, personas
from engine.store.database import Database
from engine.store.records import (
    Account,
    ChatRef,
    Incoming,
    Person,
    PersonaRecord,
    Place,
    Turn,
    TurnState,
)
from personas.persona import Persona

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KITCHEN = ChatRef("terminal", "home", "kitchen")
HALL = ChatRef("terminal", "home", "hall", "stairs")
ANA = Account("terminal", "ana", "Ana", "pt")
HERE = [("terminal", "home")]
ADA = Persona(slug="ada", name="Ada Quill", age=40)
BEN = Persona(slug="ben", name="Ben Ash", age=50)


@asynccontextmanager
async def settled(database: Database) -> AsyncIterator[tuple[AsyncConnection, Place, Person, PersonaRecord]]:
    """A write transaction in a store where Ana and Ada are in the kitchen."""
    async with database.write() as tx:
        record = await personas.take_in(tx, ADA, origin="made", now=NOON)
        place = await chats.add_place(tx, KITCHEN, persona_id=record.id, now=NOON)
        person = await people.add_person(tx, ANA, now=NOON)
        yield tx, place, person, record


async def said(
    tx: AsyncConnection, place: Place, person: Person, text: str, *, now: datetime = NOON, **more: Any
) -> Turn:
    return await chats.add_turn(tx, place.id, text, now=now, person_id=person.id, **more)


def heard(text: str = "Hello", *, key: str = "1", chat: ChatRef = KITCHEN, who: Account = ANA) -> Incoming:
    return Incoming(chat, who, text, key)


async def reply(tx: AsyncConnection, place: Place, to: Turn, text: str, persona_id: int) -> Turn:
    turn = await chats.add_turn(
        tx,
        place.id,
        text,
        now=NOON,
        state=TurnState.ANSWERED,
        parent_id=to.id,
        persona_id=persona_id,
        source=Source.MODEL,
    )
    await chats.move_head(tx, place.id, turn.id, of_persona=persona_id)
    return turn
