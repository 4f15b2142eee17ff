"""Persona files: TOML that a person can read, write and copy, with the fields of a persona by their own names.

A character card or a lorebook that TOML cannot spell (it has no empty value) stands in the file as JSON text.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import tomli_w
from pydantic import ValidationError

from personas.carderror import CardError, sentence_of
from personas.cardfields import clean
from personas.persona import Persona, slug_of

#: Keys with more parts than this are no persona; reading them would take longer than anybody waits.
MAX_KEY_PARTS = 40

_LONG_KEY = re.compile(rf"""(?<!["'\w-])(?:["'\w-]++[ \t]*+\.[ \t]*+){{{MAX_KEY_PARTS}}}(?![ \t.])""")
_WHERE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


def persona_from_toml(text: str) -> Persona:
    """The persona of a file; an error names the line or the field."""
    if _LONG_KEY.search(text):
        raise CardError(f"it has a key of more than {MAX_KEY_PARTS} parts")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = _WHERE.search(str(error))
        last = len(text.splitlines()) or 1
        line = where.group(1) if where and where.group(1) else last
        reason = _WHERE.sub("", str(error)).strip().rstrip(".")
        raise CardError(f"line {line} cannot be read as TOML: {reason[:1].lower()}{reason[1:200]}") from None
    except (RecursionError, ValueError, OverflowError):
        raise CardError(
            "it cannot be read as TOML: it is nested too deeply or holds too long a number"
        ) from None
    if not table:
        raise CardError("it is empty; a persona needs at least a name")
    for field in ("card", "lorebook"):
        if isinstance(table.get(field), str):
            table[field] = _json_in(field, table[field])
        if field in table:
            table[field] = clean(table[field], [])
    if "slug" not in table and isinstance(table.get("name"), str) and table["name"].strip():
        table["slug"] = slug_of(table["name"])
    elif "slug" not in table:
        table["slug"] = "nameless"
    try:
        return Persona.model_validate(table)
    except ValidationError as error:
        raise CardError(sentence_of(error, Persona)) from None
    except RecursionError:
        raise CardError("it is nested too deeply") from None


def toml_of(persona: Persona) -> str:
    """The persona as a file that reads back as exactly the same persona."""
    table = persona.model_dump(mode="json", exclude_defaults=True)
    if persona.card:
        table["card"] = json.dumps(persona.card, ensure_ascii=False, indent=1)
    spelt: list[dict[str, Any]] = [table]
    if persona.lorebook is not None:
        whole = persona.lorebook.model_dump(mode="json", exclude_unset=True)
        spelt.append(table | {"lorebook": json.dumps(whole, ensure_ascii=False, indent=1)})
    for candidate in spelt:
        for multiline in (True, False):
            try:
                text = tomli_w.dumps(candidate, multiline_strings=multiline)
                if persona_from_toml(text) == persona:
                    return text
            except (CardError, TypeError, ValueError):
                continue
    raise CardError("the persona holds something that a TOML file cannot carry")


def _json_in(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CardError(f"'{field}' is neither a table nor JSON text") from None
