"""A Discord that nobody used before, and the parrot in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.discord import DiscordServer, pointed_at
from tests.servers.on_discord.parrot import SCALE, Parrot, Place, running


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(scale=SCALE) as opened:
        with pointed_at(opened):
            yield opened


@pytest.fixture
def place(server: DiscordServer) -> Place:
    return Place(server)


@pytest.fixture
async def parrot(place: Place) -> AsyncIterator[Parrot]:
    client = Parrot()
    async with running(client, place.bot):
        yield client
