"""A character card as JSON, in any of its three specifications, from a persona and back. Pure.

The card that a persona came from is kept whole (`Persona.card`), and writing starts from it: only fields
whose meaning has changed since are written anew, so everything that we do not know survives. What a card has no
place for travels in `extensions.greenroom`, only where the card alone would not give the same persona again.
"""

from __future__ import annotations

import copy
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from personas.cardfields import Json, found, key_of, named_in, persona_from_fields, spellings_of
from personas.persona import Persona
from personas.portrait import description_of, personality_of

OURS = "greenroom"
#: The key of `Persona.card` under which the card's JSON stands; `format` beside it says what file it came in.
WHOLE = "json"

V1_FIELDS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
V2_FIELDS = (
    *V1_FIELDS,
    "creator_notes",
    "system_prompt",
    "post_history_instructions",
    "alternate_greetings",
    "tags",
    "creator",
    "character_version",
)
V3_FIELDS = (*V2_FIELDS, "group_only_greetings")
_IF_ANY = ("character_book", "nickname", "group_only_greetings")
_ENVELOPE = ("spec", "spec_version", "data")

_ALWAYS_IN_ENTRY = {
    "keys": [],
    "content": "",
    "extensions": {},
    "enabled": True,
    "insertion_order": 0,
    "use_regex": False,
}


class Spec(StrEnum):
    V1 = "1.0"
    V2 = "2.0"
    V3 = "3.0"

    @property
    def name_in_card(self) -> str:
        return f"chara_card_v{self.value[0]}"


def spec_of(card: Json) -> Spec:
    if card.get("spec") == Spec.V3.name_in_card:
        return Spec.V3
    return Spec.V2 if isinstance(card.get("data"), dict) else Spec.V1


def data_of(card: Json) -> Json:
    """Where the fields stand: in `data`, or in the card itself as V1 had it."""
    data = card.get("data")
    return data if isinstance(data, dict) else card


def persona_of(card: Json, called: str, notes: list[str], file_format: str = "json") -> Persona:
    """The persona of a card. Where we wrote the card and nobody changed it, exactly the one we wrote."""
    whole = {"format": file_format, WHOLE: card}
    plain = persona_from_fields(data_of(card), called, notes)
    ours = _ours_in(card, notes)
    if ours is None:
        return plain.model_copy(update={"card": whole})
    written = card_of(ours, spec_of(card))
    if written == card:
        return ours
    # The card was edited in another program: what was changed there is taken over, the rest is as we wrote it.
    expected = persona_from_fields(data_of(written), called, [])
    changed = {
        field: getattr(plain, field)
        for field in Persona.model_fields
        if field not in {"slug", "card"} and getattr(plain, field) != getattr(expected, field)
    }
    return ours.model_copy(update=changed | {"card": whole})


def card_of(persona: Persona, spec: Spec) -> Json:
    """The persona as a card of this specification; unchanged where it came as one and nothing has changed."""
    fields = fields_of(persona)
    whole = whole_of(persona)
    if whole is None:
        card = _blank(spec)
        _put(card, {name: fields[name] for name in fields if name in _allowed(spec) and _worth(name, fields)})
        return card if spec is Spec.V1 else _with_ours(card, persona)
    before = persona_of(whole, persona.name, [])
    was = fields_of(before)
    card = _converted(whole, spec, was)
    _put(card, {name: fields[name] for name in _allowed(spec) if fields[name] != was[name]})
    if spec is Spec.V1 or same(persona, before):
        return card
    bare = _without_ours(card)
    return bare if same(persona, persona_of(bare, persona.name, [])) else _with_ours(bare, persona)


def whole_of(persona: Persona) -> Json | None:
    """The card that a persona came from; None for those born here."""
    whole = persona.card.get(WHOLE)
    return whole if isinstance(whole, dict) else None


def same(one: Persona, other: Persona) -> bool:
    """Whether two personas are alike in everything but where they came from and what their file is called."""
    aside = {"card": {}, "slug": "same"}
    return one.model_copy(update=aside) == other.model_copy(update=aside)


def fields_of(persona: Persona) -> Json:
    """What the fields of a card say of this persona; structured parts become readable text."""
    book = persona.lorebook
    return {
        "name": persona.name,
        "description": description_of(persona),
        "personality": personality_of(persona),
        "scenario": persona.scenario,
        "first_mes": persona.greetings[0] if persona.greetings else "",
        "mes_example": "\n".join(f"<START>\n{block}" for block in persona.examples),
        "creator_notes": persona.creator_notes,
        "system_prompt": persona.system_prompt,
        "post_history_instructions": persona.post_history_instructions,
        "alternate_greetings": list(persona.greetings[1:]),
        "tags": list(persona.tags),
        "creator": persona.creator,
        "character_version": persona.version,
        "group_only_greetings": list(persona.group_greetings),
        "nickname": persona.nickname,
        "character_book": None if book is None else _book(book.model_dump(mode="json", exclude_unset=True)),
    }


