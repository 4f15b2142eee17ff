"""/persona edit: one field of somebody becomes other words; a revision keeps what it was, and by whom it was changed.

Some fields hold several things under names of their own, poses or outfits: those are told and read line by line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bot.commands.calling import Answer, Asked, Asking, Call
from engine.errors import BadRequest
from engine.locales import say
from engine.pictures import Lora, loras_told
from engine.store import personas
from engine.store.records import PersonaRecord, Question
from engine.styles import LONGEST_POSE, called, style_named
from personas.persona import Persona, Pose

#: What can be edited from a chat, and where it stands in a persona.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "kind": ("kind",),
    "description": ("description",),
    "manner": ("voice", "manner"),
    "greeting": ("greetings",),
    "style": ("picture", "style"),
    "direction": ("picture", "direction"),
    "loras": ("picture", "loras"),
    "face": ("appearance", "face"),
    "hair": ("appearance", "hair"),
    "eyes": ("appearance", "eyes"),
    "skin": ("appearance", "skin"),
    "build": ("appearance", "build"),
    "marks": ("appearance", "marks"),
    "outfits": ("appearance", "wardrobe"),
    "poses": ("appearance", "poses"),
}
#: The line that shows something, and what it shows.
Entry = tuple[str, Any]
#: A wardrobe that nobody oversees is no help.
MOST_ENTRIES = 40

#: Said instead of words: there are to be none.
_NOTHING = ("-", "–", "—")
#: With a point or with a comma.
_WEIGHT = re.compile(r"[-+]?(?:\d{1,3}(?:[.,]\d{1,9})?|[.,]\d{1,9})", re.ASCII)
#: Before each line of a list. Where one stands at the start, semicolons part nothing.
_BULLETS = ("- ", "• ", "* ")


async def asks_for_field(asking: Asking) -> Asked | None:
    name, field, words = _edit(asking.words)
    if words:
        return None
    async with asking.engine.database.read() as tx:
        record = await personas.find(tx, name)
    told = say(f"commands.choices.{field}")
    asks = asking.say("cast.asks_field", field=told, name=record.persona.called)
    if field != "name":
        hint = field if field in _READ or field == "direction" else "any"
        asks = f"{asks} {asking.say(f'cast.hint.{hint}')}"
    order = f"persona edit {record.persona.slug} {field}"
    return asks, Question(order, prefill=_value(record.persona, field))


async def change(call: Call) -> None:
    name, field, words = _edit(call.words)
    if field == "loras":
        async with call.engine.database.read() as tx:
            had = (await personas.find(tx, name)).persona
        # One that is worn already may be missing by now: that keeps nobody from changing the others.
        worn = [
            Lora(*one)
            for one in _loras(words, _entries_of(had, field)).items()
            if one not in had.picture.loras.items()
        ]
        # Where no model is there, nobody named one for a picture: they are kept for when there is one.
        await call.engine.imagining.check_loras((), loras_told.settled(worn))

    async def happens(answer: Answer) -> None:
        record = await personas.find(answer.tx, name)
        changed = _changed(call, record, field, words)
        # Who it was is a number that /forget finds, never a name.
        note = f"{field}, by person {call.person.id}"
        now = call.engine.clock.now()
        again = await personas.revise(answer.tx, record, changed, note=note, now=now)
        told = say(f"commands.choices.{field}")
        answer.text = call.say(
            "cast.edited", field=told, name=again.persona.called, revision=str(again.revision)
        )

    await call.answer(happens)


def _edit(words: str) -> tuple[str, str, str]:
    """The shortest name that leaves a field after it: a name may have several words, a field has one."""
    for number, word in enumerate(re.finditer(r"\S+", words)):
        field = word[0].lower()
        if number and field in FIELDS:
            return words[: word.start()].strip(), field, words[word.end() :].strip()
    raise BadRequest(say("cast.how_to_edit", fields=", ".join(FIELDS)))


def _value(persona: Persona, field: str) -> str:
    """What is there now, as it could be said."""
    if field in _READ:
        lines = [line for line, _ in _entries_of(persona, field)]
        # Alone on its line it would be taken apart at each semicolon.
        return f"{_BULLETS[0]}{lines[0]}" if len(lines) == 1 and ";" in lines[0] else "\n".join(lines)
    found = _found(persona, field)
    value = str(found[0] if found else "") if isinstance(found, list) else str(found)
    # Said again, it would take itself away.
    return "" if value in _NOTHING else value


def _found(persona: Persona, field: str) -> Any:
    found: Any = persona.model_dump(mode="json")
    for step in FIELDS[field]:
        found = found[step]
    return found


def _entries_of(persona: Persona, field: str) -> list[Entry]:
    """What such a field holds, each with the line that shows it."""
    found = _found(persona, field)
    if isinstance(found, dict):
        return [(_line(f"{name}: {weight:g}"), (name, weight)) for name, weight in found.items()]
    return [(_line(f"{one['name']}: {one['description']}"), one) for one in found]


def _line(words: str) -> str:
    return " ".join(words.split())


def _changed(call: Call, record: PersonaRecord, field: str, words: str) -> Persona:
    """Words that are sent back as they were shown change nothing, whatever is asked of new ones."""
    persona = record.persona
    if words == _value(persona, field):
        return persona
    told = persona.model_dump(mode="json")
    *path, last = FIELDS[field]
    inner = told
    for step in path:
        inner = inner[step]
    if field in _READ:
        inner[last] = _READ[field](words, _entries_of(persona, field))
    elif words in _NOTHING and field != "name":
        # A style cannot be empty: it is again what it is where nobody says.
        inner.pop(last)
    else:
        words = _fitting(call, field, words)
        inner[last] = [words, *inner[last][1:]] if isinstance(inner[last], list) else words
    try:
        return Persona.model_validate(told)
    except ValidationError:
        raise BadRequest(say("cast.does_not_fit", field=say(f"commands.choices.{field}"))) from None


def _fitting(call: Call, field: str, words: str) -> str:
    """One thing, as such a field holds it."""
    if field == "style":
        return style_named(call.engine.imagining.styles, words).slug
    if field == "direction":
        return _line(words)
    if field == "name" and (len(words.splitlines()) > 1 or not any(map(str.isalnum, words))):
        raise BadRequest(say("cast.no_name"))
    return words


def _entries(words: str, there: Sequence[Entry], most: int) -> Iterator[tuple[str, Any]]:
    """What stands on lines of its own, or on one line with semicolons between; and which of those `there` it shows.

    Such a one is kept as it is: it may come from a card, on which more is allowed than can be said here.
    """
    if words in _NOTHING:
        return
    listed = words.startswith(_BULLETS)
    found = [_line(one) for one in (words.splitlines() if "\n" in words or listed else words.split(";"))]
    found = [one for one in found if one]
    if len(found) > max(most, len(there)):
        raise BadRequest(say("cast.many_entries", n=len(found), most=most))
    shown: dict[str, list[Any]] = {}
    for line, one in there:
        shown.setdefault(line, []).append(one)
    for entry in found:
        bare = entry[2:].lstrip() if entry not in shown and entry.startswith(_BULLETS) else entry
        yield bare, shown[bare].pop(0) if shown.get(bare) else None


def _described(words: str, shown: Sequence[Entry] = ()) -> list[dict[str, str]]:
    """Outfits or poses: each has a name, and words that go into a prompt where it is called."""
    there: list[Pose] = []
    new: list[Pose] = []
    for entry, kept in _entries(words, shown, MOST_ENTRIES):
        if kept is not None:
            if called(kept["name"], new) is not None:
                raise BadRequest(say("cast.twice", told=kept["name"][:40]))
            there.append(Pose.model_construct(**kept))
            continue
        name, _, description = (part.strip() for part in entry.partition(":"))
        one = Pose.model_construct(name=name, description=description)  # it is checked with the whole persona
        # A name without a letter could never be called.
        if not description or called(name, [one]) is None:
            raise BadRequest(say("cast.no_entry", told=entry[:40]))
        if len(description) > LONGEST_POSE:
            told = say("cast.long_entry", told=name[:40], n=len(description), most=LONGEST_POSE)
            raise BadRequest(told)
        if called(name, there) is not None:
            raise BadRequest(say("cast.twice", told=name[:40]))
        there.append(one)
        new.append(one)
    return [{"name": one.name, "description": one.description} for one in there]


def _loras(words: str, shown: Sequence[Entry] = ()) -> dict[str, float]:
    weights: dict[str, float] = {}
    new: list[str] = []
    for entry, kept in _entries(words, shown, loras_told.MOST_LORAS):
        if kept is not None:
            name, weight = kept
            weights[_fresh(name, new)] = weight
            continue
        # As other programs write it, too.
        rest, written = loras_told.told(entry)
        if written and rest.strip(" ,"):
            raise BadRequest(say("cast.more_than_lora", told=rest.strip(" ,")[:40]))
        for one in written:
            weights[_fresh(one.name, weights)] = one.weight
            new.append(one.name)
        if written:
            continue
        name, _, told = entry.rpartition(":") if ":" in entry else (entry, ":", "1")
        if not _WEIGHT.fullmatch(told.strip()) or abs(_number(told)) > loras_told.MOST_WEIGHT:
            raise BadRequest(say("cast.no_weight", told=told.strip()[:20], most=loras_told.MOST_WEIGHT))
        weights[_fresh(name.strip(), weights)] = _number(told)
        new.append(name.strip())
    return weights


def _number(weight: str) -> float:
    return float(weight.strip().replace(",", "."))


def _fresh(name: str, there: Iterable[str]) -> str:
    if loras_told.key_of(name) in map(loras_told.key_of, there):
        raise BadRequest(say("cast.twice", told=name[:40]))
    return name


#: Fields that hold several things, and how their words are read.
_READ: Mapping[str, Callable[[str, Sequence[Entry]], object]] = {
    "outfits": _described,
    "poses": _described,
    "loras": _loras,
}
