"""Drafts that grow into messages, and presses of buttons that want an answer in time."""

from __future__ import annotations

import asyncio

import pytest
from aiogram import Dispatcher, methods
from aiogram.exceptions import TelegramBadRequest, TelegramNetworkError
from aiogram.types import MessageGenerationStopped

from tests.servers.on_telegram.client import Hands, client_of, keys, polling
from tests.servers.telegram import Fault, Rule, TelegramServer


async def test_a_draft_grows_and_becomes_a_message(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        assert await client(methods.SendMessageDraft(chat_id=mia.id, draft_id=5))
        assert await client.send_message_draft(mia.id, 5, text="Once upon", can_stop=True)
        draft = chat.draft
        assert draft is not None
        assert (draft.text, draft.updates, draft.can_stop) == ("Once upon", 2, True)
        await client.send_message(mia.id, "Once upon a time")
        assert chat.draft is None
    assert not server.broken


async def test_stop_is_pressed(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    stopped: asyncio.Queue[MessageGenerationStopped] = asyncio.Queue()
    dispatcher = Dispatcher()
    dispatcher.stopped_message_generation.register(stopped.put)
    async with client_of(server, bot) as client, polling(client, dispatcher):
        await client.send_message_draft(mia.id, 5, text="Once", can_stop=True, keep_on_stop=True)
        draft = await chat.stops(mia)
        event = await stopped.get()
        assert (event.chat.id, event.draft_id) == (mia.id, 5)
        assert chat.draft is draft
        await client.send_message_draft(mia.id, 5, text="Once upon")
        assert draft.text == "Once"
    assert chat.history[-1].kind == "ignored"


async def test_a_draft_left_hanging_is_noticed() -> None:
    clock = Hands()
    async with TelegramServer(scale=0.1, monotonic=clock) as server:
        bot = server.bot()
        people = [server.person(name) for name in ("Mia", "Tom", "Ann")]
        chats = [server.private(bot, one, started=True) for one in people]
        async with client_of(server, bot) as client:
            for person in people:
                await client.send_message_draft(person.id, 1, text="Once", can_stop=True)
            clock.now += 2.9
            await chats[1].stops(people[1])
            await client.send_message(people[2].id, "Once upon a time")
            server.settle()
            assert not server.broken
            clock.now += 0.2
            server.settle()
            assert server.broken == {Rule.DRAFT_HANGING: 1}
            assert chats[0].draft is None
            await client.send_message_draft(people[0].id, 2, text="Again")
            server.forgive_drafts()
            clock.now += 10
    assert server.broken == {Rule.DRAFT_HANGING: 1}


async def test_a_draft_in_a_group_or_without_an_id(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    group = server.group("Studio", [bot], [mia])
    server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest):
            await client.send_message_draft(group.id, 1, text="x")
        with pytest.raises(TelegramBadRequest):
            await client.send_message_draft(mia.id, 0, text="x")
    assert server.broken == {Rule.DRAFT_PLACE: 1, Rule.DRAFT_ID: 1}


async def test_a_press_wants_one_answer_in_time() -> None:
    clock = Hands()
    async with TelegramServer(scale=0.1, monotonic=clock) as server:
        bot, mia = server.bot(), server.person("Mia")
        chat = server.private(bot, mia, started=True)
        async with client_of(server, bot) as client:
            await client.send_message(mia.id, "Press", reply_markup=keys("a"))
            (message,) = chat.messages
            first, late, never = [await chat.presses(mia, message, "a") for _ in range(3)]
            await client.answer_callback_query(first.id)
            with pytest.raises(TelegramBadRequest, match="query is too old"):
                await client.answer_callback_query(first.id)
            assert server.broken == {Rule.QUERY_TWICE: 1}
            clock.now += 1.6
            with pytest.raises(TelegramBadRequest, match="query is too old"):
                await client.answer_callback_query(late.id)
            with pytest.raises(TelegramBadRequest, match="query ID is invalid"):
                await client.answer_callback_query("17")
        assert never.answer is None
    assert server.broken == {
        Rule.QUERY_TWICE: 1,
        Rule.QUERY_LATE: 1,
        Rule.QUERY_UNKNOWN: 1,
        Rule.QUERY_UNANSWERED: 1,
    }


async def test_an_answer_that_was_lost_may_be_given_again(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        await client.send_message(mia.id, "Press", reply_markup=keys("a"))
        press = await chat.presses(mia, chat.messages[0], "a")
        server.fail_next("answerCallbackQuery", Fault.DROP_AFTER)
        with pytest.raises(TelegramNetworkError):
            await client.answer_callback_query(press.id, text="Yes")
        assert await client.answer_callback_query(press.id, text="Yes")
    assert press.answer is not None
    assert not server.broken
