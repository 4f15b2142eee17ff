"""A group where two personas are, and people who speak there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from engine.conversation import Answered, Draft
from engine.engine import Engine
from engine.language import ReplyWanted
from engine.settings import ChatSettings, PeopleSettings, Settings, StoreSettings
from engine.store import chats, people, personas
from engine.store.chats import Said
from engine.store.records import (
    Account,
    ChatRef,
    Incoming,
    PersonaRecord,
)
from engine.testing import FakeLanguage, ManualClock
from personas.persona import Persona

GROUP = ChatRef("telegram", "1", "-100")
ANA = Account("telegram", "ana", "Ana", "de-AT")
TOM = Account("telegram", "tom", "Tom")
ADA = Persona(slug="ada", name="Ada Quill", greetings=("Hello, {{user}}.",))
BEN = Persona(slug="ben", name="Ben Ash", greetings=("Evening.",), group_greetings=("Evening, all.",))


class Group:
    """A chat of many on Telegram, and what is said in it."""

    def __init__(self, engine: Engine, language: FakeLanguage) -> None:
        self.engine = engine
        self.language = language
        self.keys = 0

    async def hear(self, text: str, who: Account = ANA, **more: Any) -> Said | None:
        self.keys += 1
        told = {
            "shared": True,
            "stranger": False,
            "chat": GROUP,
            "account": who,
            "key": str(self.keys),
            **more,
        }
        return await self.engine.conversation.hear(Incoming(text=text, **told))

    async def say(self, text: str, who: Account = ANA, **more: Any) -> list[tuple[str, str]]:
        """What is answered to something said, by whom, until nobody goes on."""
        said = await self.hear(text, who, **more)
        told = []
        while said:
            answered = await self.engine.conversation.reply(said, Draft())
            assert answered is not None
            told.append((await self.name(answered), answered.reply.text))
            said = answered.next
        return told

    async def name(self, answered: Answered) -> str:
        async with self.engine.database.read() as tx:
            return (await personas.get(tx, answered.reply.persona_id or 0)).persona.slug

    async def persona(self, slug: str) -> PersonaRecord:
        async with self.engine.database.read() as tx:
            return await personas.find(tx, slug)

    async def invite(self, slug: str) -> bool:
        record = await self.persona(slug)
        async with self.engine.database.write() as tx:
            place = await chats.place(tx, GROUP)
            person = await people.known(tx, ANA)
            assert place is not None
            assert person is not None
            return await self.engine.presence.invite(tx, place, record, person)

    def asked(self) -> ReplyWanted:
        wanted = self.language.asked[-1]
        assert isinstance(wanted, ReplyWanted)
        return wanted


@pytest.fixture(name="group")
async def a_group(settings: Settings, language: FakeLanguage, database_url: str) -> AsyncIterator[Group]:
    told = settings.model_copy(
        update={
            "store": StoreSettings(database=SecretStr(database_url)),
            "chat": ChatSettings(persona="ada"),
            "people": PeopleSettings(blocked=("telegram:eve",), operators=("telegram:boss",)),
        }
    )
    async with Engine.open(told, models=[language], clock=ManualClock()) as engine:
        async with engine.database.write() as tx:
            for persona in (ADA, BEN):
                await personas.take_in(tx, persona, origin="made", now=engine.clock.now())
        yield Group(engine, language)
