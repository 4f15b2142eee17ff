"""The routes of personas: who somebody is, all that their page shows, edits and the revisions before, faces, cards.

A list of them, and their faces, are in `cast.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import carrying
from bot.shown import persona_shown
from bot.web.files import HARMLESS
from bot.web.messages_shown import shot_shown
from bot.web.owners import Manager, Reader, sight_of
from bot.web.problems import API, PROBLEMS, Mistake, sentence_of, status_of
from bot.web.shapes import (
    Before,
    Given,
    Id,
    IdInPath,
    Limit,
    Page,
    PersonaOut,
    Short,
    ShotOut,
    Slug,
    Whole,
    page_of,
)
from engine import album
from engine.engine import Engine
from engine.errors import BadRequest, Conflict, NotFound
from engine.locales import say
from engine.pictures import Lora
from engine.store import album as shots
from engine.store import personas
from engine.store.files import Files
from engine.store.page_news import Shot
from engine.store.personas import Revision
from engine.store.records import PersonaRecord
from engine.styles import style_named
from personas.cards import CardError, CardFormat, read_card
from personas.persona import Persona

#: As many of somebody's pictures stand on their page.
ON_A_PAGE = 12
TYPES = {
    CardFormat.PNG: "image/png",
    CardFormat.CHARX: "application/zip",
    CardFormat.TOML: "application/toml",
}
CARDS = ("application/json", *TYPES.values())
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
#: A card in JSON is shown as what it is.
_CARD: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}


class Hint(Given):
    kind: Short = ""
    name: Short = ""
    seed: Whole | None = None
    model: Short = ""


class Surprise(Given):
    seed: Whole | None = None
    model: Short = ""


class Edited(Given):
    persona: Persona
    #: The revision that was edited: where there is a newer one by now, nothing is changed.
    revision: Id


class Back(Given):
    #: The revision that is there now, as far as is known; null does not ask.
    revision: Id | None = None


class Worn(Given):
    #: null: a drawn one.
    picture: Id | None


class WrittenOut(BaseModel):
    id: int
    origin: str
    revision: int
    persona: Persona


class ImportedOut(WrittenOut):
    format: CardFormat
    #: What was odd about the file.
    notes: list[str]


class PageOut(WrittenOut):
    face: str
    face_picture: int | None
    #: The newest ones.
    pictures: list[ShotOut]


class RevisionOut(BaseModel):
    number: int
    name: str
    note: str
    created_at: str
    current: bool


class OldOut(BaseModel):
    number: int
    persona: Persona


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/personas", responses=PROBLEMS, tags=["personas"])

    async def found(slug: str) -> PersonaRecord:
        return await engine.database.look(partial(personas.find, wanted=slug))

    # Somebody new

    @router.post("", status_code=201, response_model=WrittenOut)
    async def cast(hint: Hint, _: Manager) -> dict[str, Any]:
        """Have somebody written, and take them into the cast."""
        return _written(
            await engine.casting.write(kind=hint.kind, name=hint.name, seed=hint.seed, model=hint.model)
        )

    @router.post("/random", status_code=201, response_model=WrittenOut)
    async def surprise(_: Manager, asked: Surprise | None = None) -> dict[str, Any]:
        """Have anybody at all written."""
        told = asked or Surprise()
        return _written(await engine.casting.write(seed=told.seed, model=told.model))

    @router.post(
        "/import",
        status_code=201,
        response_model=ImportedOut,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": dict.fromkeys(
                    ("application/octet-stream", "application/json", "image/png", "application/zip"), _FILE
                ),
            }
        },
    )
    async def bring(
        request: Request, _: Manager, name: Annotated[str, Query(max_length=200)] = "card"
    ) -> dict[str, Any]:
        """Take somebody in from a character card (JSON, PNG, CHARX) or TOML: the file itself is the body."""
        data = await request.body()
        try:
            read = await asyncio.to_thread(read_card, data, name)
        except CardError as error:
            raise BadRequest(say("personas.no_card", why=str(error))) from None
        record = await carrying.taken_in(engine.database, engine.clock, read)
        return _written(record) | {"format": read.format, "notes": list(read.notes)}

    # Who they are

    @router.get("/{slug}", response_model=PersonaOut)
    async def who(slug: Slug, _: Reader) -> dict[str, Any]:
        return persona_shown(await found(slug))

    @router.get("/{slug}/page", response_model=PageOut)
    async def page(slug: Slug, who: Reader) -> dict[str, Any]:
        """Everything that is known of somebody, and the revision that this is."""

        async def read(tx: AsyncConnection) -> tuple[PersonaRecord, list[Shot]]:
            record = await personas.find(tx, slug)
            allowed = (await sight_of(tx, engine, who)).allowed
            wanted = shots.Wanted(persona_id=record.id)
            return record, await shots.page(tx, wanted, allowed=allowed, before=None, most=ON_A_PAGE)

        record, newest = await engine.database.look(read)
        return _written(record) | {
            "face": f"/api/v1/personas/{record.persona.slug}/face",
            "face_picture": record.face_picture_id,
            "pictures": [shot_shown(shot) for shot in newest],
        }

    @router.put("/{slug}", response_model=WrittenOut)
    async def edit(slug: Slug, edited: Edited, _: Manager) -> dict[str, Any]:
        """Somebody is who is sent from now on. The revision before stays."""
        record = await found(slug)
        _check_newest(record, edited.revision)
        persona = edited.persona
        if persona.slug != record.persona.slug:
            with _about("persona.slug"):
                raise BadRequest(say("personas.slug_stays", slug=record.persona.slug))
        await _check_taste(engine, persona, record.persona)
        if persona == record.persona:
            return _written(record)
        return _written(await _revised(engine, record, persona, "edited by the API"))

    @router.delete("/{slug}", status_code=204)
    async def leave(slug: Slug, _: Manager) -> None:
        """Somebody leaves the cast. What they said and their pictures stay."""
        record = await found(slug)
        leaves = partial(personas.delete, persona_id=record.id, now=engine.clock.now())
        await engine.database.change(leaves)

    # Who they were

    @router.get("/{slug}/revisions", response_model=Page[RevisionOut])
    async def revisions(slug: Slug, _: Reader, before: Before = None, limit: Limit = 50) -> dict[str, Any]:
        """The newest first."""

        async def read(tx: AsyncConnection) -> tuple[PersonaRecord, list[Revision]]:
            record = await personas.find(tx, slug)
            return record, await personas.revisions(tx, record.id, before=before, most=limit + 1)

        record, there = await engine.database.look(read)
        shown = [
            {
                "number": one.number,
                "name": one.name,
                "note": one.note,
                "created_at": one.created_at.isoformat(),
                "current": one.number == record.revision,
            }
            for one in there
        ]
        return page_of(there, limit, shown, at="number")

    @router.get("/{slug}/revisions/{number}", response_model=OldOut)
    async def revision(slug: Slug, number: IdInPath, _: Reader) -> dict[str, Any]:
        """Who somebody was then."""
        return {"number": number, "persona": await _old(engine, await found(slug), number)}

    @router.post("/{slug}/revisions/{number}/restore", response_model=WrittenOut)
    async def restore(slug: Slug, number: IdInPath, _: Manager, back: Back | None = None) -> dict[str, Any]:
        """Somebody is again who they were then; that is a new revision too."""
        record = await found(slug)
        if back is not None and back.revision is not None:
            _check_newest(record, back.revision)
        old = await _old(engine, record, number)
        return _written(await _revised(engine, record, old, f"back to revision {number}"))

    # What they look like, and their card

    @router.put("/{slug}/face", response_model=PersonaOut)
    async def wear(slug: Slug, worn: Worn, _: Manager) -> dict[str, Any]:
        """A picture of somebody becomes their face."""
        record = await found(slug)
        await engine.database.change(partial(album.wear, record=record, picture_id=worn.picture))
        return persona_shown(record)

    @router.get(
        "/{slug}/card",
        response_class=Response,
        responses={
            200: {
                "content": dict.fromkeys(("application/octet-stream", *CARDS), _FILE) | _CARD,
                "headers": {
                    "Greenroom-Left-Out": {
                        "description": "What this format cannot carry: a JSON list of sentences.",
                        "schema": {"type": "string"},
                    }
                },
            }
        },
    )
    async def card(
        slug: Slug, _: Reader, wanted: Annotated[CardFormat, Query(alias="format")] = CardFormat.JSON
    ) -> Response:
        """Somebody as a file that other programs read."""

        async def files() -> Files:
            return engine.files

        record = await found(slug)
        try:
            written = await carrying.card_of(engine.database, files, record, wanted)
        except CardError as error:
            raise BadRequest(say("personas.card_not_made", why=str(error))) from None
        name = quote(f"{record.persona.slug}{written.suffix}")
        left_out = json.dumps(list(written.lost))
        headers = HARMLESS | {
            "Content-Disposition": f'attachment; filename="{name}"',
            # A header has no room for every book's worth of names.
            "Greenroom-Left-Out": left_out if len(left_out) < 4_000 else '["more than can be told here"]',
        }
        return Response(written.data, media_type=TYPES.get(wanted, "application/json"), headers=headers)

    return router


def _written(record: PersonaRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "origin": record.origin,
        "revision": record.revision,
        "persona": record.persona,
    }


def _check_newest(record: PersonaRecord, revision: int) -> None:
    if record.revision != revision:
        raise Conflict(say("personas.edited_meanwhile", name=record.persona.called))


async def _check_taste(engine: Engine, persona: Persona, before: Persona) -> None:
    """What was not there before has to be something that pictures can have."""
    taste, had = persona.picture, before.picture
    if taste.style != had.style:
        with _about("persona.picture.style"):
            style_named(engine.imagining.styles, taste.style)
    # One that is worn already may be missing by now: that keeps nobody from changing all else.
    new = [Lora(*one) for one in taste.loras.items() if one not in had.loras.items()]
    if new:
        with _about("persona.picture.loras"):
            await engine.imagining.check_loras(new, [Lora(*one) for one in taste.loras.items()])


@contextmanager
def _about(place: str) -> Iterator[None]:
    """Whoever sent much is told which of it is meant."""
    try:
        yield
    except (BadRequest, NotFound) as error:
        raise Mistake(status_of(error), sentence_of(error), param=place) from error


async def _old(engine: Engine, record: PersonaRecord, number: int) -> Persona:
    return await engine.database.look(partial(personas.revision, persona_id=record.id, number=number))


async def _revised(engine: Engine, record: PersonaRecord, persona: Persona, note: str) -> PersonaRecord:
    revises = partial(personas.revise, record=record, persona=persona, note=note, now=engine.clock.now())
    return await engine.database.change(revises)
