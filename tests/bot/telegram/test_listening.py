"""What Telegram tells is stored before it is confirmed, in order within a chat, whatever else goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from bot.telegram.front import TelegramFront
from engine.errors import SettingsError, StoreError
from tests.bot.telegram.recording import SCALE, House, RecordingDesk, listening, png, settings
from tests.servers.telegram import Chat, Fault, Person, TelegramServer
from tests.servers.telegram.mailbox import Webhook


async def test_what_somebody_says_is_heard(house: House, chat: Chat, ana: Person) -> None:
    async with house.open():
        said = await chat.says(ana, "Good evening.")
        await house.desk.until(lambda desk: desk.heard)
    incoming = house.desk.heard[0]
    assert incoming.text == "Good evening."
    assert incoming.chat == house.ref(chat)
    assert incoming.message == str(said.id)
    assert incoming.account.platform_id == str(ana.id)
    assert incoming.account.name == "Ana"
    assert incoming.account.language == "en"
    assert incoming.places == (f"telegram:{chat.id}",)
    assert not incoming.shared


async def test_in_order_within_a_chat(server: TelegramServer, house: House, chat: Chat, ana: Person) -> None:
    other = server.private(house.bot, server.person("Ben"), started=True)
    for number in range(20):
        await chat.says(ana, f"line {number}")
    assert other.person
    await other.says(other.person, "hello")
    async with house.open():
        await house.desk.until(lambda desk: len(desk.heard) == 21)
    mine = [one.text for one in house.desk.heard if one.chat == house.ref(chat)]
    assert mine == [f"line {number}" for number in range(20)]


async def test_what_was_not_stored_is_not_confirmed(
    server: TelegramServer, house: House, chat: Chat, ana: Person
) -> None:
    house.desk.troubles.extend([StoreError("full"), StoreError("still full")])
    pending = []

    async def look(_: object) -> None:
        pending.append(len(house.bot.mailbox.pending))

    house.desk.answers = look
    async with house.open():
        await chat.says(ana, "Keep this.")
        await house.desk.until(lambda desk: desk.heard)
    assert house.desk.texts == ["Keep this."]
    assert pending == [1], "Telegram still had it while it was stored"


async def test_what_was_being_stored_when_the_house_closed_is_told_again(
    server: TelegramServer, house: House, chat: Chat, ana: Person
) -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    house.desk.answers = never
    async with house.open():
        await chat.says(ana, "Hello?")
        await house.desk.until(lambda desk: desk.heard)
    next_day = House(server, house.bot)
    async with next_day.open():
        await next_day.desk.until(lambda desk: desk.heard)
    assert next_day.desk.heard[0].dedup_key == house.desk.heard[0].dedup_key


async def test_what_can_never_be_taken_is_passed_over(house: House, chat: Chat, ana: Person) -> None:
    house.desk.troubles.extend([RuntimeError("a mistake of ours")] * 3)
    async with house.open():
        await chat.says(ana, "poison")
        await chat.says(ana, "bread")
        await house.desk.until(lambda desk: desk.heard)
    assert house.desk.texts == ["bread"]


async def test_broken_news_do_not_spoil_the_others(
    server: TelegramServer, house: House, chat: Chat, ana: Person
) -> None:
    news: list[dict[str, object]] = [
        {"message": {"message_id": "no"}},
        {"message": None, "something_new": {"a": [1, 2]}},
        {"callback_query": []},
        {"message_reaction": {"chat": 1}},
    ]
    for broken in news:
        server.push_raw(house.bot, broken)
    await chat.says(ana, "Still there?")
    async with house.open():
        await house.desk.until(lambda desk: desk.heard)
        await server.until(lambda _: not house.bot.mailbox.pending)
    assert house.desk.texts == ["Still there?"]


async def test_an_album_is_heard_once(server: TelegramServer, house: House, chat: Chat, ana: Person) -> None:
    picture = png(8, 8)
    for caption in ("", "Look!", ""):
        await chat.says(ana, caption, photo=picture, album="13")
    async with house.open():
        await house.desk.until(lambda desk: desk.heard)
        await server.until(lambda _: not house.bot.mailbox.pending)
    assert house.desk.texts == ["Look!"]
    assert [one.kind for one in house.desk.heard[0].attachments] == ["photo"] * 3


@pytest.mark.parametrize("fault", list(Fault))
async def test_trouble_on_the_way_only_delays(
    server: TelegramServer, house: House, chat: Chat, ana: Person, fault: Fault
) -> None:
    server.fail_next("getUpdates", fault, times=2)
    await chat.says(ana, "Good evening.")
    async with house.open():
        await house.desk.until(lambda desk: desk.heard)
    assert set(house.desk.texts) == {"Good evening."}


async def test_a_token_that_telegram_does_not_know_is_a_mistake_in_the_settings(
    server: TelegramServer,
) -> None:
    front = TelegramFront("4711:AAnobody", settings(api=server.url), hurry=SCALE)
    with pytest.raises(SettingsError, match="BotFather"):
        await front.run(RecordingDesk())


async def test_a_token_taken_back_while_we_listen_is_told_too(server: TelegramServer, house: House) -> None:
    async with listening(house.front, house.desk) as running:
        await server.until(lambda _: server.is_polled(house.bot))
        del server.world.bots[house.bot.token]
        server.push_raw(house.bot, {})
        with pytest.raises(SettingsError, match="BotFather"):
            await running


async def test_a_webhook_that_somebody_left_is_taken_away(
    server: TelegramServer, house: House, chat: Chat, ana: Person
) -> None:
    house.bot.mailbox.webhook = Webhook("https://elsewhere.example")
    async with house.open():
        await chat.says(ana, "Here.")
        await house.desk.until(lambda desk: desk.heard)
    assert house.desk.texts == ["Here."]


async def test_a_group_that_became_a_supergroup_moves(house: House, group: Chat, ana: Person) -> None:
    old = str(group.id)
    async with house.open():
        new = await group.upgrades(ana)
        await house.desk.until(lambda desk: desk.moves)
    assert house.desk.moves == [(old, str(new))]


async def test_being_blocked_or_removed_is_noticed(
    house: House, chat: Chat, group: Chat, ana: Person
) -> None:
    async with house.open():
        await chat.blocks()
        await group.removes(ana, house.bot)
        await house.desk.until(lambda desk: len(desk.gone) == 2)
    assert set(house.desk.gone) == {house.ref(chat), house.ref(group)}


async def test_reactions_are_heard_with_what_they_are_about(house: House, chat: Chat, ana: Person) -> None:
    (message,) = await house.front.deliver(house.owed(chat, "A joke."))
    async with house.open():
        await chat.reacts(ana, chat.messages[-1], "👍")
        await chat.reacts(ana, chat.messages[-1], "🔥")
        await house.desk.until(lambda desk: len(desk.reactions) == 3)
    assert [(one.emoji, one.added) for one in house.desk.reactions] == [
        ("👍", True),
        ("👍", False),
        ("🔥", True),
    ]
    assert {one.message for one in house.desk.reactions} == {message}
