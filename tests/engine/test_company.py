"""Places where many meet: who is heard, who answers, and in which order, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from engine import rights
from engine.conversation import Draft
from engine.errors import BadRequest, Refused
from engine.settings import PeopleSettings
from engine.store import chats, messages, outbox, personas
from engine.store.records import (
    Account,
    Incoming,
)
from personas.company import MOST_ANSWERS
from tests.engine.company_stage import (  # noqa: F401 - fixtures
    GROUP,
    TOM,
    Group,
    a_group,
)


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
