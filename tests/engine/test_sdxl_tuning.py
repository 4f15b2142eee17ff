"""What makes passes quicker changes no picture to speak of, keeps nobody waiting, and may fail."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops

from engine.errors import Stopped
from engine.pictures import Lora, Preview, Rendered
from engine.pictures.sdxl import holding, opening
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.loras import Loras
from engine.pictures.sdxl.loras_found import look_at
from engine.pictures.sdxl.renderer import Sdxl
from engine.pictures.sdxl.tuning import MOST_SHAPES, REMEMBERED, UNTUNED, Blocks, Tuning, tuning_for
from tests.engine import painted
from tests.engine.painted import ON_A_BRIDGE
from tests.models.sdxl import write_lora

pytestmark = pytest.mark.usefixtures("one_thread")

WANTED = replace(ON_A_BRIDGE, steps=4)
one = partial(painted.one, of=WANTED)
#: What is compiled is run as it is: to find out whether it is, no compiler is needed.
COMPILED = replace(UNTUNED, compiled=True, compiler="eager")


@pytest.fixture(scope="module")
def models(models: Path) -> Path:
    """With LoRAs beside them."""
    write_lora(models / "lora" / "ink.safetensors", style="diffusers", seed=3)
    write_lora(models / "lora" / "plain.safetensors", style="diffusers", seed=4, parts=("unet",))
    return models


def apart(first: Rendered, second: Rendered) -> int:
    bands = ImageChops.difference(first.image, second.image).split()
    return max(int(value) for band in bands for value in band.tobytes())


def graphs() -> int:
    """How much was compiled so far, in this process."""
    counted: int = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return counted


def test_all_of_it_is_on_by_default_on_cuda_and_off_elsewhere() -> None:
    switches = [one.name for one in fields(Tuning) if one.name != "compiler"]
    assert all(getattr(tuning_for("cuda"), name) for name in switches)
    for device in ("mps", "cpu"):
        assert not any(getattr(tuning_for(device), name) for name in switches)


@pytest.mark.parametrize("kind", ["base", "sd15"])
@pytest.mark.parametrize(
    "switches", [{"channels_last": True}, {"fused": True}, {"channels_last": True, "fused": True}]
)
def test_a_picture_is_nearly_the_same_tuned_and_untuned(
    models: Path, kind: str, switches: dict[str, Any]
) -> None:
    tuned = Sdxl(look(models / kind), device="cpu", tuning=replace(UNTUNED, **switches))
    unet = tuned._holding.model().pipelines.pipe.unet
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last) == switches.get(
        "channels_last", False
    )
    assert any(
        type(one).__name__.startswith("Fused") for one in unet.attn_processors.values()
    ) == switches.get("fused", False)
    usual = Sdxl(look(models / kind), device="cpu")
    for wanted in ({}, {"hires": True, "width": 128}, {"start": Image.linear_gradient("L"), "strength": 0.5}):
        assert apart(one(tuned, **wanted), one(usual, **wanted)) <= 2


def test_a_refiner_is_tuned_with_its_base(models: Path) -> None:
    tuning = replace(UNTUNED, channels_last=True, fused=True)
    tuned = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu", tuning=tuning)
    usual = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu")
    assert apart(one(tuned, steps=10), one(usual, steps=10)) <= 2


def test_blocks_are_compiled_for_what_was_asked_for_while_nobody_waits(models: Path) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu", tuning=COMPILED)
    assert renderer.warm(), "the weights"
    assert not renderer.warm(), "and nothing was asked for yet"
    before = graphs()
    cold = one(renderer)
    assert "compiled" not in cold.facts
    assert graphs() == before, "whoever comes first does not wait"
    assert renderer.warm()
    warmed = graphs()
    assert warmed > before
    warm = one(renderer)
    assert warm.facts["compiled"] is True
    assert apart(cold, warm) <= 2
    assert "compiled" not in one(renderer, width=72).facts, "nor does who wants something else"
    assert graphs() == warmed
    assert one(renderer, seed=8, prompt="a dog").facts["compiled"]
    assert renderer.warm(), "but is thought of for the next time"
    assert not renderer.warm()
    assert one(renderer, width=72).facts["compiled"]


def test_the_shape_that_is_asked_for_most_is_compiled_first_and_few_are() -> None:
    compiled: list[dict[str, Any]] = []

    class Unet:
        def compile_repeated_blocks(self, **options: Any) -> None:
            compiled.append(options)

    blocks = Blocks(Unet(), "inductor")
    assert blocks.coldest() is None
    for number in range(1, REMEMBERED + 3):
        for _ in range(number):
            blocks.asked((number, True, (64, 64), 77), number)
    warmed = []
    while (cold := blocks.coldest()) is not None:
        blocks.warm(cold[0])
        warmed.append(cold[1])
    assert warmed == [REMEMBERED + 2, REMEMBERED + 1, REMEMBERED]
    assert len(warmed) == MOST_SHAPES
    assert compiled == [{"fullgraph": True, "backend": "inductor"}], "once; torch does the rest"
    assert blocks.cool()
    assert not blocks.cool()
    blocks.asked((1, True, (64, 64), 77), 1)
    assert blocks.coldest() is None


def test_a_compiler_that_fails_is_not_asked_again(models: Path) -> None:
    renderer = Sdxl(
        look(models / "base"), device="cpu", tuning=replace(COMPILED, compiler="no such compiler")
    )
    first = one(renderer)
    assert renderer.warm() is False
    assert renderer.warm() is False
    again = one(renderer)
    assert "compiled" not in again.facts
    assert apart(first, again) == 0


def test_a_compiled_pass_that_fails_is_done_again_uncompiled(models: Path) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu", tuning=COMPILED)
    first = one(renderer)
    assert renderer.warm()
    pipelines = renderer._holding.model().pipelines

    def fails(*_given: object) -> None:
        if pipelines.ran_compiled:
            raise RuntimeError("a kernel that was made for another card")

    pipelines.pipe.unet.register_forward_pre_hook(fails)
    made = one(renderer)
    assert "compiled" not in made.facts
    assert apart(first, made) == 0


def test_a_compiled_pass_can_be_stopped(models: Path) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu", tuning=COMPILED)
    one(renderer)
    assert renderer.warm()

    def stop(step: int, _steps: int, _preview: Preview | None = None) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        renderer.render([WANTED], stop)
    assert one(renderer).facts["compiled"] is True


def wardrobe(models: Path) -> Loras:
    return Loras(lambda: [look_at(path) for path in sorted((models / "lora").iterdir())], "sdxl")


@pytest.mark.parametrize("tuning", [UNTUNED, replace(COMPILED, channels_last=True, fused=True)])
def test_a_lora_is_worn_for_its_picture_and_no_longer(models: Path, tuning: Tuning) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu", tuning=tuning, loras=wardrobe(models))
    bare = one(renderer)
    assert renderer.warm() == tuning.compiled
    for name in ("ink", "plain"):
        worn = one(renderer, loras=(Lora(name, 0.8),))
        [told] = worn.facts["loras"]
        assert (told["name"], told["weight"]) == (name, 0.8)
        assert "compiled" not in worn.facts
        assert apart(bare, worn) > 2
        assert (
            apart(
                worn,
                one(
                    Sdxl(look(models / "base"), device="cpu", loras=wardrobe(models)),
                    loras=(Lora(name, 0.8),),
                ),
            )
            <= 2
        )
        after = one(renderer)
        assert "loras" not in after.facts
        assert apart(bare, after) <= (2 if tuning.compiled else 0)
        if tuning.compiled:
            assert renderer.warm(), "and what was compiled is compiled again"
            assert one(renderer).facts["compiled"] is True
    nothing = one(renderer, loras=(Lora("ink", 0.0),))
    assert "loras" not in nothing.facts


def test_a_refiner_wears_no_lora_of_the_base(models: Path) -> None:
    """They share an encoder, which is asked for the refiner's words while the base wears something."""
    options: dict[str, Any] = {"device": "cpu", "loras": wardrobe(models)}
    refined = Sdxl(look(models / "base"), look(models / "refiner"), **options)
    one(refined, loras=(Lora("ink"),), steps=10)
    loaded = refined._holding.model()
    dressed = loaded._refined(["a red coat"])
    usual = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu")
    bare = usual._holding.model()._refined(["a red coat"])
    assert dressed is not None
    assert bare is not None
    assert torch.equal(dressed[0].embeds, bare[0].embeds)
    assert not torch.equal(
        loaded._encoder.encode("a red coat").embeds,
        usual._holding.model()._encoder.encode("a red coat").embeds,
    )


