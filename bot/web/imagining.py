"""The routes of picture jobs: ask for one or many, look, cancel, try again; and the line in which they stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.progress import guesses
from bot.shown import job_shown
from bot.web.doors import Caller, Scope
from bot.web.owners import Looker, Maker, asked_once, job_for, person_of, rating_of, sight_of, told_in
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import (
    Address,
    Before,
    Given,
    IdInPath,
    JobOut,
    Key,
    Long,
    Number,
    Page,
    Short,
    Whole,
    page_of,
)
from engine import remaking, safety
from engine.engine import Engine
from engine.errors import BadRequest, GreenroomError, Unsuitable
from engine.events import CLOSING, Event
from engine.imagining import Wish
from engine.locales import Locale, say
from engine.pictures import fairness
from engine.store import jobs, line, people, personas, pictures
from engine.store.line import InLine
from engine.store.records import Job, JobState, Lane, PersonaRecord, PictureRequest
from personas.persona import Rating

#: So many jobs may be asked for at once, and of so many the prompts are written side by side.
MOST_AT_ONCE, SIDE_BY_SIDE = 100, 8
#: So many of each lane are told one by one.
MOST_IN_LANE = 100


class Asked(Given):
    persona: Annotated[str, Field(min_length=1, max_length=200)]
    scene: Long
    style: Short | None = None
    seed: Whole | None = None
    count: Whole = 1
    width: Whole | None = None
    height: Whole | None = None
    negative: Annotated[str, Field(max_length=2_000)] = ""
    quality: Annotated[str, Field(max_length=40)] | None = None
    steps: Whole | None = None
    guidance: Number | None = None
    scheduler: Annotated[str, Field(max_length=80)] = ""
    outfit: Short = ""
    pose: Short = ""
    model: Short = ""
    #: The prompt itself, where somebody has it already; else it is written.
    prompt: Long = ""
    #: How grown-up it may be; no more than the caller may see.
    rating: Rating = Rating.ALL_AGES
    key: Key
    #: Where the outcome is posted to, signed; empty: nowhere.
    callback: Address = ""

    def wish(self) -> Wish:
        return Wish(**self.model_dump(exclude={"persona", "prompt", "rating", "key", "callback"}))


class Many(Given):
    items: Annotated[list[Asked], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Jobs(BaseModel):
    items: list[JobOut]


class WaitingOut(JobOut):
    """A job in line, and for whom."""

    persona: str
    persona_name: str
    person: str
    owner: str


class EstimateOut(BaseModel):
    """Seconds from now, as things went so far."""

    likely: float
    at_most: float


class LineOut(BaseModel):
    lanes: dict[Lane, list[WaitingOut]]
    #: How many wait in each lane.
    counts: dict[Lane, int]
    running: list[WaitingOut]
    #: When the last one may be ready; null where there is none, or nothing is known.
    estimate: EstimateOut | None


class _Ordering:
    """One order on its way into the line."""

    def __init__(self, engine: Engine, who: Caller, asked: Asked) -> None:
        self._engine = engine
        self._who = who
        self.asked = asked
        self._dedup_key, self._told = asked_once(who, asked.key), told_in(asked, "picture")
        self._composed: tuple[PersonaRecord, PictureRequest] | None = None

    async def compose(self) -> None:
        """Everything slow; an order that was taken before is not written again."""
        asked, engine = self.asked, self._engine
        if asked.callback:
            engine.callbacks.check(asked.callback)
        if await engine.database.look(self._there) is not None:
            return
        record = await engine.database.look(self._checked)
        wish, prompt = asked.wish(), asked.prompt.strip()
        request = await engine.imagining.compose(record, wish, rating=asked.rating, prompt=prompt)
        if prompt:
            request = await remaking.by_hand(engine.imagining, request, prompt)
        self._composed = record, request

    async def put_in_line(self, tx: AsyncConnection) -> Job:
        if self._composed is None:
            there = await self._there(tx)
            if there is None:
                raise BadRequest(say("web.order_gone"))
            return there
        record, request = self._composed
        engine = self._engine
        accepted = await engine.imagining.put_in_line(
            tx,
            request,
            persona_id=record.id,
            person=await person_of(tx, engine, self._who),
            lane=Lane.INTERACTIVE,
            dedup_key=self._dedup_key,
            told=self._told,
        )
        if self.asked.callback and not accepted.known:
            key_id = self._who.key_id
            await engine.callbacks.promise(tx, accepted.job, self.asked.callback, key_id=key_id)
        return accepted.job

    async def _there(self, tx: AsyncConnection) -> Job | None:
        return await jobs.ordered(tx, self._dedup_key, self._told)

    async def _checked(self, tx: AsyncConnection) -> PersonaRecord:
        record = await personas.find(tx, self.asked.persona)
        person = await people.known(tx, self._who.account)
        allowed = await rating_of(tx, self._engine, self._who, person)
        if self.asked.rating.level > allowed.level:
            raise Unsuitable(say("imagine.too_grown_up"))
        if not self._who.may(Scope.MANAGE):
            safety.check_persona(record.persona, allowed)
        return record


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=API, responses=PROBLEMS, tags=["jobs"])

    @router.post("/jobs", status_code=202, response_model=JobOut)
    async def ask(asked: Asked, who: Maker, words: Spoken) -> dict[str, Any]:
        """Have a picture made. Asked again under the same key, it is the same job; 409: that stands for another."""
        [job] = await _ordered(who, [asked])
        return job_shown(job, await engine.imagining.ahead_of(job.id), await _made(job), words)

    @router.post("/jobs/batch", status_code=202, response_model=Jobs)
    async def ask_for_many(many: Many, who: Maker, words: Spoken) -> dict[str, Any]:
        """Have many pictures made: all of them are taken, or none."""
        taken = await _ordered(who, many.items)
        ids = list({job.id for job in taken})
        made = await engine.database.look(partial(pictures.of_jobs, job_ids=ids))
        return {"items": [job_shown(job, None, made.get(job.id, []), words) for job in taken]}

    async def _ordered(who: Caller, items: list[Asked]) -> list[Job]:
        orders = [_Ordering(engine, who, asked) for asked in items]
        room = asyncio.Semaphore(SIDE_BY_SIDE)

        async def compose(number: int, order: _Ordering) -> None:
            async with room:
                with _in_its_place(number, len(items)):
                    await order.compose()

        async def taken(tx: AsyncConnection) -> list[Job]:
            found = []
            for number, order in enumerate(orders):
                with _in_its_place(number, len(items)):
                    found.append(await order.put_in_line(tx))
            return found

        try:
            async with asyncio.TaskGroup() as group:
                for number, order in enumerate(orders):
                    group.create_task(compose(number, order))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # one reason is enough
        found = await engine.database.change(taken)
        engine.imagining.nudge()
        return found

    @router.get("/jobs", response_model=Page[JobOut])
    async def listing(
        who: Looker,
        words: Spoken,
        state: Annotated[list[JobState] | None, Query(max_length=10)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Before = None,
        own: bool = False,
    ) -> dict[str, Any]:
        """The newest first. Who may only make pictures sees their own; `own` asks for no others."""

        async def found(tx: AsyncConnection) -> tuple[list[Job], dict[int, list[Any]]]:
            person_id = (await sight_of(tx, engine, who)).person_id
            if own and person_id is None and who.key_id is not None:
                known = await people.known(tx, who.account)
                person_id = known.id if known else 0
            page = await jobs.listing(
                tx, states=state, person_id=person_id, limit=limit + 1, before_id=before
            )
            return page, await pictures.of_jobs(tx, [job.id for job in page])

        page, made = await engine.database.look(found)
        return page_of(page, limit, [job_shown(job, None, made.get(job.id, []), words) for job in page])

    @router.get("/jobs/{job_id}", response_model=JobOut)
    async def show(job_id: IdInPath, who: Looker, words: Spoken) -> dict[str, Any]:
        job, _ = await job_for(engine, who, job_id)
        return await _shown(job, words)

    async def _shown(job: Job, words: Locale) -> dict[str, Any]:
        ahead = None if job.state.ended else await engine.imagining.ahead_of(job.id)
        return job_shown(job, ahead, await _made(job), words)

    async def _made(job: Job) -> list[Any]:
        return (await engine.database.look(partial(pictures.of_jobs, job_ids=[job.id]))).get(job.id, [])

    @router.get(
        "/jobs/{job_id}/live",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    )
    async def live(job_id: IdInPath, who: Looker, words: Spoken) -> StreamingResponse:
        """The job's steps as they are made, one JSON object a line; the last one is the whole job."""
        await job_for(engine, who, job_id)
        return StreamingResponse(_until_ended(job_id, words), media_type="application/x-ndjson")

    async def _until_ended(job_id: int, words: Locale) -> AsyncIterator[str]:
        def of_this_job(event: Event) -> bool:
            ours = event.name.startswith("job.") and event.about.get("job") == job_id
            return ours or event.name == CLOSING

        async def now() -> Job:
            return await engine.database.look(partial(jobs.get, job_id=job_id))

        # Watch first, then look: what ends in between is seen by the look.
        with engine.events.watch(of_this_job) as watch:
            if not (await now()).state.ended:
                async for event in watch:
                    if event.name in ("job.ended", CLOSING):
                        break
                    yield json.dumps({"is": event.name, **event.about}) + "\n"
        yield json.dumps({"is": "job", **await _shown(await now(), words)}) + "\n"

    @router.post("/jobs/{job_id}/cancel", response_model=JobOut)
    async def cancel(job_id: IdInPath, who: Maker) -> dict[str, Any]:
        """Nothing comes of it any more. A key cancels its own jobs."""
        await job_for(engine, who, job_id, change=True)
        return job_shown(await engine.imagining.cancel(job_id), None, [])

    @router.post("/jobs/{job_id}/retry", response_model=JobOut)
    async def retry(job_id: IdInPath, who: Maker) -> dict[str, Any]:
        """A job that failed or was cancelled stands in line again."""
        await job_for(engine, who, job_id, change=True)
        return job_shown(await engine.imagining.retry(job_id), None, [])

    @router.get("/line", response_model=LineOut)
    async def standing(who: Looker) -> dict[str, Any]:
        """Who waits in which lane, and what is being made; for whoever may see only their own, those."""

        async def found(tx: AsyncConnection) -> line.Line:
            sight = await sight_of(tx, engine, who)
            return await line.standing(tx, most=MOST_IN_LANE, person_id=sight.person_id)

        now = await engine.database.look(found)
        in_order = sorted(
            (one.job for waiting in now.lanes.values() for one in waiting),
            key=lambda job: (fairness.rank_of(job), job.id),
        )
        ahead = {job.id: place for place, job in enumerate(in_order)}
        running = [one.job for one in now.running]
        last = max(now.lasts or running, key=lambda job: (fairness.rank_of(job), job.id), default=None)
        _, ready = (None, None) if last is None else await guesses(engine, last)
        return {
            "lanes": {lane: [_in_line(one, ahead) for one in waiting] for lane, waiting in now.lanes.items()},
            "counts": now.counts,
            "running": [_in_line(one, ahead) for one in now.running],
            "estimate": None if ready is None else {"likely": ready.likely, "at_most": ready.at_most},
        }

    return router


def _in_line(one: InLine, ahead: dict[int, int]) -> dict[str, Any]:
    for_whom = {
        "persona": one.persona,
        "persona_name": one.persona_name,
        "person": one.person,
        "owner": one.owner,
    }
    return job_shown(one.job, ahead.get(one.job.id), []) | for_whom


@contextmanager
def _in_its_place(number: int, of: int) -> Iterator[None]:
    """Of many orders it is said which one is meant."""
    try:
        yield
    except GreenroomError as error:
        if of > 1:
            error.args = (f"items.{number}: {error}", *error.args[1:])
        raise
