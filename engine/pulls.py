"""Models that a running house fetches: each once at a time, told as they come, stopped and gone on with.

How a model is fetched it does not know: see `engine/models/pulling.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog

from engine import models
from engine.errors import GreenroomError, NotFound, Refused
from engine.events import Events
from engine.locales import say
from engine.models import Entry, Progress, Room

log = structlog.get_logger(__name__)

#: So many pulls that are over are remembered, and so many run at once.
MOST_KNOWN, AT_ONCE = 100, 3


class PullState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: Somebody stopped it; what came so far stays, and the same order goes on with it.
    STOPPED = "stopped"


@dataclass(frozen=True)
class Pull:
    """How far a model is, in bytes of the whole."""

    #: What was asked for, and the model's name.
    name: str
    id: str
    kind: str
    state: PullState
    done: int = 0
    total: int = 0
    file: str = ""
    #: Why nothing comes, where nothing does; or why it came to nothing.
    note: str = ""

    def told(self) -> dict[str, Any]:
        """As other programs see it."""
        return asdict(self)


class Pulls:
    def __init__(self, home: Path, events: Events, *, pause: float = 1.0) -> None:
        """`pause`: the first of those after the hub's troubles, in seconds."""
        self._home = home
        self._events = events
        self._pause = pause
        #: By the model's kind and name, the oldest first.
        self._known: dict[tuple[str, str], Pull] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def listing(self) -> list[Pull]:
        """Those that run, and how the last ones ended."""
        return list(self._known.values())

    def begin(self, name: str) -> Pull:
        """Fetch a model, or go on with it; one that is under way is answered as it is."""
        entry = models.catalogue().wanted(name)
        key = (entry.kind.value, entry.id)
        if key in self._tasks:
            return self._known[key]
        if len(self._tasks) >= AT_ONCE:
            raise Refused(say("models.pull.busy", count=len(self._tasks)))
        self._known.pop(key, None)
        pull = self._known[key] = Pull(name, entry.id, key[0], PullState.RUNNING, total=entry.size)
        self._forget()
        task = self._tasks[key] = asyncio.create_task(self._fetch(key, entry))
        task.add_done_callback(lambda _task: self._tasks.pop(key, None))
        self._events.publish("pull.begun", pull=pull)
        return pull

    async def stop(self, name: str) -> Pull:
        """It ends at once; what came so far stays."""
        entry = models.catalogue().wanted(name)
        key = (entry.kind.value, entry.id)
        task = self._tasks.get(key)
        if task is None:
            raise NotFound(say("models.pull.not_coming", name=entry.id))
        task.cancel()
        await asyncio.wait([task])
        return self._known[key]

    async def remove(self, name: str) -> Room:
        """Delete a model from the home, with what was begun of it."""
        kept = await asyncio.to_thread(models.find, self._home, name)
        if (kept.kind, kept.folder.name) in self._tasks:
            raise Refused(say("models.pull.coming", name=kept.folder.name))
        room = await asyncio.to_thread(models.remove, self._home, f"{kept.kind}/{kept.folder.name}")
        self._known.pop((kept.kind, kept.folder.name), None)
        log.info("model_removed", model=kept.folder.name, freed=room.size + room.unfinished)
        return room

    async def close(self) -> None:
        """What is under way goes on when somebody asks for it again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _fetch(self, key: tuple[str, str], entry: Entry) -> None:
        def told(progress: Progress) -> None:
            if (known := self._known[key]).state is PullState.RUNNING:
                note = progress.note
                change = replace(known, done=progress.done, file=progress.file, note=note)
                self._tell(key, replace(change, total=progress.total or known.total), "pull.progress")

        log.info("pull_begun", model=entry.id, repo=entry.repo)
        try:
            await models.pull(entry, self._home, told, pause=self._pause)
        except asyncio.CancelledError:
            self._end(key, PullState.STOPPED)
        except GreenroomError as error:
            self._end(key, PullState.FAILED, error.args[0] if error.args else "")
        except Exception as error:
            log.exception("pull_broke", model=entry.id)
            self._end(key, PullState.FAILED, str(error) or type(error).__name__)
        else:
            self._end(key, PullState.DONE)

    def _end(self, key: tuple[str, str], state: PullState, note: str = "") -> None:
        known = self._known[key]
        done = known.total if state is PullState.DONE else known.done
        log.info("pull_ended", model=known.id, state=state.value, cause=note)
        self._tell(key, replace(known, state=state, done=done, note=note), "pull.ended")

    def _tell(self, key: tuple[str, str], pull: Pull, event: str) -> None:
        self._known[key] = pull
        self._events.publish(event, pull=pull)

    def _forget(self) -> None:
        over = [key for key in self._known if key not in self._tasks]
        for key in over[: max(0, len(self._known) - MOST_KNOWN)]:
            if self._known[key].state is not PullState.RUNNING:
                del self._known[key]
