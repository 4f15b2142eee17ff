"""Macros in a persona's words, expanded in one pass. Knows no chat, no clock and no chance.

What a macro stands for is put in as it is and never read again: a person called `{{char}}` stays so. Every
choice follows from the seed and the place in the text, so the same text always comes out the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256

#: Who `{{user}}` is where the same words must serve everybody.
SOMEBODY = "the person"

#: Macros inside macros are read this deep; further braces are plain text. Keeps the work linear.
MAX_DEPTH = 8
#: What macros may add to a text altogether; beyond it they stand for nothing.
MAX_ADDED = 500_000

# Every alternative is a literal or a bounded run, so a scan costs the same for any text.
_MARKS = re.compile(r"\{\{+|\}\}|<user>|<char>|<bot>|\\,|::|,", re.IGNORECASE)
_HEAD = re.compile(r"\s{0,4}(?:(//)|([a-z_]{1,16})\s{0,4}(?:(::?)|(?=\}\})))", re.IGNORECASE)
_DICE = re.compile(r"(?:([0-9]{1,2})?d)?([0-9]{1,6})([+-][0-9]{1,6})?", re.IGNORECASE)

_UNSAID = frozenset({"//", "comment", "hidden_key"})
_WITH_WORDS = _UNSAID | {"random", "pick", "roll", "reverse"}


class _Kind(Enum):
    WORDS = auto()
    COMMA = auto()
    ESCAPED_COMMA = auto()
    COLONS = auto()


@dataclass
class _Open:
    """A macro whose end has not been reached: its source so far, in pieces."""

    name: str
    source: str
    at: int
    colons: bool = False
    pieces: list[tuple[_Kind, str]] = field(default_factory=list)

    def as_written(self) -> list[tuple[_Kind, str]]:
        return [(_Kind.WORDS, self.source), *self.pieces]


def expand(
    text: str,
    *,
    persona_name: str,
    person_name: str,
    seed: int = 0,
    moment: int = 0,
    original: str | None = None,
) -> str:
    """The text with every macro replaced by what it stands for; unknown macros stay as they are.

    `pick` follows the seed alone; `random` and `roll` follow the moment as well, so that a later turn may draw
    differently. `{{original}}` is known only where there is an original.
    """
    names = {"char": persona_name, "user": person_name}
    if original is not None:
        names["original"] = original
    return _expanded(text, names, seed=seed, moment=moment)


def expand_shared(
    text: str, persona_name: str, *, somebody: str = SOMEBODY, original: str | None = None
) -> str:
    """The text as it is for everybody: no person's name in it, and choices that only the persona decides."""
    seed = _number(persona_name)
    return expand(text, persona_name=persona_name, person_name=somebody, seed=seed, original=original)


def _expanded(text: str, names: dict[str, str], *, seed: int, moment: int) -> str:
    opened = [_Open(name="", source="", at=0)]
    room = MAX_ADDED

    def put(value: str) -> None:
        nonlocal room
        if len(value) <= room:
            room -= len(value)
            opened[-1].pieces.append((_Kind.WORDS, value))

    position = 0
    while mark := _MARKS.search(text, position):
        if mark.start() > position:
            opened[-1].pieces.append((_Kind.WORDS, text[position : mark.start()]))
        position = mark.end()
        sign = mark.group()
        if sign.startswith("{{"):
            if len(sign) > 2:  # of a run of braces the last two open the macro
                opened[-1].pieces.append((_Kind.WORDS, sign[:-2]))
            head = _HEAD.match(text, position)
            name = (head.group(1) or head.group(2)).lower() if head else ""
            if head and name in names and not head.group(3) and text.startswith("}}", head.end()):
                position = head.end() + 2
                put(names[name])
            elif len(opened) > MAX_DEPTH:
                opened[-1].pieces.append((_Kind.WORDS, "{{"))
            elif head and name in _WITH_WORDS and (head.group(3) or name == "//"):
                opened.append(_Open(name, "{{" + head.group(), mark.start(), head.group(3) == "::"))
                position = head.end()
            else:
                opened.append(_Open("", "{{", mark.start()))
        elif sign == "}}":
            if len(opened) == 1:
                opened[-1].pieces.append((_Kind.WORDS, sign))
                continue
            macro = opened.pop()
            value = _value(macro, seed=seed, moment=moment)
            if value is None:
                opened[-1].pieces += [*macro.as_written(), (_Kind.WORDS, sign)]
            else:
                opened[-1].pieces.append((_Kind.WORDS, value))
        elif sign.startswith("<"):
            put(names["user" if sign.lower() == "<user>" else "char"])
        else:
            kind = {",": _Kind.COMMA, "\\,": _Kind.ESCAPED_COMMA, "::": _Kind.COLONS}[sign]
            opened[-1].pieces.append((kind, sign))
    opened[-1].pieces.append((_Kind.WORDS, text[position:]))
    return "".join(words for macro in opened for _, words in macro.as_written())


def _value(macro: _Open, *, seed: int, moment: int) -> str | None:
    """What a macro with words in it stands for; None where it is none of ours."""
    if macro.name in _UNSAID:
        return ""
    words = "".join(piece for _, piece in macro.pieces)
    if macro.name == "reverse":
        return words.strip()[::-1]
    if macro.name == "pick":
        options = _options(macro)
        return options[_number(f"pick {seed} {macro.at}") % len(options)]
    if macro.name == "random":
        options = _options(macro)
        return options[_number(f"random {seed} {moment} {macro.at}") % len(options)]
    if macro.name == "roll":
        return _rolled(words.strip(), lambda throw: _number(f"roll {seed} {moment} {macro.at} {throw}"))
    return None


def _options(macro: _Open) -> list[str]:
    """The choices of `a,b` or of `a::b`. A comma in an inserted name parts nothing."""
    by_colons = macro.colons and any(kind is _Kind.COLONS for kind, _ in macro.pieces)
    parting = _Kind.COLONS if by_colons else _Kind.COMMA
    options: list[list[str]] = [[]]
    for kind, words in macro.pieces:
        if kind is parting:
            options.append([])
        else:
            options[-1].append("," if kind is _Kind.ESCAPED_COMMA else words)
    joined = ["".join(option) for option in options]
    return joined if by_colons else [option.strip() for option in joined]


def _rolled(dice: str, draw: Callable[[int], int]) -> str | None:
    read = _DICE.fullmatch(dice)
    if read is None or int(read.group(2)) < 1:
        return None
    count, sides, more = int(read.group(1) or 1), int(read.group(2)), int(read.group(3) or 0)
    return str(sum(draw(throw) % sides + 1 for throw in range(count)) + more)


def _number(text: str) -> int:
    """A number that looks like chance and is the same in every process."""
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])
