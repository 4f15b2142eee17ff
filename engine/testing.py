"""Parts for tests, shipped because others need them too: a clock you wind by hand, a model and a renderer that
do as they are told. They keep the contracts of their seams, and the contract suites hold them to it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from PIL import Image

from engine.errors import ModelUnavailable, RenderFailed
from engine.language import PROMPT_WORDS, PersonaWanted, PromptWanted, Source, Wanted, count_words
from engine.pictures import Looks, PictureWanted, Progress, Rendered
from personas.persona import Persona, slug_of

DAWN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class ManualClock:
    """Time that stands still until `advance` is called. `jump` moves the wall clock alone, as an operator can."""

    def __init__(self, start: datetime = DAWN) -> None:
        self._now = start
        self._monotonic = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), waking))
        await waking

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever sleeps wakes in order, and has a turn on the loop before the next."""
        until = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, waking = heapq.heappop(self._sleepers)
            self._pass(due - self._monotonic)
            if not waking.done():
                waking.set_result(None)
            await asyncio.sleep(0)
        self._pass(until - self._monotonic)
        await asyncio.sleep(0)

    def jump(self, by: timedelta) -> None:
        self._now += by

    def _pass(self, seconds: float) -> None:
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)


class FakeLanguage:
    """Writes what it was given, piece by piece; or fails, or waits, when told to."""

    name = "fake"
    source = Source.MODEL

    def __init__(self, reply: str = "Quite so.", *, pause: float = 0.0, fails: bool = False) -> None:
        self.reply = reply
        self.pause = pause
        self.fails = fails
        self.asked: list[Wanted] = []

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        self.asked.append(wanted)
        if self.fails:
            raise ModelUnavailable("the fake was told to fail")
        for word in self._text(wanted).split(" "):
            await asyncio.sleep(self.pause)
            yield f"{word} "

    async def close(self) -> None:
        self.fails = True

    def _text(self, wanted: Wanted) -> str:
        if isinstance(wanted, PromptWanted):
            asked = f"{wanted.scene.persona.appearance.body} {wanted.scene.request} {wanted.style_words}"
            words = [run for run in asked.split() if count_words(run)][: PROMPT_WORDS[-1]]
            return " ".join(words + ["light"] * (PROMPT_WORDS[0] - len(words)))
        if isinstance(wanted, PersonaWanted):
            name = wanted.name or "Somebody New"
            return Persona(slug=slug_of(name), name=name, kind=wanted.kind, age=30).model_dump_json()
        return self.reply


class FakeRenderer:
    """Plain colour, at once, or with a pause before each step. `fails` makes the next so many renderings fail.

    Pictures of one size and as many steps share a pass, and a look shows the first of them, as with a real model.
    """

    name = "fake"
    #: So many share a pass at most.
    at_once = 4

    def __init__(self, *, fails: int = 0, pause: float = 0.0) -> None:
        self.fails = fails
        self.pause = pause
        self.rendered: list[PictureWanted] = []
        #: The seeds of each rendering that was asked for, whatever became of it.
        self.passes: list[list[int]] = []
        #: So often it can be warmed.
        self.cold = 0

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        self.passes.append([one.seed for one in wanted])
        if self.fails:
            self.fails -= 1
            raise RenderFailed("the fake was told to fail")
        made, steps, before = [], sum(one.steps for one in wanted), 0
        small = {place: partial(Image.new, "RGB", (32, 32), _colour(one)) for place, one in enumerate(wanted)}
        for one in wanted:
            for step in range(1, one.steps + 1):
                time.sleep(self.pause)
                progress(before + step, steps, Looks(small))
            before += one.steps
            image = Image.new("RGB", (one.width, one.height), _colour(one))
            batch = min(self.at_once, sum(_alike(one, other) for other in wanted))
            made.append(Rendered(image, self.name, "cpu", facts={"batch": batch}))
            self.rendered.append(one)
        return made

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        return [place for place, one in enumerate(wanted) if _alike(one, wanted[0])][: self.at_once]

    def warm(self) -> bool:
        self.cold, was = max(0, self.cold - 1), self.cold
        return was > 0

    def close(self) -> None:
        self.rendered.clear()
        self.passes.clear()


def _colour(wanted: PictureWanted) -> tuple[int, int, int]:
    return wanted.seed % 256, wanted.seed // 256 % 256, wanted.seed // 65536 % 256


def _alike(one: PictureWanted, other: PictureWanted) -> bool:
    return (one.width, one.height, one.steps) == (other.width, other.height, other.steps)
