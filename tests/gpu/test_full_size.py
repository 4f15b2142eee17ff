"""SDXL at its full size: that its shapes are SDXL's, and, where there is a GPU, that the house paints with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bench.pictures_house import Bench, prompt, sdxl
from tests.bench.pictures_speed import difference, wanted
from tests.gpu.full_size import SMALL, figures, measure
from tests.gpu.full_weights import full_encoders, full_unet, full_vae, write_full_size

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def parameters(part: Any) -> int:
    return sum(one.numel() for one in part.parameters())


def test_the_shapes_are_those_of_sdxl() -> None:
    with torch.device("meta"):
        assert parameters(full_unet()) == 2_567_463_684
        assert parameters(full_vae()) == 83_653_863
    assert [parameters(one) for one in full_encoders("meta")] == [123_060_480, 694_659_840]


def test_what_cannot_be_measured_is_open_and_says_why() -> None:
    told = figures(None, "no CUDA machine here")
    assert {(one.value, one.open) for one in told} == {(None, "no CUDA machine here")}
    assert len({one.name for one in told}) == len(told)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("gpu")
    model = write_full_size(folder / "full size")
    return Bench(folder, model, 1, 1, True, device="cuda", numbers="float16")


@pytest.fixture
def renderer(bench: Bench) -> Iterator[Any]:
    opened = sdxl(bench)
    yield opened
    opened.close()


def painted(renderer: Any, *words: str, seed: int = 7) -> list[Any]:
    asked = [wanted(one, seed=seed + place, side=512, steps=4) for place, one in enumerate(words)]
    return [one.image for one in renderer.render(asked, lambda *_step: None)]


@on_cuda
@pytest.mark.timeout(600)
def test_the_last_of_180_words_changes_a_picture_of_full_size(renderer: Any) -> None:
    beginning = prompt("the same", 179)
    [first] = painted(renderer, f"{beginning} red")
    [other] = painted(renderer, f"{beginning} river")
    assert first.size == (512, 512)
    assert difference(first, other) > 0


@on_cuda
@pytest.mark.timeout(600)
def test_a_replay_alone_is_the_same_to_the_last_bit_whatever_was_rendered_meanwhile(renderer: Any) -> None:
    words = prompt("one", 120)
    [before] = painted(renderer, words)
    painted(renderer, words, prompt("another", 120), words)
    [again] = painted(renderer, words)
    assert difference(before, again) == 0


@on_cuda
@pytest.mark.timeout(1_200)
def test_all_that_the_bench_tells_can_be_measured(bench: Bench, tmp_path: Path) -> None:
    found = measure(Bench(tmp_path, bench.model, 1, 1, True, device="cuda", numbers="float16"), SMALL)
    assert all(one.value is not None and one.value >= 0 for one in figures(found))
