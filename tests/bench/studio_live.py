"""How long it takes from an event in the engine until it is in the page, with many watchers, and what each weighs.

Time: a whole house in this process, and the watchers, who come in as browsers do, in another, on the same clock. A
notice goes through the outbox and becomes a row; a step of a picture is only told. Memory: `greenroom up` by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.asyncio.client import ClientConnection, connect

from bot.house import House, open_house
from bot.logs import keep_quiet
from engine.home import Home
from engine.imagining import Wish
from engine.settings import LanguageSettings, PictureSettings, Settings, WebSettings
from engine.store import chats, outbox, personas
from engine.store.records import ChatRef, DeliveryKind, JobState, Lane
from engine.testing import FakeLanguage, FakeRenderer
from tests.bench.acknowledging import percentile
from tests.bench.engine import GREENROOM, ROOT
from tests.bench.harness import Figure

HOME = ChatRef("web", "home", "home")
#: Between two events, in seconds: more often nothing happens that a person looks at.
EVERY = 0.1
#: What has not come after so many seconds does not come.
PATIENCE = 30.0
#: Watchers that come and go before anything is weighed: for what is loaded on first use.
WARM = 20
#: So long nothing happens before it is weighed.
REST = 3.0

NOTICE, STEP = "a notice, by its row", "a step of a picture"


def take_live(folder: Path, *, watchers: int, events: int) -> tuple[list[Figure], str]:
    keep_quiet()
    settings = Settings(
        home=folder / "home",
        language=LanguageSettings(models="off"),
        pictures=PictureSettings(models="off", width=64, height=64, steps=3),
        web=WebSettings(port=0),
    )
    taken = asyncio.run(_taken(settings, watchers, events))
    weight = asyncio.run(_weight(folder / "quiet", watchers))
    late = [
        Figure(
            f"engine event → in the page, p99, {watchers} watchers: {name} (s)",
            percentile(arrived, 0.99),
            "≤ 0.1",
            "lower",
            "0",
        )
        for name, arrived in taken.items()
    ]
    heavy = Figure(
        f"memory per idle watcher, of {watchers} (KB)", weight, "≤ 50", "lower", "a socket of the kernel's: 4"
    )
    notes = "\n".join(
        f"{name}: {len(arrived)} arrivals, half of them within {percentile(arrived, 0.5) * 1e3:.1f} ms, "
        f"the last within {max(arrived) * 1e3:.1f} ms"
        for name, arrived in taken.items()
    )
    return [*late, heavy], notes


# Time


async def _taken(settings: Settings, watchers: int, events: int) -> dict[str, list[float]]:
    async with open_house(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as house:
        job_id = await _job(house)
        async with audience(house.address.url, watchers) as there:
            sent: dict[str, float] = {}
            for number in range(events):
                sent[f"{NOTICE} {number}"] = await _notice(house, f"{NOTICE} {number}")
                await asyncio.sleep(EVERY)
                sent[f"{STEP} {number + 1}"] = time.monotonic()
                house.engine.events.publish("job.step", job=job_id, step=number + 1, steps=events + 1)
                await asyncio.sleep(EVERY)
            arrived = await there.arrivals(watchers * len(sent))
    assert all(len(arrived[name]) == watchers for name in sent), (
        "somebody was told something not at all, or twice"
    )
    return {
        kind: [at - sent[name] for name in sent if name.startswith(kind) for at in arrived[name]]
        for kind in (NOTICE, STEP)
    }


async def _job(house: House) -> int:
    """A picture that is there, whose steps can be told once more."""
    engine = house.engine
    async with engine.database.write() as tx:
        record = await personas.find(tx, "glenys")
        await chats.add_place(tx, HOME, persona_id=record.id, now=engine.clock.now())
    request = await engine.imagining.compose(record, Wish(scene="a lighthouse"))
    with engine.events.watch(lambda event: event.name == "job.ended") as ended:
        async with engine.database.write() as tx:
            accepted = await engine.imagining.put_in_line(
                tx, request, persona_id=record.id, person=None, lane=Lane.INTERACTIVE, dedup_key="bench"
            )
        engine.imagining.nudge()
        async for event in ended:
            assert event.about["state"] == JobState.DONE.value
            break
    return accepted.job.id


async def _notice(house: House, text: str) -> float:
    """Owe it to the chat; answers when the engine said so."""
    engine = house.engine
    async with engine.database.write() as tx:
        place = await chats.place(tx, HOME)
        assert place is not None
        await outbox.owe(tx, place.id, DeliveryKind.NOTICE, text=text, now=engine.clock.now())
    at = time.monotonic()
    engine.events.publish("notice.stored", chat=HOME)
    return at


# Memory


async def _weight(home: Path, watchers: int) -> float:
    """Kilobytes that the house takes more for each watcher to whom nothing is told."""
    house = await asyncio.create_subprocess_exec(
        str(GREENROOM),
        "up",
        cwd=ROOT,
        env=os.environ
        | {
            "GREENROOM_HOME": str(home),
            "GREENROOM_WEB__PORT": "0",
            "GREENROOM_LANGUAGE__MODELS": "off",
            "GREENROOM_PICTURES__MODELS": "off",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = await _open_at(home)
        async with audience(url, WARM):
            await asyncio.sleep(1)
        await asyncio.sleep(REST)
        before = psutil.Process(house.pid).memory_info().rss
        async with audience(url, watchers):
            await asyncio.sleep(REST)
            after = psutil.Process(house.pid).memory_info().rss
        return (after - before) / 1024 / watchers
    finally:
        house.terminate()
        await house.wait()


async def _open_at(home: Path) -> str:
    async with asyncio.timeout(PATIENCE):
        while (address := Home(home).owner()) is None:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.1)
    return address.url


# Those who watch


class Audience:
    """Many watchers, in a process of their own."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def arrivals(self, expected: int) -> dict[str, list[float]]:
        """When each thing was there, for each of them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{expected}\n".encode())
        async with asyncio.timeout(PATIENCE * 2):
            found: dict[str, list[float]] = json.loads(await self._process.stdout.readline())
        return found


@asynccontextmanager
async def audience(url: str, count: int) -> AsyncIterator[Audience]:
    """So many watch the chat and the jobs for as long as this block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.studio_live",
        url,
        str(count),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=2**26,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE * 2):
            assert await process.stdout.readline() == b"there\n"
        yield Audience(process)
    finally:
        process.kill()
        await process.wait()


