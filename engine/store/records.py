"""The nouns that are remembered. Frozen: a change is a statement in the store, never an attribute set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from engine.language import Source
from personas.persona import Persona, Rating


@dataclass(frozen=True)
class ChatRef:
    """Where: a front, the account it runs under there, a chat, and a thread in it where there are threads."""

    front: str
    account: str
    chat: str
    thread: str = ""


@dataclass(frozen=True)
class MessageRef:
    """One message on a platform."""

    chat: ChatRef
    id: str


@dataclass(frozen=True)
class Account:
    """Who, as a front knows them. Several accounts may be one Person."""

    front: str
    platform_id: str
    name: str = ""
    language: str = ""


@dataclass(frozen=True)
class Incoming:
    """What a front heard. `key` is the platform's own id of the update: heard twice, it is stored once."""

    chat: ChatRef
    account: Account
    text: str
    key: str
    message: str = ""

    @property
    def dedup_key(self) -> str:
        return f"{self.chat.front}:{self.chat.account}:{self.key}"


@dataclass(frozen=True)
class Person:
    """Who, across all fronts. Quotas, memories and fairness go by Person."""

    id: int
    name: str
    adult_confirmed_at: datetime | None = None


@dataclass(frozen=True)
class Place:
    """A chat as it is remembered: which persona is there, where the talk stands, what is allowed."""

    id: int
    ref: ChatRef
    persona_id: int | None = None
    head_turn_id: int | None = None
    #: The operator's word on how grown-up this place may be.
    rating: Rating = Rating.ALL_AGES
    ledger: dict[str, str] = field(default_factory=dict)


class TurnKind(StrEnum):
    WORDS = "words"
    #: An order to the house. It stands beside the talk, never in it.
    COMMAND = "command"


class TurnState(StrEnum):
    RECEIVED = "received"
    ANSWERING = "answering"
    ANSWERED = "answered"
    FAILED = "failed"


@dataclass(frozen=True)
class Turn:
    """Something said. Turns form a tree by `parent_id`; siblings are alternatives of one reply."""

    id: int
    chat_id: int
    parent_id: int | None
    kind: TurnKind
    state: TurnState
    text: str
    created_at: datetime
    #: Exactly one of the two: who said it.
    person_id: int | None = None
    persona_id: int | None = None
    source: Source | None = None
    dedup_key: str | None = None
    attempts: int = 0
    #: The platform's id of the message it came in or went out with.
    message: str = ""


@dataclass(frozen=True)
class PersonaRecord:
    """A persona as it is kept: one row, many revisions."""

    id: int
    persona: Persona
    revision: int
    #: `cast`, `made` (written by a model or the understudy), `imported` or `edited`.
    origin: str
    face_picture_id: int | None = None


class Lane(StrEnum):
    INTERACTIVE = "interactive"
    EVENTS = "events"
    SCHEDULED = "scheduled"
    BACKFILL = "backfill"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class PictureRequest:
    """What was asked for, complete: a job can be run again from this alone."""

    scene: str
    prompt: str
    negative: str
    style: str
    source: Source
    word_count: int
    seed: int
    count: int = 1
    width: int = 1024
    height: int = 1024
    steps: int = 20
    guidance: float = 7.5
    rating: Rating = Rating.ALL_AGES
    prompt_version: str = ""
    ledger: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Work that was promised: what is asked, its place in line, and what became of it."""

    id: int
    state: JobState
    lane: Lane
    fair_tag: int
    request: PictureRequest
    created_at: datetime
    person_id: int | None = None
    persona_id: int | None = None
    #: Where the outcome is delivered; None when somebody collects it.
    chat_id: int | None = None
    run_id: int | None = None
    parent_picture_id: int | None = None
    attempts: int = 0
    step: int = 0
    steps: int = 0
    error: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Picture:
    """A finished picture and all that made it."""

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
    created_at: datetime
    parent_id: int | None = None
    run_id: int | None = None
    batch_size: int = 1
    seconds: float = 0.0
    score: float | None = None
    cost: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Many pictures made on one order, and its audit."""

    id: int
    key: str
    version: int
    kind: str
    created_at: datetime
    state: str = "open"
    current: bool = True
    style: str = ""
    size: str = ""
    cohort: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    notes: str = ""
    cost: float = 0.0
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Schedule:
    """When a persona posts, where, and about what."""

    id: int
    chat_id: int
    persona_id: int
    spec: str
    zone: str
    created_at: datetime
    theme: str = ""
    state: str = "active"
    options: dict[str, Any] = field(default_factory=dict)
    next_due_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True)
class Post:
    """One occurrence of a schedule or a feed item. Its key makes it once."""

    id: int
    persona_id: int
    chat_id: int
    occurrence_key: str
    due_at: datetime
    state: str = "planned"
    schedule_id: int | None = None
    caption: str = ""
    job_id: int | None = None
    picture_id: int | None = None


class DeliveryKind(StrEnum):
    REPLY = "reply"
    NOTICE = "notice"
    PICTURE = "picture"
    POST = "post"


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    #: A send whose outcome is unknown, kept for the admin's word.
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True)
class Delivery:
    """A row of the outbox: something that a chat is owed."""

    id: int
    chat: ChatRef
    kind: DeliveryKind
    state: DeliveryState
    text: str
    nonce: str
    created_at: datetime
    turn_id: int | None = None
    job_id: int | None = None
    post_id: int | None = None
    source: Source | None = None
    #: Who speaks, for a reply: name and slug.
    persona_name: str = ""
    persona_slug: str = ""
    attempts: int = 0
    messages: tuple[str, ...] = ()
    error: str = ""
