"""What the words of a prompt cost until they are embeddings: our reading beside compel's own parser, on one text.

It measures in a process of its own, which `take_encoding` ends if it takes too long: compel's parser can hang on
texts that look harmless. `python -m tests.bench.pictures_encoding MODEL` prints what it took as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.harness import Figure, median
from tests.bench.pictures_house import Bench
from tests.gpu.full_weights import full_encoders
from tests.models.sdxl import WORDS

ROOT = Path(__file__).parent.parent.parent
MANY = 200
#: Parts with a weight of their own; the figure is taken with so many as people write.
WEIGHTS = (0, 4, 10, 20)
USUAL = 4
#: Two heavier for one lighter: those that weigh less than one have their chunk read once more.
HEAVY = (1.3, 1.2, 0.8)
#: So long the child may take, in seconds.
PATIENCE = 600.0


@dataclass(frozen=True)
class Text:
    """One text, in the two ways of writing weights."""

    ours: str
    compels: str


@dataclass(frozen=True)
class Taken:
    """Of one number of weights: seconds on each side, round by round, and what was the same."""

    weights: int
    ours: list[float] = field(default_factory=list)
    compels: list[float] = field(default_factory=list)
    #: Of ours, how long the encoders themselves computed.
    encoders: list[float] = field(default_factory=list)
    #: compel's parser alone, for one of its two encoders.
    parser: list[float] = field(default_factory=list)
    #: The largest difference of any number in the embeddings.
    apart: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)


def text(seed: str, weights: int, many: int = MANY) -> Text:
    """So many words, some pairs of them with a weight, never one within another."""
    chosen = random.Random(seed).choices(WORDS.split(), k=many)
    begins = {(place + 1) * many // (weights + 1) - 2: HEAVY[place % 3] for place in range(weights)}
    ours: list[str] = []
    compels: list[str] = []
    place = 0
    while place < many:
        if (weight := begins.get(place)) is not None:
            pair = " ".join(chosen[place : place + 2])
            ours.append(f"({pair}:{weight})")
            compels.append(f"({pair}){weight}")
            place += 2
            continue
        word = f"{chosen[place]}," if place % 9 == 8 else chosen[place]
        ours.append(word)
        compels.append(word)
        place += 1
    return Text(" ".join(ours), " ".join(compels))


def measured(pipe: Any, rounds: int, counts: Sequence[int] = WEIGHTS) -> list[Taken]:
    """Each text is read once by each side, so that neither can remember it."""
    from engine.pictures.sdxl.longprompt import Encoder

    torch, compel = import_module("torch"), import_module("compel")
    theirs, ours = compel.CompelForSDXL(pipe), Encoder(pipe)
    with torch.no_grad(), _clocked(pipe) as clock:
        warm = text("warm", USUAL)
        theirs(warm.compels)
        ours.encode(warm.ours)
        taken = []
        for weights in counts:
            one = Taken(weights)
            for number in range(rounds):
                words = text(f"{weights} {number}", weights)
                clock.computed = 0.0
                began = time.perf_counter()
                made = ours.encode(words.ours)
                _finish(torch, pipe)
                one.ours.append(time.perf_counter() - began)
                one.encoders.append(clock.computed)
                began = time.perf_counter()
                found = theirs(words.compels)
                _finish(torch, pipe)
                one.compels.append(time.perf_counter() - began)
                began = time.perf_counter()
                theirs.compel_1.parse_prompt_string(words.compels)
                one.parser.append(time.perf_counter() - began)
                one.apart.append(float((made.embeds.float() - found.embeds.float()).abs().max()))
                one.tokens[:] = made.receipt.tokens
                one.chunks.append(made.receipt.chunks)
            taken.append(one)
    return taken


@dataclass
class _Clock:
    computed: float = 0.0


@contextmanager
def _clocked(pipe: Any) -> Iterator[_Clock]:
    """Counts how long the encoders themselves compute."""
    torch = import_module("torch")
    clock, began, hooks = _Clock(), [0.0], []

    def before(*_call: Any) -> None:
        _finish(torch, pipe)
        began[0] = time.perf_counter()

    def after(*_call: Any) -> None:
        _finish(torch, pipe)
        clock.computed += time.perf_counter() - began[0]

    for encoder in (pipe.text_encoder, pipe.text_encoder_2):
        hooks += [encoder.register_forward_pre_hook(before), encoder.register_forward_hook(after)]
    try:
        yield clock
    finally:
        for hook in hooks:
            hook.remove()


def _finish(torch: Any, pipe: Any) -> None:
    """A GPU is asked, and answers later: wait for it."""
    if pipe.device.type == "cuda":
        torch.cuda.synchronize()


def take_encoding(bench: Bench, *, real: bool = False) -> tuple[list[Figure], str]:
    """`real`: once more with encoders as large as SDXL's, which takes minutes on a processor."""
    tiny, told = _in_a_child(bench, real=False)
    figures = figures_of(tiny, "tiny encoders", told)
    notes = notes_of(tiny, "tiny encoders")
    if real:
        large, told = _in_a_child(bench, real=True)
        figures += figures_of(large, "encoders as large as SDXL's, on this processor", told, target="told")
        notes += "\n" + notes_of(large, "encoders as large as SDXL's")
    else:
        notes += (
            "\nencoders as large as SDXL's compute the same chunks on both sides: on a processor that takes many "
            "times as long as the parser, so the ratio tends to 1 (--real-encoders takes it); on a GPU see `cuda`"
        )
    return figures, notes


