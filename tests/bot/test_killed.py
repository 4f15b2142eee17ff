"""`kill -9` at many points, again and again on one home: whatever was accepted is answered, made and shown.

Each life of the house ends at a chosen point, or at a random moment; the next one goes on. In the end a life that is
not killed finishes what is left, and every row and file is looked at.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from bot.client import Client, GoneError
from engine.home import Home
from engine.store import tables
from engine.store.database import Database
from engine.store.files import StoredFiles
from tests.bot.house_to_kill import MOMENTS, POINTS
from tests.surroundings import lay_bare

ROOMS = ("kitchen", "hall", "attic")
RANDOM_KILLS = 8
WORKING = "the engine works"
#: What a house does once in its life.
ONCE = (WORKING, "open turns are counted, inside their transaction", "open turns are answered")


@dataclass
class World:
    """What the people outside know: what they sent, and what they were shown in which life."""

    home: Home
    #: (path, key) → what was asked there; all of it, and what nobody has acknowledged yet.
    asked: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    unsure: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    shown: list[tuple[int, str, int]] = field(default_factory=list)
    life: int = 0

    async def ask(self, client: Client, path: str, key: str, **body: Any) -> None:
        """Ask once; if the house dies over it, `ask_again` does so in its next life, under the same key."""
        self.asked[path, key] = self.unsure[path, key] = body
        await client.post(path, key=key, **body)
        del self.unsure[path, key]

    async def ask_again(self, client: Client) -> None:
        for (path, key), body in list(self.unsure.items()):
            await client.post(path, key=key, **body)
            del self.unsure[path, key]

    async def listen(self, client: Client, room: str, life: int) -> None:
        with suppress(GoneError):
            async for message in client.live(f"/chats/{room}/live"):
                if message["is"] == "delivery":
                    self.shown.append((life, room, message["id"]))
                    await client.post(f"/chats/{room}/shown/{message['id']}")


@asynccontextmanager
async def visiting(world: World, dead: asyncio.Event) -> AsyncIterator[Client]:
    """Somebody is on every line for as long as the house lives. Nobody is torn away from it: who is cancelled in the
    midst of connecting leaves a socket behind.
    """
    while (address := world.home.owner()) is None:
        if dead.is_set():
            raise GoneError("it was killed before it opened")
        await asyncio.sleep(0.01)
    client = Client(address)
    listening: list[asyncio.Task[None]] = []
    try:
        for room in ROOMS:
            await client.enter(room, "glenys-prosser")
            listening.append(asyncio.create_task(world.listen(client, room, world.life)))
        yield client
    except GoneError:
        if listening:
            await asyncio.wait(listening, timeout=5.0)
        raise
    finally:
        for task in listening:
            task.cancel()
        for task in listening:
            with suppress(asyncio.CancelledError):
                await task
        await client.close()


async def keep_asking(world: World, dead: asyncio.Event) -> None:
    """Talk, commands and orders, until the house is gone."""
    with suppress(GoneError):
        async with visiting(world, dead) as client:
            await world.ask_again(client)
            for number in range(30):
                key = f"{world.life}-{number}"
                chat = f"/chats/{ROOMS[number % len(ROOMS)]}/turns"
                if number % 6 == 1:
                    await world.ask(client, chat, key, text="/imagine on the pier --count 2 --size 64")
                elif number % 6 == 2:
                    order = {"persona": "glenys-prosser", "scene": "by the sea"}
                    await world.ask(client, "/jobs", key, **order)
                elif number % 6 == 4:
                    await world.ask(client, chat, key, text="/queue")
                else:
                    await world.ask(client, chat, key, text=f"Word {key}")
                await asyncio.sleep(0.01)


class Lives:
    """The process that is killed: each `live` is one life of the house."""

    def __init__(self, process: asyncio.subprocess.Process, world: World) -> None:
        self._process = process
        self._world = world

    async def _told(self) -> dict[str, int]:
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        told: dict[str, int] = json.loads(line)
        return told

    async def live(self, *, point: str, side: str, nth: int, at_most: float) -> bool:
        """One life; True if it ended by itself, at its point."""
        assert self._process.stdin
        self._world.life += 1
        order = json.dumps({"point": point, "side": side, "nth": nth})
        self._process.stdin.write(f"{order}\n".encode())
        await self._process.stdin.drain()
        child = (await self._told())["born"]
        dead = asyncio.Event()
        asking = asyncio.create_task(keep_asking(self._world, dead))
        ending = asyncio.create_task(self._told())
        done, _ = await asyncio.wait({ending}, timeout=at_most)
        if not done:
            os.kill(child, signal.SIGKILL)
        assert (await ending)["ended"] == -signal.SIGKILL
        dead.set()
        await asyncio.wait_for(asking, 30)
        return bool(done)

    async def last(self) -> None:
        """A life without an end: until nobody waits for anything."""
        assert self._process.stdin
        self._world.life += 1
        self._process.stdin.write(b'{"point": "", "side": "", "nth": 0}\n')
        await self._process.stdin.drain()
        child = (await self._told())["born"]
        async with asyncio.timeout(90), visiting(self._world, asyncio.Event()) as client:
            await self._world.ask_again(client)
            while not await self._quiet(client):  # noqa: ASYNC110 - another process becomes quiet
                await asyncio.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        await self._told()

    async def _quiet(self, client: Client) -> bool:
        open_ = [await client.get(f"/chats/{room}/open") for room in ROOMS]
        if any(one["answering"] or one["owed"] or one["jobs"] for one in open_):
            return False
        jobs = (await client.get("/jobs", limit=500))["items"]
        return all(job["state"] in ("done", "failed", "cancelled") for job in jobs)


@asynccontextmanager
async def lives(world: World) -> AsyncIterator[Lives]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("house_to_kill.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ
        | {
            "GREENROOM_HOME": str(world.home.path),
            "GREENROOM_WEB__PORT": "0",
            "GREENROOM_LIMITS__MESSAGES_PER_MINUTE": "1000000",
            "GREENROOM_LIMITS__PLACE_MESSAGES_PER_MINUTE": "1000000",
            "GREENROOM_LIMITS__PICTURES_PER_DAY": "1000000",
            "GREENROOM_LIMITS__PICTURES_WAITING": "1000000",
            "GREENROOM_PICTURES__STEPS": "3",
            "GREENROOM_PICTURES__WIDTH": "64",
            "GREENROOM_PICTURES__HEIGHT": "64",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )
    try:
        yield Lives(process, world)
    finally:
        assert process.stdin
        process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 30)
        if process.returncode is None:
            process.kill()
            await process.wait()


def plan(dice: random.Random) -> list[tuple[str, str]]:
    """Every point once on one of its sides, every moment, and random kills between them."""
    chosen = [(point, dice.choice(["before", "after"])) for point in POINTS if point != WORKING]
    chosen.append((WORKING, "before"))  # there is no after: it works until the house closes
    chosen += [(moment, "") for moment in MOMENTS]
    chosen += [("", "")] * RANDOM_KILLS
    dice.shuffle(chosen)
    return chosen


@pytest.mark.timeout(300)  # some twenty seconds, on a machine that has nothing else to do
async def test_whatever_was_accepted_outlives_every_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_bare(monkeypatch)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    world = World(Home(tmp_path / "home"))
    missed = []
    async with lives(world) as house:
        for point, side in plan(dice):
            nth = 1 if point in ONCE else dice.randint(1, 3)
            patience = 10.0 if point else dice.uniform(0.02, 0.6)
            if not await house.live(point=point, side=side, nth=nth, at_most=patience) and point:
                missed.append((point, side, nth))
        await house.last()
    assert missed == [], "every point was reached"
    await look_at(world)


async def look_at(world: World) -> None:
    rows = await everything(world.home)
    said = {(path.split("/")[2], key) for path, key in world.asked if path != "/jobs"}
    heard = {row.dedup_key: row for row in rows["turns"] if row.dedup_key}
    assert heard.keys() == {f"terminal:home:{room}/{key}" for room, key in said}, "all of it, and once"

    replies = Counter(row.parent_id for row in rows["turns"] if row.persona_id and row.parent_id)
    words = [row for row in heard.values() if row.kind == "words"]
    assert {row.state for row in heard.values()} == {"answered"}
    assert {row.id: replies[row.id] for row in words} == {row.id: 1 for row in words}
    assert sum(replies.values()) == len(words), "nobody answers what was not said"

    owed = rows["deliveries"]
    assert {row.state for row in owed} == {"sent"}
    told = Counter(row.turn_id for row in owed if row.turn_id)
    said_by_persona = [row.id for row in rows["turns"] if row.persona_id and row.parent_id]
    assert told == Counter(said_by_persona), "each reply is owed once"

    by_turn = Counter(row.turn_id for row in rows["jobs"] if row.turn_id)
    imagined = [row.id for row in heard.values() if row.text.startswith("/imagine")]
    assert by_turn == Counter(imagined), "each wish is one job"
    orders = Counter(row.dedup_key for row in rows["jobs"] if not row.turn_id)
    assert orders == Counter(f"api:{key}" for path, key in world.asked if path == "/jobs")
    assert {row.state for row in rows["jobs"]} == {"done"}
    assert rows["queue_entries"] == []

    made = Counter(row.job_id for row in rows["pictures"])
    assert made == Counter({row.id: row.request["count"] for row in rows["jobs"]})
    shown = Counter(row.job_id for row in owed if row.kind == "picture")
    assert shown == Counter(row.id for row in rows["jobs"] if row.chat_id)
    announced = Counter(row.job_id for row in owed if row.kind == "notice" and row.job_id)
    assert announced == Counter(row.id for row in rows["jobs"] if row.chat_id)
    files = StoredFiles.in_folder(world.home.files)
    for row in rows["pictures"]:
        with Image.open(BytesIO(await files.get(row.file))) as picture:
            picture.load()
            assert picture.size == (row.width, row.height)

    look_at_what_was_shown(world, {row.id for row in owed})


def look_at_what_was_shown(world: World, owed: set[int]) -> None:
    assert {delivery for _, _, delivery in world.shown} == owed
    seen: set[int] = set()
    again: Counter[tuple[int, str]] = Counter()
    last: dict[str, int] = {}
    for life, room, delivery in world.shown:
        if delivery in seen:
            again[life, room] += 1
            continue
        seen.add(delivery)
        assert delivery > last.get(room, 0), "in each chat in order"
        last[room] = delivery
    assert set(again.values()) <= {1}, "at most one is shown again in a chat after a kill"


async def everything(home: Home) -> dict[str, list[Any]]:
    database = await Database.open(f"sqlite:///{home.path / 'greenroom.db'}")
    try:
        async with database.read() as tx:
            return {
                table.name: list((await tx.execute(select(table))).all())
                for table in tables.metadata.sorted_tables
            }
    finally:
        await database.close()
