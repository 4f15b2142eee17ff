"""Who is in a chat: greetings, coming back, beginning again, and who may come in at all."""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import NotFound, Unsuitable
from engine.presence import PLAIN_GREETING, Presence
from engine.settings import ChatSettings, SafetySettings, Settings
from engine.store import chats, outbox, people, personas
from engine.store.database import Database
from engine.store.records import Account, ChatRef, Person, PersonaRecord, Place
from engine.testing import ManualClock
from personas.persona import Persona, Rating

ROOM = ChatRef("stage", "one", "room")
ADA = Persona(
    slug="ada", name="Ada Quill", nickname="Addie", age=40, greetings=("{{char}} greets {{user}}.",)
)
BEN = Persona(slug="ben", name="Ben Ash", age=50)
VERA = Persona(slug="vera", name="Vera Lund", age=44, rating=Rating.MATURE, greetings=("Evening.",))


class Stage:
    """A presence on a database with a cast, and what a test does with it."""

    def __init__(self, database: Database, **settings: object) -> None:
        self.database = database
        self.clock = ManualClock()
        self.settings = Settings.model_validate({"chat": ChatSettings(persona="ada"), **settings})
        self.presence = Presence(database, self.settings, self.clock)

    async def cast(self, *cast: Persona) -> None:
        async with self.database.write() as tx:
            await personas.seed(tx, cast, now=self.clock.now())

    async def enter(self, wanted: str = "") -> tuple[PersonaRecord, list[str]]:
        record, turns = await self.presence.enter(ROOM, most=10, wanted=wanted)
        return record, [turn.text for turn in turns]

    async def guest(self, *, adult: bool = False) -> tuple[Place, Person]:
        async with self.database.write() as tx:
            place = await chats.place(tx, ROOM) or await self.presence.new_place(tx, ROOM)
            person = await people.add_person(tx, Account("stage", "ana", "Ana"), now=self.clock.now())
        return place, Person(person.id, person.name, self.clock.now() if adult else None)

    async def bring(self, slug: str, place: Place, person: Person) -> bool:
        async with self.database.write() as tx:
            return await self.presence.bring(tx, place, await personas.find(tx, slug), person)

    async def owed(self) -> list[str]:
        async with self.database.write() as tx:
            return [row.text for row in await outbox.take(tx, [("stage", "one")], now=self.clock.now())]


@pytest.fixture
async def stage(database: Database) -> Stage:
    made = Stage(database)
    await made.cast(ADA, BEN, VERA)
    return made


async def test_a_new_chat_begins_with_the_usual_persona_s_greeting(stage: Stage) -> None:
    record, said = await stage.enter()
    assert (record.persona.slug, said) == ("ada", ["Addie greets you."])
    assert await stage.enter() == (record, said), "once"
    assert await stage.owed() == [], "whoever opens a chat is shown it there"


async def test_whoever_opens_a_chat_twice_at_once_is_greeted_in_one_chat(stage: Stage) -> None:
    await asyncio.gather(*(stage.enter() for _ in range(5)))
    async with stage.database.read() as tx:
        place = await chats.place(tx, ROOM)
    assert place is not None
    assert (await stage.enter())[1] == ["Addie greets you."]


async def test_somebody_without_greetings_says_something_all_the_same(stage: Stage) -> None:
    _, said = await stage.enter("ben")
    assert said == [PLAIN_GREETING.replace("{{char}}", "Ben Ash")]


async def test_who_is_named_at_the_door_is_there(stage: Stage) -> None:
    await stage.enter()
    record, _ = await stage.enter("Ben Ash")
    assert record.persona.slug == "ben"
    assert (await stage.enter())[0].persona.slug == "ben", "and stays"
    assert (await stage.enter("ada"))[1] == ["Addie greets you."]
    with pytest.raises(NotFound):
        await stage.enter("nobody")
    assert (await stage.enter())[0].persona.slug == "ada", "a slip of the tongue sends nobody away"


async def test_somebody_brought_in_greets_once_and_comes_back_to_the_talk(stage: Stage) -> None:
    place, ana = await stage.guest()
    assert await stage.bring("ben", place, ana)
    [greeting] = await stage.owed()
    assert greeting.startswith("Hello. I'm Ben Ash")
    assert await stage.bring("ada", place, ana)
    assert not await stage.bring("ben", place, ana)
    assert (await stage.enter())[1] == [greeting]


async def test_a_greeting_says_the_name_of_whoever_is_greeted(stage: Stage) -> None:
    place, ana = await stage.guest()
    await stage.bring("ben", place, ana)
    await stage.bring("ada", place, ana)
    assert (await stage.owed())[-1] == "Addie greets Ana."


async def test_a_grown_up_persona_comes_only_where_operator_place_and_person_agree(stage: Stage) -> None:
    place, ana = await stage.guest(adult=True)
    with pytest.raises(Unsuitable, match="mature"):
        await stage.bring("vera", place, ana)
    with pytest.raises(Unsuitable):
        await stage.enter("vera")
    assert (await stage.enter())[0].persona.slug == "ada"

    open_minded = Stage(stage.database, safety=SafetySettings(rating=Rating.ADULT))
    allowing = Place(place.id, place.ref, place.persona_id, rating=Rating.MATURE)
    assert await open_minded.bring("vera", allowing, ana)
    child = Person(ana.id, ana.name)
    with pytest.raises(Unsuitable):
        await open_minded.bring("vera", allowing, child)


async def test_a_new_beginning_is_a_greeting_and_no_line_before_it(stage: Stage) -> None:
    place, ana = await stage.guest()
    async with stage.database.write() as tx:
        await stage.presence.start_over(tx, place, ana)
        await stage.presence.start_over(tx, place, ana)
    assert await stage.owed() == ["Addie greets Ana."] * 2
    assert (await stage.enter())[1] == ["Addie greets Ana."]


async def test_when_somebody_leaves_the_cast_the_usual_one_takes_their_place(stage: Stage) -> None:
    record, _ = await stage.enter("ben")
    async with stage.database.write() as tx:
        await personas.delete(tx, record.id, now=stage.clock.now())
    there, said = await stage.enter()
    assert (there.persona.slug, said) == ("ada", ["Addie greets you."])


async def test_without_a_usual_one_the_first_of_the_cast_is_there(database: Database) -> None:
    stage = Stage(database, chat=ChatSettings())
    with pytest.raises(NotFound, match="greenroom personas new"):
        await stage.enter()
    await stage.cast(BEN, ADA)
    assert (await stage.enter())[0].persona.slug == "ada"


async def test_a_usual_one_that_is_not_in_the_cast_is_told(database: Database) -> None:
    stage = Stage(database, chat=ChatSettings(persona="zoe"))
    await stage.cast(ADA)
    with pytest.raises(NotFound, match="zoe"):
        await stage.enter()
