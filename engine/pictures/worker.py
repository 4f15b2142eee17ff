"""The hands of the picture queue: one thread renders, others encode and store, and every outcome is a row.

Who shares a pass with whom is decided at the table: see `table.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any, TypeVar

import structlog
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import BadRequest, GreenroomError, NotFound, Stopped, TryAgain
from engine.events import Events
from engine.locales import locale_of, say
from engine.pictures import Claim, Lora, PictureWanted, Preview, Queue, Rendered, Renderer
from engine.pictures.atelier import Atelier
from engine.pictures.fairness import HEAD_START, rank_of
from engine.pictures.filing import Filing, as_made
from engine.pictures.metadata import encode_png
from engine.pictures.previews import Previews
from engine.pictures.queue import TROUBLE
from engine.pictures.table import Order, Table
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
#: After so many seconds without a new job the renderer may do what makes it quicker.
QUIET = 60.0
#: Steps reach the row at most this often; watchers hear of each.
STEP_SECONDS = 1.0
#: No picture of ours is larger; a file that says so would fill the memory.
LARGEST_START = 64_000_000
KINDS_OF_START = ("PNG", "JPEG", "WEBP")


class Worker:
    """Takes jobs from the queue to the table, and what becomes of them to rows and files."""

    def __init__(
        self,
        database: Database,
        files: Files,
        queue: Queue,
        renderer: Renderer,
        events: Events,
        clock: Clock,
        atelier: Atelier,
        between: Callable[[float, str], object] | None = None,
        *,
        cost_per_hour: float = 0.0,
    ) -> None:
        """`between`: see `Table`; `cost_per_hour`: of the time that pictures take here."""
        self._between = between
        self._cost_per_hour = cost_per_hour
        #: So many jobs were begun.
        self._worked = 0
        self._database = database
        self._files = files
        self._queue = queue
        self._renderer = renderer
        self._events = events
        self._clock = clock
        self._atelier = atelier
        #: Before the one thread that ever touches the renderer; there while the worker runs.
        self._table: Table | None = None
        self._previews = Previews(clock, lambda job_id: events.publish("job.preview", job=job_id))

    def preview(self, job_id: int) -> bytes:
        """How a picture in the making looks by now, as a small JPEG; empty while there is nothing to be seen.

        Who asks again and again sees it grow: the next look is taken only once this one was asked for.
        """
        return self._previews.latest(job_id)

    @property
    def in_hand(self) -> tuple[int, ...]:
        """The jobs whose pictures wait for the picture thread or are with it, by their place."""
        return self._table.jobs if self._table else ()

    def rest(self) -> bool:
        """The picture model leaves the memory until it is wanted again, behind a pass under way; False: it did not,
        for that takes too long. Any thread but the loop's may ask.
        """
        return self._table is None or self._table.rest()

    async def run(self, concurrency: int) -> None:
        self._table = table = Table(self._renderer, concurrency, self._between)
        warming = asyncio.create_task(self._warm(table))
        try:
            await self._queue.consume(self.work, concurrency)
        finally:
            warming.cancel()
            # A picture in the making ends at its next step; its job is handed out again after the start.
            self._table = None
            table.close()

    async def _warm(self, table: Table) -> None:
        """Not while somebody waits for a picture, nor just after: most ask for another one."""
        while True:
            busy = self._worked
            await self._clock.sleep(QUIET)
            if busy == self._worked and not table.jobs:
                table.warm()

    async def work(self, claim: Claim) -> None:
        """Do one job to an end that is written down, or leave it to be handed out again."""
        job = await self._written(partial(jobs.begin, job_id=claim.job_id, now=self._clock.now()))
        if job is None:
            return  # it has ended already: handed out twice, done once
        if claim.spent:
            await self._end(job, JobState.FAILED, say("pictures.ended_each_time"))
            return
        self._worked += 1
        self._events.publish("job.started", job=job.id, chat_id=job.chat_id)
        self._previews.begin(job.id)
        filing = Filing(self._files, job, cost_per_hour=self._cost_per_hour)
        try:
            async with self._database.read() as tx:
                if job.persona_id is None:
                    raise NotFound(say("pictures.persona_gone"))
                record = await personas.get(tx, job.persona_id)
            rows = await self._pictures(job, record, claim, filing)
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
            if await self._done(job, rows):
                filing.stays()
        finally:
            self._previews.end(job.id)
            if filing.keys:
                await filing.take_away(await self._written(filing.in_vain))

    async def _again(self, job: Job, claim: Claim) -> None:
        if claim.last:
            await self._end(job, JobState.FAILED, say("pictures.failed_often"))
            return
        raise TryAgain(f"job {job.id} is tried again", after_s=2.0**claim.attempt)

    async def _pictures(
        self, job: Job, record: PersonaRecord, claim: Claim, filing: Filing
    ) -> list[dict[str, Any]]:
        """All that one order wants. What is made is encoded while the rest is waited for, and kept when all is there:
        of an order that is given up nothing is left lying about.
        """
        table = self._table
        if table is None:
            raise TryAgain("the worker does not run")
        start = await self._start(job)
        numbers = range(1, job.request.count + 1)
        wanted = tuple(_wanted(job, record.persona, number, start) for number in numbers)
        look = partial(self._look, asyncio.get_running_loop(), job.id)
        order = Order(
            job.id,
            (rank_of(job), job.id),
            wanted,
            claim.stopped,
            self._told_step(job),
            look,
            HEAD_START[job.lane],
            alone=job.request.alone,
        )
        async with aclosing(table.make(order)) as made:
            encoded = [(one, await self._encoded(wanted[one.number], one.rendered)) async for one in made]
        rows = []
        for one, png in encoded:
            if claim.stopped():
                raise Stopped("Nobody waits for these pictures any more.")
            rows.append(await filing.put(record.persona.slug, wanted[one.number], one, png))
        return rows

    async def _encoded(self, wanted: PictureWanted, rendered: Rendered) -> bytes:
        # What is encoded already gets its texts in passing.
        size = 0 if rendered.png else wanted.width * wanted.height
        return await self._atelier.do(encode_png, size, rendered, as_made(wanted, rendered))

    async def _start(self, job: Job) -> Image.Image | None:
        """The picture that this one begins from, if it begins from one."""
        if job.request.strength is None:
            return None
        try:
            async with self._database.read() as tx:
                parent = await pictures.get(tx, job.parent_picture_id or 0)
            data = await self._files.get(parent.file)
        except NotFound:
            raise NotFound(say("pictures.parent_gone")) from None
        return await asyncio.to_thread(begun_from, data)

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

    async def _done(self, job: Job, rows: list[dict[str, Any]]) -> bool:
        """Whether the pictures have become this job's; not where it has ended meanwhile in another way."""
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
            return False
        seconds = round(sum(row["seconds"] for row in rows), 2)
        log.info("job_ended", job=job.id, state=JobState.DONE.value, pictures=len(rows), seconds=seconds)
        self._events.publish(
            "job.ended",
            job=job.id,
            chat_id=job.chat_id,
            state=JobState.DONE.value,
            pictures=len(rows),
            stand_ins=sum(bool(row["stand_in"]) for row in rows),
            seconds=(now - (job.started_at or now)).total_seconds(),
        )
        return True

    async def _end(self, job: Job, state: JobState, why: GreenroomError | str) -> None:
        now, error = self._clock.now(), why.sentence if isinstance(why, GreenroomError) else why

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


def begun_from(data: bytes) -> Image.Image:
    """A picture to begin from, with all its pixels. We wrote its file, but files are damaged and exchanged."""
    try:
        image = Image.open(BytesIO(data), formats=KINDS_OF_START)
        if image.width * image.height <= LARGEST_START:
            image.load()
            return image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pass
    except Exception as error:  # Pillow knows a dozen ways to say that it cannot read something
        log.warning("parent_unreadable", cause=repr(error))
        raise BadRequest(say("pictures.parent_unreadable")) from error
    raise BadRequest(say("pictures.parent_too_large", most=LARGEST_START // 1_000_000))


def _wanted(job: Job, persona: Persona, number: int, start: Image.Image | None) -> PictureWanted:
    request = job.request
    wanted = PictureWanted(
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
    return wanted if request.strength is None else replace(wanted, start=start, strength=request.strength)
