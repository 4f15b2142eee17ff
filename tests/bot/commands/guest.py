"""Somebody in a chat who gives orders and reads what comes back, with no desk and no front between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select

from bot import commands
from bot.commands.calling import InCharge, nobody
from engine.conversation import Draft
from engine.engine import Engine
from engine.language import PromptWanted
from engine.settings import SafetySettings, Settings
from engine.store import chats, jobs, outbox, people, personas, pictures
from engine.store.chats import Said
from engine.store.records import (
    Account,
    ChatRef,
    Delivery,
    DeliveryKind,
    Incoming,
    Job,
    JobState,
    Person,
    TurnKind,
    TurnState,
)
from engine.store.tables import turns
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Persona, Rating

ROOM = ChatRef("stage", "one", "room")
HALL = ChatRef("stage", "one", "hall")
ANA = Account("stage", "ana", "Ana")
BEN = Account("stage", "ben", "Ben")


async def everybody(_platform_id: str) -> bool:
    """A platform on which all have charge of the chat."""
    return True


class Guest:
    def __init__(
        self,
        engine: Engine,
        who: Account = ANA,
        chat: ChatRef = ROOM,
        *,
        shared: bool = False,
        in_charge: InCharge = nobody,
        allows_mature: bool = True,
    ) -> None:
        self.engine = engine
        self.who = who
        self.chat = chat
        self.shared = shared
        self.in_charge = in_charge
        self.allows_mature = allows_mature
        self.heard = 0

    def incoming(self, text: str) -> Incoming:
        self.heard += 1
        return Incoming(
            self.chat,
            self.who,
            text,
            f"{self.who.platform_id}-{self.chat.chat}-{self.chat.thread}-{self.heard}",
            shared=self.shared,
            mentioned=True,
            allows_mature=self.allows_mature,
            stranger=False,
        )

    async def orders(self, text: str) -> Said:
        kind = TurnKind.COMMAND if text.startswith("/") else TurnKind.WORDS
        said = await self.engine.conversation.hear(self.incoming(text), kind=kind)
        assert said is not None
        return said

    async def run(self, said: Said) -> None:
        await commands.run(self.engine, said, in_charge=self.in_charge)

    async def gets(self, text: str) -> list[Delivery]:
        """All that an order, or the words that complete one, brings about."""
        await self.owed()
        await self.run(await self.orders(text))
        return await self.owed()

    async def does(self, text: str) -> str:
        """The last words of what it brings about."""
        owed = await self.gets(text)
        return owed[-1].text if owed else ""

    async def says(self, text: str) -> str:
        said = await self.engine.conversation.hear(self.incoming(text))
        assert said is not None
        answered = await self.engine.conversation.reply(said, Draft())
        assert answered is not None
        return answered.reply.text

    async def owed(self) -> list[Delivery]:
        async with self.engine.database.write() as tx:
            rows = await outbox.take(tx, [("stage", "one")], now=self.engine.clock.now())
            for row in rows:
                await outbox.sent(tx, row.id, [], now=self.engine.clock.now())
        return rows

    async def state(self, said: Said) -> TurnState:
        async with self.engine.database.read() as tx:
            found = await tx.execute(select(turns.c.state).where(turns.c.id == said.turn.id))
            return TurnState(found.scalar_one())

    async def person(self) -> Person:
        async with self.engine.database.read() as tx:
            person = await people.known(tx, self.who)
        assert person is not None
        return person

    async def is_of_age(self) -> None:
        async with self.engine.database.write() as tx:
            person = await people.known(tx, self.who)
            assert person is not None
            await people.confirm_adult(tx, person.id, self.engine.clock.now())

    async def job(self, job_id: int) -> Job:
        async with self.engine.database.read() as tx:
            return await jobs.get(tx, job_id)

    async def jobs(self) -> list[Job]:
        async with self.engine.database.read() as tx:
            return list(reversed(await jobs.listing(tx)))

    async def sees(self, job_id: int) -> list[str]:
        """Wait until a job's pictures are made; answers their files."""
        with self.engine.events.watch(lambda event: event.name == "job.ended") as ended:
            working = asyncio.create_task(self.engine.worker.run(1))
            if not (await self.job(job_id)).state.ended:
                async with asyncio.timeout(20):
                    async for event in ended:
                        if event.about["job"] == job_id:
                            break
        working.cancel()
        await asyncio.wait([working])
        return await self.files_of(job_id)

    async def files_of(self, job_id: int) -> list[str]:
        async with self.engine.database.read() as tx:
            return [made.file for made in (await pictures.of_jobs(tx, [job_id]))[job_id]]

    async def ends(self, job_id: int, state: JobState = JobState.FAILED) -> None:
        async with self.engine.database.write() as tx:
            await jobs.end(tx, job_id, state, self.engine.clock.now())


def orders_in(delivery: Delivery) -> list[str]:
    """What the buttons under a message order."""
    return [button.order for row in delivery.manner.buttons for button in row]


def prompts_wanted(language: FakeLanguage) -> list[PromptWanted]:
    return [wanted for wanted in language.asked if isinstance(wanted, PromptWanted)]


def notices(owed: list[Delivery]) -> list[str]:
    return [row.text for row in owed if row.kind is DeliveryKind.NOTICE]


async def rate_hall(engine: Engine, rating: Rating) -> None:
    """What may be shown there."""
    async with engine.database.write() as tx:
        place = await chats.place(tx, HALL)
        assert place is not None
        await chats.set_rating(tx, place.id, rating)


@asynccontextmanager
async def among_grown_ups(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> AsyncIterator[Engine]:
    """A house that may be for grown-ups, and somebody in its cast who is."""
    grown_up = settings.model_copy(update={"safety": SafetySettings(rating=Rating.MATURE)})
    async with Engine.open(grown_up, models=[language], renderer=renderer, clock=ManualClock()) as opened:
        vesper = Persona(
            slug="vesper",
            name="Vesper Quill",
            kind="burlesque",
            age=35,
            rating=Rating.MATURE,
            description="Not for children.",
        )
        async with opened.database.write() as tx:
            await personas.take_in(tx, vesper, origin="made", now=opened.clock.now())
        yield opened


async def ana_of_age(engine: Engine) -> Guest:
    """She is of age, and in charge of a hall for grown-ups."""
    ana = Guest(engine, ANA, HALL, shared=True, in_charge=everybody)
    await ana.says("Hello")
    await ana.is_of_age()
    await rate_hall(engine, Rating.MATURE)
    return ana
