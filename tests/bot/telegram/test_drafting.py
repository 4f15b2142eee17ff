"""Drafts and progress: shown where there is room, finished by the real thing, and never in its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiogram.methods import GetMe

from bot.front import Button, Draft, Progress
from bot.telegram.calling import Standing
from engine.store.records import DeliveryKind
from tests.bot.telegram.recording import House, face, png
from tests.servers.telegram import Chat, Fault, Person, TelegramServer

STOP = Button("Stop", "stop")


def draft(house: House, chat: Chat, text: str, **told: Any) -> Draft:
    return replace(Draft(house.ref(chat), 7, text, face("Ada"), stop=STOP), **told)


async def test_somebody_who_is_about_to_write_is_seen_typing(house: House, chat: Chat, group: Chat) -> None:
    for place in (chat, group, chat):
        assert await house.front.draft(draft(house, place, "")) == ()
    assert chat.actions == group.actions == ["typing"]


async def test_a_draft_grows_in_a_private_chat_and_the_reply_ends_it(house: House, chat: Chat) -> None:
    assert await house.front.draft(draft(house, chat, "Good *eve")) == ()
    assert chat.draft
    assert chat.draft.text == "Ada\nGood *eve"
    assert await house.front.draft(draft(house, chat, "Good *evening*")) == ()
    assert chat.draft.text == "Ada\nGood evening"
    assert chat.said_by(house.bot) == []
    await house.front.deliver(house.owed(chat, "Good *evening*."))
    assert chat.draft is None


async def test_a_draft_does_not_fade_while_the_reply_waits_for_its_turn(house: House, chat: Chat) -> None:
    await house.front.draft(draft(house, chat, "Good eve"))
    shown = chat.draft
    assert shown
    house.front._caller.pace.flooded(str(chat.id), 20)
    await house.front.deliver(house.owed(chat, "Good evening."))
    assert shown.updates > 1
    assert [one.text for one in chat.said_by(house.bot)] == ["Good evening."]


async def test_the_person_may_stop_it(house: House, chat: Chat, ana: Person) -> None:
    async with house.open():
        await house.front.draft(draft(house, chat, "Once upon a time"))
        await chat.stops(ana)
        await house.desk.until(lambda desk: desk.stopped)
        await house.front.deliver(house.owed(chat, "Once upon a"))
    assert house.desk.stopped == [house.ref(chat)]


async def test_stop_under_an_old_draft_stops_nothing_new(house: House, chat: Chat, ana: Person) -> None:
    async with house.open():
        await house.front.draft(draft(house, chat, "Once upon a time"))
        old = chat.draft
        await house.front.draft(draft(house, chat, "", turn_id=8))
        await chat.stops(ana, old)
        await house.server.until(lambda _: not house.bot.mailbox.pending)
        assert house.desk.stopped == []
        await house.front.draft(draft(house, chat, "And then", turn_id=8))
        await chat.stops(ana)
        await house.desk.until(lambda desk: desk.stopped)
        await house.front.deliver(house.owed(chat, "And then."))
    assert house.desk.stopped == [house.ref(chat)]


async def test_drafts_are_not_kept_for_ever(house: House, chat: Chat) -> None:
    drafts = house.front._caller._drafts
    for number in range(1_100):
        drafts.keep((str(number), ""), Standing(GetMe(), 0.0))
    assert len(drafts) == 1_000


async def test_in_a_group_a_message_grows(house: House, group: Chat, ana: Person) -> None:
    asked = await group.says(ana, "@green_bot hello")
    first = draft(house, group, "Good", answers_message=str(asked.id))
    messages = await house.front.draft(first)
    (said,) = group.said_by(house.bot)
    assert messages == (str(said.id),)
    assert said.reply_to is asked
    assert said.button("Stop")
    for length in range(5, 40):  # too fast for Telegram: most of these are dropped
        text = "Good evening, and welcome to the house."[:length]
        assert await house.front.draft(replace(first, text=text, messages=messages)) == messages
    assert said.edits < 10
    await house.front.deliver(house.owed(group, "Good evening.", replaces=messages))
    assert (said.text, said.buttons) == ("Good evening.", [])


async def test_a_draft_that_outgrows_a_message_shows_its_end(house: House, chat: Chat, group: Chat) -> None:
    long = "word " * 2_000 + "end"
    await house.front.draft(draft(house, chat, long))
    await house.front.draft(draft(house, group, long))
    assert chat.draft
    assert chat.draft.text.endswith("end")
    assert group.said_by(house.bot)[0].words.endswith("end")
    await house.front.deliver(house.owed(chat, "That was it."))


async def test_drafts_never_fail(server: TelegramServer, house: House, chat: Chat, ana: Person) -> None:
    for fault in Fault:
        server.fail_next("sendMessageDraft", fault)
        server.fail_next("sendChatAction", fault)
    for number in range(30):
        assert await house.front.draft(draft(house, chat, "text" * (number % 3))) == ()
    nobody = replace(house.ref(chat), chat="nobody-was-ever-here")
    assert await house.front.draft(Draft(nobody, 1, "Hello")) == ()
    await house.front.deliver(house.owed(chat, "text"))


async def test_progress_is_shown_in_the_message_that_is_there(
    server: TelegramServer, house: House, chat: Chat
) -> None:
    (message,) = await house.front.deliver(house.owed(chat, "Queued.", kind=DeliveryKind.NOTICE))
    progress = Progress(house.ref(chat), message, "Step 1 of 20", ((Button("Stop", "cancel 1"),),))
    await house.front.progress(progress)
    (said,) = chat.said_by(house.bot)
    assert said.text == "Step 1 of 20"
    assert said.button("Stop")
    for step in range(2, 20):
        await house.front.progress(replace(progress, text=f"Step {step} of 20"))
    assert said.edits < 10


async def test_a_preview_turns_the_message_into_a_picture(house: House, chat: Chat) -> None:
    (message,) = await house.front.deliver(house.owed(chat, "Queued.", kind=DeliveryKind.NOTICE))
    progress = Progress(house.ref(chat), message, "Step 5", preview=png(64, 64))
    await house.front.progress(progress)
    (said,) = chat.said_by(house.bot)
    assert said.photo
    assert said.caption == "Step 5"
    pace = house.front._caller.pace
    await pace.sleep(2)
    await house.front.progress(replace(progress, text="Step 9", preview=b""))
    assert (said.caption, said.text) == ("Step 9", None)
    outgoing = house.owed(chat, "done", kind=DeliveryKind.PICTURE, image=png(32, 32), replaces=(message,))
    assert await house.front.deliver(outgoing) == (message,)


async def test_where_no_pictures_may_be_sent_progress_is_told_in_words(
    house: House, group: Chat, ana: Person
) -> None:
    (message,) = await house.front.deliver(house.owed(group, "Queued.", kind=DeliveryKind.NOTICE))
    await group.restricts(ana, house.bot, can_send_photos=False)
    for step in ("Step 4", "Step 5"):
        await house.front.progress(Progress(house.ref(group), message, step, preview=png(64, 64)))
        await house.front._caller.pace.sleep(10)
    (said,) = group.said_by(house.bot)
    assert (said.text, said.photo) == ("Step 5", None)


async def test_progress_of_what_is_gone_is_no_trouble(house: House, chat: Chat, ana: Person) -> None:
    (message,) = await house.front.deliver(house.owed(chat, "Queued.", kind=DeliveryKind.NOTICE))
    await chat.deletes(ana, chat.said_by(house.bot)[0])
    for preview in (b"", png(8, 8)):
        await house.front.progress(Progress(house.ref(chat), message, "Step 1", preview=preview))
    for number, text in (("", "Step 1"), (message, " "), (message, "x" * 9_000)):
        await house.front.progress(Progress(house.ref(chat), number, text))
    assert chat.said_by(house.bot) == []
