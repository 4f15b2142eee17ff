"""Streams of text, on the loop, from whoever runs a model. When that crashes it is started again, and every text goes
on where it stood: a crash of the native library costs a moment, and no turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum

import structlog

from engine.errors import ModelUnavailable
from engine.language import Tally
from engine.language.batcher import Works
from engine.language.requests import Broken, News, Ready, Request, Told, numbers

log = structlog.get_logger(__name__)

#: A text in whose time the process crashed so often is not tried again: it may be what crashes it.
MOST_CRASHES = 2
#: A text that was begun may rest so long, in seconds; after that somebody else writes it.
LONGEST_SILENCE = 120.0
#: A model that could not be loaded is tried again after this many seconds: its file may be there by then.
TRY_AGAIN = 60.0


class State(StrEnum):
    ASLEEP = "asleep"
    LOADING = "loading"
    READY = "ready"
    BROKEN = "broken"


@dataclass(eq=False)
class Stream:
    """A text that is being written."""

    number: int
    request: Request
    raw: str = ""
    crashes: int = 0
    ended: bool = False
    error: str = ""
    tally: Tally = field(default_factory=Tally)
    _pieces: deque[str] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def took(self, news: News) -> None:
        if news.text:
            self.raw += news.text
            self._pieces.append(news.text)
            self.tally.written += 1
        if news.ended:
            self.tally.read, self.tally.full = news.read, news.full
            self.tally.written = max(self.tally.written, news.written)
        self.ended = self.ended or news.ended
        self.error = self.error or news.error
        self._news.set()

    async def pieces(self, patience: float) -> AsyncGenerator[str, None]:
        """What is written, as it comes. The first of it has so many seconds."""
        waits = patience
        while True:
            try:
                async with asyncio.timeout(waits):
                    await self._news.wait()
            except TimeoutError:
                raise ModelUnavailable(f"The model said nothing for {waits:g} seconds.") from None
            self._news.clear()
            while self._pieces:
                waits = max(
                    patience, LONGEST_SILENCE
                )  # it may have to step aside for others, or be started again
                yield self._pieces.popleft()
            if self.error:
                raise ModelUnavailable(self.error)
            if self.ended:
                return


class Scribe:
    """One model, for everybody on this loop."""

    def __init__(
        self,
        name: str,
        works: Callable[[], Works],
        *,
        patience: float,
        gone: Callable[[], None] | None = None,
    ) -> None:
        """`gone` is told whenever the model has left the memory."""
        self.name = name
        self._gone = gone
        self.state = State.ASLEEP
        #: What is known of the model once it is loaded, and why it is not there when it is not.
        self.ready: Ready | None = None
        self.reason = ""
        #: The reason that the operator has read last.
        self._told = ""
        self._make = works
        self._patience = patience
        self._works: Works | None = None
        self._streams: dict[int, Stream] = {}
        self._numbers = numbers()
        self._settled = asyncio.Event()
        #: Held while the model leaves, so that it is not loaded a second time before it is gone.
        self._going = asyncio.Lock()
        self._broke_at = 0.0
        self._closed = False

    def wake(self) -> None:
        """Begin to load the model, if that has not been done."""
        if self._closed or self.state in (State.LOADING, State.READY):
            return
        loop = asyncio.get_running_loop()
        if self.state is State.BROKEN and loop.time() - self._broke_at < TRY_AGAIN:
            return
        self.state, self.reason = State.LOADING, ""
        self._settled.clear()

        def tell(told: Sequence[Told]) -> None:
            with suppress(RuntimeError):  # the loop is gone: nobody listens any more
                loop.call_soon_threadsafe(self._heard, works, told)

        try:
            self._works = works = self._make()
            works.start(tell)
        except (
            Exception
        ) as error:  # no memory for a process, no more threads: tried again like any other trouble
            self._broke(Broken(f"it could not be started: {error}"))

    async def up(self) -> None:
        """Wait until the model is loaded. Raises `ModelUnavailable` when it is not, or not in time."""
        async with self._going:
            self.wake()
        try:
            async with asyncio.timeout(self._patience):
                await self._settled.wait()
        except TimeoutError:
            raise ModelUnavailable(f"{self.name} is still being loaded.") from None
        if self.state is not State.READY:
            raise ModelUnavailable(self.reason or "the model is closed")

    async def write(self, request: Request, *, tally: Tally | None = None) -> AsyncGenerator[str, None]:
        """A text, piece by piece. Closing it stops the writing. What it took is noted in `tally`."""
        await self.up()
        if self._works is None:
            raise ModelUnavailable("the model is closed")
        stream = Stream(next(self._numbers), request, tally=tally or Tally())
        self._streams[stream.number] = stream
        self._works.submit(stream.number, request)
        try:
            async for piece in stream.pieces(self._patience):
                yield piece
        finally:
            if self._streams.pop(stream.number, None) and not stream.ended and self._works is not None:
                self._works.cancel(stream.number)

    @property
    def waiting(self) -> int:
        """People who have not seen a word yet. Any thread may ask."""
        streams = list(self._streams.values())
        return sum(not one.raw and not one.ended and one.request.rank == 0 for one in streams)

    @property
    def busy(self) -> bool:
        return bool(self._streams)

    @property
    def _rests_well(self) -> bool:
        return self.state is State.READY and not self._streams

    async def rest(self) -> bool:
        """The model leaves the memory until somebody asks for it again; False while it writes."""
        # Whoever is loading it just now is not waited for.
        if not self._rests_well:
            return self.state is State.ASLEEP
        async with self._going:
            if not self._rests_well:
                return self.state is State.ASLEEP
            works, self._works, self.state = self._works, None, State.ASLEEP
            self._settled.clear()
            if works is not None:
                await asyncio.to_thread(works.close)
            if self._gone is not None:
                self._gone()
        log.info("model_rests", model=self.name)
        return True

    async def close(self) -> None:
        self._closed = True
        works, self._works = self._works, None
        self._fail("the model is closed")
        if works is not None:
            await asyncio.to_thread(works.close)

    def _heard(self, works: Works, told: Sequence[Told]) -> None:
        if works is not self._works:
            return  # of one that is gone
        for one in told:
            if isinstance(one, News):
                if stream := self._streams.get(one.request):
                    stream.took(one)
            elif isinstance(one, Ready):
                self.ready, self.state, self._told = one, State.READY, ""
                self._settled.set()
                log.info("model_ready", model=self.name, seconds=round(one.seconds, 2), on=one.back_end)
            else:
                self._broke(one)

    def _broke(self, how: Broken) -> None:
        was_ready = self.state is State.READY
        told = log.error if how.reason != self._told else log.debug
        told("model_broke", model=self.name, reason=how.reason, crashed=how.crashed)
        self._told = how.reason
        self.state, self.reason = State.BROKEN, how.reason
        self._broke_at = asyncio.get_running_loop().time()
        self._works = None
        if self._gone is not None:
            self._gone()
        if not (how.crashed and was_ready):
            self._fail(how.reason)
            self._settled.set()
            return
        for stream in list(self._streams.values()):
            stream.crashes += 1
            if stream.crashes >= MOST_CRASHES:
                stream.took(News(stream.number, ended=True, error=how.reason))
        self._broke_at = float("-inf")  # it has worked: it is started again at once
        self.wake()
        self._go_on()

    def _go_on(self) -> None:
        """Texts that a crash broke off go on where they stood; forms begin anew, since nobody has seen them grow."""
        if self._works is None:
            return
        for stream in self._streams.values():
            if stream.ended:
                continue
            request = stream.request
            if request.grammar:
                stream.raw = ""
                stream.took(News(stream.number, RESTART))
            else:
                request = replace(request, begun=request.begun + stream.raw)
            self._works.submit(stream.number, request)

    def _fail(self, reason: str) -> None:
        for stream in self._streams.values():
            if not stream.ended:
                stream.took(News(stream.number, ended=True, error=reason))
        self._settled.set()


#: What has come of a form so far counts for nothing: it begins again.
RESTART = "\0"
