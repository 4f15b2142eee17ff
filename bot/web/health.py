"""The routes of how the house is: now, over the last hour, what stood in for what and why, and the end of the log."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from bot.fronts import tokens_of
from bot.logs_read import last_lines, struck
from bot.parts import Parts
from bot.web.doors import Scope, needs
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.readiness import Provider, providers
from engine.condition import condition, verdict
from engine.engine import Engine
from engine.history import EVERY, Sample
from engine.store import stats


class Gpu(BaseModel):
    name: str
    used: int
    total: int
    busy: int | None
    temperature: int | None


class Lane(BaseModel):
    waiting: int
    running: int


class ShownSample(BaseModel):
    """The house at a moment. Bytes, percent, degrees Celsius; null: this machine does not tell."""

    at: str
    gpus: list[Gpu]
    memory: int
    memory_free: int | None
    process: int | None
    cores: int
    load: float | None
    disk: int
    disk_free: int
    lanes: dict[str, Lane]
    tokens_per_second: float
    pictures_per_minute: float
    #: Jobs with the picture thread, and people who wait for a first word.
    in_hand: int
    waiting_for_words: int


class Samples(BaseModel):
    #: Seconds between two of them. The oldest first.
    every: float
    items: list[ShownSample]


class ShownPart(BaseModel):
    name: str
    runs: bool
    why: str


class Now(BaseModel):
    sample: ShownSample
    #: Why no GPU is seen; empty where one is.
    no_gpu: str
    parts: list[ShownPart]
    #: Jobs in work, by number.
    workers: list[int]
    providers: list[Provider]
    #: What is wrong and what mends it; or that all is well.
    verdict: list[str]


class Cause(BaseModel):
    #: `words` or `pictures`.
    what: str
    cause: str
    count: int


class Fallbacks(BaseModel):
    #: Since when pictures are counted, and that words are counted since the house was opened.
    since: str
    items: list[Cause]


class LogLine(BaseModel):
    at: str
    level: str
    event: str
    about: dict[str, Any]


class Log(BaseModel):
    lines: list[LogLine]


def routes(engine: Engine, parts: Parts, secret: str) -> APIRouter:
    router = APIRouter(prefix=f"{API}/health", responses=PROBLEMS, tags=["health"])
    hidden = [one for one in (secret, *_secrets(engine)) if one]
    reads, manages = Depends(needs(Scope.READ)), Depends(needs(Scope.MANAGE))

    @router.get("", dependencies=[reads])
    async def up() -> dict[str, str]:
        return {"greenroom": "up", "home": str(engine.home.path)}

    @router.get("/now", response_model=Now, dependencies=[reads])
    async def now(words: Spoken) -> dict[str, Any]:
        """As it is at this moment. What is wrong, and why, is said in the language of whoever asks."""
        sample = await _latest()
        found = await condition(engine.database, engine.settings, now=engine.clock.now())
        return {
            "sample": sample.told(),
            "no_gpu": words.says(sample.machine.no_gpu),
            "parts": [
                {"name": one.name, "runs": one.runs, "why": struck(one.why, hidden)} for one in parts.listing
            ],
            "workers": list(engine.worker.in_hand),
            "providers": await providers(engine, words),
            "verdict": [words.says(one) for one in verdict(found)],
        }

    @router.get("/samples", response_model=Samples, dependencies=[reads])
    async def samples() -> dict[str, Any]:
        """The last hour."""
        return {"every": EVERY, "items": [one.told() for one in engine.history.samples]}

    @router.get("/fallbacks", response_model=Fallbacks, dependencies=[reads])
    async def fallbacks(days: Annotated[int, Query(ge=1, le=366)] = 7) -> dict[str, Any]:
        """What stood in for a model, and why; the most frequent first."""
        since = engine.clock.now() - stats.DAY * days
        found = await engine.database.look(lambda tx: stats.stood_in(tx, since=since))
        items = [Cause(what="pictures", cause=cause, count=count) for cause, count in found]
        for (task, cause), count in engine.gauges.counts.get("fallbacks", {}).items():
            what = "words" if task == "chat" else task
            items.append(Cause(what=what, cause=cause, count=int(count)))
        items.sort(key=lambda one: (-one.count, one.what, one.cause))
        return {"since": since.isoformat(), "items": items}

    @router.get("/log", response_model=Log, dependencies=[manages])
    async def log(lines: Annotated[int, Query(ge=1, le=1_000)] = 200) -> dict[str, Any]:
        """The last lines of the log, the oldest first."""
        told = await asyncio.to_thread(last_lines, engine.home.log, lines, secrets=hidden)
        return {"lines": told}

    async def _latest() -> Sample:
        there = engine.history.samples
        return there[-1] if there else await engine.history.take()

    return router


def _secrets(engine: Engine) -> list[str]:
    """What the settings keep to themselves."""
    settings = engine.settings
    told = [*tokens_of(settings.telegram), *tokens_of(settings.discord)]
    others = (settings.telegram.webhook_secret, settings.files.secret_key, settings.server.key)
    return [*told, *(one.get_secret_value() for one in others)]
