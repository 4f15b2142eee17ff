"""What stands in the fields of a character card, read into a persona. Knows nothing of files or formats.

Cards in circulation stray from their specifications: other spellings, numbers for words, empty where a list
should be. What can be understood is understood, and each mending leaves a note.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import date, time
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from personas.carderror import CardError, sentence_of
from personas.lorebook import Entry, Lorebook
from personas.persona import Persona, Personality, slug_of

Json = dict[str, Any]

MAX_NAME = 80
MAX_LINE = 2_000
MAX_WORDS = 200_000
MAX_DEPTH = 60
MAX_ENTRIES = 10_000

#: Spellings that no rule would find, from older programs.
_OLDER_NAMES = {
    "name": ("char_name",),
    "description": ("char_persona",),
    "scenario": ("world_scenario",),
    "first_mes": ("char_greeting", "first_message"),
    "mes_example": ("example_dialogue",),
    "creator_notes": ("creatorcomment",),
    "keys": ("key",),
    "secondary_keys": ("keysecondary",),
    "insertion_order": ("order",),
}
_NOT_FOR_ALL_AGES = re.compile(r"\b(?:nsfw|nsfl|r-?18|18\+|adult|explicit|lewd|smut)(?:\b|$)", re.IGNORECASE)
_NEW_EXAMPLE = re.compile(r"<START>", re.IGNORECASE)


def clean(value: Any, notes: list[str]) -> Any:
    """A card's JSON without what others could not store: half characters and numbers that are not finite."""
    mended: set[str] = set()

    def cleaned(value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CardError(f"the card is nested more than {MAX_DEPTH} levels deep")
        match value:
            case str():
                if value.isascii():
                    return value
                whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                if whole != value:
                    mended.add("broken characters were replaced by “\ufffd”")
                return whole
            case float() if not math.isfinite(value):
                mended.add("numbers that are not finite were left empty")
                return None
            case list():
                return [cleaned(item, depth + 1) for item in value]
            case dict():
                return {cleaned(k, depth + 1): cleaned(v, depth + 1) for k, v in value.items()}
            case date() | time():  # TOML has these, JSON has not
                return value.isoformat()
        return value

    result = cleaned(value, 0)
    notes += sorted(mended)
    return result


def key_of(data: Json, field: str) -> str | None:
    """The key under which a field stands, in whichever spelling."""
    return field if field in data else next(iter(spellings_of(data, field)), None)


def spellings_of(data: Json, field: str) -> list[str]:
    """Every key that means this field; programs disagree, and some cards hold several."""
    plain = field.replace("_", "")
    older = _OLDER_NAMES.get(field, ())
    return [key for key in data if key in older or key.replace("_", "").lower() == plain]


def found(data: Json, field: str) -> Any:
    key = key_of(data, field)
    return None if key is None else data[key]


def named_in(data: Json) -> bool:
    """Whether the fields hold a name that can be seen."""
    return bool(_name_in(_Reader(data, []).text("name", MAX_NAME)))


def persona_from_fields(data: Json, called: str, notes: list[str]) -> Persona:
    """The persona that these fields describe; `called` is its name where the card has none."""
    read = _Reader(data, notes)
    name = _name_in(read.text("name", MAX_NAME))
    if not name:
        name = _name_in(PurePath(called).stem) or "Nameless"
        notes.append(f"the card has no name; it is called {name}")
    tags = read.texts("tags", MAX_LINE, parted=",")
    if any(_NOT_FOR_ALL_AGES.search(tag) for tag in tags):
        notes.append(
            "the card is tagged for adults; it stays rated for all ages until age and rating are set"
        )
    greetings = (read.text("first_mes", MAX_WORDS), *read.texts("alternate_greetings", MAX_WORDS))
    examples = _NEW_EXAMPLE.split(read.text("mes_example", MAX_WORDS))
    try:
        persona = Persona(
            slug=slug_of(name),
            name=name,
            nickname=" ".join(read.text("nickname", MAX_LINE).split()),
            tags=tags,
            description=read.text("description", MAX_WORDS),
            personality=Personality(summary=read.text("personality", MAX_WORDS)),
            scenario=read.text("scenario", MAX_WORDS),
            greetings=tuple(greeting for greeting in greetings if greeting),
            group_greetings=read.texts("group_only_greetings", MAX_WORDS),
            examples=tuple(block.strip() for block in examples if block.strip()),
            lorebook=_lorebook(found(data, "character_book"), notes),
            system_prompt=read.text("system_prompt", MAX_WORDS),
            post_history_instructions=read.text("post_history_instructions", MAX_WORDS),
            creator=read.text("creator", MAX_LINE),
            creator_notes=read.text("creator_notes", MAX_WORDS),
            version=read.text("character_version", MAX_LINE),
        )
    except ValidationError as error:
        raise CardError(sentence_of(error, Persona)) from None
    # A text of nothing but control characters is empty by now.
    lists = ("tags", "greetings", "group_greetings", "examples")
    return persona.model_copy(update={field: tuple(filter(None, getattr(persona, field))) for field in lists})


def _name_in(text: str) -> str:
    """The text as a name, on one line; nothing where there is nothing to see."""
    name = " ".join(text.split())[:MAX_NAME].strip()
    return name if any(unicodedata.category(c)[0] != "C" for c in name) else ""


class _Reader:
    """Reads fields as the kind they should be, and notes where they were not."""

    def __init__(self, data: Json, notes: list[str], place: str = "") -> None:
        self._data = data
        self._notes = notes
        self._place = place

    def text(self, field: str, limit: int) -> str:
        value = found(self._data, field)
        match value:
            case None:
                return ""
            case str():
                text = value
            case bool() | int() | float():
                self._note(field, "was a number and was read as text")
                text = str(value)
            case list() if all(isinstance(part, str) for part in value):
                self._note(field, "was a list and was read as one text")
                text = "\n".join(value)
            case _:
                self._note(field, "is not text and was left out")
                return ""
        # Persona trims and takes out control characters; doing it first keeps the limit honest.
        text = text.strip()
        if len(text) > limit:
            self._note(field, f"is longer than {limit:,} characters; the rest is kept in the card alone")
        return text[:limit].strip()

    def texts(self, field: str, limit: int, parted: str = "") -> tuple[str, ...]:
        value = found(self._data, field)
        if value is None:
            return ()
        if isinstance(value, str):
            value = value.split(parted) if parted else [value]
            if value != [""]:
                self._note(field, "was one text and was read as a list")
        if not isinstance(value, list):
            self._note(field, "is not a list and was left out")
            return ()
        items = [_Reader({field: item}, self._notes, self._place).text(field, limit) for item in value]
        return tuple(item for item in items if item.strip())

    def number(self, field: str) -> int | float | None:
        value = found(self._data, field)
        if isinstance(value, str):
            try:
                value = float(value[:40])
            except ValueError:
                value = None if not value.strip() else [value]
            else:
                self._note(field, "was text and was read as a number")
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
            self._note(field, "is not a number and was left out")
            return None
        return value

    def flag(self, field: str, default: bool) -> bool:
        value = found(self._data, field)
        if value is None:
            return default
        if isinstance(value, str):
            return value.strip().lower() in {"true", "yes", "on", "1"}
        return bool(value)

    def _note(self, field: str, what: str) -> None:
        note = f"{self._place}{field} {what}"
        if note not in self._notes:
            self._notes.append(note)


def _lorebook(value: Any, notes: list[str]) -> Lorebook | None:
    if not isinstance(value, dict):
        if value is not None:
            notes.append("character_book is not a lorebook and was left out")
        return None
    read = _Reader(value, notes, "character_book.")
    entries = found(value, "entries") or []
    if isinstance(entries, dict):  # as some programs keep their own books
        entries = list(entries.values())
    if not isinstance(entries, list):
        notes.append("character_book.entries is not a list and was left out")
        entries = []
    if len(entries) > MAX_ENTRIES:
        notes.append(
            f"character_book has more than {MAX_ENTRIES:,} entries; the rest is kept in the card alone"
        )
    known = {
        "name": _verbatim(value, "name"),
        "description": _verbatim(value, "description"),
        "scan_depth": _whole(read.number("scan_depth")),
        "token_budget": _whole(read.number("token_budget")),
        "recursive_scanning": read.flag("recursive_scanning", False),
        "extensions": _table(found(value, "extensions")),
        "entries": tuple(_entry(entry, notes) for entry in entries[:MAX_ENTRIES] if isinstance(entry, dict)),
    }
    return Lorebook(**_as_they_came(value, known, Lorebook))


def _entry(value: Json, notes: list[str]) -> Entry:
    read = _Reader(value, notes, "character_book.entries: ")
    enabled = read.flag("enabled", True) and value.get("disable") is not True
    id_ = found(value, "id")
    position = found(value, "position")
    known = {
        "keys": read.texts("keys", MAX_LINE, parted=","),
        "content": _verbatim(value, "content"),
        "extensions": _table(found(value, "extensions")),
        "enabled": enabled,
        "insertion_order": read.number("insertion_order") or 0,
        "case_sensitive": read.flag("case_sensitive", False),
        "use_regex": read.flag("use_regex", False),
        "name": _verbatim(value, "name"),
        "priority": read.number("priority") or 0,
        "id": id_ if isinstance(id_, int | str) and not isinstance(id_, bool) else None,
        "comment": _verbatim(value, "comment"),
        "selective": read.flag("selective", False),
        "secondary_keys": read.texts("secondary_keys", MAX_LINE, parted=","),
        "constant": read.flag("constant", False),
        "position": position if isinstance(position, str) and position else "before_char",
    }
    return Entry(**_as_they_came(value, known, Entry))


def _as_they_came(value: Json, known: Json, model: type[Entry] | type[Lorebook]) -> Json:
    """The fields that are there, in our spelling, beside those that we do not know."""
    keys = {field: key_of(value, field) for field in model.model_fields}
    ours = set(keys.values())
    unknown = {key: item for key, item in value.items() if key not in ours and key.isidentifier()}
    there = {field: known[field] for field, key in keys.items() if key is not None}
    if "enabled" in known:
        there["enabled"] = known["enabled"]
    return unknown | there


def _verbatim(data: Json, field: str) -> str:
    value = found(data, field)
    return value if isinstance(value, str) else "" if value is None else str(value)[:MAX_LINE]


def _whole(number: int | float | None) -> int | None:
    return None if number is None else int(number)


def _table(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
