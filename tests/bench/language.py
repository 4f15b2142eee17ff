"""What the language engine does with many chats at once: how quick it is, what it reads twice, how it keeps form.

One model of 134 million random weights in Q4_0, on one thread; each side in turn. A token is counted when it
comes, and every text is ended by its length. `python -m tests.bench language --only speed` takes one part alone;
`--quick` makes all of them small. `llama-server` is looked for at `--server`, in GREENROOM_LLAMA_SERVER and on PATH.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bot.logs import start_logging
from engine.language.shelf import plan_for
from engine.settings import LanguageSettings, LogSettings
from tests.bench.harness import Figure, report
from tests.bench.language_bench import Bench
from tests.bench.language_forms import take_forms, take_grammar
from tests.bench.language_ours import Watched
from tests.bench.language_speed import take_speed
from tests.bench.language_waiting import take_again, take_first, take_gap
from tests.models.gguf import make_model

PARTS = ("speed", "first", "again", "gap", "grammar", "forms")


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--quick", action="store_true", help="everything small: whether it runs at all")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1, help="the same for every side")
    options.add_argument("--most", type=int, default=64, help="tokens of each reply in `speed`")
    options.add_argument("--turns", type=int, default=40, help="of the long talk")
    options.add_argument(
        "--prompt", type=int, default=4_000, help="tokens of the prompt read beside a stream"
    )
    options.add_argument("--forms", type=int, default=500, help="personas, and as many picture prompts")
    options.add_argument("--server", default="", help="where llama-server is")
    options.add_argument("--model", type=Path, help="another GGUF file than one of random weights")
    options.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    if options.parse_known_args(arguments)[0].quick:
        options.set_defaults(rounds=1, most=16, turns=4, prompt=1_000, forms=8)
    chosen = options.parse_args(arguments)
    server = chosen.server or os.environ.get("GREENROOM_LLAMA_SERVER") or shutil.which("llama-server")
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        start_logging(Path(folder) / "greenroom.log", LogSettings(), console=False)
        path = chosen.model or large_model(Path(folder) / "large.gguf")
        plan = plan_for(LanguageSettings(threads=chosen.threads), path)
        bench = Bench(plan, chosen.threads, chosen.rounds, runner, Path(folder), server)
        for part in chosen.only or PARTS:
            figures, notes = _taken(part, bench, chosen)
            how = f"median of {chosen.rounds} rounds" if part not in ("again", "forms") else "once"
            how += f", {path.name} with {path.stat().st_size / 1e6:.0f} MB, threads: {chosen.threads}"
            if chosen.no_report:
                print(*figures, notes, sep="\n")
            else:
                report(f"language: {part}", figures, notes, how=how)


def large_model(path: Path) -> Path:
    """134 million random parameters in Q4_0, with a vocabulary of 32,000: 62 MB are read for a token."""
    return make_model(path, weights="Q4_0", hidden=768, layers=16, vocab_size=32_000, context=16_384)


def heavier_model(path: Path) -> Path:
    """550 million random parameters in Q4_0: it streams about as fast as the quickest models that people use here.

    Four heads share their keys and values, as they do in those: what each step has to look at is a fourth.
    """
    return make_model(
        path, weights="Q4_0", hidden=1280, layers=32, kv_heads=1, vocab_size=32_000, context=16_384
    )


def _taken(part: str, bench: Bench, chosen: argparse.Namespace) -> tuple[list[Figure], str]:
    if part == "speed":
        return take_speed(bench, chosen.most)
    if part == "first":
        return take_first(bench)
    if part == "again":
        return take_again(bench, chosen.turns)
    if part == "gap":
        if chosen.quick or chosen.model:
            return take_gap(bench, chosen.prompt)
        path = heavier_model(bench.folder / "heavier.gguf")
        slower = replace(bench, plan=plan_for(LanguageSettings(threads=chosen.threads), path))
        return take_gap(bench, chosen.prompt, beside=slower)
    if part == "grammar":
        with bench.ours(Watched) as ours:
            return take_grammar(ours, bench.runner, bench.rounds)
    return take_forms(bench.folder, bench.runner, chosen.forms)


if __name__ == "__main__":
    main()
