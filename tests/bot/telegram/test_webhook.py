"""Where Telegram brings the news itself: it must show the secret, and hears yes only when they were stored."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bot.telegram import telegram_fronts
from engine.errors import SettingsError, StoreError
from engine.settings import Settings
from tests.bot.telegram.recording import SCALE, House, RecordingDesk, listening, settings
from tests.servers.telegram import Bot, TelegramServer


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def hooked(server: TelegramServer, address: str) -> House:
    return House(
        server, server.bot(), webhook=f"http://{address}/telegram", listen=address, webhook_secret="sesame"
    )


async def set_for(server: TelegramServer, bot: Bot) -> str:
    """Where Telegram brings a bot's news, as soon as it was told."""
    return await server.until(lambda _: bot.mailbox.webhook and bot.mailbox.webhook.url) or ""


@asynccontextmanager
async def open_door(house: House) -> AsyncIterator[str]:
    async with listening(house.front, house.desk):
        yield await set_for(house.server, house.bot)


async def test_news_are_brought_and_heard(server: TelegramServer, hooked: House) -> None:
    ana = server.person("Ana")
    chat = server.private(hooked.bot, ana, started=True)
    async with open_door(hooked) as url:
        assert url.endswith(f"/telegram/{hooked.bot.id}")
        for number in range(5):
            await chat.says(ana, f"line {number}")
        await hooked.desk.until(lambda desk: len(desk.heard) == 5)
        await server.until(lambda _: not hooked.bot.mailbox.pending)
    assert hooked.desk.texts == [f"line {number}" for number in range(5)]


async def test_what_was_not_stored_is_brought_again(server: TelegramServer, hooked: House) -> None:
    ana = server.person("Ana")
    chat = server.private(hooked.bot, ana, started=True)
    hooked.desk.troubles.extend([StoreError("full"), StoreError("still full")])
    async with open_door(hooked):
        await chat.says(ana, "Keep this.")
        await hooked.desk.until(lambda desk: desk.heard)
    assert hooked.desk.texts == ["Keep this."]


async def test_what_can_never_be_taken_is_passed_over(server: TelegramServer, hooked: House) -> None:
    ana = server.person("Ana")
    chat = server.private(hooked.bot, ana, started=True)
    hooked.desk.troubles.extend([RuntimeError("a mistake of ours")] * 3)
    async with open_door(hooked):
        await chat.says(ana, "poison")
        await chat.says(ana, "bread")
        await hooked.desk.until(lambda desk: desk.heard)
    assert hooked.desk.texts == ["bread"]


async def test_nobody_else_gets_in(hooked: House) -> None:
    update = {"update_id": 1, "message": {"message_id": 1, "date": 0, "text": "I am Telegram, honestly"}}
    async with open_door(hooked) as url, aiohttp.ClientSession() as session:

        async def knock(url: str, secret: str = "", body: bytes = json.dumps(update).encode()) -> int:
            headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
            async with session.post(url, headers=headers, data=body) as answer:
                return answer.status

        assert await knock(url) == 403
        assert await knock(url, "Sesame") == 403
        assert await knock(url, "sesamé") == 403
        assert await knock(url.replace(str(hooked.bot.id), "4711"), "sesame") == 403
        assert await knock(url, "sesame", b"{") == 400
        assert await knock(url, "sesame", b"[1]") == 200
        assert await knock(url, "sesame", b"[" * 100_000) == 400
        assert await knock(url, "sesame") == 200
    assert hooked.desk.heard == []


async def test_several_bots_share_the_door(server: TelegramServer, address: str) -> None:
    bots = [server.bot("one_bot"), server.bot("two_bot")]
    ana = server.person("Ana")
    told = settings(
        token=bots[0].token,
        more_tokens=[bots[1].token],
        api=server.url,
        webhook=f"http://{address}",
        listen=address,
    )
    one, two = telegram_fronts(Settings(telegram=told), hurry=SCALE)
    first, second = RecordingDesk(), RecordingDesk()
    async with listening(two, second):
        async with listening(one, first):
            for bot in bots:
                await set_for(server, bot)
                await server.private(bot, ana, started=True).says(ana, f"to {bot.username}")
            await first.until(lambda desk: desk.heard)
            await second.until(lambda desk: desk.heard)
        await server.private(bots[1], ana).says(ana, "still there?")
        await second.until(lambda desk: len(desk.heard) == 2)
    assert first.texts == ["to one_bot"]
    assert second.texts == ["to two_bot", "still there?"]


async def test_an_address_that_telegram_does_not_take_is_one_too(
    server: TelegramServer, address: str
) -> None:
    house = House(server, server.bot(), webhook="http://elsewhere.example", listen=address)
    with pytest.raises(SettingsError, match=r"telegram\.webhook.*HTTPS"):
        await house.front.run(house.desk)
    server.broken.clear()  # it was told a wrong address on purpose


async def test_a_door_that_is_taken_is_a_mistake_in_the_settings(hooked: House, address: str) -> None:
    host, port = address.split(":")
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), host, int(port))
    async with taken:
        with pytest.raises(SettingsError, match=r"telegram\.listen"):
            await hooked.front.run(hooked.desk)
