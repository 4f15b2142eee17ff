"""A desk that writes down what the front tells it, and a house to run one bot against the loopback server."""

from __future__ import annotations

import asyncio
import base64
import io
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from bot.discord.front import DiscordFront, Here
from bot.front import (
    ChatRef,
    Choice,
    Entry,
    Face,
    Incoming,
    Option,
    OptionKind,
    Outgoing,
    Question,
    Reaction,
)
from engine.locales import locale_of
from engine.store.records import Button, Delivery, DeliveryKind, DeliveryState, Manner
from tests.bot.on_discord.emojis import emoji_routes
from tests.servers.discord import Bot, Channel, DiscordServer, Guild, Person, pointed_at

#: The server's limits and our waits are this much shorter.
SCALE = 0.05
COMMANDS = "GET /applications/{application}/commands"
MENU = (
    Entry(
        "imagine",
        "Make a picture",
        (
            Option("scene", "What it shows"),
            Option("style", "How it looks", OptionKind.STYLE, flag="style"),
            Option("count", "How many", OptionKind.NUMBER, flag="count", least=1, most=4),
            Option(
                "shape",
                "How it stands",
                OptionKind.CHOICE,
                flag="shape",
                choices=(Choice("wide", "Wide"), Choice("tall", "Tall")),
            ),
        ),
    ),
    Entry(
        "persona",
        "Who is there",
        parts=(
            Entry("list", "Everybody", quiet=True),
            Entry("use", "Call somebody", (Option("name", "Whom", OptionKind.PERSONA, required=True),)),
        ),
    ),
    Entry("help", "What there is", quiet=True),
    Entry("status", "How it stands", operators_only=True),
    Entry("settings", "How it is here"),
)


class RecordingDesk:
    """A `FrontDesk`. `troubles` are raised by `hear`, one after the other; `answers` is what happens in it."""

    def __init__(self) -> None:
        self.heard: list[Incoming] = []
        self.reactions: list[Reaction] = []
        self.gone: list[ChatRef] = []
        self.troubles: deque[Exception] = deque()
        self.answers: Callable[[Incoming], Awaitable[None]] | None = None
        self.asks: dict[str, tuple[str, Question]] = {}
        self.thinks_about_asking: Callable[[], Awaitable[None]] | None = None
        self.entries: Sequence[Entry] = MENU
        self._changed = asyncio.Event()

    async def hear(self, incoming: Incoming) -> None:
        if self.troubles:
            raise self.troubles.popleft()
        if self.answers:
            await self.answers(incoming)
        self.heard.append(incoming)
        self._ring()

    async def react(self, reaction: Reaction) -> None:
        self.reactions.append(reaction)
        self._ring()

    async def moved(self, old: ChatRef, new: ChatRef) -> None:
        raise AssertionError("nothing moves on Discord")

    async def left(self, chat: ChatRef) -> None:
        self.gone.append(chat)
        self._ring()

    def stop(self, chat: ChatRef) -> bool:
        return False

    def menu(self, language: str) -> Sequence[Entry]:
        return self.entries if language == "en" else [_german(entry) for entry in self.entries]

    def languages(self) -> Sequence[str]:
        return ("en", "de")

    async def suggestions(self, kind: OptionKind, typed: str, incoming: Incoming) -> Sequence[Choice]:
        return [one for one in (Choice("noir", "Noir"), Choice("oil", "Oil")) if typed in one.value]

    async def question(self, incoming: Incoming) -> tuple[str, Question] | None:
        if self.thinks_about_asking:
            await self.thinks_about_asking()
        return self.asks.get(incoming.text)

    def says(self, key: str, language: str, **facts: object) -> str:
        return locale_of(language).say(key, **facts)

    async def until(self, met: Callable[[RecordingDesk], object]) -> None:
        async with asyncio.timeout(30):
            while not met(self):
                await self._changed.wait()

    async def one(self) -> Incoming:
        """What was heard, once there is something."""
        await self.until(lambda desk: desk.heard)
        return self.heard[-1]

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _german(entry: Entry) -> Entry:
    options = tuple(replace(option, says=f"{option.says} (de)") for option in entry.options)
    parts = tuple(_german(part) for part in entry.parts)
    return replace(entry, says=f"{entry.says} (de)", options=options, parts=parts)


