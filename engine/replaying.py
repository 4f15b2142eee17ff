"""A picture is made of the same once more, and laid on the first: does the row really say all that made it?

What is asked again is what was asked then; who paints it, and how, it does not know.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from engine.errors import BadRequest, NotFound
from engine.imagining import Imagining
from engine.locales import Said, say
from engine.pictures.comparing import differing
from engine.store import jobs, pictures
from engine.store.database import Database
from engine.store.files import Files
from engine.store.records import Job, Picture


@dataclass(frozen=True)
class Replayed:
    """A picture and the one that was made of the same again."""

    same: bool
    #: The share of the pixels that are not the same; None where the two cannot be laid on each other.
    differing: float | None
    says: Said


async def replay(
    database: Database, imagining: Imagining, picture_id: int, *, dedup_key: str = "", told: str = ""
) -> Job:
    """The same request, seed and parent once more, as a job of its own; under one key it is asked for once.

    `told` is what was asked for under it, in brief; `Conflict` where that was something else before.
    """
    async with database.read() as tx:
        picture = await pictures.get(tx, picture_id)
        job = await jobs.get(tx, picture.job_id)
    if picture.stand_in:
        raise BadRequest(say("runs.replay.stand_in", id=str(picture_id)))
    if job.persona_id is None:
        raise NotFound(say("pictures.persona_gone"))
    async with database.write() as tx:
        again = await imagining.put_in_line(
            tx,
            replace(job.request, seed=picture.seed, count=1, alone=True),
            persona_id=job.persona_id,
            person=None,
            parent_picture_id=job.parent_picture_id,
            dedup_key=dedup_key or None,
            told=told,
        )
    imagining.nudge()
    return again.job


async def compared(database: Database, files: Files, picture_id: int, again_id: int) -> Replayed:
    """A picture and its replay."""
    async with database.read() as tx:
        before, again = await pictures.get(tx, picture_id), await pictures.get(tx, again_id)
    if again.stand_in:
        return Replayed(False, None, say("runs.replay.no_model", model=before.model))
    first, second = await files.get(before.file), await files.get(again.file)
    apart = await asyncio.to_thread(differing, first, second)
    return Replayed(apart == 0.0, apart, _told(before, again, apart))


def _told(before: Picture, again: Picture, apart: float | None) -> Said:
    if apart == 0.0:
        return say("runs.replay.same", model=again.model)
    if before.model != again.model:
        return say("runs.replay.other_model", before=before.model, now=again.model)
    if before.device != again.device:
        return say("runs.replay.other_device", before=before.device, now=again.device)
    if apart is None:
        return say("runs.replay.other_size")
    share = max(0.1, round(apart * 100, 1))
    if before.batch_size > 1 or again.batch_size > 1:
        return say("runs.replay.in_company", share=share)
    return say("runs.replay.not_same", share=share)
