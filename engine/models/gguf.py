"""The first lines of a GGUF file: what kind of thing it is. Nothing of the weights is read."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

MAGIC = b"GGUF"
#: General facts stand first; what comes after so many bytes is not waited for.
_HEAD = 64 * 1024
#: The forms of plain values, by GGUF's number of their type.
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
#: These make numbers of a text, and never words.
_MEASURES = {
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "neo-bert",
    "eurobert",
    "gemma-embedding",
    "llama-embed",
    "t5encoder",
}
#: These read pictures and sounds.
_OTHERS = {"clip", "whisper"}
#: How the numbers of a text's tokens become those of the text: the mean, the first, the last.
_POOLINGS = {"1", "2", "3"}


def is_gguf(path: Path) -> bool:
    return _head(path)[:4] == MAGIC


def is_writer(path: Path) -> bool:
    """Whether it can write words. One whose facts cannot be read is given the benefit: loading it will tell."""
    facts = _facts(_head(path))
    if facts.get("general.type", "model") != "model":
        return False
    return facts.get("general.architecture", "") not in _OTHERS | _MEASURES and _pooling(facts) in ("", "0")


def is_measure(path: Path, *, likely: bool = False) -> bool:
    """Whether it says that it turns texts into vectors. `likely`: somebody else says so, and it only could."""
    facts = _facts(_head(path))
    kind = facts.get("general.architecture", "")
    if facts.get("general.type", "model") != "model" or kind in _OTHERS:
        return False
    return likely or _pooling(facts) in _POOLINGS or (kind in _MEASURES and _pooling(facts) in ("", "0"))


def _pooling(facts: Mapping[str, str]) -> str:
    return facts.get(f"{facts.get('general.architecture', '')}.pooling_type", "")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:  # unreadable, a folder, a loop of links
        return b""


def _facts(head: bytes) -> dict[str, str]:
    """The texts and numbers among the first facts, in words, as far as they can be followed."""
    found: dict[str, str] = {}
    try:
        magic, version, _tensors, count = struct.unpack_from("<4sIQQ", head)
        if magic != MAGIC or version < 2:  # the first version counted in four bytes, and is long gone
            return {}
        at = 24
        for _ in range(count):
            key, at = _text(head, at)
            (kind,) = struct.unpack_from("<I", head, at)
            at += 4
            if kind == _TEXT:
                found[key], at = _text(head, at)
            elif kind == _LIST:
                at = _after_list(head, at)
            else:
                form = f"<{_FORMS[kind]}"
                found[key] = str(struct.unpack_from(form, head, at)[0])
                at += struct.calcsize(form)
    except (struct.error, KeyError, ValueError):
        pass  # cut off, or not as it should be: what was understood so far counts
    return found


def _text(head: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", head, at)
    end = at + 8 + length
    if end > len(head):
        raise ValueError
    return head[at + 8 : end].decode("utf-8", "replace"), end


def _after_list(head: bytes, at: int) -> int:
    kind, count = struct.unpack_from("<IQ", head, at)
    at += 12
    if kind != _TEXT:
        return int(at + struct.calcsize(f"<{_FORMS[kind]}") * count)
    for _ in range(min(count, len(head))):
        _, at = _text(head, at)
    return at
