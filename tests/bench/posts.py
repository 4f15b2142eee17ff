"""What works while nobody asks: what becomes of a year of schedules in a house that is killed again and again, how
late posts come while people wait for pictures, and how much a backfill of ten thousand weighs beside a hundred.

`python -m tests.bench posts --only backfill` takes one part alone; `--quick` makes all of them small.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.harness import Figure, report
from tests.bench.posts_backfill import take_backfill
from tests.bench.posts_feed import take_feed
from tests.bench.posts_late import take_late
from tests.bench.posts_year import take_year

PARTS = ("backfill", "year", "late", "feed")


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--quick", action="store_true", help="everything small: whether it runs at all")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--pictures", type=int, default=10_000, help="of the large run in `backfill`")
    options.add_argument("--few", type=int, default=100, help="of the small run in `backfill`")
    options.add_argument("--schedules", type=int, default=500, help="in `year`")
    options.add_argument("--kills", type=int, default=200, help="in `year`")
    options.add_argument("--posts", type=int, default=60, help="in `late`")
    options.add_argument(
        "--people", type=int, default=2, help="who ask for pictures without a pause in `late`"
    )
    options.add_argument("--ahead", type=float, default=150.0, help="seconds to make them in, in `late`")
    options.add_argument("--items", type=int, default=25, help="in `feed`")
    options.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    if options.parse_known_args(arguments)[0].quick:
        options.set_defaults(rounds=1, pictures=300, few=30, schedules=20, kills=10)
        options.set_defaults(posts=10, people=1, ahead=45.0, items=5)
    chosen = options.parse_args(arguments)
    for part in chosen.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures, notes = _taken(part, Path(folder), chosen)
        if chosen.no_report:
            print(*figures, notes, sep="\n")
        else:
            how = f"median of {chosen.rounds} rounds" if part == "backfill" else "taken once"
            report(f"posts: {part}", figures, notes, how=how)


def _taken(part: str, folder: Path, chosen: argparse.Namespace) -> tuple[list[Figure], str]:
    if part == "backfill":
        return take_backfill(folder, many=chosen.pictures, few=chosen.few, rounds=chosen.rounds)
    if part == "year":
        return take_year(folder, schedules=chosen.schedules, kills=chosen.kills, quick=chosen.quick)
    if part == "late":
        return take_late(
            folder, many=chosen.posts, people=chosen.people, ahead=chosen.ahead, spread=float(chosen.posts)
        )
    if part == "feed":
        return take_feed(folder, items=chosen.items)
    raise ValueError(part)


if __name__ == "__main__":
    main()
