"""A finished picture as a file, and as the row that it is to have; and files taken away whose rows never came.

Who writes the rows, and what becomes of the job, it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import costs
from engine.errors import GreenroomError, NotFound
from engine.pictures import PictureWanted, Rendered
from engine.pictures.table import Finished
from engine.store import jobs, pictures
from engine.store.files import Files
from engine.store.naming import key_of
from engine.store.records import Job, JobState

log = structlog.get_logger(__name__)


class Filing:
    """The files of one job's pictures, as long as it is open whether they stay."""

    def __init__(self, files: Files, job: Job, *, cost_per_hour: float = 0.0) -> None:
        self._files = files
        self._job = job
        self._cost_per_hour = cost_per_hour
        #: Under which something may lie that is to be shown or taken away.
        self.keys: list[str] = []

    async def put(self, slug: str, wanted: PictureWanted, made: Finished, png: bytes) -> dict[str, Any]:
        """The file lies there, and this is to be its row."""
        number = made.number + 1
        key = key_of(slug, f"{self._job.id}-{number}", self._job.request.style)
        # Noted before: one that fails or is cancelled may have got there all the same.
        self.keys.append(key)
        await self._files.put(key, png)
        seconds = round(made.seconds, 3)
        row = _row(self._job, number, key, as_made(wanted, made.rendered), made.rendered)
        return row | {"seconds": seconds, "cost": costs.of_time(seconds, self._cost_per_hour)}

    def stays(self) -> None:
        """The rows are there: nothing of it is taken away any more."""
        self.keys.clear()

    async def in_vain(self, tx: AsyncConnection) -> list[str]:
        """The keys of what was put for nothing. A job may be in other hands by now, whose files go by the same names:
        what is shown stays, and what is begun anew is theirs.
        """
        with suppress(NotFound):
            now = await jobs.get(tx, self._job.id)
            if now.state is JobState.RUNNING and now.started_at != self._job.started_at:
                return []
        made = (await pictures.of_jobs(tx, [self._job.id])).get(self._job.id, [])
        shown = {picture.file for picture in made}
        return [key for key in self.keys if key not in shown]

    async def take_away(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                await self._files.delete(key)
            except GreenroomError as error:
                log.warning("file_not_removed", job=self._job.id, file=key, cause=str(error))


def as_made(wanted: PictureWanted, rendered: Rendered) -> PictureWanted:
    """A model takes the steps and the guidance that suit it, and another seed where one gave no picture.

    What it began from is a picture of its own, and goes no further with it.
    """
    facts = rendered.facts
    return replace(
        wanted,
        start=None,
        seed=facts.get("seed_taken", wanted.seed),
        steps=facts.get("steps", wanted.steps),
        guidance=facts.get("guidance", wanted.guidance),
    )


def _row(job: Job, number: int, key: str, wanted: PictureWanted, rendered: Rendered) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "persona_id": job.persona_id,
        "run_id": job.run_id,
        "parent_id": job.parent_picture_id,
        "number": number,
        "file": key,
        "scene": wanted.scene.request,
        "prompt": wanted.prompt,
        "negative": wanted.negative,
        "style": wanted.style,
        "source": job.request.source.value,
        "word_count": job.request.word_count,
        "seed": wanted.seed,
        "width": rendered.image.width,
        "height": rendered.image.height,
        "steps": wanted.steps,
        "guidance": wanted.guidance,
        "rating": wanted.rating.value,
        "batch_size": rendered.facts.get("batch", 1),
        "model": rendered.model,
        "device": rendered.device,
        "stand_in": rendered.stand_in,
        "facts": rendered.facts,
    }
