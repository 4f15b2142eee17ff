"""The queue for many machines: the contract of `engine.pictures.Queue` on procrastinate and PostgreSQL.

Procrastinate claims, wakes, aborts and notices who vanished; this says how our jobs are told to it. What a
job is, it does not know.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import NoReturn

import procrastinate
import structlog
from procrastinate.exceptions import ProcrastinateException
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job
from procrastinate.schema import SchemaManager
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import Stopped, TryAgain
from engine.pictures import Claim, Handler
from engine.pictures.queue import TROUBLE, Pace
from engine.store.database import Database

log = structlog.get_logger(__name__)

QUEUE = "pictures"
TASK = "render"

#: Any number that nobody else takes a lock on: two machines that start at once make one schema.
SCHEMA_LOCK = 7_366_002


#: How long a worker that was told to end may take for its last statements, in seconds.
LAST_WORDS = 3.0


class _GivenBack(Exception):
    """Not finished when the worker was told to end."""


class _Again(procrastinate.BaseRetryStrategy):
    """When a job goes back in line; `_render` decides whether."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        if isinstance(exception, TryAgain):
            # In the server's time, which is not our clock's: procrastinate compares it with now().
            return procrastinate.RetryDecision(
                retry_at=procrastinate.utils.utcnow() + timedelta(seconds=exception.after_s)
            )
        return procrastinate.RetryDecision() if isinstance(exception, _GivenBack) else None


