"""What Telegram's refusals mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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
from aiogram.methods import GetMe

from bot.telegram.troubles import Trouble, hopeless, in_words, trouble


@pytest.mark.parametrize(
    ("kind", "words", "means"),
    [
        (TelegramForbiddenError, "Forbidden: bot was blocked by the user", Trouble.GONE),
        (TelegramForbiddenError, "Forbidden: bot was kicked from the supergroup chat", Trouble.GONE),
        (TelegramForbiddenError, "Forbidden: user is deactivated", Trouble.GONE),
        (TelegramBadRequest, "Bad Request: chat not found", Trouble.GONE),
        (TelegramBadRequest, "Bad Request: not enough rights to send photos to the chat", Trouble.FORBIDDEN),
        (TelegramBadRequest, "Bad Request: CHAT_WRITE_FORBIDDEN", Trouble.FORBIDDEN),
        (TelegramBadRequest, "Bad Request: message is not modified: specified new…", Trouble.THE_SAME),
        (TelegramBadRequest, "Bad Request: message to edit not found", Trouble.NO_MESSAGE),
        (TelegramBadRequest, "Bad Request: message can't be deleted for everyone", Trouble.STAYS),
        (TelegramBadRequest, "Bad Request: message can't be edited", Trouble.NO_MESSAGE),
        (TelegramBadRequest, "Bad Request: inline keyboard expected", Trouble.MARKUP),
        (TelegramBadRequest, "Bad Request: there is no text in the message to edit", Trouble.NO_TEXT),
        (TelegramBadRequest, "Bad Request: message thread not found", Trouble.NO_TOPIC),
        (TelegramBadRequest, "Bad Request: TOPIC_CLOSED", Trouble.FORBIDDEN),
        (TelegramBadRequest, "Bad Request: message to be replied not found", Trouble.NO_ANSWERED),
        (TelegramBadRequest, "Bad Request: can't parse entities: unexpected end", Trouble.WORDS),
        (TelegramBadRequest, "Bad Request: message is too long", Trouble.WORDS),
        (TelegramBadRequest, "Bad Request: PHOTO_INVALID_DIMENSIONS", Trouble.PICTURE),
        (TelegramBadRequest, "Bad Request: something nobody has heard of", Trouble.OTHER),
        (TelegramServerError, "Bad Gateway", Trouble.PASSING),
        (TelegramNetworkError, "Request timeout error", Trouble.PASSING),
    ],
)
def test_a_refusal_is_understood(
    kind: Callable[[GetMe, str], TelegramAPIError], words: str, means: Trouble
) -> None:
    assert trouble(kind(GetMe(), words)) is means


def test_what_is_more_than_words_is_understood_too() -> None:
    assert trouble(TelegramMigrateToChat(GetMe(), "moved", -1001)) is Trouble.MOVED
    assert trouble(TelegramRetryAfter(GetMe(), "later", 3)) is Trouble.PASSING
    assert trouble(ClientDecodeError("Failed to decode object", ValueError(), "<html>")) is Trouble.PASSING
    assert trouble(TelegramEntityTooLarge(GetMe(), "too large")) is Trouble.PICTURE
    assert trouble(KeyError("ours")) is Trouble.OTHER


def test_only_what_will_never_work_is_hopeless() -> None:
    assert hopeless(TelegramBadRequest(GetMe(), "no"))
    assert not hopeless(TelegramServerError(GetMe(), "later"))
    assert not hopeless(KeyError("ours"))


def test_the_token_is_in_no_words() -> None:
    said = "InvalidURL: https://api.telegram.org/bot4711:AAF-x_y/getMe is no address"
    for error in (TelegramNetworkError(GetMe(), said), OSError(said)):
        assert in_words(error) == "InvalidURL: https://api.telegram.org/bot…/getMe is no address"


def test_the_words_are_without_their_frame() -> None:
    assert in_words(TelegramBadRequest(GetMe(), "Bad Request: chat not found")) == "chat not found"
    assert "<html>" not in in_words(ClientDecodeError("Failed to decode object", ValueError(), "<html>"))
