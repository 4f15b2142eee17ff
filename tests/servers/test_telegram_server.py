"""The Telegram server, driven by the real aiogram: each method is parsed, each rule that is broken is noticed."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiogram import Bot as Client
from aiogram import Dispatcher, methods
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ChatAction
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BufferedInputFile,
    CallbackQuery,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    MessageEntity,
    MessageGenerationStopped,
    ReactionTypeEmoji,
    ReplyParameters,
    Update,
    User,
)
from aiogram.types import Message as Told
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import ClientSession, FormData, web
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.servers.telegram import Fault, Faults, Rate, Rates, Rule, TelegramServer, entity, rules, wording
from tests.servers.telegram.table import METHODS
from tests.servers.telegram.world import Bot

#: For those tests that ask about something else than rates.
UNHURRIED = Rates(chat=Rate(100, 0.01), group=Rate(100, 0.01), overall=Rate(1000, 0.001))
EVERYTHING = [name for name in Update.model_fields if name != "update_id"]


class Session(AiohttpSession):
    """aiogram's own, without the quarter of a second that it waits for TLS to say goodbye."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class Hands:
    """A clock that goes when it is turned."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(rates=UNHURRIED) as server:
        yield server


@asynccontextmanager
async def client_of(server: TelegramServer, bot: Bot) -> AsyncIterator[Client]:
    session = Session(api=TelegramAPIServer.from_base(server.url))
    async with Client(bot.token, session=session) as client:
        yield client


def png(width: int = 32, height: int = 24) -> BufferedInputFile:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "seagreen").save(out, "PNG")
    return BufferedInputFile(out.getvalue(), "green.png")


def keys(*data: str) -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(text=f"Key {one[:8]}", callback_data=one)] for one in data]
    return InlineKeyboardMarkup(inline_keyboard=rows)


@asynccontextmanager
async def polling(client: Client, dispatcher: Dispatcher) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            dispatcher.start_polling(
                client, handle_signals=False, close_bot_session=False, allowed_updates=EVERYTHING
            )
        )
        try:
            yield
        finally:
            await dispatcher.stop_polling()
            await task


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


async def test_pictures_albums_documents_and_files(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    picture = png(640, 480)
    async with client_of(server, bot) as client:
        sent = await client.send_photo(mia.id, picture, caption="A *field*", reply_markup=keys("up:1"))
        assert sent.photo is not None
        assert (sent.photo[-1].width, sent.photo[-1].height) == (640, 480)
        assert chat.messages[0].photo == picture.data
        twice = await client.send_photo(mia.id, sent.photo[-1].file_id)
        assert twice.photo is not None
        assert chat.messages[1].photo == picture.data
        new = InputMediaPhoto(media=png(100, 50), caption="Another field")
        edited = await client.edit_message_media(new, chat_id=mia.id, message_id=sent.message_id)
        assert isinstance(edited, Told)
        assert edited.photo is not None
        assert edited.photo[-1].width == 100
        assert (chat.messages[0].caption, chat.messages[0].buttons) == ("Another field", [])
        file = await client.get_file(twice.photo[-1].file_id)
        assert file.file_path is not None
        got = await client.download_file(file.file_path)
        assert got is not None
        assert got.read() == picture.data
    other = server.bot("other_bot")
    server.private(other, mia, started=True)
    async with client_of(server, other) as client:
        with pytest.raises(TelegramBadRequest, match="wrong file identifier"):
            await client.send_photo(mia.id, twice.photo[-1].file_id)
        album = await client.send_media_group(
            mia.id, [InputMediaPhoto(media=png()), InputMediaPhoto(media=png())]
        )
        assert len({one.media_group_id for one in album}) == 1
        document = await client.send_document(
            mia.id, BufferedInputFile(b"words", "words.txt"), caption="Read"
        )
        assert document.document is not None
        assert document.document.file_name == "words.txt"
    assert server.broken == {Rule.BAD_VALUE: 1}


async def test_what_people_send_is_read_by_aiogram(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    first = await chat.says(
        mia, "/imagine a 🦊 for @green_bot", entities=[entity("bold", "/imagine a 🦊", "a 🦊")]
    )
    await chat.says(mia, "look", photo=png().data, reply_to=first)
    await chat.says(mia, voice=b"OggS")
    await chat.says(mia, sticker="🦊")
    await chat.says(mia, document=b"%PDF", file_name="story.pdf")
    await chat.says(mia, location=(52.5, 13.4))
    await chat.edits(mia, first, "/imagine two foxes")
    async with client_of(server, bot) as client:
        updates = await client.get_updates()
        said = [one.message for one in updates if one.message is not None]
        kinds = [(one.type, one.offset, one.length) for one in said[0].entities or []]
        assert kinds == [("bot_command", 0, 8), ("bold", 9, 4), ("mention", 18, 10)]
        assert [one.content_type for one in said] == [
            "text",
            "photo",
            "voice",
            "sticker",
            "document",
            "location",
        ]
        assert (said[1].caption, said[1].reply_to_message and said[1].reply_to_message.message_id) == (
            "look",
            1,
        )
        assert updates[-1].edited_message is not None
        assert updates[-1].edited_message.text == "/imagine two foxes"
        voice = said[2].voice
        assert voice is not None
        data = await client.download(voice.file_id)
        assert data is not None
        assert data.read() == b"OggS"


@pytest.mark.parametrize(
    ("data", "description", "rule"),
    [
        (b"no picture", "IMAGE_PROCESS_FAILED", Rule.WRONG_CONTENT),
        (png(2100, 100).data, "PHOTO_INVALID_DIMENSIONS", Rule.PICTURE_SHAPE),
        (png(9000, 1500).data, "PHOTO_INVALID_DIMENSIONS", Rule.PICTURE_SHAPE),
        (bytes(10 * 1024 * 1024 + 1), "too big for a photo", Rule.TOO_BIG),
        (png().data[:60], "IMAGE_PROCESS_FAILED", Rule.WRONG_CONTENT),
    ],
)
async def test_a_photo_that_cannot_be_shown(
    server: TelegramServer, data: bytes, description: str, rule: Rule
) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match=description):
            await client.send_photo(mia.id, BufferedInputFile(data, "green.png"))
    assert server.broken == {rule: 1}


def bold(offset: int, length: int) -> MessageEntity:
    return MessageEntity(type="bold", offset=offset, length=length)


KEYLESS = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Nothing")]])


@pytest.mark.parametrize(
    ("call", "description", "rule"),
    [
        ({"text": "x" * 4097}, "message is too long", Rule.TEXT_TOO_LONG),
        ({"text": "🦊" * 2049}, "message is too long", Rule.TEXT_TOO_LONG),
        ({"text": "  \n "}, "message text is empty", Rule.MISSING_PARAMETER),
        ({"text": "word", "entities": [bold(2, 3)]}, "ends after the end", Rule.BAD_ENTITIES),
        ({"text": "a🦊b", "entities": [bold(0, 2)]}, "middle of a UTF-16 symbol", Rule.BAD_ENTITIES),
        ({"text": "<b>x", "parse_mode": "HTML"}, "can't parse entities", Rule.BAD_MARKUP),
        ({"text": "<x>x</x>", "parse_mode": "HTML"}, "can't parse entities", Rule.BAD_MARKUP),
        ({"text": "x", "reply_markup": keys("k" * 65)}, "BUTTON_DATA_INVALID", Rule.CALLBACK_DATA),
        ({"text": "x", "reply_markup": KEYLESS}, "text buttons are unallowed", Rule.BAD_KEYBOARD),
        ({"text": "x", "reply_markup": keys(*"k" * 101)}, "reply markup is too long", Rule.BAD_KEYBOARD),
        ({"text": "x", "reply_parameters": ReplyParameters(message_id=9)}, "to be replied not found", None),
        ({"text": "x", "message_thread_id": 9}, "message thread not found", None),
    ],
)
async def test_a_message_that_cannot_be_sent(
    server: TelegramServer, call: dict[str, Any], description: str, rule: Rule | None
) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match=description):
            await client.send_message(mia.id, **call)
    assert server.broken == ({rule: 1} if rule else {})
    assert chat.messages == []


async def test_what_just_fits_is_sent(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        await client.send_message(mia.id, "🦊" * 2048, reply_markup=keys("k" * 64))
        sent = await client.send_message(mia.id, " <b>bold</b> &amp; <i>slanted</i>\n", parse_mode="HTML")
        assert sent.text == "bold & slanted"
        assert [(one.type, one.offset) for one in sent.entities or []] == [("bold", 0), ("italic", 7)]
        many = [bold(at, 1) for at in range(101)]
        await client.send_message(mia.id, "x" * 101, entities=many)
    assert len(chat.messages[-1].entities) == 100
    assert server.broken == {Rule.TOO_MANY_ENTITIES: 1}


async def test_a_caption_that_is_too_long(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="MEDIA_CAPTION_TOO_LONG"):
            await client.send_photo(mia.id, png(), caption="x" * 1025)
    assert server.broken == {Rule.CAPTION_TOO_LONG: 1}


async def test_an_album_of_one(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="wrong number of messages"):
            await client.send_media_group(mia.id, [InputMediaPhoto(media=png())])
    assert server.broken == {Rule.BAD_ALBUM: 1}


async def test_edits_and_deletions(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    hers = await chat.says(mia, "mine")
    async with client_of(server, bot) as client:
        sent = await client.send_message(mia.id, "one", reply_markup=keys("a"))
        where: dict[str, Any] = {"chat_id": mia.id, "message_id": sent.message_id}
        with pytest.raises(TelegramBadRequest, match="message is not modified"):
            await client.edit_message_text("one", **where, reply_markup=keys("a"))
        await client.edit_message_reply_markup(**where, reply_markup=keys("b"))
        assert [one.data for one in chat.messages[-1].buttons] == ["b"]
        with pytest.raises(TelegramBadRequest, match="no caption in the message"):
            await client.edit_message_caption(**where, caption="x")
        assert not server.broken
        assert await client.delete_message(**where)
        with pytest.raises(TelegramBadRequest, match="message to delete not found"):
            await client.delete_message(**where)
        assert await client.delete_messages(mia.id, [hers.id, 99])
        assert chat.messages == []


async def test_what_is_older_than_two_days_is_deleted_by_admins_only(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    group = server.group("Studio", [bot], [mia], supergroup=True)
    async with client_of(server, bot) as client:
        for chat in (server.private(bot, mia, started=True), group):
            old, new = [await client.send_message(chat.id, text) for text in ("old", "new")]
            chat.said_by(bot)[0].date -= rules.DELETABLE_SECONDS + 1
            with pytest.raises(TelegramBadRequest, match="message can't be deleted for everyone"):
                await client.delete_message(chat.id, old.message_id)
            with pytest.raises(TelegramBadRequest, match="message can't be deleted for everyone"):
                await client.delete_messages(chat.id, [new.message_id, old.message_id])
            assert await client.delete_message(chat.id, new.message_id)
            assert [one.text for one in chat.said_by(bot)] == ["old"]
        await group.promotes(mia, bot)
        assert await client.delete_messages(group.id, [old.message_id])
    assert not server.broken


async def test_whom_a_question_asks(server: TelegramServer) -> None:
    bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom", username="tommy")
    group = server.group("Studio", [bot], [mia, tom])
    channel = server.channel("News", [bot], [mia])
    few, all_ = ForceReply(selective=True), ForceReply()
    async with client_of(server, bot) as client:
        hers = await group.says(mia, "/ask")
        answered = ReplyParameters(message_id=hers.id)
        named = MessageEntity(
            type="text_mention", offset=0, length=3, user=User(id=mia.id, is_bot=False, first_name="Mia")
        )
        await client.send_message(group.id, "What?", reply_parameters=answered, reply_markup=few)
        await client.send_message(group.id, "Mia, what?", entities=[named], reply_markup=few)
        await client.send_message(group.id, "@Tommy, what?", reply_markup=few)
        await client.send_message(group.id, "Who?", reply_markup=few)
        await client.send_message(group.id, "Who?", reply_markup=all_)
        with pytest.raises(TelegramBadRequest, match="inline keyboard expected"):
            await client.send_message(channel.id, "What?", reply_markup=few)
    asked = [[who.name for who in (mia, tom) if one.asks(who)] for one in group.said_by(bot)]
    assert asked == [["Mia"], ["Mia"], ["Tom"], [], ["Mia", "Tom"]]
    assert not server.broken


async def test_what_is_gone_or_not_its_own_cannot_be_edited(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    hers = await chat.says(mia, "mine")
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="message to edit not found"):
            await client.edit_message_text("x", chat_id=mia.id, message_id=99)
        assert not server.broken
        with pytest.raises(TelegramBadRequest, match="message can't be edited"):
            await client.edit_message_text("x", chat_id=mia.id, message_id=hers.id)
    assert server.broken == {Rule.NOT_ITS_MESSAGE: 1}


async def test_nobody_is_written_to_who_did_not_start_the_bot(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="chat not found"):
            await client.send_message(mia.id, "Buy!")
        assert server.broken == {Rule.STRANGER: 1}
        server.group("Studio", [bot], [mia])
        with pytest.raises(TelegramForbiddenError, match="can't initiate conversation"):
            await client.send_message(mia.id, "Buy!")
        assert server.broken == {Rule.STRANGER: 2}
        with pytest.raises(TelegramBadRequest, match="chat not found"):
            await client.send_message(123, "Who?")
        await chat.starts("invited")
        await client.send_message(mia.id, "Welcome")
    assert chat.messages[0].text == "/start invited"
    assert server.broken == {Rule.STRANGER: 2}


async def test_a_person_who_blocks_the_bot(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    await chat.blocks()
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
            await client.send_message(mia.id, "Hello?")
        await chat.unblocks()
        assert await client.send_message(mia.id, "Hello again")
        changes = [one.my_chat_member for one in await client.get_updates()]
    assert [one and one.new_chat_member.status for one in changes] == ["kicked", "member"]
    assert not server.broken


async def test_a_bot_in_a_group_added_restricted_promoted_removed(server: TelegramServer) -> None:
    bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom")
    chat = server.group("Studio", [], [mia, tom])
    async with client_of(server, bot) as client:
        await chat.adds(mia, bot)
        assert await client.send_message(chat.id, "Hello all")
        await chat.restricts(mia, bot, can_send_photos=False)
        with pytest.raises(TelegramBadRequest, match="not enough rights to send photos to the chat"):
            await client.send_photo(chat.id, png())
        await chat.restricts(mia, bot, can_send_messages=False)
        with pytest.raises(TelegramBadRequest, match="not enough rights to send text messages to the chat"):
            await client.send_message(chat.id, "Hello?")
        await chat.promotes(mia, bot, can_delete_messages=False)
        admins = await client.get_chat_administrators(chat.id)
        assert {one.user.id: one.status for one in admins} == {mia.id: "creator", bot.id: "administrator"}
        assert (await client.get_chat_member(chat.id, tom.id)).status == "member"
        assert await client.get_chat_member_count(chat.id) == 3
        said = await chat.says(tom, "hi")
        with pytest.raises(TelegramBadRequest, match="message can't be deleted"):
            await client.delete_message(chat.id, said.id)
        full = await client.get_chat(chat.id)
        assert (full.title, full.type) == ("Studio", "group")
        await chat.removes(mia, bot)
        with pytest.raises(TelegramForbiddenError, match="bot was kicked from the group chat"):
            await client.send_message(chat.id, "Why?")
        await chat.adds(mia, bot)
        assert await client.leave_chat(chat.id)
        updates = await client.get_updates()
    statuses = [one.my_chat_member.new_chat_member.status for one in updates if one.my_chat_member]
    added = ["member", "restricted", "restricted", "administrator", "kicked", "member", "left"]
    assert statuses == added
    assert not server.broken


async def test_a_group_becomes_a_supergroup(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.group("Studio", [bot], [mia])
    old = chat.id
    async with client_of(server, bot) as client:
        before = await client.send_message(old, "Hello")
        new = await chat.upgrades(mia)
        with pytest.raises(TelegramMigrateToChat) as moved:
            await client.send_message(old, "Hello?")
        assert moved.value.migrate_to_chat_id == new
        assert (await client.send_message(new, "Hello!")).chat.type == "supergroup"
        with pytest.raises(TelegramBadRequest, match="message to edit not found"):
            await client.edit_message_text("x", chat_id=new, message_id=before.message_id + 50)
        updates = [one.message for one in await client.get_updates() if one.message]
    assert [(one.chat.id, one.migrate_to_chat_id, one.migrate_from_chat_id) for one in updates] == [
        (old, new, None),
        (new, None, old),
    ]


async def test_privacy_mode_lets_through_what_is_meant_for_the_bot(server: TelegramServer) -> None:
    shy, open_bot = server.bot("shy_bot"), server.bot("open_bot", can_read_all_group_messages=True)
    mia = server.person("Mia")
    chat = server.group("Studio", [shy, open_bot], [mia])
    async with client_of(server, shy) as client, client_of(server, open_bot) as other:
        await client.send_message(chat.id, "I am shy")
        mine = chat.messages[0]
        await chat.says(mia, "nobody in particular")
        await chat.says(mia, "hello @Shy_bot")
        await chat.says(mia, "/help@shy_bot")
        await chat.says(mia, "/help@open_bot")
        await chat.says(mia, "/queue")
        await chat.says(mia, "to you", reply_to=mine)
        await other.send_message(chat.id, "I spoke last")
        await chat.says(mia, "/undo")
        heard = [one.message.text for one in await client.get_updates() if one.message]
        everything = [one.message.text for one in await other.get_updates() if one.message]
    assert heard == ["hello @Shy_bot", "/help@shy_bot", "/queue", "to you"]
    assert len(everything) == 7


async def test_a_channel(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    channel = server.channel("Diary", [bot], [mia], username="diary")
    async with client_of(server, bot) as client:
        posted = await client.send_photo("@diary", png(), caption="Morning")
        assert posted.chat.type == "channel"
        await channel.says(mia, "Good morning")
        (update,) = await client.get_updates()
        assert update.channel_post is not None
        assert update.channel_post.text == "Good morning"
        await channel.promotes(mia, bot, can_post_messages=False)
        with pytest.raises(TelegramBadRequest, match="need administrator rights in the channel"):
            await client.send_message(channel.id, "Evening")


async def test_topics_of_a_forum_and_of_a_private_chat(server: TelegramServer) -> None:
    bot, mia = server.bot(has_topics_enabled=True), server.person("Mia")
    private = server.private(bot, mia, started=True)
    forum = server.group("Studio", [bot], [mia], forum=True)
    plain = server.group("Kitchen", [bot], [mia])
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="not enough rights"):
            await client.create_forum_topic(forum.id, "Mira")
        with pytest.raises(TelegramBadRequest, match="not a forum"):
            await client.create_forum_topic(plain.id, "Mira")
        await forum.promotes(mia, bot)
        for chat in (private, forum):
            topic = await client.create_forum_topic(chat.id, "Mira", icon_color=7322096)
            thread = topic.message_thread_id
            sent = await client.send_message(chat.id, "Here I am", message_thread_id=thread)
            assert (sent.message_thread_id, sent.is_topic_message) == (thread, True)
            said = await chat.says(mia, "hello @green_bot", thread=thread)
            assert await client.edit_forum_topic(chat.id, thread, name="Mira B.")
            assert await client.close_forum_topic(chat.id, thread)
            assert await client.reopen_forum_topic(chat.id, thread)
            assert await client.delete_forum_topic(chat.id, thread)
            assert said.deleted
            with pytest.raises(TelegramBadRequest, match="message thread not found"):
                await client.send_message(chat.id, "Gone?", message_thread_id=thread)
        opened = await forum.opens_topic(mia, "Tom")
        told = [one.message for one in await client.get_updates() if one.message]
    assert told[0].message_thread_id is not None
    assert told[-1].forum_topic_created is not None
    assert told[-1].message_thread_id == opened.id
    assert not server.broken


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


async def test_who_sends_too_fast_must_wait_and_is_noticed_if_he_does_not() -> None:
    clock = Hands()
    async with TelegramServer(scale=0.1, monotonic=clock) as server:
        bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom")
        for person in (mia, tom):
            server.private(bot, person, started=True)
        async with client_of(server, bot) as client:
            sent = [await client.send_message(mia.id, f"{at}") for at in range(3)]
            with pytest.raises(TelegramRetryAfter) as told:
                await client.edit_message_text("edit", chat_id=mia.id, message_id=sent[0].message_id)
            assert told.value.retry_after == 1
            assert (server.limited, server.broken) == ({"editMessageText": 1}, {})
            await client.send_message(tom.id, "another chat")
            with pytest.raises(TelegramRetryAfter):
                await client.send_message(mia.id, "still")
            assert server.broken == {Rule.IMPATIENT: 1}
            clock.now += 0.1
            await client.send_message(mia.id, "waited one second, scaled")
    assert server.broken == {Rule.IMPATIENT: 1}


async def test_the_rates_of_a_group_of_a_bot_and_of_drafts() -> None:
    clock = Hands()
    async with TelegramServer(monotonic=clock) as server:
        bot, mia = server.bot(), server.person("Mia")
        group = server.group("Studio", [bot], [mia])
        server.private(bot, mia, started=True)
        others = [server.private(bot, server.person(f"P{at}"), started=True) for at in range(31)]
        async with client_of(server, bot) as client:
            for _ in range(20):
                await client.send_message(group.id, "x")
                clock.now += 1
            with pytest.raises(TelegramRetryAfter) as told:
                await client.send_message(group.id, "x")
            assert told.value.retry_after == 40
            for _ in range(5):
                await client.send_message_draft(mia.id, 1, text="x")
            with pytest.raises(TelegramRetryAfter):
                await client.send_message_draft(mia.id, 1, text="x")
            await client.send_message(mia.id, "x")
            clock.now += 60
            for other in others[:30]:
                await client.send_message(other.id, "x")
            with pytest.raises(TelegramRetryAfter):
                await client.send_message(others[30].id, "x")
    assert server.limited == {"sendMessage": 2, "sendMessageDraft": 1}
    assert not server.broken


async def _post(server: TelegramServer, bot: Bot, method: str, data: Any) -> int:
    async with (
        ClientSession() as session,
        session.post(f"{server.url}/bot{bot.token}/{method}", **data) as answer,
    ):
        assert answer.content_type == "application/json"
        return answer.status


async def test_unknown_methods_and_parameters_and_wrong_types(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    assert await _post(server, bot, "sendTelepathy", {"json": {}}) == 404
    assert server.broken == {Rule.UNKNOWN_METHOD: 1}
    call = {"chat_id": mia.id, "text": "hi"}
    assert await _post(server, bot, "sendMessage", {"json": {**call, "colour": "green"}}) == 200
    assert await _post(server, bot, "SENDMESSAGE", {"json": {**call, "text": 5}}) == 400
    assert await _post(server, bot, "sendMessage", {"json": {**call, "entities": {"type": "bold"}}}) == 400
    form = FormData({"chat_id": "first", "text": "hi"})
    assert await _post(server, bot, "sendMessage", {"data": form}) == 400
    assert (
        await _post(
            server, bot, "sendMessage", {"data": b"{", "headers": {"Content-Type": "application/json"}}
        )
        == 400
    )
    assert await _post(server, bot, "sendMessage", {"json": {"chat_id": mia.id}}) == 400
    assert server.broken == {
        Rule.UNKNOWN_METHOD: 1,
        Rule.UNKNOWN_PARAMETER: 1,
        Rule.WRONG_TYPE: 4,
        Rule.MISSING_PARAMETER: 1,
    }


async def test_what_a_bot_says_about_itself(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    commands = [BotCommand(command="imagine", description="Make a picture")]
    scope = BotCommandScopeAllPrivateChats()
    async with client_of(server, bot) as client:
        assert await client.set_my_commands(commands, scope=scope, language_code="de")
        kept = await client.get_my_commands(scope=scope, language_code="de")
        assert [(one.command, one.description) for one in kept] == [("imagine", "Make a picture")]
        assert await client.get_my_commands() == []
        assert await client.delete_my_commands(scope=scope, language_code="de")
        assert await client.set_my_description("Personas")
        assert (await client.get_my_description(language_code="de")).description == "Personas"
        assert await client.set_my_short_description("Short")
        assert (await client.get_my_short_description()).short_description == "Short"
        assert await client.set_my_name("Green")
        assert (await client.get_my_name()).name == "Green"
        assert (await client.get_user_profile_photos(mia.id)).total_count == 0
        assert await client.send_chat_action(mia.id, ChatAction.TYPING)
        with pytest.raises(TelegramBadRequest, match="BOT_COMMAND_INVALID"):
            await client.set_my_commands([BotCommand(command="Imagine!", description="x")])
    assert server.broken == {Rule.BAD_VALUE: 1}


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        (Fault.LIMITED, TelegramRetryAfter, 0),
        (Fault.SERVER_ERROR, TelegramServerError, 0),
        (Fault.BAD_GATEWAY, TelegramServerError, 0),
        (Fault.GATEWAY_PAGE, ClientDecodeError, 0),
        (Fault.DROP_BEFORE, TelegramNetworkError, 0),
        (Fault.DROP_AFTER, TelegramNetworkError, 1),
    ],
)
async def test_a_fault_by_order(
    server: TelegramServer, fault: Fault, error: type[Exception], happened: int
) -> None:
    bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom")
    chat = server.private(bot, mia, started=True)
    server.private(bot, tom, started=True)
    server.fail_next("sendMessage", fault, match=lambda params: params["chat_id"] == str(mia.id))
    async with client_of(server, bot) as client:
        await client.send_message(tom.id, "not this one")
        with pytest.raises(error):
            await client.send_message(mia.id, "this one")
        assert len(chat.messages) == happened
    assert not server.broken


async def test_faults_by_chance_are_the_same_for_the_same_seed() -> None:
    async def run(seed: int) -> list[str]:
        faults = Faults(rate_429=0.1, rate_5xx=0.2, rate_drop_before=0.1, rate_drop_after=0.1, seed=seed)
        async with TelegramServer(faults=faults) as server:
            bot, mia = server.bot(), server.person("Mia")
            server.private(bot, mia, started=True)
            seen = []
            async with client_of(server, bot) as client:
                for at in range(40):
                    try:
                        await client.get_chat_member(mia.id, mia.id if at % 2 else bot.id)
                        seen.append("fine")
                    except (TelegramAPIError, ClientDecodeError) as error:
                        seen.append(type(error).__name__)
            return seen

    one, again, other = await run(1), await run(1), await run(2)
    assert one == again != other
    assert {"fine", "TelegramServerError", "TelegramNetworkError"} <= set(one)


async def test_a_call_is_held_in_the_window_and_let_go(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        before, after = server.hold("sendMessage"), server.hold("sendMessage", "after")
        first = asyncio.create_task(client.send_message(mia.id, "one"))
        assert (await before.reached())["text"] == "one"
        second = asyncio.create_task(client.send_message(mia.id, "two"))
        await after.reached()
        assert [one.text for one in chat.messages] == ["two"]
        before.release()
        after.release(drop=True)
        assert (await first).text == "one"
        with pytest.raises(TelegramNetworkError):
            await second
    assert [one.text for one in chat.messages] == ["two", "one"]


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


def test_every_parameter_is_the_one_that_aiogram_knows() -> None:
    theirs = {
        one.__api_method__: one
        for one in vars(methods).values()
        if isinstance(one, type)
        and issubclass(one, methods.TelegramMethod)
        and one is not methods.TelegramMethod
    }
    for method in METHODS.values():
        assert set(method.params) == set(theirs[method.name].model_fields), method.name
        required = {name for name, field in theirs[method.name].model_fields.items() if field.is_required()}
        assert {name for name, param in method.params.items() if param.required} == required, method.name


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


async def test_a_missing_method_is_what_aiogram_calls_not_found(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramNotFound):
            await client.send_dice(mia.id)
    assert server.breaches[0].detail == "sendDice"


async def test_a_face_is_found_and_fetched(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia", face=png().data)
    server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        faces = await client.get_user_profile_photos(mia.id)
        data = await client.download(faces.photos[0][-1].file_id)
    assert data is not None
    assert data.read() == png().data


async def test_a_call_that_is_held_before_it_takes_effect_can_be_lost(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        hold = server.hold("sendMessage")
        call = asyncio.create_task(client.send_message(mia.id, "one"))
        await hold.reached()
        hold.release(drop=True)
        with pytest.raises(TelegramNetworkError):
            await call
    assert chat.messages == []


async def test_what_a_dead_client_asked_for_is_done_and_may_be_asked_again(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as first:
        await first.send_message(mia.id, "Press", reply_markup=keys("a"))
        press = await chat.presses(mia, chat.messages[0], "a")
        hold = server.hold("answerCallbackQuery", "after")
        call = asyncio.create_task(first.answer_callback_query(press.id, text="Yes"))
        await hold.reached()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    hold.release()
    assert (await press.answered()).text == "Yes"
    async with client_of(server, bot) as second:
        assert await second.answer_callback_query(press.id, text="Yes")
    assert not server.broken


WORDS = st.text(alphabet=st.sampled_from("ab @/#🦊\n_é:.htps"), max_size=40)


@given(WORDS)
def test_what_the_platform_finds_by_itself_always_fits(text: str) -> None:
    clean, entities = wording.trimmed(text, wording.merged(text, []))
    assert rules.check_entities(clean, entities) == entities


@given(WORDS, st.data())
def test_trimming_moves_entities_along_with_their_words(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    one = {"type": "bold", "offset": rules.utf16(text[:start]), "length": rules.utf16(text[start:end])}
    clean, kept = wording.trimmed(text, [one])
    words = [wording.slice16(clean, entity["offset"], entity["length"]) for entity in kept]
    assert all(word in text[start:end] for word in words)
    if text[start:end].strip():
        assert words[0].strip() == text[start:end].strip()


@given(st.lists(st.floats(0, 3), max_size=60), st.sampled_from([1.0, 0.05]))
def test_no_chat_gets_more_than_its_rate_and_who_waits_is_let_through(
    pauses: list[float], scale: float
) -> None:
    rates = rules.Rates()
    flood, now, sent = rules.Flood(rates, scale), 0.0, list[float]()
    for pause in pauses:
        now += pause * scale
        wait = flood.wait(now, 1, 2, "send", crowd=True, cost=1)
        if wait:
            now += wait * scale
            assert flood.wait(now, 1, 2, "send", crowd=True, cost=1) == 0
        sent.append(now)
    minute = 60 * scale - 1e-6
    assert all(sum(start <= at < start + minute for at in sent) <= 20 for start in sent)
    second = 10 * scale - 1e-6
    assert all(sum(start <= at < start + second for at in sent) <= 3 + 10 for start in sent)
