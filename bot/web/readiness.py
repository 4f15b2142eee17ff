"""Whether the house can do what it is there for: its store, its fronts, its line, words and pictures; or why not.

/healthz says only that the process answers, /readyz all of this in a word each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from bot.front import Front
from bot.parts import Parts, called
from engine.engine import Engine
from engine.errors import GreenroomError
from engine.language import Task
from engine.language.scribe import State
from engine.locales import ENGLISH, Locale, locale_of
from engine.pictures.painting import choice
from engine.store import keys

#: It is named in the settings, and is nowhere.
MISSING = "missing"


class Provider(BaseModel):
    """Who writes or paints, or turns texts into vectors."""

    what: Literal["words", "pictures", "embeddings"]
    name: str
    state: str
    #: It works, or is only not loaded yet.
    up: bool
    why: str


class Check(BaseModel):
    name: str
    ready: bool
    #: What keeps it from being so; where it is, how it is.
    why: str


class Ready(BaseModel):
    ready: bool
    checks: list[Check]


async def providers(engine: Engine, words_of: Locale) -> list[Provider]:
    """Those that were asked for, also where they are not there. Where there is none, the understudy writes, and
    placeholders are drawn.
    """
    found = [_open("words", *told, words_of) for told in engine.shelf.told()]
    words, pictures = engine.settings.language, engine.settings.pictures
    if not found and words.models != "off" and (named := words.chat or words.model):
        chosen = await engine.shelf.choice(Task.CHAT)
        state = "there" if chosen.found else MISSING
        up = chosen.found is not None
        found.append(Provider(what="words", name=named, state=state, up=up, why=words_of.says(chosen.reason)))
    made = await asyncio.to_thread(choice, engine.settings)
    if made.found is not None:
        found.append(_painter(made.found.name, "there", words_of.says(made.reason)))
    elif pictures.models != "off" and pictures.model:
        found.append(_painter(pictures.model, MISSING, words_of.says(made.reason)))
    return [*found, *await _measures(engine, words_of)]


async def _measures(engine: Engine, words_of: Locale) -> list[Provider]:
    """Nothing is said of one that is there and that nobody asked for yet."""
    found = [_open("embeddings", *told, words_of) for told in engine.embedders.told()]
    language = engine.settings.language
    if not found and language.models != "off" and language.embeddings:
        chosen = await engine.embedders.choice()
        if chosen.found is None:
            why = words_of.says(chosen.reason)
            found.append(
                Provider(what="embeddings", name=language.embeddings, state=MISSING, up=False, why=why)
            )
    return found


def _open(
    what: Literal["words", "embeddings"], name: str, state: State, why: str, words_of: Locale
) -> Provider:
    return Provider(
        what=what, name=name, state=state.value, up=state is not State.BROKEN, why=words_of.says(why)
    )


def _painter(name: str, state: str, why: str) -> Provider:
    return Provider(what="pictures", name=name, state=state, up=state != MISSING, why=why)


async def checks(engine: Engine, parts: Parts, fronts: tuple[Front, ...]) -> AsyncIterator[Check]:
    try:
        await engine.database.look(keys.are_there)
        yield Check(name="store", ready=True, why="it answers")
    except GreenroomError as error:
        yield Check(name="store", ready=False, why=str(error))
    for front in fronts:
        yield _part(parts, called(front, fronts), f"front {called(front, fronts)}")
    yield _part(parts, "outbox", "outbox")
    yield _part(parts, "pictures", "line")
    found = await providers(engine, locale_of(ENGLISH))
    for what, instead in (("words", "the understudy writes"), ("pictures", "placeholders are drawn")):
        yield _provided(what, [one for one in found if one.what == what], instead)


def _part(parts: Parts, name: str, called: str) -> Check:
    part = parts.of(name)
    if part is None:
        return Check(name=called, ready=False, why="it was not started")
    return Check(name=called, ready=part.runs, why=part.why or "it runs")


def _provided(what: str, there: list[Provider], instead: str) -> Check:
    """Where nobody asked for a model, nothing is missing."""
    if not there:
        return Check(name=what, ready=True, why=f"no model is in use, so {instead}")
    best = next((one for one in there if one.up and one.state != State.LOADING.value), there[0])
    ready = best.up and best.state != State.LOADING.value
    return Check(name=what, ready=ready, why=f"{best.name}: {best.why or best.state}")


def open_routes(engine: Engine, parts: Parts, fronts: tuple[Front, ...]) -> APIRouter:
    """For those who look after processes: a load balancer, a container's host."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=dict[str, str])
    async def alive() -> dict[str, str]:
        return {"greenroom": "up"}

    @router.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Not yet."}})
    async def ready(request: Request) -> JSONResponse:
        """Why not is told to programs of this machine alone: it may name what is nobody else's business."""
        found = [one async for one in checks(engine, parts, fronts)]
        if not request.app.state.doors.is_at_home(request):
            found = [one.model_copy(update={"why": ""}) for one in found]
        told = Ready(ready=all(one.ready for one in found), checks=found)
        return JSONResponse(told.model_dump(), 200 if told.ready else 503)

    return router
