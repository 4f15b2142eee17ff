"""The menu: what can be asked for, in somebody's language. It is made from the registry and `data/locales`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bot.commands.calling import Command, Part
from bot.front import Choice, Entry, Option
from engine.locales import Locale, languages, locale_of

#: An option with this name takes one of the languages that are there.
LANGUAGE = "language"


def menu_of(commands: Iterable[Command], locale: Locale) -> list[Entry]:
    return [_entry(command, locale) for command in commands if command.listed]


def name_of(code: str) -> str:
    """What a language calls itself."""
    return locale_of(code).say("settings.language_name")


def _entry(command: Command, locale: Locale) -> Entry:
    where = f"commands.{command.name}"
    parts = tuple(
        Entry(
            part.name,
            locale.say(f"commands.{command.name}.parts.{part.name}.says"),
            _options(part, f"{where}.parts.{part.name}", locale),
            quiet=part.quiet,
            operators_only=part.operators_only,
        )
        for part in command.parts
    )
    return Entry(
        command.name,
        locale.say(f"commands.{command.name}.says"),
        () if parts else _options(command, where, locale),
        parts,
        quiet=command.quiet,
        operators_only=command.operators_only,
    )


def _options(part: Part, where: str, locale: Locale) -> tuple[Option, ...]:
    return tuple(
        replace(option, says=locale.say(f"{where}.options.{option.name}"), choices=_choices(option, locale))
        for option in part.options
    )


def _choices(option: Option, locale: Locale) -> tuple[Choice, ...]:
    """A choice without a label is one of our words, and has one in every language."""
    if option.name == LANGUAGE:
        return tuple(Choice(code, name_of(code)) for code in languages())
    return tuple(
        choice if choice.label else Choice(choice.value, locale.say(f"commands.choices.{choice.value}"))
        for choice in option.choices
    )
