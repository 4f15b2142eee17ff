"""Each command once, for every front.

The life of a command: a front hears `/imagine a red coat --style noir`, or puts the same line together from a form
or a button. The desk stores it as a turn. `run` finds the command and its part in `COMMANDS`, takes the words and
the flags apart and gives them to its function as a `Call`. What is missing is asked back: the next words of that
person complete the order. Slow work comes first; then, in one transaction, all that changes, the notice that says
so, and the mark that the turn was answered (`calling.py`). What cannot be done raises an error with a sentence,
which the desk tells. The sentences are in `data/locales/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from bot import orders
from bot.commands import (
    cast,
    feeds,
    house,
    imagining,
    privacy,
    prompting,
    remaking,
    scheduling,
    settings,
    talking,
)
from bot.commands.calling import (
    AlreadyAnsweredError,
    Answer,
    Asked,
    Asking,
    Call,
    Command,
    InCharge,
    Part,
    Writing,
    nobody,
    unseen,
)
from bot.commands.imagining import size_of, wish_of
from bot.commands.menu import menu_of
from bot.commands.suggesting import suggestions
from bot.front import Entry
from engine.engine import Engine
from engine.errors import BadRequest, GreenroomError
from engine.locales import Locale, say
from engine.store import chats, people
from engine.store.chats import Said
from engine.store.records import Incoming, Person, Place

__all__ = [
    "COMMANDS",
    "STOP",
    "AlreadyAnsweredError",
    "Answer",
    "Asking",
    "Call",
    "Command",
    "Part",
    "menu",
    "question_for",
    "run",
    "size_of",
    "suggestions",
    "wish_of",
]

#: The one that the desk obeys at once, before it stands in line.
STOP = orders.STOP

#: In the order in which one meets them.
COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        command.name: command
        for command in (
            *imagining.COMMANDS,
            *prompting.COMMANDS,
            *remaking.COMMANDS,
            *cast.COMMANDS,
            *talking.COMMANDS,
            *scheduling.COMMANDS,
            *feeds.COMMANDS,
            *settings.COMMANDS,
            *privacy.COMMANDS,
            *house.COMMANDS,
        )
    }
)


async def run(engine: Engine, said: Said, *, writing: Writing = unseen, in_charge: InCharge = nobody) -> None:
    """Do what a stored command asks for."""
    part, words, flags = _found(said.turn.text)
    call = Call(
        engine=engine,
        person=said.person,
        place=said.place,
        said=said,
        words=words,
        flags=flags,
        quiet=part.quiet,
        writing=writing,
        lent_charge=in_charge,
        commands=tuple(COMMANDS.values()),
    )
    if part.operators_only:
        await call.demand_operator()
    try:
        if part.asks and (asked := await part.asks(call)):
            await call.tell(*asked)
            return
        await part.run(call)
    except AlreadyAnsweredError:
        return


def menu(locale: Locale) -> list[Entry]:
    """What can be asked for, in a language."""
    return menu_of(COMMANDS.values(), locale)


async def question_for(engine: Engine, incoming: Incoming) -> Asked | None:
    """The sentence and the question that an order would be met with; None where nothing is missing, or where it
    cannot be done anyway: then it is heard like any other, and refused.
    """
    try:
        part, words, flags = _found(incoming.text)
        if part.asks is None:
            return None
        async with engine.database.read() as tx:
            person = await people.known(tx, incoming.account)
            place = await chats.place(tx, incoming.chat)
        asking = Asking(
            engine=engine,
            person=person or Person(0, incoming.account.name, language=incoming.account.language),
            place=place or Place(0, incoming.chat, shared=incoming.shared),
            words=words,
            flags=flags,
        )
        if part.operators_only:
            await asking.demand_operator()
        return await part.asks(asking)
    except GreenroomError:
        return None


def _found(text: str) -> tuple[Part, str, dict[str, str]]:
    """What is ordered, with which words, and with which flags."""
    order = orders.order_in(text)
    if order is None:
        raise BadRequest(say("commands.no_order"))
    command = COMMANDS.get(order.name)
    if command is None:
        raise BadRequest(say("commands.unknown", name=order.name))
    part, words = _part_of(command, order.words)
    if not part.flags:
        return part, words, {}
    words, flags = orders.flagged(words, orders.switches_of(part.options))
    part.check(flags)
    return part, words, flags


def _part_of(command: Command, words: str) -> tuple[Part, str]:
    if not command.parts or not words:
        return command, words
    first, *rest = words.split(None, 1)
    named = command.part(first.lower())
    if named is not None:
        return replace(named, name=f"{command.name} {named.name}"), "".join(rest)
    otherwise = command.part(command.otherwise)
    if otherwise is not None:
        return replace(otherwise, name=f"{command.name} {otherwise.name}"), words
    told = ", ".join(part.name for part in command.parts)
    raise BadRequest(say("commands.no_such_part", part=first[:20], command=command.name, parts=told))
