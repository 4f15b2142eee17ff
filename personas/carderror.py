"""What is said when a card or persona file cannot be used: always a sentence for the person who sent it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

#: More than this many problems at once help nobody.
MAX_PROBLEMS = 3

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
}


class CardError(ValueError):
    """A card or persona file cannot be read or written; the message is a sentence for a person."""


def sentence_of(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with a persona, field by field, in words that name the nearest valid key."""
    problems = error.errors(include_url=False)
    said = [_problem(problem["type"], problem["loc"], problem, model) for problem in problems[:MAX_PROBLEMS]]
    more = len(problems) - len(said)
    if more:
        said.append(f"and {more} more problem{'s' if more > 1 else ''}")
    return "; ".join(said)


def _problem(kind: str, where: Sequence[int | str], problem: Any, model: type[BaseModel]) -> str:
    field = field_name(where)
    limits: dict[str, Any] = problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(model, where[:-1])
        near = get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
        meant = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"'{field}' is not a field of a persona; {meant}"
    if kind == "missing":
        return f"'{field}' is missing"
    if kind in {"string_too_long", "too_long"}:
        return f"'{field}' is longer than {limits['max_length']:,} characters"
    if kind in {"string_too_short", "too_short"}:
        return f"'{field}' must not be empty"
    if kind == "string_pattern_mismatch":
        wanted = (
            "a colour such as #22333b"
            if "#" in str(limits.get("pattern"))
            else "small letters, digits and dashes, at most 48 of them"
        )
        return f"'{field}' must be {wanted}"
    if kind == "enum":
        return f"'{field}' must be one of {limits['expected']}"
    if kind == "value_error":
        return f"{field}: {limits['error']}" if field else str(limits["error"])
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = limits.get("ge", limits.get("le"))
        return f"'{field}' must be {'at least' if 'ge' in limits else 'at most'} {bound:,}"
    expected = next((words for name, words in _KINDS.items() if kind.startswith(name)), "of another kind")
    return f"'{field}' must be {expected}, not {_described(problem.get('input'))}"


def field_name(where: Sequence[int | str]) -> str:
    """A place in a persona as a person would point at it: `appearance.hair`, `interests 2.name`."""
    name = ""
    for part in where:
        if isinstance(part, int):
            name += f" {part + 1}"
        else:
            name += ("." if name else "") + "".join(c for c in part if c.isprintable())[:60]
    return name


def _described(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            shown = "".join(c for c in value[:30] if c.isprintable())
            return f"the text “{shown}{'…' if len(value) > 30 else ''}”"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
    return "a date or time" if hasattr(value, "isoformat") else "something else"


def _keys_at(model: type[BaseModel], where: Sequence[int | str]) -> list[str]:
    """The keys that are valid at a place of the model."""
    here: Any = model
    for part in where:
        if isinstance(part, int):
            continue
        field = here.model_fields.get(part) if _is_model(here) else None
        here = _model_within(field.annotation) if field else None
    return sorted(here.model_fields) if _is_model(here) else []


def _model_within(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_within(inner))), None)


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)
