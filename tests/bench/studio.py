"""What the studio costs: how soon the page shows what has happened, what a watcher weighs, what other programs wait,
what a page of a large gallery takes, how soon the page is there; and whether its API answers as it says.

`python -m tests.bench studio --only live` takes one part alone; `--quick` makes it small: whether it runs at all.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.harness import Figure, report
from tests.bench.language import large_model
from tests.bench.studio_fuzz import take_fuzz
from tests.bench.studio_gallery import take_gallery
from tests.bench.studio_live import take_live
from tests.bench.studio_openai import take_openai
from tests.bench.studio_page import take_page

PARTS = ("live", "openai", "gallery", "page", "fuzz")


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--quick", action="store_true", help="everything small: whether it runs at all")
    options.add_argument("--watchers", type=int, default=200, help="in `live`")
    options.add_argument("--events", type=int, default=100, help="of each kind, in `live`")
    options.add_argument(
        "--rounds", type=int, default=5, help="in `openai`; of the gallery ten times as many"
    )
    options.add_argument("--most", type=int, default=128, help="tokens of each answer in `openai`")
    options.add_argument("--many", type=int, default=100_000, help="pictures in `gallery`")
    options.add_argument("--cases", type=int, default=10_000, help="in `fuzz`")
    options.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    if options.parse_known_args(arguments)[0].quick:
        options.set_defaults(watchers=20, events=10, rounds=1, most=16, many=1_000, cases=500)
    chosen = options.parse_args(arguments)
    for part in chosen.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures, notes, how = _taken(part, Path(folder), chosen)
        if chosen.no_report:
            print(*figures, notes, sep="\n")
        else:
            report(f"studio: {part}", figures, notes, how=how)


def _taken(part: str, folder: Path, chosen: argparse.Namespace) -> tuple[list[Figure], str, str]:
    if part == "live":
        return *take_live(folder, watchers=chosen.watchers, events=chosen.events), "taken once"
    if part == "gallery":
        rounds = 10 * chosen.rounds
        return *take_gallery(folder, many=chosen.many, rounds=rounds), f"median of {rounds} rounds"
    if part == "page":
        rounds = 2 * chosen.rounds
        return *take_page(folder, rounds=rounds), f"median of {rounds} rounds"
    if part == "fuzz":
        return *take_fuzz(folder, cases=chosen.cases), "taken once"
    path = large_model(folder / "large.gguf")
    how = f"median of {chosen.rounds} rounds, a model of {path.stat().st_size / 1e6:.0f} MB"
    return *take_openai(folder, path, rounds=chosen.rounds, most=chosen.most), how


if __name__ == "__main__":
    main()
