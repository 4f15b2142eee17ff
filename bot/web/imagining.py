"""The routes of picture jobs and of casting: ask, look, cancel, try again; and the finished bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from bot.shown import job_shown, persona_shown
from engine.engine import Engine
from engine.events import CLOSING, Event
from engine.imagining import Wish
from engine.store import jobs, personas, pictures
from engine.store.records import JobState, Lane


class Asked(BaseModel):
    persona: Annotated[str, Field(min_length=1, max_length=200)]
    scene: str
    style: str | None = None
    seed: int | None = None
    count: int = 1
    width: int | None = None
    height: int | None = None
    negative: Annotated[str, Field(max_length=2_000)] = ""
    quality: Annotated[str, Field(max_length=40)] | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: Annotated[str, Field(max_length=80)] = ""
    outfit: Annotated[str, Field(max_length=200)] = ""
    pose: Annotated[str, Field(max_length=200)] = ""
    model: Annotated[str, Field(max_length=200)] = ""
    #: The asker's own id of this order: asked twice, it is done once.
    key: Annotated[str, Field(min_length=1, max_length=64)]


class Hint(BaseModel):
    kind: str = ""
    name: str = ""
    seed: int | None = None
    model: str = ""


def routes(engine: Engine) -> APIRouter:
    router = APIRouter()

    @router.post("/jobs", status_code=202)
    async def ask(asked: Asked) -> dict[str, Any]:
        async with engine.database.read() as tx:
            record = await personas.find(tx, asked.persona)
        wish = Wish(**asked.model_dump(exclude={"persona", "key"}))
        request = await engine.imagining.compose(record, wish)
        async with engine.database.write() as tx:
            accepted = await engine.imagining.put_in_line(
                tx,
                request,
                persona_id=record.id,
                person=None,
                lane=Lane.INTERACTIVE,
                dedup_key=f"api:{asked.key}",
            )
        engine.imagining.nudge()
        return job_shown(accepted.job, await engine.imagining.ahead_of(accepted.job.id), [])

    @router.get("/jobs")
    async def listing(
        state: Annotated[list[JobState] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[int | None, Query(ge=1)] = None,
    ) -> list[dict[str, Any]]:
        async with engine.database.read() as tx:
            found = await jobs.listing(tx, states=state, limit=limit, before_id=before)
            made = await pictures.of_jobs(tx, [job.id for job in found])
        return [job_shown(job, None, made.get(job.id, [])) for job in found]

    @router.get("/jobs/{job_id}")
    async def show(job_id: int) -> dict[str, Any]:
        async with engine.database.read() as tx:
            job = await jobs.get(tx, job_id)
            made = await pictures.of_jobs(tx, [job_id])
        ahead = None if job.state.ended else await engine.imagining.ahead_of(job_id)
        return job_shown(job, ahead, made.get(job_id, []))

    @router.get("/jobs/{job_id}/live")
    async def live(job_id: int) -> StreamingResponse:
        """The job's steps as they are made, one JSON object a line; the last one is the whole job."""
        await show(job_id)
        return StreamingResponse(_until_ended(job_id), media_type="application/x-ndjson")

    async def _until_ended(job_id: int) -> AsyncIterator[str]:
        def of_this_job(event: Event) -> bool:
            ours = event.name.startswith("job.") and event.about.get("job") == job_id
            return ours or event.name == CLOSING

        # Watch first, then look: what ends in between is seen by the look.
        with engine.events.watch(of_this_job) as watch:
            if not JobState((await show(job_id))["state"]).ended:
                async for event in watch:
                    if event.name in ("job.ended", CLOSING):
                        break
                    yield json.dumps({"is": event.name, **event.about}) + "\n"
        yield json.dumps({"is": "job", **await show(job_id)}) + "\n"

    @router.post("/jobs/{job_id}/cancel")
    async def cancel(job_id: int) -> dict[str, Any]:
        return job_shown(await engine.imagining.cancel(job_id), None, [])

    @router.post("/jobs/{job_id}/retry")
    async def retry(job_id: int) -> dict[str, Any]:
        return job_shown(await engine.imagining.retry(job_id), None, [])

    @router.get("/pictures/{picture_id}")
    async def picture(picture_id: int) -> Response:
        async with engine.database.read() as tx:
            found = await pictures.get(tx, picture_id)
        return Response(await engine.files.get(found.file), media_type="image/png")

    @router.get("/personas/{slug}")
    async def who(slug: str) -> dict[str, Any]:
        async with engine.database.read() as tx:
            return persona_shown(await personas.find(tx, slug))

    @router.post("/personas", status_code=201)
    async def cast(hint: Hint) -> dict[str, Any]:
        record = await engine.casting.write(kind=hint.kind, name=hint.name, seed=hint.seed, model=hint.model)
        return {"id": record.id, "origin": record.origin, "persona": record.persona.model_dump(mode="json")}

    return router
