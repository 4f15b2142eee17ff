"""What the API takes and answers, as its document says it: numbers within their bounds, words of a length, lists by
pages. It is JSON alone: what any of it means, the routes know.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from engine.language import Source
from engine.store.jobs import LAST_ID
from engine.store.records import JobState, Lane
from personas.persona import Rating

Item = TypeVar("Item")

#: Ids as every store keeps them.
Id = Annotated[int, Field(ge=1, le=LAST_ID)]
IdInPath = Annotated[int, Path(ge=1, le=LAST_ID)]
#: A page begins behind this one.
Before = Annotated[int | None, Query(ge=1, le=LAST_ID)]
Limit = Annotated[int, Query(ge=1, le=200)]
#: Whole numbers that fit in 64 bits; which of them make sense, the engine says in a sentence.
Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Slug = Annotated[str, Path(min_length=1, max_length=200)]
Short = Annotated[str, Field(max_length=200)]
#: More than any setting would take.
Long = Annotated[str, Field(max_length=20_000)]
#: One line: no store keeps a zero byte, and nobody reads what cannot be seen.
LINE = r"^[^\x00-\x1f\x7f]*$"
Address = Annotated[str, Field(max_length=2_000, pattern=r"^[^\s\x00-\x1f\x7f]*$")]
#: The asker's own id of an order: asked twice, it is done once.
Key = Annotated[str, Field(min_length=1, max_length=64, pattern=LINE)]


class Given(BaseModel):
    """What somebody sends: a misspelt name is a mistake, and not passed over."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[Item]):
    """So many of a list, and behind which one the next page begins."""

    items: list[Item]
    next: int | None = None


class ShotOut(BaseModel):
    """A picture in a list."""

    id: int
    persona: str
    style: str
    width: int
    height: int
    rating: Rating
    stand_in: bool
    created_at: str
    thumb: str
    image: str


class PictureOut(BaseModel):
    """A picture, and all that made it."""

    id: int
    job_id: int
    persona_id: int | None
    number: int
    file: str
    scene: str
    prompt: str
    negative: str
    style: str
    source: Source
    word_count: int
    seed: int
    width: int
    height: int
    steps: int
    guidance: float
    rating: Rating
    model: str
    device: str
    stand_in: bool
    created_at: str
    parent_id: int | None
    run_id: int | None
    batch_size: int
    seconds: float
    score: float | None
    cost: float
    facts: dict[str, Any]
    image: str
    thumb: str


class RequestOut(BaseModel):
    """What was asked for, complete."""

    scene: str
    prompt: str
    negative: str
    style: str
    source: Source
    word_count: int
    seed: int
    count: int
    width: int
    height: int
    steps: int
    guidance: float
    rating: Rating
    prompt_version: str
    ledger: dict[str, Any]
    scheduler: str
    hires: bool
    strength: float | None
    loras: dict[str, float]
    alone: bool


class JobOut(BaseModel):
    """A picture job: what is asked, its place in line, and what became of it."""

    id: int
    state: JobState
    lane: Lane
    #: How many stand before it, where it waits.
    ahead: int | None
    step: int
    steps: int
    attempts: int
    error: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    persona_id: int | None
    request: RequestOut
    pictures: list[PictureOut]


class PersonaOut(BaseModel):
    """Who somebody is, in the few words and colours that a chat needs."""

    id: int
    slug: str
    name: str
    called: str
    occupation: str
    home: str
    palette: list[str]


def page_of(found: list[Any], limit: int, shown: list[Any], at: str = "id") -> dict[str, Any]:
    """`found` was read with one more than `limit`: whether there is a next page."""
    more = len(found) > limit
    return {"items": shown[:limit], "next": getattr(found[limit - 1], at) if more else None}
