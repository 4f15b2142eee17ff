"""Reads the LoRAs in a person's text as people write them elsewhere, `<lora:name:0.8>`, and writes them so again.

What only looks like one stays plain text. It knows no files, reads any text in linear time, and never raises.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from engine.pictures import Lora

#: So many count for one picture; those beyond stay text.
MOST_LORAS = 6
#: Beyond it a picture falls apart.
MOST_WEIGHT = 2.0
LONGEST_NAME = 100

#: A name cannot hold what begins or ends another, or anything that no file is called by.
_LORA = re.compile(
    rf"<lora:(?P<name>[^<>:/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{LONGEST_NAME}}})"
    r"(?::(?P<weight>[-+]?(?:\d{1,3}(?:\.\d{1,2})?|\.\d{1,2})))?>",
    re.IGNORECASE | re.ASCII,
)
_GAP = " \t"
_OPENS, _CLOSES = ("(", "["), (")", "]", ".", ",", ";", "!", "?", ":")


def told(text: str) -> tuple[str, tuple[Lora, ...]]:
    """The text without its LoRAs, and these: each name once, with the weight it was given last, as it was written."""
    weights: dict[str, float] = {}
    names: dict[str, str] = {}
    rest: list[str] = []
    read = 0
    for match in _LORA.finditer(text):
        name = match["name"].strip()
        key = key_of(name)
        if not name or (key not in names and len(names) == MOST_LORAS):
            continue
        names.setdefault(key, name)
        weights[key] = float(match["weight"] or 1.0) + 0.0  # there is no minus zero
        _join(rest, text[read : match.start()])
        read = match.end()
    if not names:
        return text, ()
    _join(rest, text[read:])
    return "".join(rest).strip(), tuple(Lora(name, weights[key]) for key, name in names.items())


def words(loras: Iterable[Lora]) -> str:
    """As they stand in the prompt of other programs' pictures."""
    return " ".join(f"<lora:{one.name}:{bounded(one.weight):g}>" for one in loras)


def settled(loras: Iterable[Lora]) -> tuple[Lora, ...]:
    """Those that change a picture, each name once with its last weight. Of the same settled ones it is the same."""
    last: dict[str, Lora] = {}
    for one in loras:
        key = key_of(one.name)
        last[key] = Lora(last[key].name if key in last else one.name, bounded(one.weight))
    return tuple(one for one in last.values() if one.weight)


def key_of(name: str) -> str:
    """What is the same for all ways to write one name: as files are called, on every system."""
    return unicodedata.normalize("NFC", name.strip()).casefold()


def bounded(weight: float) -> float:
    """What is no number counts as none at all."""
    if math.isnan(weight):
        return 0.0
    return round(min(MOST_WEIGHT, max(-MOST_WEIGHT, weight)), 2) + 0.0  # there is no minus zero


def _join(rest: list[str], piece: str) -> None:
    """Closes the gap that a LoRA left: no two spaces, no two commas."""
    if not rest:
        rest.append(piece)
        return
    piece = piece.lstrip(_GAP)
    if not piece:
        return
    before = rest[-1].rstrip(_GAP)
    # What it stood between is apart as before.
    rest[-1] = before
    if piece[0] == "," and (not before or before.endswith((",", *_OPENS, "\n"))):
        piece = piece[1:].lstrip(_GAP)
    if piece and before and not before.endswith((*_OPENS, "\n")) and piece[0] not in (*_CLOSES, "\n", "\r"):
        piece = f" {piece}"
    if piece:
        rest.append(piece)
