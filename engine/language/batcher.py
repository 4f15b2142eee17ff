"""The one thread that owns a model: drain, schedule, read, draw, hand out.

What is read next, and for whom, `scheduling` decides; what tokens are, `llama` knows. Requests come in from any
thread, and news go out through `tell`, all that a step made at once.
"""

from __future__ import annotations

import codecs
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from engine.errors import ModelUnavailable
from engine.language.drawing import LOOK_BACK, NoNumbers, NothingFits, Sampler
from engine.language.facts import Facts
from engine.language.fitting import fitted
from engine.language.keeping import Keeping
from engine.language.llama import FULL, Llama
from engine.language.requests import Broken, News, Ready, Request, Told
from engine.language.scheduling import Scheduler, Step, TooLong
from engine.language.standing import STRETCH, Ask, Drop, Forget, LayAside, Move, Share, Stretch
from engine.language.templates import Form, Message
from engine.stepping_back import step_back
from personas.prompting import Reach

log = structlog.get_logger(__name__)

Tell = Callable[[Sequence[Told]], None]
#: Told how much of a model is loaded; answers whether to go on.
GoOn = Callable[[float], bool]

#: Who comes together is read together: so long the first one waits for the others, in seconds.
GATHER = 0.002
#: Readings in a row that may fail, before the model is taken for broken.
MOST_FAILURES = 3
#: While nobody can be let in, it is looked again after so many seconds.
STUCK = 0.05
#: A thread that does not come back ends with the process.
LONGEST_CLOSING = 20.0
#: Where so many stretches in a row took so many seconds each to go out of the memory or to come back, ...
SLOW_ASIDE, MOST_SLOW = 0.1, 3
#: ... none goes for so many seconds.
PAUSE = 300.0
#: So many texts are remembered as tokens.
MOST_TEXTS = 4_096


class Works(Protocol):
    """Whoever runs a model: in this process, or in a child."""

    def start(self, tell: Tell) -> None:
        """Load the model; `tell` hears of that and of everything else, on any thread."""

    def submit(self, number: int, request: Request) -> None: ...

    def cancel(self, number: int) -> None: ...

    def close(self) -> None:
        """Write no more, and free everything; returns when that is done."""


@dataclass(frozen=True)
class Limits:
    """How much is done at once."""

    context: int
    rows: int
    batch: int
    #: So many bytes outside the model's memory may hold what nobody goes on with now.
    aside: int = 0


@dataclass
class Writing:
    """A text in work: who draws its tokens, and the bytes that are no letter yet."""

    request: Request
    prompt: tuple[int, ...]
    sampler: Sampler | None = None
    written: int = 0
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )


@dataclass(frozen=True)
class _Cancelled:
    number: int


@dataclass(frozen=True)
class _Came:
    number: int
    request: Request


