"""Files of weights: what they end with, and what the list at the beginning of a .safetensors file tells.

For what model the weights are, it does not know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.errors import BadRequest
from engine.locales import Said, say

PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pickle", ".pkl")
WEIGHTS = (".safetensors",)
ENDS = (*WEIGHTS, *PICKLES)
#: The format itself allows no longer list of tensors.
_LONGEST_HEADER = 100_000_000


def header(path: Path) -> dict[str, Any]:
    """The list of tensors of a .safetensors file, checked against how long the file is."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(64)
            length = int.from_bytes(start[:8], "little")
            if size < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER) or start[8:9] != b"{":
                raise BadRequest(_no_safetensors(path, start, length))
            file.seek(8)
            told = json.loads(file.read(length))
    except OSError as error:
        why = str(error.strerror)
        raise BadRequest(say("pictures.file.unreadable", file=str(path), why=why)) from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(say("pictures.file.list_unreadable", file=str(path))) from error
    try:
        ends = [int(one["data_offsets"][1]) for name, one in told.items() if name != "__metadata__"]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise BadRequest(say("pictures.file.list_senseless", file=str(path))) from error
    whole = 8 + length + max(ends, default=0)
    if whole > size:
        sizes = {"there": _bytes(size), "whole": _bytes(whole)}
        raise BadRequest(say("pictures.file.cut_short", file=str(path), **sizes))
    return dict(told)


def refused_pickle(path: Path) -> Said:
    return say("pictures.file.pickle", file=str(path))


def _no_safetensors(path: Path, start: bytes, length: int) -> Said:
    file = str(path)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return refused_pickle(path)
    if start.startswith(b"version https://git-lfs"):
        return say("pictures.file.pointer", file=file)
    if start.lstrip()[:1] == b"<":
        return say("pictures.file.web_page", file=file)
    if start[8:9] == b"{" and length <= _LONGEST_HEADER:
        return say("pictures.file.cut_in_its_list", file=file)
    return say("pictures.file.no_safetensors", file=file)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count:,} bytes"
