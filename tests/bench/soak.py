"""Minutes of many chats on one model, with people who leave, forms, bad grammars, texts that are too long, and the
model loaded anew again and again: nothing is lost, nothing is left over, and no memory is kept.

`python -m tests.bench soak --minutes 10`. The model is a tiny one, so that as much as possible happens.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from engine.errors import ModelUnavailable
from engine.language.batcher import Batcher, Limits
from engine.language.grammars import picture_prompt_grammar
from engine.language.isolated import Plan
from engine.language.llama import Options
from engine.language.requests import Request
from engine.language.sampling import Sampling
from engine.language.scribe import Scribe
from personas.prompting import Reach, Segment
from tests.bench.harness import Figure, report
from tests.models.gguf import make_model

CHATS = 16
#: The model is closed and loaded anew every so many seconds.
RELOAD = 30.0
PERSONAS = [
    "You are Jide, who repairs boards. " * 20,
    "You are Pilar, who sails alone. " * 30,
    "You are Zurab. " * 10,
]
BAD = ("no grammar", "root ::= nobody", "root ::= [")


@dataclass
class Told:
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    left: int = 0
    #: Whoever was told that it could not be done, though it could.
    lost: list[str] = field(default_factory=list)
    reloads: int = 0
    rows_left: int = 0
    memory: list[float] = field(default_factory=list)


class Stage:
    """One model at a time; whoever speaks takes the one that is there."""

    def __init__(self, plan: Plan, draw: random.Random) -> None:
        self._plan = plan
        self._draw = draw
        self.told = Told()
        self._open()

    def _open(self) -> None:
        self._batcher = Batcher(self._plan.open, self._plan.limits)
        batcher = self._batcher
        self.scribe = Scribe("soaked", lambda: batcher, patience=60.0)

    async def reload(self) -> None:
        """The old one ends what it was asked before; from here on the new one is asked."""
        before, batcher = self.scribe, self._batcher
        self._open()
        while before._streams:  # noqa: ASYNC110 - until nobody speaks with it any more
            await asyncio.sleep(0.05)
        scheduler = batcher._scheduler
        self.told.rows_left += len(scheduler.rows) + len(scheduler.waiting) + len(batcher._writings)
        await before.close()
        self.told.reloads += 1
        self.told.memory.append(psutil.Process().memory_info().rss / 1e6)

    async def chat(self, number: int, stop: asyncio.Event) -> None:
        said: list[str] = []
        while not stop.is_set():
            said.append(f"{number} says {self._draw.random()} of the sea and the roof")
            kind = self._draw.choices(("talk", "leaves", "form", "bad", "long"), (60, 20, 10, 5, 5))[0]
            self.told.asked[kind] += 1
            text = await self._ask(kind, number, said)
            said.append(text or "Hm.")
            if len(said) > 60:
                said.clear()

    async def _ask(self, kind: str, number: int, said: Sequence[str]) -> str:
        persona = PERSONAS[number % len(PERSONAS)]
        turns = [
            Segment(Reach.CHAT, "assistant" if at % 2 else "user", one) for at, one in enumerate(said[:-1])
        ]
        last = "why? " * 5_000 if kind == "long" else said[-1]
        request = Request(
            (Segment(Reach.SHARED, "system", persona), *turns, Segment(Reach.VOLATILE, "user", last)),
            sampling=Sampling(
                temperature=0.8, dry=0.8, repeat_penalty=1.05, seed=self._draw.randrange(2**31)
            ),
            most=400 if kind == "form" else 40,
            rank=1 if kind == "form" else 0,
            grammar={"form": picture_prompt_grammar(20, 40), "bad": self._draw.choice(BAD)}.get(kind, ""),
            talk=str(number),
        )
        leaves_after = self._draw.randrange(1, 20) if kind == "leaves" else None
        text, pieces = "", 0
        try:
            async with aclosing(self.scribe.write(request)) as writing:
                async for piece in writing:
                    text, pieces = text + piece, pieces + 1
                    if pieces == leaves_after:
                        self.told.left += 1
                        return text
        except ModelUnavailable as error:
            if kind != "bad":
                self.told.lost.append(f"{kind}: {error}")
            elif "grammar" in str(error):
                self.told.answered[kind] += 1
            return ""
        self.told.answered[kind] += 1
        return text


async def soak(minutes: float, seed: int) -> Told:
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(
            Path(folder) / "soaked.gguf", weights="Q8_0", context=4_096, leaning={"<|im_end|>": 1.0}
        )
        plan = Plan(
            model, Options(cells=8_192, batch=256, seqs=60), Limits(context=2_048, rows=CHATS, batch=256)
        )
        stage, stop = Stage(plan, random.Random(seed)), asyncio.Event()
        loop = asyncio.get_running_loop()
        until = loop.time() + minutes * 60
        async with asyncio.TaskGroup() as group:
            for number in range(CHATS):
                group.create_task(stage.chat(number, stop))
            while (left := until - loop.time()) > 0:
                await asyncio.sleep(min(RELOAD, left))
                await stage.reload()
            stop.set()
        await stage.reload()
        await stage.scribe.close()
        return stage.told


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--seed", type=int, default=20_261_128)
    chosen = options.parse_args(arguments)
    told = asyncio.run(soak(chosen.minutes, chosen.seed))
    settled = told.memory[
        len(told.memory) // 3 :
    ]  # until then everything that is kept for good is being made
    whole = told.asked.total()
    report(
        "language: soak",
        [
            Figure("asked, in all", whole, "told", "higher", "one core"),
            Figure(
                "neither answered nor given up by whoever asked",
                whole - told.answered.total() - told.left,
                "0",
                "lower",
                "0",
            ),
            Figure("told that it could not be done, though it could", len(told.lost), "0", "lower", "0"),
            Figure("rows and texts left over", told.rows_left, "0", "lower", "0"),
            Figure("memory grown in the last two thirds, MB", settled[-1] - settled[0], "told", "lower", "0"),
        ],
        "\n".join(
            [
                f"asked {dict(told.asked)}; answered {dict(told.answered)}; left on the way {told.left}",
                f"the model was loaded {told.reloads} times; memory after each, MB: "
                + ", ".join(f"{one:.0f}" for one in told.memory),
                *told.lost[:5],
            ]
        ),
        how=f"once, {chosen.minutes:g} minutes, {CHATS} chats at once on a tiny model, seed {chosen.seed}",
    )


if __name__ == "__main__":
    main()
