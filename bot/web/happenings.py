"""What happens in the house, as it is told to those who watch: jobs and their steps, runs, posts, models, and a beat.

Rows are looked at only while somebody watches. What stands in chats is not told here: see `pages.py`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.places import WhoAndWhere
from bot.posts_shown import post_shown
from bot.runs_shown import run_shown
from bot.shown import job_shown
from bot.web.pages import Pages
from bot.web.watchers import Topic
from engine import estimating
from engine.engine import Engine
from engine.errors import GreenroomError
from engine.events import Event
from engine.rights import PAGE
from engine.store import chats, jobs, people, pictures, posts
from engine.store.records import ChatRef, Job, JobState, Lane, Picture

log = structlog.get_logger(__name__)

#: A line that is silent this long says so.
BEAT_SECONDS = 15.0
#: Between two steps that are told of one job, in seconds; the last one always is.
STEP_EVERY = 0.1
#: Between two looks at a run whose pictures come one after the other.
RUN_EVERY = 1.0
#: Of many jobs that are made at once, so many are told one by one; a list of them is loaded again anyhow.
MOST_MADE = 50
#: Jobs in work that are remembered.
MOST_KNOWN = 500

JOBS: Topic = ("jobs",)
RUNS: Topic = ("runs",)
POSTS: Topic = ("posts",)
HEALTH: Topic = ("health",)
MODELS: Topic = ("models",)
NEWS = frozenset(
    {
        "jobs.made",
        "job.started",
        "job.step",
        "job.preview",
        "job.ended",
        "run.begun",
        "run.ended",
        "post.published",
        "post.failed",
        "post.changed",
        "health.sample",
        "pull.begun",
        "pull.progress",
        "pull.ended",
    }
)


def jobs_topic(platform_id: str) -> Topic:
    """The jobs of whoever goes by that name on the page, and no others."""
    return "jobs", platform_id


@dataclass
class Seen:
    """A job in work, as far as its steps need it."""

    topics: tuple[Topic, ...]
    chat: ChatRef | None
    run_id: int | None
    step: int = 0
    steps: int = 0
    told_at: float = float("-inf")
    #: The first step that was seen, and when.
    since: tuple[int, float] | None = None


@dataclass(frozen=True)
class Found:
    job: Job
    made: list[Picture]
    chat: ChatRef | None
    platform_ids: tuple[str, ...]


class Happenings:
    def __init__(self, engine: Engine, front: Pages) -> None:
        self._engine = engine
        self._front = front
        self._watchers = front.watchers
        self._known: dict[int, Seen] = {}
        self._newest = 0
        self._runs: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Tell until cancelled."""
        with self._engine.events.watch(lambda event: event.name in NEWS) as news:
            self._newest = await self._engine.database.look(_newest)
            beating = asyncio.create_task(self._beat())
            missed = 0
            try:
                async for event in news:
                    if news.missed != missed:
                        missed = news.missed
                        self._watchers.publish([JOBS, RUNS, POSTS, MODELS], {"is": "missed"})
                    if not self._watchers.are_there():
                        self._known.clear()
                        continue
                    try:
                        await self._hear(event)
                    except GreenroomError as error:
                        log.warning("happening_not_told", happening=event.name, cause=str(error))
            finally:
                beating.cancel()
                for timer in self._runs.values():
                    timer.cancel()
                self._runs.clear()

    async def _beat(self) -> None:
        while True:
            await self._engine.clock.sleep(BEAT_SECONDS)
            self._watchers.beat()

    async def _hear(self, event: Event) -> None:
        about = event.about
        match event.name:
            case "jobs.made":
                await self._made(about.get("job"))
            case "job.step":
                await self._stepped(about["job"], about["step"], about["steps"])
            case "job.preview":
                await self._looked_at(about["job"])
            case "job.started" | "job.ended":
                await self._changed(about["job"], ended=event.name == "job.ended")
            case "run.begun" | "run.ended":
                await self._run(about["run"])
            case "health.sample":
                if self._watchers.are_there(HEALTH):
                    sample = about["sample"].told()
                    self._watchers.publish([HEALTH], {"is": "health", "sample": sample}, "health")
            case "pull.begun" | "pull.progress" | "pull.ended":
                told = about["pull"].told()
                passing = f"pull {told['name']}" if event.name == "pull.progress" else ""
                self._watchers.publish([MODELS], {"is": "pull", **told}, passing)
            case _:
                if (post_id := about.get("post")) is not None and self._watchers.are_there(POSTS):
                    post = await self._engine.database.look(partial(posts.get, post_id=post_id))
                    told = await post_shown(WhoAndWhere(self._engine), post)
                    del told["file"]  # where it lies is nothing to whoever only watches
                    self._watchers.publish([POSTS], {"is": "post", "post": told})

    # Jobs

    async def _made(self, again: int | None) -> None:
        newest = await self._engine.database.look(_newest)
        first = max(self._newest, newest - MOST_MADE) + 1
        self._newest = newest
        for job_id in (*range(first, newest + 1), *([] if again is None else [again])):
            if (found := await self._find(job_id)) is not None:
                await self._tell(found)

    async def _changed(self, job_id: int, *, ended: bool) -> None:
        found = await self._find(job_id)
        seen = self._known.pop(job_id, None)
        if found is None:
            return
        await self._tell(found)
        if not ended:
            self._remember(found)
        run_id = found.job.run_id or (seen.run_id if seen else None)
        if ended and run_id is not None and self._watchers.are_there(RUNS) and run_id not in self._runs:
            loop = asyncio.get_running_loop()
            self._runs[run_id] = loop.call_later(RUN_EVERY, self._look_at_run, run_id)

    async def _tell(self, found: Found) -> None:
        topics = self._topics(found)
        if not self._watchers.are_there(*topics):
            return
        job = found.job
        waits = job.state is JobState.QUEUED and job.lane is Lane.INTERACTIVE
        ahead = await self._engine.imagining.ahead_of(job.id) if waits else None
        self._watchers.publish(topics, {"is": "job", "job": job_shown(job, ahead, found.made)})

    async def _stepped(self, job_id: int, step: int, steps: int) -> None:
        seen = await self._seen(job_id)
        if seen is None:
            return
        now = self._engine.clock.monotonic()
        if step < seen.step:
            seen.since = None  # it was begun anew
        seen.step, seen.steps, seen.since = step, steps, seen.since or (step, now)
        if step < steps and now - seen.told_at < STEP_EVERY:
            return
        seen.told_at = now
        self._tell_step(job_id, seen, now)

    async def _looked_at(self, job_id: int) -> None:
        if (seen := self._known.get(job_id)) is not None and seen.steps:
            self._tell_step(job_id, seen, self._engine.clock.monotonic())

    def _tell_step(self, job_id: int, seen: Seen, now: float) -> None:
        topics = (*seen.topics, *(self._front.topics_of(seen.chat) if seen.chat else ()))
        if not self._watchers.are_there(*topics):
            return
        first, began = seen.since or (seen.step, now)
        left = estimating.left(seen.step, seen.steps, passed=now - began, since=first)
        # Asking for a look is what makes the next one be taken.
        jpeg = self._engine.worker.preview(job_id)
        self._watchers.publish(
            topics,
            {
                "is": "step",
                "job": job_id,
                "step": seen.step,
                "of": seen.steps,
                "left": round(left, 1) if left is not None else None,
                "preview": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" if jpeg else None,
            },
            f"step {job_id}",
        )

    async def _seen(self, job_id: int) -> Seen | None:
        if (seen := self._known.get(job_id)) is not None:
            return seen
        found = await self._find(job_id)
        return self._remember(found) if found else None

    def _remember(self, found: Found) -> Seen:
        own = tuple(jobs_topic(one) for one in found.platform_ids)
        seen = self._known[found.job.id] = Seen((JOBS, *own), found.chat, found.job.run_id)
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return seen

    def _topics(self, found: Found) -> list[Topic]:
        own: Iterable[Topic] = (jobs_topic(one) for one in found.platform_ids)
        return [JOBS, *own, *(self._front.topics_of(found.chat) if found.chat else ())]

    async def _find(self, job_id: int) -> Found | None:
        return await self._engine.database.look(partial(_found, job_id=job_id))

    # Runs

    def _look_at_run(self, run_id: int) -> None:
        self._runs.pop(run_id, None)
        task = asyncio.create_task(self._run(run_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, run_id: int) -> None:
        if not self._watchers.are_there(RUNS):
            return
        try:
            standing = await self._engine.runs.standing(run_id)
        except GreenroomError as error:
            log.warning("run_not_told", run=run_id, cause=str(error))
            return
        self._watchers.publish([RUNS], {"is": "run", "run": run_shown(standing)})


async def _newest(tx: AsyncConnection) -> int:
    found = await jobs.listing(tx, limit=1)
    return found[0].id if found else 0


async def _found(tx: AsyncConnection, job_id: int) -> Found | None:
    try:
        job = await jobs.get(tx, job_id)
    except GreenroomError:
        return None  # deleted meanwhile
    made = (await pictures.of_jobs(tx, [job_id])).get(job_id, [])
    place = await chats.place_of(tx, job.chat_id) if job.chat_id is not None else None
    ids = await people.platform_ids(tx, job.person_id, PAGE) if job.person_id is not None else []
    return Found(job, made, place.ref if place else None, tuple(ids))
