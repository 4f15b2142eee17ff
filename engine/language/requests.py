"""What is asked of whoever runs a model, and what it answers: plain data that crosses threads and processes."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.language.sampling import Sampling
from personas.prompting import Reach, Segment, without_pictures


@dataclass(frozen=True)
class Request:
    """A text to be written behind these segments. Whoever writes it sees nothing: pictures become a note."""

    segments: tuple[Segment, ...]
    sampling: Sampling = field(default_factory=Sampling)
    #: At most so many tokens.
    most: int = 600
    #: Smaller goes first.
    rank: int = 0
    grammar: str = ""
    #: Whose next request will begin like this one; empty: nobody's.
    talk: str = ""
    #: What was written of it already, by somebody who could not end it.
    begun: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", without_pictures(self.segments))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Request:
        segments = tuple(Segment(Reach(one["reach"]), one["role"], one["text"]) for one in told["segments"])
        return cls(**(told | {"segments": segments, "sampling": Sampling(**told["sampling"])}))


@dataclass(frozen=True)
class News:
    """More of a text, or its end. `error` says why nothing more comes, in words for the operator."""

    request: int
    text: str = ""
    ended: bool = False
    error: str = ""
    #: At the end: the tokens of the prompt, those that were written, and whether more were not allowed.
    read: int = 0
    written: int = 0
    full: bool = False


@dataclass(frozen=True)
class Ready:
    """The model is loaded."""

    title: str
    back_end: str
    parameters: int
    size: int
    seconds: float
    #: Whether what it writes begins inside a thought, which is not shown.
    thinks: bool = False


@dataclass(frozen=True)
class Broken:
    """Nothing more can be written there. `crashed`: the process that did it is gone, and another one may do it."""

    reason: str
    crashed: bool = False


Told = News | Ready | Broken


def numbers() -> itertools.count[int]:
    """Names for requests, each used once."""
    return itertools.count(1)
