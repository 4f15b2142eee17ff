"""The cast as the page shows it: a list to choose from, page by page, everybody's face, and the LoRAs to wear."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from bot.faces import Faces
from bot.web.doors import Scope
from bot.web.files import HARMLESS, bytes_of
from bot.web.owners import Guest, Reader, sight_of, to_be_met
from bot.web.problems import API, PROBLEMS
from bot.web.shapes import Limit, Slug
from engine import safety
from engine.engine import Engine
from engine.errors import NotFound
from engine.locales import say
from engine.pictures.painting import loras_there
from engine.store import personas
from personas.persona import Persona, Rating

#: So many seconds a face is not asked for again: nobody gets another one more often than that.
FRESH = 60


class EntryOut(BaseModel):
    """Somebody in the list of all."""

    slug: str
    name: str
    called: str
    occupation: str
    tags: list[str]
    rating: Rating
    origin: str
    revision: int
    face: str


class CastOut(BaseModel):
    items: list[EntryOut]
    #: The `before` of the next page.
    next: str | None


class LoraOut(BaseModel):
    name: str
    #: For which kind of model; `unknown` where the file does not tell.
    base: str


class LorasOut(BaseModel):
    items: list[LoraOut]


def routes(engine: Engine, faces: Faces) -> APIRouter:
    router = APIRouter(prefix=API, responses=PROBLEMS)

    @router.get("/personas", response_model=CastOut)
    async def listing(
        who: Guest,
        q: Annotated[str, Query(max_length=200)] = "",
        tag: Annotated[str, Query(max_length=200)] = "",
        before: Annotated[str, Query(max_length=200)] = "",
        limit: Limit = 60,
    ) -> dict[str, Any]:
        """Everybody by name, or whoever `q` may mean. `next` is the slug behind which the next page begins."""

        words, tagged = q.casefold().split(), tag.casefold()
        met = await engine.database.look(partial(to_be_met, engine=engine, who=who))
        everybody = [one for one in met if _is_meant(*one, words, tagged)]
        start = next((place + 1 for place, (entry, _) in enumerate(everybody) if entry.slug == before), 0)
        page = everybody[start : start + limit]
        more = len(everybody) > start + limit
        return {"items": [_shown(*one) for one in page], "next": page[-1][0].slug if more else None}

    @router.get("/personas/{slug}/face", response_class=Response, responses=bytes_of("image/png", known=True))
    async def face(slug: Slug, request: Request, who: Guest) -> Response:
        async with engine.database.read() as tx:
            record = await personas.find(tx, slug)
            if not who.may(Scope.READ):
                safety.check_persona(record.persona, (await sight_of(tx, engine, who)).allowed)
        found = await faces.of(record.id)
        if found is None:
            raise NotFound(say("personas.gone"))
        headers = {**HARMLESS, "ETag": f'"{found.key}"', "Cache-Control": f"private, max-age={FRESH}"}
        if request.headers.get("if-none-match", "") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(await found.picture(), media_type="image/png", headers=headers)

    @router.get("/loras", response_model=LorasOut)
    async def loras(_: Reader) -> dict[str, Any]:
        """The LoRAs on this machine's disk that the model which paints here can wear, by name."""
        there = await asyncio.to_thread(partial(loras_there, engine.settings))
        return {"items": [{"name": one.name, "base": one.base} for one in there]}

    return router


def _is_meant(entry: personas.Entry, persona: Persona, words: list[str], tag: str) -> bool:
    if tag and tag not in (one.casefold() for one in entry.tags):
        return False
    about = " ".join((entry.name, entry.slug, persona.occupation, *entry.tags)).casefold()
    return all(word in about for word in words)


def _shown(entry: personas.Entry, persona: Persona) -> dict[str, Any]:
    return {
        "slug": entry.slug,
        "name": entry.name,
        "called": persona.called,
        "occupation": persona.occupation,
        "tags": list(entry.tags),
        "rating": persona.rating.value,
        "origin": entry.origin,
        "revision": entry.revision,
        "face": f"/api/v1/personas/{entry.slug}/face",
    }
