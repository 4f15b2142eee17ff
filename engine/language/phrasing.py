"""Pure: choosing among phrases and filling them. Knows nothing of personas, or of what a phrase says.

A person's words only ever go in as values, in one pass, so nothing they write is read as a template.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

_SLOT = re.compile(r"\{([a-z_]+)\}")
_SENTENCE = re.compile(r"[^.!?…]+(?:[.!?…]+[”’\"')\]]*|$)")
_UNSPOKEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


def cleaned(text: str, limit: int = 2_000) -> str:
    """One line of printable text, cut to `limit` characters."""
    if text[:limit].isprintable():
        return " ".join(text[:limit].split())
    kept = (" " if c.isspace() else c for c in text[: limit * 2])
    printable = "".join(c for c in kept if c == " " or unicodedata.category(c) not in _UNSPOKEN)
    return " ".join(printable.split())[:limit].strip()


def slots(phrase: str) -> tuple[str, ...]:
    return tuple(_SLOT.findall(phrase))


def filled(phrase: str, values: Mapping[str, str]) -> str:
    """The phrase with its known slots filled, in a single pass; unknown ones stay as they are.

    >>> filled("{name}, {me}", {"name": "{me}", "me": "Ida"})
    '{me}, Ida'
    """
    return _SLOT.sub(lambda slot: values.get(slot[1], slot[0]), phrase)


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def uncapitalised(text: str) -> str:
    """Ready for the middle of a sentence; initials and names written in capitals are left alone."""
    return text if text[1:2].isupper() or text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]


def sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.findall(text) if any(c.isalnum() for c in part)]


def with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}" if noun else ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class Spoken:
    """Everything already said in a talk, so that it is not said again."""

    text: str = ""

    @classmethod
    def of(cls, said: Iterable[str]) -> Spoken:
        return cls("\n".join(_plain(line) for line in said))

    def last(self, phrase: str) -> int:
        """Where a phrase was last used, however its slots were filled; -1 if never."""
        return self.text.rfind(_plain(max(_SLOT.split(phrase)[::2], key=len)))

    def holds(self, phrase: str) -> bool:
        return self.last(phrase) >= 0


def unused(phrases: Sequence[str], spoken: Spoken, values: Mapping[str, str] | None = None) -> list[str]:
    """The phrases that can be filled and have not been said yet."""
    return [p for p in phrases if _fillable(p, values) and not spoken.holds(p)]


def pick(
    phrases: Sequence[str],
    spoken: Spoken,
    rng: Random,
    values: Mapping[str, str] | None = None,
    *,
    repeat: bool = True,
) -> str:
    """A phrase not said before, filled; else the one said longest ago, or nothing without `repeat`."""
    fresh = unused(phrases, spoken, values)
    if fresh:
        return filled(rng.choice(fresh), values or {})
    possible = [p for p in phrases if _fillable(p, values)]
    if not possible or not repeat:
        return ""
    return filled(min(possible, key=spoken.last), values or {})


def _fillable(phrase: str, values: Mapping[str, str] | None) -> bool:
    """A persona's own lines come without values and are never templates."""
    return values is None or all(values.get(slot) for slot in slots(phrase))
