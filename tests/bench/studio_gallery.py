"""What a page of the gallery costs in a house with very many pictures, against one with few.

Both are real houses' engines with the same app, asked in turn; the pictures are rows, for no page of the gallery
looks at their bytes. The floor is that page of a house in which there is nothing: what asking costs by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from bot.logs import keep_quiet
from engine.engine import Engine
from engine.language import Source
from engine.settings import LanguageSettings, PictureSettings, Settings, WebSettings
from engine.store import jobs, personas
from engine.store.records import JobState, Lane, PictureRequest
from engine.store.tables import jobs as job_rows
from engine.store.tables import pictures, runs
from tests.bench.harness import Figure, median
from tests.bot.web.visitors import SECRET, app_of, with_key

FEW = 100
#: Rows in one statement.
AT_ONCE = 2_000
#: One of so many is of the run; and one of so many may not be seen.
OF_RUN, RARE = 5, 97
STYLES = ("photorealistic", "noir", "poster", "line-art")
#: What a page asks for: everything, and what somebody chose; of that as many as there are in the small house too.
CHOSEN = 2
ASKED: dict[str, dict[str, Any]] = {
    "first page": {},
    "of one persona": {"persona": "glenys-prosser", "limit": CHOSEN},
    "of a persona in a style": {"persona": "glenys-prosser", "style": "noir", "limit": CHOSEN},
    "of one style": {"style": "noir", "limit": CHOSEN},
    "of a run": {"run": 1, "limit": CHOSEN},
    "of a run in a style": {"run": 1, "style": "noir", "limit": CHOSEN},
}


def take_gallery(folder: Path, *, many: int, rounds: int) -> tuple[list[Figure], str]:
    keep_quiet()
    taken = asyncio.run(_taken(folder, many, rounds))
    figures = []
    notes = []
    for name in ASKED:
        each = taken[name]
        figures.append(
            Figure(
                f"gallery of {many:,} pictures: {name} ÷ of {FEW}",
                median([large / small for large, small in zip(each["many"], each["few"], strict=True)]),
                "≤ 1.5",
                "lower",
                f"{median(each['none']) / median(each['few']):.2g}: nothing is there",
            )
        )
        told = ", ".join(f"{side} {median(times) * 1e3:.2f} ms" for side, times in each.items())
        notes.append(f"{name}: {told}")
    return figures, "\n".join(notes)


async def _taken(folder: Path, many: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    sides = {"none": 0, "few": FEW, "many": many}
    taken: dict[str, dict[str, list[float]]] = {name: {side: [] for side in sides} for name in ASKED}
    async with AsyncExitStack() as stack:
        askers = {}
        for side, count in sides.items():
            settings = Settings(
                home=folder / side,
                language=LanguageSettings(models="off"),
                pictures=PictureSettings(models="off"),
                web=WebSettings(port=0),
            )
            engine = await stack.enter_async_context(Engine.open(settings))
            await _fill(engine, count)
            askers[side] = await stack.enter_async_context(with_key(app_of(engine), SECRET))
        for number in range(rounds + 1):
            for name, asked in ASKED.items():
                for side, asker in askers.items():
                    seconds = await _asked(asker, asked)
                    if number:  # the first round is for what is loaded on first use
                        taken[name][side].append(seconds)
    return taken


async def _asked(asker: httpx.AsyncClient, asked: dict[str, Any]) -> float:
    began = time.perf_counter()
    answer = await asker.get("/api/v1/pictures", params=asked)
    seconds = time.perf_counter() - began
    answer.raise_for_status()
    return seconds


async def _fill(engine: Engine, count: int) -> None:
    """Rows as pictures leave them: of everybody in turn, in a few styles, some of a run."""
    if not count:
        return
    now = engine.clock.now()
    request = PictureRequest("at sea", "a prompt", "", "noir", Source.UNDERSTUDY, 2, 7)
    async with engine.database.write() as tx:
        cast = [entry.id for entry in await personas.listing(tx)]
        run = {"key": "bench", "current": True, "kind": "backfill", "state": "done", "created_at": now}
        await tx.execute(insert(runs), run)
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(count, first + AT_ONCE))
        async with engine.database.write() as tx:
            told = {"request": jobs.request_to_json(request), "created_at": now}
            await tx.execute(insert(job_rows), [told | _job(number) for number in numbers])
            moments = (now + timedelta(seconds=number) for number in numbers)
            await tx.execute(insert(pictures), list(_pictures(numbers, cast, moments)))


def _job(number: int) -> dict[str, Any]:
    return {
        "id": number + 1,
        "state": JobState.DONE.value,
        "lane": Lane.INTERACTIVE.value,
        "fair_owner": "house",
        "fair_tag": number,
    }


def _pictures(numbers: Iterable[int], cast: list[int], moments: Iterable[Any]) -> Iterable[dict[str, Any]]:
    for number, moment in zip(numbers, moments, strict=True):
        yield {
            "job_id": number + 1,
            "persona_id": cast[number % len(cast)],
            "number": 1,
            "file": f"pictures/x/{number + 1}-1.png",
            "scene": "at sea",
            "prompt": "a prompt of some length " * 40,
            "negative": "",
            "style": STYLES[number // len(cast) % len(STYLES)],
            "run_id": 1 if number % OF_RUN == 0 else None,
            "source": Source.UNDERSTUDY.value,
            "word_count": 160,
            "seed": number,
            "width": 1024,
            "height": 1024,
            "steps": 20,
            "guidance": 7.5,
            "rating": "adult" if number % RARE == 0 else "all-ages",
            "model": "bench",
            "device": "cpu",
            "stand_in": False,
            "created_at": moment,
        }
