"""How long somebody waits: for the first word, for what is read again at each turn, and while others are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

from engine.language.requests import Request
from personas import prompting
from personas.cast import shipped_cast
from tests.bench.harness import Figure, median
from tests.bench.language_bench import CHATS, PERSONA, SAID, SHORT, Bench, words
from tests.bench.language_ours import Ours, Watched
from tests.bench.language_sides import PLAIN, Answer, Chat

#: Of each of eight who arrive together, so many words: with the form around them, all fit into one reading.
ARRIVING = 40
#: The usual gap of a stream is the middle of so many, or of so many on both sides of a place.
WINDOW = 32


# The first word


def take_first(bench: Bench) -> tuple[list[Figure], str]:
    with bench.ours() as ours:

        async def first(persona: str, talk: str) -> float:
            return (await ours.one(Chat(persona, (words(talk, SAID),), talk), SHORT)).first

        def both(number: int) -> tuple[float, float]:
            persona = words(f"persona {number}", PERSONA)
            cold = bench.runner.run(first(persona, f"cold {number}"))
            return bench.runner.run(first(persona, f"warm {number}")), cold

        async def together(number: int) -> tuple[float, float, float]:
            """The worst of eight, how long one reading of as many tokens takes, and how many those were."""
            persona = words("persona 0", PERSONA)
            chats = [
                Chat(persona, (words(f"{number} {chat}", ARRIVING),), f"{number} {chat}")
                for chat in range(CHATS)
            ]
            ours.book.clear()
            answers = await ours.answer(chats, SHORT)
            arrived = max(answer.asked + answer.first for answer in answers)
            read = sum(one.tokens for one in ours.book.reads if one.began < arrived)
            steps.append(sum(one.began < arrived for one in ours.book.reads))
            whole = Chat(persona, (words(f"{number} whole", read - read // ARRIVING),), f"{number} whole")
            ours.book.clear()
            await ours.one(whole, SHORT)
            tokens, seconds = ours.book.prompt
            return max(answer.first for answer in answers), seconds * read / tokens, read

        steps: list[int] = []
        pairs = [both(number) for number in range(bench.rounds)]
        arrivals = [bench.runner.run(together(number)) for number in range(bench.rounds)]
    cold, warm = median([cold for _, cold in pairs]), median([warm for warm, _ in pairs])
    worst, one = median([worst for worst, _, _ in arrivals]), median([whole for _, whole, _ in arrivals])
    figures = [
        Figure(
            "time to the first token, warm persona ÷ cold",
            median([warm / cold for warm, cold in pairs]),
            "≤ 0.15",
            "lower",
            f"{SAID / (PERSONA + SAID):.2f}: what is new ÷ all",
        ),
        Figure(
            "worst first token of 8 who arrive together, warm ÷ one reading of as many tokens",
            median([worst / whole for worst, whole, _ in arrivals]),
            "≤ 1.15",
            "lower",
            "1: the reading itself",
        ),
    ]
    notes = (
        f"first token of one: warm {warm * 1e3:.0f} ms, cold {cold * 1e3:.0f} ms; the worst of 8: "
        f"{worst * 1e3:.0f} ms, one reading of {arrivals[0][2]:.0f} tokens {one * 1e3:.0f} ms; steps until all 8 had "
        f"theirs: {steps}"
    )
    return figures, notes


# What is read again


def take_again(bench: Bench, turns: int) -> tuple[list[Figure], str]:
    with bench.ours(Watched) as ours:
        block = bench.runner.run(_long_talk(ours, turns, block=True))
        plain = bench.runner.run(_long_talk(ours, turns, block=False))
    figure = Figure(
        f"tokens decoded again per turn ÷ new tokens of the turn, median of {turns} turns",
        median([again / new for again, _, new in block]),
        "≤ 1.5",
        "lower",
        "1: the last turn, which stands behind the block that changes",
    )
    notes = (
        "again: what the memory held of the talk behind the last token that could stay; new: by how much the "
        "prompt grew\n"
        f"with a block of memories that changes every turn: again {median([a for a, _, _ in block]):.0f}, new "
        f"{median([n for _, _, n in block]):.0f}, read in all {median([r for _, r, _ in block]):.0f}\n"
        f"without it: again {median([a for a, _, _ in plain]):.0f}, new {median([n for _, _, n in plain]):.0f}, "
        f"read in all {median([r for _, r, _ in plain]):.0f}"
    )
    return [figure], notes


async def _long_talk(ours: Ours, turns: int, *, block: bool) -> list[tuple[int, int, int]]:
    """Of each turn but the first: tokens decoded again, tokens read, new tokens. All from the positions read at."""
    persona = next(shipped_cast())
    shared = prompting.shared_part(persona, "You are {{char}}.")
    lines: list[prompting.Line] = []
    starts, ends, held = [], [], []
    for turn in range(turns):
        lines.append(prompting.Line(False, words(f"turn {turn}", SAID), "Ana"))
        memories = [words(f"memory {turn + place}", 6) for place in range(2)] if block else []
        segments = prompting.segments(
            persona,
            lines,
            shared=shared,
            person_name="Ana" if block else "",
            memories=memories,
            room_chars=24_000,
        )
        ours.book.clear()
        request = Request(
            segments, sampling=replace(PLAIN, seed=turn), most=2 * SAID, talk=f"a talk, {block}"
        )
        text = "".join([piece async for piece in ours.scribe.write(request)])
        drawn = ours.book.drawn
        read = ours.book.tokens - (drawn - 1)  # what was drawn is read, too, but for the last
        starts.append(ours.book.reads[0].position)
        ends.append(ours.book.reads[0].position + read)
        held.append(ends[-1] + drawn - 1)
        lines.append(prompting.Line(True, text.strip() or "…", persona.name))
    return [
        (held_before - start, end - start, end - end_before)
        for held_before, (end_before, end), start in zip(held, pairwise(ends), starts[1:], strict=False)
    ]


# A stream while somebody else's prompt is read


def take_gap(bench: Bench, prompt: int, *, beside: Bench | None = None) -> tuple[list[Figure], str]:
    """On this model, and on a slower one beside it. A stream of 150 tokens a second is held up by a few milliseconds
    that nobody notices, so that whoever waits is read in seconds; of that, the ratio is told. See `pacing.py`.
    """
    quick = _gaps(bench, prompt)
    slow = _gaps(beside, prompt) if beside else quick
    name = f"one stream's longest gap while another's {prompt:,}-token prompt is read ÷ its usual gap"
    figures = [Figure(name, median([gap.ratio for gap in slow]), "≤ 4", "lower", "1: nothing is read")]
    alone = median([gap.longest / gap.before for gap in slow])
    figures.append(Figure("the same, held against the gap before alone", alone, "told", "lower", "1"))
    if beside:
        ratio, longest = median([gap.ratio for gap in quick]), max(gap.longest for gap in quick)
        figures += [
            Figure("the same, of a stream that is four times as quick", ratio, "told", "lower", "1"),
            Figure("its longest gap in seconds", longest, "told", "lower", "a step without reading"),
        ]
    notes = [
        f"{what}: usual gap {gap.before * 1e3:.1f} ms before, {gap.usual * 1e3:.1f} ms of a stream as long that "
        f"nobody disturbs, longest {gap.longest * 1e3:.1f} ms ({gap.ratio:.2f}), at its token {gap.place}; the "
        f"other waited {gap.waited:.1f} s for {gap.tokens} tokens"
        for what, gaps in (("slow", slow), ("quick", quick if beside else []))
        for gap in gaps
    ]
    return figures, "\n".join(notes)


@dataclass(frozen=True)
class Gap:
    """Of a stream: its usual gap before, its longest, and where that was. Of the other: how long it waited, for what.

    The stream grows by a thousand tokens meanwhile, and would be slower for that alone: `usual` is the gap of the
    same stream, in a memory of its own, that nobody disturbs, where it is as long as this one was at its longest gap.
    """

    before: float
    usual: float
    longest: float
    place: int
    waited: float
    tokens: int

    @property
    def ratio(self) -> float:
        return self.longest / self.usual


def _gaps(bench: Bench, prompt: int) -> list[Gap]:
    return [_gap(bench, prompt, number) for number in range(min(3, bench.rounds))]


def _gap(bench: Bench, prompt: int, number: int) -> Gap:
    """Each side with nothing in the model's memory of what was before."""
    with bench.ours() as ours:
        gap = bench.runner.run(_disturbed(ours, prompt, number))
    with bench.ours() as ours:
        return replace(gap, usual=bench.runner.run(_undisturbed(ours, number, gap.place)))


