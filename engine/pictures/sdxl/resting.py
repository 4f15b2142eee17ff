"""Weights that are on the GPU only while they work, part by part, and in the machine's memory meanwhile.

What the parts are it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Resting:
    """The parts of a model, all on the GPU until `begin`. Not one pipeline's own way of it: base and refiner have
    parts in common, and each would undo the other's.
    """

    def __init__(self, parts: Sequence[Any], device: str) -> None:
        self._parts = parts
        self._device = device
        self._hooks: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def begin(self) -> None:
        from accelerate import cpu_offload_with_hook

        if not self._hooks:
            for part in self._parts:
                part.to("cpu")
            self._hooks = [cpu_offload_with_hook(part, self._device)[1] for part in self._parts]

    def rest(self) -> None:
        """Off the GPU with whatever has worked; the next that is to work goes there by itself."""
        for hook in self._hooks:
            hook.offload()

    @contextmanager
    def stripped(self) -> Iterator[None]:
        """Meanwhile no part goes anywhere: whoever changes one would take that for another's doing."""
        self.rest()
        hooks, self._hooks = self._hooks, []
        for hook in hooks:
            hook.remove()
        try:
            yield
        finally:
            if hooks:
                self.begin()

    def end(self) -> None:
        self._parts, self._hooks = (), []
