"""After memory ran out: how the next pictures are made, and when all is tried as at first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.pictures.sdxl.renderer import Sdxl
from engine.pictures.sdxl.sparing import (
    PICTURES,
    SECONDS,
)
from tests.engine.cramped import (  # noqa: F401 - fixtures
    NOT_ENOUGH,
    WANTED,
    Clock,
    Cramped,
    a_gpu,
    on_gpu,
    one,
    same,
)
from tests.engine.painted import quiet

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("by_pictures", [False, True])
def test_after_a_while_without_trouble_it_is_run_as_at_first(
    models: Path, sdxl: Sdxl, gpu: None, capsys: pytest.CaptureFixture[str], by_pictures: bool
) -> None:
    clock, full = Clock(), True
    renderer = on_gpu(models, now=clock)
    pipelines = renderer._holding.model().pipelines
    Cramped(renderer, lambda _: not full or bool(pipelines.resting))
    assert one(renderer).facts["spared"] == ["tiles", "offload"]
    full = False
    clock.now += SECONDS - 1
    made = one(renderer)
    assert made.facts["spared"] == ["tiles", "offload"], "not yet"
    if by_pictures:
        for _ in range(PICTURES // 4):
            made = renderer.render([replace(WANTED, seed=seed) for seed in range(4)], quiet)[0]
    else:
        clock.now += 1
    again = one(renderer)
    assert "spared" not in again.facts
    assert same(again, one(sdxl))
    assert renderer._holding.model().pipelines is not pipelines, "it is loaded anew, compiled parts and all"
    assert capsys.readouterr().out.count("picture_model_tried_as_at_first") == 1
    for _ in range(2):
        clock.now += 10 * SECONDS
        assert "spared" not in one(renderer).facts
    assert "tried_as_at_first" not in capsys.readouterr().out, "once is enough"


def test_what_fails_again_waits_twice_as_long(models: Path, gpu: None) -> None:
    clock = Clock()
    renderer = on_gpu(models, now=clock)

    def cramp() -> None:
        pipelines = renderer._holding.model().pipelines
        Cramped(renderer, lambda _: bool(pipelines.resting))

    cramp()
    for times in (1, 2, 4):
        assert one(renderer).facts["spared"] == ["tiles", "offload"]
        before = renderer._holding.model()
        clock.now += SECONDS * times - 1
        one(renderer)
        assert renderer._holding.model() is before
        clock.now += 1
        renderer._holding.back_to_better()
        assert renderer._holding.model() is not before
        assert not renderer._holding.model().spared
        cramp()
    renderer.close()
    assert renderer._holding._trouble is None


def test_a_card_that_is_small_from_the_start_has_no_better_way(models: Path, gpu: None) -> None:
    clock, full = Clock(), True
    renderer = on_gpu(models, vram=8, now=clock)
    Cramped(renderer, lambda _: not full)
    assert one(renderer).device == "cpu"
    full = False
    clock.now += SECONDS
    first = one(renderer)
    assert (first.device, first.facts["spared"]) == ("cpu:0", ["tiles", "offload"])
    before = renderer._holding.model()
    clock.now += 10 * SECONDS
    one(renderer)
    assert renderer._holding.model() is before, "it is not loaded again and again"


def test_weights_that_did_not_fit_are_tried_again_on_the_gpu(
    models: Path, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import DiffusionPipeline

    move, fail = DiffusionPipeline.to, [True, True]

    def to(self: Any, *where: Any, **options: Any) -> Any:
        if fail and fail.pop():
            raise torch.OutOfMemoryError(NOT_ENOUGH)
        return move(self, *where, **options)

    monkeypatch.setattr(DiffusionPipeline, "to", to)
    clock = Clock()
    renderer = on_gpu(models, now=clock)
    assert one(renderer).device == "cpu"
    clock.now += SECONDS - 1
    assert one(renderer).device == "cpu"
    clock.now += 1
    made = one(renderer)
    assert made.device == "cpu:0"
    assert "spared" not in made.facts


def test_one_picture_on_the_processor_does_not_keep_the_next_ones_there(models: Path, gpu: None) -> None:
    renderer = on_gpu(models)
    Cramped(renderer, lambda _: False)
    assert one(renderer).device == "cpu"
    made = one(renderer)
    assert made.device == "cpu:0"
    assert made.facts["spared"] == ["tiles", "offload"], "that it was short of memory is not forgotten"
    renderer.close()
    assert "spared" not in one(renderer).facts, "until it is opened anew"
