"""From a row of the outbox to what a front can show: the bytes of pictures, the face of whoever speaks, and the
messages in whose place it comes. It reads, and changes nothing but what somebody was promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import cards
from bot.faces import Faces
from bot.front import Outgoing
from bot.progress import expectation
from engine.engine import Engine
from engine.errors import NotFound
from engine.locales import locale_of
from engine.pictures.grid import as_gallery, as_grid
from engine.store import jobs, messages, personas, pictures
from engine.store.records import Delivery, DeliveryKind, JobState, Picture

log = structlog.get_logger(__name__)

#: Pictures with their bytes.
Shown = tuple[tuple[Picture, bytes], ...]

#: As large as faces are shown in a list of personas.
GALLERY_SIDE = 256


class Completing:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._faces = Faces(engine)

    async def complete(self, row: Delivery, *, edits: bool) -> Outgoing:
        """`edits`: the front's messages stay, and one may take the place of another."""
        replaces = await self._engine.database.look(partial(_replaced_by, row=row)) if edits else ()
        if row.kind is DeliveryKind.PICTURE and row.job_id is not None:
            return replace(await self._with_pictures(row, row.job_id, edits=edits), replaces=replaces)
        if row.kind is DeliveryKind.POST:
            return await self._post(row, edits=edits)
        if not edits:
            return Outgoing(row)
        if row.job_id is not None:
            row = await self._job_s(row, row.job_id)
        face = await self._faces.of(row.persona_id) if row.persona_id is not None else None
        image, faces = await self._gallery(row.manner.faces) if row.manner.faces else (b"", ())
        return Outgoing(row, image=image, faces=faces, face=face, replaces=replaces)

    async def _job_s(self, row: Delivery, job_id: int) -> Delivery:
        """The message of a job: what is true of it now, whatever was when this was owed."""
        asked = await self._engine.database.look(partial(jobs.asked, job_id=job_id))
        if asked is None:
            return row
        job, who, locale = asked.job, asked.persona_name, locale_of(asked.language)
        if job.state is JobState.CANCELLED:
            text = cards.cancelled(locale, job, who)
        elif job.state is JobState.FAILED:
            text = row.text  # it says why, in that language
        else:
            ahead, ready = await expectation(self._engine, job)
            text = cards.card(locale, job, who, ahead=ahead, ready=ready)
        buttons = () if job.state is JobState.DONE else cards.buttons(locale, job_id, job.state)
        return replace(row, text=text, manner=replace(row.manner, buttons=buttons))

    async def _with_pictures(self, row: Delivery, job_id: int, *, edits: bool) -> Outgoing:
        """A finished job. A file that has gone is told, not waited for."""
        asked, made = await self._engine.database.look(partial(_shown_of, job_id=job_id))
        locale = locale_of(row.language)
        shown = await self._with_bytes(made)
        if not shown:
            return Outgoing(replace(row, text=locale.say("house.file_gone", job=str(job_id))))
        if not edits:
            return Outgoing(row, shown)
        caption = cards.caption(locale, asked.persona_name if asked else "", [one for one, _bytes in shown])
        manner = replace(row.manner, buttons=cards.buttons(locale, job_id, JobState.DONE, len(made)))
        return Outgoing(replace(row, text=caption, manner=manner), shown, image=await self._grid(shown))

    async def _post(self, row: Delivery, *, edits: bool) -> Outgoing:
        """A persona's caption with its picture above it, in one message. A picture that has gone is left away."""
        shown: Shown = ()
        if row.job_id is not None:
            _asked, made = await self._engine.database.look(partial(_shown_of, job_id=row.job_id))
            shown = await self._with_bytes(made)
        if row.job_id is not None and not shown:
            log.warning("post_without_its_picture", post=row.post_id, job=row.job_id, delivery=row.id)
        if not edits:
            return Outgoing(row, shown)
        face = await self._faces.of(row.persona_id) if row.persona_id is not None else None
        return Outgoing(row, shown, image=await self._grid(shown), face=face)

    async def _with_bytes(self, made: Sequence[Picture]) -> Shown:
        """Nothing where a part of it has gone."""
        try:
            return tuple([(picture, await self._engine.files.get(picture.file)) for picture in made])
        except NotFound:
            return ()

    async def _grid(self, shown: Shown) -> bytes:
        pngs = [png for _picture, png in shown]
        return await self._engine.atelier.do(as_grid, sum(map(len, pngs)), pngs) if pngs else b""

    async def _gallery(self, persona_ids: tuple[int, ...]) -> tuple[bytes, tuple[str, ...]]:
        """The faces in one picture, and whose they are."""
        async with self._engine.database.read() as tx:
            records = []
            for one in persona_ids:
                with suppress(NotFound):  # they have left since
                    records.append(await personas.get(tx, one))
        faces = [
            (record.persona.called, await self._faces.picture(record, GALLERY_SIDE)) for record in records
        ]
        size = sum(len(png) for _name, png in faces)
        image = await self._engine.atelier.do(as_gallery, size, faces) if faces else b""
        return image, tuple(record.persona.slug for record in records)


async def _replaced_by(tx: AsyncConnection, row: Delivery) -> tuple[str, ...]:
    if row.job_id is not None and row.kind not in (DeliveryKind.REPLY, DeliveryKind.POST):
        return await messages.of_job(tx, row.job_id, chat_id=row.chat_id)
    if row.kind is DeliveryKind.NOTICE and row.answers_id is not None:
        # What was begun as an answer, and came to nothing, does not stay there half said.
        return await messages.drafts_of(tx, row.answers_id)
    if row.kind is not DeliveryKind.REPLY:
        return ()
    under = row.manner.drafted_under or row.answers_id
    drafted = await messages.drafts_of(tx, under) if under is not None else ()
    if not row.manner.replaces_turns:
        return drafted
    before = await messages.of_turns(tx, row.manner.replaces_turns)
    return tuple(dict.fromkeys((*before, *drafted)))


async def _shown_of(tx: AsyncConnection, job_id: int) -> tuple[jobs.Asked | None, Sequence[Picture]]:
    return await jobs.asked(tx, job_id), (await pictures.of_jobs(tx, [job_id])).get(job_id, [])
