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

    def key(self, given: str) -> str:
        """What is said here under a key that only this chat knows; no chat with such keys has a slash in its name."""
        return f"{self.chat}/{given}"


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
    #: The language is what is spoken around them, and not what they themselves told their platform.
    guessed: bool = False


@dataclass(frozen=True)
class Attachment:
    """Something that came with a message: kept as a note of what it was, so that it can be looked at later."""

    #: photo, voice, video, sticker, file or place.
    kind: str
    #: How the front finds its bytes again.
    id: str = ""
    name: str = ""
    mime: str = ""
    size: int = 0


@dataclass(frozen=True)
class Incoming:
    """What a front heard. `key` is the platform's own id of the update: heard twice, it is stored once."""

    chat: ChatRef
    account: Account
    text: str
    key: str
    #: The platform's id of the message; for a command on Discord, of the message that will hold its answer.
    message: str = ""
    #: Several people may be in the chat: personas there answer only to whoever speaks to them.
    shared: bool = False
    #: The bot itself was called by its name on the platform.
    mentioned: bool = False
    #: The message that this one replies to.
    reply_to: str = ""
    attachments: tuple[Attachment, ...] = ()
    #: Whether the platform has nothing against grown-up things here: Discord's age mark, or no such mark at all.
    allows_mature: bool = True
    #: Where the platform wants the answer, in its own terms: an interaction's token. Opaque to all but the front.
    answer_to: str = ""
    #: A button was pressed, a choice made: an order that nobody typed.
    pressed: bool = False
    #: Under which names an operator may allow or block this place and this person: its server; their roles.
    places: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    #: False for whoever runs the house: nobody needs to tell them what they talk with.
    stranger: bool = True
    #: No platform keeps what was said here: it is to stand among the messages of the page.
    kept_by_us: bool = False

    @property
    def dedup_key(self) -> str:
        return f"{self.chat.front}:{self.chat.account}:{self.key}"


@dataclass(frozen=True)
class Person:
    """Who, across all fronts. Quotas, memories and fairness go by Person."""

    id: int
    name: str
    adult_confirmed_at: datetime | None = None
    #: What they want to be spoken to in, as far as the house itself speaks: `de`, `pt-br`; empty: not known.
    language: str = ""


@dataclass(frozen=True)
class Reaction:
    """Somebody put an emoji under a message of ours, or took it away."""

    chat: ChatRef
    account: Account
    message: str
    emoji: str
    added: bool = True


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
    #: Personas that are here too, beside the one of `persona_id`.
    guests: tuple[int, ...] = ()
    shared: bool = False
    #: The platform's word; see `Incoming.allows_mature`.
    allows_mature: bool = True
    #: What the people here decided: `answers` (`called` or `all`), …
    settings: dict[str, str] = field(default_factory=dict)
    #: Since when we are no longer welcome there.
    left_at: datetime | None = None


class TurnKind(StrEnum):
    WORDS = "words"
    #: An order to the house. It stands beside the talk, never in it.
    COMMAND = "command"
    #: Something without a word that nobody here can look at yet.
    ATTACHMENT = "attachment"


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
    #: The platform's id of the message it came in with, and where it wants the answer (`Incoming.answer_to`).
    message: str = ""
    answer_to: str = ""
    attachments: tuple[Attachment, ...] = ()
    #: The personas that are to answer, one after the other; empty: whoever is here.
    wanted: tuple[int, ...] = ()
    #: Whose words led to this, where a persona said it and another one is to answer.
    asked_by: int | None = None


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
    #: By name; empty: what suits the model.
    scheduler: str = ""
    #: In two passes: small, then once more at its full size.
    hires: bool = False
    #: It begins from the job's parent picture, and goes so far from it; None: it begins from noise.
    strength: float | None = None
    #: Names of LoRAs, and their weights.
    loras: dict[str, float] = field(default_factory=dict)
    #: Nobody shares its pass: a replay is to be what it would be by itself, to the last bit.
    alone: bool = False


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
    #: The order that it came from.
    turn_id: int | None = None
    run_id: int | None = None
    parent_picture_id: int | None = None
    attempts: int = 0
    step: int = 0
    steps: int = 0
    error: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    #: What whoever asked was told first: seconds from then, see `engine.estimating.Expected`.
    promised_at: datetime | None = None
    likely: float | None = None
    at_most: float | None = None


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
    options: dict[str, Any] = field(default_factory=dict)
    ended_at: datetime | None = None


class ScheduleState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    #: Its last time is over.
    ENDED = "ended"


@dataclass(frozen=True)
class Schedule:
    """When a persona posts, where, and about what; or when pictures are ordered, which its options say."""

    id: int
    chat_id: int
    #: 0: nobody posts, for it orders pictures.
    persona_id: int
    spec: str
    zone: str
    created_at: datetime
    theme: str = ""
    state: ScheduleState = ScheduleState.ACTIVE
    person_id: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    next_due_at: datetime | None = None
    ends_at: datetime | None = None


class PostState(StrEnum):
    PLANNED = "planned"
    #: Its caption stands, and its picture is in line or about to be.
    MAKING = "making"
    #: Made, and nobody has looked at it who must.
    WAITING = "waiting"
    #: Made, and waits for its time.
    READY = "ready"
    #: Owed to its chats: from here on the outbox knows what became of it.
    PUBLISHED = "published"
    SKIPPED = "skipped"
    FAILED = "failed"
    RECALLED = "recalled"


@dataclass(frozen=True)
class Post:
    """One occurrence of a schedule or a feed item. Its key makes it once."""

    id: int
    persona_id: int
    chat_id: int
    occurrence_key: str
    due_at: datetime
    state: PostState
    created_at: datetime
    schedule_id: int | None = None
    caption: str = ""
    theme: str = ""
    #: Who wrote the caption; None before it is written.
    source: Source | None = None
    job_id: int | None = None
    picture_id: int | None = None
    error: str = ""
    options: dict[str, Any] = field(default_factory=dict)


