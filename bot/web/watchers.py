"""Who watches the page's socket, and what waits for each of them. It knows topics and texts, and no row.

A text is made once in each language, however many it goes to. Somebody who reads slowly holds nobody up: drafts and
steps are let go first, then everything, and they are told that they have missed something.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.locales import ENGLISH, Locale, Said, locale_of

#: What is watched: ("jobs",), ("chat", "home", "home"), …
Topic = tuple[str, ...]
Happening = dict[str, Any]

#: So many texts, and so many characters of them, may wait for one watcher.
ROOM = 256
LETTERS = 512 * 1024


def told(happening: Happening) -> str:
    text = json.dumps(happening, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a sign, where whoever writes was cut in the middle of one: no socket takes it as it is.
        return json.dumps(happening, separators=(",", ":"))
    return text


MISSED = told({"is": "missed"})
BEAT = told({"is": "beat"})
CLOSING = told({"is": "closing"})


class Watcher:
    """One open socket: what it watches, what is spoken there, and what it has not read yet."""

    __slots__ = (
        "_closed",
        "_letters",
        "_news",
        "_numbers",
        "_passing",
        "_read",
        "_waiting",
        "topics",
        "words",
    )

    def __init__(self, words: Locale | None = None) -> None:
        self.words = words or locale_of(ENGLISH)
        self.topics: set[Topic] = set()
        #: In order. What may be let go has a name, under which the next of its kind takes its place.
        self._waiting: dict[str | int, str] = {}
        self._letters = 0
        self._passing = 0
        self._numbers = itertools.count()
        self._closed = False
        self._news: asyncio.Future[None] | None = None
        self._read: asyncio.Future[None] | None = None

    def put(self, text: str, passing: str = "") -> None:
        """Something to read. `passing`: it may be let go, and the next one of that name stands for it."""
        if self._closed:
            return
        if passing and passing in self._waiting:
            self._letters += len(text) - len(self._waiting[passing])
            self._waiting[passing] = text
            return
        if self._is_full(text):
            self._let_go()
            if self._is_full(text):
                self._waiting.clear()
                self._letters = 0
                self._keep(MISSED)
                if passing:
                    return
            elif passing:
                return
        self._keep(text, passing)

    def fill(self, texts: Iterable[str]) -> None:
        """All that somebody asked for who has just come: however much it is, it is theirs."""
        for text in texts:
            self._keep(text)

    def close(self) -> None:
        """The house closes: that is the last thing they read, and whatever waits before it is let go."""
        if not self._closed:
            self._waiting.clear()
            self._letters = self._passing = 0
            self._keep(CLOSING)
            self._closed = True
            if self._read is not None:
                _wake(self._read)

    @property
    def is_behind(self) -> bool:
        return len(self._waiting) >= ROOM or self._letters >= LETTERS

    async def not_behind(self) -> None:
        """Wait until they have read enough."""
        while self.is_behind and not self._closed:
            self._read = asyncio.get_running_loop().create_future()
            await self._read

    async def next(self) -> str | None:
        """What is to be read next; None when there will be nothing any more."""
        while not self._waiting:
            if self._closed:
                return None
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        name = next(iter(self._waiting))
        text = self._waiting.pop(name)
        self._letters -= len(text)
        self._passing -= isinstance(name, str)
        if self._read is not None and not self.is_behind:
            _wake(self._read)
        return text

    def _keep(self, text: str, passing: str = "") -> None:
        self._waiting[passing or next(self._numbers)] = text
        self._letters += len(text)
        self._passing += bool(passing)
        if self._news is not None:
            _wake(self._news)

    def _is_full(self, text: str) -> bool:
        # One text is always taken, however long it is.
        return bool(self._waiting) and (len(self._waiting) >= ROOM or self._letters + len(text) > LETTERS)

    def _let_go(self) -> None:
        if self._passing:
            self._waiting = {name: text for name, text in self._waiting.items() if isinstance(name, int)}
            self._letters = sum(map(len, self._waiting.values()))
            self._passing = 0


def _said(part: Any, words: Locale) -> Any:
    """The same with the house's own sentences in another language."""
    if isinstance(part, dict):
        return {name: _said(inner, words) for name, inner in part.items()}
    if isinstance(part, list | tuple):
        return [_said(inner, words) for inner in part]
    return words.says(part) if isinstance(part, Said) else part


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Watchers:
    """All of them, by what they watch."""

    def __init__(self) -> None:
        self._all: set[Watcher] = set()
        self._by_topic: dict[Topic, set[Watcher]] = {}
        self._closed = False

    @contextmanager
    def joined(self, words: Locale | None = None) -> Iterator[Watcher]:
        """Somebody may watch for as long as this block lasts. `words`: their language, where it is not English."""
        watcher = Watcher(words)
        self._all.add(watcher)
        if self._closed:
            watcher.close()
        try:
            yield watcher
        finally:
            for topic in list(watcher.topics):
                self.leave(watcher, topic)
            self._all.discard(watcher)

    def watch(self, watcher: Watcher, topic: Topic) -> None:
        watcher.topics.add(topic)
        self._by_topic.setdefault(topic, set()).add(watcher)

    def leave(self, watcher: Watcher, topic: Topic) -> None:
        watcher.topics.discard(topic)
        if (there := self._by_topic.get(topic)) is not None:
            there.discard(watcher)
            if not there:
                del self._by_topic[topic]

    @property
    def count(self) -> int:
        return len(self._all)

    def are_there(self, *topics: Topic) -> bool:
        """Whether anybody watches one of these; without any: whether anybody is there at all."""
        return any(topic in self._by_topic for topic in topics) if topics else bool(self._all)

    def publish(self, topics: Iterable[Topic], happening: Happening, passing: str = "") -> None:
        """Tell whoever watches one of these, each of them once. `passing`: see `Watcher.put`."""
        wanted: set[Watcher] = set().union(*(self._by_topic.get(topic, ()) for topic in topics))
        texts: dict[str, str] = {}
        for watcher in wanted:
            code = watcher.words.code
            if code not in texts:
                texts[code] = told(happening if code == ENGLISH else _said(happening, watcher.words))
            watcher.put(texts[code], passing)

    def beat(self) -> None:
        """So that both ends notice when the other is gone."""
        for watcher in self._all:
            watcher.put(BEAT, "beat")

    def close(self) -> None:
        """The house closes."""
        self._closed = True
        for watcher in self._all:
            watcher.close()
