"""The routes of runs: what would come of an order, the order itself, how far it is, two side by side; and replays."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runs_shown import pictured_shown, plan_shown, run_shown
from bot.shown import job_shown
from bot.web.by_time import Line
from bot.web.doors import Scope, needs
from bot.web.owners import Manager, asked_once, told_in
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import Before, Given, Id, IdInPath, JobOut, Key, Limit, Long, Number, Page, Whole, page_of
from engine import replaying
from engine.engine import Engine
from engine.locales import Locale
from engine.ordering import Kind, Order
from engine.runs import standing_of
from engine.store import audits
from engine.store import runs as store
from engine.store.records import Run
from engine.store.runs import RunState

#: A run by its key, which means the newest version, or by key and version: `fitness@2`.
Named = Annotated[str, Query(min_length=1, max_length=200)]


class Wished(Given):
    """Of what a picture can be wished to be, what many of them can have in common."""

    style: Line | None = None
    seed: Whole | None = None
    width: Whole | None = None
    height: Whole | None = None
    negative: Annotated[str, Field(max_length=2_000)] = ""
    quality: Line | None = None
    steps: Whole | None = None
    guidance: Number | None = None
    scheduler: Line = ""
    outfit: Line = ""
    pose: Line = ""
    model: Line = ""


class Ordered(Given):
    kind: Kind = Kind.BACKFILL
    scene: Long = ""
    tags: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    personas: Annotated[tuple[Line, ...], Field(max_length=10_000)] = ()
    year: Whole | None = None
    posts: bool = False
    missing_only: bool = True
    limit: Whole | None = None
    face: bool = False
    key: Line = ""
    notes: Annotated[str, Field(max_length=5_000)] = ""
    wish: Wished = Wished()

    def order(self) -> Order:
        told = self.model_dump(exclude={"wish"})
        return Order(**told, wish=self.wish.model_dump(exclude_defaults=True))


class Again(Given):
    key: Key


class Expected(BaseModel):
    """Seconds from now."""

    likely: float
    at_most: float


class Reason(BaseModel):
    says: str
    jobs: int


class ShownRun(BaseModel):
    id: int
    key: str
    version: int
    #: Key and version: `fitness@2`.
    name: str
    kind: str
    state: RunState
    #: The newest of its key that is done.
    current: bool
    cohort: str
    style: str
    size: str
    prompt: str
    notes: str
    created_at: str
    ended_at: str | None
    total: int
    made: int
    failed: int
    cancelled: int
    left: int
    pictures: int
    stand_ins: int
    seconds: float
    cost: float
    currency: str
    expected: Expected | None
    #: Why jobs failed, once it is not open any more.
    reasons: list[Reason] = []


class Begun(BaseModel):
    #: Null: there is nothing to be made.
    run: ShownRun | None
    key: str
    cohort: str
    resumed: bool


class Member(BaseModel):
    id: Id
    persona_id: int
    slug: str
    name: str


class Planned(BaseModel):
    key: str
    cohort: str
    total: int
    expected: Expected | None
    cost: float
    currency: str
    #: The run that the order would go on with.
    goes_on: str | None
    members: list[Member]


class Compared(BaseModel):
    one: ShownRun
    other: ShownRun
    personas: list[audits.Both]


class Pictured(BaseModel):
    total: int
    #: With a picture, and without one.
    with_: Annotated[int, Field(alias="with")]
    without: int


class EverybodyPictured(BaseModel):
    personas: Pictured
    posts: Pictured


class Against(BaseModel):
    same: bool
    differing: float | None
    says: str


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=API, responses=PROBLEMS, tags=["runs"])
    reads, manages = Depends(needs(Scope.READ)), Depends(needs(Scope.MANAGE))

    @router.post("/runs/plan", response_model=Planned, dependencies=[manages])
    async def plan(ordered: Ordered) -> dict[str, Any]:
        """What would come of an order."""
        return plan_shown(await engine.runs.plan(ordered.order()))

    @router.post("/runs", status_code=202, response_model=Begun, dependencies=[manages])
    async def begin(ordered: Ordered, words: Spoken) -> dict[str, Any]:
        """The order opens a run, or goes on with the one that it opened before."""
        began = await engine.runs.begin(ordered.order())
        run = await _shown(began.run.id, words) if began.run is not None else None
        return {"run": run, "key": began.key, "cohort": began.cohort, "resumed": began.resumed}

    @router.get("/runs", response_model=Page[ShownRun], dependencies=[reads])
    async def listing(
        key: Annotated[Line, Query()] = "", before: Before = None, limit: Limit = 50
    ) -> dict[str, Any]:
        """The newest first; of one key, or all. How long the open ones still take is told of each by itself."""

        async def looked(tx: AsyncConnection) -> tuple[list[Run], dict[int, store.Counts]]:
            found = await store.listing(tx, key=key or None, before=before, most=limit + 1)
            return found, await store.counts(tx, [run.id for run in found[:limit]])

        found, counted = await engine.database.look(looked)
        return page_of(found, limit, [_brief(run, counted[run.id]) for run in found[:limit]])

    @router.get("/runs/compare", response_model=Compared, dependencies=[reads])
    async def compare(one: Named, other: Named) -> dict[str, Any]:
        """Two runs side by side, persona by persona."""

        async def looked(tx: AsyncConnection) -> dict[str, Any]:
            first, second = await store.find(tx, one), await store.find(tx, other)
            counted = await store.counts(tx, [first.id, second.id])
            return {
                "one": _brief(first, counted[first.id]),
                "other": _brief(second, counted[second.id]),
                "personas": await audits.compare(tx, first.id, second.id),
            }

        return await engine.database.look(looked)

    @router.get("/runs/{run_id}", response_model=ShownRun, dependencies=[reads])
    async def show(run_id: IdInPath, words: Spoken) -> dict[str, Any]:
        return await _shown(run_id, words)

    @router.post("/runs/{run_id}/pause", response_model=ShownRun, dependencies=[manages])
    async def pause(run_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """Nothing more is put in line until somebody gives the same order again."""
        return await _shown((await engine.runs.pause(run_id)).id, words)

    @router.get("/pictured", response_model=EverybodyPictured, dependencies=[reads])
    async def pictured(style: Annotated[Line, Query()] = "") -> dict[str, Any]:
        """How many personas and posts have a picture."""
        people, posts = await engine.runs.pictured(style)
        return {"personas": pictured_shown(people), "posts": pictured_shown(posts)}

    @router.post("/pictures/{picture_id}/replay", status_code=202, response_model=JobOut)
    async def replay(picture_id: IdInPath, again: Again, who: Manager, words: Spoken) -> dict[str, Any]:
        """The same once more, from the same seed."""
        job = await replaying.replay(
            engine.database,
            engine.imagining,
            picture_id,
            dedup_key=asked_once(who, again.key),
            told=told_in(again, "replay", picture_id),
        )
        return job_shown(job, await engine.imagining.ahead_of(job.id), [], words)

    @router.get("/pictures/{picture_id}/against/{again_id}", response_model=Against, dependencies=[reads])
    async def against(picture_id: IdInPath, again_id: IdInPath, words: Spoken) -> dict[str, Any]:
        """How far a replay is what it should be."""
        found = await replaying.compared(engine.database, engine.files, picture_id, again_id)
        return {"same": found.same, "differing": found.differing, "says": words.says(found.says)}

    def _brief(run: Run, counts: store.Counts) -> dict[str, Any]:
        return run_shown(standing_of(run, counts, engine.settings.pictures.currency))

    async def _shown(run_id: int, words: Locale) -> dict[str, Any]:
        standing = await engine.runs.standing(run_id)
        reasons = []
        if standing.counts.failed and standing.run.state != RunState.OPEN:
            reasons = await engine.database.look(partial(audits.reasons, run_id=run_id))
        said = [{"says": words.says(one), "jobs": n} for one, n in reasons]
        return run_shown(standing) | {"reasons": said}

    return router