class Batcher:
    """`Works` on a thread of its own."""

    def __init__(self, open_model: Callable[[GoOn], Llama], limits: Limits) -> None:
        """`open_model` is given a function that says, while it loads, whether it is still wanted."""
        self._open = open_model
        self._limits = limits
        self._inbox: queue.SimpleQueue[_Came | _Cancelled | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._tell: Tell = lambda _told: None
        self._news: list[Told] = []
        self._writings: dict[int, Writing] = {}
        self._tokens: OrderedDict[tuple[str, bool], tuple[int, ...]] = OrderedDict()
        self._failures = 0
        self._slow = 0
        self._again_at = 0.0
        self._stuck = False
        self._closing = threading.Event()

    # On any thread

    def start(self, tell: Tell) -> None:
        self._tell = tell
        self._thread = threading.Thread(target=self._run, name="language", daemon=True)
        self._thread.start()

    def submit(self, number: int, request: Request) -> None:
        self._inbox.put(_Came(number, request))

    def cancel(self, number: int) -> None:
        self._inbox.put(_Cancelled(number))

    def close(self) -> None:
        self._closing.set()
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(LONGEST_CLOSING)

    # On the model's thread

    def _run(self) -> None:
        step_back()
        began = time.perf_counter()
        try:
            self._model = self._open(lambda _part: not self._closing.is_set())
        except Exception as error:
            if not isinstance(error, ModelUnavailable):
                log.exception("model_not_opened")
            self._tell([Broken(str(error) or repr(error))])
            return
        try:
            facts = self._model.facts
            self._scheduler = self._made_scheduler(facts)
            self._form = Form(facts.template, facts.begins, facts.ends)
            ready = Ready(
                facts.title,
                facts.back_end,
                facts.parameters,
                facts.size,
                time.perf_counter() - began,
                thinks=self._form.thinks,
            )
            self._tell([ready])
            while self._drain():
                step = self._scheduler.next_step()
                # Nobody can be let in, and nothing is being written: then it is not asked again at once.
                self._stuck = step is None
                if step:
                    self._do(step)
                self._hand_out()
        except Exception as error:
            log.exception("model_thread_ended")
            self._tell([Broken(str(error) or repr(error))])
        finally:
            self._model.close()

    def _made_scheduler(self, facts: Facts) -> Scheduler:
        limits = self._limits
        return Scheduler(
            most_rows=limits.rows,
            cells=self._model.options.cells,
            batch=limits.batch,
            shares=facts.shares,
            trims=facts.trims,
            kept=Keeping(
                seqs=self._model.options.seqs,
                # A model that carries one state for all of a text has nothing that a part of could be taken out.
                # Nor one whose layers see less than a stretch back: they would not get all of it back.
                aside=limits.aside // max(1, facts.token_bytes)
                if facts.shares and facts.trims and not 0 < facts.window < STRETCH
                else 0,
            ),
        )

    def _drain(self) -> bool:
        """Take in what has come; waits for something where there is nothing to do. False: it is over."""
        gathered = None
        while True:
            try:
                if not self._scheduler.idle and gathered is None:
                    came = self._inbox.get(timeout=STUCK) if self._stuck else self._inbox.get_nowait()
                else:
                    came = self._inbox.get(timeout=gathered and max(0.0, gathered - time.perf_counter()))
            except queue.Empty:
                return True
            if came is None:
                return False
            if self._scheduler.idle and gathered is None:
                gathered = time.perf_counter() + GATHER
            if isinstance(came, _Cancelled):
                self._cancelled(came.number)
            else:
                self._take(came)
            if self._scheduler.idle:
                gathered = None  # nothing came of it: there is nobody to gather with
                self._hand_out()

    def _take(self, came: _Came) -> None:
        try:
            ask = self._asked(came.number, came.request)
            self._writings[came.number] = Writing(came.request, ask.tokens)
            self._scheduler.submit(ask)
        except (ModelUnavailable, TooLong, ValueError) as error:
            self._end(came.number, error=str(error))
        except Exception as error:
            log.exception("request_not_taken", request=came.number)
            self._end(came.number, error=repr(error))

    def _cancelled(self, number: int) -> None:
        if self._scheduler.cancel(number):
            self._end(number)

    # From segments to tokens

    def _asked(self, number: int, request: Request) -> Ask:
        context = min(self._limits.context, self._model.facts.trained_on or self._limits.context)
        reserved = min(request.most, max(16, context // 2))
        segments = fitted(
            request.segments,
            context - reserved - 16,
            measure=lambda text: len(self._tokens_of(text, special=False)),
        )
        tokens: list[int] = []
        first = self._model.first
        shared = 0
        beginning = segments[0].text.strip() if segments and segments[0].reach is Reach.SHARED else None
        for part in self._form.parts([Message(one.role, one.text) for one in segments]):
            tokens += self._tokens_of(part.text, special=part.is_form)
            if not shared and beginning is not None and not part.is_form and part.text == beginning:
                shared = len(tokens)
        if first is not None and tokens[:1] != [first]:
            tokens.insert(0, first)
            shared += bool(shared)
        if request.begun:
            tokens += self._tokens_of(request.begun, special=False)
        # A short prompt leaves room for a long form.
        most = min(request.most, max(16, context - len(tokens)))
        return Ask(number, tuple(tokens), most, rank=request.rank, shared=shared, talk=request.talk)

    def _tokens_of(self, text: str, *, special: bool) -> tuple[int, ...]:
        key = (text, special)
        known = self._tokens.get(key)
        if known is None:
            known = self._tokens[key] = tuple(self._model.tokens(text, special=special))
            if len(self._tokens) > MOST_TEXTS:
                self._tokens.popitem(last=False)
        else:
            self._tokens.move_to_end(key)
        return known

    # A step

    def _do(self, step: Step) -> None:
        scheduler = self._scheduler
        if not self._prepare(step) or not step.reading:
            return
        rows = scheduler.rows
        writing = sum(rows[one.ask].writes for one in step.reading)
        began = time.perf_counter()
        try:
            code = self._model.read([(one.seq, one.position, one.tokens, one.draws) for one in step.reading])
        except ModelUnavailable as error:
            self._lost_everything(str(error))
            return
        if code == FULL:
            log.warning("memory_full", rows=len(rows), kept=len(scheduler.kept.branches))
            for number in scheduler.refused(step):
                self._end(
                    number, error="The model's memory has no room for it: lower language.context or rows."
                )
            return
        self._failures = 0
        scheduler.was_read(step)
        for output, number in enumerate(step.draws):
            self._draw(number, output)
        scheduler.pace.took(time.perf_counter() - began, writing=writing, reading=step.size - writing)

    def _prepare(self, step: Step) -> bool:
        """What is to happen to the memory first. False: some of it is lost, and what to read is asked anew."""
        model, scheduler = self._model, self._scheduler
        scheduler.kept.paused = time.perf_counter() < self._again_at
        lost: set[int] = set()
        for one in step.before:
            if isinstance(one, Forget):
                if not model.forget(one.seq, one.keep) and one.keep:
                    # It cannot be cut after all: that is believed from here on, and read anew.
                    scheduler.trims, scheduler.kept.aside = False, 0
                    lost.add(one.seq)
            elif isinstance(one, Share):
                if one.source not in lost:
                    model.share(one.source, one.target, one.count)
            elif isinstance(one, Drop):
                model.drop(one.number)
            elif isinstance(one, LayAside):
                # Whether it went well is asked by whoever wants it again.
                self._timed(partial(model.lay_aside, one.seq, *_of(one.stretch)))
            elif one.seq in lost:
                if not isinstance(one, Move):
                    model.drop(one.stretch.number)
            elif not self._timed(
                partial(model.move, one.seq, one.start, one.end)
                if isinstance(one, Move)
                else partial(model.take_back, one.seq, *_of(one.stretch))
            ):
                log.warning("not_taken_back", seq=one.seq)
                model.forget(one.seq, 0)
                lost.add(one.seq)
        for seq in lost:
            scheduler.lost(seq)
        return not lost

    def _timed(self, move: Callable[[], bool]) -> bool:
        """Out of the memory, or back; where that takes long, nothing goes out any more."""
        began = time.perf_counter()
        done = move()
        took = time.perf_counter() - began
        self._slow = self._slow + 1 if took > SLOW_ASIDE else max(0, self._slow - 1)
        if self._slow >= MOST_SLOW:
            log.info("nothing_is_laid_aside_for_now", seconds=round(took, 3))
            self._slow, self._again_at = 0, time.perf_counter() + PAUSE
        return done

    def _draw(self, number: int, output: int) -> None:
        writing = self._writings[number]
        if writing.sampler is None:
            try:
                writing.sampler = self._model.sampler(
                    writing.request.sampling,
                    grammar=writing.request.grammar,
                    behind=() if writing.request.grammar else writing.prompt[-LOOK_BACK:],
                )
            except ValueError as error:
                self._drop(number, error=str(error))
                return
        try:
            token = self._model.draw(writing.sampler, output)
        except NothingFits:
            self._drop(number, error="The model has no word that the form admits here.")
            return
        except NoNumbers:
            self._drop(
                number, error="The model computes no numbers: its file is damaged. Try `models verify`."
            )
            return
        if self._model.ends(token):
            self._drop(number)
            return
        writing.written += 1
        text = writing.decoder.decode(self._model.piece(token))
        if text:
            self._news.append(News(number, text))
        if not self._scheduler.wrote(number, token):
            self._drop(number, full=True)

    def _drop(self, number: int, *, error: str = "", full: bool = False) -> None:
        self._scheduler.end(number)
        self._end(number, error=error, full=full)

    def _end(self, number: int, *, error: str = "", full: bool = False) -> None:
        writing = self._writings.pop(number, None)
        if writing is not None and writing.sampler is not None:
            self._model.let_go(writing.sampler)
        read, written = (len(writing.prompt), writing.written) if writing is not None else (0, 0)
        # Bytes that are half a character at the end are nobody's letter.
        self._news.append(News(number, ended=True, error=error, read=read, written=written, full=full))

    def _lost_everything(self, reason: str) -> None:
        """The library could not compute: nobody's row can be trusted any more."""
        log.error("model_failed_to_read", reason=reason, rows=len(self._scheduler.rows))
        for number in list(self._scheduler.rows):
            self._end(number, error=reason)
        self._scheduler.clear()
        self._model.clear()
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise ModelUnavailable(reason)

    def _hand_out(self) -> None:
        if self._news:
            news, self._news = self._news, []
            self._tell(news)


def _of(stretch: Stretch) -> tuple[int, int, int]:
    return stretch.number, stretch.start, stretch.end
