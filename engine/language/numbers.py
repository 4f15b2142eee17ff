"""In which numbers a model remembers what it has read, and how much of the machine's memory that takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from engine.errors import ModelUnavailable
from engine.language.facts import said_of


@dataclass(frozen=True)
class Numbers:
    """A kind of numbers: the library's own number for it, and so many bytes for so many of them."""

    kind: int
    size: int
    of: int = 1

    @property
    def packed(self) -> bool:
        """Whether several share a scale; then only flash attention reads the values."""
        return self.of > 1


#: By the library's numbers for them; for `bf16` its bindings have no name.
KINDS = {
    "f32": Numbers(0, 4),
    "f16": Numbers(1, 2),
    "bf16": Numbers(30, 2),
    "q8_0": Numbers(8, 34, of=32),
}


def numbers_for(lib: Any, wanted: str, *, on_processor: bool) -> Numbers:
    """On a processor that multiplies `bf16` as they are, a deep memory is looked at in a fifth less time. Models are
    trained in these numbers; but what is rounded so roughly depends a little on who else is read in the same step.
    """
    if wanted != "auto":
        return KINDS[wanted]
    return KINDS["bf16" if on_processor and has_bf16(lib) else "f16"]


def has_bf16(lib: Any) -> bool:
    """Whether the library multiplies such numbers as they are, here."""
    return b"AVX512_BF16 = 1" in lib.llama_print_system_info()


def token_bytes(lib: Any, model: Any, numbers: Numbers) -> int:
    """What a token takes of the memory: keys and values of each layer."""
    keys, values = _widths(lib, model)
    heads = lib.llama_model_n_layer(model) * max(1, lib.llama_model_n_head_kv(model))
    return int(heads * (keys + values) * numbers.size) // numbers.of


def check_memory(lib: Any, model: Any, cells: int, numbers: Numbers) -> None:
    """Asked for more than there is, the library ends the process instead of refusing."""
    if any(width % numbers.of for width in _widths(lib, model)):
        raise ModelUnavailable(
            f"This model's heads cannot be kept in groups of {numbers.of}: set language.numbers to f16."
        )
    need = cells * token_bytes(lib, model, numbers)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if need > there:
        raise ModelUnavailable(
            f"A memory of {cells:,} tokens takes {need / 1e9:,.1f} GB, and this machine has {there / 1e9:,.1f}: "
            "lower language.memory or language.context."
        )


def _widths(lib: Any, model: Any) -> tuple[int, int]:
    """How many numbers a key and a value of one head are."""
    usual = lib.llama_model_n_embd(model) // max(1, lib.llama_model_n_head(model))
    kind = said_of(lib, model, "general.architecture")
    # Some models' heads are wider than their share of the whole.
    keys, values = (
        int(told) if (told := said_of(lib, model, f"{kind}.attention.{name}_length")).isdigit() else usual
        for name in ("key", "value")
    )
    return keys, values
