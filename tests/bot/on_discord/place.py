"""Discord for the contract suite of fronts: somebody and our bot in private, on the loopback server."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

from bot.discord.front import DiscordFront
from bot.front import ChatRef, FrontDesk, Outgoing
from tests.bot.on_discord.recording import SCALE, FacedServer, RecordingDesk, token_of, until
from tests.servers.discord import pointed_at

#: Who speaks, as it stands above the words where there is no other place for a name.
_SPEAKER = re.compile(r"\A\*\*[^\n]*\*\*\n")


class Noting(DiscordFront):
    """The front, and which messages it says it has shown for good."""

    def __init__(self, token: str, server: FacedServer) -> None:
        super().__init__(token, shards=1, hurry=SCALE)
        self.for_good: set[str] = set()
        self._server = server

    async def run(self, desk: FrontDesk) -> None:
        if self._server.url:
            return await super().run(desk)
        # Nobody came yet: the server opens for it, so that it never looks for Discord's own.
        async with self._server:
            with pointed_at(self._server):
                return await super().run(desk)

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        messages = await super().deliver(outgoing)
        self.for_good.update(messages)
        return messages


class OnDiscord:
    """A direct message. Discord keeps it, so it does not matter whether anybody looks."""

    notices_absence = False

    def __init__(self) -> None:
        self.server = FacedServer(scale=SCALE)
        self.bot = self.server.bot("Greenroom")
        self.front = Noting(token_of(self.server, self.bot), self.server)
        self.mia = self.server.person("Mia")
        self.dm = self.server.dm(self.bot, self.mia)
        self.chat = ChatRef("discord", self.front.account, str(self.dm.id))
        self.desk = RecordingDesk()
        self._stack = AsyncExitStack()
        self._running: asyncio.Task[None] | None = None

    async def come(self) -> None:
        if self._running is not None:
            return
        await self._stack.enter_async_context(self.server)
        self._stack.enter_context(pointed_at(self.server))
        self._running = asyncio.create_task(self.front.run(self.desk))
        await until(lambda: self.bot.commands)

    async def leave(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None
        await self._stack.aclose()
        assert dict(self.server.broken) == {}, self.server.breaches

    def seen(self) -> list[str]:
        shown = [one for one in self.dm.messages if str(one.id) in self.front.for_good]
        return [_SPEAKER.sub("", one.content) for one in shown]

    def listening(self) -> asyncio.Task[None] | None:
        return self._running
