"""What happens reaches the bot: by polling, by webhook, once it is confirmed and not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiogram import Bot as Client
from aiogram import Dispatcher
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramConflictError, TelegramUnauthorizedError
from aiogram.types import CallbackQuery, ReactionTypeEmoji, Update
from aiogram.types import Message as Told
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

from tests.servers.on_telegram.client import UNHURRIED, Session, client_of, keys, polling
from tests.servers.telegram import Rule, TelegramServer


async def test_a_bot_is_known_by_its_token_only(server: TelegramServer) -> None:
    bot = server.bot("mira_bot", name="Mira", has_topics_enabled=True)
    async with client_of(server, bot) as client:
        me = await client.get_me()
        assert (me.id, me.username, me.first_name) == (bot.id, "mira_bot", "Mira")
        assert me.has_topics_enabled
        assert me.can_read_all_group_messages is False
    async with Client(
        "7000000009:nobody", session=Session(api=TelegramAPIServer.from_base(server.url))
    ) as other:
        with pytest.raises(TelegramUnauthorizedError):
            await other.get_me()
    assert not server.broken


async def test_a_conversation_with_the_real_dispatcher(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia", language="de")
    chat = server.private(bot, mia)
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def echo(message: Told) -> None:
        assert message.from_user is not None
        await message.reply(f"{message.from_user.language_code}: {message.text}", reply_markup=keys("like:1"))

    @dispatcher.callback_query()
    async def liked(query: CallbackQuery) -> None:
        assert isinstance(query.message, Told)
        await query.message.edit_text(f"{query.data} by {query.from_user.first_name}")
        await query.answer("Thank you", show_alert=True)

    async with client_of(server, bot) as client, polling(client, dispatcher):
        said = await chat.says(mia, "hello")
        answer = await chat.until(lambda chat: chat.said_by(bot)[1:])
        assert [one.text for one in chat.messages] == ["/start", "hello", "de: /start", "de: hello"]
        assert answer[0].reply_to is said
        press = await chat.presses(mia, answer[0], "Key like")
        given = await press.answered()
        assert (given.text, given.alert) == ("Thank you", True)
        assert answer[0].text == "like:1 by Mia"
        assert (answer[0].edits, answer[0].buttons) == (1, [])
    server.settle()
    assert not server.broken


async def test_an_update_is_given_until_a_higher_offset_confirms_it(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    for word in ("one", "two", "three"):
        await chat.says(mia, word)
    async with client_of(server, bot) as client:
        first = await client.get_updates(limit=2)
        assert [one.message and one.message.text for one in first] == ["one", "two"]
        assert len(await client.get_updates()) == 3
        rest = await client.get_updates(offset=first[0].update_id + 1)
        assert [one.update_id for one in rest] == [first[1].update_id, first[1].update_id + 1]
        assert await client.get_updates(offset=rest[-1].update_id + 1, timeout=0) == []
        waiting = asyncio.create_task(client.get_updates(timeout=20))
        await server.until(lambda server: server.is_polled(bot))
        await chat.says(mia, "four")
        (four,) = await waiting
        assert four.message is not None
        assert four.message.text == "four"
        server.replay(bot, server.updates(bot)[0])
        again = await client.get_updates(offset=four.update_id + 1)
        assert [one.update_id for one in again] == [first[0].update_id]
        assert await client.get_updates(offset=four.update_id + 1) == []
    assert not server.broken


async def test_reactions_come_only_to_who_asks_for_them(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        message = await client.send_message(mia.id, "Like it?")
        await chat.reacts(mia, chat.messages[0], "👍")
        assert await client.get_updates(allowed_updates=["message_reaction"]) == []
        await chat.reacts(mia, chat.messages[0], "🔥")
        (update,) = await client.get_updates()
        assert update.message_reaction is not None
        assert update.message_reaction.message_id == message.message_id
        assert [one.model_dump()["emoji"] for one in update.message_reaction.new_reaction] == ["🔥"]
        assert await client.set_message_reaction(mia.id, message.message_id, [ReactionTypeEmoji(emoji="🙏")])
        assert chat.messages[0].reactions[bot.id] == [{"type": "emoji", "emoji": "🙏"}]


async def test_two_polls_at_once_are_a_conflict(server: TelegramServer) -> None:
    bot = server.bot()
    async with client_of(server, bot) as client:
        first = asyncio.create_task(client.get_updates(timeout=20))
        await server.until(lambda server: server.is_polled(bot))
        assert await client.get_updates(timeout=0) == []
        with pytest.raises(TelegramConflictError, match="terminated by other getUpdates"):
            await first
        assert server.broken == {Rule.POLLING_CONFLICT: 1}
        await client.set_webhook("https://example.org/hook")
        with pytest.raises(TelegramConflictError, match="webhook is active"):
            await client.get_updates()
        assert await client.delete_webhook()
    assert server.broken == {Rule.POLLING_CONFLICT: 2}


async def test_a_poll_that_died_is_no_conflict(server: TelegramServer) -> None:
    bot = server.bot()
    async with client_of(server, bot) as first:
        poll = asyncio.create_task(first.get_updates(timeout=20))
        await server.until(lambda server: server.is_polled(bot))
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
    async with client_of(server, bot) as second:
        await second.get_updates(timeout=0)
    assert not server.broken


async def test_a_webhook_gets_its_updates_in_order_until_it_takes_them() -> None:
    heard: list[str] = []
    secrets: set[str | None] = set()

    async def hook(request: web.Request) -> web.Response:
        secrets.add(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        update = Update.model_validate(await request.json())
        assert update.message is not None
        heard.append(update.message.text or "")
        return web.Response(status=500 if len(heard) == 1 else 200)

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_site(hook))
        server = await stack.enter_async_context(TelegramServer(scale=0.01))
        bot, mia = server.bot(), server.person("Mia")
        chat = server.private(bot, mia, started=True)
        client = await stack.enter_async_context(client_of(server, bot))
        await client.set_webhook(url, secret_token="quiet-please")
        await chat.says(mia, "one")
        await chat.says(mia, "two")
        await server.until(lambda _: not bot.mailbox.pending)
        info = await client.get_webhook_info()
    assert heard == ["one", "one", "two"]
    assert secrets == {"quiet-please"}
    assert (info.url, info.pending_update_count) == (url, 0)
    assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
    assert not server.broken


@asynccontextmanager
async def _site(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def test_the_real_webhook_handler_checks_the_secret(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def echo(message: Told) -> None:
        await message.answer(f"{message.text}!")

    async with client_of(server, bot) as client:
        handler = SimpleRequestHandler(dispatcher, client, secret_token="quiet")
        async with _site(handler.handle) as url:
            await client.set_webhook(url, secret_token="quiet")
            await chat.says(mia, "hello")
            (answer,) = await chat.until(lambda chat: chat.said_by(bot))
            await server.until(lambda _: not bot.mailbox.pending)
    assert answer.text == "hello!"


async def test_raw_updates_reach_the_dispatcher_and_their_queries_may_be_answered(
    server: TelegramServer,
) -> None:
    bot, mia = server.bot(), server.person("Mia")
    user = {"id": mia.id, "is_bot": False, "first_name": "Mia"}
    server.push_raw(bot, {"callback_query": {"id": "5", "from": user, "chat_instance": "1", "data": "old"}})
    server.push_raw(bot, {"made_up": {"x": 1}})
    async with client_of(server, bot) as client:
        first, second = await client.get_updates()
        assert first.callback_query is not None
        assert second.update_id == first.update_id + 1
        assert await client.answer_callback_query(first.callback_query.id)
    assert not server.broken


async def test_waiting_for_what_does_not_come_tells_what_came(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    await chat.says(mia, "anybody?")
    with pytest.raises(TimeoutError, match=r"said\s+Mia: 'anybody\?'"):
        await chat.until(lambda chat: chat.said_by(bot), within=0.01)


async def test_many_chats_at_once() -> None:
    async with TelegramServer(rates=UNHURRIED) as server:
        bot = server.bot()
        chats = [server.private(bot, server.person(f"P{at}"), started=True) for at in range(200)]
        dispatcher = Dispatcher()

        @dispatcher.message()
        async def echo(message: Told) -> None:
            await message.answer(f"{message.text}!")

        async with client_of(server, bot) as client, polling(client, dispatcher):
            for chat in chats:
                assert chat.person is not None
                await chat.says(chat.person, "hi")
            for chat in chats:
                await chat.until(lambda chat: chat.said_by(bot))
        assert [len(chat.said_by(bot)) for chat in chats] == [1] * 200
        assert not server.broken
