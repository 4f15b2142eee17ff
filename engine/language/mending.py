"""Pure: what a model wrote without a grammar to hold it, made into what was wanted; or a refusal.

Knows how prompts and personas go wrong, and nothing of who wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from engine.errors import ModelUnavailable
from engine.language import PROMPT_WORDS, PersonaWanted, count_words
from personas.persona import Persona, PictureTaste, printable, slug_of

#: What a model may say of a persona. The rating, instructions and sampling are the operator's.
FIELDS = frozenset(
    {
        *(
            "name",
            "nickname",
            "age",
            "pronouns",
            "occupation",
            "home",
            "kind",
            "tags",
            "description",
            "personality",
        ),
        *("interests", "voice", "appearance", "picture", "scenario", "greetings", "examples"),
    }
)
_PREFACE = re.compile(r"\A[^\n]{0,120}:[*_ ]*\n+(?=\S)")
_LABEL = re.compile(r"\A[*_#\s]*(?:(?:positive|image|picture)\s+)?prompt[*_ ]*:[*_ ]*", re.I)
_SENTENCE_END = re.compile(r"[.!?;][\"”’')]*(?=\s|$)")
_MOST_TRIES = 12
_MOST_STARTS = 40
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def plain_prompt(text: str) -> str:
    """A prompt as one paragraph, without what a model says around it."""
    text = re.sub(r"^\s*```\w*\s*$", "", printable(text), flags=re.M).strip()
    text = _LABEL.sub("", _PREFACE.sub("", text))
    text = re.sub(r"[*_`]{2,}|^[#>\-*]+\s", "", text, flags=re.M)
    text = " ".join(text.split())
    for left, right in ('""', "“”", "''", "«»"):
        if len(text) > 1 and text[0] == left and text[-1] == right:
            text = text[1:-1].strip()
    return text


def with_style(text: str, style_words: str) -> str:
    """The prompt with the style's words in it, no more words than a prompt may have."""
    style = " ".join(style_words.split())
    if not style or style.casefold() in text.casefold():
        return shortened(text, PROMPT_WORDS[-1])
    body = shortened(text, max(0, PROMPT_WORDS[-1] - count_words(style)))
    return f"{body.rstrip(' .,;')}, {style}" if body else style


def shortened(text: str, most: int) -> str:
    """At most so many words: whole sentences where that leaves a prompt long enough, else whole words.

    >>> shortened("One two three. Four five.", 4)
    'One two three. Four'
    """
    if count_words(text) <= most:
        return text
    kept: list[str] = []
    words = 0
    for run in text.split():
        words += any(char.isalnum() for char in run)
        if words > most:
            break
        kept.append(run)
    cut = " ".join(kept)
    ends = [found.end() for found in _SENTENCE_END.finditer(cut)]
    if ends and count_words(cut[: ends[-1]]) >= min(most, PROMPT_WORDS[0] + 10):
        return cut[: ends[-1]]
    return cut.rstrip(" ,;:–-")


def persona_of(text: str, wanted: PersonaWanted) -> Persona:
    """The persona that stands somewhere in the text, as good as it can be made."""
    for told in sorted(_objects(text), key=len, reverse=True):
        if persona := _mended(told, wanted):
            return persona
    raise ModelUnavailable("what the model wrote is no persona")


def _mended(told: Mapping[str, Any], wanted: PersonaWanted) -> Persona | None:
    fields = {key: value for key, value in told.items() if key in FIELDS and value is not None}
    name = wanted.name.strip() or str(fields.get("name") or "").strip()
    if not name:
        return None
    fields["name"] = " ".join(printable(name).split())[:80]
    fields["slug"] = _free_slug(fields["name"], frozenset(wanted.taken))
    fields["kind"] = wanted.kind or fields.get("kind", "")
    age = _age(fields.get("age"))
    if age is not None and age < 18:
        return None  # whatever else was written fits a child
    fields["age"] = age if age is not None else 25 + wanted.seed % 35
    if isinstance(taste := fields.get("picture"), dict):  # nobody told the model which styles there are
        fields["picture"] = {key: taste[key] for key in ("palette", "light", "avoid") if taste.get(key)}
    persona = _validated(fields)
    if persona is None or not (persona.description or persona.personality.summary or persona.appearance.body):
        return None
    if not persona.picture.palette:
        picture = persona.picture.model_copy(update={"palette": PictureTaste().palette})
        persona = persona.model_copy(update={"picture": picture})
    return persona


