"""Personas carried in and out as files: character cards, and TOML that keeps everything. The command line and the API
do it alike.

It is told who somebody is and what a file holds; where files come from, and where they go, it does not know.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from functools import partial

from engine.clock import Clock
from engine.errors import NotFound, StoreError, TryAgain
from engine.pictures import PictureWanted
from engine.pictures.placeholder import Placeholder
from engine.store import personas, pictures
from engine.store.database import Database
from engine.store.files import Files
from engine.store.records import PersonaRecord
from personas.appearance import Scene
from personas.cards import CardError, CardFormat, CardRead, Written, write_card
from personas.persona import Persona

#: Sides of the picture that is drawn for a card of somebody who has none.
PORTRAIT = (768, 1024)
WITH_A_PICTURE = (CardFormat.PNG, CardFormat.CHARX)


def of_the_same_slug(persona: Persona, record: PersonaRecord) -> Persona:
    """A slug never changes: old links and buttons hold it."""
    if persona.slug != record.persona.slug:
        raise CardError(f"the slug stays “{record.persona.slug}”: links and buttons out there hold it")
    return persona


def in_place_of(read: CardRead, record: PersonaRecord) -> Persona:
    """What a file makes of somebody who is there."""
    if read.format is CardFormat.TOML:
        return of_the_same_slug(read.persona, record)
    # A card has no slug: the one it got is made of its name.
    return read.persona.model_copy(update={"slug": record.persona.slug})


async def taken_in(database: Database, clock: Clock, read: CardRead) -> PersonaRecord:
    """Somebody new, as a file tells of them."""
    joins = partial(personas.take_in, persona=read.persona, origin="imported", now=clock.now())
    return await database.change(joins)


async def card_of(
    database: Database, files: Callable[[], Awaitable[Files]], record: PersonaRecord, chosen: CardFormat
) -> Written:
    """A file of them; a format that shows a picture gets their face, or a drawn one."""
    picture = await _picture(database, files, record) if chosen in WITH_A_PICTURE else None
    return await asyncio.to_thread(write_card, record.persona, chosen, picture)


async def _picture(database: Database, files: Callable[[], Awaitable[Files]], record: PersonaRecord) -> bytes:
    if record.face_picture_id is not None:
        try:
            face = await database.look(partial(pictures.get, picture_id=record.face_picture_id))
            return await (await files()).get(face.file)
        except (NotFound, StoreError, TryAgain):
            pass  # deleted since, or not to be had just now; a drawn one does
    return await asyncio.to_thread(drawn, record.persona)


def drawn(persona: Persona) -> bytes:
    width, height = PORTRAIT
    wanted = PictureWanted(
        scene=Scene(persona, persona.occupation or "a portrait"),
        prompt="",
        negative="",
        seed=0,
        width=width,
        height=height,
        style=persona.picture.style,
    )
    [rendered] = Placeholder().render([wanted], lambda *_told: None)
    png = io.BytesIO()
    rendered.image.save(png, "PNG", optimize=True)
    return png.getvalue()
