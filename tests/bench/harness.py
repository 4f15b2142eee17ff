"""How every benchmark here is run and told: both sides in turn, several rounds, a table, one line of JSON.

A figure is the median of its rounds, or was taken once where its bench says so. `limit` is what physics or the
machine allows, so that a reader sees how far there is to go; `open` says why a figure could not be taken here.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

ROUNDS = 5
RESULTS = Path(__file__).parent / "RESULTS.md"


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, and how good is good enough."""

    name: str
    value: float | None
    target: str
    better: Literal["lower", "higher"]
    limit: str
    open: str | None = None


def interleaved(sides: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Run all sides once a round, so that a busy minute hurts each of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _round in range(rounds):
        for name, side in sides.items():
            taken[name].append(side())
    return taken


def ratio(taken: dict[str, list[float]], one: str, other: str) -> float:
    """The median of the rounds' own ratios: what happened in one round is compared with itself."""
    return statistics.median(a / b for a, b in zip(taken[one], taken[other], strict=True))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def report(bench: str, figures: Sequence[Figure], notes: str = "", *, how: str) -> None:
    """Print the table and the JSON line, and keep the table in RESULTS.md; `how` says how often each was taken."""
    rows = [("figure", "value", "target", "limit")]
    rows += [(f.name, _shown(f), f.target, f.limit) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
    line = json.dumps({"bench": bench, "figures": [asdict(figure) for figure in figures]})
    print(f"\n{table}\n\n{notes}\n{line}")
    _keep(bench, figures, notes, how)


def machine() -> str:
    cores = sum(1 for line in _cpuinfo() if line.startswith("processor"))
    name = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), "?")
    return f"{name}, {cores} cores, {platform.system()}, Python {sys.version.split()[0]}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def _shown(figure: Figure) -> str:
    return f"open: {figure.open}" if figure.value is None else f"{figure.value:.4g}"


def _keep(bench: str, figures: Sequence[Figure], notes: str, how: str) -> None:
    """Replace this bench's part of the results; the others stay."""
    begin, end = f"<!-- {bench} -->", f"<!-- /{bench} -->"
    body = [
        begin,
        f"## {bench}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, {how}.",
        "",
        "| figure | value | target | limit |",
        "|---|---|---|---|",
        *(f"| {f.name} | {_shown(f)} | {f.target} | {f.limit} |" for f in figures),
        "",
        *(["```", notes.strip(), "```", ""] if notes.strip() else []),
        end,
    ]
    text = (
        RESULTS.read_text() if RESULTS.exists() else "# Results\n\nTaken by `make bench`; see each script.\n"
    )
    if begin in text:
        head, rest = text.split(begin, 1)
        text = head + "\n".join(body) + rest.split(end, 1)[1]
    else:
        text = text.rstrip() + "\n\n" + "\n".join(body) + "\n"
    RESULTS.write_text(text)
