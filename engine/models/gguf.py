"""The first lines of a GGUF file: what kind of thing it is. Nothing of the weights is read."""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC = b"GGUF"
#: General facts stand first; what comes after so many bytes is not waited for.
_HEAD = 64 * 1024
#: The sizes of plain values, by GGUF's number of their type.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9
#: These are no writers: they read pictures, or make numbers of a text.
_OTHERS = {
    "clip",
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "jina-bert-v2",
    "modern-bert",
    "neo-bert",
    "t5encoder",
    "whisper",
}


def is_gguf(path: Path) -> bool:
    return _head(path)[:4] == MAGIC


def is_writer(path: Path) -> bool:
    """Whether it can write words. One whose facts cannot be read is given the benefit: loading it will tell."""
    facts = _facts(_head(path))
    if facts.get("general.type", "model") != "model":
        return False
    return facts.get("general.architecture", "") not in _OTHERS


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:  # unreadable, a folder, a loop of links
        return b""


def _facts(head: bytes) -> dict[str, str]:
    """The texts among the first facts, as far as they can be followed."""
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
                at += _SIZES[kind]
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
        return int(at + _SIZES[kind] * count)
    for _ in range(min(count, len(head))):
        _, at = _text(head, at)
    return at
