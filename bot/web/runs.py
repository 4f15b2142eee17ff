"""The routes of runs: what would come of an order, the order itself, how far it is, a pause; and replays."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from bot.runs_shown import pictured_shown, plan_shown, run_shown
from bot.shown import job_shown
from engine import replaying
from engine.engine import Engine
from engine.ordering import Kind, Order
from engine.store import audits
from engine.store.runs import RunState

Words = Annotated[str, Field(max_length=200)]


class Wished(BaseModel):
    """Of what a picture can be wished to be, what many of them can have in common."""

    model_config = ConfigDict(extra="forbid")

    style: Words | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    negative: Annotated[str, Field(max_length=2_000)] = ""
    quality: Words | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: Words = ""
    outfit: Words = ""
    pose: Words = ""
    model: Words = ""


class Ordered(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind = Kind.BACKFILL
    scene: str = ""
    tags: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    personas: Annotated[tuple[Words, ...], Field(max_length=10_000)] = ()
    year: int | None = None
    posts: bool = False
    missing_only: bool = True
    limit: int | None = None
    face: bool = False
    key: Words = ""
    notes: Annotated[str, Field(max_length=5_000)] = ""
    wish: Wished = Wished()

    def order(self) -> Order:
        told = self.model_dump(exclude={"wish"})
        return Order(**told, wish=self.wish.model_dump(exclude_defaults=True))


class Again(BaseModel):
    #: The asker's own id of this order: asked twice, it is done once.
    key: Annotated[str, Field(min_length=1, max_length=64)]


def routes(engine: Engine) -> APIRouter:
    router = APIRouter()

    @router.post("/runs/plan")
    async def plan(ordered: Ordered) -> dict[str, Any]:
        return plan_shown(await engine.runs.plan(ordered.order()))

    @router.post("/runs", status_code=202)
    async def begin(ordered: Ordered) -> dict[str, Any]:
        began = await engine.runs.begin(ordered.order())
        run = await _shown(began.run.id) if began.run is not None else None
        return {"run": run, "key": began.key, "cohort": began.cohort, "resumed": began.resumed}

    @router.get("/runs/{run_id}")
    async def show(run_id: int) -> dict[str, Any]:
        return await _shown(run_id)

    @router.post("/runs/{run_id}/pause")
    async def pause(run_id: int) -> dict[str, Any]:
        return await _shown((await engine.runs.pause(run_id)).id)

    @router.get("/pictured")
    async def pictured(style: str = "") -> dict[str, Any]:
        """How many personas and posts have a picture."""
        people, posts = await engine.runs.pictured(style)
        return {"personas": pictured_shown(people), "posts": pictured_shown(posts)}

    @router.post("/pictures/{picture_id}/replay", status_code=202)
    async def replay(picture_id: int, again: Again) -> dict[str, Any]:
        job = await replaying.replay(engine.database, engine.imagining, picture_id, key=again.key)
        return job_shown(job, await engine.imagining.ahead_of(job.id), [])

    @router.get("/pictures/{picture_id}/against/{again_id}")
    async def against(picture_id: int, again_id: int) -> dict[str, Any]:
        found = await replaying.compared(engine.database, engine.files, picture_id, again_id)
        return {"same": found.same, "differing": found.differing, "says": str(found.says)}

    async def _shown(run_id: int) -> dict[str, Any]:
        standing = await engine.runs.standing(run_id)
        reasons = []
        if standing.counts.failed and standing.run.state != RunState.OPEN:
            async with engine.database.read() as tx:
                reasons = await audits.reasons(tx, run_id)
        return run_shown(standing) | {"reasons": [{"says": says, "jobs": n} for says, n in reasons]}

    return router
