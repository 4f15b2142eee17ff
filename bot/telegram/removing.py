"""Takes messages away. What Telegram lets nobody take away any more, because it is too old, is emptied instead."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import structlog
from aiogram.exceptions import TelegramAPIError
from aiogram.methods import DeleteMessage, DeleteMessages, EditMessageMedia, EditMessageText
from aiogram.types import BufferedInputFile, InputMediaPhoto

from bot.telegram.calling import Caller
from bot.telegram.troubles import Trouble, in_words, trouble
from engine.locales import locale_of

log = structlog.get_logger(__name__)

#: Telegram takes so many numbers at once.
AT_ONCE = 100
#: The sides of what hangs where a picture hung.
BLANK = 64


async def remove(caller: Caller, chat: str, messages: Sequence[str], language: str = "") -> None:
    """Take messages away; those that are gone already are no trouble."""
    numbers = [int(one) for one in messages if one.isdecimal()]
    for at in range(0, len(numbers), AT_ONCE):
        some = numbers[at : at + AT_ONCE]
        try:
            await caller.ask(DeleteMessages(chat_id=chat, message_ids=some))
        except TelegramAPIError as error:
            if trouble(error) not in (Trouble.NO_MESSAGE, Trouble.STAYS, Trouble.OTHER):
                raise
            # One of them is in the way of all.
            for number in some:
                await _remove_one(caller, chat, number, language)


async def _remove_one(caller: Caller, chat: str, number: int, language: str) -> None:
    try:
        await caller.ask(DeleteMessage(chat_id=chat, message_id=number))
    except TelegramAPIError as error:
        what = trouble(error)
        if what in (Trouble.STAYS, Trouble.OTHER):
            await _empty(caller, chat, number, locale_of(language).say("telegram.removed"))
        elif what is not Trouble.NO_MESSAGE:
            raise


async def _empty(caller: Caller, chat: str, number: int, says: str) -> None:
    blank = InputMediaPhoto(
        media=BufferedInputFile(blank_picture(), "blank.png"), caption=says, parse_mode=None
    )
    try:
        try:
            await caller.post(EditMessageText(chat_id=chat, message_id=number, text=says, parse_mode=None))
        except TelegramAPIError as error:
            if trouble(error) is not Trouble.NO_TEXT:
                raise
            await caller.post(EditMessageMedia(chat_id=chat, message_id=number, media=blank))
    except TelegramAPIError as error:
        what = trouble(error)
        if what not in (Trouble.NO_MESSAGE, Trouble.THE_SAME, Trouble.FORBIDDEN, Trouble.OTHER):
            raise
        log.info("telegram_not_removed", chat=chat, message=number, cause=in_words(error))


def blank_picture() -> bytes:
    """A grey square, as a PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x88" * BLANK) * BLANK
    head = struct.pack(">IIBBBBB", BLANK, BLANK, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
