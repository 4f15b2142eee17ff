"""What works while nobody asks: how much a backfill of ten thousand pictures weighs beside one of a hundred.

`python -m tests.bench posts --only backfill` takes one part alone; `--quick` makes all of them small.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.harness import Figure, report
from tests.bench.posts_backfill import take_backfill

PARTS = ("backfill",)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--quick", action="store_true", help="everything small: whether it runs at all")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--pictures", type=int, default=10_000, help="of the large run in `backfill`")
    options.add_argument("--few", type=int, default=100, help="of the small run in `backfill`")
    options.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    if options.parse_known_args(arguments)[0].quick:
        options.set_defaults(rounds=1, pictures=300, few=30)
    chosen = options.parse_args(arguments)
    for part in chosen.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures, notes = _taken(part, Path(folder), chosen)
        if chosen.no_report:
            print(*figures, notes, sep="\n")
        else:
            report(f"posts: {part}", figures, notes, how=f"median of {chosen.rounds} rounds")


def _taken(part: str, folder: Path, chosen: argparse.Namespace) -> tuple[list[Figure], str]:
    if part == "backfill":
        return take_backfill(folder, many=chosen.pictures, few=chosen.few, rounds=chosen.rounds)
    raise ValueError(part)


if __name__ == "__main__":
    main()
