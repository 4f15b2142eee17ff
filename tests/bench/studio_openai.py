"""What /v1/chat/completions costs: seconds a token, for a program in another process, over those in the house itself.

The same house, the same model and the same talks on both sides, in turn. The model never comes to an end by itself,
and each of its tokens is seen. Time goes from the first words to the last: reading the prompt is no part of it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

from bot.house import House, open_house
from bot.logs import keep_quiet
from engine.conversation import Draft
from engine.language.local import Local
from engine.language.shelf import plan_for
from engine.settings import LanguageSettings, LimitSettings, PictureSettings, Settings, WebSettings
from engine.speaking import Elsewhere
from engine.store.records import Account, Scope
from engine.testing import FakeRenderer
from personas.prompting import Line
from tests.bench.engine import ROOT
from tests.bench.harness import Figure
from tests.bench.language_ours import Ours, watched
from tests.bot.web.visitors import a_key

WHO, WORDS = "glenys", "Tell me of the light, and of the ships."
#: So many talk at once in the second figure.
TALKS = 8
#: What takes longer than this many seconds will not end.
PATIENCE = 600.0


@dataclass(frozen=True)
class Took:
    """Of one answer: seconds to the first words, seconds from there to the last, and how many tokens it had."""

    first: float
    rest: float
    tokens: int

    @property
    def each(self) -> float:
        return self.rest / (self.tokens - 1)


def take_openai(folder: Path, path: Path, *, rounds: int, most: int) -> tuple[list[Figure], str]:
    keep_quiet()
    language = LanguageSettings(threads=1, reply_tokens=most, gpu_layers=0)
    settings = Settings(
        home=folder / "home",
        language=language,
        pictures=PictureSettings(models="off", width=64, height=64, steps=3),
        limits=LimitSettings(messages_per_minute=100_000, place_messages_per_minute=100_000),
        web=WebSettings(port=0),
    )
    taken = asyncio.run(_taken(settings, path, rounds, most))
    figures, notes = [], []
    for talks, sides in taken.items():
        ratio = statistics.median(
            _each(through) / _each(own) for through, own in zip(sides["through"], sides["own"], strict=True)
        )
        who = "one talk" if talks == 1 else f"{talks} talks at once"
        name = f"/v1/chat/completions ÷ the engine's own stream, seconds a token, {who}"
        figures.append(Figure(name, ratio, "≤ 1.3", "lower", "1: nothing stands between"))
        through, own = (statistics.median(map(_each, sides[side])) for side in ("through", "own"))
        first, own_first = (
            statistics.median(statistics.median(one.first for one in took) for took in sides[side])
            for side in ("through", "own")
        )
        notes.append(
            f"{who}: {through * 1e3:.3f} ms a token over {own * 1e3:.3f}; first words after "
            f"{first * 1e3:.1f} ms over {own_first * 1e3:.1f}"
        )
    return figures, "\n".join(notes)


def _each(took: list[Took]) -> float:
    return statistics.median(one.each for one in took)


Sides = dict[str, list[list[Took]]]


async def _taken(settings: Settings, path: Path, rounds: int, most: int) -> dict[int, Sides]:
    ours = Ours(watched(plan_for(settings.language, path)))
    prompts = resources.files("data") / "prompts"
    casting, picture = ((prompts / f"{name}.v1.txt").read_text() for name in ("casting", "picture"))
    local = Local(ours.scribe, settings.language, casting=casting, picture=picture)
    taken: dict[int, Sides] = {talks: {"through": [], "own": []} for talks in (1, TALKS)}
    async with open_house(settings, models=[local], renderer=FakeRenderer()) as house:
        word, _ = await a_key(house.engine, Scope.CHAT)
        async with program(house.address.url, word) as other:
            for talks, sides in taken.items():
                # What is read once is read before.
                await other.asks(talks, most)
                await _own(house, talks, most)
                for _ in range(rounds):
                    sides["through"].append(await other.asks(talks, most))
                    sides["own"].append(await _own(house, talks, most))
    return taken


async def _own(house: House, talks: int, most: int) -> list[Took]:
    return list(await asyncio.gather(*(_own_answer(house, talk, most) for talk in range(talks))))


async def _own_answer(house: House, talk: int, most: int) -> Took:
    """The engine's own stream of the same words."""
    speaking = house.engine.speaking
    began, times = time.perf_counter(), [0.0, 0.0]

    def told(_text: str) -> None:
        times[1] = time.perf_counter()
        times[0] = times[0] or times[1]

    account = Account("web", "bench")
    said = Elsewhere(WHO, (Line(False, f"{WORDS} {talk}"),), account, seed=talk, most=most)
    wanted = await speaking.wanted(said)
    written = await speaking.write(wanted, Draft(told))
    assert written.model == "bench"
    assert wanted.tally is not None
    return Took(times[0] - began, times[1] - times[0], wanted.tally.written)


# The other program


class Program:
    """Whoever asks, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def asks(self, talks: int, most: int) -> list[Took]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([talks, most])}\n".encode())
        async with asyncio.timeout(PATIENCE):
            told = json.loads(await self._process.stdout.readline())
        return [Took(*one) for one in told]


@asynccontextmanager
async def program(url: str, key: str) -> AsyncIterator[Program]:
    command = [sys.executable, "-m", "tests.bench.studio_openai", url, key]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        await process.wait()


async def _ask(url: str, key: str) -> None:
    """What the other process does, for each line that it is told."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            talks, most = json.loads(line)
            took = await asyncio.gather(*(_answer(client, url, talk, most) for talk in range(talks)))
            print(json.dumps(took), flush=True)


async def _answer(client: httpx.AsyncClient, url: str, talk: int, most: int) -> tuple[float, float, int]:
    body: dict[str, Any] = {
        "model": WHO,
        "messages": [{"role": "user", "content": f"{WORDS} {talk}"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": talk,
        "max_tokens": most,
    }
    began, first, last, heard = time.perf_counter(), 0.0, 0.0, b""
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            heard += chunk
            if b'"delta":{"content":' in chunk:
                last = time.perf_counter()
                first = first or last
    assert heard.rstrip().endswith(b"data: [DONE]"), heard[-500:]
    usage = json.loads(heard.rstrip().split(b"\n\n")[-2].removeprefix(b"data: "))["usage"]
    return first - began, last - first, int(usage["completion_tokens"])


if __name__ == "__main__":
    asyncio.run(_ask(sys.argv[1], sys.argv[2]))
