"""A wish becomes a picture job: request → scene → prompt of 100–200 words → a row that will be worked on.

Knows nothing of how pictures are made; it says what is to be made, completely, so that a job can be done from its
row alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import limits, safety
from engine.clock import Clock
from engine.errors import BadRequest, NotFound, Unsuitable
from engine.events import Events
from engine.language import PROMPT_WORDS, PromptWanted, Source, count_words
from engine.language.writers import Writers
from engine.locales import say
from engine.pictures import Lora, Queue, fairness, loras_told
from engine.pictures.painting import LorasChecked
from engine.pictures.sdxl.weighted import fragments, plain, weighed
from engine.settings import Settings
from engine.store import forgetting, jobs
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane, Person, PersonaRecord, PictureRequest
from engine.styles import Style, detect, joined, negative_for
from engine.wishes import (
    COUNTS,
    SEEDS,
    SIDES,
    Wish,
    another_pose,
    as_wished,
    count_of,
    effort_of,
    seed_of,
    size_of,
)
from personas import prompting
from personas.appearance import Ledger, Scene
from personas.macros import expand_shared
from personas.persona import Persona, Pose, Rating, printable

log = structlog.get_logger(__name__)

__all__ = ["COUNTS", "SEEDS", "SIDES", "Accepted", "Imagining", "Instructions", "Wish"]


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
        poses: Sequence[Pose],
        *,
        loras: LorasChecked | None = None,
    ) -> None:
        self._database = database
        self._writers = writers
        self._queue = queue
        self._events = events
        self.styles = styles
        #: The house's, beside what each persona has of its own.
        self.poses = tuple(poses)
        self._settings = settings
        self._clock = clock
        self._instructions = instructions
        self._spent = spent
        self._blocked = safety.BlockList(settings.safety.blocked_words)
        self._loras = loras

    async def compose(
        self,
        record: PersonaRecord,
        wish: Wish,
        *,
        rating: Rating = Rating.ALL_AGES,
        ledger: Ledger | None = None,
        prompt: str = "",
    ) -> PictureRequest:
        """Everything that the picture will be made from. Slow when a model writes; nothing is stored yet.

        `prompt`: somebody has it already, so that nobody writes one. See `remaking.by_hand` for what it may hold.
        """
        seed, count = seed_of(wish), count_of(wish)
        width, height = size_of(wish, self._settings.pictures)
        effort = effort_of(wish, self._settings.pictures)
        most = self._settings.limits.scene_length
        words, said = loras_told.told(safety.cleaned(wish.scene, most=most, what="scene"))
        words = safety.cleaned(words, most=most, what="scene")
        own = [Lora(name, weight) for name, weight in record.persona.picture.loras.items()]
        loras = loras_told.settled((*own, *said))[: loras_told.MOST_LORAS]
        ledger = as_wished(ledger or Ledger(), wish, record.persona, self.poses)
        # A long scene may be cut at its end: how somebody stands in it is said first.
        told = f"{ledger.pose}, {words}" if ledger.pose else words
        self.check_words(told)
        style = self._style(wish, words, record)
        style_words = self._style_words(style, record.persona)
        # Whoever writes is told the words alone, and what weighs more in them is put back where it stands.
        asked = fragments(told)
        scene = Scene(record.persona, plain(asked) or told, ledger, seed)
        self._check_card(scene)
        await self.check_loras(said, loras)
        instructions, version = self._instructions_for(record)
        wanted = PromptWanted(
            scene=scene,
            style=style.slug,
            style_words=style_words,
            rating=rating,
            segments=prompting.picture_segments(
                scene, instructions=instructions, style_words=style_words, rating=rating
            ),
            seed=seed,
            model=wish.model,
        )
        if prompt:
            text, source, count_of_words = prompt, Source.PERSON, count_words(prompt)
        else:
            written = await self._writers.write(wanted, accept=self._accepted)
            text, source = weighed(written.text, asked), written.source
            count_of_words = count_words(written.text)
        return PictureRequest(
            scene=words,
            prompt=text,
            negative=negative_for(style, printable(wish.negative), record.persona.picture.avoid),
            style=style.slug,
            source=source,
            word_count=count_of_words,
            seed=seed,
            count=count,
            width=width,
            height=height,
            steps=effort.steps,
            guidance=effort.guidance,
            rating=rating,
            # A template reads no instructions.
            prompt_version=version if source is Source.MODEL else "",
            ledger=ledger.__dict__,
            scheduler=effort.scheduler,
            hires=effort.hires,
            loras={one.name: one.weight for one in loras},
        )

    def _accepted(self, written: str) -> bool:
        return count_words(written) in PROMPT_WORDS and self._blocked.allows(written)

    def check_words(self, words: str) -> None:
        """Raises `Unsuitable` where a word is on the operator's list, as it is written or as it is read."""
        self._blocked.check(words)
        self._blocked.check(plain(fragments(words)))

    async def check_loras(self, named: Sequence[Lora], worn: Sequence[Lora]) -> None:
        """Raises `BadRequest` where no picture can be made with those that somebody named, or with all that it is to
        wear: better now than when it is their turn.
        """
        if self._loras is not None and worn:
            await asyncio.to_thread(self._loras, named, worn)

    def _check_card(self, scene: Scene) -> None:
        """The card's own words, as far as they go into the prompt. Whoever asked wrote none of them, and can change
        none: so the operator is told where they stand.
        """
        for part, words in _of_the_card(scene):
            try:
                self.check_words(words)
            except Unsuitable:
                log.warning("card_unwelcome", persona=scene.persona.slug, part=part)
                raise Unsuitable(say("pictures.card_unwelcome", name=scene.persona.called)) from None

    def another_pose(self, persona: Persona, now: str) -> str:
        return another_pose(persona, self.poses, now)

    @property
    def longest_scene(self) -> int:
        return self._settings.limits.scene_length

    def _style_words(self, style: Style, persona: Persona) -> str:
        """What stands at the end of a prompt: the style, and the art direction of the house and of the persona."""
        return joined(style.words, self._settings.pictures.direction, persona.picture.direction)

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
        told: str = "",
        fair_owner: str = "",
        deadline_at: datetime | None = None,
    ) -> Accepted:
        """Store the job and its place in line, as part of the caller's transaction. Call `nudge` after it.

        `told`: what was asked for under the key, in brief; `Conflict` where that was something else before.
        """
        now = self._clock.now()
        self.check_words(request.scene)  # the list may have grown since that was asked for
        if request.source is Source.PERSON:
            self.check_words(request.prompt)
        if person is not None:
            await self._check_quota(tx, person.id, request.count, now)
        added = await jobs.add(
            tx,
            request=request,
            lane=lane,
            fair_owner=fair_owner or (f"person:{person.id}" if person else "house"),
            cost=request.count,
            now=now,
            person_id=person.id if person else None,
            persona_id=persona_id,
            chat_id=chat_id,
            turn_id=turn_id,
            parent_picture_id=parent_picture_id,
            dedup_key=dedup_key,
            told=told,
            deadline_at=deadline_at,
        )
        if added.is_new:
            await self._queue.submit(tx, added.job.id, fairness.rank_of(added.job))
        return Accepted(added.job, known=not added.is_new)

    def nudge(self) -> None:
        """A job was committed: workers need not wait for their next look."""
        self._queue.nudge()
        self._events.publish("jobs.made")

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
        self._events.publish("jobs.made", job=job_id)
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


def _of_the_card(scene: Scene) -> Iterator[tuple[str, str]]:
    """What a prompt takes from the persona's card: which part of it, and the words."""
    persona = scene.persona
    look, taste = persona.appearance, persona.picture
    # Where the body is not described, whoever writes is given the description.
    yield ("appearance", look.body) if look.body else ("description", persona.description)
    yield "name", persona.name
    yield "kind", persona.kind
    yield "picture.light", taste.light
    yield "picture.direction", taste.direction
    # Of clothes and places only those that are seen, and only where nobody else has said what they are.
    if scene.clothes in [one.description for one in look.wardrobe]:
        yield "appearance.wardrobe", scene.clothes
    if scene.place in look.places:
        yield "appearance.places", scene.place
