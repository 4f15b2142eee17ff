"""Files that are models as far as anybody can see who does not load them: a GGUF's first lines, and bytes."""

from __future__ import annotations

import random
import struct


def gguf(size: int = 4_000, *, seed: int = 0, **facts: str) -> bytes:
    """A GGUF of so many bytes. Facts are named `general_type` for `general.type`; a list of words stands before."""
    told = {"general.architecture": "llama"} | {
        name.replace("_", ".", 1): value for name, value in facts.items()
    }
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(told) + 2)
    head += _text("general.tags") + struct.pack("<IIQ", 9, 8, 2) + _text("small") + _text("for tests")
    head += _text("general.quantization_version") + struct.pack("<II", 4, 2)
    for name, value in told.items():
        head += _text(name) + struct.pack("<I", 8) + _text(value)
    return head + random.Random(seed).randbytes(max(0, size - len(head)))


def _text(words: str) -> bytes:
    data = words.encode()
    return struct.pack("<Q", len(data)) + data
