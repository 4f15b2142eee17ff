"""The product's own way to answer a chat, with a clock beside it: scribe, batcher and library as the house has them.

A token is counted where it is drawn, and again where it arrives: every token is made to be seen, so that a piece of
text is a token, and an end that the model draws is passed over. What the batcher asks of the library is timed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.language.batcher import GoOn
from engine.language.facts import Facts
from engine.language.isolated import Plan
from engine.language.llama import Llama
from engine.language.sampling import Sampling
from engine.language.scribe import Scribe
from tests.bench.language_sides import PATIENCE, PLAIN, Answer, Chat


@dataclass(frozen=True)
class Read:
    """One reading: when it began, what it took, of how many tokens, and how many were drawn behind it."""

    began: float
    seconds: float
    tokens: int
    draws: int
    #: Where in its text the first stretch stood.
    position: int


@dataclass
class Book:
    """What was asked of the library, and how long it took."""

    reads: list[Read] = field(default_factory=list)
    #: Seconds that each token took to be drawn; the first of a text also what it took to make whoever draws it.
    draws: list[float] = field(default_factory=list)
    making: float = 0.0

    def clear(self) -> None:
        self.reads.clear()
        self.draws.clear()

    @property
    def drawn(self) -> int:
        return len(self.draws)

    @property
    def prompt(self) -> tuple[int, float]:
        """Of one text alone: the tokens read until its first one was drawn, and the seconds that took."""
        behind = next(place for place, one in enumerate(self.reads) if one.draws) + 1
        return sum(one.tokens for one in self.reads[:behind]), sum(one.seconds for one in self.reads[:behind])

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.reads)


class Watched(Llama):
    """The product's way to the library, with a clock beside it."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.book = Book()

    def read(self, stretches: Sequence[tuple[int, int, Sequence[int], bool]]) -> int:
        began = time.perf_counter()
        code = super().read(stretches)
        seconds = time.perf_counter() - began
        tokens, draws = sum(len(one[2]) for one in stretches), sum(one[3] for one in stretches)
        self.book.reads.append(Read(began, seconds, tokens, draws, stretches[0][1]))
        return code

    def sampler(self, sampling: Sampling, *, grammar: str = "", behind: Sequence[int] = ()) -> Any:
        began = time.perf_counter()
        made = super().sampler(sampling, grammar=grammar, behind=behind)
        self.book.making = time.perf_counter() - began
        return made

    def draw(self, sampler: Any, output: int) -> int:
        began = time.perf_counter()
        token = super().draw(sampler, output)
        self.book.draws.append(time.perf_counter() - began + self.book.making)
        self.book.making = 0.0
        return token


class Endless(Watched):
    """One that never comes to an end by itself, and of which every token is seen: a piece of text is a token."""

    def ends(self, token: int) -> bool:
        return False

    def piece(self, token: int) -> bytes:
        piece = super().piece(token)
        return piece if piece and piece.isascii() else b"?"


@dataclass(frozen=True)
class WatchedPlan(Plan):
    """The product's plan, but for who opens the model; whom it opened can be asked afterwards."""

    kind: type[Watched] = Endless
    opened: list[Watched] = field(default_factory=list)

    def open(self, go_on: GoOn | None = None) -> Llama:
        model = self.kind.open(self.path, self.options, progress=go_on)
        assert isinstance(model, Watched)
        self.opened.append(model)
        return model


def watched(plan: Plan, kind: type[Watched] = Endless) -> WatchedPlan:
    return WatchedPlan(plan.path, plan.options, plan.limits, kind)


class Ours:
    """A scribe and its batcher, as the house has them."""

    def __init__(self, plan: WatchedPlan) -> None:
        self._plan = plan
        self.scribe = Scribe("bench", lambda: plan.works(isolated=False), patience=PATIENCE)

    async def up(self) -> None:
        await self.scribe.up()

    @property
    def book(self) -> Book:
        return self._plan.opened[-1].book

    @property
    def facts(self) -> Facts:
        return self._plan.opened[-1].facts

    async def answer(self, chats: Sequence[Chat], most: int, sampling: Sampling = PLAIN) -> list[Answer]:
        async with asyncio.timeout(PATIENCE):
            return list(await asyncio.gather(*(self.one(chat, most, sampling) for chat in chats)))

    async def one(
        self, chat: Chat, most: int, sampling: Sampling = PLAIN, *, answer: Answer | None = None
    ) -> Answer:
        """`answer` is given where it is looked at while it grows."""
        answer = answer or Answer(0.0)
        answer.asked = time.perf_counter()
        async for piece in self.scribe.write(chat.request(most, sampling)):
            answer.pieces.append(time.perf_counter())
            answer.tokens += bool(piece)
        return answer

    async def close(self) -> None:
        await self.scribe.close()
