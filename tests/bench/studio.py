"""What the studio costs whoever keeps it open: how soon the page shows what has happened, and what a watcher weighs.

`python -m tests.bench studio --only live` takes one part alone; `--quick` makes it small: whether it runs at all.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.harness import report
from tests.bench.studio_live import take_live

PARTS = ("live",)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--quick", action="store_true", help="everything small: whether it runs at all")
    options.add_argument("--watchers", type=int, default=200, help="in `live`")
    options.add_argument("--events", type=int, default=100, help="of each kind, in `live`")
    options.add_argument("--no-report", action="store_true", help="leave RESULTS.md as it is")
    if options.parse_known_args(arguments)[0].quick:
        options.set_defaults(watchers=20, events=10)
    chosen = options.parse_args(arguments)
    for part in chosen.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures, notes = take_live(Path(folder), watchers=chosen.watchers, events=chosen.events)
        if chosen.no_report:
            print(*figures, notes, sep="\n")
        else:
            report(f"studio: {part}", figures, notes, how="taken once")


if __name__ == "__main__":
    main()
