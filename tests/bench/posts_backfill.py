"""A backfill with a renderer that costs nothing: what is left is the house's own time and memory for each picture.

Each run is a process of its own, on a copy of one home with as many personas as the large run has pictures, so that
nothing but the length of the run differs. `python -m tests.bench.posts_backfill HOME --pictures 100` is one of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from engine.engine import Engine
from engine.events import Event
from engine.ordering import Order
from engine.pictures import PictureWanted, Progress, Rendered
from engine.settings import LanguageSettings, PictureSettings, Settings
from engine.store import personas
from engine.store.runs import RunState
from engine.testing import FakeRenderer
from personas.persona import Persona
from tests.bench.harness import Figure, median
from tests.bench.pictures_house import PATIENCE
from tests.working import working

#: Imports, statements and templates are there before the clock starts.
WARMING = 20
#: So many personas come in one transaction.
AT_ONCE = 500


@dataclass(frozen=True)
class Taken:
    """One run: seconds for each picture, and the most memory that its process ever had, in bytes."""

    each: float
    peak: int


class Forgetful(FakeRenderer):
    """Keeps no list of what it rendered, which would grow with the run."""

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        made = super().render(wanted, progress)
        self.close()
        return made


def take_backfill(folder: Path, *, many: int, few: int, rounds: int) -> tuple[list[Figure], str]:
    taken: dict[int, list[Taken]] = {few: [], many: []}
    crowd = folder / "crowd"
    _in_a_process(crowd, "--people", many + WARMING)
    for number in range(rounds):
        for pictures in (few, many):
            home = shutil.copytree(crowd, folder / f"{number}-{pictures}")
            taken[pictures].append(Taken(**json.loads(_in_a_process(home, "--pictures", pictures))))
            shutil.rmtree(home)
    pairs = list(zip(taken[many], taken[few], strict=True))
    figures = [
        Figure(
            f"backfill: time per picture at {many:,} ÷ at {few:,}",
            median([large.each / small.each for large, small in pairs]),
            "≤ 1.1",
            "lower",
            "1",
        ),
        Figure(
            f"backfill: memory at {many:,} ÷ at {few:,}",
            median([large.peak / small.peak for large, small in pairs]),
            "≤ 1.1",
            "lower",
            "1",
        ),
    ]
    notes = "\n".join(
        f"{pictures:>7,} pictures: {1000 * median([one.each for one in runs]):6.1f} ms each, "
        f"{median([one.peak for one in runs]) / 2**20:6.1f} MiB at most"
        for pictures, runs in taken.items()
    )
    return figures, notes


def _in_a_process(home: Path, what: str, many: int) -> str:
    """The last line that it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.posts_backfill", str(home), what, str(many)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr[-2000:])
    return ended.stdout.splitlines()[-1]


def _opened(home: Path) -> AbstractAsyncContextManager[Engine]:
    settings = Settings(
        home=home,
        language=LanguageSettings(models="off"),
        pictures=PictureSettings(width=64, height=64, steps=1, check="off", models="off"),
    )
    return Engine.open(settings, renderer=Forgetful())


async def _run(home: Path, pictures: int) -> Taken:
    async with _opened(home) as engine, working(engine):
        await _made(engine, WARMING)
        began = time.perf_counter()
        await _made(engine, pictures)
        each = (time.perf_counter() - began) / pictures
    return Taken(each, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


async def _crowd(home: Path, many: int) -> None:
    async with _opened(home) as engine:
        await _people(engine, many)


async def _people(engine: Engine, many: int) -> None:
    for first in range(0, many, AT_ONCE):
        async with engine.database.write() as tx:
            for number in range(first, min(many, first + AT_ONCE)):
                who = Persona(slug=f"person-{number}", name=f"Person {number}", age=30, kind="gardener")
                await personas.take_in(tx, who, origin="made", now=engine.clock.now())


async def _made(engine: Engine, pictures: int) -> None:
    """A run of so many, to its end."""

    def ends(event: Event) -> bool:
        return event.name == "run.ended"

    with engine.events.watch(ends) as news:
        run = (await engine.runs.begin(Order(limit=pictures))).run
        if run is None:
            raise RuntimeError("there was nothing to be made")
        async with asyncio.timeout(PATIENCE):
            async for event in news:
                if event.about["run"] == run.id:
                    break
    standing = await engine.runs.standing(run.id)
    if standing.run.state != RunState.DONE or standing.counts.made != pictures:
        raise RuntimeError(f"{standing.counts} of {pictures}")


def main(arguments: Sequence[str]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    home, what, many = Path(arguments[0]), arguments[1], int(arguments[2])
    if what == "--people":
        asyncio.run(_crowd(home, many))
        print(many)
    else:
        print(json.dumps(asdict(asyncio.run(_run(home, many)))))


if __name__ == "__main__":
    main(sys.argv[1:])
