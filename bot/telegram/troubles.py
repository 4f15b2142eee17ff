"""Pure: what Telegram's refusals mean for us. Telegram tells them apart in words only."""

from __future__ import annotations

import re
from enum import StrEnum

from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)


class Trouble(StrEnum):
    #: Blocked, removed, deleted: nobody is there any more.
    GONE = "gone"
    #: We are there, and may not.
    FORBIDDEN = "forbidden"
    MOVED = "moved"
    NO_TOPIC = "no topic"
    #: It says so already: nothing to do.
    THE_SAME = "the same"
    #: The message that was to be changed or deleted cannot be.
    NO_MESSAGE = "no message"
    #: It is there, and cannot be deleted any more.
    STAYS = "stays"
    #: The message holds a picture where words were to be changed.
    NO_TEXT = "no text"
    #: The message that was to be answered.
    NO_ANSWERED = "no answered"
    #: The words, or how they are styled.
    WORDS = "words"
    #: What people are asked to answer with, in a channel where nobody answers.
    MARKUP = "markup"
    #: The picture, as a photo.
    PICTURE = "picture"
    #: Later it may work.
    PASSING = "passing"
    OTHER = "other"


#: In this order, small.
_SAYINGS = (
    ("message is not modified", Trouble.THE_SAME),
    ("topic_not_modified", Trouble.THE_SAME),
    ("message to edit not found", Trouble.NO_MESSAGE),
    ("message to delete not found", Trouble.NO_MESSAGE),
    ("message can't be deleted", Trouble.STAYS),
    ("message_delete_forbidden", Trouble.STAYS),
    ("message can't be", Trouble.NO_MESSAGE),
    ("message to be replied not found", Trouble.NO_ANSWERED),
    ("replied message not found", Trouble.NO_ANSWERED),
    ("message_id_invalid", Trouble.NO_MESSAGE),
    ("message identifier is not specified", Trouble.NO_MESSAGE),
    ("there is no text in the message", Trouble.NO_TEXT),
    ("there is no caption in the message", Trouble.NO_TEXT),
    ("message thread not found", Trouble.NO_TOPIC),
    ("topic_deleted", Trouble.NO_TOPIC),
    ("topic_id_invalid", Trouble.NO_TOPIC),
    ("chat not found", Trouble.GONE),
    ("user is deactivated", Trouble.GONE),
    ("user not found", Trouble.GONE),
    ("peer_id_invalid", Trouble.GONE),
    ("group chat was deactivated", Trouble.GONE),
    ("not enough rights", Trouble.FORBIDDEN),
    ("need administrator rights", Trouble.FORBIDDEN),
    ("have no rights", Trouble.FORBIDDEN),
    ("topic_closed", Trouble.FORBIDDEN),
    ("chat_write_forbidden", Trouble.FORBIDDEN),
    ("chat_admin_required", Trouble.FORBIDDEN),
    ("chat_send_", Trouble.FORBIDDEN),
    ("chat_restricted", Trouble.FORBIDDEN),
    ("inline keyboard expected", Trouble.MARKUP),
    ("can't parse entities", Trouble.WORDS),
    ("entity", Trouble.WORDS),
    ("entities", Trouble.WORDS),
    ("message is too long", Trouble.WORDS),
    ("message_too_long", Trouble.WORDS),
    ("caption_too_long", Trouble.WORDS),
    ("text must be", Trouble.WORDS),
    ("message text is empty", Trouble.WORDS),
    ("wrong http url", Trouble.WORDS),
    ("photo", Trouble.PICTURE),
    ("image_process_failed", Trouble.PICTURE),
    ("file of size", Trouble.PICTURE),
)


#: A part of every address of Telegram's, and so of what libraries say about addresses.
_TOKEN = re.compile(r"bot\d+:[\w-]+")


def trouble(error: Exception) -> Trouble:
    """What a failed call means."""
    if isinstance(error, TelegramMigrateToChat):
        return Trouble.MOVED
    if isinstance(error, TelegramEntityTooLarge):
        return Trouble.PICTURE
    if isinstance(error, TelegramRetryAfter | TelegramServerError | TelegramNetworkError | ClientDecodeError):
        # What no client can read is a proxy's page: the platform behind it is away for the moment.
        return Trouble.PASSING
    if not isinstance(error, TelegramAPIError):
        return Trouble.OTHER
    words = error.message.lower()
    for saying, meaning in _SAYINGS:
        if saying in words:
            return meaning
    if isinstance(error, TelegramForbiddenError):
        return Trouble.GONE
    return Trouble.OTHER


def in_words(error: TelegramAPIError | Exception) -> str:
    """The refusal without the library's frame, and without the token."""
    words = error.message if isinstance(error, TelegramAPIError | ClientDecodeError) else str(error)
    return without_token(words.removeprefix("Bad Request: ").removeprefix("Forbidden: "))


def without_token(words: str) -> str:
    return _TOKEN.sub("bot…", words)


def hopeless(error: Exception) -> bool:
    """Whether another try with the same words would end the same."""
    return isinstance(error, TelegramBadRequest | TelegramForbiddenError | TelegramEntityTooLarge)
