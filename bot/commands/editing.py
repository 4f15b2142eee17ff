"""/persona edit: one field of somebody becomes other words; a revision keeps what it was, and by whom it was changed.

Some fields hold several things under names of their own, poses or outfits: those are told and read line by line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from bot.commands.calling import Answer, Asked, Asking, Call
from engine import styles
from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.pictures import Lora, loras_told
from engine.store import personas
from engine.store.records import PersonaRecord, Question
from engine.styles import LONGEST_POSE, called
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
#: A wardrobe that nobody oversees is no help.
MOST_ENTRIES = 40

# The shortest name that leaves a field after it: a name may have several words, a field has one.
_EDIT = re.compile(rf"(.+?)\s+({'|'.join(FIELDS)})(?:\s+(.*))?\Z", re.DOTALL | re.IGNORECASE)
#: Said instead of words: there are to be none.
_NOTHING = ("-", "–", "—")
#: With a point or with a comma.
_WEIGHT = re.compile(r"[-+]?(?:\d{1,3}(?:[.,]\d{1,3})?|[.,]\d{1,3})", re.ASCII)


async def asks_for_field(asking: Asking) -> Asked | None:
    name, field, words = _edit(asking.words)
    if words:
        return None
    async with asking.engine.database.read() as tx:
        record = await personas.find(tx, name)
    told = say(f"commands.choices.{field}")
    asks = asking.say("cast.asks_field", field=told, name=record.persona.called)
    if field in _READ or field == "direction":
        asks = f"{asks} {asking.say(f'cast.hint.{field}')}"
    order = f"persona edit {record.persona.slug} {field}"
    return asks, Question(order, prefill=_value(record.persona, field))


async def change(call: Call) -> None:
    name, field, words = _edit(call.words)
    if field == "loras":
        worn = [Lora(lora, weight) for lora, weight in _loras(words).items()]
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
    matched = _EDIT.match(words)
    if matched is None:
        raise BadRequest(say("cast.how_to_edit", fields=", ".join(FIELDS)))
    return matched[1], matched[2].lower(), (matched[3] or "").strip()


def _value(persona: Persona, field: str) -> str:
    """What is there now, as it could be said."""
    found: Any = persona.model_dump(mode="json")
    for step in FIELDS[field]:
        found = found[step]
    if isinstance(found, dict):
        return "\n".join(f"{name}: {weight:g}" for name, weight in found.items())
    if field in _READ:
        return "\n".join(f"{one['name']}: {one['description']}" for one in found)
    return str(found[0] if found else "") if isinstance(found, list) else str(found)


def _changed(call: Call, record: PersonaRecord, field: str, words: str) -> Persona:
    if field == "style":
        style = styles.named(call.engine.imagining.styles, words)
        if style is None:
            there = sorted(call.engine.imagining.styles)
            raise NotFound(say("pictures.no_style", style=words[:40], styles=there))
        words = style.slug
    elif field == "direction":
        words = "" if words in _NOTHING else " ".join(words.split())
    told = record.persona.model_dump(mode="json")
    *path, last = FIELDS[field]
    inner = told
    for step in path:
        inner = inner[step]
    if field in _READ:
        inner[last] = _READ[field](words)
    else:
        inner[last] = [words, *inner[last][1:]] if isinstance(inner[last], list) else words
    try:
        return Persona.model_validate(told)
    except ValidationError:
        raise BadRequest(say("cast.does_not_fit", field=say(f"commands.choices.{field}"))) from None


def _entries(words: str, most: int) -> Iterator[str]:
    """What stands on lines of its own, or on one line with semicolons between."""
    if words in _NOTHING:
        return
    found = [one.strip() for one in (words.splitlines() if "\n" in words else words.split(";"))]
    found = [one for one in found if one]
    if len(found) > most:
        raise BadRequest(say("cast.many_entries", n=len(found), most=most))
    yield from found


def _described(words: str) -> list[dict[str, str]]:
    """Outfits or poses: each has a name, and words that go into a prompt where it is called."""
    there: list[Pose] = []
    for entry in _entries(words, MOST_ENTRIES):
        name, _, description = (" ".join(part.split()) for part in entry.partition(":"))
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
    return [{"name": one.name, "description": one.description} for one in there]


def _loras(words: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for entry in _entries(words, loras_told.MOST_LORAS):
        # As other programs write it, too.
        _, written = loras_told.told(entry)
        for one in written:
            weights[_fresh(one.name, weights)] = one.weight
        if written:
            continue
        name, _, weight = entry.rpartition(":") if ":" in entry else (entry, ":", "1")
        if not _WEIGHT.fullmatch(weight.strip()) or abs(_number(weight)) > loras_told.MOST_WEIGHT:
            raise BadRequest(say("cast.no_weight", told=weight.strip()[:20], most=loras_told.MOST_WEIGHT))
        weights[_fresh(name.strip(), weights)] = _number(weight)
    return weights


def _number(weight: str) -> float:
    return float(weight.strip().replace(",", "."))


def _fresh(name: str, there: Mapping[str, float]) -> str:
    if loras_told.key_of(name) in map(loras_told.key_of, there):
        raise BadRequest(say("cast.twice", told=name[:40]))
    return name


#: Fields that hold several things, and how their words are read.
_READ: Mapping[str, Callable[[str], object]] = {
    "outfits": _described,
    "poses": _described,
    "loras": _loras,
}
