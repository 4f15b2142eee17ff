"""Orders that count once: under one key nothing else is ordered than what was ordered first.

What an order says is kept as a digest beside its key, in the row of what came of it, and goes with that row.
"""

from __future__ import annotations

import hashlib
import json

from engine.errors import Conflict
from engine.locales import say


def digest(*said: object) -> str:
    """What an order says, in brief: anything that JSON can carry."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def check_same(kept: str | None, told: str) -> None:
    """Raises `Conflict` where a key stands for something else. What was kept or is told without a digest is taken
    for the same.
    """
    if kept and told and kept != told:
        raise Conflict(say("store.key_taken"))
