"""What a chat is owed arrives: in parts, in the place of something else, as a picture, whatever stands in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiogram.types import MessageEntity

from bot.front import Outgoing
from bot.telegram import showing
from bot.telegram.removing import blank_picture
from bot.telegram.showing import as_photo
from engine.errors import DeliveryFailed, TryAgain
from engine.store.records import Button, DeliveryKind, Manner, Question
from tests.bot.telegram.recording import House, again, face, listening, png
from tests.servers.telegram import Chat, Fault, Person, Rule, TelegramServer, rendering
from tests.servers.telegram.world import Topic

NOTICE = DeliveryKind.NOTICE
PICTURE = DeliveryKind.PICTURE


def shown(chat: Chat, house: House) -> list[str]:
    return [message.words for message in chat.said_by(house.bot)]


async def test_a_reply_is_styled(house: House, chat: Chat) -> None:
    (message,) = await house.front.deliver(house.owed(chat, "*waves* **Hello** <b> there", face=face("Ada")))
    said = chat.said_by(house.bot)[0]
    assert message == str(said.id)
    assert said.text == "Ada\nwaves Hello <b> there"
    assert [one["type"] for one in said.entities] == ["bold", "italic", "bold"]


async def test_everything_else_is_shown_as_it_is(house: House, chat: Chat) -> None:
    await house.front.deliver(house.owed(chat, "*not* **styled**", kind=NOTICE, face=face("Ada")))
    assert shown(chat, house) == ["*not* **styled**"]
    assert not chat.said_by(house.bot)[0].entities


async def test_a_prompt_in_a_notice_can_be_copied(house: House, chat: Chat) -> None:
    prompt = "a (red coat:1.3), [fog], *by* the sea"
    manner = Manner(code=(prompt, "nowhere in it"))
    await house.front.deliver(house.owed(chat, f"{prompt}\n\n8 words", kind=NOTICE, manner=manner))
    said = chat.said_by(house.bot)[0]
    assert said.text == f"{prompt}\n\n8 words"
    assert [(one["type"], one["offset"], one["length"]) for one in said.entities] == [("pre", 0, len(prompt))]


async def test_a_long_reply_comes_as_several_messages_in_order(house: House, chat: Chat) -> None:
    text = "\n\n".join(f"{number} " + "word " * 200 for number in range(12))
    ids = await house.front.deliver(house.owed(chat, text))
    assert len(ids) == len(shown(chat, house)) > 2
    assert " ".join(" ".join(shown(chat, house)).split()) == " ".join(text.split())


async def test_in_a_group_it_is_a_reply_and_survives_that_the_message_is_gone(
    house: House, group: Chat, ana: Person
) -> None:
    asked = await group.says(ana, "@green_bot hello")
    await house.front.deliver(house.owed(group, "Hello.", answers=str(asked.id)))
    assert group.said_by(house.bot)[0].reply_to is asked
    await group.deletes(ana, asked)
    await house.front.deliver(house.owed(group, "Hello again.", answers=str(asked.id)))
    assert shown(group, house) == ["Hello.", "Hello again."]


async def test_buttons_hold_their_orders(house: House, chat: Chat) -> None:
    buttons = (
        (Button("Again", "reroll 12"), Button("Away", "delete 12", "danger")),
        (Button("No", "x" * 65),),
    )
    await house.front.deliver(house.owed(chat, "There.", kind=NOTICE, manner=Manner(buttons=buttons)))
    found = chat.said_by(house.bot)[0].buttons
    assert [(one.text, one.data) for one in found] == [("Again", "reroll 12"), ("Away", "delete 12")]


async def test_a_question_asks_for_a_reply_where_many_people_are(
    house: House, chat: Chat, group: Chat
) -> None:
    manner = Manner(question=Question("imagine"))
    for place in (chat, group):
        await house.front.deliver(house.owed(place, "What shall it show?", kind=NOTICE, manner=manner))
    assert chat.said_by(house.bot)[0].markup is None
    assert group.said_by(house.bot)[0].markup == {"force_reply": True, "selective": True}


async def test_whoever_pressed_a_button_is_asked_by_name(house: House, group: Chat, ana: Person) -> None:
    ben = next(one.who for one in group.members.values() if one.who.name == "Ben")
    assert isinstance(ben, Person)
    buttons = Manner(buttons=((Button("Imagine", "imagine"),),))
    (card,) = await house.front.deliver(house.owed(group, "There.", kind=NOTICE, manner=buttons))
    async with house.open():
        press = await group.presses(ana, group.said_by(house.bot)[0], "Imagine")
        await press.answered()
        question = house.owed(
            group,
            "What shall it show?",
            kind=NOTICE,
            manner=Manner(question=Question("imagine")),
            answers=card,
        )
        asked = replace(question, delivery=replace(question.delivery, answer_to=press.id))
        await house.front.deliver(asked)
        said = group.said_by(house.bot)[-1]
        assert said.text == "Ana,\nWhat shall it show?"
        assert said.asks(ana)
        assert not said.asks(ben)
        await group.says(ana, "A fox.", reply_to=said)
        await house.desk.until(lambda desk: len(desk.heard) == 2)
    assert house.desk.heard[-1].reply_to == str(said.id)


async def test_a_press_of_which_nothing_is_known_any_more_is_asked_of_all(
    house: House, group: Chat, ana: Person
) -> None:
    question = house.owed(group, "What?", kind=NOTICE, manner=Manner(question=Question("imagine")))
    asked = replace(question, delivery=replace(question.delivery, answer_to="of another life"))
    await house.front.deliver(asked)
    assert group.said_by(house.bot)[0].asks(ana)


async def test_in_a_channel_nobody_is_asked_to_answer(
    server: TelegramServer, house: House, ana: Person
) -> None:
    channel = server.channel("News", [house.bot], [ana])
    manner = Manner(question=Question("imagine"))
    for text in ("What shall it show?", "And then?"):
        await house.front.deliver(house.owed(channel, text, kind=NOTICE, manner=manner))
    assert shown(channel, house) == ["What shall it show?", "And then?"]
    assert server.refused["Bad Request: inline keyboard expected"] == 1, "it is remembered"


# In the place of something else


async def test_the_reply_takes_the_place_of_its_draft(house: House, group: Chat) -> None:
    (draft,) = await house.front.deliver(house.owed(group, "Hel", kind=NOTICE))
    ids = await house.front.deliver(house.owed(group, "Hello.", replaces=(draft,)))
    assert ids == (draft,)
    assert shown(group, house) == ["Hello."]
    assert await house.front.deliver(house.owed(group, "Hello.", replaces=(draft,))) == (draft,)


async def test_more_parts_than_before_are_sent_and_fewer_are_taken_away(house: House, chat: Chat) -> None:
    long = "\n\n".join(letter * 3_000 for letter in "abc")
    before = await house.front.deliver(house.owed(chat, "short"))
    ids = await house.front.deliver(house.owed(chat, long, replaces=before))
    assert ids[0] == before[0]
    assert shown(chat, house) == [letter * 3_000 for letter in "abc"]
    assert await house.front.deliver(house.owed(chat, "short", replaces=ids)) == before
    assert shown(chat, house) == ["short"]


async def test_where_the_draft_was_deleted_it_comes_anew(house: House, chat: Chat, ana: Person) -> None:
    (draft,) = await house.front.deliver(house.owed(chat, "Hel"))
    await chat.deletes(ana, chat.said_by(house.bot)[0])
    (message,) = await house.front.deliver(house.owed(chat, "Hello.", replaces=(draft,)))
    assert message != draft
    assert shown(chat, house) == ["Hello."]


async def test_words_in_the_place_of_a_picture(house: House, chat: Chat) -> None:
    before = await house.front.deliver(house.owed(chat, "60 %", kind=PICTURE, image=png(64, 64)))
    after = await house.front.deliver(house.owed(chat, "It failed.", kind=NOTICE, replaces=before))
    assert after != before
    assert shown(chat, house) == ["It failed."]


async def test_messages_are_removed_and_those_that_are_gone_are_no_trouble(
    house: House, chat: Chat, ana: Person
) -> None:
    ids = await house.front.deliver(house.owed(chat, "one")) + await house.front.deliver(
        house.owed(chat, "two")
    )
    await chat.deletes(ana, chat.said_by(house.bot)[0])
    removal = house.owed(chat, kind=DeliveryKind.REMOVAL, manner=Manner(removes=(*ids, "77777")))
    for _ in range(2):
        assert await house.front.deliver(removal) == ()
    assert shown(chat, house) == []


async def test_what_is_too_old_to_be_removed_is_emptied(house: House, chat: Chat) -> None:
    buttons = Manner(buttons=((Button("Away", "delete 12"),),))
    picture = house.owed(chat, "a red coat", kind=PICTURE, image=png(32, 32), manner=buttons)
    card = house.owed(chat, "Seen that?", kind=NOTICE, manner=buttons)
    ids = [
        one for owed in (picture, card, house.owed(chat, "new")) for one in await house.front.deliver(owed)
    ]
    for old in chat.said_by(house.bot)[:2]:
        old.date -= 49 * 3600
    removal = house.owed(chat, kind=DeliveryKind.REMOVAL, manner=Manner(removes=tuple(ids)))
    removal = replace(removal, delivery=replace(removal.delivery, language="de"))
    for _ in range(2):
        assert await house.front.deliver(removal) == ()
    assert shown(chat, house) == ["Das wurde entfernt."] * 2, "and what is new is gone"
    blank, words = chat.said_by(house.bot)
    assert (blank.photo, blank.buttons, words.buttons) == (blank_picture(), [], [])


# Pictures


async def test_a_picture_with_its_buttons(house: House, chat: Chat) -> None:
    buttons = ((Button("Again", "reroll 1"),),)
    image = png(64, 64)
    await house.front.deliver(
        house.owed(chat, "a red coat", kind=PICTURE, image=image, manner=Manner(buttons=buttons))
    )
    (said,) = chat.said_by(house.bot)
    assert (said.photo, said.caption) == (image, "a red coat")
    assert said.button("Again")


async def test_the_message_that_showed_the_job_turns_into_the_picture(house: House, chat: Chat) -> None:
    stop = Manner(buttons=((Button("Stop", "cancel 1"),),))
    before = await house.front.deliver(house.owed(chat, "Queued.", kind=NOTICE, manner=stop))
    outgoing = house.owed(chat, "a red coat", kind=PICTURE, image=png(64, 64), replaces=before)
    assert await house.front.deliver(outgoing) == before
    (said,) = chat.said_by(house.bot)
    assert said.photo
    assert (said.caption, said.buttons) == ("a red coat", [])


async def test_where_that_message_is_gone_the_picture_comes_anew(
    house: House, chat: Chat, ana: Person
) -> None:
    before = await house.front.deliver(house.owed(chat, "Queued.", kind=NOTICE))
    await chat.deletes(ana, chat.said_by(house.bot)[0])
    await house.front.deliver(house.owed(chat, "red", kind=PICTURE, image=png(64, 64), replaces=before))
    assert [(one.caption, bool(one.photo)) for one in chat.said_by(house.bot)] == [("red", True)]


async def test_what_is_no_photo_comes_as_a_file(house: House, chat: Chat) -> None:
    image = png(8_000, 2_001)
    assert not as_photo(image)
    assert not as_photo(png(64, 1_400))
    assert not as_photo(b"\x89PNG" + bytes(11 * 1024 * 1024))
    await house.front.deliver(house.owed(chat, "long", kind=PICTURE, image=image))
    assert chat.said_by(house.bot)[0].document == image


async def test_words_that_fit_under_no_picture_stand_below_it(house: House, chat: Chat) -> None:
    words = "word " * 400
    ids = await house.front.deliver(house.owed(chat, words, kind=NOTICE, image=png(64, 64)))
    picture, below = chat.said_by(house.bot)
    assert ids == (str(picture.id), str(below.id))
    assert (picture.caption, below.text) == (None, words.strip())


# Topics


@pytest.fixture
def topical(server: TelegramServer) -> House:
    """A bot whose private chats have topics."""
    bot = server.bot("topics_bot", has_topics_enabled=True, allows_users_to_create_topics=True)
    return House(server, bot)


@asynccontextmanager
async def in_topic(house: House, chat: Chat, ana: Person, name: str = "New chat") -> AsyncIterator[Topic]:
    """A new topic, of which the front has heard."""
    async with house.open():
        topic = await chat.opens_topic(ana, name, implicit=name == "New chat")
        await everything_heard(house)
        yield topic


async def everything_heard(house: House) -> None:
    await house.server.until(lambda _: not house.bot.mailbox.pending)


async def says(house: House, chat: Chat, topic: Topic, name: str, text: str) -> str:
    """What is read when a persona says something."""
    await house.front.deliver(house.owed(chat, text, face=face(name), thread=topic.id))
    return chat.said_by(house.bot, thread=topic.id)[-1].words


async def test_a_private_topic_is_named_after_who_came_into_it(
    server: TelegramServer, topical: House, ana: Person
) -> None:
    chat = server.private(topical.bot, ana, started=True)
    async with in_topic(topical, chat, ana) as topic:
        assert await says(topical, chat, topic, "Ada Quill", "Good evening.") == "Good evening."
        assert await says(topical, chat, topic, "Ada Quill", "Tea?") == "Tea?", "the topic says who speaks"
        assert topic.name == "Ada Quill"
        assert await says(topical, chat, topic, "Bo", "Hello.") == "Hello."
        assert topic.name == "Bo"


async def test_personas_that_take_turns_do_not_fight_for_the_name(
    server: TelegramServer, topical: House, ana: Person
) -> None:
    chat = server.private(topical.bot, ana, started=True)
    async with in_topic(topical, chat, ana) as topic:
        lines = [await says(topical, chat, topic, name, "Hi.") for name in ("Ada", "Bo", "Ada", "Bo", "Ada")]
    assert lines == ["Hi.", "Hi.", "Ada\nHi.", "Bo\nHi.", "Ada\nHi."]
    assert server.calls["editForumTopic"] == 2


async def test_a_name_that_its_person_gave_stays(server: TelegramServer, topical: House, ana: Person) -> None:
    chat = server.private(topical.bot, ana, started=True)
    async with in_topic(topical, chat, ana, "Secrets") as topic:
        assert await says(topical, chat, topic, "Ada", "Hi.") == "Ada\nHi."
        assert topic.name == "Secrets"
    async with in_topic(topical, chat, ana) as topic:
        await says(topical, chat, topic, "Ada", "Hi.")
        await chat.renames_topic(ana, topic, "Of cats")
        await everything_heard(topical)
        assert await says(topical, chat, topic, "Ada", "Hi.") == "Ada\nHi."
        assert await says(topical, chat, topic, "Bo", "Hi.") == "Bo\nHi."
    assert topic.name == "Of cats"


async def test_a_topic_of_which_nothing_was_heard_keeps_its_name(
    server: TelegramServer, topical: House, ana: Person
) -> None:
    chat = server.private(topical.bot, ana, started=True)
    topic = await chat.opens_topic(ana, "New chat", implicit=True)
    assert await says(topical, chat, topic, "Ada", "Hi.") == "Ada\nHi."
    assert topic.name == "New chat"


async def test_a_group_s_topics_keep_their_names(server: TelegramServer, house: House, ana: Person) -> None:
    forum = server.group("Forum", [house.bot], [ana], forum=True, admins=[house.bot])
    async with house.open():
        topic = await forum.opens_topic(ana, "Cooking")
        same = await forum.opens_topic(ana, "Ada")
        await forum.says(ana, "@green_bot hello", thread=topic.id)
        await house.desk.until(lambda desk: desk.heard)
        assert house.desk.heard[0].chat == house.ref(forum, topic.id)
        await house.front.deliver(house.owed(forum, "Hello.", face=face("Ada"), thread=topic.id))
        await house.front.deliver(house.owed(forum, "Hello.", face=face("Ada"), thread=same.id))
    assert topic.name == "Cooking"
    assert [one.text for one in forum.said_by(house.bot, thread=topic.id)] == ["Ada\nHello."]
    assert [one.text for one in forum.said_by(house.bot, thread=same.id)] == ["Hello."]


async def test_where_the_topic_is_gone_it_is_said_in_the_chat(
    server: TelegramServer, house: House, ana: Person
) -> None:
    forum = server.group("Forum", [house.bot], [ana], forum=True)
    topic = await forum.opens_topic(ana, "Cooking")
    await forum.deletes_topic(ana, topic)
    await house.front.deliver(house.owed(forum, "Hello?", thread=topic.id))
    assert [(one.text, one.thread) for one in forum.said_by(house.bot)] == [("Hello?", None)]


# Trouble


@pytest.mark.parametrize(
    "fault", [Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.GATEWAY_PAGE, Fault.DROP_BEFORE]
)
async def test_passing_trouble_asks_for_another_try(
    server: TelegramServer, house: House, chat: Chat, fault: Fault
) -> None:
    server.fail_next("sendMessage", fault)
    outgoing = house.owed(chat, "Hello.")
    with pytest.raises(TryAgain):
        await house.front.deliver(outgoing)
    await house.front.deliver(again(outgoing))
    assert shown(chat, house) == ["Hello."]


async def test_what_was_shown_before_the_trouble_is_not_shown_again(
    server: TelegramServer, house: House, chat: Chat
) -> None:
    text = "\n\n".join(letter * 3_000 for letter in "abc")
    server.fail_next("sendMessage", Fault.SERVER_ERROR, match=lambda call: str(call["text"]).startswith("b"))
    outgoing = house.owed(chat, text)
    with pytest.raises(TryAgain):
        await house.front.deliver(outgoing)
    ids = await house.front.deliver(again(outgoing))
    assert ids == tuple(str(one.id) for one in chat.said_by(house.bot))
    assert shown(chat, house) == [letter * 3_000 for letter in "abc"]


async def test_a_short_wait_is_waited_out(server: TelegramServer, house: House, chat: Chat) -> None:
    server.fail_next("sendMessage", Fault.LIMITED, times=2)
    await house.front.deliver(house.owed(chat, "Hello."))
    assert shown(chat, house) == ["Hello."]
    assert server.limited["sendMessage"] == 2


async def test_a_long_wait_is_left_to_the_outbox(server: TelegramServer, house: House, chat: Chat) -> None:
    server.faults.retry_after = (300, 300)
    server.fail_next("sendMessage", Fault.LIMITED)
    with pytest.raises(TryAgain) as told:
        await house.front.deliver(house.owed(chat, "Hello."))
    assert told.value.after_s >= 300 * house.front._caller.pace.real(1)


async def test_many_messages_at_once_keep_to_the_pace(
    server: TelegramServer, house: House, chat: Chat, group: Chat
) -> None:
    owed = [house.owed(place, f"line {number}") for number in range(12) for place in (chat, group)]
    for_chat = [one for one in owed if one.chat == house.ref(chat)]
    for_group = [one for one in owed if one.chat == house.ref(group)]

    async def in_order(some: list[Outgoing]) -> None:
        for one in some:
            await house.front.deliver(one)

    await asyncio.gather(in_order(for_chat), in_order(for_group))
    assert shown(chat, house) == shown(group, house) == [f"line {number}" for number in range(12)]


async def test_whoever_blocked_the_bot_is_owed_nothing(house: House, chat: Chat) -> None:
    async with listening(house.front, house.desk):
        await house.server.until(lambda server: server.is_polled(house.bot))
        await chat.blocks()
        await house.desk.until(lambda desk: desk.gone)
        house.desk.gone.clear()
        with pytest.raises(DeliveryFailed, match="blocked by the user"):
            await house.front.deliver(house.owed(chat, "Hello?"))
    assert house.desk.gone == [house.ref(chat)]


async def test_a_missing_right_is_told(house: House, group: Chat, ana: Person) -> None:
    await group.restricts(ana, house.bot, can_send_photos=False)
    picture = house.owed(group, "red", kind=PICTURE, image=png(64, 64))
    stop = Manner(buttons=((Button("Stop", "cancel 1"),),))
    card = await house.front.deliver(house.owed(group, "Drawing…", kind=NOTICE, manner=stop))
    assert await house.front.deliver(replace(picture, replaces=card)) == card
    (said,) = group.said_by(house.bot)
    assert said.words.startswith("red\n\nThe picture is there, but")
    assert said.buttons == []
    await house.front.deliver(again(picture))
    assert shown(group, house) == [said.words] * 2
    await group.restricts(ana, house.bot, can_send_photos=False, can_send_messages=False)
    with pytest.raises(DeliveryFailed, match="not enough rights"):
        await house.front.deliver(again(picture))


async def test_a_group_that_moved_is_followed(house: House, group: Chat, ana: Person) -> None:
    async with house.open():
        owed = house.owed(group, "Hello.")
        new = await group.upgrades(ana)
        await house.front.deliver(owed)
    assert shown(group, house) == ["Hello."]
    assert (owed.chat.chat, str(new)) in house.desk.moves


async def test_after_a_move_old_numbers_mean_nothing(house: House, group: Chat, ana: Person) -> None:
    for number in range(3):
        await group.says(ana, f"line {number}")
    old = house.owed(group, "red", kind=PICTURE, image=png(8, 8))
    (picture,) = await house.front.deliver(old)
    answer = house.owed(group, "Hello.", answers=picture)
    removal = house.owed(group, kind=DeliveryKind.REMOVAL, manner=Manner(removes=(picture,)))
    await group.upgrades(ana)
    await group.promotes(ana, house.bot)
    last = await group.says(ana, "Here we are.")
    while last.id < int(picture):
        last = await group.says(ana, "And somebody else's words have the picture's number.")
    assert await house.front.deliver(removal) == ()
    assert not last.deleted
    await house.front.deliver(answer)
    assert group.said_by(house.bot)[-1].reply_to is None
    assert (old.chat.chat, picture) not in house.front._showing.pictured


async def test_what_was_sent_is_sent_also_where_the_answer_cannot_be_read(
    house: House, group: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = rendering.message

    def strange(*args: Any, **how: Any) -> dict[str, Any]:
        return {**plain(*args, **how), "forward_origin": {"type": "from_the_future", "date": 1}}

    monkeypatch.setattr(rendering, "message", strange)
    ids = await house.front.deliver(house.owed(group, "Hello."))
    assert ids == tuple(str(one.id) for one in group.said_by(house.bot))
    assert await house.front.deliver(house.owed(group, "Good evening.", replaces=ids)) == ids
    assert shown(group, house) == ["Good evening."]


async def test_words_that_telegram_cannot_style_come_plain(
    server: TelegramServer, house: House, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    beyond = [MessageEntity(type="bold", offset=90, length=9)]
    monkeypatch.setattr(showing, "entities_of", lambda _: beyond)
    before = await house.front.deliver(house.owed(chat, "**Hello** there"))
    await house.front.deliver(house.owed(chat, "**Hello** you", replaces=before))
    assert shown(chat, house) == ["Hello you"]
    assert server.broken.pop(Rule.BAD_ENTITIES) == 2, "the mistake was this test's"


async def test_a_chat_that_nobody_knows_fails_for_good(house: House, chat: Chat) -> None:
    owed = house.owed(chat, "Hello?")
    nowhere = replace(
        owed, delivery=replace(owed.delivery, chat=replace(owed.chat, chat="nobody-was-ever-here"))
    )
    with pytest.raises(DeliveryFailed):
        await house.front.deliver(nowhere)
