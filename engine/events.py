"""What just happened, for whoever watches. Rows stay the truth: an event may be missed, a row may not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: How many events may wait for one watcher before its oldest are let go.
ROOM = 256

#: The house closes: whoever watches without end should stop.
CLOSING = "house.closing"


@dataclass(frozen=True)
class Event:
    """`name` says what happened (`job.step`, `reply.piece`, …), `about` to what."""

    name: str
    about: dict[str, Any] = field(default_factory=dict)


class Watch:
    """One watcher's window: bounded, so that somebody who looks away costs nobody anything."""

    def __init__(self, wanted: Callable[[Event], bool]) -> None:
        self.wanted = wanted
        #: How many events were let go because this watcher was slow.
        self.missed = 0
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()

    def put(self, event: Event) -> None:
        if len(self._waiting) >= ROOM:
            self._waiting.popleft()
            self.missed += 1
        self._waiting.append(event)
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._news.clear()
            await self._news.wait()


class Events:
    """Publishes to every watcher and waits for none."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    def publish(self, name: str, **about: Any) -> None:
        if not self._watches:
            return
        event = Event(name, about)
        for watch in self._watches:
            if watch.wanted(event):
                watch.put(event)

    @contextmanager
    def watch(self, wanted: Callable[[Event], bool] = lambda _event: True) -> Iterator[Watch]:
        watch = Watch(wanted)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)
