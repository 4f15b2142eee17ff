"""What a command is made of, what it is told when somebody gives it, and how it answers.

It knows no command by name. What a command changes, its notice and the mark that it was answered are one
transaction, `Call.answer`: after a crash it either happened or it is done again from the start.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.front import Buttons, Option, OptionKind
from engine import rights
from engine.conversation import Draft
from engine.engine import Engine
from engine.errors import BadRequest, Refused
from engine.language import Source
from engine.locales import Locale, locale_of, say
from engine.posting import Transaction
from engine.store import chats, outbox, people
from engine.store.atonce import Work
from engine.store.chats import Said
from engine.store.records import DeliveryKind, Manner, Person, Place, Question
from personas.persona import Rating

Outcome = TypeVar("Outcome")

#: A draft that the chat sees growing, for as long as the block lasts: the desk lends it to what makes a persona talk.
Writing = Callable[[], AbstractAsyncContextManager[Draft]]
#: Whether the platform gives somebody, by their id there, charge of the chat.
InCharge = Callable[[str], Awaitable[bool]]
#: A sentence that asks back, and what is to be said after its answer.
Asked = tuple[str, Question]

#: What an order names by its number.
ID = Option("id", "", OptionKind.NUMBER, required=True, least=1)

_NUMBERED = re.compile(r"#?(\d{1,9})(?:\s+(.*))?", re.DOTALL | re.ASCII)


class AlreadyAnsweredError(Exception):
    """The command had happened before: a crash came between its end and anybody's knowing."""


def numbered(words: str) -> tuple[int, str] | None:
    """The number that words begin with, `12` or `#12`, and the rest of them."""
    matched = _NUMBERED.fullmatch(words)
    return (int(matched[1]), matched[2] or "") if matched else None


async def nobody(_platform_id: str) -> bool:
    return False


