"""The seam to whoever turns texts into vectors, so that what means the same lies close together.

Vectors of two models cannot be compared: whoever asks names one, and nobody stands in for it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from engine.errors import ModelUnavailable

#: Numbers of 32 bits, and of length 1 all together.
Vector: TypeAlias = "array[float]"


@dataclass(frozen=True)
class Embedded:
    #: One for each text, in their order.
    vectors: tuple[Vector, ...]
    #: All that was read; where nobody counts, about so many.
    tokens: int


class Embedder(Protocol):
    """Turns texts into vectors. What is too long, empty, or of other dimensions than it has raises `BadRequest`;
    one that cannot do it now raises `ModelUnavailable`. Cancelled, it does no more of it.
    """

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        """`dimensions`: as many numbers as each vector is to have; None: as many as it has."""

    async def close(self) -> None: ...


def unit(numbers: Iterable[float]) -> Vector:
    """Of the same direction, and of length 1. What has no direction is refused."""
    vector = array("f", numbers)
    length = math.sqrt(sum(number * number for number in vector))
    if not (math.isfinite(length) and length > 0):
        raise ModelUnavailable("The model computes no numbers that could be used.")
    return array("f", (number / length for number in vector))
