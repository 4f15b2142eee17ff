"""Which model writes what: found on disk, chosen for each task, persona and request, and loaded once.

One loaded model serves all tasks that agree on it. What no model can do is the understudy's, and that is not decided
here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from engine import models
from engine.broker import Broker, Share
from engine.errors import BadRequest
from engine.language import (
    PROMPT_WORDS,
    LanguageModel,
    PersonaWanted,
    ReplyWanted,
    Task,
    Wanted,
    task_of,
)
from engine.language.batcher import Batcher, GoOn, Limits, Works
from engine.language.grammars import persona_grammar, picture_prompt_grammar
from engine.language.isolated import Plan
from engine.language.llama import Llama, Options
from engine.language.local import Local
from engine.language.scribe import Scribe, State
from engine.locales import say
from engine.settings import LanguageSettings, Settings

log = structlog.get_logger(__name__)

#: A model that is asked to leave the memory has so many seconds for it.
RESTING = 60.0
#: What a token takes of a middling model's memory.
TOKEN_BYTES = 128 * 1024
#: Models that were not there are looked for again after this many seconds.
LOOK_AGAIN = 30.0
#: Sequences beside those of the rows: so many talks, and so many personas, may be kept.
KEPT_TALKS, KEPT_PERSONAS = 96, 32
#: Of a picture prompt so many words are left for its style.
STYLE_WORDS = 40
#: More than this no library allows; one is for what goes out of a model's memory and comes back.
MOST_SEQS = 255
#: Of the machine's memory so much may hold what talks left behind, where nobody says more.
ASIDE_PART = 8


@dataclass(frozen=True)
class Instructions:
    """The system prompts that a model of our own is given for its forms."""

    casting: str
    picture: str


class Shelf:
    """The models of this house. Nothing is loaded before somebody asks for it, or for `warm`."""

    def __init__(
        self,
        settings: Settings,
        instructions: Instructions,
        *,
        here: Path | None = None,
        broker: Broker | None = None,
    ) -> None:
        self._settings = settings.language
        self._broker = broker if settings.language.gpu_layers else None
        self._instructions = instructions
        self._home = settings.home
        self._here = here or Path.cwd()
        there = settings.server.address and settings.language.models != "off"
        self._server = elsewhere(settings) if there else None
        self._server_first = settings.server.turn == "first"
        #: What each name stands for, and when that was found out; "" is for whoever names none.
        self._choices: dict[str, tuple[models.Choice, float]] = {}
        self._open: dict[Path, Local] = {}
        self._refused: set[str] = set()
        self._looking = asyncio.Lock()

    async def choice(self, task: Task) -> models.Choice:
        """The model of our own that a task has, and why."""
        return await self._choice(self._name_for(task))

    async def for_(self, wanted: Wanted) -> Sequence[LanguageModel]:
        """Who is to write this, in the order in which they are asked."""
        if self._settings.models == "off":
            if wanted.model:
                raise BadRequest(say("talk.model_not_allowed", model=wanted.model[:80], models=[]))
            return ()
        found: list[LanguageModel] = []
        if (own := await self._own(wanted)) is not None:
            found.append(own)
        if self._server is not None:
            found.insert(0 if self._server_first else len(found), self._server)
        return found

    async def warm(self) -> None:
        """Load the model that talks, so that the first person does not wait for it."""
        if self._settings.models == "off" or (self._server is not None and self._server_first):
            return
        try:
            choice = await self.choice(Task.CHAT)
            if choice.found is not None:
                self._opened(choice.found).scribe.wake()
        except Exception:  # whoever asks later is answered, by the understudy if need be
            log.exception("model_not_warmed")

    def told(self) -> list[tuple[str, State, str]]:
        """The models that were asked for: their names, how they are, and why."""
        rows = [
            (
                one.name,
                one.scribe.state,
                one.scribe.reason or (one.scribe.ready.back_end if one.scribe.ready else ""),
            )
            for one in self._open.values()
        ]
        if self._server is not None:
            rows.append((self._server.name, State.READY, "another server"))
        return rows

    @property
    def waiting(self) -> int:
        """People who have not seen a first word yet. Any thread may ask."""
        return sum(one.scribe.waiting for one in list(self._open.values()))

    def shares(self, device: str) -> bool:
        """Whether a model of ours writes on this device, in the renderer's words: both on processors, or both not.
        A machine with several GPUs is taken for one with one. Any thread may ask.
        """
        ready = [one.scribe.ready for one in list(self._open.values()) if one.scribe.ready is not None]
        on_gpu = bool(self._settings.gpu_layers) and any(one.back_end not in ("CPU", "BLAS") for one in ready)
        return bool(ready) and on_gpu != (not device or device.casefold().startswith("cpu"))

    def _share(self, name: str, scribe: Callable[[], Scribe]) -> Share | None:
        """A model's share of the GPU, if it is to run there."""
        if self._broker is None:
            return None
        loop, holder = asyncio.get_running_loop(), f"words: {name}"

        def let_go() -> bool:
            return asyncio.run_coroutine_threadsafe(scribe().rest(), loop).result(RESTING)

        self._broker.takes_part(holder, let_go=let_go, busy=lambda: scribe().busy)
        return self._broker.share(holder)

    async def close(self) -> None:
        closing = await asyncio.gather(*(one.close() for one in self._open.values()), return_exceptions=True)
        for error in closing:
            if isinstance(error, BaseException):
                log.error("model_not_closed", cause=repr(error))
        if self._server is not None:
            await self._server.close()

    async def _own(self, wanted: Wanted) -> Local | None:
        choice = await self._choice(self._named_by(wanted) or self._name_for(task_of(wanted)))
        return self._opened(choice.found) if choice.found else None

    def _name_for(self, task: Task) -> str:
        return str(getattr(self._settings, task.value)) or self._settings.model

    def _named_by(self, wanted: Wanted) -> str:
        """A model that the request or the persona names. Who asks for one that may not be had is told; a persona
        speaks with the house's model instead, and the operator reads of it once.
        """
        allowed = self._settings.allowed
        if wanted.model:
            if not _is_among(wanted.model, allowed):
                raise BadRequest(
                    say("talk.model_not_allowed", model=wanted.model[:80], models=sorted(allowed))
                )
            return wanted.model
        name = "" if isinstance(wanted, PersonaWanted) else _persona_of(wanted)
        if name and not _is_among(name, allowed):
            if name not in self._refused:
                self._refused.add(name)
                log.warning("model_not_allowed", model=name[:80], allowed=list(allowed))
            return ""
        return name

    async def _choice(self, named: str) -> models.Choice:
        async with self._looking:
            known = self._choices.get(named)
            if (
                known
                and known[0].found is not None
                and await asyncio.to_thread(_is_there, known[0].found.path)
            ):
                return known[0]
            if known and known[0].found is None and time.monotonic() - known[1] < LOOK_AGAIN:
                return known[0]
            choice = await asyncio.to_thread(self._look, named)
            self._choices[named] = choice, time.monotonic()
        if known is None or known[0] != choice:
            (log.info if choice.found else log.warning)(
                "model_chosen",
                named=named,
                model=choice.found.name if choice.found else "",
                reason=choice.reason,
            )
        return choice

    def _look(self, named: str) -> models.Choice:
        found = models.find_text(self._home, self._here, named)
        return models.choose(found, named, models.machine())

    def _opened(self, found: models.Found) -> Local:
        known = self._open.get(found.path)
        if known is None:
            plan = plan_for(self._settings, found.path)
            isolate = self._settings.isolate
            share = self._share(found.name, lambda: scribe)
            scribe = Scribe(
                found.name,
                lambda: _works(plan, share, isolated=isolate),
                patience=self._settings.patience,
                gone=share.let_go if share is not None else None,
            )
            known = self._open[found.path] = Local(
                scribe,
                self._settings,
                casting=self._instructions.casting,
                picture=self._instructions.picture,
            )
        return known