@asynccontextmanager
async def _streaming(ours: Ours, number: int) -> AsyncIterator[Answer]:
    """A stream that goes on until the end of the block; somebody else has spoken, and rests."""
    stream = Answer(0.0)
    calm = Chat(words("calm", PERSONA), (words(f"calm {number}", SAID),), f"calm {number}")
    talking = asyncio.create_task(ours.one(calm, 7_000, answer=stream))
    try:
        await ours.one(replace(calm, talk=f"beside {number}"), 64)  # so long it streams, to be sure
        await asyncio.sleep(1.0)
        yield stream
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


async def _disturbed(ours: Ours, prompt: int, number: int) -> Gap:
    other = Answer(0.0)
    line = 100
    lines = (prompt - PERSONA) // line
    said = tuple(words(f"long {number} {place}", line - 6) for place in range(lines + 1 - lines % 2))
    long = Chat(words(f"other {number}", PERSONA), said, f"long {number}")
    async with _streaming(ours, number) as stream:
        usual = median(stream.gaps[-WINDOW:])
        before = len(stream.pieces)
        ours.book.clear()
        await ours.one(long, SHORT, answer=other)
        tokens = ours.book.tokens
        gaps = [later - one for one, later in pairwise(stream.pieces[before - 1 :])]
        tokens -= len(gaps) + SHORT
        return Gap(usual, usual, max(gaps), before - 1 + gaps.index(max(gaps)), other.first, tokens)


async def _undisturbed(ours: Ours, number: int, place: int) -> float:
    """The usual gap of that stream at that place, where nobody is read beside it."""
    async with _streaming(ours, number) as stream:
        while len(stream.gaps) < place + WINDOW:  # noqa: ASYNC110 - a stream tells nobody how long it is
            await asyncio.sleep(0.1)
        return median(stream.gaps[place - WINDOW : place + WINDOW])
