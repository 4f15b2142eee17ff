"""The real aiogram at the Telegram of the tests: a client, a dispatcher that polls, and what they send."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiogram import Bot as Client
from aiogram import Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup, Update
from PIL import Image

from tests.servers.telegram import Rate, Rates, TelegramServer
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
