"""Counts the tokens of a text as the encoders of a model would, by the tokenizer files in its folder alone.

No weight is read and nothing is loaded that computes; where the files or the library are missing, nobody counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: The tokens of a text as they are spelt, and where in the text each of them ends.
Read = Callable[[str], list[tuple[str, int]]]

#: How CLIP takes a text apart before it looks for tokens.
_TAKEN_APART = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_UNKNOWN = "<|endoftext|>"


def readers(folder: Path) -> tuple[Read, ...]:
    """One for each encoder of a model in diffusers' layout; none where they cannot all be read."""
    places = [folder / name for name in ("tokenizer", "tokenizer_2") if (folder / name).is_dir()]
    try:
        return tuple(_reader(place) for place in places)
    except ImportError:
        return ()
    except Exception as error:  # whatever the library says of a damaged file
        log.warning("tokenizer_not_read", folder=str(folder), cause=str(error)[:300])
        return ()


def _reader(folder: Path) -> Read:
    tokenizer = _opened(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def read(text: str) -> list[tuple[str, int]]:
        found = tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False)
        return [(token, end) for token, (_, end) in zip(found.tokens, found.offsets, strict=True)]

    return read


def _opened(folder: Path) -> Any:
    """From the one file that newer libraries write, else from the two that all of them write."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    whole = folder / "tokenizer.json"
    if whole.is_file():
        return Tokenizer.from_file(str(whole))
    pairs = models.BPE.from_file(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        unk_token=_UNKNOWN,
        end_of_word_suffix="</w>",
        fuse_unk=False,
    )
    tokenizer = Tokenizer(pairs)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_TAKEN_APART), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens(_special(folder))
    return tokenizer


def _special(folder: Path) -> list[str]:
    """SDXL's second tokenizer pads with `!`, which is a token of its own there, wherever it stands."""
    try:
        told = json.loads((folder / "special_tokens_map.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = [one["content"] if isinstance(one, dict) else one for one in told.values()]
    return [one for one in found if isinstance(one, str)]
