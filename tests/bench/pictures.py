"""What the picture engine does with many jobs at once: how quick it is, what it reads, whether it keeps its word.

Random weights in SDXL's layout, tiny ones where the processor renders; both sides of each comparison in turn, on as
many threads. `python -m tests.bench pictures --only queue` takes one part alone; `--quick` makes all of them small.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bot.logs import start_logging
from engine.settings import LogSettings
from tests.bench.harness import Figure, report
from tests.bench.language import large_model
from tests.bench.pictures_beside import Load, take_beside
from tests.bench.pictures_encoding import take_encoding
from tests.bench.pictures_house import Bench
from tests.bench.pictures_killed import take_thousand
from tests.bench.pictures_promises import take_eta
from tests.bench.pictures_speed import Line, take_last_word, take_queue
from tests.gpu.full_size import take_cuda
from tests.models.gguf import make_model
from tests.models.sdxl import write_sdxl

PARTS = ("queue", "encoding", "last-word", "eta", "thousand", "beside", "cuda")
#: What is no matter of rounds.
ONCE = ("last-word", "eta", "thousand")


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--quick", action="store_true", help="everything small: whether it runs at all")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument(
        "--threads", type=int, default=1, help="torch's and the language model's, on every side"
    )
    options.add_argument("--side", type=int, default=512, help="of the pictures in `queue`")
    options.add_argument("--steps", type=int, default=8, help="of the pictures in `queue`")
    options.add_argument("--pictures", type=int, default=6, help="in `queue`, a round")
    options.add_argument("--eta-jobs", type=int, default=200)
    options.add_argument("--jobs", type=int, default=1_000, help="in `thousand`")
    options.add_argument("--kills", type=int, default=10, help="in `thousand`")
    options.add_argument("--seconds", type=float, default=8.0, help="of each of three states in `beside`")
    options.add_argument("--asks", type=int, default=10, help="first tokens in `beside`, a round and state")
    options.add_argument(
        "--real-encoders", action="store_true", help="in `encoding`, also as large as SDXL's"
    )
    options.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    if options.parse_known_args(arguments)[0].quick:
        options.set_defaults(
            rounds=1, side=128, steps=2, pictures=3, eta_jobs=20, jobs=60, kills=2, seconds=1.5, asks=2
        )
    chosen = options.parse_args(arguments)
    # Before torch is there: some of its libraries count the processors for themselves.
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    import_module("torch").set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        start_logging(Path(folder) / "greenroom.log", LogSettings(), console=False)
        model = write_sdxl(Path(folder) / "tiny")
        for part in chosen.only or PARTS:
            bench = Bench(Path(folder) / part, model, chosen.rounds, chosen.threads, chosen.quick)
            bench.folder.mkdir()
            figures, notes = _taken(part, bench, chosen)
            how = "once" if part in ONCE else f"median of {chosen.rounds} rounds"
            how += f", random weights, threads: {chosen.threads}"
            if chosen.no_report:
                print(*figures, notes, sep="\n")
            else:
                report(f"pictures: {part}", figures, notes, how=how)


def _taken(part: str, bench: Bench, chosen: argparse.Namespace) -> tuple[list[Figure], str]:
    if part == "queue":
        return take_queue(bench, Line(chosen.side, chosen.steps, 7.5, chosen.pictures))
    if part == "encoding":
        return take_encoding(bench, real=chosen.real_encoders)
    if part == "last-word":
        return take_last_word(bench, chosen.side, chosen.steps)
    if part == "eta":
        return take_eta(bench, chosen.eta_jobs)
    if part == "thousand":
        return take_thousand(bench, chosen.jobs, chosen.kills)
    if part == "beside":
        gguf, side = bench.folder / "chat.gguf", 64 if chosen.quick else 256
        if chosen.quick:
            make_model(gguf, context=16_384)
        else:
            large_model(gguf)
        return take_beside(bench, gguf, Load(chosen.seconds, chosen.asks, side, steps=8))
    return take_cuda(bench.folder, rounds=chosen.rounds, threads=chosen.threads, quick=chosen.quick)


if __name__ == "__main__":
    main()