class FeedKind(StrEnum):
    #: We look at it.
    FEED = "feed"
    #: Others knock.
    HOOK = "hook"


class FeedState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"


@dataclass(frozen=True)
class Feed:
    """What a place listens to: each item of it becomes a post of a persona there."""

    id: int
    chat_id: int
    persona_id: int
    kind: FeedKind
    created_at: datetime
    address: str = ""
    #: Of a hook: the SHA-256 of its secret, in hex.
    secret: str = ""
    state: FeedState = FeedState.ACTIVE
    person_id: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    etag: str = ""
    modified: str = ""
    next_at: datetime | None = None
    failures: int = 0
    error: str = ""


@dataclass(frozen=True)
class FeedItem:
    """An item that was seen; without a post where it was only remembered."""

    feed_id: int
    key: str
    created_at: datetime
    post_id: int | None = None
    title: str = ""
    link: str = ""
    #: What a hook was told, in brief; None of a feed's, whose items may be worded anew.
    told: str | None = None


class DeliveryKind(StrEnum):
    #: A persona's words, in Markdown. Everything else that is owed is plain text.
    REPLY = "reply"
    NOTICE = "notice"
    PICTURE = "picture"
    POST = "post"
    #: Messages of ours that are to go: `Manner.removes`.
    REMOVAL = "removal"


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    #: A send whose outcome is unknown, kept for the admin's word.
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True)
class Button:
    """What can be pressed under a message. It holds an order, `reroll 12`: a command and an id, and nothing else."""

    label: str
    order: str
    #: plain, good or danger.
    style: str = "plain"


@dataclass(frozen=True)
class Question:
    """The house asks back. What the person says next is taken for the rest of `order`."""

    order: str
    #: What is already there to be changed, where the platform can offer that.
    prefill: str = ""


@dataclass(frozen=True)
class Manner:
    """How something owed is to be shown, beyond its words."""

    buttons: tuple[tuple[Button, ...], ...] = ()
    #: For the eyes of the one who asked, where the platform can do that.
    quiet: bool = False
    question: Question | None = None
    removes: tuple[str, ...] = ()
    #: Turns of a persona that this one is said instead of: their messages show this from now on.
    replaces_turns: tuple[int, ...] = ()
    #: The turn under which it was drafted, where that is not the one that it answers: a command.
    drafted_under: int | None = None
    #: Personas whose faces are shown beside the words, by id.
    faces: tuple[int, ...] = ()
    #: Passages of the words, in their order, that are to be copied as they stand: code, where the platform has it.
    code: tuple[str, ...] = ()
    #: What is struck out of the words once they were shown: nobody can be told it again.
    secrets: tuple[str, ...] = ()


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
    persona_id: int | None = None
    attempts: int = 0
    messages: tuple[str, ...] = ()
    error: str = ""
    manner: Manner = Manner()
    #: The turn that this answers, its message on the platform, and where the platform wants the answer.
    answers_id: int | None = None
    answers_message: str = ""
    answer_to: str = ""
    #: The person that this is for, and their language.
    person_id: int | None = None
    language: str = ""
    chat_id: int = 0
    #: It was being sent when the last process ended: it may have arrived.
    unsure: bool = False


@dataclass(frozen=True)
class Mark:
    """A reaction that stands under a message of the page."""

    emoji: str
    #: Those who put it there, as the page's platform knows them.
    by: tuple[str, ...]


class By(StrEnum):
    """Whose a message of the page is."""

    PERSON = "person"
    PERSONA = "persona"
    HOUSE = "house"


@dataclass(frozen=True)
class Message:
    """What stands in a chat of the page."""

    id: int
    chat_id: int
    by: By
    text: str
    #: The latest change of it; one number for all messages, that only grows.
    revision: int
    created_at: datetime
    name: str = ""
    slug: str = ""
    source: Source | None = None
    turn_id: int | None = None
    job_id: int | None = None
    #: Pictures, by id; and the slugs of personas whose faces are shown.
    pictures: tuple[int, ...] = ()
    faces: tuple[str, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    #: It was taken away, and holds nothing any more.
    gone: bool = False
    #: What it asks, where it asks back; and which of its lines are to be copied as they stand: see `Manner`.
    question: Question | None = None
    code: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


class Scope(StrEnum):
    """What somebody may do who comes in by a key."""

    #: Talk, in chats of their own.
    CHAT = "chat"
    #: Have pictures made, and look after the jobs of their own.
    MAKE = "make"
    #: Look at everything.
    READ = "read"
    #: Change everything. It holds the others.
    MANAGE = "manage"


@dataclass(frozen=True)
class Key:
    """What another program shows to be let in. Of the key itself only a hash is kept."""

    id: int
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    #: So many requests a minute; 0: as many as they like.
    rate: int = 0
    used_at: datetime | None = None
    revoked_at: datetime | None = None


class CallbackState(StrEnum):
    OWED = "owed"
    SENT = "sent"
    GIVEN_UP = "given-up"


@dataclass(frozen=True)
class Callback:
    """Somebody wants to be told at an address of theirs when a job has ended."""

    id: int
    job_id: int
    address: str
    state: CallbackState
    created_at: datetime
    #: Whose secret signs it; None: the house's.
    key_id: int | None = None
    attempts: int = 0
    error: str = ""
    #: When it is tried again.
    available_at: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A browser that was let in, until it signs out or the time is over."""

    id: int
    created_at: datetime
    ends_at: datetime
    #: Who came in by a key may do what the key may.
    key: Key | None = None
