"""A model of this house that turns texts into vectors: on one thread, in batches of which all who ask have a share.

It is loaded for the first who asks, and leaves the memory when nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from engine.errors import BadRequest, GreenroomError, ModelUnavailable
from engine.language.batcher import LONGEST_CLOSING, GoOn
from engine.language.embeddings import Embedded, Vector
from engine.language.scribe import TRY_AGAIN, State
from engine.language.vectors import MOST_SEQS, Vectors
from engine.locales import say
from engine.stepping_back import step_back

log = structlog.get_logger(__name__)

#: A model that nobody has asked for so many seconds leaves the memory.
IDLE = 300.0
#: So many may wait at once.
MOST_WAITING = 64
#: No token has more letters: a text of more is too long, and is not even read.
TOKEN_LETTERS = 64
#: Whoever wants the model's memory waits so long for it, in seconds.
RESTING = 60.0


@dataclass(eq=False)
class _Ask:
    texts: Sequence[str]
    dimensions: int | None
    answer: asyncio.Future[Embedded]
    loop: asyncio.AbstractEventLoop
    #: None: not looked at yet.
    tokens: list[list[int]] | None = None
    vectors: list[Vector] = field(default_factory=list)
    #: So many of its texts are in a batch, or were.
    taken: int = 0
    #: Nobody waits for it any more.
    gone: bool = False

    def tell(self, embedded: Embedded | Exception) -> None:
        self.gone = True
        with suppress(RuntimeError):  # the loop is gone: nobody listens any more
            self.loop.call_soon_threadsafe(self._tell, embedded)

    def _tell(self, embedded: Embedded | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(embedded, Exception):
            self.answer.set_exception(embedded)
        else:
            self.answer.set_result(embedded)


@dataclass(eq=False)
class _Rest:
    """Somebody wants the memory: the model leaves it, if nobody has asked for anything."""

    done: threading.Event = field(default_factory=threading.Event)
    left: bool = False


class Own:
    """An `Embedder` in this process."""

    def __init__(
        self,
        name: str,
        open_model: Callable[[GoOn], Vectors],
        *,
        idle: float = IDLE,
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        """`gone` is told whenever the model has left the memory."""
        self.name = name
        self.state = State.ASLEEP
        #: Why it is not there when it is not.
        self.reason = ""
        self._open = open_model
        self._idle = idle
        self._gone = gone
        self._inbox: queue.SimpleQueue[_Ask | _Rest | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._model: Vectors | None = None
        self._asks: list[_Ask] = []
        self._waiting = 0
        self._broke_at = 0.0
        self._closing = threading.Event()

    # On the loop

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        if self._closing.is_set():
            raise ModelUnavailable("the model is closed")
        if self._waiting >= MOST_WAITING:
            raise ModelUnavailable(f"{self.name} has more to do than it can: ask again in a moment.")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="embeddings", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        ask = _Ask(tuple(texts), dimensions, loop.create_future(), loop)
        self._waiting += 1
        self._inbox.put(ask)
        try:
            return await ask.answer
        finally:
            ask.gone = True
            self._waiting -= 1

    async def close(self) -> None:
        self._closing.set()
        self._inbox.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, LONGEST_CLOSING)

    # On any thread

    @property
    def busy(self) -> bool:
        return self._waiting > 0

    def rest(self) -> bool:
        """The model leaves the memory until somebody asks again; False while it is in use."""
        if self.busy or self._thread is None:
            return not self.busy
        if self._closing.is_set():
            self._thread.join(RESTING)
            return not self._thread.is_alive()
        asked = _Rest()
        self._inbox.put(asked)
        return asked.done.wait(RESTING) and asked.left

    # On the model's thread

    def _run(self) -> None:
        step_back()
        while self._take_in():
            asks, self._asks = [one for one in self._asks if not one.gone], []
            try:
                self._work(asks)
            except Exception as error:
                if not isinstance(error, GreenroomError):
                    log.exception("embeddings_failed", model=self.name)
                    self._leave()
                for one in asks:
                    one.tell(error if isinstance(error, GreenroomError) else ModelUnavailable(repr(error)))
        self._leave()
        self._part()

    def _part(self) -> None:
        """Nobody is left waiting, neither those who were seen nor those who were not."""
        while not self._inbox.empty():
            came = self._inbox.get_nowait()
            if isinstance(came, _Ask):
                self._asks.append(came)
            elif came is not None:
                came.left = True
                came.done.set()
        for one in self._asks:
            one.tell(ModelUnavailable("the model is closed"))

    def _take_in(self) -> bool:
        """What has come; waits for something where there is nothing to do. False: it is over."""
        while not self._closing.is_set():
            try:
                if self._asks:
                    came = self._inbox.get_nowait()
                else:
                    came = self._inbox.get(timeout=self._idle if self._model else None)
            except queue.Empty:
                if self._asks:
                    return True
                self._leave()
                continue
            if isinstance(came, _Ask):
                self._asks.append(came)
            elif came is not None:
                if not self._asks:
                    self._leave()
                    came.left = True
                came.done.set()
        return False

    def _work(self, asks: list[_Ask]) -> None:
        """One batch. Who is not done with it is asked for again."""
        if not asks:
            return
        model = self._opened()
        for one in asks:
            if one.tokens is None:
                try:
                    one.tokens = list(self._read(model, one))
                except GreenroomError as error:
                    one.tell(error)
        asks = [one for one in asks if not one.gone]
        batch = list(_packed(asks, model.batch))
        vectors = model.embed([tokens for _, tokens in batch]) if batch else []
        for (one, _), vector in zip(batch, vectors, strict=True):
            one.vectors.append(vector)
        for one in asks:
            if one.tokens is not None and len(one.vectors) == len(one.tokens):
                one.tell(Embedded(tuple(one.vectors), sum(map(len, one.tokens))))
        # Whoever found no room in this batch goes first in the next.
        served = {one for one, _ in batch}
        self._asks = sorted((one for one in asks if not one.gone), key=lambda one: one in served)

    def _read(self, model: Vectors, ask: _Ask) -> Iterator[list[int]]:
        """The tokens of its texts; refused is what the model would have to cut."""
        if ask.dimensions not in (None, model.dimensions):
            raise BadRequest(say("embeddings.dimensions", name=self.name, count=model.dimensions))
        for place, text in enumerate(ask.texts, 1):
            if not text:
                raise BadRequest(say("embeddings.empty", place=place))
            facts = {"place": place, "name": self.name, "most": model.longest}
            if len(text) > model.longest * TOKEN_LETTERS:
                raise BadRequest(say("embeddings.far_too_long", letters=len(text), **facts))
            tokens = model.tokens(text)
            if not tokens:
                raise BadRequest(say("embeddings.unreadable", place=place, name=self.name))
            if len(tokens) > model.longest:
                raise BadRequest(say("embeddings.too_long", tokens=len(tokens), **facts))
            yield tokens

    def _opened(self) -> Vectors:
        if self._model is not None:
            return self._model
        if self.state is State.BROKEN and time.monotonic() - self._broke_at < TRY_AGAIN:
            raise ModelUnavailable(self.reason)
        began, self.state, self.reason = time.monotonic(), State.LOADING, ""
        try:
            self._model = self._open(lambda _part: not self._closing.is_set())
        except Exception as error:
            if not isinstance(error, GreenroomError):
                log.exception("embeddings_not_opened", model=self.name)
            self.state, self.reason, self._broke_at = (
                State.BROKEN,
                str(error) or repr(error),
                time.monotonic(),
            )
            log.warning("embeddings_broken", model=self.name, reason=self.reason)
            raise ModelUnavailable(self.reason) from None
        self.state = State.READY
        log.info("embeddings_ready", model=self.name, seconds=round(time.monotonic() - began, 2))
        return self._model

    def _leave(self) -> None:
        model, self._model = self._model, None
        if model is None:
            return
        model.close()
        self.state = State.ASLEEP
        self._gone()
        log.info("embeddings_rest", model=self.name)


def _packed(asks: Sequence[_Ask], room: int) -> Iterator[tuple[_Ask, list[int]]]:
    """A text of each in turn, as many as fit: nobody waits for somebody else's thousands."""
    count = 0
    taken = True
    while taken:
        taken = False
        for one in asks:
            if one.tokens is None or one.taken == len(one.tokens):
                continue
            tokens = one.tokens[one.taken]
            if count == MOST_SEQS or len(tokens) > room:
                return
            one.taken, count, room, taken = one.taken + 1, count + 1, room - len(tokens), True
            yield one, tokens
