"""How long a platform waits for its first sign, in an idle house and in a saturated one, in turn.

Saturated: as many chats as the language model has rows want replies that stream, so that it never rests, and the
picture thread paints without a pause. The language model is a real one, of 125 million random parameters in Q8_0;
its tokens are few, as they are on two cores, and a person's draft grows as it would. The pictures come from real
diffusers with a tiny SDXL, in as many steps as a real one takes. The platforms, and whoever asks, are in this
process; the house is in another.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.bot.town import Town, nursery
from tests.models.gguf import make_large
from tests.models.sdxl import write_sdxl
from tests.servers import discord, telegram

IDLE, BUSY = "idle", "saturated"
PROBERS = 20
#: The load begins over so many seconds.
SPREAD = 3.0
EVERY = 0.1
#: Of a picture; the tiny model takes a few seconds for it, as a real one does on a GPU.
SIDE, STEPS = 512, 20
#: Of the load, so many have pictures made instead of talking.
PAINTERS = 2
#: A house that takes less than so much of a core does nothing.
AT_REST = 0.2
#: What is left of a reply once its words have stood still for so long is taken for its end.
STILL = 0.6

Samples = dict[str, list[float]]


def percentile(values: Sequence[float], part: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * part))]


@dataclass
class Taken:
    """Seconds until the acknowledgement, by what was asked, of each state of the house."""

    idle: Samples = field(default_factory=dict)
    busy: Samples = field(default_factory=dict)
    round_trips: list[float] = field(default_factory=list)
    streamed: int = 0
    pictures: int = 0
    unanswered: int = 0
    #: Of a core, how much the house's loop took, and all of its threads.
    cores: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {IDLE: [], BUSY: []})
    broken: dict[str, int] = field(default_factory=dict)

    def of(self, state: str) -> Samples:
        return self.idle if state == IDLE else self.busy

    def pooled(self, state: str) -> list[float]:
        return [one for values in self.of(state).values() for one in values]

    def p99(self, state: str) -> float:
        return percentile(self.pooled(state), 0.99)

    def worst(self) -> float:
        """The ratio of the kind that suffers most."""
        return max(
            percentile(self.busy[kind], 0.99) / percentile(self.idle[kind], 0.99) for kind in self.idle
        )

    def told(self) -> str:
        lines = ["milliseconds to the acknowledgement, p50 and p99:"]
        for kind in self.idle:
            parts = [f"{state} {_line(self.of(state)[kind])}" for state in (IDLE, BUSY)]
            lines.append(f"  {kind:24} {'   '.join(parts)}")
        trip = statistics.median(self.round_trips) * 1e3
        lines.append(f"one loopback round trip: {trip:.1f} ms, while idle")
        lines.append(f"the load: {self.streamed} replies streamed, {self.pictures} pictures painted")
        for state, shares in self.cores.items():
            loop, whole = (statistics.median(part) for part in zip(*shares, strict=True))
            lines.append(
                f"the house while {state}: its loop took {loop:.0%} of a core, all its threads {whole:.0%}"
            )
        lines.append(f"never acknowledged: {self.unanswered}; broken rules: {self.broken or 'none'}")
        return "\n".join(lines)


def _line(values: Sequence[float]) -> str:
    middle, late = (percentile(values, part) * 1e3 for part in (0.5, 0.99))
    return f"{middle:6.1f} {late:7.1f} ({len(values)} taken)"


@dataclass
class Stage:
    """People who ask now and then, and are timed; and people who keep the house busy."""

    town: Town
    taken: Taken
    chats: list[tuple[telegram.Chat, telegram.Person, telegram.Message | None]] = field(default_factory=list)
    channels: list[tuple[discord.Channel, discord.Person, discord.Message | None]] = field(
        default_factory=list
    )
    crowd: list[tuple[telegram.Chat, telegram.Person]] = field(default_factory=list)
    crowd_there: list[tuple[discord.Channel, discord.Person]] = field(default_factory=list)

    async def settle(self, load: int) -> None:
        """Everybody is known to the house, and those who are timed have a picture with buttons."""
        town, bot = self.town, self.town.telegram_bot
        for number in range(load):
            person = town.telegram.person(f"Load {number}")
            self.crowd.append((town.telegram.private(bot, person, started=True), person))
            other = town.discord.person(f"Load {number}")
            self.crowd_there.append((town.discord.dm(town.discord_bot, other), other))
        await asyncio.gather(*[self._prober(number) for number in range(PROBERS)])

    async def _prober(self, number: int) -> None:
        town, bot = self.town, self.town.telegram_bot
        person, other = town.telegram.person(f"Probe {number}"), town.discord.person(f"Probe {number}")
        chat, dm = town.telegram.private(bot, person, started=True), town.discord.dm(town.discord_bot, other)
        await asyncio.sleep(number * 0.2)
        await chat.says(person, "/imagine a lamp --size 64x64")
        asked = await dm.command(other, "imagine", scene="a lamp", size="64x64")
        await town.until(lambda: [one for one in chat.said_by(bot) if one.button("Show prompt")], 120)
        await town.until(lambda: asked.response and asked.response.attachments, 120)
        picture = next(one for one in chat.said_by(bot) if one.button("Show prompt"))
        self.chats.append((chat, person, picture))
        self.channels.append((dm, other, asked.response))

    async def rests(self) -> None:
        """Until the house has nothing to do: a long reply's first message is there before its words are at an end."""
        while True:
            before, began = self._spent(), time.monotonic()
            await asyncio.sleep(1.0)
            if self._spent()[1] - before[1] < AT_REST * (time.monotonic() - began):
                return

    # Whoever is timed.

    async def probe(self, state: str, seconds: float) -> None:
        """Ask again and again, everybody in turn."""
        before, began = self._spent(), time.monotonic()
        await self._probe(state, seconds)
        loop, whole = (now - then for now, then in zip(self._spent(), before, strict=True))
        took = time.monotonic() - began
        self.taken.cores[state].append((loop / took, whole / took))

    def _spent(self) -> tuple[float, float]:
        """Seconds of CPU that the house took so far: its loop, and all of it."""
        assert self.town.nursery
        assert self.town.nursery.house
        house = psutil.Process(self.town.nursery.house)
        threads = {one.id: one.user_time + one.system_time for one in house.threads()}
        children = [one.cpu_times() for one in house.children(recursive=True)]
        return threads[house.pid], sum(threads.values()) + sum(one.user + one.system for one in children)

    async def _probe(self, state: str, seconds: float) -> None:
        until, asked = time.monotonic() + seconds, 0
        probes: list[asyncio.Task[None]] = []
        kinds: list[Callable[[int], Coroutine[Any, Any, tuple[str, float]]]] = [
            self.says,
            self.presses,
            self.orders,
            self.presses_there,
        ]
        while time.monotonic() < until:
            kind = kinds[asked % len(kinds)]
            probes.append(asyncio.create_task(self._timed(kind, asked // len(kinds) % PROBERS, state)))
            asked += 1
            await asyncio.sleep(EVERY)
        await asyncio.gather(*probes)

    async def _timed(
        self, kind: Callable[[int], Coroutine[Any, Any, tuple[str, float]]], number: int, state: str
    ) -> None:
        try:
            name, seconds = await kind(number)
        except TimeoutError:
            self.taken.unanswered += 1
            return
        self.taken.of(state).setdefault(name, []).append(seconds)

    async def says(self, number: int) -> tuple[str, float]:
        """A message, until Telegram is told that it may forget it."""
        chat, person, _ = self.chats[number]
        box, began = self.town.telegram_bot.mailbox, time.monotonic()
        await chat.says(person, "/queue")
        update = box.log[-1]["update_id"]
        await self.town.telegram.until(lambda _: all(one.id != update for one in box.pending))
        return "Telegram: a message", time.monotonic() - began

    async def presses(self, number: int) -> tuple[str, float]:
        chat, person, picture = self.chats[number]
        assert picture
        press = await chat.presses(person, picture, "Show prompt")
        return "Telegram: a button", (await press.answered()).at - press.at

    async def orders(self, number: int) -> tuple[str, float]:
        channel, person, _ = self.channels[number]
        one = await (await channel.command(person, "queue")).until_acknowledged()
        return "Discord: a command", one.seconds_to_acknowledge or 0.0

    async def presses_there(self, number: int) -> tuple[str, float]:
        channel, person, picture = self.channels[number]
        assert picture
        one = await (await channel.presses(person, picture, "Show prompt")).until_acknowledged()
        return "Discord: a button", one.seconds_to_acknowledge or 0.0

    # Whoever keeps it busy.

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Until the block ends; then until everything that was begun is done."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for chat, person in self.crowd[PAINTERS:]:
                group.create_task(self._talks(chat, person, stop))
            for channel, other in self.crowd_there:
                group.create_task(self._talks_there(channel, other, stop))
            for chat, person in self.crowd[:PAINTERS]:
                group.create_task(self._paints(chat, person, stop))
            await asyncio.sleep(SPREAD)
            try:
                yield
            finally:
                stop.set()

    async def _talks(self, chat: telegram.Chat, person: telegram.Person, stop: asyncio.Event) -> None:
        bot = self.town.telegram_bot
        await asyncio.sleep(random.uniform(0, SPREAD))
        while not stop.is_set():
            # Drafts are none of the messages of a private chat: what is said there is said to its end.
            more = grown(lambda: len(chat.said_by(bot)))
            await chat.says(person, "Tell me of the sea, the roof and the kettle, and do not stop")
            await chat.until(more, within=300)
            self.taken.streamed += 1

    async def _talks_there(
        self, channel: discord.Channel, person: discord.Person, stop: asyncio.Event
    ) -> None:
        await asyncio.sleep(random.uniform(0, SPREAD))
        while not stop.is_set():
            more = grown(lambda: len(channel.messages), by=2)
            await channel.says(person, "Tell me of the sea, the roof and the kettle, and do not stop")
            await channel.until(more, within=300)
            await self._stands_still(channel)
            self.taken.streamed += 1

    async def _stands_still(self, channel: discord.Channel) -> None:
        """Its last message is a draft for as long as it grows."""
        words, before = channel.messages[-1].content, ""
        while words != before:
            await asyncio.sleep(STILL)
            words, before = channel.messages[-1].content, words

    async def _paints(self, chat: telegram.Chat, person: telegram.Person, stop: asyncio.Event) -> None:
        bot = self.town.telegram_bot

        def done() -> int:
            return len([one for one in chat.said_by(bot) if one.button("Show prompt")])

        while not stop.is_set():
            more = grown(done, by=2)
            # More in line than one, so that the thread never waits for the next.
            await chat.says(person, "/imagine a lamp by the window --count 4")
            await chat.says(person, "/imagine a lamp in the rain --count 4")
            await chat.until(more, within=300)
            self.taken.pictures += 8


def grown(count: Callable[[], int], by: int = 1) -> Callable[[object], bool]:
    """Whether there are so many more of something than there are now."""
    enough = count() + by
    return lambda _place: count() >= enough


async def take(rounds: int, seconds: float, load: int, *, isolated: bool = False) -> Taken:
    """So many rounds of an idle phase and a saturated one."""
    taken = Taken()
    with nursery() as houses, tempfile.TemporaryDirectory() as folder:
        async with Town(Path(folder) / "home", houses, scale=1.0) as town:
            model = await asyncio.to_thread(make_large, Path(folder) / "talker.gguf")
            weights = await asyncio.to_thread(write_sdxl, Path(folder) / "painter")
            await town.open(model=str(model), isolated=isolated, weights=str(weights), side=SIDE, steps=STEPS)
            stage = Stage(town, taken)
            await stage.settle(load)
            for _round in range(rounds):
                taken.round_trips += await round_trips(town)
                await stage.rests()
                await stage.probe(IDLE, seconds)
                async with stage.load():
                    await stage.probe(BUSY, seconds)
            await town.close()
            taken.broken = town.broken
    return taken


async def round_trips(town: Town, count: int = 20) -> list[float]:
    """What asking and being answered costs here, with nothing behind it."""
    taken = []
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            began = time.monotonic()
            async with session.get(f"{town.telegram.url}/bot{town.telegram_bot.token}/getMe") as answer:
                await answer.read()
            taken.append(time.monotonic() - began)
    return taken