def elsewhere(settings: Settings) -> LanguageModel:
    """Whoever writes at the address of another server."""
    # Only who has such a server needs a client for it.
    from engine.language.remote import Remote

    # llama-server keeps a form by a grammar as we do; where a server knows none, what comes is mended afterwards.
    forms = {
        Task.PROMPTS: {"grammar": picture_prompt_grammar(PROMPT_WORDS[0], PROMPT_WORDS[-1] - STYLE_WORDS)},
        Task.CASTING: {"grammar": persona_grammar()},
    }
    return Remote(settings.server, settings.language, forms=forms)


def plan_for(settings: LanguageSettings, path: Path) -> Plan:
    """How a model is run by these settings."""
    cells = settings.memory or 4 * settings.context
    seqs = min(MOST_SEQS, settings.rows + KEPT_TALKS + KEPT_PERSONAS)
    # Everybody who writes needs a place in each step, and some are left to read.
    batch = max(settings.batch, 4 * settings.rows)
    threads = settings.threads or max(1, (os.cpu_count() or 2) // 2)
    return Plan(
        path,
        Options(
            threads=threads,
            gpu_layers=settings.gpu_layers,
            cells=max(cells, settings.context),
            batch=batch,
            seqs=seqs,
            rows=settings.rows,
            numbers=settings.numbers,
        ),
        Limits(context=settings.context, rows=settings.rows, batch=batch, aside=_aside(settings)),
    )


def _aside(settings: LanguageSettings) -> int:
    return models.ram_bytes() // ASIDE_PART if settings.aside < 0 else settings.aside * 1_000_000


def _works(plan: Plan, share: Share | None, *, isolated: bool) -> Works:
    if share is None or isolated:
        return plan.works(isolated=isolated)  # what a child takes is seen as taken, and by nobody counted

    def open_model(go_on: GoOn) -> Llama:
        return share.opened(_needs(plan), partial(plan.open, go_on))

    return Batcher(open_model, plan.limits)


def _needs(plan: Plan) -> int:
    """About how many bytes: the weights, and a memory that is rarely larger than they are."""
    try:
        weights = plan.path.stat().st_size
    except OSError:  # it is gone since: whoever loads it says so
        return 0
    return weights + min(weights, plan.options.cells * TOKEN_BYTES)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that is no longer ours to look into
        return False


def _is_among(name: str, names: Sequence[str]) -> bool:
    return name.strip().casefold() in {one.strip().casefold() for one in names}


def _persona_of(wanted: Wanted) -> str:
    if isinstance(wanted, ReplyWanted):
        return wanted.persona.model
    return "" if isinstance(wanted, PersonaWanted) else wanted.scene.persona.model
