"""The routes of pictures: the gallery, all that made one, its bytes and its small copy; delete, and make it again."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.shown import job_shown, picture_shown
from bot.web.doors import Scope
from bot.web.files import HARMLESS
from bot.web.messages_shown import shot_shown
from bot.web.owners import (
    Guest,
    Looker,
    Maker,
    Manager,
    asked_once,
    person_of,
    picture_for,
    sight_of,
    told_in,
)
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import (
    LINE,
    Address,
    Before,
    Given,
    IdInPath,
    JobOut,
    Key,
    Limit,
    Long,
    Number,
    Page,
    PictureOut,
    RequestOut,
    Short,
    ShotOut,
    Whole,
    page_of,
)
from engine import album, safety
from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.store import album as store
from engine.store import jobs, personas, pictures
from engine.store.files import kind_of
from engine.store.page_news import Shot
from engine.store.records import Job, PersonaRecord, Picture
from engine.wishes import Shape, shaped
from personas.persona import Rating

#: So many seconds a browser does not ask again for the bytes of a picture.
FRESH = 3_600
#: What is answered with these is no JSON.
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "It is the same still."},
}


class WhoOut(BaseModel):
    id: int
    slug: str
    name: str


class ShapeOut(BaseModel):
    shape: Shape
    width: int
    height: int


class AboutOut(BaseModel):
    """A picture, everything that made it, and its family."""

    picture: PictureOut
    request: RequestOut
    #: What each text encoder read of the prompt, where a model painted it.
    receipt: dict[str, Any] | None
    #: The nearest first.
    parents: list[ShotOut]
    #: What was made from it, the newest first.
    variations: list[ShotOut]
    job: JobOut
    run: int | None
    #: null once they have left the cast.
    persona: WhoOut | None
    #: How large it would be in each shape.
    shapes: list[ShapeOut]


class Encoded(BaseModel):
    id: int
    type: str
    base64: str


class Changing(Given):
    """What is to be otherwise; what is left out is as it was."""

    prompt: Long | None = None
    scene: Long | None = None
    style: Short | None = None
    negative: Annotated[str, Field(max_length=2_000)] | None = None
    seed: Whole | None = None
    count: Whole | None = None
    width: Whole | None = None
    height: Whole | None = None
    #: Instead of both sides: the shape, in which there is about as much to paint as there was.
    shape: Shape | None = None
    steps: Whole | None = None
    guidance: Number | None = None
    scheduler: Annotated[str, Field(max_length=80)] | None = None


class Again(Given):
    changes: Changing = Changing()
    key: Key
    #: Where the outcome is posted to, signed; empty: nowhere.
    callback: Address = ""


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/pictures", responses=PROBLEMS, tags=["pictures"])

    @router.get("", response_model=Page[ShotOut])
    async def listing(
        who: Looker,
        persona: Annotated[str, Query(max_length=200)] = "",
        style: Annotated[str, Query(max_length=64, pattern=LINE)] = "",
        run: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
        rating: Rating | None = None,
        before: Before = None,
        limit: Limit = 60,
    ) -> dict[str, Any]:
        """The newest first. Who may only make pictures sees those that were made for them."""

        async def found(tx: AsyncConnection) -> list[Shot]:
            sight = await sight_of(tx, engine, who)
            persona_id = (await personas.find(tx, persona)).id if persona else None
            wanted = store.Wanted(persona_id, style, run, rating, sight.person_id)
            return await store.page(tx, wanted, allowed=sight.allowed, before=before, most=limit + 1)

        shots = await engine.database.look(found)
        return page_of(shots, limit, [shot_shown(shot) for shot in shots])

    @router.get(
        "/{picture_id}",
        response_class=Response,
        responses=_BYTES | {200: {"model": Encoded} | _BYTES[200]},
    )
    async def whole(
        picture_id: IdInPath,
        who: Guest,
        request: Request,
        as_: Annotated[Literal["image", "base64"], Query(alias="as")] = "image",
    ) -> Response:
        """The picture itself: its bytes, or as JSON with `as=base64`."""
        picture = await picture_for(engine, who, picture_id)
        kind = kind_of(picture.file)
        if as_ == "base64":
            data = base64.b64encode(await engine.files.get(picture.file)).decode()
            return JSONResponse({"id": picture.id, "type": kind, "base64": data})
        etag = f'"p{picture.id}"'
        if _is_known(request, etag):
            return Response(status_code=304, headers=_kept(etag))
        return Response(await engine.files.get(picture.file), media_type=kind, headers=_kept(etag))

    @router.get("/{picture_id}/thumb", response_class=Response, responses=_BYTES)
    async def thumb(picture_id: IdInPath, who: Guest, request: Request) -> Response:
        """A small copy, as WebP."""
        picture = await picture_for(engine, who, picture_id)
        etag = f'"t{picture.id}"'
        if _is_known(request, etag):
            return Response(status_code=304, headers=_kept(etag))
        small = await engine.thumbs.small(picture.file)
        return Response(small, media_type="image/webp", headers=_kept(etag))

    @router.get("/{picture_id}/about", response_model=AboutOut)
    async def about(picture_id: IdInPath, who: Looker, words: Spoken) -> dict[str, Any]:
        """Everything of one picture: what it was made with, from, and for."""
        picture = await picture_for(engine, who, picture_id)

        async def found(tx: AsyncConnection) -> tuple[store.Family, Job, list[Any], PersonaRecord | None]:
            sight = await sight_of(tx, engine, who)
            family = await store.family(tx, picture, allowed=sight.allowed, person_id=sight.person_id)
            job = await jobs.get(tx, picture.job_id)
            made = (await pictures.of_jobs(tx, [job.id])).get(job.id, [])
            return family, job, made, await _who(tx, picture.persona_id)

        family, job, made, record = await engine.database.look(found)
        shown = job_shown(job, None, made, words)
        return {
            "picture": picture_shown(picture),
            "request": shown["request"],
            "receipt": picture.facts.get("receipt"),
            "parents": [shot_shown(shot) for shot in family.parents],
            "variations": [shot_shown(shot) for shot in family.variations],
            "job": shown,
            "run": picture.run_id,
            "persona": record and {"id": record.id, "slug": record.persona.slug, "name": record.persona.name},
            "shapes": [
                {"shape": shape, "width": width, "height": height}
                for shape in Shape
                for width, height in (shaped(shape, picture.width, picture.height),)
            ],
        }

    @router.delete("/{picture_id}", status_code=204)
    async def delete(picture_id: IdInPath, _: Manager) -> None:
        """It is shown nowhere any more; its files go. Where it was the last one of a message, that goes too."""
        await album.delete(engine.database, engine.thumbs, engine.clock, picture_id)

    @router.post("/{picture_id}/again", status_code=202, response_model=JobOut)
    async def again(picture_id: IdInPath, asked: Again, who: Maker, words: Spoken) -> dict[str, Any]:
        """The same once more, but for the changes; with none of them, only from another seed."""
        if asked.callback:
            engine.callbacks.check(asked.callback)
        picture = await picture_for(engine, who, picture_id)
        dedup_key, said = asked_once(who, asked.key), told_in(asked, "again", picture_id)
        was, record = await engine.database.look(partial(_made_of, job_id=picture.job_id))
        async with engine.database.read() as tx:
            allowed = (await sight_of(tx, engine, who)).allowed
            there = await jobs.ordered(tx, dedup_key, said)
        if there is not None:
            return job_shown(there, await engine.imagining.ahead_of(there.id), [], words)
        if not who.may(Scope.MANAGE):
            safety.check_persona(record.persona, allowed)
        changes = _changes(asked.changes, picture)
        usual = engine.settings.pictures
        request = await album.changed(engine.imagining, record, was.request, picture, changes, usual)

        async def taken(tx: AsyncConnection) -> Job:
            accepted = await engine.imagining.put_in_line(
                tx,
                request,
                persona_id=record.id,
                person=await person_of(tx, engine, who),
                parent_picture_id=(await pictures.get(tx, picture_id)).id,
                dedup_key=dedup_key,
                told=said,
            )
            if asked.callback and not accepted.known:
                await engine.callbacks.promise(tx, accepted.job, asked.callback, key_id=who.key_id)
            return accepted.job

        job = await engine.database.change(taken)
        engine.imagining.nudge()
        return job_shown(job, await engine.imagining.ahead_of(job.id), [])

    return router


def _changes(told: Changing, picture: Picture) -> album.Changes:
    changes = album.Changes(**told.model_dump(exclude={"shape"}))
    if told.shape is None:
        return changes
    if told.width is not None or told.height is not None:
        raise BadRequest(say("web.shape_or_sides"))
    width, height = shaped(told.shape, picture.width, picture.height)
    return replace(changes, width=width, height=height)


async def _made_of(tx: AsyncConnection, job_id: int) -> tuple[Job, PersonaRecord]:
    job = await jobs.get(tx, job_id)
    if (record := await _who(tx, job.persona_id)) is None:
        raise NotFound(say("pictures.persona_gone"))
    return job, record


async def _who(tx: AsyncConnection, persona_id: int | None) -> PersonaRecord | None:
    if persona_id is None:
        return None
    try:
        return await personas.get(tx, persona_id)
    except NotFound:
        return None  # they have left the cast


def _kept(etag: str) -> dict[str, str]:
    return {**HARMLESS, "ETag": etag, "Cache-Control": f"private, max-age={FRESH}"}


def _is_known(request: Request, etag: str) -> bool:
    told = request.headers.get("if-none-match", "")
    return any(one.strip().removeprefix("W/") in ("*", etag) for one in told.split(","))
