"""Ten thousand things that the API's own document allows and forbids, asked of a real house, by a page and a key.

What is counted is whatever the document does not know: a status, a kind of answer, a form; and whatever broke.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import structlog
from schemathesis import GenerationMode

from tests.bench.harness import Figure
from tests.bot.web.asking import Target, house_to_ask

SEED = 20_261_200
#: Of the faults, so many are shown.
SHOWN = 50


def take_fuzz(folder: Path, *, cases: int) -> tuple[list[Figure], str]:
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    begun = time.monotonic()
    with house_to_ask(folder / "home") as target:
        operations = target.operations()
        _ask(target, cases)
    took = time.monotonic() - begun
    broken = sum(status >= 500 for status in target.statuses.elements())
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(target.statuses.items()))
    notes = [
        f"{target.asked} cases over {len(operations)} operations in {took:.0f} s, from seed {SEED}: half of them",
        f"allowed by the document, half forbidden. Statuses: {statuses}.",
        *(str(fault) for fault in target.faults[:SHOWN]),
    ]
    figures = [
        Figure("cases asked of the API", target.asked, f">= {cases}", "higher", "-"),
        Figure("answers of 5xx", broken, "0", "lower", "0"),
        Figure("answers that its document does not know", len(target.faults), "0", "lower", "0"),
    ]
    return figures, "\n".join(notes)


def _ask(target: Target, cases: int) -> None:
    """Round by round, because some operations are soon asked in every way that there is."""
    operations = target.operations()
    seed = SEED
    while target.asked < cases:
        each = max(1, (cases - target.asked) // (2 * len(operations)) + 1)
        for operation in operations:
            for mode in GenerationMode:
                target.ask_many(operation, mode, each, seed=seed)
            seed += 1
