"""The operator's `greenroom.toml`, and `GREENROOM_*` on top of it, as they are read.

Every mistake in either becomes a sentence with the key and the line. A value that might be a secret is never
in that sentence, nor in a log. What may be decided: see `settings.py`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import SettingsError
from engine.home import SETTINGS_FILE, home_folder
from engine.settings import PREFIX, Section, Settings

#: Names that say where the settings are, and so are not settings.
OUTSIDE = {"GREENROOM_HOME", "GREENROOM_SETTINGS"}


def settings_file(home: Path) -> Path:
    """Where the file is looked for: `GREENROOM_SETTINGS`, else in the home."""
    return Path(os.environ.get("GREENROOM_SETTINGS") or home / SETTINGS_FILE)


def read_settings() -> Settings:
    """The settings of this machine, or a `SettingsError` that names every mistake in them."""
    home = home_folder()
    path = settings_file(home)
    text = _text_of(path)
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from None
    if "home" in told:
        raise SettingsError(
            f"{path}, line {_line_of(text, ('home',))}: the home is named by GREENROOM_HOME alone"
        )
    mistakes = list(_unknown_variables(os.environ))
    for name in [
        name for name in told if name.startswith("_")
    ]:  # pydantic would take these for its own options
        mistakes.append(f"{path}, line {_line_of(text, (name,))}: {name}: there is no such setting")
        del told[name]
    try:
        settings = Settings(**told)
    except (ValidationError, ValueError) as error:
        mistakes += _worded(error, path, text)
        raise SettingsError("\n".join(mistakes)) from None
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if os.environ.get("GREENROOM_SETTINGS"):
            raise SettingsError(f"{path} is not there (GREENROOM_SETTINGS names it)") from None
        return ""
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start})") from None


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = {
        f"{PREFIX}{section}__{name}".upper()
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for name in field.annotation.model_fields
    }
    sections = {f"{PREFIX}{section}".upper() for section in Settings.model_fields}
    for name in environment:
        if not name.upper().startswith(PREFIX) or name.upper() in OUTSIDE | known | sections:
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1)
        yield f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _worded(error: ValidationError | ValueError, path: Path, text: str) -> Iterator[str]:
    if not isinstance(error, ValidationError):
        # A GREENROOM_ variable of a whole section that is not JSON; the message names it, not its value.
        yield str(error)
        return
    for mistake in error.errors(include_input=False, include_url=False):
        key = tuple(str(part) for part in mistake["loc"])
        variables = (PREFIX + "__".join(key[:2]).upper(), PREFIX + key[0].upper())
        set_here = {name.upper() for name in os.environ}
        where = next((variable for variable in variables if variable in set_here), None)
        if where == variables[0] and mistake["type"] == "extra_forbidden":
            continue  # told by `_unknown_variables` already
        if where is None:
            line = _line_of(text, key)
            where = f"{path}, line {line}" if line else str(path)
        yield f"{where}: {'.'.join(key)}: {_reason(mistake, key)}"


def _reason(mistake: Mapping[str, Any], key: tuple[str, ...]) -> str:
    if mistake["type"] != "extra_forbidden":
        reason = str(mistake["msg"])
        return reason[:1].lower() + reason[1:]
    section: Any = Settings
    for part in key[:-1]:
        section = section.model_fields[part].annotation
    near = difflib.get_close_matches(key[-1], section.model_fields, n=1)
    return "there is no such setting" + (f"; did you mean {near[0]!r}?" if near else "")


def _line_of(text: str, key: tuple[str, ...]) -> int | None:
    """The line on which a key (or, failing that, its table) stands in a TOML text."""
    table: tuple[str, ...] = ()
    found: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = tuple(part.strip(" \"'") for part in header[1].split("."))
            if key == table:
                return number
            if key[: len(table)] == table and found is None:
                found = number
        elif assignment := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            path = (*table, *(part.strip(" \"'") for part in assignment[1].split(".")))
            if key[: len(path)] == path:
                return number
    return found
