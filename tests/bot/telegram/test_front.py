"""One bot as a whole: presses are answered once, refusals told, the menu offered, bad tokens worded."""

from __future__ import annotations

import subprocess
import sys
import traceback

import pytest
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import GetMe
from aiohttp import RequestInfo, TooManyRedirects
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bot.front import Account, Front, Incoming
from bot.telegram import telegram_fronts
from bot.telegram.checking import check
from engine.errors import NotReachable, SettingsError, StoreError
from engine.settings import Settings
from engine.store.records import Button, DeliveryKind, Manner
from tests.bot.telegram.recording import House, RecordingDesk, settings
from tests.servers.telegram import Chat, Message, Person, TelegramServer
from tests.servers.telegram.mailbox import Webhook


async def with_button(house: House, chat: Chat) -> Message:
    manner = Manner(buttons=((Button("Again", "reroll 12"),),))
    await house.front.deliver(house.owed(chat, "There.", kind=DeliveryKind.NOTICE, manner=manner))
    return chat.said_by(house.bot)[-1]


async def test_a_press_is_an_order_and_is_answered_once(house: House, chat: Chat, ana: Person) -> None:
    message = await with_button(house, chat)
    async with house.open():
        press = await chat.presses(ana, message, "Again")
        answer = await press.answered()
    (incoming,) = house.desk.heard
    assert incoming.text == "/reroll 12"
    assert incoming.pressed
    assert incoming.answer_to == press.id
    assert incoming.message == str(message.id)
    assert (answer.text, answer.alert) == ("", False)


async def test_a_refused_press_is_told_in_a_window_and_only_there(
    house: House, group: Chat, ana: Person
) -> None:
    message = await with_button(house, group)

    async def refuse(incoming: Incoming) -> None:
        await house.front.tell(incoming, "Only whoever asked may press this.")

    house.desk.answers = refuse
    async with house.open():
        press = await group.presses(ana, message, "Again")
        answer = await press.answered()
        await house.server.until(lambda _: not house.bot.mailbox.pending)
    assert (answer.text, answer.alert) == ("Only whoever asked may press this.", True)
    assert group.said_by(house.bot) == [message]


async def test_what_comes_too_late_or_is_too_long_for_the_window_is_a_message(
    house: House, chat: Chat, ana: Person
) -> None:
    message = await with_button(house, chat)

    async def refuse(incoming: Incoming) -> None:
        await house.front.tell(incoming, "long " * 100)

    house.desk.answers = refuse
    async with house.open():
        press = await chat.presses(ana, message, "Again")
        assert (await press.answered()).text == ""
        await chat.until(lambda chat: len(chat.said_by(house.bot)) == 2)
        await house.front.tell(house.desk.heard[0], "And late.")
        await chat.until(lambda chat: len(chat.said_by(house.bot)) == 3)
    assert [one.words for one in chat.said_by(house.bot)] == ["There.", ("long " * 100).strip(), "And late."]


async def test_a_press_that_could_not_be_stored_is_answered_when_it_was(
    house: House, chat: Chat, ana: Person
) -> None:
    message = await with_button(house, chat)
    house.desk.troubles.append(StoreError("full"))
    async with house.open():
        press = await chat.presses(ana, message, "Again")
        assert (await press.answered()).text == ""
    assert house.desk.texts == ["/reroll 12"]


async def test_a_press_told_again_does_not_answer_twice(
    server: TelegramServer, house: House, chat: Chat, ana: Person
) -> None:
    message = await with_button(house, chat)
    async with house.open():
        press = await chat.presses(ana, message, "Again")
        await press.answered()
        server.replay(house.bot, server.updates(house.bot)[-1])
        await house.desk.until(lambda desk: len(desk.heard) == 2)
    assert len({incoming.dedup_key for incoming in house.desk.heard}) == 1


async def test_a_press_under_an_old_message_is_heard_in_its_thread(
    server: TelegramServer, house: House, ana: Person
) -> None:
    forum = server.group("Forum", [house.bot], [ana], forum=True)
    topic = await forum.opens_topic(ana, "Cooking")
    manner = Manner(buttons=((Button("Again", "reroll 12"),),))
    owed = house.owed(forum, "There.", kind=DeliveryKind.NOTICE, manner=manner, thread=topic.id)
    (message,) = await house.front.deliver(owed)
    press = {
        "id": "q1",
        "from": {"id": ana.id, "is_bot": False, "first_name": "Ana"},
        "message": {
            "chat": {"id": forum.id, "type": "supergroup", "title": "Forum"},
            "message_id": int(message),
            "date": 0,
        },
        "chat_instance": "1",
        "data": "reroll 12",
    }
    async with house.open():
        server.push_raw(house.bot, {"callback_query": press})
        await house.desk.until(lambda desk: desk.heard)
    assert house.desk.heard[0].chat == house.ref(forum, topic.id)


async def test_presses_that_nobody_could_store_are_not_kept_for_ever(house: House, chat: Chat) -> None:
    owner = Account("telegram", "7", "Ana")
    for number in range(1_100):
        house.desk.troubles.append(StoreError("full"))
        press = Incoming(house.ref(chat), owner, "/x", str(number), pressed=True, answer_to=f"q{number}")
        with pytest.raises(StoreError):
            await house.front._hear(press, house.desk)
    assert len(house.front._unanswered) == len(house.front._showing.pressed) == 1_000


