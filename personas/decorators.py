"""Decorators: the `@@` lines that some lorebook entries begin with, read into what they ask for.

Knows the ones that a chat of ours can follow. The rest are taken out of the text and otherwise ignored,
unless a fallback (`@@@`) below them is one that we know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_DECORATOR = re.compile(r"(@@@?)([a-z_]+)(?:[ \t]+(.*?))?[ \t]*", re.IGNORECASE)

_PLACES = {
    "before_desc": "before_char",
    "before_char": "before_char",
    "after_desc": "after_char",
    "after_char": "after_char",
    # The persona's part is one piece of text for us, so these come right behind it.
    "personality": "after_char",
    "scenario": "after_char",
}


@dataclass(frozen=True)
class Decorated:
    """An entry's text without its decorators, and what they ask for."""

    text: str = ""
    depth: int | None = None
    role: str = ""
    position: str = ""
    scan_depth: int | None = None
    only_after: int | None = None
    only_every: int | None = None
    constant: bool = False
    activate: bool = False
    dont_activate: bool = False
    additional_keys: tuple[str, ...] = ()
    exclude_keys: tuple[str, ...] = ()


def decorated(content: str) -> Decorated:
    """Reads an entry's content. Of several decorators of one name the first counts."""
    asked = Decorated()
    seen: set[str] = set()
    kept: list[str] = []
    answered = True  # whether the decorator that a `@@@` line falls back from was one that we know
    for line in content.splitlines():
        read = _DECORATOR.fullmatch(line.strip()) if line.lstrip().startswith("@@") else None
        if read is None:
            kept.append(line)
            continue
        marks, name, value = read.group(1), read.group(2).lower(), (read.group(3) or "").strip()
        if marks == "@@@" and answered:
            continue
        changed = _followed(asked, name, value)
        answered = changed is not None
        if changed is not None and name not in seen:
            seen.add(name)
            asked = changed
    return replace(asked, text="\n".join(kept).strip("\n"))


def _followed(asked: Decorated, name: str, value: str) -> Decorated | None:
    """What is asked for with one decorator more, or None where we cannot follow it."""
    whole = int(value) if re.fullmatch(r"-?[0-9]{1,6}", value) else None
    several = tuple(part.strip() for part in value.split(",") if part.strip())
    match name:
        case "depth" if whole is not None:
            return replace(asked, depth=max(0, whole))
        case "scan_depth" if whole is not None:
            return replace(asked, scan_depth=max(0, whole))
        case "activate_only_after" if whole is not None:
            return replace(asked, only_after=whole)
        case "activate_only_every" if whole is not None and whole > 0:
            return replace(asked, only_every=whole)
        case "role" if value.lower() in {"system", "user", "assistant"}:
            return replace(asked, role=value.lower())
        case "position" if value.lower() in _PLACES:
            return replace(asked, position=_PLACES[value.lower()])
        case "additional_keys" if several:
            return replace(asked, additional_keys=several)
        case "exclude_keys" if several:
            return replace(asked, exclude_keys=several)
        case "constant":
            return replace(asked, constant=True)
        case "activate":
            return replace(asked, activate=True)
        case "dont_activate":
            return replace(asked, dont_activate=True)
    return None
