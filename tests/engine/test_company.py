"""Places where many meet: who is heard, who answers, and in which order, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event

from bot.desk import Desk
from engine import rights
from engine.conversation import QUESTION_STANDS, Answered, Draft
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused, Unsuitable
from engine.language import ReplyWanted
from engine.settings import ChatSettings, PeopleSettings, Settings, StoreSettings
from engine.store import chats, messages, outbox, people, personas
from engine.store.chats import Said
from engine.store.database import Database
from engine.store.records import (
    Account,
    Attachment,
    ChatRef,
    DeliveryKind,
    Incoming,
    PersonaRecord,
    Reaction,
    TurnKind,
    TurnState,
)
from engine.testing import DAWN, FakeLanguage, ManualClock
from personas.company import MOST_ANSWERS
from personas.persona import Persona, Rating

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


@pytest.fixture
async def group(settings: Settings, language: FakeLanguage, database_url: str) -> AsyncIterator[Group]:
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
                await personas.add(tx, persona, origin="made", now=engine.clock.now())
        yield Group(engine, language)


async def test_what_is_said_to_nobody_here_is_not_kept(group: Group) -> None:
    assert await group.hear("Nice weather today.") is None
    async with group.engine.database.read() as tx:
        assert await chats.place(tx, GROUP) is None


async def test_a_name_a_mention_and_a_reply_are_ways_to_speak_to_a_persona(group: Group) -> None:
    assert await group.say("Ada, good evening.") == [("ada", "Quite so.")]
    assert await group.say("and you?", mentioned=True) == [("ada", "Quite so.")]
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        [row, *_] = await outbox.take(tx, [("telegram", "1")], now=group.engine.clock.now())
        await messages.shown(tx, place.id, row.id, ["4711"])
    assert await group.hear("really?", reply_to="1") is None
    assert await group.say("really?", reply_to="4711") == [("ada", "Quite so.")]


async def test_a_place_can_want_every_message_answered(group: Group) -> None:
    await group.say("Hello Ada")
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        await chats.set_setting(tx, place.id, "answers", "all")
    assert await group.say("Nice weather today.") == [("ada", "Quite so.")]


async def test_several_are_asked_and_answer_one_after_the_other(group: Group) -> None:
    await group.say("Hello Ada")
    assert await group.invite("ben")
    assert not await group.invite("ben"), "it is here already"
    assert await group.say("Ben and Ada, tea or coffee?") == [("ben", "Quite so."), ("ada", "Quite so.")]


async def test_each_hears_the_others_by_name_and_itself_as_itself(group: Group) -> None:
    group.language.reply = "Coffee for me."
    await group.say("Hello Ada")
    await group.invite("ben")
    await group.say("Ben and Ada, tea or coffee?", TOM)
    wanted = group.asked()
    assert wanted.persona.slug == "ada"
    told = [(line.by_persona, line.name, line.text) for line in wanted.lines]
    assert told[0] == (False, "Ana", "Hello Ada")
    assert told[1] == (True, "", "Coffee for me.")
    assert told[2] == (False, "Ben Ash", "Evening, all.")
    assert told[3] == (False, "Tom", "Ben and Ada, tea or coffee?")
    assert told[4] == (False, "Ben Ash", "Coffee for me.")
    assert any("Also here: Ben Ash" in segment.text for segment in wanted.segments)


async def test_whom_a_persona_names_may_answer_until_the_hops_are_used_up(group: Group) -> None:
    await group.say("Hello Ada")
    await group.invite("ben")
    group.language.reply = "What do Ada and Ben say?"
    told = await group.say("Ada, begin.")
    assert [slug for slug, _text in told] == ["ada", "ben", "ada", "ben"]
    assert len(told) == MOST_ANSWERS


async def test_who_had_still_to_answer_does_so_after_a_restart(group: Group) -> None:
    await group.say("Hello Ada")
    await group.invite("ben")
    said = await group.hear("Ada and Ben, tea or coffee?")
    assert said is not None
    first = await group.engine.conversation.reply(said, Draft())
    assert first is not None
    later = await group.hear("Ada, and another thing.", TOM)
    assert later is not None
    again = await group.engine.conversation.unanswered()
    assert [one.turn.id for one in again] == [first.reply.id, later.turn.id], "what was begun comes first"
    assert again[0].person.name == "Ana", "for whom it is"
    second = await group.engine.conversation.reply(again[0], Draft())
    assert second is not None
    assert await group.name(second) == "ben"
    assert second.next is None


async def test_a_persona_that_left_the_cast_in_between_is_replaced(group: Group) -> None:
    await group.say("Hello Ada")
    await group.invite("ben")
    said = await group.hear("Ben?")
    assert said is not None
    async with group.engine.database.write() as tx:
        ben = await personas.find(tx, "ben")
        await personas.delete(tx, ben.id, now=group.engine.clock.now())
    answered = await group.engine.conversation.reply(said, Draft())
    assert answered is not None
    assert await group.name(answered) == "ada"


async def test_there_is_room_for_so_many_and_somebody_always_stays(group: Group) -> None:
    await group.say("Hello Ada")
    async with group.engine.database.read() as tx:
        cast = [entry.slug for entry in await personas.listing(tx) if entry.slug != "ada"]
    for slug in cast[:5]:
        assert await group.invite(slug)
    with pytest.raises(BadRequest, match="6 of us"):
        await group.invite(cast[5])
    for slug in [*cast[:5]]:
        async with group.engine.database.write() as tx:
            place = await chats.place(tx, GROUP)
            assert place is not None
            record = await personas.find(tx, slug)
            assert await group.engine.presence.send_away(tx, place, record)
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        assert place.guests == ()
        with pytest.raises(BadRequest, match="only one"):
            await group.engine.presence.send_away(tx, place, await personas.find(tx, "ada"))


async def test_where_the_host_goes_a_guest_is_the_host(group: Group) -> None:
    await group.say("Hello Ada")
    await group.invite("ben")
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        assert await group.engine.presence.send_away(tx, place, await personas.find(tx, "ada"))
    assert await group.say("and now?", mentioned=True) == [("ben", "Quite so.")]
    assert group.asked().lines[0].text == "Hello Ada", "the talk goes on as it stood"


# Who may


async def test_the_operator_s_lists_decide_before_anything_is_kept(group: Group) -> None:
    with pytest.raises(Refused, match="not to answer you"):
        await group.hear("Ada?", Account("telegram", "eve"))
    assert await group.hear("nice weather", Account("telegram", "eve")) is None, "not spoken to, not refused"


@pytest.mark.parametrize(
    ("people", "who", "more", "heard"),
    [
        (PeopleSettings(), "ana", {}, True),
        (PeopleSettings(allowed=("telegram:tom",)), "ana", {}, False),
        (PeopleSettings(allowed=("telegram:tom",)), "tom", {}, True),
        (PeopleSettings(allowed=("discord:role:7",)), "ana", {"roles": ("discord:role:7",)}, True),
        (PeopleSettings(blocked=("discord:role:7",)), "ana", {"roles": ("discord:role:7",)}, False),
        (PeopleSettings(blocked=("telegram:ana",), operators=("telegram:ana",)), "ana", {}, True),
        (PeopleSettings(allowed_places=("telegram:-100",)), "ana", {}, True),
        (PeopleSettings(allowed_places=("telegram:-5",)), "ana", {}, False),
        (PeopleSettings(allowed_places=("telegram:-5",)), "ana", {"shared": False}, True),
        (PeopleSettings(allowed_places=("discord:55",)), "ana", {"places": ("discord:55",)}, True),
        (PeopleSettings(blocked_places=("telegram:-100",)), "ana", {}, False),
        (PeopleSettings(blocked_places=("telegram:-100",)), "ana", {"shared": False}, False),
    ],
)
def test_lists_of_people_roles_and_places(
    people: PeopleSettings, who: str, more: dict[str, Any], heard: bool
) -> None:
    told = {"shared": True, **more}
    incoming = Incoming(GROUP, Account("telegram", who), "hello", "1", **told)
    if heard:
        rights.check_heard(people, incoming)
    else:
        with pytest.raises(Refused):
            rights.check_heard(people, incoming)


def test_who_runs_the_house() -> None:
    people = PeopleSettings(operators=("telegram:1",))
    assert rights.is_operator(people, "telegram", ["1"])
    assert not rights.is_operator(people, "discord", ["1"])
    assert rights.is_operator(people, "terminal", ["operator"])


# What is special about a person's first words, and about something without words


async def test_a_stranger_is_told_once_and_in_their_language_what_they_talk_with(group: Group) -> None:
    await group.hear("Ada?", stranger=True)
    await group.hear("Ada?", stranger=True)
    async with group.engine.database.write() as tx:
        owed = await outbox.take(tx, [("telegram", "1")], now=group.engine.clock.now())
    [notice] = [row for row in owed if row.kind is DeliveryKind.NOTICE]
    assert "Computerprogramm" in notice.text


async def test_something_without_words_is_kept_as_what_it_was(group: Group) -> None:
    photo = Attachment("photo", id="AgAC", mime="image/jpeg", size=12)
    said = await group.hear("", attachments=(photo,), mentioned=True)
    assert said is not None
    assert said.turn.kind is TurnKind.ATTACHMENT
    assert said.turn.attachments == (photo,)
    [again] = await group.engine.conversation.unanswered()
    assert again.turn.attachments == (photo,), "also after a restart"
    with_words = await group.hear("Ada, look!", attachments=(photo,))
    assert with_words is not None
    assert with_words.turn.kind is TurnKind.WORDS
    await group.engine.conversation.reply(with_words, Draft())
    assert any("cannot see: photo" in segment.text for segment in group.asked().segments)


async def test_words_after_a_question_are_its_answer_once(group: Group) -> None:
    said = await group.hear("Ada?", shared=False)
    assert said is not None
    async with group.engine.database.write() as tx:
        await people.ask(tx, said.place.id, said.person.id, "imagine", group.engine.clock.now())
    somebody_else = await group.hear("on the roof", TOM, shared=False)
    assert somebody_else is not None
    assert somebody_else.turn.kind is TurnKind.WORDS
    answer = await group.hear("on the roof", shared=False)
    assert answer is not None
    assert (answer.turn.kind, answer.turn.text) == (TurnKind.COMMAND, "/imagine on the roof")
    after = await group.hear("on the roof", shared=False)
    assert after is not None
    assert after.turn.kind is TurnKind.WORDS


async def test_an_old_question_is_no_longer_meant(group: Group) -> None:
    said = await group.hear("Ada?", shared=False)
    assert said is not None
    async with group.engine.database.write() as tx:
        await people.ask(tx, said.place.id, said.person.id, "imagine", group.engine.clock.now())
    assert isinstance(group.engine.clock, ManualClock)
    await group.engine.clock.advance(QUESTION_STANDS.total_seconds() + 1)
    later = await group.hear("on the roof", shared=False)
    assert later is not None
    assert later.turn.kind is TurnKind.WORDS


async def test_a_place_is_as_its_platform_describes_it_now(group: Group) -> None:
    said = await group.hear("Ada?", allows_mature=False)
    assert said is not None
    assert (said.place.shared, said.place.allows_mature) == (True, False)
    async with group.engine.database.write() as tx:
        assert await chats.left(tx, GROUP, group.engine.clock.now()) == [said.place.id]
    again = await group.hear("Ada?", allows_mature=True)
    assert again is not None
    assert (again.place.allows_mature, again.place.left_at) == (True, None)
    async with group.engine.database.read() as tx:
        assert await chats.place(tx, GROUP) == again.place


async def test_a_group_that_has_a_new_number_is_the_same_place(group: Group) -> None:
    said = await group.hear("Ada?")
    assert said is not None
    new = ChatRef("telegram", "1", "-1009")
    async with group.engine.database.write() as tx:
        assert await chats.moved(tx, GROUP, new) == 1
        assert await chats.moved(tx, GROUP, new) == 0
    again = await group.hear("Ada?", chat=new)
    assert again is not None
    assert again.place.id == said.place.id


# Second thoughts


async def command(group: Group, text: str, **more: Any) -> Said:
    group.keys += 1
    told = {"shared": False, "stranger": False, **more}
    incoming = Incoming(GROUP, ANA, text, str(group.keys), **told)
    said = await group.engine.conversation.hear(incoming, kind=TurnKind.COMMAND)
    assert said is not None
    return said


async def test_another_answer_stands_beside_the_first_and_in_its_place(group: Group) -> None:
    [(_, first)] = await group.say("Hello", shared=False)
    group.language.reply = "Something else."
    reply = await group.engine.second_thoughts.again(await command(group, "/regenerate"), Draft())
    assert reply.text == "Something else."
    assert group.asked().rejected == (first,)
    assert [line.text for line in group.asked().lines] == ["Hello"]
    await group.say("Good.", shared=False)
    assert [line.text for line in group.asked().lines] == ["Hello", "Something else.", "Good."]
    async with group.engine.database.write() as tx:
        owed = await outbox.take(tx, [("telegram", "1")], now=group.engine.clock.now())
        assert reply.parent_id is not None
        both = await chats.alternatives(tx, reply.parent_id, reply.persona_id or 0)
    assert [turn.text for turn in both] == [first, "Something else."]
    [again] = [row for row in owed if row.turn_id == reply.id]
    assert again.manner.replaces_turns == (both[0].id,)


async def test_an_order_is_obeyed_once_whatever_happens_in_between(group: Group) -> None:
    await group.say("Hello", shared=False)
    order = await command(group, "/regenerate")
    await group.engine.second_thoughts.again(order, Draft())
    with pytest.raises(NotFound):
        await group.engine.second_thoughts.again(order, Draft())


async def test_a_persona_goes_on_by_itself_when_it_is_asked_to(group: Group) -> None:
    await group.say("Hello", shared=False)
    group.language.reply = "And another thing."
    reply = await group.engine.second_thoughts.go_on(await command(group, "/continue"), Draft())
    assert reply.text == "And another thing."
    assert group.asked().segments[-1].text == "(Go on.)"
    await group.say("Good.", shared=False)
    told = [line.text for line in group.asked().lines]
    assert told == ["Hello", "Quite so.", "And another thing.", "Good."]


async def test_the_understudy_goes_on_too(settings: Settings) -> None:
    async with Engine.open(settings, clock=ManualClock()) as engine:
        group = Group(engine, FakeLanguage())
        await group.hear("Good evening!", shared=False)
        [said] = await engine.conversation.unanswered()
        await engine.conversation.reply(said, Draft())
        reply = await engine.second_thoughts.go_on(await command(group, "/continue"), Draft())
        assert len(reply.text) > 10


async def test_what_is_taken_back_is_gone_with_all_its_answers(group: Group) -> None:
    await group.say("One", shared=False)
    await group.say("Two", shared=False)
    await group.engine.second_thoughts.again(await command(group, "/regenerate"), Draft())
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        taken, shown = await group.engine.second_thoughts.take_back(tx, place)
    assert (taken.text, shown) == ("Two", ())
    async with group.engine.database.write() as tx:
        owed = await outbox.take(tx, [("telegram", "1")], now=group.engine.clock.now())
    assert len(owed) == 1, "what was not shown yet is no longer owed"
    await group.say("Three", shared=False)
    assert [line.text for line in group.asked().lines] == ["One", "Quite so.", "Three"]


async def test_there_is_an_end_to_taking_back(group: Group) -> None:
    await group.say("One", shared=False)
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        await group.engine.second_thoughts.take_back(tx, place)
        with pytest.raises(NotFound):
            await group.engine.second_thoughts.take_back(tx, place)
    for order in (group.engine.second_thoughts.again, group.engine.second_thoughts.go_on):
        with pytest.raises(NotFound):
            await order(await command(group, "/regenerate"), Draft())


async def test_answers_among_personas_are_taken_back_to_the_last_words_of_a_person(group: Group) -> None:
    await group.say("Hello Ada")
    await group.invite("ben")
    await group.say("Ada and Ben, tea or coffee?")
    async with group.engine.database.write() as tx:
        place = await chats.place(tx, GROUP)
        assert place is not None
        taken, _ = await group.engine.second_thoughts.take_back(tx, place)
    assert taken.text == "Ada and Ben, tea or coffee?"
    assert taken.state is TurnState.ANSWERED


# Reactions


async def test_reactions_are_kept_with_the_reply_they_are_about(group: Group) -> None:
    said = await group.hear("Ada?")
    assert said is not None
    answered = await group.engine.conversation.reply(said, Draft())
    assert answered is not None
    desk = Desk(group.engine, [])
    async with group.engine.database.write() as tx:
        [row] = await outbox.take(tx, [("telegram", "1")], now=group.engine.clock.now())
        await messages.shown(tx, said.place.id, row.id, ["77", "78"])
    for reaction in (
        Reaction(GROUP, ANA, "78", "👍"),
        Reaction(GROUP, ANA, "78", "👍"),
        Reaction(GROUP, ANA, "77", "🔥"),
        Reaction(GROUP, ANA, "79", "👎"),  # not a message of ours
        Reaction(GROUP, Account("telegram", "nobody"), "78", "👎"),
        Reaction(GROUP, ANA, "77", "🔥", added=False),
    ):
        await desk.react(reaction)
    async with group.engine.database.read() as tx:
        assert await messages.reactions_to(tx, answered.reply.id) == ["👍"]


async def test_a_language_is_theirs_when_they_said_so_and_a_guess_until_then(group: Group) -> None:
    async def heard(account: Account) -> str:
        said = await group.hear("Ada?", account)
        assert said is not None
        return said.person.language

    eva = Account("telegram", "eva", "Eva")
    assert await heard(replace(eva, language="en-US", guessed=True)) == "en-US"
    assert await heard(replace(eva, language="de")) == "de", "what she told her platform"
    assert await heard(replace(eva, language="fr", guessed=True)) == "de"
    assert await heard(replace(eva, language="pt")) == "pt"
    async with group.engine.database.write() as tx:
        person = await people.known(tx, eva)
        assert person is not None
        await people.speak(tx, person.id, "de", chosen=True)
    assert await heard(replace(eva, language="pt")) == "de", "what she told us"


async def test_who_is_more_than_a_person_may_see_does_not_speak_to_them(group: Group) -> None:
    grown_up = Persona(slug="vera", name="Vera", age=40, rating=Rating.MATURE)
    engine = group.engine
    async with engine.database.write() as tx:
        vera = await personas.add(tx, grown_up, origin="made", now=engine.clock.now())
    said = await group.hear("Ada?")
    assert said is not None
    async with engine.database.write() as tx:
        await chats.set_guests(tx, said.place.id, [vera.id])  # whoever brought her was allowed to
    said = await group.hear("Vera?")
    assert said is not None
    with pytest.raises(Unsuitable):
        await engine.conversation.reply(said, Draft())


async def test_in_a_group_with_a_new_number_no_old_message_is_taken_for_ours(group: Group) -> None:
    said = await group.hear("Ada?", message="12")
    assert said is not None
    new = ChatRef("telegram", "1", "-1009")
    async with group.engine.database.write() as tx:
        await messages.drafted(tx, said.place.id, said.turn.id, ["13"])
        await chats.moved(tx, GROUP, new)
        assert await messages.about(tx, said.place.id, "13") is None
        turn = await chats.turn(tx, said.turn.id)
    assert turn is not None
    assert turn.message == ""


async def test_whoever_is_invited_and_then_takes_over_is_there_once(group: Group) -> None:
    said = await group.hear("Ada?")
    assert said is not None
    await group.invite("ben")
    async with group.engine.database.write() as tx:
        await group.engine.presence.bring(tx, said.place, await personas.find(tx, "ben"), said.person)
        place = await chats.place(tx, GROUP)
    assert place is not None
    assert place.guests == ()
    assert await group.say("Ben?") == [("ben", "Quite so.")]


async def test_a_new_name_is_used_from_then_on(group: Group) -> None:
    await group.hear("Ada?")
    said = await group.hear("Ada?", replace(ANA, name="Anna"))
    assert said is not None
    assert said.person.name == "Anna"
    async with group.engine.database.read() as tx:
        person = await people.known(tx, ANA)
    assert person is not None
    assert person.name == "Anna"


async def test_what_is_looked_for_in_the_outbox_is_found_without_reading_all_that_was_ever_sent(
    database: Database,
) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL plans by what is in the tables; there is nothing in them here")
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    async with database.write() as tx:
        event.listen(tx.sync_connection, "before_cursor_execute", note)
        await outbox.take(tx, [("a", "b")], now=DAWN)
        [(statement, parameters)] = seen
        plan = (await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
    told = " ".join(row.detail for row in plan)
    assert "ix_deliveries_owed" in told
    assert "SCAN deliveries USING INDEX ix_deliveries_owed" in told or "SEARCH deliveries" in told


async def test_nothing_that_a_platform_says_of_somebody_breaks_the_rows(group: Group) -> None:
    strange = "\ud800\x00\u202e" + "x" * 500
    photo = Attachment("photo", id="AgAC", name=strange, mime=strange)
    said = await group.hear(
        "Ada?", Account("telegram", "odd", strange, language=strange), attachments=(photo,)
    )
    assert said is not None
    assert said.person.language == ""
    assert said.turn.attachments[0].name == "x" * 77
    more = await group.hear("Ada?", Account("telegram", "odd", "", language="zh-Hans-CN"))
    assert more is not None
    assert more.person.language == "zh-Hans-CN"


async def test_half_a_character_in_a_platform_s_own_names_is_no_trouble(group: Group) -> None:
    half = "album:\ud83d\x00"
    told = {"key": half, "message": half, "answer_to": half, "reply_to": half}
    photo = Attachment("photo", id=half)
    said = await group.hear("Ada?", Account("telegram", half, "Odd"), attachments=(photo,), **told)
    assert said is not None
    assert said.turn.message == "album:?"
    assert await group.hear("Ada?", Account("telegram", half, "Odd"), **told) is None, "heard before"
