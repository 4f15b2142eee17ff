"""What may be meant by somebody who is typing: commands, what may stand behind them, and names for that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bot.front import Choice, Entry, FrontDesk, Incoming, Option, OptionKind

#: As many as are shown at once.
MOST = 25

_FLAG = re.compile(r'(?:^|\s)(?:--|—)([A-Za-z]+)(?:=|\s+)("?)([^"]*)$')
_OPEN_FLAG = re.compile(r"(?:^|\s)((?:--|—)[A-Za-z]*)$")


async def suggestions(desk: FrontDesk, typed: str, heard: Incoming, language: str) -> dict[str, Any]:
    """Items with a `value` that takes the place of all that was typed behind `at`."""
    if not typed.startswith("/"):
        return _told(len(typed), [])
    menu = {entry.name: entry for entry in desk.menu(language)}
    name, space, rest = typed[1:].partition(" ")
    if not space:
        found = [entry for entry in menu.values() if entry.name.startswith(name.lower())]
        return _told(0, [_item("command", f"/{entry.name} ", entry.says) for entry in found])
    entry = menu.get(name.lower())
    if entry is None:
        return _told(len(typed), [])
    if entry.parts:
        part, space, rest_of_part = rest.lstrip().partition(" ")
        if not space:
            at = len(typed) - len(part)
            return _told(at, [_item("part", f"{one.name} ", one.says) for one in _beginning(entry, part)])
        entry = next((one for one in entry.parts if one.name == part.lower()), entry)
        rest = rest_of_part
    return await _of_options(desk, entry.options, typed, rest, heard)


async def _of_options(
    desk: FrontDesk, options: Sequence[Option], typed: str, rest: str, heard: Incoming
) -> dict[str, Any]:
    if found := _OPEN_FLAG.search(rest):
        begun = found[1].lstrip("-—").lower()
        flags = [one for one in options if one.flag.startswith(begun) and one.flag]
        at = len(typed) - len(found[1])
        return _told(at, [_item("flag", f"--{one.flag} ", one.says) for one in flags])
    if (found := _FLAG.search(rest)) is not None:
        option = next((one for one in options if one.flag == found[1].lower()), None)
        begun, at = found[3], len(typed) - len(found[3]) - len(found[2])
    else:
        option = next((one for one in options if not one.flag), None)
        begun, at = rest.lstrip(), len(typed) - len(rest.lstrip())
    if option is None:
        return _told(len(typed), [])
    choices = await _choices(desk, option, begun, heard)
    return _told(at, [_item(option.kind.value, _quoted(one.value, option), one.label) for one in choices])


async def _choices(desk: FrontDesk, option: Option, begun: str, heard: Incoming) -> Sequence[Choice]:
    if option.kind is OptionKind.CHOICE:
        wanted = begun.casefold()
        return [
            one
            for one in option.choices
            if wanted in one.value.casefold() or one.label.casefold().startswith(wanted)
        ]
    if option.kind in (OptionKind.WORDS, OptionKind.NUMBER):
        return []
    return await desk.suggestions(option.kind, begun, heard)


def _beginning(entry: Entry, begun: str) -> list[Entry]:
    return [one for one in entry.parts if one.name.startswith(begun.lower())]


def _quoted(value: str, option: Option) -> str:
    return f'"{value}" ' if option.flag and " " in value else f"{value} "


def _item(kind: str, value: str, label: str) -> dict[str, str]:
    return {"kind": kind, "value": value, "label": label}


def _told(at: int, items: list[dict[str, str]]) -> dict[str, Any]:
    return {"at": at, "items": items[:MOST]}
