"""The last hour of the house, in memory: a sample every few seconds of the machine, the line, and what is made.

It also counts what happens, for whoever measures. What is wrong, and what to do about it, it does not know.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import monitor
from engine.clock import Clock
from engine.errors import GreenroomError
from engine.events import Event, Events
from engine.gauges import Gauges
from engine.monitor import Machine
from engine.settings import Settings
from engine.store import figures, troubles
from engine.store.database import Database
from engine.store.figures import InLane
from engine.store.records import Lane

log = structlog.get_logger(__name__)

EVERY = 10.0
#: One hour of them.
MOST = 360
#: Between two samples that say how many pictures are made in a minute.
MINUTE = 6
#: What is counted as it happens, and what is told when a sample was taken.
COUNTED = frozenset({"job.ended", "reply.stored", "post.published", "post.failed"})
SAMPLED = "health.sample"


@dataclass(frozen=True)
class Busy:
    """Who works at a moment: jobs with the picture thread, and people who wait for a first word."""

    in_hand: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Sample:
    at: datetime
    machine: Machine
    lanes: tuple[InLane, ...]
    #: Pieces of words in a second, and pictures in a minute.
    tokens_per_second: float
    pictures_per_minute: float
    busy: Busy

    def told(self) -> dict[str, Any]:
        """As other programs see it."""
        system = self.machine.system
        there = {lane.lane: lane for lane in self.lanes}
        return {
            "at": self.at.isoformat(),
            "gpus": [asdict(gpu) for gpu in self.machine.gpus],
            "memory": system.memory,
            "memory_free": system.memory_free,
            "process": system.process,
            "cores": system.cores,
            "load": system.load,
            "disk": system.disk,
            "disk_free": system.disk_free,
            "lanes": {
                lane.value: {
                    "waiting": there[lane].waiting if lane in there else 0,
                    "running": there[lane].running if lane in there else 0,
                }
                for lane in Lane
            },
            "tokens_per_second": round(self.tokens_per_second, 2),
            "pictures_per_minute": round(self.pictures_per_minute, 2),
            "in_hand": self.busy.in_hand,
            "waiting_for_words": self.busy.waiting,
        }


@dataclass(frozen=True)
class _Mark:
    """What was counted at a sample, and when, in monotonic seconds."""

    at: float
    tokens: float
    pictures: int


class History:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        events: Events,
        clock: Clock,
        gauges: Gauges,
        busy: Callable[[], Busy],
    ) -> None:
        self._database = database
        self._settings = settings
        self._events = events
        self._clock = clock
        self._gauges = gauges
        self._busy = busy
        self._marks: deque[_Mark] = deque(maxlen=MINUTE + 1)
        #: The oldest first.
        self.samples: deque[Sample] = deque(maxlen=MOST)

    async def run(self) -> None:
        """Sample and count until cancelled."""
        with self._events.watch(lambda event: event.name in COUNTED) as happening:
            sampling = asyncio.create_task(self._sample())
            try:
                async for event in happening:
                    self._count(event)
            finally:
                sampling.cancel()

    async def _sample(self) -> None:
        while True:
            try:
                await self.take()
            except GreenroomError as error:
                log.warning("sample_not_taken", cause=str(error))
            except Exception:
                log.exception("sample_not_taken")
            await self._clock.sleep(EVERY)

    async def take(self) -> Sample:
        """Look at everything once, and remember it."""
        machine = await asyncio.to_thread(monitor.look, self._settings.home, os.getpid())
        lanes, pictures = await self._database.look(_looked)
        now = self._clock.monotonic()
        mark = _Mark(now, self._gauges.total("tokens"), pictures)
        before = self._marks[-1] if self._marks else mark
        minute_ago = self._marks[0] if self._marks else mark
        self._marks.append(mark)
        sample = Sample(
            self._clock.now(),
            machine,
            lanes,
            tokens_per_second=_rate(mark.tokens - before.tokens, now - before.at),
            pictures_per_minute=60 * _rate(pictures - minute_ago.pictures, now - minute_ago.at),
            busy=self._busy(),
        )
        self.samples.append(sample)
        self._events.publish(SAMPLED, sample=sample)
        return sample

    def _count(self, event: Event) -> None:
        about, gauges = event.about, self._gauges
        match event.name:
            case "reply.stored":
                gauges.count("replies", str(about.get("source", "")))
            case "job.ended":
                stand_ins = int(about.get("stand_ins", 0))
                made = int(about.get("pictures", 0)) - stand_ins
                state = str(about.get("state", ""))
                gauges.count("jobs", state)
                gauges.count("pictures", "made", "model", by=made)
                gauges.count("pictures", "made", "stand_in", by=stand_ins)
                if state == "failed":
                    gauges.count("pictures", "failed", "none")
                if "seconds" in about:
                    gauges.took("job", float(about["seconds"]), state)
            case _:
                # Of a publication the outbox hears twice; only one of the two says which post it is.
                if about.get("post") is not None:
                    gauges.count("posts", event.name.removeprefix("post."))


def _rate(count: float, seconds: float) -> float:
    return max(0.0, count) / seconds if seconds > 0 else 0.0


async def _looked(tx: AsyncConnection) -> tuple[tuple[InLane, ...], int]:
    return await figures.lanes(tx), (await troubles.mark(tx)).picture