@asynccontextmanager
async def unseen() -> AsyncIterator[Draft]:
    """Words that nobody sees growing."""
    yield Draft()


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who asks, where, and with which words."""

    engine: Engine
    person: Person
    place: Place
    words: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    lent_charge: InCharge = nobody

    @property
    def locale(self) -> Locale:
        return locale_of(self.person.language)

    def say(self, key: str, **facts: object) -> str:
        """A sentence in the language of whoever asks."""
        return self.locale.say(key, **facts)

    @property
    def allowed_rating(self) -> Rating:
        """How grown-up things may be here, for whoever asks."""
        return self.engine.presence.allowed_rating(self.place, self.person)

    async def is_operator(self) -> bool:
        return rights.is_operator(
            self.engine.settings.people, self.place.ref.front, await self._platform_ids()
        )

    async def in_charge(self) -> bool:
        """Whether they decide about this chat: everybody at home, an admin of a group or server, an operator."""
        if not self.place.shared or await self.is_operator():
            return True
        for platform_id in await self._platform_ids():
            if await self.lent_charge(platform_id):
                return True
        return False

    async def demand_operator(self) -> None:
        if not await self.is_operator():
            raise Refused(say("rights.operators_only"))

    async def demand_charge(self, otherwise: str = "") -> None:
        """`otherwise`: what is said to all others."""
        if not await self.in_charge():
            raise Refused(otherwise or say("rights.in_charge_only"))

    async def number_in_charge(self, otherwise: str) -> tuple[int, str]:
        """What somebody in charge names by its number, and what else they say. `otherwise`: to whoever names none."""
        await self.demand_charge()
        told = numbered(self.words)
        if told is None:
            raise BadRequest(otherwise)
        return told

    async def _platform_ids(self) -> list[str]:
        async with self.engine.database.read() as tx:
            return await people.platform_ids(tx, self.person.id, self.place.ref.front)


@dataclass
class Answer:
    """What the person is told. `tx` is the transaction that a command's changes go into."""

    tx: AsyncConnection
    text: str = ""
    #: The message shows this job from now on; its buttons come with it.
    job_id: int | None = None
    source: Source | None = None
    buttons: Buttons = ()
    #: For the eyes of the one who asked.
    quiet: bool = False
    #: What they say next is taken for the rest of an order.
    question: Question | None = None
    #: Personas whose faces are shown.
    faces: tuple[int, ...] = ()
    #: Messages of ours that are to go.
    removes: tuple[str, ...] = ()
    #: Passages of the text that are to be copied as they stand.
    code: tuple[str, ...] = ()
    #: Passages that nobody reads once they were shown: see `Manner`.
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Call(Asking):
    """One command in the making."""

    said: Said
    writing: Writing = unseen
    quiet: bool = False
    #: All that there are, for whoever lists them.
    commands: tuple[Command, ...] = ()

    async def answer(self, happens: Callable[[Answer], Awaitable[Outcome]]) -> Outcome:
        """The transaction in which the command happens, together with what is told of it."""

        async def answered(tx: AsyncConnection) -> Outcome:
            if not await chats.close_turn(tx, self.said.turn):
                raise AlreadyAnsweredError
            answer = Answer(tx, quiet=self.quiet)
            outcome = await happens(answer)
            await self._owe(answer)
            return outcome

        outcome = await self.engine.database.change(answered)
        self.engine.events.publish("notice.stored", chat=self.place.ref)
        return outcome

    def answering(self, words: str | Callable[[Answer, Any], str]) -> Transaction:
        """The transaction of an order to the engine, in which it is answered as well: see `answer`.

        `words` may tell what came of the order, and hang more on the answer.
        """

        async def change(work: Work[Outcome]) -> Outcome:
            async def happens(answer: Answer) -> Outcome:
                outcome = await work(answer.tx)
                answer.text = words if isinstance(words, str) else words(answer, outcome)
                return outcome

            return await self.answer(happens)

        return change

    async def tell(
        self,
        text: str,
        question: Question | None = None,
        *,
        code: tuple[str, ...] = (),
        secrets: tuple[str, ...] = (),
    ) -> None:
        """The command changes nothing, and this is what is told; `code`, `secrets`: see `Answer`."""

        async def happens(answer: Answer) -> None:
            answer.text, answer.question, answer.code, answer.secrets = text, question, code, secrets

        await self.answer(happens)

    async def _owe(self, answer: Answer) -> None:
        now = self.engine.clock.now()
        if answer.removes:
            gone = Manner(removes=answer.removes)
            await outbox.owe(answer.tx, self.place.id, DeliveryKind.REMOVAL, manner=gone, now=now)
        if answer.question:
            await people.ask(answer.tx, self.place.id, self.person.id, answer.question.order, now)
        if not answer.text and self.said.turn.answer_to and self.said.turn.message:
            # What was done speaks for itself; but the platform waits for an answer to the command.
            answer.text = self.say("talk.done")
        if answer.text:
            await outbox.owe(
                answer.tx,
                self.place.id,
                DeliveryKind.NOTICE,
                text=answer.text,
                job_id=answer.job_id,
                source=answer.source,
                answers_id=self.said.turn.id,
                manner=Manner(
                    buttons=answer.buttons,
                    quiet=answer.quiet,
                    question=answer.question,
                    faces=answer.faces,
                    code=answer.code,
                    secrets=answer.secrets,
                ),
                now=now,
            )


@dataclass(frozen=True)
class Part:
    """Something that can be ordered. Its words for people stand in `data/locales/*/commands.toml`."""

    name: str
    run: Callable[[Call], Awaitable[None]]
    options: tuple[Option, ...] = ()
    #: The answer is for the asker's eyes.
    quiet: bool = False
    operators_only: bool = False
    #: The question that it is met with where something is missing.
    asks: Callable[[Asking], Awaitable[Asked | None]] | None = None
    #: Flags that are understood, and listed nowhere.
    also: tuple[str, ...] = ()

    @cached_property
    def flags(self) -> tuple[str, ...]:
        return tuple(option.flag for option in self.options if option.flag)

    def check(self, told: Mapping[str, str]) -> None:
        """Ask back where a flag is none of this command's."""
        unknown = told.keys() - {*self.flags, *self.also}
        if unknown:
            flags = ", ".join(f"--{flag}" for flag in self.flags)
            raise BadRequest(
                say("commands.no_such_flag", flag=min(unknown)[:20], command=self.name, flags=flags)
            )


@dataclass(frozen=True)
class Command(Part):
    """A command; where it has parts, `run` is what it does without naming one of them."""

    #: Under which heading /help has it.
    topic: str = "house"
    parts: tuple[Part, ...] = ()
    #: The part that takes words which begin with no part's name.
    otherwise: str = ""
    #: In the menu and in /help. What only buttons order is not.
    listed: bool = True

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)

    @property
    def usage(self) -> str:
        return f"/{self.name}"

    @property
    def says(self) -> str:
        """One line about it, in English: for whoever has no person to speak to."""
        return say(f"commands.{self.name}.says")
