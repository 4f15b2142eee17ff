"""What the parts of the pictures bench share: a model, a house on it, people who ask, and when jobs ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures import Renderer
from engine.settings import LanguageSettings, LimitSettings, PictureSettings, Settings
from engine.store import chats, jobs, people, personas, pictures
from engine.store.records import (
    Account,
    ChatRef,
    Job,
    JobState,
    Lane,
    Person,
    PersonaRecord,
    Picture,
    PictureRequest,
)
from tests.models.sdxl import WORDS

#: Longer than this nothing here takes, on however busy a machine.
PATIENCE = 1_800.0
NEGATIVE = "dark, fog, cold rain, short hand"


@dataclass(frozen=True)
class Bench:
    """What every part is told: where it may write, which model, how often, on how many threads."""

    folder: Path
    model: Path
    rounds: int
    threads: int
    quick: bool
    device: str = "cpu"
    #: What the other side computes in, by torch's name for it: the same as ours on that device.
    numbers: str = "float32"

    def home(self, name: str) -> Path:
        return self.folder / name


def prompt(seed: str, many: int) -> str:
    """So many words at random that the tiny model has tokens for, with a comma behind every eighth."""
    chosen = random.Random(seed).choices(WORDS.split(), k=many)
    return " ".join(f"{word}," if place % 8 == 7 else word for place, word in enumerate(chosen[:-1])) + (
        f" {chosen[-1]}"
    )


def sdxl(bench: Bench, **more: Any) -> Renderer:
    """The product's renderer. Random weights make noise, and are not to be blamed for it."""
    from engine.pictures.sdxl.finding import look
    from engine.pictures.sdxl.renderer import Sdxl

    return Sdxl(look(bench.model), device=bench.device, least_likeness=-1, **more)


def settings_of(home: Path, *, language: LanguageSettings | None = None, **told: Any) -> Settings:
    """Nobody is told that they asked for too much."""
    generous = LimitSettings(
        messages_per_minute=1_000_000, pictures_per_day=1_000_000, pictures_waiting=1_000_000
    )
    return Settings(
        home=home,
        language=language or LanguageSettings(models="off"),
        pictures=PictureSettings(check="off", **told),
        limits=generous,
    )


@dataclass(frozen=True)
class Asker:
    """Somebody with a chat of their own, and the persona in it."""

    person: Person
    chat_id: int
    record: PersonaRecord


async def askers(engine: Engine, many: int) -> list[Asker]:
    async with engine.database.write() as tx:
        record = await personas.find(tx, "glenys")
        found = []
        for number in range(many):
            now = engine.clock.now()
            person = await people.add_person(
                tx, Account("bench", f"person {number}", f"Ana {number}"), now=now
            )
            ref = ChatRef("bench", "one", f"room {number}")
            place = await chats.add_place(tx, ref, persona_id=record.id, now=now)
            found.append(Asker(person, place.id, record))
    return found


async def composed(engine: Engine, asker: Asker, wish: Wish, words: str = "") -> PictureRequest:
    """As `/imagine` does it; `words` stand in for a prompt that a model would have written."""
    request = await engine.imagining.compose(asker.record, wish)
    if not words:
        return request
    return replace(request, prompt=words, negative=NEGATIVE, word_count=len(words.split()))


async def ask(
    engine: Engine, wanted: Iterable[tuple[Asker, PictureRequest]], lane: Lane = Lane.INTERACTIVE
) -> list[Job]:
    """All of them in one transaction: the line is as long at once."""
    async with engine.database.write() as tx:
        put = [
            (
                await engine.imagining.put_in_line(
                    tx,
                    request,
                    persona_id=asker.record.id,
                    person=asker.person,
                    chat_id=asker.chat_id,
                    lane=lane,
                )
            ).job
            for asker, request in wanted
        ]
    engine.imagining.nudge()
    return put


@dataclass
class Ends:
    """Which jobs ended, and when."""

    at: dict[int, float] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self, job_id: int) -> None:
        self.at.setdefault(job_id, time.perf_counter())
        self._more.set()

    async def all_of(self, wanted: Iterable[int]) -> float:
        """When the last of them had ended."""
        ids = set(wanted)
        async with asyncio.timeout(PATIENCE):
            while not ids <= self.at.keys():
                self._more.clear()
                await self._more.wait()
        return max(self.at[one] for one in ids)


@asynccontextmanager
async def ending(engine: Engine) -> AsyncIterator[Ends]:
    ends = Ends()
    with engine.events.watch(lambda event: event.name == "job.ended") as news:

        async def hear() -> None:
            async for event in news:
                ends.ended(event.about["job"])

        hearing = asyncio.create_task(hear())
        try:
            yield ends
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing


async def made(engine: Engine, asked: Sequence[Job]) -> list[Picture]:
    """Their pictures; it is a mistake of ours if one of them failed, or was drawn by a stand-in."""
    async with engine.database.read() as tx:
        rows = [await jobs.get(tx, one.id) for one in asked]
        found = await pictures.of_jobs(tx, [one.id for one in asked])
    wrong = [f"job {row.id} {row.state.value}: {row.error}" for row in rows if row.state is not JobState.DONE]
    whole = [picture for row in rows for picture in found.get(row.id, [])]
    wrong += [f"job {one.job_id}: a stand-in {one.facts}" for one in whole if one.stand_in]
    if wrong:
        raise RuntimeError("; ".join(wrong[:3]))
    return whole


def p95(values: Sequence[float]) -> float:
    """The value that nineteen of twenty do not pass."""
    ordered = sorted(values)
    return ordered[-(-95 * len(ordered) // 100) - 1]
