"""Sentences of the house as rows keep them: in English, with their key and facts, to be told in anybody's language.

What is no sentence of the house is kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.locales import FromNow, Said, say

#: With this begins what is more than words.
_BEGINNING = '{"said":'


def kept(words: str) -> str:
    """Text for a column."""
    return json.dumps(_folded(words), ensure_ascii=False) if isinstance(words, Said) else str(words)


def told(text: str) -> str:
    """The words of a column; a `Said` where they can be said in other languages."""
    if not text.startswith(_BEGINNING):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return restored(found)


def restored(found: Mapping[str, Any]) -> str:
    """A sentence from its words, its key and its facts."""
    try:
        return _sentence(found)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
    ):  # it was written by a version that says other things
        return str(found.get("said", ""))


def _folded(fact: object) -> Any:
    if isinstance(fact, BaseException):
        fact = fact.args[0] if fact.args else ""
    if isinstance(fact, Said):
        facts = {name: _folded(one) for name, one in fact.facts.items()}
        return {"said": str(fact), "key": fact.key, "facts": facts}
    if isinstance(fact, timedelta):
        return {"ahead" if isinstance(fact, FromNow) else "span": fact.total_seconds()}
    if isinstance(fact, list | tuple):
        return [_folded(one) for one in fact]
    return fact if isinstance(fact, bool | int | float) else str(fact)


def _unfolded(fact: Any) -> Any:
    if isinstance(fact, list):
        return [_unfolded(one) for one in fact]
    if not isinstance(fact, Mapping):
        return fact
    if "span" in fact:
        return timedelta(seconds=fact["span"])
    if "ahead" in fact:
        return FromNow(seconds=fact["ahead"])
    return _sentence(fact)


def _sentence(found: Mapping[str, Any]) -> Said:
    return say(found["key"], **{name: _unfolded(one) for name, one in found["facts"].items()})
