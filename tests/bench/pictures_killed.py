"""A thousand jobs of many people in four lanes, and a worker that is killed again and again: what became of each, and
whether those who waited together were begun in the order of their tags. All of it is read from the rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures.fairness import rank_of
from engine.store import jobs, pictures
from engine.store.records import DeliveryKind, Job, JobState, Lane
from tests.bench.harness import Figure
from tests.bench.pictures_encoding import ROOT
from tests.bench.pictures_house import PATIENCE, Asker, Bench, ask, askers, composed, prompt, settings_of
from tests.surroundings import bare

PEOPLE = 20
LANES, HOW_OFTEN = (Lane.INTERACTIVE, Lane.EVENTS, Lane.SCHEDULED, Lane.BACKFILL), (5, 2, 2, 1)
COUNTS, HOW_MANY = (1, 2, 4), (8, 1, 1)
#: Who was in line for so long when another was begun waited together with it.
WAITED = timedelta(seconds=1)
#: A life that works goes on for at least and at most so many seconds.
LIFE = (0.1, 2.0)


@dataclass(frozen=True)
class Begun:
    """When a job was in line for everybody to see, and when it was begun; `again` if that was more than once."""

    rank: tuple[int, int]
    in_line: datetime
    begun: datetime
    again: bool = False


def inversions(found: Sequence[Begun]) -> int:
    """Pairs that waited together and were begun the wrong way round; whom a kill put back in line aside."""
    fair = sorted((one for one in found if not one.again), key=lambda one: one.begun)
    wrong = 0
    for place, first in enumerate(fair):
        wrong += sum(
            later.rank < first.rank and later.in_line + WAITED <= first.begun < later.begun
            for later in fair[place + 1 :]
        )
    return wrong


@dataclass
class Outcome:
    """What became of all of them."""

    asked: int = 0
    kills: int = 0
    seconds: float = 0.0
    done: int = 0
    #: Jobs with another number of pictures than were asked for, of files that are there, or of deliveries than one.
    pictures_wrong: list[int] = field(default_factory=list)
    deliveries_wrong: list[int] = field(default_factory=list)
    files_missing: list[str] = field(default_factory=list)
    files_left: int = 0
    again: int = 0
    inversions: int = 0
    failed: list[str] = field(default_factory=list)
    lanes: Counter[str] = field(default_factory=Counter)


class Mortal:
    """The process that lives are forked from, and the one that lives now."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.life: int | None = None

    async def bear(self, home: Path) -> None:
        """Answers when it works."""
        assert self.life is None
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"home": str(home)}).encode() + b"\n")
        await self._process.stdin.drain()
        born = works = 0
        async with asyncio.timeout(120):
            while not (born and works):
                told = await self._heard()
                if "ended" in told:
                    raise RuntimeError(f"it ended before it worked: {told['ended']}; see {home / 'log'}")
                born, works = told.get("born", born), told.get("works", works)
        self.life = born

    async def kill(self) -> None:
        if self.life is None:
            return
        os.kill(self.life, signal.SIGKILL)
        self.life = None
        async with asyncio.timeout(120):
            while (await self._heard()).get("ended") is None:
                pass

    async def _heard(self) -> dict[str, int]:
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("whoever bears the houses is gone")
        told: dict[str, int] = json.loads(line)
        return told


