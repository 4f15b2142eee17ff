"""Pure: where a long prompt is cut, and where it ends, as compel cuts what an encoder reads.

It knows tokens as they are spelt, and no tokenizer, encoder or model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.pictures.sdxl.weighted import Fragment

#: So many tokens are read at once, beside the two that begin and end them.
CHUNK = 75
#: An encoder reads no more than this; each 75 are one more chunk that every step of a picture looks at.
MOST_TOKENS = 2_400
#: Where compel likes to cut best, and where next.
STOPS = (".</w>",)
PAUSES = (".</w>", ",</w>", ";</w>", ":</w>")


def within(parts: Sequence[Fragment], ends: Callable[[str], list[int]]) -> tuple[Fragment, ...]:
    """As many of them, and of the last one as many words, as may be read. `ends`: where a text's tokens end in it."""
    room = MOST_TOKENS
    read: list[Fragment] = []
    for part in parts:
        there = ends(part.text)
        if len(there) > room:
            read.append(replace(part, text=_whole_words(part.text, there[room - 1] if room else 0)))
            break
        room -= len(there)
        read.append(part)
    return tuple(read)


def chunks_of(tokens: Sequence[str]) -> int:
    """How many chunks compel makes of these: it cuts behind the last full stop that fits in, else behind the last of
    other punctuation, else behind the last word.
    """
    return len(cut(tokens))


def cut(tokens: Sequence[str]) -> list[int]:
    """How many of these go into each chunk."""
    lengths, at = [], 0
    while len(tokens) - at > CHUNK:
        there = tokens[at : at + CHUNK]
        lengths.append(_behind(there, STOPS) or _behind(there, PAUSES) or _behind_a_word(there) or CHUNK)
        at += lengths[-1]
    return [*lengths, len(tokens) - at]


def _behind(tokens: Sequence[str], marks: Sequence[str]) -> int:
    return max((place for place, token in enumerate(tokens, 1) if token in marks), default=0)


def _behind_a_word(tokens: Sequence[str]) -> int:
    return max((place for place, token in enumerate(tokens, 1) if token.endswith("</w>")), default=0)


def _whole_words(text: str, end: int) -> str:
    """The text up to there, or up to the word before if that is in the midst of one."""
    begun = text[:end]
    if text[end : end + 1].isspace():
        return begun
    head, *rest = begun.rsplit(maxsplit=1)[:2] or [""]
    return head if rest else begun
