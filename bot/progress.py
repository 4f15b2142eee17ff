"""Shows pictures in the making: the message of each open job says where it stands, until the picture takes its place.

It knows when a message is out of date, and what it should say. What the finished picture looks like in a chat is the
business of `bot.delivery`, which asks `let_go` before it touches the message: nothing is shown here after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import structlog

from bot import cards
from bot.front import Front, Progress
from engine import estimating
from engine.engine import Engine
from engine.errors import GreenroomError
from engine.events import Event
from engine.locales import Locale, locale_of
from engine.pictures.fairness import HEAD_START
from engine.store import jobs, messages, promises
from engine.store.records import Job, JobState
from engine.unbroken import ended

log = structlog.get_logger(__name__)

#: What makes a message out of date.
NEWS = frozenset({"job.started", "job.step", "job.preview", "job.ended"})
#: A message changes no more often than this, whatever the front would allow.
STEP_SECONDS = 1.0
#: A place in line is no news of that kind: many jobs may move up at once.
LINE_SECONDS = 5.0
READERS = 4
#: So long a delivery waits for a change of its message that is under way; then that is broken off.
PATIENCE = 15.0


@dataclass
class Easel:
    """One job as it is shown in its message."""

    job_id: int
    #: When its message was changed last. At first that is now: what takes but a moment is never worth a change.
    shown_at: float
    #: Whoever holds it is changing the message; two never do.
    hand: asyncio.Lock
    #: There is something that the message does not say yet.
    stale: bool = True
    #: Nothing is shown here any more.
    gone: bool = False
    step: int = 0
    steps: int = 0
    #: The first step that was seen, and when: the pace is measured from there.
    since: tuple[int, float] | None = None
    running: bool = False
    shown: Progress | None = None
    task: asyncio.Task[None] | None = None


class Easels:
    """All jobs that are shown somewhere. Nothing happens here while nothing happens in the line."""

    def __init__(self, engine: Engine, fronts: Sequence[Front]) -> None:
        self._engine = engine
        #: Fronts whose messages scroll away show progress in their own way, or not at all.
        self._fronts: Mapping[tuple[str, str], Front] = MappingProxyType(
            {(front.name, front.account): front for front in fronts if front.keeps_messages}
        )
        self._easels: dict[int, Easel] = {}
        #: All that is under way, for which job: also what a job's first life left behind when it was tried again.
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._open = False
        #: A long line that moves up is not to take the store from those who talk.
        self._readers = asyncio.Semaphore(READERS)

    async def run(self) -> None:
        """Keep the messages up to date until cancelled."""
        if not self._fronts:
            await asyncio.Event().wait()
        with self._engine.events.watch(lambda event: event.name in NEWS) as news:
            self._open = True
            try:
                async with self._engine.database.read() as tx:
                    for job_id in await jobs.open_in_chats(tx):
                        self.take_up(job_id)
                async for event in news:
                    self._hear(event)
            finally:
                self._open = False
                await ended(list(self._tasks))
                self._easels.clear()

    def take_up(self, job_id: int) -> None:
        """A job's message is there now, or may be: from here on it says how the job stands."""
        if self._open:
            self._stir(self._easel(job_id))

    async def let_go(self, job_id: int) -> None:
        """Show nothing more of a job. When this returns, its message belongs to the caller."""
        easel = self._easels.get(job_id)
        if easel is None:
            return
        easel.gone = True
        try:
            async with asyncio.timeout(PATIENCE), easel.hand:
                pass
        except TimeoutError:
            log.debug("progress_broken_off", job=job_id)
        await ended([task for task, of in self._tasks.items() if of == job_id])
        self._forget(easel)

    def _hear(self, event: Event) -> None:
        job_id = event.about["job"]
        if event.name == "job.ended":
            if easel := self._easels.get(job_id):
                self._leave(easel)
            self._line_moved()
            return
        if event.about.get("chat_id") is None and job_id not in self._easels:
            return  # nobody watches it in a chat
        easel = self._easel(job_id)
        easel.running = True
        if event.name == "job.started":
            easel.step, easel.steps, easel.since = 0, 0, None
            easel.shown_at = self._engine.clock.monotonic()  # what is over in a moment need not be announced
            self._line_moved()
        elif event.name == "job.step":
            easel.step, easel.steps = event.about["step"], event.about["steps"]
            easel.since = easel.since or (easel.step, self._engine.clock.monotonic())
        self._stir(easel)

    def _line_moved(self) -> None:
        for easel in self._easels.values():
            if not easel.running:
                self._stir(easel)

    def _easel(self, job_id: int) -> Easel:
        there = self._easels.get(job_id)
        if there is not None and not there.gone:
            return there
        # Tried again: the last change of its first life may still be under way.
        hand = there.hand if there is not None else asyncio.Lock()
        easel = Easel(job_id, self._engine.clock.monotonic(), hand)
        self._easels[job_id] = easel
        return easel

    def _stir(self, easel: Easel) -> None:
        easel.stale = True
        if easel.task is None:
            easel.task = asyncio.create_task(self._keep(easel))
            self._tasks[easel.task] = easel.job_id
            easel.task.add_done_callback(partial(self._rest, easel))

    def _rest(self, easel: Easel, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        easel.task = None
        if easel.gone:
            self._forget(easel)
        elif easel.stale and self._open:
            self._stir(easel)

    def _leave(self, easel: Easel) -> None:
        easel.gone = True
        if easel.task is None:
            self._forget(easel)
        elif not easel.hand.locked():
            easel.task.cancel()  # it only waits for its time

    def _forget(self, easel: Easel) -> None:
        if self._easels.get(easel.job_id) is easel:
            del self._easels[easel.job_id]

    async def _keep(self, easel: Easel) -> None:
        """Change one message for as long as there is something new to say in it, at a bearable pace."""
        while easel.stale and not easel.gone:
            await self._pause(easel)
            easel.stale = False
            async with easel.hand:
                try:
                    await self._show(easel)
                except Exception as error:  # it is only how a job stands: the next step says it anew
                    log.debug("progress_not_shown", job=easel.job_id, cause=repr(error))

    async def _pause(self, easel: Easel) -> None:
        clock = self._engine.clock
        # Whoever begins to be drawn while they wait for their place to change does not wait on.
        while True:
            pause = STEP_SECONDS if easel.running else LINE_SECONDS
            over = easel.shown_at + pause - clock.monotonic()
            if over <= 0:
                return
            await clock.sleep(min(over, STEP_SECONDS))

    async def _show(self, easel: Easel) -> None:
        easel.shown_at = self._engine.clock.monotonic()
        async with self._readers:
            told = await self._told(easel)
        if told is None or told == easel.shown or easel.gone:
            return
        front = self._fronts[told.chat.front, told.chat.account]
        try:
            await front.progress(told)
        finally:
            easel.shown, easel.shown_at = told, self._engine.clock.monotonic()

    async def _told(self, easel: Easel) -> Progress | None:
        """What the message should say now. The row has the last word: an event may come late, or never."""
        job_id = easel.job_id
        async with self._engine.database.read() as tx:
            asked = await jobs.asked(tx, job_id)
            if asked is None or asked.job.state.ended or asked.job.chat_id is None:
                easel.gone = True
                return None
            if (asked.ref.front, asked.ref.account) not in self._fronts:
                easel.gone = True
                return None
            shown = await messages.of_job(tx, job_id, chat_id=asked.job.chat_id)
        if not shown:
            return None  # its first message is still on its way
        locale = locale_of(asked.language)
        easel.running = asked.job.state is JobState.RUNNING
        text = self._working(easel, locale, asked) if easel.running else await self._waiting(locale, asked)
        buttons = cards.buttons(locale, job_id, asked.job.state)
        preview = self._engine.worker.preview(job_id)
        begun = cards.progressing(locale, asked.job, asked.persona_name, step=0, steps=0)
        still = begun if easel.running else ""
        return Progress(asked.ref, shown[-1], text, buttons, preview, still)

    def _working(self, easel: Easel, locale: Locale, asked: jobs.Asked) -> str:
        # After a restart, or in another process, the row is all there is.
        step, steps = (easel.step, easel.steps) if easel.steps else (asked.job.step, asked.job.steps)
        left = None
        if easel.since is not None:
            first, began = easel.since
            left = estimating.left(step, steps, passed=self._engine.clock.monotonic() - began, since=first)
        return cards.progressing(
            locale, asked.job, asked.persona_name, step=step, steps=steps, seconds_left=left
        )

    async def _waiting(self, locale: Locale, asked: jobs.Asked) -> str:
        ahead, ready = await expectation(self._engine, asked.job)
        return cards.card(locale, asked.job, asked.persona_name, ahead=ahead, ready=ready)


async def expectation(engine: Engine, job: Job) -> tuple[int | None, estimating.Expected | None]:
    """A job's place in line, and when it may be ready; None for what is not known.

    Whoever calls it tells somebody. What they are told first is kept, so that the house learns how good its word is.
    """
    guess, ready = await guesses(engine, job)
    if guess and ready and job.promised_at is None:
        given = partial(promises.give, job_id=job.id, told=ready, guessed=guess, now=engine.clock.now())
        try:
            await engine.database.change(given)
        except GreenroomError as error:  # they are told all the same
            log.warning("promise_not_kept", job=job.id, cause=str(error))
    return await engine.queue.position(job.id), ready


async def guesses(engine: Engine, job: Job) -> tuple[estimating.Expected | None, estimating.Expected | None]:
    """When a job may be ready, before and after that was corrected by past errors; nobody is promised anything."""
    pace = await engine.database.look(partial(promises.pace, job=job, head_start=HEAD_START))
    done = job.step / job.steps if job.state is JobState.RUNNING and job.steps else 0.0
    guess = estimating.expected(pace.made, promises.work_of(job.request, done), pace.before)
    return guess, estimating.corrected(guess, pace.met) if guess else None


async def record_told(engine: Engine, locale: Locale) -> str:
    """How good such words were so far; empty until that can be said."""
    met = await engine.database.look(promises.met)
    return told_record(locale, estimating.record(met))


def told_record(locale: Locale, record: estimating.Record | None) -> str:
    if record is None:
        return ""
    return locale.say(
        "status.promises", n=record.promises, share=round(record.in_time * 100), off=round(record.off * 100)
    )