def test_loras_are_worn_by_a_model_that_rests_between_uses(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (opening, holding):
        monkeypatch.setattr(module, "device_for", lambda wanted: "cpu" if wanted == "cpu" else "cpu:0")
    resting = Sdxl(look(models / "base"), bits=32, vram=8, loras=wardrobe(models))
    usual = Sdxl(look(models / "base"), device="cpu", loras=wardrobe(models))
    for loras in ((), (Lora("ink"),), (Lora("ink", 0.5), Lora("plain")), ()):
        made = one(resting, loras=loras)
        assert made.facts["spared"] == ["tiles", "offload"]
        assert apart(made, one(usual, loras=loras)) <= 1
    assert resting._holding.model().pipelines.resting


def test_a_picture_with_a_lora_that_fits_nowhere_but_on_the_processor_wears_it_there(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (opening, holding):
        monkeypatch.setattr(module, "device_for", lambda wanted: "cpu" if wanted == "cpu" else "cpu:0")
    renderer = Sdxl(look(models / "base"), bits=32, loras=wardrobe(models))
    pipelines = renderer._holding.model().pipelines

    def cramped(*_given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    pipelines.pipe.unet.register_forward_pre_hook(cramped)
    made = one(renderer, loras=(Lora("ink"),))
    assert made.facts["spared"] == ["tiles", "offload", "processor"]
    assert made.facts["loras"][0]["name"] == "ink"
    usual = Sdxl(look(models / "base"), device="cpu", loras=wardrobe(models))
    assert apart(made, one(usual, loras=(Lora("ink"),))) <= 1
