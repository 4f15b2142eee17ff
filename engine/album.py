"""What is done with one picture that is there: it is taken away, becomes somebody's face, or is made again otherwise.

Who may, is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import remaking
from engine.clock import Clock
from engine.errors import BadRequest
from engine.imagining import Imagining
from engine.locales import say
from engine.settings import PictureSettings
from engine.store import album, jobs, messages, outbox, personas, pictures
from engine.store.database import Database
from engine.store.files import Files
from engine.store.records import DeliveryKind, Manner, PersonaRecord, Picture, PictureRequest
from engine.wishes import Wish, any_seed, count_of, effort_of, seed_of, size_of
from personas.appearance import Ledger
from personas.persona import Rating, printable


@dataclass(frozen=True)
class Changes:
    """What is to be otherwise. None leaves it as it was."""

    #: By hand: too short it is the scene of a whole prompt.
    prompt: str | None = None
    scene: str | None = None
    style: str | None = None
    negative: str | None = None
    seed: int | None = None
    count: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: str | None = None


async def delete(database: Database, files: Files, clock: Clock, picture_id: int) -> None:
    """A picture is shown nowhere any more, and its file is gone. With the last one of a job goes its message."""
    picture = await database.change(partial(_deleted, picture_id=picture_id, clock=clock))
    # Nothing slow holds up those who write. After a crash in between, a file lies there that no row shows any more.
    await files.delete(picture.file)


async def _deleted(tx: AsyncConnection, picture_id: int, clock: Clock) -> Picture:
    picture = await pictures.get(tx, picture_id)
    now = clock.now()
    await album.remove(tx, picture_id, now=now)
    if not await pictures.of_jobs(tx, [picture.job_id]):
        job = await jobs.get(tx, picture.job_id)
        # A picture that is still owed would be looked for in vain.
        await outbox.drop_job(tx, job.id)
        if job.chat_id is not None:
            shown = await messages.of_job(tx, job.id, chat_id=job.chat_id)
            if shown:
                gone = Manner(removes=shown)
                await outbox.owe(tx, job.chat_id, DeliveryKind.REMOVAL, manner=gone, job_id=None, now=now)
    return picture


async def wear(tx: AsyncConnection, record: PersonaRecord, picture_id: int | None) -> None:
    """A picture of somebody becomes their face; None: it is drawn again. A face is seen everywhere."""
    if picture_id is not None:
        picture = await pictures.get(tx, picture_id)
        fits = picture.persona_id == record.id and not picture.stand_in
        if not fits or picture.rating is not Rating.ALL_AGES:
            raise BadRequest(say("personas.no_face", name=record.persona.called))
    await personas.set_face(tx, record.id, picture_id)


async def changed(
    imagining: Imagining,
    record: PersonaRecord,
    asked: PictureRequest,
    picture: Picture,
    changes: Changes,
    usual: PictureSettings,
) -> PictureRequest:
    """What is to be made: as it was asked for then, but for the changes. With none it is only another seed."""
    if changes == Changes():
        changes = Changes(seed=any_seed())
    wish = _wish(asked, picture, changes)
    effort, (width, height) = effort_of(wish, usual), size_of(wish, usual)
    base = replace(
        asked,
        seed=seed_of(wish),
        count=count_of(wish),
        width=width,
        height=height,
        steps=effort.steps,
        guidance=effort.guidance,
        scheduler=effort.scheduler,
        negative=asked.negative if changes.negative is None else printable(changes.negative),
        alone=False,
    )
    # What was begun from another picture is made anew from noise.
    base = replace(base, strength=None, hires=base.hires or base.strength is not None)
    if changes.scene is not None or changes.style not in (None, asked.style):
        composed = await imagining.compose(record, wish, rating=asked.rating, ledger=Ledger(**asked.ledger))
        negative = composed.negative if changes.negative is None else base.negative
        base = replace(
            base,
            **{
                name: getattr(composed, name) for name in ("scene", "prompt", "style", "source", "word_count")
            },
            prompt_version=composed.prompt_version,
            loras=asked.loras | composed.loras,
            negative=negative,
        )
    if changes.prompt is not None and changes.prompt.strip() != base.prompt:
        base = await remaking.reworded(imagining, record, base, printable(changes.prompt))
    return base


def _wish(asked: PictureRequest, picture: Picture, changes: Changes) -> Wish:
    as_it_was = ("scene", "style", "width", "height", "steps", "guidance", "scheduler")
    told: dict[str, Any] = {name: _first(getattr(changes, name), getattr(asked, name)) for name in as_it_was}
    return Wish(
        **told,
        seed=picture.seed if changes.seed is None else changes.seed,
        count=1 if changes.count is None else changes.count,
        negative=changes.negative or "",
    )


def _first(told: object, was: object) -> object:
    return was if told is None else told