def _validated(fields: dict[str, Any]) -> Persona | None:
    """The persona in these fields; each round mends or drops what the last one found wrong."""
    fields = json.loads(json.dumps(fields))
    for _ in range(_MOST_TRIES):
        try:
            return Persona.model_validate(fields)
        except ValidationError as error:
            for mistake in reversed(error.errors(include_url=False)):
                _mend(fields, mistake["loc"], mistake["type"])
    return None


def _mend(fields: dict[str, Any], where: tuple[int | str, ...], kind: str) -> None:
    at: Any = fields
    try:
        for step in where[:-1]:
            at = at[step]
        value = at[where[-1]]
    except (KeyError, IndexError, TypeError):
        return
    better = _better(value, kind)
    if better is not None:
        at[where[-1]] = better
    elif isinstance(at, dict):
        at.pop(where[-1], None)
    else:
        at.pop(int(where[-1]))


def _better(value: Any, kind: str) -> Any:
    """The same said in the type that was expected; None where there is no telling."""
    if kind == "tuple_type":
        if isinstance(value, str):
            return [value] if value.strip() else []
        return list(value.values()) if isinstance(value, dict) else None
    if kind == "string_type":
        parts = value.values() if isinstance(value, dict) else value
        if isinstance(parts, int | float):
            return str(parts)
        try:
            return ", ".join(str(part) for part in parts if not isinstance(part, dict | list))
        except TypeError:
            return None
    if kind in {"model_type", "model_attributes_type"} and isinstance(value, str) and value.strip():
        # A part of which only the gist was written. What that part does not know is dropped in the next round.
        return dict.fromkeys(("name", "description", "summary", "manner", "face"), value[:1_900])
    if kind == "string_too_long":
        return str(value)[:1_900]
    return None


def _age(told: Any) -> int | None:
    found = re.search(r"\d{1,4}", str(told)) if isinstance(told, int | float | str) else None
    return int(found[0]) if found else None


def _free_slug(name: str, taken: frozenset[str]) -> str:
    slug, number = slug_of(name), 2
    free = slug
    while free in taken:
        free, number = f"{slug[:42].rstrip('-')}-{number}", number + 1
    return free


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, also ones with a comma too many or without their end."""
    decoder = json.JSONDecoder(strict=False)
    position = 0
    for _ in range(_MOST_STARTS):
        start = text.find("{", position)
        if start < 0:
            return
        position = start + 1
        for candidate in (text, _TRAILING_COMMA.sub(r"\1", text[start:]), _closed(text[start:])):
            try:
                told, end = decoder.raw_decode(candidate, start if candidate is text else 0)
            except (ValueError, RecursionError):
                continue
            if isinstance(told, dict):
                yield told
            if candidate is text:
                position = end
            break


def _closed(text: str) -> str:
    """JSON that broke off, cut after its last whole value and closed."""
    open_, in_string, escaped = [], False, False
    last, still_open = 0, ""
    for place, char in enumerate(text):
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "{[":
            open_.append("}" if char == "{" else "]")
        elif char in "}]" and open_:
            open_.pop()
            last, still_open = place + 1, "".join(reversed(open_))
        elif char == ",":
            last, still_open = place, "".join(reversed(open_))
    return _TRAILING_COMMA.sub(r"\1", text[:last] + still_open)
