"""Text as the tokens of a model, and what of it only looks like one."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from typing import Any

from engine.errors import ModelUnavailable

#: So many letters are split into tokens at once.
LONGEST_PART = 4_096
_MARK = re.compile(r"<[^\s<>]{2,60}>|\[/?[A-Z_]{2,40}\]")


def tokenised(lib: Any, vocab: Any, text: str, *, special: bool) -> list[int]:
    """Text as tokens, without those that a text begins and ends with."""
    if lib.llama_vocab_type(vocab) != lib.LLAMA_VOCAB_TYPE_BPE:
        return _tokenised(lib, vocab, text, special)
    return [token for part in _in_parts(text) for token in _tokenised(lib, vocab, part, special)]


def around(lib: Any, vocab: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that the model wants before a text, and behind it."""
    bare, whole = (_tokenised(lib, vocab, "a", special=False, whole=whole) for whole in (False, True))
    at = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), None)
    return ((), ()) if at is None else (tuple(whole[:at]), tuple(whole[at + len(bare) :]))


def _tokenised(lib: Any, vocab: Any, text: str, special: bool, *, whole: bool = False) -> list[int]:
    data = text.encode("utf-8", "replace")
    room = len(data) + 8
    found = (ctypes.c_int32 * room)()
    count = lib.llama_tokenize(vocab, data, len(data), found, room, whole, special)
    if count < 0:
        raise ModelUnavailable("a text has more tokens than letters: the vocabulary is broken")
    return list(found[:count])


def _in_parts(text: str) -> Iterator[str]:
    """Byte-level vocabularies split a text by patterns, some of which go one level deeper with every letter of a word
    until the stack ends, and the process with it. Parts begin at a space, as words do there, where there is one.
    """
    start = 0
    while len(text) - start > LONGEST_PART:
        end = text.rfind(" ", start + 1, start + LONGEST_PART)
        if end < 0:
            end = start + LONGEST_PART
        yield text[start:end]
        start = end
    yield text[start:]


def marks(lib: Any, vocab: Any, vocabulary: int) -> tuple[str, ...]:
    """Ordinary tokens whose text is a mark of some form: `<|im_start|>`, `[INST]`, `<start_of_turn>`."""
    found = []
    for token in range(vocabulary):
        if lib.llama_vocab_get_attr(vocab, token) & lib.LLAMA_TOKEN_ATTR_USER_DEFINED:
            text = (lib.llama_vocab_get_text(vocab, token) or b"").decode("utf-8", "replace")
            if _MARK.fullmatch(text):
                found.append(text)
    return tuple(found)


def cut(text: str, mark: str) -> list[str]:
    first, *others = text.split(mark)
    half = len(mark) // 2
    parts = [first]
    for other in others:
        parts[-1] += mark[:half]
        parts.append(mark[half:] + other)
    return parts