async def test_the_token_is_in_no_trouble(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise TooManyRedirects(request, ())

    address = URL(f"{house.server.url}/bot{house.bot.token}/getMe")
    request = RequestInfo(address, "POST", CIMultiDictProxy(CIMultiDict()), address)
    line = house.front._caller.bot.session
    assert isinstance(line, AiohttpSession)
    monkeypatch.setattr(await line.create_session(), "_request", fails)
    with pytest.raises(TelegramNetworkError) as told:
        async with house.front._caller.open():
            await house.front._caller.ask(GetMe())
    shown = "".join(traceback.format_exception(told.value))
    assert "TooManyRedirects" in shown
    assert house.bot.token not in shown


async def test_a_refusal_is_told_where_it_was_asked_for(house: House, group: Chat, ana: Person) -> None:
    async def refuse(incoming: Incoming) -> None:
        await house.front.tell(incoming, "Not *here*.")

    house.desk.answers = refuse
    async with house.open():
        asked = await group.says(ana, "/imagine@green_bot something")
        await group.until(lambda group: group.said_by(house.bot))
    (said,) = group.said_by(house.bot)
    assert said.text == "Not *here*."
    assert said.reply_to is asked


async def test_the_menu_is_offered_in_each_language(house: House) -> None:
    async with house.open():
        pass
    offered = {language: commands for (_, language), commands in house.bot.commands.items()}
    assert offered == {
        "": [{"command": "imagine", "description": "Make a picture"}],
        "de": [{"command": "imagine", "description": "Ein Bild machen"}],
    }


async def test_who_has_charge_of_a_chat(
    server: TelegramServer, house: House, chat: Chat, group: Chat, ana: Person
) -> None:
    ben = next(one.who for one in group.members.values() if one.who.name == "Ben")
    front, there = house.front, house.ref(group)
    assert await front.in_charge(house.ref(chat), str(ana.id))
    assert await front.in_charge(there, str(ana.id))
    assert not await front.in_charge(there, str(ben.id))
    assert not await front.in_charge(there, "99")
    assert await front.in_charge(there, str(group.id)), "an admin who stays anonymous"
    asked = server.calls["getChatMember"]
    assert await front.in_charge(there, str(ana.id))
    assert server.calls["getChatMember"] == asked, "it is remembered for a while"


# Tokens


def all_of(server: TelegramServer, token: str, *more: str) -> list[Front]:
    told = settings(token=token, more_tokens=more, api=server.url)
    return telegram_fronts(Settings(telegram=told), hurry=0.02)


async def test_a_token_of_the_wrong_form_fails_alone(server: TelegramServer, house: House) -> None:
    good, bad = all_of(server, house.bot.token, "4711 no token")
    assert (good.account, bad.account) == (str(house.bot.id), "unknown")
    assert good.name == bad.name == "telegram"
    with pytest.raises(SettingsError, match="this is no token"):
        await bad.run(RecordingDesk())
    with pytest.raises(NotReachable):
        await bad.deliver(house.owed(server.private(house.bot, server.person("Ana")), "Hello."))
    assert all_of(server, "") == []


async def test_one_token_named_twice_is_one_front(server: TelegramServer, house: House) -> None:
    assert len(all_of(server, house.bot.token, house.bot.token)) == 1


def test_nothing_of_aiogram_is_imported_before_there_is_a_token() -> None:
    code = (
        "import sys; from bot.telegram import telegram_fronts; from engine.settings import Settings;"
        "assert telegram_fronts(Settings()) == []; assert 'aiogram' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Checking


def told(**telegram: object) -> Settings:
    return Settings(telegram=settings(**telegram))


async def test_a_good_bot_is_told_where_it_is_and_what_it_does_not_hear(
    server: TelegramServer, house: House
) -> None:
    found = await check(house.bot.token, told(api=server.url))
    assert [state for state, _, _ in found] == ["ok", "note", "note", "note"]
    assert "https://t.me/green_bot" in found[0][1]
    assert "/setprivacy" in found[1][2]
    assert "admin" in found[2][1]
    assert "Threaded Mode" in found[3][2]
    open_bot = server.bot("open_bot", can_read_all_group_messages=True, has_topics_enabled=True)
    found = await check(open_bot.token, told(api=server.url))
    assert [state for state, _, _ in found] == ["ok", "note", "ok"]
    assert "topics" in found[2][1]


async def test_what_is_left_over_is_told(
    server: TelegramServer, house: House, chat: Chat, ana: Person
) -> None:
    house.bot.can_read_all_group_messages = True
    house.bot.can_join_groups = False
    house.bot.mailbox.webhook = Webhook("https://elsewhere.example", last_error="Connection refused")
    await chat.says(ana, "Anybody?")
    plain = told(api=server.url)
    assert [state for state, _, _ in await check(house.bot.token, plain)] == [
        *("ok", "note", "note"),
        *("warning", "note"),
    ]
    hooked = told(api=server.url, webhook="https://here.example")
    found = await check(house.bot.token, hooked)
    assert any("Connection refused" in says for _, says, _ in found)


async def test_bad_tokens_are_told_apart_from_a_bad_connection(server: TelegramServer) -> None:
    (malformed,) = await check("abc", told(api=server.url))
    (unknown,) = await check("4711:AAnobody", told(api=server.url))
    (away,) = await check("4711:AAnobody", told(api="http://127.0.0.1:9"))
    assert [one[0] for one in (malformed, unknown, away)] == ["broken"] * 3
    assert "no token" in malformed[1]
    assert "does not know" in unknown[1]
    assert "cannot be reached" in away[1]
