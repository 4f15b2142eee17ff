"""The hands of the picture queue: one thread renders, others encode and store, and every outcome is a row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import GreenroomError, NotFound, Stopped, TryAgain
from engine.events import Events
from engine.locales import locale_of, say
from engine.pictures import Claim, Lora, PictureWanted, Preview, Queue, Rendered, Renderer
from engine.pictures.atelier import Atelier
from engine.pictures.metadata import encode_png
from engine.pictures.previews import Previews
from engine.pictures.queue import TROUBLE
from engine.stepping_back import step_back
from engine.store import jobs, outbox, personas, pictures
from engine.store.database import Database
from engine.store.files import Files
from engine.store.records import DeliveryKind, Job, JobState, PersonaRecord
from engine.unbroken import unbroken
from personas.appearance import Ledger, Scene
from personas.persona import Persona

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

#: While the store is in trouble, an outcome is tried again at least this often, in seconds.
LONGEST_PAUSE = 30.0
#: Steps reach the row at most this often; watchers hear of each.
STEP_SECONDS = 1.0


class Worker:
    """Takes jobs from the queue, one picture at a time on the picture thread."""

    def __init__(
        self,
        database: Database,
        files: Files,
        queue: Queue,
        renderer: Renderer,
        events: Events,
        clock: Clock,
        atelier: Atelier,
    ) -> None:
        self._database = database
        self._files = files
        self._queue = queue
        self._renderer = renderer
        self._events = events
        self._clock = clock
        self._atelier = atelier
        #: The one thread that ever touches the renderer; there while the worker runs.
        self._thread: ThreadPoolExecutor | None = None
        self._previews = Previews(clock, lambda job_id: events.publish("job.preview", job=job_id))

    def preview(self, job_id: int) -> bytes:
        """How a picture in the making looks by now, as a small JPEG; empty while there is nothing to be seen.

        Who asks again and again sees it grow: the next look is taken only once this one was asked for.
        """
        return self._previews.latest(job_id)

    async def run(self, concurrency: int) -> None:
        self._thread = thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="pictures", initializer=step_back
        )
        try:
            await self._queue.consume(self.work, concurrency)
        finally:
            # A picture in the making ends at its next step; its job is handed out again after the start.
            self._thread = None
            thread.submit(self._renderer.close)
            thread.shutdown(wait=False)

    async def work(self, claim: Claim) -> None:
        """Do one job to an end that is written down, or leave it to be handed out again."""
        job = await self._written(partial(jobs.begin, job_id=claim.job_id, now=self._clock.now()))
        if job is None:
            return  # it has ended already: handed out twice, done once
        if claim.spent:
            await self._end(job, JobState.FAILED, say("pictures.ended_each_time"))
            return
        self._events.publish("job.started", job=job.id, chat_id=job.chat_id)
        self._previews.begin(job.id)
        try:
            async with self._database.read() as tx:
                if job.persona_id is None:
                    raise NotFound(say("pictures.persona_gone"))
                record = await personas.get(tx, job.persona_id)
            finished = await self._pictures(job, record, claim)
        except Stopped:
            await self._end(job, JobState.CANCELLED, "")
        except TryAgain:
            await self._again(job, claim)
        except GreenroomError as error:
            await self._end(job, JobState.FAILED, error)
        except Exception:
            log.exception("job_failed", job=job.id, attempt=claim.attempt)
            await self._again(job, claim)
        else:
            await self._done(job, finished)
        finally:
            self._previews.end(job.id)

    async def _again(self, job: Job, claim: Claim) -> None:
        if claim.last:
            await self._end(job, JobState.FAILED, say("pictures.failed_often"))
            return
        raise TryAgain(f"job {job.id} is tried again", after_s=2.0**claim.attempt)

    async def _pictures(self, job: Job, record: PersonaRecord, claim: Claim) -> list[dict[str, Any]]:
        """All that one order wants, handed over at once: what can share a pass does."""
        wanted = [_wanted(job, record.persona, number) for number in range(1, job.request.count + 1)]
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        thread = self._thread
        # A thread that is no longer the picture thread must let go of the renderer.
        steps = Steps(
            loop,
            self._told_step(job),
            lambda: self._thread is not thread or claim.stopped(),
            partial(self._look, loop, job.id),
        )
        made = await loop.run_in_executor(thread, self._renderer.render, wanted, steps)
        each = (time.perf_counter() - began) / len(made)
        return [
            await self._kept(job, record.persona, number, one, rendered, each)
            for number, (one, rendered) in enumerate(zip(wanted, made, strict=True), start=1)
        ]

    async def _kept(
        self,
        job: Job,
        persona: Persona,
        number: int,
        wanted: PictureWanted,
        rendered: Rendered,
        seconds: float,
    ) -> dict[str, Any]:
        wanted = _as_made(wanted, rendered)
        # What is encoded already gets its texts in passing.
        size = 0 if rendered.png else wanted.width * wanted.height
        png = await self._atelier.do(encode_png, size, rendered, wanted)
        key = f"pictures/{persona.slug}/{job.id}-{number}_{persona.slug}_{job.request.style}.png"
        await self._files.put(key, png)
        return _row(job, number, key, wanted, rendered, seconds)

    def _look(self, loop: asyncio.AbstractEventLoop, job_id: int, preview: Preview) -> None:
        """On the picture thread: what is seen goes to the loop, and is encoded on neither of them."""
        if image := self._previews.take(job_id, preview):
            loop.call_soon_threadsafe(self._previews.keep, job_id, image)

    def _told_step(self, job: Job) -> Callable[[int, int], None]:
        last = 0.0
        writing: set[asyncio.Task[None]] = set()

        def told(step: int, steps: int) -> None:
            nonlocal last
            self._events.publish("job.step", job=job.id, chat_id=job.chat_id, step=step, steps=steps)
            if self._clock.monotonic() - last >= STEP_SECONDS:
                last = self._clock.monotonic()
                task = asyncio.ensure_future(self._write_step(job.id, step, steps))
                writing.add(task)
                task.add_done_callback(writing.discard)

        return told

    async def _write_step(self, job_id: int, step: int, steps: int) -> None:
        try:
            await self._database.change(partial(jobs.progress, job_id=job_id, step=step, steps=steps))
        except GreenroomError as error:
            log.warning("step_not_written", job=job_id, cause=str(error))

    async def _done(self, job: Job, rows: list[dict[str, Any]]) -> None:
        now = self._clock.now()

        async def done(tx: AsyncConnection) -> bool:
            if not await jobs.end(tx, job.id, JobState.DONE, now, begun_at=job.started_at):
                return False  # cancelled at the last moment, or done by another worker
            await pictures.add(tx, [row | {"created_at": now} for row in rows])
            if job.chat_id is not None:
                await outbox.owe(
                    tx, job.chat_id, DeliveryKind.PICTURE, job_id=job.id, answers_id=job.turn_id, now=now
                )
            return True

        if not await self._written(done):
            return
        seconds = round(sum(row["seconds"] for row in rows), 2)
        log.info("job_ended", job=job.id, state=JobState.DONE.value, pictures=len(rows), seconds=seconds)
        self._events.publish("job.ended", job=job.id, chat_id=job.chat_id, state=JobState.DONE.value)

    async def _end(self, job: Job, state: JobState, why: GreenroomError | str) -> None:
        now, error = self._clock.now(), str(why)

        async def ended(tx: AsyncConnection) -> bool:
            if not await jobs.end(tx, job.id, state, now, error, begun_at=job.started_at):
                return False
            if state is JobState.FAILED and job.chat_id is not None:
                locale = locale_of(await jobs.language_of(tx, job.id))
                told = locale.say("pictures.failed", id=str(job.id), why=locale.says(why))
                await outbox.owe(
                    tx,
                    job.chat_id,
                    DeliveryKind.NOTICE,
                    text=told,
                    job_id=job.id,
                    answers_id=job.turn_id,
                    now=now,
                )
            return True

        if not await self._written(ended):
            return
        log.info("job_ended", job=job.id, state=state.value, error=error)
        self._events.publish("job.ended", job=job.id, chat_id=job.chat_id, state=state.value, error=error)

    async def _written(self, change: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
        """What became of a job has to be a row: waits out the store's trouble, and no stop breaks in."""
        pause = 1.0
        while True:
            try:
                return await unbroken(self._write(change))
            except TROUBLE as error:
                log.warning("outcome_not_written", cause=str(error), again_in=pause)
                await self._clock.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    async def _write(self, change: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
        return await self._database.change(change)


class Steps:
    """What a renderer calls after each step, on its own thread: passes the news on, and ends what is stopped."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        told: Callable[[int, int], None],
        stopped: Callable[[], bool],
        look: Callable[[Preview], None],
    ) -> None:
        self._loop = loop
        self._told = told
        self._stopped = stopped
        self._look = look

    def __call__(self, step: int, steps: int, preview: Preview | None = None, /) -> None:
        if self._stopped():
            raise Stopped("The picture was cancelled.")
        if preview is not None:
            self._look(preview)
        self._loop.call_soon_threadsafe(self._told, step, steps)


def _wanted(job: Job, persona: Persona, number: int) -> PictureWanted:
    request = job.request
    return PictureWanted(
        scene=Scene(persona, request.scene, Ledger(**request.ledger), request.seed),
        prompt=request.prompt,
        negative=request.negative,
        # Each picture of one order has a seed of its own, found again from the first.
        seed=(request.seed + number - 1) % 2**32,
        width=request.width,
        height=request.height,
        style=request.style,
        steps=request.steps,
        guidance=request.guidance,
        rating=request.rating,
        scheduler=request.scheduler,
        hires=request.hires,
        loras=tuple(Lora(name, weight) for name, weight in request.loras.items()),
    )


def _as_made(wanted: PictureWanted, rendered: Rendered) -> PictureWanted:
    """A model takes the steps and the guidance that suit it, and another seed where one gave no picture."""
    facts = rendered.facts
    return replace(
        wanted,
        seed=facts.get("seed_taken", wanted.seed),
        steps=facts.get("steps", wanted.steps),
        guidance=facts.get("guidance", wanted.guidance),
    )


def _row(
    job: Job, number: int, key: str, wanted: PictureWanted, rendered: Rendered, seconds: float
) -> dict[str, Any]:
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
        "seconds": round(seconds, 3),
        "facts": rendered.facts,
    }
