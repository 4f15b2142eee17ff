"""Asks Telegram for news, and confirms only what was stored. What the news mean is in `hearing.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiogram.exceptions import (
    AiogramError,
    TelegramConflictError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import DeleteWebhook, TelegramMethod
from aiogram.types import User

from bot.telegram.calling import Caller
from bot.telegram.hearing import WANTED, Heard, Unreadable, gathered, heard, read
from bot.telegram.pacing import Pace
from bot.telegram.troubles import in_words
from engine.errors import SettingsError, StoreError
from engine.locales import say

log = structlog.get_logger(__name__)

Take = Callable[[Heard], Awaitable[None]]
#: Telegram answers at the latest after this many seconds; a connection that is silent for longer is dead.
POLL = 30
SILENCE = 15
MOST_TRIES = 3
LONGEST_PAUSE = 60.0
#: So many kinds of unreadable news are told apart in the log.
MOST_KINDS = 100


class RawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """News as they come: among a hundred good ones a single strange one must not spoil the rest."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int
    timeout: int
    allowed_updates: list[str]
    limit: int = 100


class Reader:
    """Reads the news of the bot `me`. What cannot be read is passed over, and each kind of it logged once."""

    def __init__(self, me: User) -> None:
        self.me = me
        self._kinds: set[str] = set()

    def heard(self, raw: Mapping[str, Any]) -> tuple[Heard, ...]:
        try:
            return heard(read(raw), self.me)
        except Unreadable as error:
            if error.where not in self._kinds and len(self._kinds) < MOST_KINDS:
                self._kinds.add(error.where)
                log.warning("telegram_news_not_read", update=error.number, where=error.where)
            return ()


class Pauses:
    """Growing pauses between tries that fail."""

    def __init__(self, pace: Pace, longest: float = LONGEST_PAUSE) -> None:
        self._pace = pace
        self._longest = longest
        self._next = 1.0

    def reset(self) -> None:
        self._next = 1.0

    async def rest(self) -> None:
        await self._pace.sleep(self._next)
        self._next = min(self._longest, self._next * 2)


async def listen(caller: Caller, me: User, take: Take) -> None:
    """Take all news until cancelled. Raises `SettingsError` when Telegram does not take the token any more."""
    pauses, reader = Pauses(caller.pace), Reader(me)
    offset = 0
    unhooked = False
    while True:
        try:
            if not unhooked:  # Telegram gives news either to a webhook or to who asks
                await caller.ask(DeleteWebhook())
                unhooked = True
            method = RawUpdates(offset=offset, timeout=POLL, allowed_updates=list(WANTED))
            news = await caller.bot(method, request_timeout=POLL + SILENCE)
        except (TelegramUnauthorizedError, TelegramNotFound) as error:
            raise SettingsError(say("telegram.token.refused", bot=str(me.id))) from error
        except TelegramRetryAfter as error:
            await caller.pace.sleep(error.retry_after + 0.05)
        except TelegramConflictError as error:
            log.warning("telegram_somebody_else_listens", bot=me.username, cause=in_words(error))
            unhooked = False
            await pauses.rest()
        except (AiogramError, OSError) as error:
            log.warning("telegram_not_reached", bot=me.username, cause=in_words(error))
            await pauses.rest()
        else:
            pauses.reset()
            await take_all(news, reader, take, caller.pace)
            offset = max(
                [offset, *(number + 1 for one in news if isinstance(number := one.get("update_id"), int))]
            )


async def take_all(news: Iterable[Mapping[str, Any]], reader: Reader, take: Take, pace: Pace) -> None:
    """At once across chats, in order within a chat. Returns when all has been taken, or passed over."""
    lanes: dict[str, list[Heard]] = {}
    for thing in gathered(thing for update in news for thing in reader.heard(update)):
        lanes.setdefault(thing.chat.chat, []).append(thing)
    async with asyncio.TaskGroup() as group:
        for lane in lanes.values():
            group.create_task(_take_lane(lane, take, pace))


async def _take_lane(lane: list[Heard], take: Take, pace: Pace) -> None:
    for thing in lane:
        pauses = Pauses(pace, 30.0)
        tries = 0
        while True:
            try:
                await take(thing)
                break
            except StoreError as error:
                # Nothing is lost: Telegram keeps it until it is stored here.
                log.warning("telegram_news_not_stored", chat=thing.chat.chat, cause=str(error))
            except Exception:
                tries += 1
                log.exception("telegram_news_failed", chat=thing.chat.chat, tries=tries)
                if tries >= MOST_TRIES:
                    break
            await pauses.rest()
