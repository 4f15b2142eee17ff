"""Many chats that share a persona: tokens a second of all together, on each side, and where the time goes."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from engine.language.sampling import Sampling, sampling_of
from engine.language.templates import Form
from engine.settings import LanguageSettings
from tests.bench.harness import Figure, interleaved, median, ratio
from tests.bench.language_bench import CHATS, PERSONA, SAID, SHORT, Bench, words
from tests.bench.language_ours import Book
from tests.bench.language_sides import PLAIN, Chat, Lone, Side, serving, speed

GREEDY = Sampling(temperature=0.0)


async def second_turn(side: Side, chats: int, most: int, number: int, sampling: Sampling = PLAIN) -> float:
    """Tokens a second of so many chats, of which each has its persona and its first turn in the memory."""
    persona = words("persona", PERSONA)
    first = [Chat(persona, (words(f"{number} {chat} said", SAID),), f"talk {chat}") for chat in range(chats)]
    await side.answer(first, SHORT)
    # What is answered stands in a script, for each side says something else.
    second = [
        replace(chat, lines=(*chat.lines, words(f"{chat} answered", SAID), words(f"{chat} next", SAID)))
        for chat in first
    ]
    return speed(await side.answer(second, most, sampling))


def take_speed(bench: Bench, most: int) -> tuple[list[Figure], str]:
    numbers = count()
    with ExitStack() as stack:
        ours = stack.enter_context(bench.ours())
        form = Form(ours.facts.template, ours.facts.begins, ours.facts.ends)
        lone = Lone(bench.plan.path, form, context=2_048, threads=bench.threads)
        stack.callback(lone.close)
        sides: dict[str, Side] = {"ours": ours, "lone": lone}
        if bench.server:
            sides["server"] = stack.enter_context(
                serving(
                    bench.server,
                    bench.plan.path,
                    lone,
                    slots=CHATS,
                    threads=bench.threads,
                    log=bench.folder / "llama-server.log",
                )
            )

        def turn(side: Side, chats: int = CHATS, sampling: Sampling = PLAIN) -> float:
            return bench.runner.run(second_turn(side, chats, most, next(numbers), sampling))

        def spent(chats: int, sampling: Sampling) -> Spent:
            ours.book.clear()
            return _spent(ours.book, chats, turn(ours, chats, sampling))

        for side in sides.values():  # the persona is read once, and is warm from here on
            bench.runner.run(second_turn(side, CHATS, SHORT, next(numbers)))
        taken = interleaved({name: partial(turn, side) for name, side in sides.items()}, bench.rounds)
        greedy = interleaved(
            {name: partial(turn, side, sampling=GREEDY) for name, side in sides.items()},
            min(2, bench.rounds - 1),
        )
        alone = [f"{name} {turn(side, 1):.0f}" for name, side in sides.items()]
        rows = [spent(chats, PLAIN) for chats in (1, 2, 4, 8, 16)]
        usual = spent(CHATS, sampling_of(LanguageSettings(), None, seed=7))
        ours.book.clear()
        cold = Chat(words("never read", PERSONA), ("Hello",), "cold")
        bench.runner.run(ours.answer([cold], SHORT))
        tokens, seconds = ours.book.prompt
        if tokens != len(lone.tokens(cold)):
            raise RuntimeError("the sides do not read the same prompts")
        computing = tokens / seconds
        weights = read_per_token(bench.plan.path)
    bandwidth = memory_bandwidth()
    limit = bandwidth / weights
    ceiling = (
        f"8 rows × {limit:.0f} by memory, {computing:.0f} by computing (read in one go); ours "
        f"{median(taken['ours']):.0f}"
    )
    batched = next(row for row in rows if row.chats == CHATS)
    gained = CHATS * rows[0].computing / batched.computing
    closed = None if bench.server else "no llama-server: --server, GREENROOM_LLAMA_SERVER or PATH"
    figures = [
        Figure(
            "tokens/s of 8 chats ÷ the high-level Llama behind a lock",
            ratio(taken, "ours", "lone"),
            "≥ 2.0",
            "higher",
            f"{gained:.2f}: what eight rows in one reading gain in llama.cpp itself, here",
        ),
        Figure(
            "tokens/s of 8 chats ÷ llama-server -np 8, every slot warm",
            ratio(taken, "ours", "server") if bench.server else None,
            "≥ 1.0",
            "higher",
            "1: it computes the same",
            closed,
        ),
        Figure("tokens/s of 8 chats", median(taken["ours"]), "told", "higher", ceiling),
    ]
    notes = [
        f"tokens/s of 8 chats, round by round: {_told(taken)}; greedy: {_told(greedy)}",
        f"tokens/s of one chat: {', '.join(alone)}",
        f"limit of one chat: {weights / 1e6:.0f} MB of weights a token, {bandwidth / 1e9:.1f} GB/s on one thread: "
        f"{limit:.0f} tokens/s",
        "chats  tokens/s  ms a step  of it: llama.cpp computes, tokens are drawn, the rest",
        *(row.told() for row in rows),
        f"{usual.told()}  with the product's own sampling (penalties, dry)",
    ]
    return figures, "\n".join(notes)


def _told(taken: dict[str, list[float]]) -> str:
    return ", ".join(
        f"{name} {' '.join(f'{one:.0f}' for one in values)}" for name, values in taken.items() if values
    )


@dataclass(frozen=True)
class Spent:
    """Where the time of a turn went, in the steps that only write; in milliseconds a step."""

    chats: int
    speed: float
    whole: float
    computing: float
    drawing: float

    def told(self) -> str:
        rest = self.whole - self.computing - self.drawing
        return (
            f"{self.chats:5}  {self.speed:8.0f}  {self.whole:9.2f}  "
            f"{self.computing:6.2f} + {self.drawing:.2f} + {rest:.2f}"
        )


def _spent(book: Book, chats: int, speed: float) -> Spent:
    reads = book.reads
    # Of the steps in which nothing of a prompt is read, those with the most rows: all, where replies are long enough.
    pure = [place for place, one in enumerate(reads) if one.tokens == one.draws]
    rows = max(reads[place].draws for place in pure)
    writes = [place for place in pure if reads[place].draws == rows]
    wholes = [reads[place + 1].began - reads[place].began for place in writes if place + 1 in writes]
    computing = median([reads[place].seconds for place in writes])
    whole = median(wholes) if wholes else math.nan
    drawing = rows * median(book.draws[-rows * len(writes) :])
    return Spent(chats, speed, 1e3 * whole, 1e3 * computing, 1e3 * drawing)


def memory_bandwidth() -> float:
    """Bytes a second that one thread gets through, the best of reading and copying far more than a cache holds."""
    import numpy as np

    source = np.ones(48_000_000)
    target = np.empty_like(source)
    best = 0.0
    for _try in range(5):
        began = time.perf_counter()
        source.max()
        between = time.perf_counter()
        np.copyto(target, source)
        ended = time.perf_counter()
        best = max(best, source.nbytes / (between - began), 2 * source.nbytes / (ended - between))
    return best


def read_per_token(path: Path) -> int:
    """Bytes of all weights but the embedding, of which a token reads one row."""
    from gguf import GGUFReader

    return sum(int(one.n_bytes) for one in GGUFReader(path, "r").tensors if one.name != "token_embd.weight")
