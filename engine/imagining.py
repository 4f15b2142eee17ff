"""A wish becomes a picture job: request → scene → prompt of 100–200 words → a row that will be worked on.

Knows nothing of how pictures are made; it says what is to be made, completely, so that a job can be done from its
row alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import limits, safety
from engine.clock import Clock
from engine.errors import BadRequest, NotFound
from engine.events import Events
from engine.language import PROMPT_WORDS, PromptWanted, Source, count_words
from engine.language.writers import Writers
from engine.locales import say
from engine.pictures import Queue, fairness
from engine.pictures.sdxl.weighted import fragments, plain, weighed
from engine.settings import Settings
from engine.store import forgetting, jobs
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane, Person, PersonaRecord, PictureRequest
from engine.styles import Style, detect, negative_for
from personas import prompting
from personas.appearance import Ledger, Scene
from personas.macros import expand_shared
from personas.persona import Rating, printable

log = structlog.get_logger(__name__)

#: Seeds are as other programs have them, so that they can be carried over.
SEEDS = range(2**32)
SIDES = range(64, 2049)
COUNTS = range(1, 5)


@dataclass(frozen=True)
class Wish:
    """What a person asked for, in their words. None leaves the choice to the house."""

    scene: str
    style: str | None = None
    seed: int | None = None
    count: int = 1
    width: int | None = None
    height: int | None = None
    negative: str = ""
    #: The language model that is to write the prompt, of those that the operator allows.
    model: str = ""


@dataclass(frozen=True)
class Instructions:
    """A system prompt of `data/prompts/`, and the name of its version."""

    text: str
    version: str


@dataclass(frozen=True)
class Accepted:
    """A job that stands in line. `known` means that this very order had been taken before."""

    job: Job
    known: bool = False


class Imagining:
    """Takes wishes, writes their prompts, and puts them in line."""

    def __init__(
        self,
        database: Database,
        writers: Writers,
        queue: Queue,
        events: Events,
        styles: dict[str, Style],
        settings: Settings,
        clock: Clock,
        instructions: Instructions,
        spent: limits.Spent,
    ) -> None:
        self._database = database
        self._writers = writers
        self._queue = queue
        self._events = events
        self.styles = styles
        self._settings = settings
        self._clock = clock
        self._instructions = instructions
        self._spent = spent
        self._blocked = safety.BlockList(settings.safety.blocked_words)

    async def compose(
        self,
        record: PersonaRecord,
        wish: Wish,
        *,
        rating: Rating = Rating.ALL_AGES,
        ledger: Ledger | None = None,
    ) -> PictureRequest:
        """Everything that the picture will be made from. Slow when a model writes; nothing is stored yet."""
        seed = self._seed(wish)
        width, height = self._size(wish)
        if wish.count not in COUNTS:
            raise BadRequest(say("pictures.count", n=wish.count, least=COUNTS[0], most=COUNTS[-1]))
        words = safety.cleaned(wish.scene, most=self._settings.limits.scene_length, what="scene")
        self._blocked.check(words)
        style = self._style(wish, words, record)
        ledger = ledger or Ledger()
        # Whoever writes is told the words alone, and what weighs more in them is put back where it stands.
        asked = fragments(words)
        scene = Scene(record.persona, plain(asked) or words, ledger, seed)
        instructions, version = self._instructions_for(record)
        wanted = PromptWanted(
            scene=scene,
            style=style.slug,
            style_words=style.words,
            rating=rating,
            segments=prompting.picture_segments(
                scene, instructions=instructions, style_words=style.words, rating=rating
            ),
            seed=seed,
            model=wish.model,
        )
        written = await self._writers.write(wanted, accept=lambda text: count_words(text) in PROMPT_WORDS)
        return PictureRequest(
            scene=words,
            prompt=weighed(written.text, asked),
            negative=negative_for(style, printable(wish.negative), record.persona.picture.avoid),
            style=style.slug,
            source=written.source,
            word_count=count_words(written.text),
            seed=seed,
            count=wish.count,
            width=width,
            height=height,
            steps=self._settings.pictures.steps,
            guidance=self._settings.pictures.guidance,
            rating=rating,
            # A template reads no instructions.
            prompt_version=version if written.source is Source.MODEL else "",
            ledger=ledger.__dict__,
        )

    def _instructions_for(self, record: PersonaRecord) -> tuple[str, str]:
        """The system prompt for a persona's pictures, and which version of it that is."""
        own = record.persona.picture.instructions
        if not own.strip():
            return self._instructions.text, self._instructions.version
        text = expand_shared(own, record.persona.called, original=self._instructions.text)
        return text, f"{record.persona.slug} r{record.revision} over {self._instructions.version}"

    async def put_in_line(
        self,
        tx: AsyncConnection,
        request: PictureRequest,
        *,
        persona_id: int,
        person: Person | None,
        chat_id: int | None = None,
        turn_id: int | None = None,
        lane: Lane = Lane.INTERACTIVE,
        parent_picture_id: int | None = None,
        dedup_key: str | None = None,
    ) -> Accepted:
        """Store the job and its place in line, as part of the caller's transaction. Call `nudge` after it."""
        now = self._clock.now()
        if person is not None:
            await self._check_quota(tx, person.id, request.count, now)
        added = await jobs.add(
            tx,
            request=request,
            lane=lane,
            fair_owner=f"person:{person.id}" if person else "house",
            cost=request.count,
            now=now,
            person_id=person.id if person else None,
            persona_id=persona_id,
            chat_id=chat_id,
            turn_id=turn_id,
            parent_picture_id=parent_picture_id,
            dedup_key=dedup_key,
        )
        if added.is_new:
            await self._queue.submit(tx, added.job.id, fairness.rank_of(added.job))
        return Accepted(added.job, known=not added.is_new)

    def nudge(self) -> None:
        """A job was committed: workers need not wait for their next look."""
        self._queue.nudge()

    async def cancel(self, job_id: int) -> Job:
        """Nothing comes of it any more: out of the line, or its worker stops at the next step."""
        async with self._database.write() as tx:
            await jobs.get(tx, job_id)
            # The row first: a job that left the line without an outcome would wait for one for ever.
            cancelled = await jobs.end(tx, job_id, JobState.CANCELLED, self._clock.now())
            job = await jobs.get(tx, job_id)
        if not cancelled:
            outcome = say(f"pictures.outcome.{job.state.value}")
            raise BadRequest(say("pictures.job.has_ended", id=str(job_id), outcome=outcome))
        await self._queue.cancel(job_id)
        self._events.publish("job.ended", job=job_id, chat_id=job.chat_id, state=JobState.CANCELLED.value)
        return job

    async def retry(self, job_id: int) -> Job:
        """Put a job that failed or was cancelled in line again."""
        async with self._database.write() as tx:
            await jobs.get(tx, job_id)
            job = await jobs.requeue(tx, job_id)
            if job is None:
                raise BadRequest(say("pictures.job.not_failed", id=str(job_id)))
            await self._queue.submit(tx, job.id, fairness.rank_of(job))
        self.nudge()
        return job

    async def mend_line(self) -> None:
        """At a start on the embedded queue: no job that was promised is left standing in no line."""
        async with self._database.write() as tx:
            for job in await jobs.stranded(tx):
                log.warning("job_stranded", job=job.id)
                await self._queue.submit(tx, job.id, fairness.rank_of(job))

    async def ahead_of(self, job_id: int) -> int | None:
        """How many jobs stand before this one; None when it no longer waits."""
        return await self._queue.position(job_id)

    async def used(self, tx: AsyncConnection, person_id: int, now: datetime) -> jobs.Used:
        """What somebody had of their quota in the last 24 hours."""
        since = now - limits.DAY
        used = await jobs.used(tx, person_id, since=since, now=now)
        spent = self._spent.of("pictures", await forgetting.accounts_of(tx, person_id), since=since)
        count, oldest = limits.added(used.pictures, used.oldest, spent)
        return replace(used, pictures=count, oldest=oldest)

    async def _check_quota(self, tx: AsyncConnection, person_id: int, asked: int, now: datetime) -> None:
        used = await self.used(tx, person_id, now)
        limits.check_pictures(
            self._settings.limits,
            asked=asked,
            today=used.pictures,
            waiting=used.waiting,
            oldest=used.oldest,
            now=now,
        )

    def _style(self, wish: Wish, words: str, record: PersonaRecord) -> Style:
        if wish.style:
            try:
                return self.styles[wish.style.strip().lower()]
            except KeyError:
                told = say("pictures.no_style", style=wish.style[:40], styles=sorted(self.styles))
                raise NotFound(told) from None
        return detect(words, self.styles, record.persona.picture.style)

    def _seed(self, wish: Wish) -> int:
        if wish.seed is None:
            return random.SystemRandom().randrange(SEEDS.stop)
        if wish.seed not in SEEDS:
            raise BadRequest(say("pictures.seed", most=SEEDS[-1]))
        return wish.seed

    def _size(self, wish: Wish) -> tuple[int, int]:
        width = wish.width or self._settings.pictures.width
        height = wish.height or self._settings.pictures.height
        if width not in SIDES or height not in SIDES:
            raise BadRequest(say("pictures.sides", least=str(SIDES[0]), most=str(SIDES[-1])))
        # Picture models want sides in multiples of 8; nobody asks for a pixel more or less.
        return width // 8 * 8, height // 8 * 8