class ClusterQueue:
    def __init__(self, database: Database, clock: Clock, app: procrastinate.App, pace: Pace) -> None:
        self._database = database
        self._clock = clock
        self._app = app
        self._pace = pace
        #: Procrastinate's ids of what is being worked on here: alive, however late our heartbeat is.
        self._alive: set[int | None] = set()

    @classmethod
    async def open(
        cls, database: Database, url: str, clock: Clock, *, pace: Pace | None = None
    ) -> ClusterQueue:
        """`url` is the one that `database` was opened with: procrastinate keeps connections of its own."""
        conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        connector = procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=4)
        app = procrastinate.App(connector=connector)
        queue = cls(database, clock, app, pace or Pace())
        app.task(name=TASK, queue=QUEUE, pass_context=True, retry=_Again())(queue._render)
        await queue._apply_schema()
        await app.open_async()
        return queue

    async def close(self) -> None:
        await self._app.close_async()

    async def submit(self, tx: AsyncConnection, job_id: int, rank: int) -> None:
        name = _name(job_id)
        await tx.execute(
            text("DELETE FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = :name"),
            {"name": name},
        )
        ours = (await tx.get_raw_connection()).driver_connection
        waiting = self._app.configure_task(
            TASK, queue=QUEUE, lock=name, queueing_lock=name, priority=-rank, connection=ours
        )
        await waiting.defer_async(job_id=job_id)

    def nudge(self) -> None:
        """PostgreSQL tells the workers at commit."""

    async def cancel(self, job_id: int) -> bool:
        # A waiting job is deleted; one that is worked on is marked, and its worker is told at commit. Either is
        # found by an index: the one by its queueing lock, the other by its lock.
        wish = text(
            "SELECT procrastinate_cancel_job_v1(id, true, true) FROM procrastinate_jobs WHERE queue_name = :queue"
            " AND (status = 'todo' AND queueing_lock = :name OR status = 'doing' AND lock = :name)"
        )
        async with self._database.write() as tx:
            told = await tx.execute(wish, {"name": _name(job_id), "queue": QUEUE})
            return any(found is not None for found in told.scalars())

    async def position(self, job_id: int) -> int | None:
        count = text(
            "SELECT (SELECT count(*) FROM procrastinate_jobs AS other"
            " WHERE other.status = 'todo' AND other.queue_name = mine.queue_name"
            " AND (other.priority > mine.priority OR other.priority = mine.priority AND other.id < mine.id))"
            " FROM procrastinate_jobs AS mine"
            " WHERE mine.status = 'todo' AND mine.queueing_lock = :name AND mine.queue_name = :queue"
        )
        async with self._database.read() as tx:
            found = await tx.execute(count, {"name": _name(job_id), "queue": QUEUE})
            return found.scalar_one_or_none()

    async def consume(self, handler: Handler, concurrency: int = 1) -> None:
        sweep = asyncio.create_task(self._keep_freeing_the_abandoned())
        times = 0
        try:
            while True:
                began = self._clock.monotonic()
                # It ends by itself only when the database is in trouble.
                error = await self._work_until_trouble(handler, concurrency)
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError  # the trouble came while it was told to end, and hid that
                times = 1 if self._clock.monotonic() - began > self._pace.trouble else times + 1
                pause = self._pace.after_trouble(times)
                log.warning("queue.database_trouble", error=error, again_in=pause)
                await self._clock.sleep(pause)
        finally:
            sweep.cancel()
            await asyncio.wait({sweep})

    async def _work_until_trouble(self, handler: Handler, concurrency: int) -> str:
        worker = asyncio.create_task(
            self._app.run_worker_async(
                queues=[QUEUE],
                concurrency=concurrency,
                additional_context={"handler": handler},
                install_signal_handlers=False,
                delete_jobs="always",
                fetch_job_polling_interval=self._pace.poll,
                abort_job_polling_interval=self._pace.heartbeat,
                update_heartbeat_interval=self._pace.heartbeat,
                stalled_worker_timeout=self._pace.vanished,
                shutdown_graceful_timeout=self._pace.grace,
            )
        )
        try:
            await asyncio.shield(worker)
        except asyncio.CancelledError:
            await self._ended(worker)
            raise
        except (ProcrastinateException, OSError) as error:
            return str(error.__cause__ or error)
        return "the worker lost its connection"

    async def _ended(self, worker: asyncio.Task[None]) -> None:
        """It has its grace, and is told a second time.

        Procrastinate's listener waits with `asyncio.wait_for`, which on Python 3.11 can swallow a cancellation.
        """
        for patience in (self._pace.grace + LAST_WORDS, LAST_WORDS):
            worker.cancel()
            await asyncio.wait({worker}, timeout=patience)
            if worker.done():
                if not worker.cancelled():
                    worker.exception()  # how it ended no longer matters
                return
        log.error("queue.does_not_stop")

    async def _render(self, context: procrastinate.JobContext, job_id: int) -> None:
        handler: Handler = context.additional_context["handler"]
        claim = Claim(
            job_id,
            context.job.attempts + 1,
            lambda: context.abort_reason() is AbortReason.USER_REQUEST,
        )
        self._alive.add(context.job.id)
        try:
            await self._hand_to(handler, claim, context)
        except TryAgain as error:
            if claim.stopped():
                return
            if claim.last:
                log.warning("queue.gave_up", job=job_id, attempt=claim.attempt, error=str(error))
                return
            raise
        except _GivenBack:
            await self._forget_attempt(context.job.id)
            raise
        except Stopped:
            log.info("queue.stopped", job=job_id)
        except (Exception, asyncio.CancelledError):
            log.exception("queue.handler_failed", job=job_id)
        finally:
            self._alive.discard(context.job.id)

    async def _hand_to(self, handler: Handler, claim: Claim, context: procrastinate.JobContext) -> None:
        """Procrastinate aborts by cancelling. A wish to stop is only told: the handler ends in its own way."""
        work = asyncio.ensure_future(handler(claim))
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                if work.done():
                    break
                if context.abort_reason() is not AbortReason.USER_REQUEST:
                    work.cancel()
                    await asyncio.wait({work})
                    if work.cancelled():
                        raise _GivenBack from None
                elif task := asyncio.current_task():
                    task.uncancel()
        work.result()

    async def _forget_attempt(self, id_: int | None) -> None:
        """An orderly end is nobody's fault; procrastinate counts every retry."""
        with suppress(*TROUBLE):
            async with self._database.write() as tx:
                await tx.execute(
                    text("UPDATE procrastinate_jobs SET attempts = attempts - 1 WHERE id = :id"), {"id": id_}
                )

    async def _keep_freeing_the_abandoned(self) -> NoReturn:
        manager = self._app.job_manager
        while True:
            await self._clock.sleep(self._pace.heartbeat)
            try:
                stalled = await manager.get_stalled_jobs(
                    queue=QUEUE, seconds_since_heartbeat=self._pace.vanished
                )
                for job in stalled:
                    if job.id not in self._alive:
                        log.warning("queue.freed_abandoned", job=job.task_kwargs.get("job_id"))
                        await manager.retry_job(job)
            except (ProcrastinateException, OSError) as error:
                # Another machine was first, or the database is away: the next look will tell.
                log.info("queue.sweep_failed", error=str(error.__cause__ or error))

    async def _apply_schema(self) -> None:
        async with self._database.write() as tx:
            await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})
            if (await tx.execute(text("SELECT to_regclass('procrastinate_jobs')"))).scalar() is None:
                # Without parameters: only then several statements go in one, and a % is a %.
                alone = {"no_parameters": True}
                await tx.exec_driver_sql(SchemaManager.get_schema(), execution_options=alone)


def _name(job_id: int) -> str:
    return f"picture-{job_id}"