async def _watch(url: str, count: int) -> None:
    """What the other process does: open the page, watch, and note when something came, on the machine's clock."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.get(f"{url}/")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    arrived: dict[str, list[float]] = {}
    live = f"{url.replace('http', 'ws', 1)}/api/v1/live"
    shown = {"Cookie": cookie, "Origin": url}
    async with AsyncExitStack() as stack:
        tasks = []
        for _ in range(count):
            socket = await stack.enter_async_context(connect(live, additional_headers=shown, proxy=None))
            for asked in ({"watch": "jobs"}, {"watch": "chat", "chat": "home", "after": 0}):
                await socket.send(json.dumps(asked))
            while json.loads(await socket.recv())["is"] != "caught_up":
                pass
            tasks.append(asyncio.create_task(_note(socket, arrived)))
        print("there", flush=True)
        expected = int(await asyncio.to_thread(sys.stdin.readline) or 0)
        until = time.monotonic() + PATIENCE
        while sum(map(len, arrived.values())) < expected and time.monotonic() < until:  # noqa: ASYNC110 - many fill it
            await asyncio.sleep(0.05)
        print(json.dumps(arrived), flush=True)
        for task in tasks:
            task.cancel()


async def _note(socket: ClientConnection, arrived: dict[str, list[float]]) -> None:
    async for text in socket:
        at = time.monotonic()
        told: dict[str, Any] = json.loads(text)
        if told["is"] == "message":
            arrived.setdefault(told["message"]["text"], []).append(at)
        elif told["is"] == "step":
            arrived.setdefault(f"{STEP} {told['step']}", []).append(at)


if __name__ == "__main__":
    asyncio.run(_watch(sys.argv[1], int(sys.argv[2])))
