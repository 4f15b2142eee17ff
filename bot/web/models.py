"""The routes of models: what there is, what fits this machine, what is here; fetch one, stop that, take one away."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from bot.web.doors import Scope, needs
from bot.web.problems import API, PROBLEMS, Spoken
from engine.engine import Engine
from engine.locales import Locale
from engine.models import machine
from engine.models.overview import overview
from engine.pulls import Pull, PullState

#: A name of the catalogue, `owner/repository:file`, or `kind/name` of one that is here.
Name = Annotated[str, Path(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ShownPull(BaseModel):
    """How far a model is that is fetched, in bytes."""

    name: str
    id: str
    kind: str
    state: PullState
    done: int
    total: int
    file: str
    #: Why nothing comes, where nothing does; or why it came to nothing.
    note: str


class Model(BaseModel):
    id: str
    kind: str
    title: str
    size: int
    repo: str
    licence: str
    good_at: str
    needs_memory: int
    gated: bool
    offered: bool
    fits: str
    installed: bool
    in_use: bool


class Here(BaseModel):
    ram: int
    gpu: int
    gpu_name: str


class Models(BaseModel):
    #: Why that language model is in use, or none.
    reason: str
    machine: Here
    #: So much is free where models are kept.
    disk_free: int
    items: list[Model]
    #: Those that are being fetched, and how the last ones ended.
    pulls: list[ShownPull]
    next: None = None


class Removed(BaseModel):
    removed: str
    #: So many bytes are free again.
    freed: int


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/models", responses=PROBLEMS, tags=["models"])
    reads, manages = Depends(needs(Scope.READ)), Depends(needs(Scope.MANAGE))

    @router.get("", response_model=Models, dependencies=[reads])
    async def listing(words: Spoken) -> dict[str, Any]:
        """The catalogue, and whatever else is here. Which of them fit says what this machine has."""
        told, free = await asyncio.to_thread(_looked, engine)
        pulls = [_shown(one, words) for one in engine.pulls.listing]
        beside = {"reason": words.says(told["reason"]), "disk_free": free, "pulls": pulls}
        return told | {"items": told["models"]} | beside

    @router.post("/{name:path}/pull", status_code=202, response_model=ShownPull, dependencies=[manages])
    async def pull(name: Name, words: Spoken) -> dict[str, Any]:
        """Fetch it, or go on with what was begun. Whoever watches `models` is told how far it is."""
        return _shown(engine.pulls.begin(name), words)

    @router.post("/{name:path}/stop", response_model=ShownPull, dependencies=[manages])
    async def stop(name: Name, words: Spoken) -> dict[str, Any]:
        """What came so far stays, and the next pull goes on with it."""
        return _shown(await engine.pulls.stop(name), words)

    @router.delete("/{name:path}", response_model=Removed, dependencies=[manages])
    async def remove(name: Name) -> dict[str, Any]:
        """Delete it from the home, with what was begun of it."""
        room = await engine.pulls.remove(name)
        called = f"{room.kept.kind}/{room.kept.folder.name}"
        return {"removed": called, "freed": room.size + room.unfinished}

    return router


def _shown(pull: Pull, words: Locale) -> dict[str, Any]:
    return pull.told() | {"note": words.says(pull.note)}


def _looked(engine: Engine) -> tuple[dict[str, Any], int]:
    here = machine()
    return overview(engine.settings, here).told(), here.disk_free(engine.settings.home)
