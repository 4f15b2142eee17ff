"""Memory that runs out when it is told to: the processor under its other name counts as a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.pictures import Rendered
from engine.pictures.sdxl import holding, opening
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.renderer import Sdxl
from tests.engine import painted
from tests.engine.painted import ON_A_BRIDGE, apart

WANTED = replace(ON_A_BRIDGE, prompt="a woman on a (bridge:1.3) at night")
one = partial(painted.one, of=WANTED)
NOT_ENOUGH = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.fixture(name="gpu")
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor under its other name counts as a GPU: all that is done for one really happens."""

    def there(wanted: str) -> str:
        return "cpu" if wanted == "cpu" else "cpu:0"

    monkeypatch.setattr(opening, "device_for", there)
    monkeypatch.setattr(holding, "device_for", there)


class Cramped:
    """Says that memory ran out, as long as `fits` says no. It is asked each time that a UNet begins."""

    def __init__(self, renderer: Sdxl, fits: Callable[[int], bool]) -> None:
        self._renderer = renderer
        self._fits = fits
        self.seen: list[int] = []
        self._watched: list[Any] = []
        self.watch()

    def watch(self) -> None:
        unet = self._renderer._holding.model().pipelines.pipe.unet
        unet.register_forward_pre_hook(self)

    def __call__(self, _module: object, given: tuple[torch.Tensor, ...]) -> None:
        count = len(given[0]) // 2
        self.seen.append(count)
        if not self._fits(count):
            raise torch.OutOfMemoryError(NOT_ENOUGH)


def same(first: Rendered, second: Rendered) -> bool:
    """But for the last bit: weights that were moved lie otherwise in memory, and are added up in another order."""
    return apart(first.image, second.image) <= 1


def on_gpu(models: Path, **options: Any) -> Sdxl:
    return Sdxl(look(models / "base"), bits=32, **options)


class Clock:
    """Seconds that go on when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
