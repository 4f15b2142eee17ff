"""Text that others wrote, made safe to print: no escape sequence, no control character, no turned direction.

It knows nothing of colours or screens, and costs nothing to import.
"""

from __future__ import annotations

import re
import unicodedata

#: CSI, the strings that end in BEL or ST, and two-character escapes: what they say goes, not only their first byte.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def safe(text: str) -> str:
    """The text as it may be printed, with its line breaks.

    >>> safe("a\\x1b[31mb\\x07")
    'ab'
    """
    plain = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\t", "    "))
    return "".join(_shown(c) for c in plain)


def safe_line(text: str) -> str:
    """The same on one line."""
    return " ".join(safe(text).split())


def _shown(c: str) -> str:
    if c == "\n":
        return c
    kind = unicodedata.category(c)
    if kind == "Cs":
        return "\ufffd"
    if kind in {"Zl", "Zp"}:
        return "\n"
    return "" if kind == "Cc" or c in _DIRECTIONS else c


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 picture`, `2 pictures`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
