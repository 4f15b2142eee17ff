"""What every part of the language bench needs: the file, how it is run, and words that a model has tokens for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.language.isolated import Plan
from tests.bench.language_ours import Endless, Ours, Watched, watched
from tests.models.vocabularies import WORDS

CHATS = 8
#: Tokens of the persona that all of them talk with; and of what is said, and answered from a script.
PERSONA, SAID = 600, 24
#: A reply that only warms a chat up.
SHORT = 16


def words(seed: str, many: int) -> str:
    """So many words at random; the model has a token for each."""
    return " ".join(random.Random(seed).choices(WORDS.split(), k=many))


@dataclass(frozen=True)
class Bench:
    """What all parts need: the file, how it is run, and a loop that outlives them."""

    plan: Plan
    threads: int
    rounds: int
    runner: asyncio.Runner
    folder: Path
    server: str | None

    @contextmanager
    def ours(self, kind: type[Watched] = Endless) -> Iterator[Ours]:
        side = Ours(watched(self.plan, kind))
        self.runner.run(side.up())
        try:
            yield side
        finally:
            self.runner.run(side.close())
