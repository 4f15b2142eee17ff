"""Telegram as a place of the Front contract suite: a private chat on the loopback server, and who sees it.

`async with OnTelegram() as place:`; inside, `front` and `chat` are there, and when it ends no rule was broken.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from bot.front import ChatRef, Outgoing
from bot.telegram.front import TelegramFront
from tests.bot.telegram.recording import SCALE, House, settings
from tests.servers.telegram import Chat, Person, TelegramServer


class KeepingFront(TelegramFront):
    """Remembers which messages were shown for good."""

    def __init__(self, house: House) -> None:
        super().__init__(house.bot.token, settings(token=house.bot.token, api=house.server.url), hurry=SCALE)
        self.kept: list[str] = []

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        ids = await super().deliver(outgoing)
        self.kept += [one for one in ids if one not in self.kept]
        return ids


class OnTelegram:
    """Ana's private chat. Telegram keeps what is said to those who are away."""

    notices_absence = False
    server: TelegramServer
    house: House
    front: KeepingFront
    chat: ChatRef
    ana: Person

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.server = await self._stack.enter_async_context(TelegramServer(scale=SCALE))
        self.house = House(self.server, self.server.bot())
        self.front = KeepingFront(self.house)
        self.ana = self.server.person("Ana")
        self._chat = self.server.private(self.house.bot, self.ana, started=True)
        self.chat = self.house.ref(self._chat)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A draft that no reply follows is this suite's doing, not the front's.
        self.server.forgive_drafts()
        await self._stack.aclose()
        if error is None:
            assert not self.server.broken, self.server.breaches

    async def come(self) -> None:
        """Ana has pressed Start long ago; there is nothing to open."""

    async def leave(self) -> None:
        """Nor to close."""

    def seen(self) -> list[str]:
        """The texts that were shown for good, in the order in which they stand."""
        return [one.words for one in self.room.said_by(self.house.bot) if str(one.id) in self.front.kept]

    def listening(self) -> None:
        """Telegram is spoken to without listening to it."""

    @property
    def room(self) -> Chat:
        return self._chat
