"""A house with its bot on Discord, for each test a new one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bot.on_discord.recording import House, house


@pytest.fixture
async def at_home() -> AsyncIterator[House]:
    async with house() as made:
        yield made
