"""Pure: orders in words. `/imagine a red coat --style noir` comes apart into its words and flags, and what a
platform's form holds is put together into the same line, so that a command is read in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.front import Option

#: Stops the reply that is being written: what the button under a draft orders.
STOP = "stop"

_ORDER = re.compile(r"/([a-zA-Z]{1,32})(?:@\w{1,64})?(?:\s+(.*))?\Z", re.DOTALL)
_FLAG = re.compile(r"(?:^|(?<=\s))(?:--|—)([a-z]+)(?:=|\s+|$)(\"[^\"]*\"|[^\s]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Order:
    """A command's name, its words, and its flags by name."""

    name: str
    words: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)


def order_in(text: str) -> Order | None:
    """What was ordered; None for talk, also for `/` alone and paths such as /etc/hosts.

    Flags are not looked for: `flagged` does that.
    """
    matched = _ORDER.match(text.strip())
    return Order(matched[1].lower(), (matched[2] or "").strip()) if matched else None


def flagged(words: str) -> tuple[str, dict[str, str]]:
    """The words without their flags, and the flags."""
    flags = {flag[1].lower(): flag[2].strip('"') for flag in _FLAG.finditer(words)}
    return _FLAG.sub(" ", words).strip(), flags


def order_of(path: Sequence[str], options: Sequence[Option], told: Mapping[str, object]) -> str:
    """The line that says what a form holds: `path` is the command and its part, `told` the options by name."""
    words, flags = [], []
    for option in options:
        value = " ".join(str(told.get(option.name, "")).replace('"', "”").split())
        if not value:
            continue
        if option.flag:
            flags.append(f'--{option.flag} "{value}"')
        else:
            # In the main words nothing is read as a flag that a person did not put into a field for it.
            words.append(re.sub(r"(^|\s)(--|—)(?=[A-Za-z])", r"\1– ", value))
    return " ".join(["/" + path[0], *path[1:], *words, *flags])
