"""Pure: the menu as the application commands that Discord is told, and whether it knows them already.

Descriptions are told in every language that there is; names stay as they are, so that people can tell each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.front import Choice, Entry, Option, OptionKind

Json = dict[str, Any]
Menus = Mapping[str, Sequence[Entry]]

#: Installed to a server or to a person; used in servers, in private with us, and in people's own chats.
INSTALLS, CONTEXTS = [0, 1], [0, 1, 2]
SUBCOMMAND, STRING, INTEGER = 1, 3, 4
SUGGESTED = (OptionKind.PERSONA, OptionKind.STYLE, OptionKind.JOB, OptionKind.POSE, OptionKind.OUTFIT)
#: Shown to whoever may change the server; whether they may is decided elsewhere.
ADMINISTRATORS = str(discord.Permissions(administrator=True).value)
MOST_CHOICES, LONGEST = 25, 100


def commands(menus: Menus) -> list[Json]:
    """The commands to be told, from the menu in each language; the first is what is told where none fits."""
    first = next(iter(menus))
    return [_command(entry, menus, (entry.name,)) for entry in menus[first]]


def same(ours: object, theirs: object) -> bool:
    """Whether what Discord keeps says what we would tell it; it adds much, and leaves out what is empty."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(same(value, theirs.get(key)) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    return (ours or None) == (theirs or None)


def known(ours: Sequence[Json], theirs: Sequence[Json]) -> bool:
    """Whether Discord has exactly these commands, in whatever order."""
    kept = {(one.get("type", 1), one.get("name")): one for one in theirs}
    told = {(one["type"], one["name"]): one for one in ours}
    return kept.keys() == told.keys() and all(same(one, kept[key]) for key, one in told.items())


def suggested(choices: Sequence[Choice]) -> list[Json]:
    """What is offered while somebody types."""
    fitting = [one for one in choices if 0 < len(one.value) <= LONGEST]
    return [{"name": _cut(one.label or one.value), "value": one.value} for one in fitting[:MOST_CHOICES]]


def _command(entry: Entry, menus: Menus, path: tuple[str, ...]) -> Json:
    return {
        **_described(path, menus),
        "type": 1,
        "options": _inside(entry, menus, path),
        "integration_types": INSTALLS,
        "contexts": CONTEXTS,
        "default_member_permissions": ADMINISTRATORS if entry.operators_only else None,
    }


def _inside(entry: Entry, menus: Menus, path: tuple[str, ...]) -> list[Json]:
    if entry.parts:
        return [
            {
                **_described((*path, part.name), menus),
                "type": SUBCOMMAND,
                "options": _inside(part, menus, (*path, part.name)),
            }
            for part in entry.parts[:25]
        ]
    # Discord wants what must be told first.
    options = sorted(entry.options[:25], key=lambda option: not option.required)
    return [_option(option, menus, path) for option in options]


def _option(option: Option, menus: Menus, path: tuple[str, ...]) -> Json:
    number = option.kind is OptionKind.NUMBER
    form: Json = {
        **_described((*path, option.name), menus),
        "type": INTEGER if number else STRING,
        "required": option.required,
    }
    if number:
        form |= {"min_value": option.least, "max_value": option.most}
    elif option.kind is OptionKind.CHOICE and 0 < len(option.choices) <= MOST_CHOICES:
        form["choices"] = [_choice(at, (*path, option.name), menus) for at in range(len(option.choices))]
    elif option.kind in SUGGESTED or option.choices:
        form["autocomplete"] = True
    return {key: value for key, value in form.items() if value is not None}


def _choice(at: int, path: tuple[str, ...], menus: Menus) -> Json:
    told = {}
    for language, menu in menus.items():
        option = _found(menu, path)
        if isinstance(option, Option) and at < len(option.choices):
            told[language] = option.choices[at]
    first = told[next(iter(menus))]
    labels = _localised({language: choice.label or choice.value for language, choice in told.items()})
    return {"name": _cut(first.label or first.value), "value": first.value, "name_localizations": labels}


def _described(path: tuple[str, ...], menus: Menus) -> Json:
    found = {language: _found(menu, path) for language, menu in menus.items()}
    says = {language: one.says for language, one in found.items() if one is not None and one.says}
    first = says.get(next(iter(menus))) or path[-1]
    return {
        "name": path[-1],
        "description": _cut(first),
        "description_localizations": _localised(says),
    }


def _found(menu: Sequence[Entry], path: tuple[str, ...]) -> Entry | Option | None:
    """What a path names: a command, its part, or an option of either."""
    entry = next((one for one in menu if one.name == path[0]), None)
    for name in path[1:]:
        if entry is None:
            return None
        part = next((one for one in entry.parts if one.name == name), None)
        if part is None:
            return next((one for one in entry.options if one.name == name), None)
        entry = part
    return entry


def _localised(told: Mapping[str, str]) -> dict[str, str]:
    """Sentences under the names that Discord has for languages; the first language is told without a name."""
    found = {}
    for language, sentence in list(told.items())[1:]:
        for locale in discord.Locale:
            name = locale.value.lower()
            if name == language.lower() or name.partition("-")[0] == language.lower():
                found[locale.value] = _cut(sentence)
    return found


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
