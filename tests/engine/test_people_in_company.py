"""What is known of people and places where many meet, and of what they say there; on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select

from bot.desk import Desk
from engine.conversation import QUESTION_STANDS, Draft
from engine.errors import Unsuitable
from engine.store import chats, messages, outbox, people, personas
from engine.store.database import Database
from engine.store.records import (
    Account,
    Attachment,
    ChatRef,
    DeliveryKind,
    Reaction,
    TurnKind,
)
from engine.store.tables import reactions
from engine.testing import DAWN, ManualClock
from personas.persona import Persona, Rating
from tests.engine.company_stage import (  # noqa: F401 - fixtures
    ANA,
    GROUP,
    TOM,
    Group,
    a_group,
)


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
        found = select(reactions.c.emoji).where(reactions.c.turn_id == answered.reply.id)
        assert list((await tx.execute(found)).scalars()) == ["👍"]


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
        vera = await personas.take_in(tx, grown_up, origin="made", now=engine.clock.now())
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