def unknown_fields(card: Json) -> list[str]:
    """The fields of a card's data that no specification has, and that V1 therefore leaves behind."""
    data = data_of(card)
    known = {key_of(data, field) for field in (*V3_FIELDS, "nickname", "character_book", "extensions")}
    return [] if data is card else [key for key in data if key not in known]


def _book(book: Json) -> Json:
    entries = [_ALWAYS_IN_ENTRY | entry for entry in book.get("entries", [])]
    return {"extensions": {}} | book | {"entries": entries}


def _allowed(spec: Spec) -> tuple[str, ...]:
    return V1_FIELDS if spec is Spec.V1 else (*V2_FIELDS, *_IF_ANY)


def _required(spec: Spec) -> tuple[str, ...]:
    return {Spec.V1: V1_FIELDS, Spec.V2: V2_FIELDS, Spec.V3: V3_FIELDS}[spec]


def _worth(name: str, fields: Json) -> bool:
    return name not in _IF_ANY or bool(fields[name]) or fields[name] == {}


def _blank(spec: Spec) -> Json:
    if spec is Spec.V1:
        return dict.fromkeys(V1_FIELDS, "")
    lists = {"alternate_greetings", "tags", "group_only_greetings"}
    data: Json = {name: [] if name in lists else "" for name in _required(spec)}
    return {"spec": spec.name_in_card, "spec_version": spec.value, "data": data | {"extensions": {}}}


def _put(card: Json, fields: Json) -> None:
    """Writes fields where readers look for them: in the data, under other spellings, and in old copies."""
    data = data_of(card)
    for name, value in fields.items():
        value = copy.deepcopy(value)
        if name == "character_book" and value is None:
            for key in spellings_of(data, name):
                del data[key]
            continue
        old = found(data, name)
        if data is not card and old is not None and card.get(name) == old:
            card[name] = value
        for key in {name, *spellings_of(data, name)}:
            data[key] = value


def _converted(whole: Json, spec: Spec, was: Json) -> Json:
    """The card that a persona came from in another specification, with all that it held."""
    card: Json = copy.deepcopy(whole)
    present = spec_of(card)
    if present is spec:
        data = data_of(card)
        # Only what would otherwise be unreadable for others: a missing name, and fields in odd spellings.
        for name in _required(spec):
            if (name not in data and key_of(data, name)) or (name == "name" and not named_in(data)):
                data[name] = copy.deepcopy(was[name])
        return card
    data = data_of(card)
    if spec is Spec.V1:
        outside = {key: value for key, value in card.items() if key not in _ENVELOPE}
        flat = outside | {name: _fitting(found(data, name), was[name]) for name in V1_FIELDS}
        return flat if named_in(flat) else flat | {"name": was["name"]}
    if present is Spec.V1:
        known = {name: key for name in (*_allowed(spec), "extensions") if (key := key_of(card, name))}
        data = {name: card.pop(key) for name, key in known.items() if key in card}
    else:
        for name in _ENVELOPE:
            card.pop(name, None)
    for name in _required(spec):
        data[name] = _fitting(found(data, name), was[name])
    if not isinstance(data.get("character_book", {}), dict):
        del data["character_book"]
    if not isinstance(data.get("extensions"), dict):
        data["extensions"] = {}
    # Greetings stand in two fields, so mending one of them can change how the other is read.
    reads = fields_of(persona_from_fields(data, was["name"], []))
    data |= {name: copy.deepcopy(was[name]) for name in _required(spec) if reads[name] != was[name]}
    if not named_in(data):
        data["name"] = was["name"]
    return {"spec": spec.name_in_card, "spec_version": spec.value} | card | {"data": data}


def _fitting(value: Any, meant: Any) -> Any:
    """The value as it came where it is of the right kind, and otherwise what we understood it to mean."""
    return value if value is not None and type(value) is type(meant) else copy.deepcopy(meant)


def _ours_in(card: Json, notes: list[str]) -> Persona | None:
    extensions = data_of(card).get("extensions")
    ours = extensions.get(OURS) if isinstance(extensions, dict) else None
    if ours is None:
        return None
    try:
        persona = Persona.model_validate(ours["persona"])
    except (ValidationError, TypeError, KeyError):
        notes.append(
            "the part of the card that Greenroom wrote is damaged; only the card's own fields were read"
        )
        return None
    return persona.model_copy(update={"card": {}})


def _with_ours(card: Json, persona: Persona) -> Json:
    self = persona.model_dump(mode="json", exclude={"card"}, exclude_defaults=True)
    extensions = data_of(card).get("extensions")
    kept = extensions if isinstance(extensions, dict) else {}
    data_of(card)["extensions"] = kept | {OURS: {"version": 1, "persona": self}}
    return card


def _without_ours(card: Json) -> Json:
    card = copy.deepcopy(card)
    extensions = data_of(card).get("extensions")
    if isinstance(extensions, dict):
        extensions.pop(OURS, None)
    return card