@asynccontextmanager
async def mortal() -> AsyncIterator[Mortal]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.bench.pictures_mortal",
        cwd=ROOT,
        env=bare(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    made = Mortal(process)
    try:
        yield made
    finally:
        await made.kill()
        assert process.stdin
        process.stdin.close()
        await process.wait()


def take_thousand(bench: Bench, many: int, kills: int) -> tuple[list[Figure], str]:
    outcome = asyncio.run(survive(bench.home("thousand"), many, kills))
    wrong = len(outcome.pictures_wrong) + len(outcome.files_missing)
    figures = [
        Figure(f"done of {outcome.asked} jobs", outcome.done, f"{outcome.asked}: all", "higher", f"{many}"),
        Figure("jobs without exactly their pictures and files", wrong, "0", "lower", "0"),
        Figure("jobs without exactly one delivery", len(outcome.deliveries_wrong), "0", "lower", "0"),
        Figure(
            "pairs that waited together and were begun against their tags",
            outcome.inversions,
            "0",
            "lower",
            "0",
        ),
        Figure("kills", outcome.kills, "≥ 8", "higher", f"{kills}: what was asked for"),
    ]
    lanes = ", ".join(f"{lane} {count}" for lane, count in outcome.lanes.items())
    notes = (
        f"{outcome.seconds:.0f} s; {PEOPLE} people; {lanes}; {outcome.again} jobs were begun more than once, and "
        f"stand aside where order is counted\nfiles that no row knows of, left behind by a kill: {outcome.files_left}"
    )
    told = [*outcome.failed[:5], *outcome.files_missing[:5]]
    told += [f"pictures of job {one}" for one in outcome.pictures_wrong[:5]]
    told += [f"deliveries of job {one}" for one in outcome.deliveries_wrong[:5]]
    return figures, "\n".join([notes, *told])


async def survive(home: Path, many: int, kills: int, seed: int = 20_261_128) -> Outcome:
    """All of them are asked for by another process than the one that dies, a part of them in each life."""
    dice, outcome = random.Random(seed), Outcome(asked=many)
    async with Engine.open(settings_of(home)) as engine, mortal() as worker:
        people = await askers(engine, PEOPLE)
        in_line: dict[int, datetime] = {}
        began = time.monotonic()
        parts = _parts(many, kills + 1)
        for number, part in enumerate(parts):
            if number % 2:  # every other part comes while the house is down
                await _ask(engine, people, dice, part, in_line)
            await worker.bear(home)
            alive = dice.uniform(*LIFE)
            if number % 2 == 0:
                await asyncio.sleep(alive * dice.random())
                await _ask(engine, people, dice, part, in_line)
            if number < kills:
                await asyncio.sleep(alive)
                await worker.kill()
                outcome.kills += 1
        async with asyncio.timeout(PATIENCE):
            while await engine.database.look(jobs.unfinished):  # noqa: ASYNC110 - another process ends them
                await asyncio.sleep(0.25)
        outcome.seconds = time.monotonic() - began
        await worker.kill()
        await _count(engine, home, in_line, outcome)
    return outcome


def _parts(many: int, lives: int) -> list[int]:
    """Half of them at first, so that there is a line from the beginning."""
    later = many // 2 // max(1, lives - 1)
    return [many - later * (lives - 1), *[later] * (lives - 1)]


async def _ask(
    engine: Engine,
    people: Sequence[Asker],
    dice: random.Random,
    many: int,
    in_line: dict[int, datetime],
) -> None:
    for lane in dice.choices(LANES, HOW_OFTEN, k=many):
        [count] = dice.choices(COUNTS, HOW_MANY)
        asker = dice.choice(people)
        seed = dice.randrange(2**32)
        wanted = Wish("by the sea", seed=seed, count=count, width=64, height=64, steps=dice.randrange(2, 6))
        request = await composed(engine, asker, wanted, prompt(str(seed), 100))
        [job] = await ask(engine, [(asker, request)], lane)
        in_line[job.id] = engine.clock.now()


async def _count(engine: Engine, home: Path, in_line: dict[int, datetime], outcome: Outcome) -> None:
    rows = await engine.database.look(partial(jobs.listing, limit=len(in_line) + 1))
    ids = [row.id for row in rows]
    found = await engine.database.look(partial(pictures.of_jobs, job_ids=ids))
    outcome.done = sum(row.state is JobState.DONE for row in rows)
    outcome.failed = [f"job {row.id}: {row.error}" for row in rows if row.state is not JobState.DONE]
    outcome.lanes = Counter(row.lane.value for row in rows)
    outcome.again = sum(row.attempts > 1 for row in rows)
    outcome.pictures_wrong = [
        row.id
        for row in rows
        if [one.number for one in found.get(row.id, [])] != list(range(1, row.request.count + 1))
    ]
    delivered = _deliveries(home)
    kind = DeliveryKind.PICTURE.value
    outcome.deliveries_wrong = [one for one in ids if delivered.get(one) != Counter({kind: 1})]
    known = {picture.file for some in found.values() for picture in some}
    there = {path.relative_to(home / "files").as_posix() for path in (home / "files").rglob("*.png")}
    outcome.files_missing, outcome.files_left = sorted(known - there), len(there - known)
    outcome.inversions = inversions([_begun(row, in_line[row.id]) for row in rows if row.started_at])


def _begun(row: Job, in_line: datetime) -> Begun:
    assert row.started_at
    return Begun((rank_of(row), row.id), in_line, row.started_at, row.attempts > 1)


def _deliveries(home: Path) -> dict[int, Counter[str]]:
    """Of each job, what its chat is owed or was given."""
    told: dict[int, Counter[str]] = {}
    with closing(sqlite3.connect(f"file:{home / 'greenroom.db'}?mode=ro", uri=True)) as rows:
        for job_id, kind in rows.execute("SELECT job_id, kind FROM deliveries WHERE job_id IS NOT NULL"):
            told.setdefault(job_id, Counter())[kind] += 1
    return told
