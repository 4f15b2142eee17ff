"""What is said on Telegram: texts, pictures, albums and files, what they may be, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    BufferedInputFile,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    MessageEntity,
    ReplyParameters,
    User,
)
from aiogram.types import Message as Told

from tests.servers.on_telegram.client import client_of, keys, png
from tests.servers.telegram import Rule, TelegramServer, entity, rules


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


async def test_a_face_is_found_and_fetched(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia", face=png().data)
    server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        faces = await client.get_user_profile_photos(mia.id)
        data = await client.download(faces.photos[0][-1].file_id)
    assert data is not None
    assert data.read() == png().data
