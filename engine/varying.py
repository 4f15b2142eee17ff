"""Pure: a prompt in phrases, and what of it stays when it is shortened, or when something in it is to change.

What can change, and by which words it is known, stands in `data/prompts/`. Who is on the picture, and in which style,
is added by whoever writes the new prompt: nothing here puts words in.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from engine.language import count_words

#: So many variants are made of a prompt.
VARIANTS = 3
#: The template keeps the first 60 words of a wish: what changes must be among them.
FIRST_WORDS = 40
#: A phrase that names somebody and has no more words than this says only who it is.
JUST_A_NAME = 5

_PHRASE = re.compile(r"(?<=[,.;!?])\s+|\n+")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")

#: For each kind of change the words that it goes by, and the changes.
Changes = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Change:
    """What a variant changes: the kind, and how."""

    kind: str
    words: str


@dataclass(frozen=True)
class Anyway:
    """What is said of a picture without being asked for: who it is of, and texts that stand in every prompt."""

    who: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def says(self, phrase: str) -> bool:
        said = _spaced(phrase)
        if any(said in text for text in self._texts):
            return True
        return count_words(phrase) <= JUST_A_NAME and any(name in said for name in self._who)

    @cached_property
    def _who(self) -> tuple[str, ...]:
        return marks_of(self.who)

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return marks_of(self.texts)


def load_changes(name: str) -> Changes:
    told: Changes = tomllib.loads((resources.files("data") / "prompts" / f"{name}.toml").read_text("utf-8"))
    return told


def changes_for(text: str, changes: Changes, seed: int) -> list[tuple[Change, Sequence[str]]]:
    """What the variants change, each another kind, and the words that give way to it.

    What the subject itself says is changed last: a walk at night stays one as long as something else can change.
    """
    rng = random.Random(seed)
    subject = next(iter(phrases_of(text)), "")
    kinds = list(changes)
    rng.shuffle(kinds)
    kinds.sort(key=lambda kind: names(subject, marks_of(changes[kind]["words"])))
    return [
        (Change(kind, rng.choice(changes[kind]["changes"])), changes[kind]["words"])
        for kind in kinds[:VARIANTS]
    ]


def whole(text: str, anyway: Anyway, *, gives_way: Collection[str] = ()) -> str:
    """What a prompt says by itself: without what is said anyway, and without phrases that name what `gives_way`.

    The first phrase that is left says what the picture is of, and never gives way.
    """
    every = phrases_of(text)
    own = [phrase for phrase in every if not anyway.says(phrase)] or every
    marks = marks_of(gives_way)
    left = [phrase for place, phrase in enumerate(own) if place == 0 or not names(phrase, marks)]
    return " ".join(left) or text


def shortened_to(text: str, most: int, *, without: Anyway) -> tuple[str, bool]:
    """As many whole phrases of a text as so many characters hold, and whether some of its own had to stay out."""
    if len(text) <= most:
        return text, False
    kept: list[str] = []
    room = most
    left = phrases_of(whole(text, without))
    for phrase in left:
        room -= len(phrase) + bool(kept)
        if room < 0:
            break
        kept.append(phrase)
    if not kept:
        return (left[0] if left else text)[:most], True
    return " ".join(kept), len(kept) < len(left)


def with_change(text: str, change: Change) -> str:
    """A scene with what is otherwise in it, early enough that nobody who reads its beginning alone misses it."""
    phrases = phrases_of(text)
    words = place = 0
    for phrase in phrases:
        words += count_words(phrase)
        if place and words > FIRST_WORDS:
            break
        place += 1
    start, rest = " ".join(phrases[:place]).rstrip(" ,.;"), " ".join(phrases[place:])
    return ", ".join(part for part in (start, change.words, rest.rstrip(" ,")) if part)


def phrases_of(text: str) -> list[str]:
    """A prompt in phrases, each with the mark that ends it."""
    return [phrase for part in _PHRASE.split(text) if (phrase := " ".join(part.split()))]


def marks_of(words: Collection[str]) -> tuple[str, ...]:
    """Words, or groups of them, as they are looked for in a phrase."""
    return tuple(mark for word in words if (mark := _spaced(word)).strip())


def names(phrase: str, marks: Collection[str]) -> bool:
    """Whether one of these stands in a phrase."""
    said = _spaced(phrase)
    return any(mark in said for mark in marks)


def _spaced(text: str) -> str:
    """Small letters and one space around each word."""
    return f" {' '.join(word.casefold() for word in _WORD.findall(text))} "
