"""The hand that calls Telegram: at its pace, and again when it asked to wait. It knows no persona and no delivery."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import structlog
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import NextRequestMiddlewareType
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import Response, TelegramMethod
from aiogram.types import Message

from bot.telegram.pacing import Pace
from bot.telegram.remembered import OfChats
from bot.telegram.troubles import in_words, without_token
from engine.errors import SettingsError, TryAgain
from engine.locales import say

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
#: Whoever has to wait longer than this is asked to come back.
PATIENCE = 30.0
#: So many seconds for what may be dropped: what must be said waits behind it.
IN_PASSING = 8
#: A draft is gone after so many seconds.
FADES = 30.0


@dataclass(frozen=True)
class Standing:
    """A draft that somebody sees, and since when."""

    method: TelegramMethod[Any]
    at: float


class Line(AiohttpSession):
    """The connections to Telegram. They open by themselves, also after they were closed."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        #: What answers look like. The library makes each of these types when it is asked for, in ten milliseconds,
        #: and forgets it with the next garbage.
        self._shapes: dict[object, object] = {}

    def check_response(
        self, bot: Bot, method: TelegramMethod[Result], status_code: int, content: str
    ) -> Response[Result]:
        returns = method.__returning__
        if returns not in self._shapes:
            self._shapes[returns] = Response.__class_getitem__(returns)
        return super().check_response(bot, method, status_code, content)

    async def close(self) -> None:
        if self._session is not None and not self._session.closed:
            await self._session.close()


async def _keeping_quiet(
    make_request: NextRequestMiddlewareType[Result], bot: Bot, method: TelegramMethod[Result]
) -> Response[Result]:
    """Failures do not tell the token, which is in every address, to whoever reads the log."""
    try:
        return await make_request(bot, method)
    except TelegramNetworkError as error:
        words = without_token(error.message)
    # Not while the other one is handled, or the log would show that as its cause.
    raise TelegramNetworkError(method=method, message=words)


class Caller:
    """One bot's calls. Connections are closed when nobody uses them any more."""

    def __init__(self, token: str, *, api: str = "", hurry: float = 1.0) -> None:
        server = TelegramAPIServer.from_base(api) if api else PRODUCTION
        properties = DefaultBotProperties(link_preview_is_disabled=True)
        line = Line(api=server, limit=200)
        line.middleware(_keeping_quiet)
        self.bot = Bot(token, session=line, default=properties)
        self.pace = Pace(time.monotonic, hurry=hurry)
        #: Drafts on people's screens, by chat and thread.
        self._drafts: OfChats[Standing] = OfChats()
        self._users = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The connections stay open meanwhile."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                await self.bot.session.close()

    async def post(self, method: TelegramMethod[Result]) -> Result:
        """Something that must be said, and that Telegram counts: in its turn."""
        chat = _chat(method)
        while True:
            try:
                async with self.open(), self.pace.turn(chat, partial(self._keep_drafts, chat)):
                    answer = await self._done(method)
            except TelegramRetryAfter as error:
                self.pace.flooded(chat, error.retry_after)
                self._bear(error)
            else:
                if method.__api_method__.startswith("send"):  # a message takes the place of its draft
                    self._drafts.pop(_topic(method), None)
                return answer

    async def ask(self, method: TelegramMethod[Result], *, seconds: int | None = None) -> Result:
        """Something that must be done, and that Telegram does not count."""
        while True:
            try:
                async with self.open():
                    return await self.bot(method, request_timeout=seconds)
            except TelegramRetryAfter as error:
                self._bear(error)
                await self.pace.sleep(error.retry_after + 0.05)

    async def offer(self, method: TelegramMethod[Result], *, draft: bool = False) -> Result | None:
        """Something that may be dropped: where there is no room for it, and when Telegram asks to wait."""
        chat = _chat(method)
        try:
            async with self.pace.room(chat, draft=draft) as room, self.open():
                if not room:
                    return None
                answer = await self._done(method, IN_PASSING)
                if draft:
                    self._drafts.keep(_topic(method), Standing(method, self.pace.now()))
                return answer
        except TelegramRetryAfter as error:
            self.pace.flooded(chat, error.retry_after)
            return None

    async def _done(self, method: TelegramMethod[Result], seconds: int | None = None) -> Result:
        """Call Telegram. What was done is done, also where its answer holds something new that cannot be read."""
        try:
            return await self.bot(method, request_timeout=seconds)
        except ClientDecodeError as error:
            answer = _message_in(error.data)
            if answer is None:
                raise
            log.warning("telegram_answer_not_read", method=method.__api_method__, cause=in_words(error))
            return cast(Result, answer)

    def forget(self, chat: str) -> None:
        """A chat that has another name now."""
        self._drafts.forget(chat)

    async def _keep_drafts(self, chat: str) -> None:
        """A draft fades when nothing is heard of it. One whose message waits for its turn is shown again."""
        now = self.pace.now()
        for place, draft in list(self._drafts.items()):
            if now - draft.at > FADES:
                self._drafts.pop(place, None)
            elif place[0] == chat and now - draft.at > FADES / 3:
                self._drafts.keep(place, Standing(draft.method, now))
                try:
                    await self.bot(draft.method, request_timeout=IN_PASSING)
                except AiogramError as error:
                    log.debug("telegram_draft_not_kept", chat=chat, cause=in_words(error))
                    self._drafts.pop(place, None)

    def _bear(self, error: TelegramRetryAfter) -> None:
        """Somebody waits, unless it is for too long."""
        method = error.method
        log.info(
            "telegram_asks_to_wait",
            method=method.__api_method__,
            chat=_chat(method),
            seconds=error.retry_after,
        )
        if error.retry_after > PATIENCE:
            raise TryAgain(
                say("telegram.wait", seconds=error.retry_after), after_s=self.pace.real(error.retry_after)
            ) from error


@asynccontextmanager
async def knocking(account: str) -> AsyncIterator[None]:
    """A token that Telegram does not take is a mistake in the settings; an unreachable Telegram is not."""
    try:
        yield
    except (TelegramUnauthorizedError, TelegramNotFound) as error:
        raise SettingsError(say("telegram.token.refused", bot=account)) from error
    except AiogramError as error:
        raise TryAgain(say("telegram.unreachable", cause=in_words(error)), after_s=5.0) from error


def _message_in(answer: object) -> Message | None:
    """What is left of a message in a yes of Telegram's that cannot be read: its number."""
    told = answer.get("result") if isinstance(answer, dict) and answer.get("ok") is True else None
    number = told.get("message_id") if isinstance(told, dict) else None
    return Message.model_construct(message_id=number) if isinstance(number, int) else None


def _topic(method: TelegramMethod[Result]) -> tuple[str, str]:
    return _chat(method), str(getattr(method, "message_thread_id", None) or "")


def _chat(method: TelegramMethod[Result]) -> str:
    return str(getattr(method, "chat_id", None) or "")
