"""Second thoughts among many: another answer, going on, taking back; on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from engine.conversation import Draft
from engine.engine import Engine
from engine.errors import NotFound
from engine.settings import Settings
from engine.store import chats, outbox
from engine.store.chats import Said
from engine.store.records import (
    Incoming,
    TurnKind,
    TurnState,
)
from engine.testing import FakeLanguage, ManualClock
from tests.engine.company_stage import (  # noqa: F401 - fixtures
    ANA,
    GROUP,
    Group,
    a_group,
)


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
