"""A Telegram on loopback for every test, whose rules nobody may have broken in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bot.telegram.recording import SCALE, House
from tests.servers.telegram import Chat, Person, TelegramServer


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(scale=SCALE) as made:
        yield made
    assert not made.broken, made.breaches


@pytest.fixture
def house(server: TelegramServer) -> House:
    return House(server, server.bot())


@pytest.fixture
def ana(server: TelegramServer) -> Person:
    return server.person("Ana")


@pytest.fixture
def chat(server: TelegramServer, house: House, ana: Person) -> Chat:
    """Ana's private chat with the bot."""
    return server.private(house.bot, ana, started=True)


@pytest.fixture
def group(server: TelegramServer, house: House, ana: Person) -> Chat:
    """A group that Ana owns."""
    return server.group("Tea room", [house.bot], [ana, server.person("Ben")])
