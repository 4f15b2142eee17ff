"""The seam to whatever writes words: llama.cpp, another server, or the understudy.

A request carries both the segments a model reads and the facts they were made from, so that a template can
answer it too. What comes back is plain text in pieces; whoever asked checks it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from personas.appearance import Scene
from personas.persona import Persona, Rating
from personas.prompting import Line, Segment

#: A picture prompt has this many words, whoever wrote it.
PROMPT_WORDS = range(100, 201)


def count_words(text: str) -> int:
    """Words as prompts count them: runs between white space that hold a letter or a digit."""
    return sum(any(c.isalnum() for c in run) for run in text.split())


class Source(StrEnum):
    """Who wrote it. `understudy` is told to the person, discreetly."""

    MODEL = "model"
    UNDERSTUDY = "understudy"
    #: A prompt that somebody wrote by hand.
    PERSON = "person"


class Task(StrEnum):
    """What is written; a model may be chosen for each."""

    CHAT = "chat"
    PROMPTS = "prompts"
    CASTING = "casting"


@dataclass(eq=False)
class Tally:
    """What a reply took, in tokens, as far as whoever wrote it can tell."""

    read: int = 0
    written: int = 0
    #: It ended because it was not to be longer.
    full: bool = False


@dataclass(frozen=True)
class ReplyWanted:
    """The next words of `persona` in a talk; the last of `lines` is what was just said to it."""

    persona: Persona
    lines: tuple[Line, ...]
    person_name: str = ""
    segments: tuple[Segment, ...] = ()
    seed: int = 0
    #: Replies to the same words that the person did not keep; the next should differ.
    rejected: tuple[str, ...] = ()
    #: A model that was asked for by name; empty: the persona's, or else the house's.
    model: str = ""
    #: Which talk this is, for whoever keeps what was read of it; empty: none that goes on.
    talk: str = ""
    #: At most so many tokens, where that is less than the house allows.
    most: int | None = None
    #: Whoever writes notes there what it took.
    tally: Tally | None = field(default=None, compare=False)


@dataclass(frozen=True)
class CaptionWanted(ReplyWanted):
    """What `persona` posts: an answer to the house, which nobody waits for."""

    #: What it is about; empty: the persona's own ideas.
    theme: str = ""
    #: When it is posted, where that is: `Monday`, `evening`.
    weekday: str = ""
    part: str = ""
    #: What it posted last, the newest first.
    recent: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptWanted:
    """A positive picture prompt of 100 to 200 words for a scene. `style_words` must be among them."""

    scene: Scene
    style: str = "photorealistic"
    style_words: str = ""
    rating: Rating = Rating.ALL_AGES
    segments: tuple[Segment, ...] = ()
    seed: int = 0
    model: str = ""


@dataclass(frozen=True)
class PersonaWanted:
    """A new persona, as JSON in the fields of `Persona`."""

    kind: str = ""
    name: str = ""
    taken: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    seed: int = 0
    model: str = ""


Wanted = ReplyWanted | PromptWanted | PersonaWanted


def task_of(wanted: Wanted) -> Task:
    if isinstance(wanted, ReplyWanted):
        return Task.CHAT
    return Task.PROMPTS if isinstance(wanted, PromptWanted) else Task.CASTING


class LanguageModel(Protocol):
    """Writes what is wanted, piece by piece.

    Closing the iterator stops the writing at once. A model that cannot answer raises `ModelUnavailable`;
    it never returns an empty text.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> Source: ...

    def write(self, wanted: Wanted) -> AsyncGenerator[str, None]: ...

    async def close(self) -> None: ...
