"""Somebody is forgotten: their jobs are stopped, their rows deleted, their files removed, the database scrubbed.

Deleting the rows is part of the caller's transaction. Whatever comes before it may be done twice, and a sweep does
what comes after it, as often as it is made: at each start, and when the last notice has arrived.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import StoreError
from engine.pictures import Queue
from engine.store import forgetting, jobs, messages, outbox, unposting
from engine.store.database import Database
from engine.store.files import Files
from engine.store.forgetting import Forgotten
from engine.store.records import DeliveryKind, Job, JobState, Manner, Place

log = structlog.get_logger(__name__)

#: How often it is looked whether a worker has let go of a job, and how long between two looks, in seconds.
LOOKS = 50
BETWEEN_LOOKS = 0.2
#: A worker that has not let go by then is looked after again so much later, in seconds.
AGAIN_AFTER = 60.0
#: To scrub is to write the whole database anew, and nobody else writes meanwhile: not more often, in seconds.
BETWEEN_SCRUBS = 600.0

_FILE = re.compile(r"pictures/[^/]+/(\d+)-")


async def stop_jobs(
    database: Database, queue: Queue, clock: Clock, person_id: int, *, here: Place
) -> list[Job]:
    """Nothing of theirs is in work any more, no post either: a worker that is at it now stops at its next step.

    The messages that say how these jobs stand go, wherever they are; `here` is where somebody wants to be forgotten.
    """
    async with database.write() as tx:
        await unposting.skip(tx, person_id)
        stopped = [await jobs.get(tx, job_id) for job_id in await forgetting.open_jobs(tx, person_id)]
        for job in stopped:
            await jobs.end(tx, job.id, JobState.CANCELLED, clock.now())
            await _take_down(tx, job.id, here, clock)
    await _let_go(queue, clock, [job.id for job in stopped])
    return stopped


async def _let_go(queue: Queue, clock: Clock, job_ids: Collection[int]) -> set[int]:
    """Which of these jobs a worker still has in hand, after it was asked to stop and waited for."""
    held = set(job_ids)
    for look in range(LOOKS):
        if look:
            await clock.sleep(BETWEEN_LOOKS)
        # A job that waits is out of the line with the first call; one in hand is found by both.
        held = {job_id for job_id in held if await queue.cancel(job_id) and await queue.cancel(job_id)}
        if not held:
            break
    return held


async def _take_down(tx: AsyncConnection, job_id: int, here: Place, clock: Clock) -> None:
    asked = await jobs.asked(tx, job_id)
    if asked is None or (chat_id := asked.job.chat_id) is None:
        return
    shown = await messages.of_job(tx, job_id, chat_id=chat_id)
    if not shown:
        return
    # Another topic of this private chat is forgotten together with what it is owed; this one stays until the end.
    same = replace(asked.ref, thread="") == replace(here.ref, thread="")
    there = here.id if same and not here.shared else chat_id
    gone = Manner(removes=shown)
    await outbox.owe(tx, there, DeliveryKind.REMOVAL, manner=gone, now=clock.now())


async def remove_files(database: Database, files: Files) -> list[Forgotten]:
    """No file is left of those who were forgotten; answers for whom there is still something to do."""
    async with database.read() as tx:
        left = await forgetting.forgotten(tx)
    job_ids = frozenset().union(*(one.job_ids for one in left))
    if job_ids:
        # By what is there, not by what the rows said: a worker may have put a file just before it stopped.
        async for key in files.keys("pictures"):
            named = _FILE.match(key)
            if named and int(named[1]) in job_ids:
                await files.delete(key)
    return left


class Sweep:
    """Removes what is left of those who were forgotten."""

    def __init__(self, database: Database, files: Files, queue: Queue, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._queue = queue
        self._clock = clock
        self._scrubbed: float | None = None

    async def make(self) -> float | None:
        """All that can be done now. Cheap where nobody was forgotten.

        An order whose pictures a worker still has in hand stays for the next time: it may be putting one just now.
        Answers in how many seconds there is more to do; None where somebody else has to be forgotten before.
        """
        async with self._database.read() as tx:
            told = [one for one in await forgetting.forgotten(tx) if one.told]
        held = await _let_go(self._queue, self._clock, frozenset().union(*(one.job_ids for one in told)))
        await remove_files(self._database, self._files)
        finished = [one.turn_id for one in told if not one.job_ids & held]
        if finished:
            async with self._database.write() as tx:
                await forgetting.finish(tx, finished)
            log.info("forgotten", orders=finished)
        more_in = await self._scrub()
        if not held:
            return more_in
        log.warning("forgotten_jobs_in_hand", jobs=sorted(held))
        return AGAIN_AFTER if more_in is None else min(AGAIN_AFTER, more_in)

    async def _scrub(self) -> float | None:
        async with self._database.read() as tx:
            if not await forgetting.to_scrub(tx):
                return None
        now = self._clock.monotonic()
        if self._scrubbed is not None and now < self._scrubbed + BETWEEN_SCRUBS:
            return self._scrubbed + BETWEEN_SCRUBS - now
        self._scrubbed = now
        try:
            async with self._database.write() as tx:
                await forgetting.scrub(tx)
        except StoreError as error:
            # Somebody else writes just now. The rows are gone; their traces in the file go later.
            log.warning("database_not_scrubbed", cause=str(error))
            return BETWEEN_SCRUBS
        return None
