"""A town: both platforms on loopback, in this process, and a house with a bot on each of them, in a process that can
be killed. Who lives there and what happens is for the tests and the benches.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Self

from bot.fronts import configured_fronts
from bot.house import House, open_house
from engine.language import LanguageModel
from engine.pictures import Renderer
from engine.testing import FakeRenderer
from tests.bot.fronts_house import END, Echo, Life
from tests.servers.discord import Bot as DiscordBot
from tests.servers.discord import Channel, DiscordServer, pointed_at
from tests.servers.telegram import Bot as TelegramBot
from tests.servers.telegram import Chat, TelegramServer
from tests.surroundings import bare

ROOT = Path(__file__).parents[2]
#: Until something is there that has to come, on a machine that has other things to do as well.
PATIENCE = 60.0


class Nursery:
    """The process that houses are born from, and what it tells."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.bot.fronts_house"],
            cwd=ROOT,
            env=bare(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told: Queue[dict[str, Any]] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        #: The house that lives now.
        self.house: int | None = None

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._told.put(json.loads(line))

    async def told(self, what: str, within: float = PATIENCE) -> Any:
        """Wait until it tells of this; what else it tells meanwhile is of no use any more."""
        async with asyncio.timeout(within):
            while True:
                try:
                    said = self._told.get_nowait()
                except Empty:
                    await asyncio.sleep(0.005)
                    continue
                if "ended" in said:
                    self.house = None
                if what in said:
                    return said[what]

    async def bear(self, life: Life) -> int:
        assert self.house is None, "one house at a time"
        assert self._process.stdin
        self._process.stdin.write(f"{life.written()}\n")
        self._process.stdin.flush()
        self.house = int(await self.told("born"))
        return self.house

    async def end(self, number: int = signal.SIGKILL) -> int:
        """Send the house a signal, and answer how it ended."""
        if self.house is None:
            return 0
        os.kill(self.house, number)
        return int(await self.told("ended"))

    async def tasks(self) -> list[str]:
        """What runs in the house."""
        assert self.house is not None
        os.kill(self.house, signal.SIGUSR1)
        return list(await self.told("tasks"))

    def close(self) -> None:
        if self.house is not None:
            os.kill(self.house, signal.SIGKILL)
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout
        self._process.stdout.close()


@contextmanager
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    try:
        yield made
    finally:
        made.close()


class FastClock:
    """Runs so much faster: what waits a second waits `scale` seconds."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._began = time.monotonic()
        self._start = datetime.now(UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) / self._scale

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) * self._scale)


def with_its_number(server: DiscordServer, bot: DiscordBot) -> DiscordBot:
    """Give a bot a token like Discord's, whose first part is the bot's number."""
    first = base64.urlsafe_b64encode(str(bot.id).encode()).decode().rstrip("=")
    del server.world.bots[bot.token]
    bot.token = f"{first}.Gr33nr.{'loopback' * 4}"
    server.world.bots[bot.token] = bot
    return bot


@dataclass
class Town:
    """Enter it, make people and places on `telegram` and `discord`, and `open` the house."""

    home: Path
    #: Where houses are born; a town without one can only have a house `inside`.
    nursery: Nursery | None = None
    scale: float = 0.2
    telegram: TelegramServer = field(init=False)
    discord: DiscordServer = field(init=False)
    telegram_bot: TelegramBot = field(init=False)
    discord_bot: DiscordBot = field(init=False)
    life: Life = field(init=False)
    _identified_at: float = float("-inf")

    async def __aenter__(self) -> Self:
        self.telegram = await TelegramServer(scale=self.scale).__aenter__()
        self.discord = await DiscordServer(scale=self.scale).__aenter__()
        self.telegram_bot = self.telegram.bot()
        self.discord_bot = with_its_number(self.discord, self.discord.bot())
        self.life = Life(
            home=str(self.home),
            telegram_api=self.telegram.url,
            telegram_tokens=(self.telegram_bot.token,),
            discord_api=self.discord.url,
            discord_tokens=(self.discord_bot.token,),
            hurry=self.scale,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.nursery:
            await self.nursery.end()
        await self.telegram.__aexit__(kind, error, trace)
        await self.discord.__aexit__(kind, error, trace)

    @property
    def broken(self) -> dict[str, int]:
        """Every broken rule, of both platforms."""
        self.telegram.settle()
        return {f"telegram: {name}": count for name, count in self.telegram.broken.items()} | {
            f"discord: {name}": count for name, count in self.discord.broken.items()
        }

    @property
    def breaches(self) -> list[object]:
        return [*self.telegram.breaches, *self.discord.breaches]

    def life_with(self, **changes: Any) -> Life:
        """The life that houses have here, but for these."""
        return replace(self.life, **changes)

    async def open(self, **changes: Any) -> None:
        """A new life of the house; it hears both platforms when this returns."""
        assert self.nursery
        loop = asyncio.get_running_loop()
        # Whoever logs in to Discord again too soon after a crash is sent away, and counted.
        await asyncio.sleep(self._identified_at + 5.5 * self.scale - loop.time())
        life, hears = replace(self.life, **changes), self._opening()
        await self.nursery.bear(life)
        await self.until(lambda: hears(life))
        self._identified_at = loop.time()

    @asynccontextmanager
    async def inside(
        self, models: Sequence[LanguageModel] = (), renderer: Renderer | None = None, **changes: Any
    ) -> AsyncIterator[House]:
        """A house in this process, whose clock runs as fast as the platforms' limits."""
        life, hears = replace(self.life, **changes), self._opening()
        settings, clock = life.settings(), FastClock(self.scale)
        with pointed_at(self.discord):
            fronts = configured_fronts(settings, hurry=self.scale)
            async with open_house(
                settings, fronts, models=models or [Echo()], renderer=renderer or FakeRenderer(), clock=clock
            ) as house:
                await self.until(lambda: hears(life))
                yield house

    def _opening(self) -> Callable[[Life], bool]:
        """Whether a house that is about to open has come to hear the platforms for whose bots it has tokens."""
        polls = self.telegram.calls["getUpdates"]
        known = {one.id for one in self.discord.gateway.sessions(self.discord_bot)}

        def hears(life: Life) -> bool:
            # Whoever has much to hear asks again at once: there may be no moment in which a poll waits.
            polled = self.telegram.calls["getUpdates"] > polls
            sessions = self.discord.gateway.sessions(self.discord_bot)
            there = [one for one in sessions if one.connection and one.id not in known]
            hears_telegram = polled or self.telegram_bot.token not in life.telegram_tokens
            hears_discord = bool(there and self.discord_bot.commands)
            return hears_telegram and (hears_discord or self.discord_bot.token not in life.discord_tokens)

        return hears

    async def kill(self) -> None:
        """`kill -9`. What was on the screens at that moment is held against nobody."""
        assert self.nursery
        assert await self.nursery.end() == -signal.SIGKILL
        self.forgive()

    async def dies(self) -> None:
        """Wait until the house dies where it was told to."""
        assert self.nursery
        assert await self.nursery.told("ended") == -signal.SIGKILL
        self.forgive()

    def forgive(self) -> None:
        self.telegram.forgive_drafts()
        self.telegram.forgive_queries()

    async def close(self) -> int:
        """SIGTERM: an orderly end."""
        assert self.nursery
        return await self.nursery.end(signal.SIGTERM)

    def owes_nothing(self) -> bool:
        """Whether all that was owed is known to be shown: what is held from here on is no older call."""
        with closing(sqlite3.connect(f"file:{self.home / 'greenroom.db'}?mode=ro", uri=True)) as rows:
            [[owed]] = rows.execute(
                "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')"
            ).fetchall()
        return bool(owed == 0)

    async def until(self, met: Callable[[], object], within: float = PATIENCE) -> None:
        """Look again and again."""
        async with asyncio.timeout(within):
            while not met():  # noqa: ASYNC110 - what happens in another process rings no bell here
                await asyncio.sleep(0.01)


# What is to be seen.


def telegram_answers(chat: Chat, bot: TelegramBot, token: str) -> list[str]:
    """What the bot answered to the words with this token."""
    return [one.words for one in chat.said_by(bot) if f"heard {token}," in one.words]


def discord_answers(channel: Channel, token: str) -> list[str]:
    return [one.content for one in channel.messages if f"heard {token}," in one.content]


def whole(answers: list[str]) -> list[str]:
    """Those that are written to their end."""
    return [one for one in answers if one.rstrip().endswith(END)]
