"""Words and pictures at once: what each loses while the other works, and how long somebody waits for a first word.

The chat is a real GGUF through the house's own shelf, the pictures are the tiny SDXL through the house's own worker.
A piece of text counts as a token, and a step as its share of a picture: both are counted over the same seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from engine.engine import Engine
from engine.errors import BadRequest
from engine.imagining import Wish
from engine.language import ReplyWanted
from engine.settings import LanguageSettings
from engine.store import jobs
from engine.store.records import JobState
from personas import prompting
from tests.bench.harness import Figure, median
from tests.bench.language_bench import words
from tests.bench.pictures_house import (
    PATIENCE,
    Asker,
    Bench,
    ask,
    askers,
    composed,
    p95,
    prompt,
    sdxl,
    settings_of,
)
from tests.working import working

Answer = TypeVar("Answer")

#: So many talk at once, each with a reply after the other.
TALKS = 4
#: Words of what is said; and the longest reply, in tokens.
SAID, REPLY = 24, 256
#: So many pictures stand in line, while there is a line.
WAITING = 6


def _none() -> float:
    return 0.0


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    seconds: float
    asks: int
    side: int
    steps: int


@dataclass(frozen=True)
class Round:
    """Of a few seconds each: tokens and pictures a second, alone and together."""

    chat: float
    pictures: float
    chat_beside: float
    pictures_beside: float

    @property
    def sum(self) -> float:
        return self.chat_beside / self.chat + self.pictures_beside / self.pictures


@dataclass
class Stage:
    """A house on which both can be set to work."""

    engine: Engine
    asker: Asker
    load: Load
    _talks: count[int] = field(default_factory=count)
    _pictures: count[int] = field(default_factory=count)

    async def pieces(self, talk: int) -> AsyncGenerator[str, None]:
        """What the persona says to somebody who comes anew; the persona itself was read before."""
        line = prompting.Line(False, words(f"talk {talk}", SAID), "Ana")
        persona = self.asker.record.persona
        shared = prompting.shared_part(persona, "You are {{char}}.")
        segments = prompting.segments(persona, [line], shared=shared, person_name="Ana", room_chars=24_000)
        wanted = ReplyWanted(persona, (line,), "Ana", segments, seed=talk, talk=f"talk {talk}")
        [model] = await self.engine.shelf.for_(wanted)
        async with aclosing(model.write(wanted)) as writing:
            async for piece in writing:
                yield piece

    async def first(self) -> float:
        """Seconds until somebody who says something sees a first word."""
        began = time.perf_counter()
        async with aclosing(self.pieces(next(self._talks))) as saying:
            async for _piece in saying:
                return time.perf_counter() - began
        raise RuntimeError("nothing was said")

    async def speeds(self, *, chat: bool, pictures: bool) -> tuple[float, float]:
        """Tokens and pictures a second, while these go on."""
        tokens = 0

        async def talk() -> None:
            nonlocal tokens
            while True:
                async with aclosing(self.pieces(next(self._talks))) as saying:
                    async for _piece in saying:
                        tokens += 1

        talking = [asyncio.create_task(talk()) for _ in range(TALKS if chat else 0)]
        try:
            async with self.painting() if pictures else nullcontext(_none) as painted:
                await self._settled(lambda: tokens, chat)
                before, done, began = tokens, painted(), time.perf_counter()
                await asyncio.sleep(self.load.seconds)
                if chat != pictures:  # a busy machine may take longer for the first of something
                    await self._until(lambda: tokens > before or painted() > done)
                seconds = time.perf_counter() - began
                return (tokens - before) / seconds, (painted() - done) / seconds
        finally:
            for task in talking:
                task.cancel()
            ended = await asyncio.gather(*talking, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    raise error

    async def _settled(self, tokens: Callable[[], int], chat: bool) -> None:
        """Until all who talk have been heard."""
        await self._until(lambda: not chat or tokens() >= TALKS)

    async def _until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not so():  # noqa: ASYNC110 - it is counted, not told
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def painting(self) -> AsyncIterator[Callable[[], float]]:
        """A line of pictures that never ends, until the block does; how many have been made, in parts of one."""
        steps = dict[int, float]()
        room = asyncio.Semaphore(WAITING)

        async def hear() -> None:
            about = ("job.step", "job.ended")
            with self.engine.events.watch(lambda event: event.name in about) as news:
                async for event in news:
                    job = event.about["job"]
                    if event.name == "job.step":
                        steps[job] = event.about["step"] / event.about["steps"]
                        continue
                    if event.about["state"] == JobState.FAILED.value:
                        raise RuntimeError(f"job {job} failed: {event.about['error']}")
                    room.release()

        async def fill() -> None:
            while True:
                await room.acquire()
                await self._picture()

        tasks = [asyncio.create_task(hear()), asyncio.create_task(fill())]

        def painted() -> float:
            for task in tasks:
                if task.done():
                    task.result()  # it ends only by what went wrong
            return sum(steps.values())

        try:
            await self._until(lambda: painted() > 0)
            yield painted
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._empty()

    async def _picture(self) -> None:
        number, load = next(self._pictures), self.load
        wanted = Wish("by the sea", seed=number, width=load.side, height=load.side, steps=load.steps)
        request = await composed(self.engine, self.asker, wanted, prompt(f"picture {number}", 100))
        await ask(self.engine, [(self.asker, request)])

    async def _empty(self) -> None:
        """Whatever waits is called off, and what is being made ends at its next step."""
        for job in await self.engine.database.look(jobs.unfinished):
            with suppress(BadRequest):  # it ended just now
                await self.engine.imagining.cancel(job.id)
        await asyncio.sleep(0.5)

    async def firsts(self, *, pictures: bool) -> list[float]:
        if not pictures:
            return [await self.first() for _ in range(self.load.asks)]
        async with self.painting():
            return [await self.first() for _ in range(self.load.asks)]

    async def round(self) -> Round:
        chat, _ = await self.speeds(chat=True, pictures=False)
        _, pictures = await self.speeds(chat=False, pictures=True)
        both = await self.speeds(chat=True, pictures=True)
        return Round(chat, pictures, *both)


def take_beside(bench: Bench, gguf: Path, load: Load) -> tuple[list[Figure], str]:
    rounds, alone, beside = asyncio.run(_taken(bench, gguf, load))
    shared = bench.device == "cuda"
    told = "≥ 0.95" if shared else "told; ≥ 0.95 on CUDA"
    waits = "≤ 2" if shared else "told; ≤ 2 on CUDA"
    figures = [
        Figure(
            "chat tokens/s and pictures/s running together, each ÷ alone, summed",
            median([one.sum for one in rounds]),
            told,
            "higher",
            "1 on one device; as many as there are processors, on those",
        ),
        Figure(
            "the chat's first token at p95, beside pictures ÷ idle",
            p95(beside) / p95(alone),
            waits,
            "lower",
            "1: nothing is rendered",
        ),
    ]
    lines = [
        f"chat {one.chat:.1f} → {one.chat_beside:.1f} tokens/s, pictures {one.pictures:.2f} → "
        f"{one.pictures_beside:.2f} a second: {one.sum:.2f}"
        for one in rounds
    ]
    notes = "\n".join(
        [
            *lines,
            f"first token: idle median {1e3 * median(alone):.0f} ms, p95 {1e3 * p95(alone):.0f}; beside pictures "
            f"{1e3 * median(beside):.0f}, {1e3 * p95(beside):.0f}; {len(alone)} each",
            f"{TALKS} talks, {gguf.name} with {gguf.stat().st_size / 1e6:.0f} MB; pictures of {load.side}² in "
            f"{load.steps} steps; {load.seconds:g} s each",
        ]
    )
    return figures, notes


async def _taken(bench: Bench, gguf: Path, load: Load) -> tuple[list[Round], list[float], list[float]]:
    language = LanguageSettings(model=str(gguf), threads=bench.threads, reply_tokens=REPLY, patience=600)
    settings = settings_of(bench.home("beside"), language=language)
    rounds: list[Round] = []
    alone: list[float] = []
    beside: list[float] = []
    async with Engine.open(settings, renderer=sdxl(bench)) as engine, working(engine):
        [asker] = await askers(engine, 1)
        stage = Stage(engine, asker, load)
        # The weights of both are loaded, and the persona is read.
        await _within(stage.first())
        await _within(stage.speeds(chat=False, pictures=True))
        for _round in range(bench.rounds):
            rounds.append(await _within(stage.round()))
            alone += await _within(stage.firsts(pictures=False))
            beside += await _within(stage.firsts(pictures=True))
    return rounds, alone, beside


async def _within(what: Coroutine[Any, Any, Answer]) -> Answer:
    async with asyncio.timeout(PATIENCE):
        return await what
