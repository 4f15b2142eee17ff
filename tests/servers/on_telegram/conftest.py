"""A Telegram that nobody used before, and that lets things be said as fast as a test says them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.on_telegram.client import UNHURRIED
from tests.servers.telegram import TelegramServer


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(rates=UNHURRIED) as server:
        yield server
