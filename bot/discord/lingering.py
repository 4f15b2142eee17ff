"""The way to Discord for what is still owed when nothing is heard any more: a reply that was finished while the house
closes. It is open only while something goes out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord


class Lingering:
    """A client that ended, and can still be spoken through. What it knew of channels, it knows."""

    def __init__(self, client: discord.Client, token: str) -> None:
        self._http = client.http
        self._token = token
        self._speaking = 0
        self._door = asyncio.Lock()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._door:
            if self._speaking == 0:
                self._http.connector = discord.utils.MISSING  # that of its life is closed
                try:
                    await self._http.static_login(self._token)
                except BaseException:
                    await self._http.close()
                    raise
            self._speaking += 1
        try:
            yield
        finally:
            async with self._door:
                self._speaking -= 1
                if self._speaking == 0:
                    await self._http.close()
