"""The sentences of the house, in the languages of `data/locales/`. What a persona says is none of its business.

A sentence has a key and facts. `say` makes it in English, and what it makes remembers both, so that an error that
was raised deep down can be told in anybody's language by whoever shows it: `Locale.says(error)`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Self

from babel import Locale as Customs
from babel import dates, lists, numbers

#: What is spoken where somebody's language is not here.
ENGLISH = "en"
#: Never taken for a fact: which of a sentence's forms is said goes by this one, as in `1 picture`, `2 pictures`.
COUNTED = "n"
#: Nobody reads longer numbers, and babel writes none: somebody who orders 10**30 pictures is told `∞`.
ENDLESS = 10**18

Sentences = Mapping[str, str | Mapping[str, str]]


class FromNow(timedelta):
    """A span of time as a moment: `in 5 minutes`, where a plain span is `5 minutes`."""


class Said(str):
    """A sentence in English that can be said again in another language."""

    __slots__ = ("facts", "key")
    key: str
    facts: Mapping[str, object]

    @classmethod
    def of(cls, text: str, key: str, facts: Mapping[str, object]) -> Self:
        said = cls(text)
        said.key, said.facts = key, facts
        return said


@dataclass(frozen=True)
class Locale:
    """One language: its sentences, and its customs with numbers, lists and spans of time."""

    code: str
    sentences: Sentences
    customs: Customs

    def say(self, key: str, /, **facts: object) -> str:
        """A sentence with its facts. One that is not translated is said in English, and never left out."""
        template = self.sentences.get(key)
        if template is None:
            if self.code == ENGLISH:
                raise KeyError(f"there is no sentence {key!r} in data/locales/{ENGLISH}")
            return locale_of(ENGLISH).say(key, **facts)
        if not isinstance(template, str):
            counted = facts.get(COUNTED, 0)
            form = self.customs.plural_form(counted if isinstance(counted, int) else 0)
            template = template.get(form) or template["other"]
        return template.format_map({name: self._told(fact) for name, fact in facts.items()})

    def says(self, words: object) -> str:
        """The same sentence in this language; words that are nobody's sentence stay as they are."""
        if isinstance(words, BaseException):
            words = words.args[0] if words.args else ""
        if isinstance(words, Said):
            return words if self.code == ENGLISH else self.say(words.key, **words.facts)
        return str(words)

    def _told(self, fact: object) -> str:
        """A fact as it is told here. Whatever it holds is text by now, and no template any more."""
        if isinstance(fact, Said):
            return self.says(fact)
        if isinstance(fact, timedelta):
            ahead = isinstance(fact, FromNow)
            return str(dates.format_timedelta(fact, locale=self.customs, threshold=1, add_direction=ahead))
        if isinstance(fact, bool) or not isinstance(fact, int | float | list | tuple):
            return str(fact)
        if isinstance(fact, list | tuple):
            return str(lists.format_list([self._told(one) for one in fact], locale=self.customs))
        if abs(fact) >= ENDLESS:
            fact = math.inf if fact > 0 else -math.inf
        return str(numbers.format_decimal(fact, locale=self.customs))


def say(key: str, /, **facts: object) -> Said:
    """A sentence in English, which can still be said in other languages. Numbers are told with the customs of the
    language, so what is no amount, such as a job's id, is a `str`.
    """
    return Said.of(locale_of(ENGLISH).say(key, **facts), key, facts)


def locale_of(code: str) -> Locale:
    """The locale for a language as platforms name it (`de`, `de-AT`, `pt_BR`); English where there is none."""
    wanted = code.replace("_", "-").lower()
    there = languages()
    while wanted:
        if wanted in there:
            return _locale(wanted)
        wanted = wanted.rpartition("-")[0]
    return _locale(ENGLISH)


@cache
def languages() -> tuple[str, ...]:
    """The languages that are there, English first."""
    found = [entry.name for entry in _folder().iterdir() if entry.is_dir()]
    codes = [name for name in found if not name.startswith(("_", "."))]
    return (ENGLISH, *sorted(set(codes) - {ENGLISH}))


def _folder() -> Traversable:
    return resources.files("data").joinpath("locales")


@cache
def _locale(code: str) -> Locale:
    return Locale(code, dict(_sentences(code)), Customs.parse(code.replace("-", "_")))


def _sentences(code: str) -> Iterator[tuple[str, str | Mapping[str, str]]]:
    """All sentences of a language; a key is the file's name and the tables that it stands in, with dots."""
    for file in _folder().joinpath(code).iterdir():
        if file.name.endswith(".toml"):
            yield from _flat(file.name.removesuffix(".toml"), tomllib.loads(file.read_text("utf-8")))


def _flat(name: str, told: Mapping[str, Any]) -> Iterator[tuple[str, str | Mapping[str, str]]]:
    for key, value in told.items():
        if isinstance(value, str) or "other" in value:
            yield f"{name}.{key}", value
        else:
            yield from _flat(f"{name}.{key}", value)
