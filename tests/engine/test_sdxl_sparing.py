"""Too little memory: what is tried when it runs out, in which order, and that the picture stays the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from engine.broker import Broker
from engine.errors import RenderFailed
from engine.locales import locale_of
from engine.pictures.sdxl import holding, opening
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.renderer import Sdxl
from engine.pictures.sdxl.resting import Resting
from engine.pictures.sdxl.sparing import (
    STEPS,
)
from tests.engine.cramped import (  # noqa: F401 - fixtures
    NOT_ENOUGH,
    WANTED,
    Cramped,
    a_gpu,
    on_gpu,
    one,
    same,
)
from tests.engine.painted import quiet

pytestmark = pytest.mark.usefixtures("one_thread")


def watch(hook: Any, told: Callable[[], None]) -> None:
    """Hears of it whenever a part is taken off the GPU."""
    rest = hook.init_hook

    def watched(module: Any) -> Any:
        told()
        return rest(module)

    hook.init_hook = watched


def test_nothing_is_spared_where_there_is_enough(models: Path, sdxl: Sdxl, gpu: None) -> None:
    renderer = on_gpu(models)
    made = one(renderer)
    assert "spared" not in made.facts
    assert made.device == "cpu:0"
    assert same(made, one(sdxl))


def test_all_is_tried_in_order_and_the_picture_is_the_same(
    models: Path, sdxl: Sdxl, gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    renderer = on_gpu(models)
    memory = Cramped(renderer, lambda _: False)
    told: list[tuple[int, int]] = []
    wanted = [replace(WANTED, seed=seed) for seed in range(2)]
    made = renderer.render(wanted, lambda *step: told.append(step[:2]))
    # Two together; one, in tiles, off the GPU between uses. The processor is another model, with memory enough; the
    # second of the two is there with the first.
    assert memory.seen == [2, 1, 1, 1]
    assert [picture.facts["spared"] for picture in made] == [
        ["halves", "tiles", "offload", "processor"],
        ["halves", "processor"],
    ]
    assert [picture.device for picture in made] == ["cpu", "cpu"]
    for picture, asked in zip(made, wanted, strict=True):
        assert same(picture, one(sdxl, seed=asked.seed))
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert told[-1] == (2, 2)
    said = [line for line in capsys.readouterr().out.splitlines() if "picture_out_of_memory" in line]
    # Nobody else is there who could let go.
    alone = STEPS[1:]
    assert len(said) == len(alone)
    assert all(step in line.partition("next")[2] for line, step in zip(said, alone, strict=True)), said


def test_who_is_idle_beside_it_lets_go_before_anything_is_spared(models: Path, sdxl: Sdxl, gpu: None) -> None:
    gone: list[str] = []
    broker = Broker()
    broker.takes_part("words", let_go=lambda: gone.append("words"), busy=lambda: False)
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: True)
    broker.holds("words", 5)
    renderer = on_gpu(models, memory=broker.share("pictures"))
    Cramped(renderer, lambda _count: bool(gone))
    made = one(renderer)
    assert gone == ["words"]
    assert made.facts["spared"] == ["swap"]
    assert same(made, one(sdxl))
    renderer.close()


def test_what_fits_once_weights_rest_stays_on_the_gpu(models: Path, gpu: None) -> None:
    renderer = on_gpu(models)
    pipelines = renderer._holding.model().pipelines
    memory = Cramped(renderer, lambda _: bool(pipelines.resting))
    made = one(renderer)
    assert memory.seen == [1, 1, 1, 1]
    assert made.facts["spared"] == ["tiles", "offload"]
    assert made.device == "cpu:0"
    assert one(renderer, seed=8).facts["spared"] == ["tiles", "offload"], "from now on"
    assert len(memory.seen) == 6, "at the first try"


def test_a_picture_that_fits_nowhere_ends_in_a_sentence_and_the_next_one_is_made(
    models: Path, sdxl: Sdxl, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = on_gpu(models)
    full = True
    memory = Cramped(renderer, lambda _: not full)
    opened = opening.open_pipelines

    def watched(*given: Any, **options: Any) -> Any:
        made = opened(*given, **options)
        made.pipe.unet.register_forward_pre_hook(memory)
        return made

    monkeypatch.setattr(holding, "open_pipelines", watched)
    with pytest.raises(
        RenderFailed, match=r"not enough memory for a picture of 64 × 64\. Ask for a smaller"
    ) as told:
        one(renderer)
    assert locale_of("de").says(told.value).startswith("Für ein Bild von 64 × 64 reicht der Speicher nicht.")
    assert memory.seen == [1, 1, 1, 1, 1], "as it is, tiles, offload, the processor, and tiles there"
    full = False
    assert same(one(renderer), one(sdxl))


def test_where_the_processor_has_no_room_either_it_ends_in_a_sentence(
    models: Path, sdxl: Sdxl, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = on_gpu(models)
    Cramped(renderer, lambda _: False)
    opened = opening.open_pipelines

    def cramped(*given: Any, **options: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(holding, "open_pipelines", cramped)
    with pytest.raises(RenderFailed, match="not enough memory for a picture of 64 × 64"):
        one(renderer)
    monkeypatch.setattr(holding, "open_pipelines", opened)
    assert same(one(renderer), one(sdxl))


@pytest.mark.parametrize(
    ("fail", "spared", "device"),
    [([True], ["offload"], "cpu:0"), ([True, True], ["processor"], "cpu"), ([True] * 3, None, "")],
)
def test_weights_that_do_not_fit_rest_or_run_on_the_processor(
    models: Path,
    sdxl: Sdxl,
    gpu: None,
    monkeypatch: pytest.MonkeyPatch,
    fail: list[bool],
    spared: list[str] | None,
    device: str,
) -> None:
    from diffusers import DiffusionPipeline

    move = DiffusionPipeline.to

    def to(self: Any, *where: Any, **options: Any) -> Any:
        if fail and fail.pop():
            raise torch.OutOfMemoryError(NOT_ENOUGH)
        return move(self, *where, **options)

    monkeypatch.setattr(DiffusionPipeline, "to", to)
    renderer = on_gpu(models)
    if spared is None:
        with pytest.raises(RenderFailed, match=r"base does not fit in memory\. Stop what else uses it"):
            one(renderer)
        assert one(renderer).image.size == (64, 64)
        return
    made = one(renderer)
    assert (made.facts["spared"], made.device) == (spared, device)
    assert same(made, one(sdxl))
    again = one(renderer)
    assert (again.facts["spared"], again.device) == (spared, device), "and is not loaded anew each time"


def test_words_that_do_not_fit_are_read_with_less_memory(models: Path, sdxl: Sdxl, gpu: None) -> None:
    renderer = on_gpu(models)
    pipelines = renderer._holding.model().pipelines

    def cramped(*_given: object) -> None:
        if not pipelines.resting:
            raise torch.OutOfMemoryError(NOT_ENOUGH)

    pipelines.pipe.text_encoder_2.register_forward_pre_hook(cramped)
    assert renderer.company([WANTED, WANTED]) == [0, 1]
    assert same(one(renderer), one(sdxl))


def test_a_vae_that_does_not_fit_works_in_tiles(models: Path) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu")
    vae = renderer._holding.model().pipelines.pipe.vae

    def cramped(*_given: object) -> None:
        if not vae.use_tiling:
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184 bytes."
            )

    vae.decoder.register_forward_pre_hook(cramped)
    assert one(renderer).facts["spared"] == ["tiles"]


@pytest.mark.parametrize("wanted", [{}, {"hires": True, "width": 128}, {"start": Image.new("RGB", (64, 64))}])
@pytest.mark.parametrize("refined", [False, True])
def test_a_model_that_rests_between_uses_paints_the_same(
    models: Path, gpu: None, wanted: dict[str, Any], refined: bool
) -> None:
    refiner = look(models / "refiner") if refined else None
    resting = Sdxl(look(models / "base"), refiner, bits=32, vram=8)
    tiled = Sdxl(look(models / "base"), refiner, device="cpu")
    tiled._holding.model().pipelines.spare()
    moved: list[str] = []
    pipelines = resting._holding.model().pipelines
    for name, part in (("unet", pipelines.pipe.unet), ("vae", pipelines.pipe.vae)):
        watch(part._hf_hook, partial(moved.append, name))
    for prompt in ("a dog", "a woman on a (bridge:1.3) with [fog], " * 12):
        made = one(resting, prompt=prompt, steps=8, **wanted)
        assert made.facts["spared"] == ["tiles", "offload"]
        assert same(made, one(tiled, prompt=prompt, steps=8, **wanted))
    assert {"unet", "vae"} <= set(moved)


@pytest.mark.parametrize(
    ("vram", "batch", "spared"),
    [(8, 1, ["tiles", "offload"]), (12, 2, ["tiles"]), (24, 4, None), (0, 4, None)],
)
def test_a_bound_on_the_memory_is_kept_from_the_start(
    models: Path, gpu: None, vram: float, batch: int, spared: list[str] | None
) -> None:
    renderer = on_gpu(models, vram=vram)
    wanted = [replace(WANTED, seed=seed) for seed in range(4)]
    made = renderer.render(wanted, quiet)
    assert {picture.facts["batch"] for picture in made} == {batch}
    assert {tuple(picture.facts.get("spared") or ()) for picture in made} == {tuple(spared or ())}
    assert renderer.company(wanted) == list(range(batch))


def test_a_bound_on_the_memory_of_a_gpu_is_none_for_the_processor(models: Path) -> None:
    made = one(Sdxl(look(models / "base"), device="cpu", vram=8))
    assert "spared" not in made.facts


def test_it_can_be_closed_whatever_it_holds(models: Path, gpu: None) -> None:
    renderer = on_gpu(models, vram=8)
    renderer.close()
    one(renderer, start=Image.new("RGB", (64, 64)))
    renderer.close()
    renderer.close()
    assert one(renderer).facts["spared"] == ["tiles", "offload"]


def test_parts_go_to_work_and_rest_and_warm_up_again_after_it() -> None:
    """By themselves, without a model around them: what is off the GPU goes back there with its next call."""
    parts = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    asked = torch.ones(1, 2)
    known = [part(asked) for part in parts]
    resting = Resting(parts, "cpu:0")
    assert not resting
    resting.rest()  # nothing rests yet, and nothing is wrong with that
    resting.begin()
    resting.begin()
    assert resting
    moved: list[str] = []
    for number, part in enumerate(parts):
        watch(part._hf_hook, partial(moved.append, f"{number} rests"))
    for _ in range(2):
        moved.clear()
        assert torch.equal(parts[0](asked), known[0])
        resting.rest()
        assert moved == ["0 rests", "1 rests"]
        assert torch.equal(parts[1](asked), known[1]), "and works again as before"
    with resting.stripped():
        assert not resting
        assert not any(hasattr(part, "_hf_hook") for part in parts)
    assert resting
    assert torch.equal(parts[0](asked), known[0])
    resting.end()
    assert not resting


def test_what_rested_and_was_closed_is_warmed_again(models: Path, gpu: None) -> None:
    renderer = on_gpu(models, vram=8)
    first = one(renderer)
    assert not renderer.warm(), "there is nothing to make ready"
    renderer.close()
    assert renderer.warm(), "the weights are loaded while nobody waits"
    assert renderer._holding.model().pipelines.resting
    assert not renderer.warm()
    assert same(one(renderer), first)
    renderer.close()