def figures_of(
    taken: Sequence[Taken], which: str, otherwise: str = "", *, target: str = "≤ 0.1"
) -> list[Figure]:
    usual = next((one for one in taken if one.weights == USUAL), None)
    return [
        Figure(
            f"encoding {MANY} words with {USUAL} weights ÷ compel's own parser path, {which}",
            _ratio(usual.ours, usual.compels) if usual else None,
            target,
            "lower",
            f"{_ratio(usual.encoders, usual.compels):.2g}: the encoders alone"
            if usual
            else "the encoders alone",
            None if usual else otherwise,
        ),
        Figure(
            f"largest difference of the embeddings, {which}",
            max(max(one.apart) for one in taken) if taken else None,
            "0" if target != "told" else "told",
            "lower",
            "0",
            None if taken else otherwise,
        ),
    ]


def notes_of(taken: Sequence[Taken], which: str) -> str:
    rows = [
        f"{one.weights:7}  {1e3 * median(one.ours):8.1f}  {1e3 * median(one.encoders):8.1f}  "
        f"{1e3 * median(one.compels):8.1f}  {1e3 * median(one.parser):6.1f}  {_ratio(one.ours, one.compels):5.3f}  "
        f"{max(one.apart):g}"
        for one in taken
    ]
    about = f"; {taken[0].chunks[-1]} chunks, tokens of each encoder {taken[0].tokens}" if taken else ""
    return "\n".join(
        [
            f"{which}, ms a prompt of {MANY} words, none remembered{about}",
            "weights      ours  encoders   compel's  parser  ratio  apart",
            *rows,
        ]
    )


def _ratio(some: Sequence[float], others: Sequence[float]) -> float:
    return median([one / other for one, other in zip(some, others, strict=True)])


def _in_a_child(bench: Bench, *, real: bool) -> tuple[list[Taken], str]:
    """What it took, or nothing and why."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.pictures_encoding", str(bench.model)]
    command += ["--rounds", str(bench.rounds), "--threads", str(bench.threads)]
    command += ["--real"] if real else []
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except subprocess.TimeoutExpired:
        return [], f"compel's parser did not come to an end in {PATIENCE:.0f} s"
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"the child failed: {error.stderr[-800:]}") from error
    return [Taken(**one) for one in json.loads(done.stdout.splitlines()[-1])], ""


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--real", action="store_true")
    chosen = options.parse_args(arguments)
    torch = import_module("torch")
    torch.set_num_threads(chosen.threads)
    pipe = import_module("diffusers").StableDiffusionXLPipeline.from_pretrained(
        chosen.model, local_files_only=True
    )
    if chosen.real:
        pipe.text_encoder, pipe.text_encoder_2 = full_encoders("cpu")
    taken = measured(pipe, chosen.rounds, (0, USUAL) if chosen.real else WEIGHTS)
    print(json.dumps([asdict(one) for one in taken]))


if __name__ == "__main__":
    main()
