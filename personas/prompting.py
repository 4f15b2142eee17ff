"""Pure: a persona and what was said become prompt segments. Knows no model, no tokens and no clock.

The order is what makes many chats cheap: first the persona's shared part, byte-identical for everybody; then
what belongs to this chat; the one block that changes every turn comes just before the last words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from personas.persona import Persona


class Reach(StrEnum):
    """How far a segment's text stays the same, and so how long its computed form may be kept."""

    SHARED = "shared"
    CHAT = "chat"
    VOLATILE = "volatile"


@dataclass(frozen=True)
class Segment:
    reach: Reach
    role: str
    text: str


@dataclass(frozen=True)
class Line:
    """One thing said, by the persona or by the person."""

    by_persona: bool
    text: str
    name: str = ""


#: When a talk outgrows its room this share of it is left standing, so that the next trim is far away.
KEPT_AFTER_TRIM = 0.5
