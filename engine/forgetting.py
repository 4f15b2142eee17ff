"""Somebody is forgotten: their jobs are stopped, their rows deleted, their files removed, the database scrubbed.

Deleting the rows is part of the caller's transaction. Whatever comes before it may be done twice, and `finish` does
what comes after it, as often as it is called: at each start, and when the last notice has arrived.
"""

from __future__ import annotations

import re

import structlog

from engine.clock import Clock
from engine.errors import StoreError
from engine.pictures import Queue
from engine.store import forgetting, jobs
from engine.store.database import Database
from engine.store.files import Files
from engine.store.records import JobState

log = structlog.get_logger(__name__)

#: How often it is looked whether a worker has let go of a job, and how long between two looks, in seconds.
LOOKS = 50
BETWEEN_LOOKS = 0.2

_FILE = re.compile(r"pictures/[^/]+/(\d+)-")


async def stop_jobs(database: Database, queue: Queue, clock: Clock, person_id: int) -> None:
    """Nothing of theirs is in work any more: a worker that is at it now stops at its next step."""
    async with database.write() as tx:
        running = await forgetting.open_jobs(tx, person_id)
        for job_id in running:
            await jobs.end(tx, job_id, JobState.CANCELLED, clock.now())
    for job_id in running:
        for _look in range(LOOKS):
            if not await queue.cancel(job_id) or not await queue.cancel(job_id):
                break
            await clock.sleep(BETWEEN_LOOKS)


async def finish(database: Database, files: Files) -> None:
    """Remove what is left of those who were forgotten. Cheap where nobody was."""
    async with database.read() as tx:
        left = await forgetting.forgotten(tx)
    if not left:
        return
    job_ids = frozenset().union(*(one.job_ids for one in left))
    if job_ids:
        # By what is there, not by what the rows said: a worker may have put a file just before it stopped.
        async for key in files.keys("pictures"):
            named = _FILE.match(key)
            if named and int(named[1]) in job_ids:
                await files.delete(key)
    told = [one.turn_id for one in left if one.told]
    if told:
        async with database.write() as tx:
            await forgetting.finish(tx, told)
    try:
        async with database.write() as tx:
            await forgetting.scrub(tx)
    except StoreError as error:
        # Somebody else writes just now. The rows are gone; their traces in the file go with the next one.
        log.warning("database_not_scrubbed", cause=str(error))
    if told:
        log.info("forgotten", orders=told)
