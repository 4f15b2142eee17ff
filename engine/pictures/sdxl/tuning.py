"""What makes passes quicker on a GPU, each with its own switch: how weights lie, what is fused, what is compiled.

It knows UNets and the shapes that they are asked for. What these make it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

#: Blocks are compiled for so many shapes: torch gives up after eight of one block's, and SDXL's have two widths.
MOST_SHAPES = 3
REMEMBERED = 8

#: How many pictures, whether guided, their width and height, and how long their words are.
Shape: TypeAlias = tuple[int, bool, tuple[int, int], int]


@dataclass(frozen=True)
class Tuning:
    """What makes passes quicker. None of it changes what is in a picture, and each its last bits."""

    #: Weights lie in memory as convolutions on a GPU read them.
    channels_last: bool = True
    #: Queries, keys and values are computed in one go.
    fused: bool = True
    #: The blocks that repeat are compiled, while nobody waits: see `Pipelines.warm`.
    compiled: bool = True
    #: Who compiles, by torch's name for it.
    compiler: str = "inductor"


UNTUNED = Tuning(channels_last=False, fused=False, compiled=False)


def tuning_for(device: str) -> Tuning:
    """All of it pays on CUDA, and was measured nowhere else."""
    return Tuning() if device == "cuda" else UNTUNED


def tune(pipe: Any, tuning: Tuning) -> None:
    import torch

    if tuning.channels_last:
        pipe.unet.to(memory_format=torch.channels_last)
        pipe.vae.to(memory_format=torch.channels_last)
    if tuning.fused:
        pipe.unet.fuse_qkv_projections()


class Blocks:
    """The blocks of a UNet that repeat: compiled for a few shapes, and for all others as they are.

    Compiling takes a while and begins with a block's first pass, so it is done while nobody waits, and only for
    shapes that were asked for before. What nobody has compiled runs uncompiled: slower in each step, and at once.
    """

    def __init__(self, unet: Any, compiler: str) -> None:
        """An empty `compiler`: never."""
        self._unet = unet
        self._compiler = compiler
        #: How often each shape was asked for, and how it is asked for again.
        self._asked: dict[Shape, tuple[int, Any]] = {}
        self._warm: set[Shape] = set()
        self._compiled = False

    def asked(self, shape: Shape, again: Any) -> None:
        if self._compiler:
            times = self._asked.pop(shape, (0, None))[0]
            self._asked[shape] = (times + 1, again)
            if len(self._asked) > REMEMBERED:
                del self._asked[next(iter(self._asked))]

    def coldest(self) -> tuple[Shape, Any] | None:
        """The shape that was asked for most often of those that nobody has compiled; None: there is nothing to do."""
        cold = [shape for shape in self._asked if shape not in self._warm]
        if not cold or not self._compiler or len(self._warm) >= MOST_SHAPES:
            return None
        shape = max(cold, key=lambda one: self._asked[one][0])
        return shape, self._asked[shape][1]

    def warm(self, shape: Shape) -> None:
        """The next pass of that shape compiles."""
        if not self._compiled:
            self._unet.compile_repeated_blocks(fullgraph=True, backend=self._compiler)
            self._compiled = True
        self._warm.add(shape)

    def is_warm(self, shape: Shape) -> bool:
        return shape in self._warm

    def chill(self) -> None:
        """What was compiled is not what is there now: it is done once more, while nobody waits."""
        self._warm.clear()

    def cool(self) -> bool:
        """From now on nothing runs compiled, and nothing will be; False if nothing did."""
        warm, self._warm, self._compiler = self._warm, set(), ""
        self._asked.clear()
        return bool(warm)

    @contextmanager
    def running(self, shape: Shape) -> Iterator[None]:
        import torch

        if not self._compiled:
            yield
            return
        with torch.compiler.set_stance("default" if shape in self._warm else "force_eager"):
            yield
