"""Pure: orders in words. `/imagine a red coat --style noir` comes apart into its words and flags, and what a
platform's form holds is put together into the same line, so that a command is read in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.front import Choice, Option, OptionKind

#: Stops the reply that is being written: what the button under a draft orders.
STOP = "stop"
#: The only choice of what is either said or left out.
YES = "yes"

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


def flagged(words: str, switches: Sequence[str] = ()) -> tuple[str, dict[str, str]]:
    """The words without their flags, and the flags. Of `switches` it is enough that they stand there."""
    flags = {}
    if switches:
        names = "|".join(map(re.escape, switches))
        switch = re.compile(rf'(?:^|(?<=\s))(?:--|—)({names})(?:=yes|(?:=|\s+)"yes")?(?=\s|$)', re.IGNORECASE)
        flags = {found[1].lower(): "yes" for found in switch.finditer(words)}
        words = switch.sub(" ", words)
    flags |= {flag[1].lower(): flag[2].strip('"') for flag in _FLAG.finditer(words)}
    return _FLAG.sub(" ", words).strip(), flags


def switches_of(options: Sequence[Option]) -> list[str]:
    """The flags that can only say yes: they say it by standing there."""
    return [one.flag for one in options if one.flag and [choice.value for choice in one.choices] == [YES]]


def switch(name: str) -> Option:
    """A flag that can only say yes."""
    return Option(name, "", OptionKind.CHOICE, flag=name, choices=(Choice(YES, ""),))


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