class FacedServer(DiscordServer):
    """The loopback server with the emojis of applications, where faces are kept."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.emojis: dict[str, dict[str, Any]] = {}

    def _own_routes(self) -> tuple[Any, ...]:
        return (*super()._own_routes(), *emoji_routes(self.emojis))


@dataclass
class House:
    """A server, a guild with somebody in it, and our bot there."""

    server: FacedServer
    desk: RecordingDesk
    bot: Bot
    front: DiscordFront
    mia: Person
    guild: Guild
    general: Channel
    running: asyncio.Task[None] | None = None
    _numbers: list[int] = field(default_factory=lambda: [0])

    async def start(self) -> None:
        asked = self.server.calls[COMMANDS]
        self.running = asyncio.create_task(self.front.run(self.desk))
        await until(lambda: self.running_ended or (self.server.calls[COMMANDS] > asked and self.bot.commands))
        if self.running.done():
            await self.running

    @property
    def running_ended(self) -> bool:
        return self.running is None or self.running.done()

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait([self.running])

    async def again(self) -> None:
        """The process ends, and another one starts."""
        await self.stop()
        # No process starts as quickly as that: Discord would not let it in.
        await asyncio.sleep(5.2 * SCALE)
        self.front = DiscordFront(self.bot.token, shards=1, hurry=SCALE)
        await self.start()

    @property
    def here(self) -> Here:
        """What the front has while it is connected."""
        assert self.front._here is not None
        return self.front._here

    @property
    def dm(self) -> Channel:
        return self.server.dm(self.bot, self.mia)

    def chat(self, channel: Channel | None = None) -> ChatRef:
        there = channel or self.general
        if there.parent is not None:
            return ChatRef("discord", self.front.account, str(there.parent.id), str(there.id))
        return ChatRef("discord", self.front.account, str(there.id))

    def owed(
        self,
        text: str,
        kind: DeliveryKind = DeliveryKind.REPLY,
        *,
        to: Channel | None = None,
        answers: Incoming | None = None,
        manner: Manner | None = None,
        image: bytes = b"",
        face: Face | None = None,
        replaces: Sequence[str] = (),
        unsure: bool = False,
        job: int | None = None,
    ) -> Outgoing:
        self._numbers[0] += 1
        persona = "Ada Quill" if kind is DeliveryKind.REPLY else ""
        delivery = Delivery(
            self._numbers[0],
            self.chat(to),
            kind,
            DeliveryState.SENDING,
            text,
            nonce=f"{self._numbers[0]:016x}",
            created_at=datetime.now(UTC),
            persona_name=persona,
            job_id=job,
            manner=manner or Manner(),
            answers_message=answers.message if answers else "",
            answer_to=answers.answer_to if answers else "",
            unsure=unsure,
            attempts=1,
        )
        return Outgoing(delivery, image=image, face=face, replaces=tuple(replaces))

    async def says(self, text: str, outgoing_to: Channel | None = None) -> tuple[str, ...]:
        return await self.front.deliver(self.owed(text, to=outgoing_to))


@asynccontextmanager
async def house(**settings: Any) -> AsyncIterator[House]:
    """A running front; at the end nothing may have been broken."""
    content = settings.pop("message_content", True)
    async with FacedServer(scale=SCALE, **settings) as server:
        with pointed_at(server):
            bot = server.bot("Greenroom", message_content=content)
            token_of(server, bot)
            mia = server.person("Mia", locale="de")
            guild = server.guild("Studio", bots=[bot], people=[mia], locale="en-GB")
            general = guild.text_channel("general")
            front = DiscordFront(bot.token, shards=1, hurry=SCALE)
            made = House(server, RecordingDesk(), bot, front, mia, guild, general)
            try:
                await made.start()
                yield made
            finally:
                await made.stop()
            assert dict(server.broken) == {}, server.breaches


async def until(met: Callable[[], object]) -> None:
    """Wait for something that rings no bell."""
    for _ in range(1_000):
        if met():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("it did not come to be so")


def token_of(server: DiscordServer, bot: Bot) -> str:
    """Give a bot a token as Discord makes them: with its number in the first part."""
    first = base64.urlsafe_b64encode(str(bot.id).encode()).decode().rstrip("=")
    del server.world.bots[bot.token]
    bot.token = f"{first}.Gabcde.{'x' * 38}"
    server.world.bots[bot.token] = bot
    return bot.token


def face(name: str = "Ada Quill", key: str = "ada-1") -> Face:
    async def picture() -> bytes:
        return png()

    return Face(name, key, picture)


def png(side: int = 16, shade: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 60, 120)).save(buffer, "PNG")
    return buffer.getvalue()


def buttons(*orders: str) -> tuple[tuple[Button, ...], ...]:
    return (tuple(Button(order.title(), order) for order in orders),)
