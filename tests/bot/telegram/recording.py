"""A desk that writes down what a front tells it, and a house to run one front against the loopback server."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from PIL import Image

from bot.front import ChatRef, Choice, Entry, Face, Front, Incoming, OptionKind, Outgoing, Question, Reaction
from bot.telegram.front import TelegramFront
from engine.locales import locale_of
from engine.settings import TelegramSettings
from engine.store.records import Delivery, DeliveryKind, DeliveryState, Manner
from tests.servers.telegram import Bot, Chat, TelegramServer

#: The server's limits and our waits are this much shorter.
SCALE = 0.02
PLAIN = Manner()
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class RecordingDesk:
    """A `FrontDesk`. `troubles` are raised by `hear`, one after the other; `answers` is what happens in it."""

    def __init__(self) -> None:
        self.heard: list[Incoming] = []
        self.reactions: list[Reaction] = []
        self.moves: list[tuple[str, str]] = []
        self.gone: list[ChatRef] = []
        self.stopped: list[ChatRef] = []
        self.troubles: deque[Exception] = deque()
        self.answers: Callable[[Incoming], Awaitable[None]] | None = None
        self._news: list[asyncio.Future[None]] = []

    async def hear(self, incoming: Incoming) -> None:
        self._wake()
        if self.troubles:
            raise self.troubles.popleft()
        self.heard.append(incoming)
        if self.answers:
            await self.answers(incoming)

    async def react(self, reaction: Reaction) -> None:
        self.reactions.append(reaction)
        self._wake()

    async def moved(self, old: ChatRef, new: ChatRef) -> None:
        self.moves.append((old.chat, new.chat))
        self._wake()

    async def left(self, chat: ChatRef) -> None:
        self.gone.append(chat)
        self._wake()

    def stop(self, chat: ChatRef) -> bool:
        self.stopped.append(chat)
        self._wake()
        return True

    def menu(self, language: str) -> Sequence[Entry]:
        says = {"en": "Make a picture", "de": "Ein Bild machen"}[language]
        return [Entry("imagine", says), Entry("status", "How it stands", operators_only=True)]

    def languages(self) -> Sequence[str]:
        return ("en", "de")

    async def suggestions(self, kind: OptionKind, typed: str, incoming: Incoming) -> Sequence[Choice]:
        return ()

    async def question(self, incoming: Incoming) -> tuple[str, Question] | None:
        return None

    def says(self, key: str, language: str, **facts: object) -> str:
        return locale_of(language).say(key, **facts)

    @property
    def texts(self) -> list[str]:
        return [incoming.text for incoming in self.heard]

    async def until(self, seen: Callable[[RecordingDesk], object]) -> None:
        async with asyncio.timeout(30):
            while not seen(self):
                news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._news.append(news)
                await news

    def _wake(self) -> None:
        def now() -> None:
            waiting, self._news = self._news, []
            for one in waiting:
                if not one.done():
                    one.set_result(None)

        asyncio.get_running_loop().call_soon(now)


class House:
    """One bot of the server, the front that runs it, and the desk that it talks to."""

    def __init__(self, server: TelegramServer, bot: Bot, **settings: object) -> None:
        self.server = server
        self.bot = bot
        self.desk = RecordingDesk()
        told = TelegramSettings.model_validate({"token": bot.token, "api": server.url, **settings})
        self.front = TelegramFront(bot.token, told, hurry=SCALE)
        self._deliveries = 0

    def owed(
        self,
        chat: Chat,
        text: str = "",
        *,
        kind: DeliveryKind = DeliveryKind.REPLY,
        manner: Manner = PLAIN,
        image: bytes = b"",
        face: Face | None = None,
        replaces: tuple[str, ...] = (),
        answers: str = "",
        thread: int | None = None,
    ) -> Outgoing:
        self._deliveries += 1
        delivery = Delivery(
            self._deliveries,
            self.ref(chat, thread),
            kind,
            DeliveryState.SENDING,
            text,
            nonce=f"nonce-{self._deliveries}",
            created_at=NOON,
            manner=manner,
            answers_message=answers,
        )
        return Outgoing(delivery, image=image, face=face, replaces=replaces)

    def ref(self, chat: Chat, thread: int | None = None) -> ChatRef:
        return ChatRef("telegram", self.front.account, str(chat.id), str(thread or ""))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        """The front listens meanwhile."""
        async with listening(self.front, self.desk):
            await self.server.until(lambda server: server.is_polled(self.bot))
            yield self


@asynccontextmanager
async def listening(front: Front, desk: RecordingDesk) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(front.run(desk))
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


def face(name: str) -> Face:
    async def picture() -> bytes:
        return b""

    return Face(name, name, picture)


def settings(**told: object) -> TelegramSettings:
    return TelegramSettings.model_validate(told)


def again(outgoing: Outgoing) -> Outgoing:
    """The same delivery, tried once more."""
    delivery = outgoing.delivery
    return replace(outgoing, delivery=replace(delivery, attempts=delivery.attempts + 1))


def png(width: int, height: int, color: str = "teal") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), color).save(data, "PNG")
    return data.getvalue()
