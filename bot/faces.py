"""The face of whoever speaks: a persona's picture of itself, or one drawn for it until there is one."""

from __future__ import annotations

import asyncio
from functools import partial

from bot.front import Face
from engine.engine import Engine
from engine.errors import NotFound, StoreError, TryAgain
from engine.pictures.faces import draw_face, fit_face
from engine.store import chats, personas, pictures
from engine.store.chats import Said
from engine.store.records import PersonaRecord

#: As large as a face is shown beside a message.
SIDE = 128
REMEMBERED = 64


class Faces:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: Faces that were drawn, by persona, revision and side; the oldest go first.
        self._drawn: dict[tuple[int, int, int], bytes] = {}

    async def of_turn(self, said: Said) -> Face | None:
        """Who is going to answer a turn."""
        if said.turn.wanted:
            return await self.of(said.turn.wanted[0])
        here = await self._engine.database.look(partial(chats.persona_here, chat_id=said.place.id))
        return await self.of(here) if here is not None else None

    async def of(self, persona_id: int) -> Face | None:
        """Who somebody of the cast is; None when they have left it."""
        try:
            return self._face(await self._engine.database.look(partial(personas.get, persona_id=persona_id)))
        except NotFound:
            return None

    async def picture(self, record: PersonaRecord, side: int) -> bytes:
        """A square PNG of that side."""
        if record.face_picture_id is not None:
            try:
                found = partial(pictures.get, picture_id=record.face_picture_id)
                made = await self._engine.database.look(found)
                return await asyncio.to_thread(fit_face, await self._engine.files.get(made.file), side)
            except (NotFound, StoreError, TryAgain):
                pass  # deleted since, or not to be had just now; the drawn one stands in
        key = (record.id, record.revision, side)
        drawn = self._drawn.get(key)
        if drawn is None:
            drawn = self._drawn[key] = await asyncio.to_thread(draw_face, record.persona, side)
            while len(self._drawn) > REMEMBERED:
                del self._drawn[next(iter(self._drawn))]
        return drawn

    def _face(self, record: PersonaRecord) -> Face:
        # A drawn face follows the card; a picture is what it is.
        key = (
            f"{record.id}-p{record.face_picture_id}"
            if record.face_picture_id is not None
            else f"{record.id}-r{record.revision}"
        )
        return Face(record.persona.called, key, partial(self.picture, record, SIDE), record.persona.slug)
