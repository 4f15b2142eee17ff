"""What a form costs, and whether it holds: the grammar's time per token, and whether all that comes out is valid."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import get_args

from engine.language import PROMPT_WORDS, PersonaWanted, PromptWanted, Wanted, count_words
from engine.language.grammars import persona_grammar, picture_prompt_grammar
from engine.language.local import Local
from engine.language.requests import Request
from engine.language.sampling import for_forms
from engine.language.scribe import Scribe
from engine.language.shelf import plan_for
from engine.settings import LanguageSettings
from personas.appearance import Scene
from personas.cast import shipped_cast
from personas.persona import Persona
from personas.prompting import Reach, Segment
from tests.bench.harness import Figure, interleaved, machine, median
from tests.bench.language_ours import Ours
from tests.models.fixtures import LEANING
from tests.models.gguf import Kind, make_model

#: Tokens of each text whose drawing is timed.
DRAWN = 200
STYLE = "35mm film, soft grain"
KINDS = ("", "gardener", "retired pilot", "über-nerd")
NAMES = ("", "Zoë Field", "", 'Ana "Q" O\\Neill')
REQUESTS = ("on the roof at dusk", "in the kitchen", "with a kite", "waiting for a train")


def take_grammar(ours: Ours, runner: asyncio.Runner, rounds: int) -> tuple[list[Figure], str]:
    """The time in which tokens are drawn, under a grammar and without one, on otherwise equal terms."""

    async def drawn(grammar: str, seed: int) -> float:
        ours.book.clear()
        request = Request(
            (Segment(Reach.VOLATILE, "user", "Write."),),
            sampling=for_forms(seed),
            most=DRAWN,
            grammar=grammar,
        )
        async for _piece in ours.scribe.write(request):
            pass
        return 1e3 * sum(ours.book.draws) / len(ours.book.draws)

    seeds = count()

    def timed(grammar: str) -> float:
        return runner.run(drawn(grammar, next(seeds)))

    forms = {"free": "", "prompt": picture_prompt_grammar(), "persona": persona_grammar()}
    taken = interleaved({name: partial(timed, form) for name, form in forms.items()}, rounds)
    added = {
        name: median([one - free for one, free in zip(taken[name], taken["free"], strict=True)])
        for name in ("prompt", "persona")
    }
    figure = Figure(
        f"the grammar's added time per token at {ours.facts.vocabulary:,} tokens, ms, the worse of two forms",
        max(added.values()),
        "≤ 3",
        "lower",
        "0: no grammar; random weights are refused at almost every token, trained ones seldom",
    )
    told = ", ".join(f"{name} {median(values):.2f} ms" for name, values in taken.items())
    name = ours.scribe.ready.title if ours.scribe.ready else ""
    return [figure], f"drawing a token: {told}\n“{name}”, {ours.facts.parameters / 1e6:.0f} M, on {machine()}"


@dataclass
class Tally:
    made: int = 0
    valid: int = 0
    #: What was wrong with the first that was not.
    first: str = ""

    def took(self, fault: str) -> None:
        self.made += 1
        self.valid += not fault
        self.first = self.first or fault


def take_forms(folder: Path, runner: asyncio.Runner, many: int) -> tuple[list[Figure], str]:
    """Half of them by each kind of vocabulary; each kind has a process of its own, so that all processors work."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    tallies = {(kind, what): Tally() for kind in kinds for what in ("personas", "picture prompts")}

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as together:
            for kind in kinds:
                together.create_task(_forms_of(folder, kind, many // len(kinds), tallies))

    runner.run(all_of_them())
    figures = []
    for what in ("personas", "picture prompts"):
        made = sum(tally.made for (_, one), tally in tallies.items() if one == what)
        valid = sum(tally.valid for (_, one), tally in tallies.items() if one == what)
        figures.append(Figure(f"valid of {made} {what}", valid, f"{made}: all", "higher", str(made)))
    notes = "\n".join(
        f"{kind}: {tally.valid} of {tally.made} {what}{': ' + tally.first[:300] if tally.first else ''}"
        for (kind, what), tally in tallies.items()
    )
    return figures, notes


async def _forms_of(folder: Path, kind: Kind, many: int, tallies: dict[tuple[Kind, str], Tally]) -> None:
    path = make_model(
        folder / f"{kind}.gguf", vocabulary=kind, weights="Q8_0", leaning=LEANING, context=8_192
    )
    settings = LanguageSettings(threads=1, patience=300)
    plan = plan_for(settings, path)
    scribe = Scribe(kind, lambda: plan.works(isolated=True), patience=settings.patience)
    # Short ones: a tiny vocabulary spells, and the form needs the room.
    local = Local(scribe, settings, casting="You invent people.", picture="You write picture prompts.")
    cast = tuple(shipped_cast())
    turns = asyncio.Semaphore(settings.rows)

    async def one(number: int, what: str, wanted: Wanted, fault: Callable[[str], str]) -> None:
        async with turns:
            try:
                text = "".join([piece async for piece in local.write(wanted)])
                tallies[kind, what].took(fault(text))
            except Exception as error:  # whatever it is, it is one that is not valid
                tallies[kind, what].took(repr(error))

    def asked() -> Iterable[Awaitable[None]]:
        for number in range(many):
            scene = Scene(cast[number % len(cast)], REQUESTS[number % len(REQUESTS)], seed=number)
            yield one(
                number, "picture prompts", PromptWanted(scene, style_words=STYLE, seed=number), _no_prompt
            )
            name = NAMES[number % len(NAMES)]
            wanted = PersonaWanted(KINDS[number % len(KINDS)], name, seed=number)
            yield one(number, "personas", wanted, partial(_no_persona, name=name))

    try:
        await asyncio.gather(*asked())
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                await local.close()


def _no_prompt(text: str) -> str:
    """What is wrong with a picture prompt; empty: nothing."""
    if (found := count_words(text)) not in PROMPT_WORDS:
        return f"{found} words"
    return "" if STYLE in text and text.isprintable() else f"not as it was asked for: {text!r}"


def _no_persona(text: str, name: str) -> str:
    try:
        persona = Persona.model_validate(json.loads(text))
    except ValueError as error:
        return str(error)
    return "" if not name or persona.name == name else f"its name is {persona.name!r}"
