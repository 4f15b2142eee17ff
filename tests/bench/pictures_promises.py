"""Whether the house keeps its word: people ask for pictures of many kinds, and each is told when it will be ready.

The word is given where a chat is told it, `bot.progress.expectation`, and is a row from then on; how the job ended is
another. What is compared here is those two.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.progress import expectation
from engine.engine import Engine
from engine.imagining import Wish
from engine.store import jobs
from engine.store.records import Job, JobState
from tests.bench.harness import Figure, median
from tests.bench.pictures_house import (
    Asker,
    Bench,
    ask,
    askers,
    composed,
    ending,
    prompt,
    sdxl,
    settings_of,
)
from tests.working import working

#: As people choose them: a few sizes, a few qualities, mostly one picture.
SIZES = ((128, 128), (192, 128), (192, 192), (256, 192), (256, 256))
STEPS = (2, 4, 6)
COUNTS, HOW_OFTEN = (1, 2, 4), (7, 2, 1)
PEOPLE = 6
#: Asked for before anything counts, so that there is something to go by.
FIRST = 24
#: The share of its time for which the house has something to do.
BUSY = 0.85


@dataclass(frozen=True)
class Kept:
    """What became of promises: seconds told and taken."""

    likely: float
    at_most: float
    took: float


def share_in_time(promises: Sequence[Kept]) -> float:
    return sum(one.took <= one.at_most for one in promises) / len(promises)


def wish(dice: random.Random) -> Wish:
    width, height = dice.choice(SIZES)
    [many] = dice.choices(COUNTS, HOW_OFTEN)
    return Wish(
        "by the sea",
        seed=dice.randrange(2**32),
        width=width,
        height=height,
        steps=dice.choice(STEPS),
        count=many,
    )


def take_eta(bench: Bench, many: int) -> tuple[list[Figure], str]:
    told, without = asyncio.run(_promised(bench, bench.home("eta"), many))
    figures = [
        Figure(
            f"share of {len(told)} mixed jobs that end before their P90",
            share_in_time(told) if told else None,
            "0.85–0.95",
            "higher",
            "0.9: what is promised",
            None if told else "nothing was promised",
        ),
        Figure(
            "usually off from what was called likely, as a share of it",
            median([abs(one.took / one.likely - 1) for one in told]) if told else None,
            "told",
            "lower",
            "0",
            None if told else "nothing was promised",
        ),
    ]
    if not told:
        return figures, ""
    quarters = [told[place * len(told) // 4 : (place + 1) * len(told) // 4] for place in range(4)]
    notes = (
        f"{without} jobs were promised nothing; P90 ÷ what it took, median: "
        f"{median([one.at_most / one.took for one in told]):.2f}; took: median "
        f"{median([one.took for one in told]):.1f} s, longest {max(one.took for one in told):.1f} s\n"
        f"in time, quarter by quarter: {', '.join(f'{share_in_time(one):.2f}' for one in quarters if one)}; "
        f"{PEOPLE} people, one or a few jobs at a time, the line never longer than they make it; {FIRST} jobs before"
    )
    return figures, notes


async def _promised(bench: Bench, home: Path, many: int) -> tuple[list[Kept], int]:
    dice = random.Random(20_261_128)
    async with Engine.open(settings_of(home), renderer=sdxl(bench)) as engine:
        people = await askers(engine, PEOPLE)
        async with working(engine), ending(engine) as ends:
            loop = asyncio.get_running_loop()
            began = loop.time()
            first = FIRST if not bench.quick else 12
            for _job in range(first):
                job = await _asked(engine, people, dice)
                await ends.all_of([job.id])
            # Each took so long from asking to its end, alone: so long the pauses between people are, in the mean.
            each = (loop.time() - began) / first
            asked: list[Job] = []
            while len(asked) < many:
                # Mostly one, sometimes three of one person at once.
                crowd = min(dice.choice((1, 1, 1, 3)), many - len(asked))
                who = [dice.choice(people)]
                asked += [await _asked(engine, who, dice) for _ in range(crowd)]
                await asyncio.sleep(dice.expovariate(1 / (each * crowd / BUSY)))
            await ends.all_of(job.id for job in asked)
            return await _kept(engine, asked)


async def _asked(engine: Engine, people: Sequence[Asker], dice: random.Random) -> Job:
    asker = dice.choice(people)
    words = prompt(str(dice.random()), dice.randrange(100, 180))
    [job] = await ask(engine, [(asker, await composed(engine, asker, wish(dice), words))])
    await expectation(engine, job)
    return job


async def _kept(engine: Engine, asked: Sequence[Job]) -> tuple[list[Kept], int]:
    async with engine.database.read() as tx:
        rows = [await jobs.get(tx, one.id) for one in asked]
    if wrong := [row.id for row in rows if row.state is not JobState.DONE]:
        raise RuntimeError(f"jobs {wrong[:5]} were not done")
    kept = [
        Kept(row.likely, row.at_most, (row.ended_at - row.promised_at).total_seconds())
        for row in rows
        if row.promised_at and row.ended_at and row.likely is not None and row.at_most is not None
    ]
    return kept, len(rows) - len(kept)
