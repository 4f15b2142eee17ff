"""/persona: who there is, who is here, somebody new, and somebody changed."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.commands import editing
from bot.commands.calling import Answer, Call, Command, Part
from bot.front import Button, Buttons, Choice, Option, OptionKind
from engine import limits, safety
from engine.errors import BadRequest
from engine.locales import say
from engine.store import chats, forgetting, personas
from engine.store.records import PersonaRecord
from personas import macros
from personas.persona import Persona

#: As many faces and buttons as every platform can show with one message.
MOST_FACES = 10
PER_ROW = 2
#: A longer list is no help to anybody.
MOST_LISTED = 60


async def _list(call: Call) -> None:
    async def happens(answer: Answer) -> None:
        cast = await personas.listing(answer.tx)
        host = await call.engine.presence.who(answer.tx, call.place)
        place = await chats.place(answer.tx, call.place.ref)
        guests = place.guests if place else ()
        listed = cast[:MOST_LISTED]
        welcome = [entry for entry in listed if await _may_be_here(call, answer.tx, entry)]
        lines = [
            f"{_mark(entry.id, host.id, guests)} {_in_a_line(entry) if entry in welcome else entry.name}"
            for entry in listed
        ]
        if len(cast) > MOST_LISTED:
            lines.append(call.say("cast.more", n=len(cast) - MOST_LISTED))
        told = [call.say("cast.how"), *([call.say("cast.only_names")] if len(welcome) < len(listed) else [])]
        answer.text = "\n".join([*lines, "", *told])
        others = [entry for entry in welcome if entry.id != host.id]
        answer.faces = tuple(entry.id for entry in welcome[:MOST_FACES])
        answer.buttons = _rows(
            [Button(entry.name, f"persona use {entry.slug}") for entry in others[:MOST_FACES]]
        )

    await call.answer(happens)


def _mark(persona_id: int, host: int, guests: tuple[int, ...]) -> str:
    return "→" if persona_id == host else "+" if persona_id in guests else "·"


def _in_a_line(entry: personas.Entry) -> str:
    return f"{entry.name} ({entry.slug})" + (f", {entry.kind}" if entry.kind else "")


async def _may_be_here(call: Call, tx: AsyncConnection, entry: personas.Entry) -> bool:
    persona = await call.engine.presence.persona(tx, entry.id, entry.revision)
    return persona.rating.level <= call.allowed_rating.level


def _rows(buttons: list[Button]) -> Buttons:
    return tuple(tuple(buttons[start : start + PER_ROW]) for start in range(0, len(buttons), PER_ROW))


async def _show(call: Call) -> None:
    async def happens(answer: Answer) -> None:
        record = await _meant(call, answer.tx)
        persona = record.persona
        safety.check_persona(persona, call.allowed_rating)
        answer.text = _described(call, persona)
        answer.faces = (record.id,)
        brings = Button(call.say("cast.talk_to", name=persona.called), f"persona use {persona.slug}")
        answer.buttons = ((brings,),)

    await call.answer(happens)


def _described(call: Call, persona: Persona) -> str:
    facts = [persona.pronouns, persona.occupation, persona.home]
    if persona.age is not None:
        facts.insert(0, call.say("cast.age", age=str(persona.age)))
    told = [f"{persona.name} ({persona.slug})", ", ".join(fact for fact in facts if fact)]
    # Who they are is told in their own language, whatever it is.
    words = macros.expand(
        persona.description or persona.personality.summary,
        persona_name=persona.called,
        person_name=call.person.name or macros.SOMEBODY,
    )
    likes = [interest.name for interest in persona.interests]
    told += ["", words] if words else []
    told += ["", call.say("cast.interests", interests=likes)] if likes else []
    return "\n".join(line for place, line in enumerate(told) if line or place > 1)


async def _use(call: Call) -> None:
    await call.demand_charge(say("rights.company_of_all"))

    async def happens(answer: Answer) -> None:
        record = await _meant(call, answer.tx)
        if not await call.engine.presence.bring(answer.tx, call.place, record, call.person):
            answer.text = call.say("cast.back", name=record.persona.name)

    await call.answer(happens)


async def _invite(call: Call) -> None:
    async def happens(answer: Answer) -> None:
        record = await _meant(call, answer.tx)
        if not await call.engine.presence.invite(answer.tx, call.place, record, call.person):
            answer.text = call.say("cast.here_already", name=record.persona.called)

    await call.answer(happens)


async def _leave(call: Call) -> None:
    await call.demand_charge(say("rights.company_of_all"))

    async def happens(answer: Answer) -> None:
        record = await _meant(call, answer.tx)
        if await call.engine.presence.send_away(answer.tx, call.place, record):
            answer.text = call.say("cast.left", name=record.persona.called)
        else:
            answer.text = call.say("cast.not_here", name=record.persona.called)

    await call.answer(happens)


async def _new(call: Call) -> None:
    await call.demand_charge()
    async with call.engine.database.read() as tx:
        await _check_quota(call, tx)  # before anybody writes for nothing
    persona = await call.engine.casting.invent(
        kind=call.words, name=call.flags.get("name", ""), model=call.flags.get("model", "")
    )

    async def happens(answer: Answer) -> None:
        await _check_quota(call, answer.tx)
        now = call.engine.clock.now()
        record = await personas.take_in(answer.tx, persona, origin="made", now=now, by=call.person.id)
        slug, name = record.persona.slug, record.persona.called
        answer.text = call.say("cast.made", name=record.persona.name, slug=slug)
        answer.faces = (record.id,)
        answer.buttons = (
            (
                Button(call.say("cast.talk_to", name=name), f"persona use {slug}", "good"),
                Button(call.say("cast.look_at", name=name), f"persona show {slug}"),
            ),
        )

    await call.answer(happens)


async def _check_quota(call: Call, tx: AsyncConnection) -> None:
    """The cast is everybody's: nobody fills it alone."""
    now = call.engine.clock.now()
    since = now - limits.DAY
    made = await personas.made_by(tx, call.person.id, since=since, now=now)
    spent = call.engine.spent.of("personas", await forgetting.accounts_of(tx, call.person.id), since=since)
    count, oldest = limits.added(made.count, made.oldest, spent)
    limits.check_personas(call.engine.settings.limits, made=count, oldest=oldest, now=now)


async def _meant(call: Call, tx: AsyncConnection) -> PersonaRecord:
    if not call.words:
        raise BadRequest(say("cast.which"))
    return await personas.find(tx, call.words)


_NAME = (Option("name", "", OptionKind.PERSONA, required=True),)
_FIELD = Option(
    "field",
    "",
    OptionKind.CHOICE,
    required=True,
    choices=tuple(Choice(field, "") for field in editing.FIELDS),
)

COMMANDS = (
    Command(
        "persona",
        _list,
        topic="cast",
        otherwise="use",
        parts=(
            Part("list", _list),
            Part("show", _show, _NAME),
            Part("use", _use, _NAME, quiet=True),
            Part("invite", _invite, _NAME, quiet=True),
            Part("leave", _leave, _NAME, quiet=True),
            Part(
                "new",
                _new,
                (Option("kind", ""), Option("name", "", flag="name"), Option("model", "", flag="model")),
            ),
            Part(
                "edit",
                editing.change,
                (*_NAME, _FIELD, Option("words", "")),
                operators_only=True,
                asks=editing.asks_for_field,
            ),
        ),
    ),
)
