"""The seam to a place where people talk: what a front must do, and what it is asked to show.

A front maps a platform to these nouns and decides nothing. It hands what it heard to the desk, and shows what the
desk and the outbox give it, at the pace that its platform likes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from engine.store.records import (
    Account,
    Attachment,
    Button,
    ChatRef,
    Delivery,
    Incoming,
    Picture,
    Question,
    Reaction,
)

__all__ = [
    "Account",
    "Attachment",
    "Button",
    "ChatRef",
    "Choice",
    "Draft",
    "Entry",
    "Face",
    "Front",
    "FrontDesk",
    "Incoming",
    "Option",
    "OptionKind",
    "Outgoing",
    "Progress",
    "Question",
    "Reaction",
]

Buttons = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True)
class Face:
    """Who speaks: a name, and a picture that changes only when `key` does."""

    name: str
    key: str
    #: A square PNG.
    picture: Callable[[], Awaitable[bytes]]
    slug: str = ""


@dataclass(frozen=True)
class Outgoing:
    """One thing that a chat is owed, complete: its words, and its pictures with their bytes."""

    delivery: Delivery
    pictures: tuple[tuple[Picture, bytes], ...] = ()
    #: What is shown of the pictures where a message holds one: the picture, or all of them as a grid. Or faces.
    image: bytes = b""
    #: Whose faces these are, where they are faces: slugs.
    faces: tuple[str, ...] = ()
    face: Face | None = None
    #: Messages of ours in whose place this comes: a draft, the message in which a job showed how it went.
    replaces: tuple[str, ...] = ()

    @property
    def chat(self) -> ChatRef:
        return self.delivery.chat

    @property
    def code(self) -> tuple[slice, ...]:
        """Where in its words the passages stand that are to be copied: whole lines, one behind the other."""
        text, found, at = self.delivery.text, [], 0
        for passage in self.delivery.manner.code:
            # A short one may also be a word of the sentences around it.
            start = f"\n{text}\n".find(f"\n{passage}\n", at)
            if start >= 0 and passage.strip():
                at = start + len(passage)
                found.append(slice(start, at))
        return tuple(found)


@dataclass(frozen=True)
class Draft:
    """A reply while it is being written."""

    chat: ChatRef
    #: The turn that is being answered; one number for all drafts of one reply.
    turn_id: int
    #: What stands so far, in Markdown; empty: about to write.
    text: str
    face: Face | None = None
    #: The person's message that is being answered, and where the platform wants the answer.
    answers_message: str = ""
    answer_to: str = ""
    #: Messages that hold earlier drafts of this reply.
    messages: tuple[str, ...] = ()
    #: Stops the writing.
    stop: Button | None = None


@dataclass(frozen=True)
class Progress:
    """How a job stands, for the message that shows it."""

    chat: ChatRef
    message: str
    text: str
    buttons: Buttons = ()
    #: A picture in the making, small.
    preview: bytes = b""
    #: While it is drawn: its words without what changes at each step, for who shows the steps in another way.
    still: str = ""


class OptionKind(StrEnum):
    WORDS = "words"
    NUMBER = "number"
    #: Somebody of the cast, a style, a job: suggested while typing.
    PERSONA = "persona"
    STYLE = "style"
    JOB = "job"
    #: Of whoever is here, or of whom `--persona` names.
    POSE = "pose"
    OUTFIT = "outfit"
    #: One of `choices`.
    CHOICE = "choice"


@dataclass(frozen=True)
class Choice:
    value: str
    label: str


@dataclass(frozen=True)
class Option:
    """Something that may be said with a command. `flag` is empty for its main words."""

    name: str
    says: str
    kind: OptionKind = OptionKind.WORDS
    flag: str = ""
    required: bool = False
    choices: tuple[Choice, ...] = ()
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the menu: a command, in somebody's language."""

    name: str
    says: str
    options: tuple[Option, ...] = ()
    #: `/persona use …`: then the command itself has no options.
    parts: tuple[Entry, ...] = ()
    #: The answer is for the asker's eyes.
    quiet: bool = False
    #: Shown to operators only.
    operators_only: bool = False


class FrontDesk(Protocol):
    """What a front calls. Its own work is to map, and to call these."""

    async def hear(self, incoming: Incoming) -> None:
        """Store what was heard, and see that it is answered. Only when this has returned may the front
        acknowledge it to its platform. Raises only `StoreError`: it was not stored, and may be offered again.
        """

    async def react(self, reaction: Reaction) -> None:
        """Keep a reaction with what it is about."""

    async def moved(self, old: ChatRef, new: ChatRef) -> None:
        """A chat has a new name on its platform: a Telegram group became a supergroup."""

    async def left(self, chat: ChatRef) -> None:
        """We were shown the door, or blocked: nothing more is owed there until somebody speaks to us again."""

    def stop(self, chat: ChatRef) -> bool:
        """Stop the reply that is being written in a chat; False when there is none."""

    def menu(self, language: str) -> Sequence[Entry]:
        """What can be asked for, in a language."""

    def languages(self) -> Sequence[str]:
        """The languages in which there is a menu, English first."""

    async def suggestions(self, kind: OptionKind, typed: str, incoming: Incoming) -> Sequence[Choice]:
        """What somebody may mean who has typed this much; at most 25."""

    async def question(self, incoming: Incoming) -> tuple[str, Question] | None:
        """The sentence and the question that an order would be met with, for platforms that ask with a form of
        their own; None where nothing is missing. Nothing is stored.
        """

    def says(self, key: str, language: str, **facts: object) -> str:
        """A sentence of `data/locales`, for what only a front can know of: buttons of its own, its own troubles."""


class Front(Protocol):
    @property
    def name(self) -> str:
        """The `front` of its ChatRefs."""

    @property
    def account(self) -> str:
        """The `account` of its ChatRefs: which bot, where one front runs several."""

    @property
    def recognises_repeats(self) -> bool:
        """Whether showing the same delivery twice is seen as once."""

    @property
    def keeps_messages(self) -> bool:
        """Whether its messages stay, can be edited, replied to and reacted to. A terminal's scroll away."""

    async def run(self, desk: FrontDesk) -> None:
        """Listen until cancelled. Ending or raising means that the front must be started again, but for
        `SettingsError`: then it never works with these settings, and the message says what to do.
        """

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        """Show what stands so far of a reply; it may be dropped. Answers the messages that hold it now, if any."""

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        """Show something for good; answers the platform's ids of the messages.

        Raises `NotReachable` when nobody is there now, `DeliveryFailed` when it can never work, `TryAgain`
        when the platform asks to wait.
        """

    async def tell(self, incoming: Incoming, text: str) -> None:
        """Say something that is not kept, to whoever has just spoken: a refusal, a mistake."""

    async def progress(self, progress: Progress) -> None:
        """Show how a job stands, in the message that is already there; it may be dropped."""

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        """Whether the platform gives somebody charge of a chat: an admin of the group, of the server."""
