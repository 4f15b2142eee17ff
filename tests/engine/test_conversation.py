"""A turn comes in, a reply streams out, both are remembered: on both databases, with models that do as told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from engine.conversation import MOST_ATTEMPTS, Answered, Conversation, Draft
from engine.errors import BadRequest, OverLimit, Refused, Unsuitable
from engine.events import Events
from engine.language import LanguageModel, ReplyWanted, Source
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.memory import Memory
from engine.presence import Presence
from engine.second_thoughts import SecondThoughts
from engine.settings import ChatSettings, LimitSettings, PeopleSettings, SafetySettings, Settings
from engine.store import chats, outbox, personas
from engine.store.chats import Said
from engine.store.database import Database
from engine.store.records import Account, ChatRef, DeliveryKind, Incoming, Turn, TurnKind, TurnState
from engine.store.tables import chats as chat_rows
from engine.store.tables import people, turns
from engine.testing import FakeLanguage, ManualClock
from personas.persona import Persona

HOME = ChatRef("terminal", "home", "kitchen")
ANA = Account("terminal", "ana", "Ana")
ADA = Persona(slug="ada", name="Ada Quill", age=40, greetings=("Hello, {{user}}.",))
BEN = Persona(slug="ben", name="Ben Ash", age=50, greetings=("Evening.",))


@dataclass
class House:
    """A conversation and the parts that a test looks at."""

    database: Database
    language: FakeLanguage
    presence: Presence
    conversation: Conversation
    second_thoughts: SecondThoughts
    clock: ManualClock
    keys: int = 0

    async def hear(
        self,
        text: str,
        *,
        chat: ChatRef = HOME,
        who: Account = ANA,
        kind: TurnKind = TurnKind.WORDS,
        **more: Any,
    ) -> Said:
        said = await self.overhear(text, chat=chat, who=who, kind=kind, **more)
        assert said is not None
        return said

    async def overhear(
        self,
        text: str,
        *,
        chat: ChatRef = HOME,
        who: Account = ANA,
        kind: TurnKind = TurnKind.WORDS,
        **more: Any,
    ) -> Said | None:
        """Somebody says something, perhaps to nobody here."""
        self.keys += 1
        incoming = Incoming(chat, who, text, str(self.keys), **{"stranger": False, **more})
        return await self.conversation.hear(incoming, kind=kind)

    async def say(self, text: str) -> Turn:
        answered = await self.conversation.reply(await self.hear(text), Draft())
        assert answered is not None
        return answered.reply

    async def asked(self, text: str) -> ReplyWanted:
        """What the model is asked when this is said."""
        await self.say(text)
        wanted = self.language.asked[-1]
        assert isinstance(wanted, ReplyWanted)
        return wanted

    async def turn(self, turn_id: int) -> Turn:
        async with self.database.read() as tx:
            row = (await tx.execute(select(turns).where(turns.c.id == turn_id))).mappings().one()
        return chats._turn(row)

    async def count(self) -> int:
        async with self.database.read() as tx:
            return int((await tx.execute(select(func.count()).select_from(turns))).scalar_one())

    async def owed(self) -> list[tuple[DeliveryKind, str]]:
        async with self.database.write() as tx:
            taken = await outbox.take(tx, [("terminal", "home")], now=self.clock.now())
        return [(row.kind, row.text) for row in taken]

    async def persona(self, slug: str) -> int:
        async with self.database.read() as tx:
            return (await personas.find(tx, slug)).id


async def wired(
    database: Database,
    language: FakeLanguage,
    *,
    then: Sequence[LanguageModel] = (),
    limits: LimitSettings | None = None,
    safety: SafetySettings | None = None,
    people: PeopleSettings | None = None,
) -> House:
    clock = ManualClock()
    told = Settings(
        chat=ChatSettings(persona="ada"),
        limits=limits or LimitSettings(),
        safety=safety or SafetySettings(),
        people=people or PeopleSettings(),
    )
    async with database.write() as tx:
        await personas.seed(tx, [ADA, BEN], now=clock.now())
    presence = Presence(database, told, clock)
    memory, writers, events = (
        Memory(database, presence, told, "Stay yourself."),
        Writers([language, *then]),
        Events(),
    )
    conversation = Conversation(database, writers, presence, events, told, clock, memory)
    second_thoughts = SecondThoughts(database, writers, memory, events, clock)
    return House(database, language, presence, conversation, second_thoughts, clock)


@pytest.fixture
async def house(database: Database, language: FakeLanguage) -> House:
    return await wired(database, language)


async def test_what_is_heard_is_a_row_before_anybody_answers(house: House) -> None:
    said = await house.hear("Good morning")
    stored = await house.turn(said.turn.id)
    assert (stored.text, stored.state, stored.person_id) == (
        "Good morning",
        TurnState.RECEIVED,
        said.person.id,
    )
    assert (said.person.name, said.place.ref) == ("Ana", HOME)


async def test_a_reply_is_stored_with_the_promise_to_deliver_it(house: House) -> None:
    reply = await house.say("Good morning")
    assert (reply.text, reply.source, reply.state) == ("Quite so.", Source.MODEL, TurnState.ANSWERED)
    assert reply.parent_id is not None
    assert (await house.turn(reply.parent_id)).state is TurnState.ANSWERED
    assert await house.owed() == [(DeliveryKind.REPLY, "Quite so.")]


async def test_the_same_update_is_heard_once(house: House) -> None:
    update = Incoming(HOME, ANA, "Hello", "update-7")
    assert await house.conversation.hear(update) is not None
    assert await house.conversation.hear(update) is None
    assert await house.count() == 1


async def test_the_same_update_in_eight_hands_at_once_is_heard_once(house: House) -> None:
    update = Incoming(HOME, ANA, "Hello", "update-7")
    heard = await asyncio.gather(*(house.conversation.hear(update) for _ in range(8)))
    assert sum(said is not None for said in heard) == 1
    assert await house.count() == 1


async def test_somebody_who_speaks_in_many_chats_at_once_is_one_person(house: House) -> None:
    rooms = [ChatRef("terminal", "home", f"room-{number}") for number in range(6)]
    heard = await asyncio.gather(*(house.hear("Hello", chat=room) for room in rooms))
    assert len({said.person.id for said in heard}) == 1


async def test_many_who_come_at_once_into_a_new_chat_find_the_same_one(house: House) -> None:
    guests = [Account("terminal", f"guest-{number}") for number in range(6)]
    heard = await asyncio.gather(*(house.hear("Hello", who=guest) for guest in guests))
    assert len({said.place.id for said in heard}) == 1
    assert len({said.person.id for said in heard}) == 6


async def test_an_answered_turn_is_not_answered_again(house: House) -> None:
    said = await house.hear("Hello")
    assert await house.conversation.reply(said, Draft()) is not None
    assert await house.conversation.reply(said, Draft()) is None
    assert await house.owed() == [(DeliveryKind.REPLY, "Quite so.")]


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b\u200d", "\u202e\u200f", "x" * 8_001, "\x00\x07"])
async def test_what_cannot_be_read_is_refused_and_not_kept(house: House, text: str) -> None:
    with pytest.raises(BadRequest):
        await house.hear(text)
    assert await house.count() == 0


@pytest.mark.parametrize(
    "text",
    [
        "{{char}} {% for x in y %} %s %(name)s {0} ${HOME}",
        "<script>alert(1)</script> <b>bold</b>",
        "'; DROP TABLE turns; --",
        "../../etc/passwd",
        "👩‍👩‍👧 שלום مرحبا \u200f!",
        "x" * 8_000,
    ],
)
async def test_what_looks_like_code_is_only_words(house: House, text: str) -> None:
    wanted = await house.asked(text)
    assert wanted.lines[-1].text == text
    assert (await house.asked("And?")).lines[-3].text == text


async def test_control_characters_and_lone_surrogates_are_left_out(house: House) -> None:
    said = await house.hear("a\x00b\ud800c\u202ed\r\ne")
    assert said.turn.text == "abcd\ne"


async def test_a_name_is_a_short_line(house: House) -> None:
    trap = Account("terminal", "eve", "Eve\x00\ud800\n\u202e" + "e" * 5_000)
    said = await house.hear("Hello", who=trap)
    assert said.person.name.startswith("Eve e")
    assert len(said.person.name) <= 80


async def test_people_and_words_that_the_operator_does_not_want_are_refused(
    database: Database, language: FakeLanguage
) -> None:
    house = await wired(
        database,
        language,
        safety=SafetySettings(blocked_words=("gherkin",)),
        people=PeopleSettings(blocked=("terminal:eve",)),
    )
    with pytest.raises(Unsuitable):
        await house.hear("A GHÉRKIN, please")
    with pytest.raises(Refused):
        await house.hear("Hello", who=Account("terminal", "eve"), stranger=True)
    assert await house.count() == 0
    assert (await house.say("A pickle, please")).text == "Quite so."


async def test_too_many_messages_a_minute_are_refused_until_the_minute_is_over(
    database: Database, language: FakeLanguage
) -> None:
    house = await wired(database, language, limits=LimitSettings(messages_per_minute=2))
    await house.hear("one")
    await house.hear("two")
    with pytest.raises(OverLimit):
        await house.hear("three")
    await house.hear("somebody else", who=Account("terminal", "ben"))
    await house.clock.advance(61)
    await house.hear("four")


async def test_a_place_has_a_limit_of_its_own(database: Database, language: FakeLanguage) -> None:
    house = await wired(database, language, limits=LimitSettings(place_messages_per_minute=3))
    for guest in range(3):
        await house.hear("Hello", who=Account("terminal", f"guest-{guest}"))
    with pytest.raises(OverLimit, match="lively"):
        await house.hear("Hello", who=Account("terminal", "guest-9"))
    await house.hear("Hello", who=Account("terminal", "guest-9"), chat=ChatRef("terminal", "home", "hall"))


async def test_the_persona_is_told_the_talk_so_far(house: House) -> None:
    await house.presence.enter(HOME, most=5)
    await house.say("I'm Ana.")
    wanted = await house.asked("Who am I?")
    assert [line.text for line in wanted.lines] == ["Hello, you.", "I'm Ana.", "Quite so.", "Who am I?"]
    assert [line.by_persona for line in wanted.lines] == [True, False, True, False]
    assert (wanted.persona.slug, wanted.person_name) == ("ada", "Ana")
    assert any("Who am I?" in segment.text for segment in wanted.segments)


async def test_a_command_stands_beside_the_talk(house: House) -> None:
    await house.hear("/help", kind=TurnKind.COMMAND)
    wanted = await house.asked("Hello")
    assert [line.text for line in wanted.lines] == ["Hello"]


async def test_a_draft_grows_to_the_whole_reply(house: House) -> None:
    seen: list[str] = []
    house.language.reply = "one two three"
    await house.conversation.reply(await house.hear("Count!"), Draft(seen.append))
    assert [text.strip() for text in seen] == ["one", "one two", "one two three"]


async def replying(house: House, draft: Draft, *, words: int) -> tuple[Said, asyncio.Task[Answered | None]]:
    """A slow reply, as it stands after so many words."""
    house.language.reply, house.language.pause = "one two three four five", 0.01
    said = await house.hear("Count!")
    enough = asyncio.Event()
    draft.on_text = lambda text: enough.set() if len(text.split()) >= words else None
    task = asyncio.create_task(house.conversation.reply(said, draft))
    await enough.wait()
    return said, task


async def test_a_stopped_reply_is_kept_as_far_as_it_came(house: House) -> None:
    draft = Draft()
    _, task = await replying(house, draft, words=2)
    draft.stop()
    answered = await task
    assert answered is not None
    assert answered.reply.text == "one two"
    assert (await house.asked("Go on.")).lines[-2].text == "one two"


async def test_a_reply_stopped_before_its_first_word_leaves_the_turn_answered(house: House) -> None:
    draft = Draft()
    draft.stop()
    said = await house.hear("Count!")
    assert await house.conversation.reply(said, draft) is None
    assert house.language.asked == []
    assert (await house.turn(said.turn.id)).state is TurnState.ANSWERED
    assert [line.text for line in (await house.asked("Hello?")).lines] == ["Count!", "Hello?"]
    assert await house.conversation.unanswered() == []


async def test_a_closing_house_leaves_the_turn_for_the_next_start(house: House) -> None:
    said, task = await replying(house, Draft(), words=2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [again.turn.id for again in await house.conversation.unanswered()] == [said.turn.id]
    answered = await house.conversation.reply(said, Draft())
    assert answered is not None
    assert answered.reply.text == "one two three four five"


async def test_a_stop_and_a_closing_house_at_once_close_the_house(house: House) -> None:
    draft = Draft()
    _, task = await replying(house, draft, words=1)
    draft.stop()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await house.conversation.unanswered()) == 1


async def test_a_written_reply_is_stored_although_the_house_closes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, loop = asyncio.Event(), asyncio.get_running_loop()
    owe = outbox.owe

    async def slow_owe(*args: object, **more: object) -> int:
        loop.call_soon_threadsafe(storing.set)  # this may be a thread of the store's
        time.sleep(0.05)  # noqa: ASYNC251 - a transaction waits for nothing but its database
        return await owe(*args, **more)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(outbox, "owe", slow_owe)
    task = asyncio.create_task(house.conversation.reply(await house.hear("Hello"), Draft()))
    await storing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await house.owed() == [(DeliveryKind.REPLY, "Quite so.")]
    assert await house.conversation.unanswered() == []


async def test_a_turn_that_keeps_ending_the_process_is_let_go_with_a_word(house: House) -> None:
    poison = await house.hear("Divide by zero")
    for _ in range(MOST_ATTEMPTS):
        assert [said.turn.id for said in await house.conversation.unanswered()] == [poison.turn.id]
    assert await house.conversation.unanswered() == []
    assert (await house.turn(poison.turn.id)).state is TurnState.FAILED
    [(kind, words)] = await house.owed()
    assert kind is DeliveryKind.NOTICE
    assert "another way" in words


async def test_turns_that_only_waited_behind_it_are_still_answered(house: House) -> None:
    await house.hear("Divide by zero")
    waited = await house.hear("Hello?")
    for _ in range(MOST_ATTEMPTS + 1):
        again = await house.conversation.unanswered()
    assert [said.turn.id for said in again] == [waited.turn.id]
    assert await house.conversation.reply(waited, Draft()) is not None


async def test_when_the_model_fails_the_understudy_stands_in_and_says_so(
    database: Database, language: FakeLanguage
) -> None:
    house = await wired(database, language, then=[Understudy()])
    language.fails = True
    reply = await house.say("What do you do?")
    assert reply.source is Source.UNDERSTUDY
    assert reply.text


async def test_what_a_model_writes_is_made_readable(house: House) -> None:
    house.language.reply = "Well\x00, \ud800yes\x1b[31m!"
    assert (await house.say("Really?")).text == "Well, yes[31m!"


async def test_a_persona_that_left_the_cast_is_replaced_by_the_usual_one(house: House) -> None:
    ben = await house.persona("ben")
    said = await house.hear("Hello")
    async with house.database.write() as tx:
        await chats.set_persona(tx, said.place.id, ben)
    assert (await house.asked("Ben?")).persona.slug == "ben"
    async with house.database.write() as tx:
        await personas.delete(tx, ben, now=house.clock.now())
    assert (await house.asked("Still there?")).persona.slug == "ada"


async def test_an_edited_persona_speaks_as_edited(house: House) -> None:
    assert (await house.asked("Hello")).persona.occupation == ""
    async with house.database.write() as tx:
        record = await personas.find(tx, "ada")
        edited = record.persona.model_copy(update={"occupation": "locksmith"})
        await personas.revise(tx, record, edited, note="", now=house.clock.now())
    wanted = await house.asked("And now?")
    assert wanted.persona.occupation == "locksmith"
    assert any("locksmith" in segment.text for segment in wanted.segments)


async def test_who_comes_in_while_another_still_writes_begins_a_talk_of_their_own(house: House) -> None:
    _, task = await replying(house, Draft(), words=1)
    record, _ = await house.presence.enter(HOME, most=5, wanted="ben")
    await task
    wanted = await house.asked("Hello, Ben.")
    assert wanted.persona.slug == record.persona.slug == "ben"
    assert [line.text for line in wanted.lines] == ["Evening.", "Hello, Ben."]
    await house.presence.enter(HOME, most=5, wanted="ada")
    assert [line.text for line in (await house.asked("Back.")).lines[-3:]] == [
        "Count!",
        "one two three four five",
        "Back.",
    ]


async def test_a_clock_that_is_set_back_hides_nothing(house: House) -> None:
    await house.say("Before")
    house.clock.jump(timedelta(days=-400))
    reply = await house.say("After")
    assert reply.text == "Quite so."
    assert [words for _, words in await house.owed()] == ["Quite so."] * 2


async def test_what_belongs_to_nobody_is_not_answered_for_ever(house: House) -> None:
    """Rows whose person is gone cannot be answered; a start must not stumble over them."""
    said = await house.hear("Hello")
    async with house.database.write() as tx:
        await tx.execute(update(turns).where(turns.c.id == said.turn.id).values(person_id=None))
        await tx.execute(people.delete())
    assert await house.conversation.unanswered() == []
    async with house.database.read() as tx:
        assert (await tx.execute(select(chat_rows.c.head_turn_id))).scalar_one() is None
