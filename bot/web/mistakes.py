"""Pure: what is wrong with something that was sent, field by field, as sentences that can be said in any language.

It reads what pydantic found. Which request it was about, it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.locales import ENDLESS, Locale, Said, say

#: A field may be called anything by whoever sends it: of a name so much is told.
MOST_OF_A_NAME = 60

#: Kinds of mistakes that have no facts.
_PLAIN = {
    "missing": "mistakes.missing",
    "extra_forbidden": "mistakes.unknown",
    "json_invalid": "mistakes.no_json",
    "json_type": "mistakes.no_json",
    "string_unicode": "mistakes.no_unicode",
    "finite_number": "mistakes.endless",
    "int_parsing_size": "mistakes.long_number",
    "int_from_float": "mistakes.whole",
    "none_required": "mistakes.null",
    "timezone_aware": "mistakes.no_zone",
    "model_attributes_type": "mistakes.object",
    "no_address": "mistakes.no_address",
}
#: Otherwise a kind begins with what was wanted.
_WANTED = {
    "string": "mistakes.text",
    "int": "mistakes.whole",
    "float": "mistakes.number",
    "bool": "mistakes.yes_or_no",
    "list": "mistakes.list",
    "tuple": "mistakes.list",
    "set": "mistakes.list",
    "frozen_set": "mistakes.list",
    "dict": "mistakes.object",
    "mapping": "mistakes.object",
    "model": "mistakes.object",
    "datetime": "mistakes.moment",
    "date": "mistakes.moment",
}
#: What a number is to be, and how pydantic calls that.
_BOUNDS = {
    "greater_than_equal": ("mistakes.at_least", "ge"),
    "greater_than": ("mistakes.more_than", "gt"),
    "less_than_equal": ("mistakes.at_most", "le"),
    "less_than": ("mistakes.less_than", "lt"),
}
_LENGTHS = {
    "string_too_short": ("mistakes.too_short", "min_length"),
    "string_too_long": ("mistakes.too_long", "max_length"),
    "too_short": ("mistakes.too_few", "min_length"),
    "too_long": ("mistakes.too_many", "max_length"),
}
_CHOICES = re.compile(r", | or ")


def sentence(mistake: Mapping[str, Any]) -> Said:
    """What is wrong in one place. A kind that is not known here is told in pydantic's own words."""
    kind, facts = str(mistake["type"]), mistake.get("ctx") or {}
    if kind in ("too_short", "too_long") and isinstance(mistake["input"], str):
        kind = f"string_{kind}"  # it was tidied before it was measured
    if kind in _PLAIN:
        return say(_PLAIN[kind])
    if kind in _LENGTHS:
        key, name = _LENGTHS[kind]
        return say(key, n=facts[name])
    if kind in _BOUNDS:
        key, name = _BOUNDS[kind]
        return say(key, bound=_bound(facts[name]))
    if kind in ("enum", "literal_error"):
        choices = [one.strip("'") for one in _CHOICES.split(str(facts["expected"]))]
        return say("mistakes.none_of", choices=choices)
    if kind == "string_pattern_mismatch":
        pattern = str(facts["pattern"])
        # Nobody who reads a sentence reads what stands for characters that cannot be seen.
        return say("mistakes.unseen") if r"\x00" in pattern else say("mistakes.form", pattern=pattern)
    if kind == "value_error":
        error = facts["error"]
        return say("mistakes.other", why=error.args[0] if error.args else "")
    wanted = next((key for name, key in _WANTED.items() if kind.startswith(f"{name}_")), None)
    return say(wanted) if wanted else say("mistakes.other", why=str(mistake["msg"]))


def told(words: Locale, mistakes: Sequence[Mapping[str, Any]], *, within: int = 0) -> str:
    """All of it in one line, each with its place. `within`: so much of a place goes without saying."""
    return " ".join(_told(words, mistakes, within))


def place_of(mistake: Mapping[str, Any], *, within: int = 0) -> str:
    """Where it is, as programs write it: `messages.0.content`."""
    return ".".join(str(part)[:MOST_OF_A_NAME] for part in mistake["loc"][within:])


def _told(words: Locale, mistakes: Sequence[Mapping[str, Any]], within: int) -> Iterator[str]:
    for mistake in mistakes:
        where, what = place_of(mistake, within=within), words.says(sentence(mistake))
        yield f"{where}: {what}" if where else what


def _bound(bound: object) -> object:
    """A number as the language writes it, and whatever else there are bounds of as everybody does."""
    if isinstance(bound, datetime):
        return bound.isoformat()
    if isinstance(bound, int | float) and abs(bound) < ENDLESS:
        return bound
    return str(bound)
