"""Who is asked to write, in which order: models first, the understudy last, so that somebody always answers."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from engine.errors import GreenroomError, ModelUnavailable
from engine.gauges import Gauges
from engine.language import LanguageModel, Source, Task, Wanted, task_of
from engine.locales import say
from personas.persona import printable

log = structlog.get_logger(__name__)


#: Which models are asked for what is wanted, in which order.
Choose = Callable[[Wanted], Awaitable[Sequence[LanguageModel]]]


@dataclass(frozen=True)
class Written:
    """What was written, and by whom."""

    text: str
    source: Source
    model: str


class Writers:
    """Asks one model after another until one has written something that is accepted."""

    def __init__(
        self,
        models: Sequence[LanguageModel],
        *,
        choose: Choose | None = None,
        gauges: Gauges | None = None,
    ) -> None:
        #: Asked in this order, behind those that are chosen for what is wanted.
        self._models = models
        self._choose = choose
        self._gauges = gauges or Gauges()
        #: Models that failed at their last try: the operator is told once, not at every message.
        self._failing: set[tuple[str, Task]] = set()

    async def write(
        self,
        wanted: Wanted,
        *,
        on_text: Callable[[str], None] = lambda _text: None,
        on_model: Callable[[LanguageModel], None] = lambda _model: None,
        accept: Callable[[str], bool] = lambda text: bool(text.strip()),
    ) -> Written:
        """Write what is wanted. `on_text` is shown all that stands so far; it may start again from nothing, and
        `on_model` is told who begins.
        """
        chosen = await self._chosen(wanted)
        task = task_of(wanted)
        began = time.monotonic()
        for model in (*chosen, *self._models):
            text, first, said = "", 0.0, 0
            on_model(model)
            try:
                async with aclosing(model.write(wanted)) as pieces:
                    async for piece in pieces:
                        first = first or time.monotonic() - began
                        said += 1
                        text += _readable(piece)
                        on_text(text)
            except Exception as error:
                self._failed(model, task, error)
                continue
            text = printable(text)
            if accept(text):
                if (model.name, task) in self._failing:
                    self._failing.discard((model.name, task))
                    log.info("model_back", model=model.name)
                self._measure(task, model.source, said, first, time.monotonic() - began)
                return Written(text, model.source, model.name)
            self._failed(model, task, ModelUnavailable("it wrote nothing that can be used"))
        raise ModelUnavailable(say("talk.nobody_writes"))

    async def close(self) -> None:
        for model in self._models:
            await model.close()

    async def _chosen(self, wanted: Wanted) -> Sequence[LanguageModel]:
        """Who was chosen for this; nobody where that could not be found out. A wish that is refused is told."""
        if self._choose is None:
            return ()
        try:
            chosen = await self._choose(wanted)
        except GreenroomError:
            raise
        except Exception:
            log.exception("no_model_chosen")
            return ()
        return chosen

    def _measure(self, task: Task, source: Source, said: int, first: float, whole: float) -> None:
        self._gauges.count("written", task.value, source.value)
        self._gauges.took("first_word", first, task.value, source.value)
        self._gauges.took("words", whole, task.value, source.value)
        if source is Source.MODEL:
            self._gauges.count("tokens", by=said)

    def _failed(self, model: LanguageModel, task: Task, error: Exception) -> None:
        self._gauges.count("model_failures", model.name[:80], task.value)
        self._gauges.count("fallbacks", task.value, str(error)[:200])
        first = (model.name, task) not in self._failing
        self._failing.add((model.name, task))
        told = log.warning if first else log.debug
        told("model_failed", model=model.name, task=task.value, cause=str(error))


def _readable(piece: str) -> str:
    """What can be shown and stored; a model may write anything that its tokens hold."""
    if piece.isprintable():
        return piece
    return "".join(c for c in piece if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"})
