"""Pictures by real diffusion models, tiny ones: what changes them, what does not, and what is never delivered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from safetensors.torch import load_file, save_file

from engine.errors import RenderFailed, Stopped
from engine.pictures import Preview
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.longprompt import Encoder
from engine.pictures.sdxl.opening import open_pipelines
from engine.pictures.sdxl.pipelines import Pipelines, Words
from engine.pictures.sdxl.recipes import SCHEDULERS, recipe
from engine.pictures.sdxl.renderer import Sdxl
from engine.pictures.sdxl.seeing import SDXL_COLOURS, flaw, glimpse, likeness
from tests.engine.painted import ON_A_BRIDGE as WANTED
from tests.engine.painted import apart, one, quiet

pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = " ".join(["a woman with red hair and a green coat on a bridge"] * 20).split()[:179]


@pytest.fixture(scope="module")
def both(models: Path) -> Pipelines:
    return open_pipelines(look(models / "base"), look(models / "refiner"), "cpu")


@pytest.fixture(scope="module")
def alone(models: Path) -> Pipelines:
    return open_pipelines(look(models / "base"), None, "cpu")


@contextmanager
def changed(
    models: Path, to: Path, change: Callable[[dict[str, torch.Tensor]], None], **settings: Any
) -> Iterator[Path]:
    """The base with another VAE."""
    shutil.copytree(models / "base", to)
    [weights] = (to / "vae").glob("*.safetensors")
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights, metadata={"format": "pt"})
    config = to / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    yield to


@pytest.mark.parametrize("kind", ["base", "sd15"])
def test_a_model_paints_and_says_how(models: Path, kind: str) -> None:
    renderer = Sdxl(look(models / kind), device="cpu")
    made = one(renderer)
    assert (made.model, made.device, made.stand_in) == (kind, "cpu", False)
    assert made.image.size == (64, 64)
    facts = made.facts
    assert (facts["sampler"], facts["scheduler"]) == ("euler", "EulerDiscreteScheduler")
    assert (facts["steps"], facts["guidance"], facts["batch"]) == (2, 7.5, 1)
    assert facts["receipt"]["words"] == 7
    assert len(facts["model_hash"]) == 12
    if Path("/proc/self/clear_refs").exists():
        assert facts["memory"]["of"] == "process"
        assert isinstance(facts["memory"]["peak"], int)
    json.dumps(facts)
    assert apart(made.image, one(renderer, prompt="a dog").image) > 0
    assert apart(made.image, one(renderer, negative="red").image) > 0


def test_the_last_of_180_words_changes_the_picture(sdxl: Sdxl) -> None:
    first = one(sdxl, prompt=" ".join([*WORDS, "red"]))
    assert first.facts["receipt"]["words"] == 180
    assert first.facts["receipt"]["whole"]
    assert apart(first.image, one(sdxl, prompt=" ".join([*WORDS, "river"])).image) > 0


def test_a_refiner_finishes_what_the_base_began(models: Path, sdxl: Sdxl) -> None:
    refined = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu")
    told: list[tuple[int, int]] = []
    [made] = refined.render([replace(WANTED, steps=10)], lambda *step: told.append(step[:2]))
    assert told == [(step, 10) for step in range(1, 11)]
    assert made.facts["refiner"] == "refiner"
    assert apart(made.image, one(sdxl, steps=10).image) > 0
    before = refined.render([replace(WANTED, steps=10)], quiet)
    assert apart(made.image, before[0].image) == 0


def test_what_base_and_refiner_have_in_common_is_loaded_once(both: Pipelines) -> None:
    assert both.refiner.vae is both.pipe.vae
    assert both.refiner.text_encoder_2 is both.pipe.text_encoder_2


@pytest.mark.parametrize("scheduler", ["euler", "euler a", "dpm++ 2m karras"])
def test_a_picture_is_the_same_in_company_and_alone(models: Path, scheduler: str) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu", scheduler=scheduler)
    long = " ".join(WORDS)
    wanted = [
        replace(WANTED, seed=3, steps=4),
        replace(WANTED, seed=4, steps=4, prompt=long),
        replace(WANTED, seed=5, steps=4, negative="a dog"),
        replace(WANTED, seed=6, steps=4, negative=long),
    ]
    together = renderer.render(wanted, quiet)
    assert [made.facts["batch"] for made in together] == [2, 2, 2, 2], "short with short, long with long"
    for made, picture in zip(together, wanted, strict=True):
        [alone] = renderer.render([picture], quiet)
        assert apart(made.image, alone.image) <= 1


def test_only_pictures_of_one_recipe_and_size_share_a_pass(sdxl: Sdxl) -> None:
    wanted = [
        WANTED,
        replace(WANTED, steps=3),
        replace(WANTED, seed=8),
        replace(WANTED, width=72),
        replace(WANTED, guidance=3.0),
    ]
    told: list[tuple[int, int]] = []
    made = sdxl.render(wanted, lambda *step: told.append(step[:2]))
    assert [picture.facts["batch"] for picture in made] == [2, 1, 2, 1, 1]
    assert told == [(step, 9) for step in range(1, 10)]
    assert made[3].image.size == (72, 64)


def test_a_side_that_is_no_multiple_of_eight_is_cut_to_what_was_asked_for(sdxl: Sdxl) -> None:
    assert one(sdxl, width=61, height=70).image.size == (61, 70)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("refined", [False, True])
def test_every_scheduler_goes_step_by_step_and_can_be_looked_at(
    both: Pipelines, alone: Pipelines, scheduler: str, refined: bool
) -> None:
    pipelines = both if refined else alone
    texts = [Encoder(pipe).encode("a woman") for pipe in (both.pipe, both.refiner)]
    words, words_refined = (Words(one.embeds, one.pooled, one.embeds, one.pooled) for one in texts)
    for steps in (1, 5):
        told: list[tuple[int, int]] = []

        def progress(step: int, steps: int, preview: Preview, told: list[tuple[int, int]] = told) -> None:
            assert preview().size == (64, 64)
            told.append((step, steps))

        how = recipe(look(Path(pipelines.pipe.config._name_or_path)), steps, 7.5, scheduler)
        latents = pipelines.denoise(how, words, words_refined, (64, 64), [7], progress)
        assert torch.isfinite(latents).all()
        assert told == [(step, len(told)) for step in range(1, len(told) + 1)]
        assert len(told) == pipelines.plan(how).total >= steps


@pytest.mark.parametrize("at", [1, 4, 5, 6])
def test_a_stop_is_heard_at_its_step_by_the_base_and_by_the_refiner(models: Path, at: int) -> None:
    renderer = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu")
    told: list[int] = []

    def stop(step: int, _steps: int, _preview: Preview | None = None) -> None:
        told.append(step)
        if step == at:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        renderer.render([replace(WANTED, steps=6)], stop)
    assert told == list(range(1, at + 1))


@pytest.mark.parametrize(
    ("name", "steps", "negatives_matter"), [("some-turbo", 4, False), ("some-lcm", 8, True)]
)
def test_a_few_step_model_is_given_what_suits_it(
    models: Path, tmp_path: Path, name: str, steps: int, negatives_matter: bool
) -> None:
    shutil.copytree(models / "base", tmp_path / name)
    renderer = Sdxl(look(tmp_path / name), device="cpu")
    made = one(renderer, steps=20)
    assert made.facts["steps"] == steps
    assert (apart(made.image, one(renderer, steps=20, negative="a dog").image) > 0) == negatives_matter


def test_a_vae_of_broken_numbers_ends_in_a_sentence_and_never_in_a_picture(
    models: Path, tmp_path: Path
) -> None:
    def broken(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.conv_out.bias"].fill_(float("nan"))

    with changed(models, tmp_path / "broken", broken) as folder, pytest.raises(RenderFailed) as failed:
        one(Sdxl(look(folder), device="cpu"))
    assert "broken made no picture but broken numbers" in str(failed.value)
    assert "Try another number of steps" in str(failed.value)


def test_a_picture_of_one_colour_is_made_again_and_then_not_delivered(models: Path, tmp_path: Path) -> None:
    def blank(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.conv_out.weight"].zero_()

    told: list[int] = []
    with (
        changed(models, tmp_path / "blank", blank) as folder,
        pytest.raises(RenderFailed, match="a single colour"),
    ):
        Sdxl(look(folder), device="cpu").render([WANTED], lambda *step: told.append(step[0]))
    assert told == [1, 2, 2, 2], "both steps once more, and as far as it was"


def test_noise_is_told_from_a_picture(sdxl: Sdxl) -> None:
    """Random weights make nothing but noise; small pictures are not judged, or there were no test here."""
    with pytest.raises(RenderFailed, match="nothing but noise"):
        one(sdxl, width=256, height=256)


def test_a_vae_that_overflows_in_16_bit_develops_in_32(models: Path, tmp_path: Path) -> None:
    def loud(tensors: dict[str, torch.Tensor]) -> None:
        for part in ("weight", "bias"):
            tensors[f"decoder.conv_in.{part}"] *= 2e5

    # Its settings say that 16 bit are enough.
    with changed(models, tmp_path / "loud", loud, force_upcast=False) as folder:
        made = one(Sdxl(look(folder), device="cpu", bits=16))
    assert made.facts["flawed_at_first"] == "broken numbers"
    assert "seed_taken" not in made.facts, "the latents were sound"


def test_a_model_in_16_bit_paints_nearly_what_it_paints_in_32(models: Path, sdxl: Sdxl) -> None:
    made = one(Sdxl(look(models / "base"), device="cpu", bits=16))
    assert "flawed_at_first" not in made.facts
    assert apart(made.image, one(sdxl).image) < 24


def test_latents_that_overflow_in_16_bit_are_made_again_in_numbers_that_do_not(
    models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "base", tmp_path / "loud")
    [weights] = (tmp_path / "loud" / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    for part in ("weight", "bias"):
        tensors[f"conv_in.{part}"] *= 2e5
    save_file(tensors, weights, metadata={"format": "pt"})
    made = one(Sdxl(look(tmp_path / "loud"), device="cpu", bits=16))
    assert made.facts["flawed_at_first"] == "broken numbers"
    assert made.facts["seed_taken"] == WANTED.seed


class Cramped:
    """A UNet's memory that holds so many pictures at once; guidance doubles them."""

    def __init__(self, holds: int) -> None:
        self.holds = holds
        self.seen: list[int] = []

    def __call__(self, _module: object, given: tuple[torch.Tensor, ...]) -> None:
        count = len(given[0]) // 2
        self.seen.append(count)
        if count > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def cramped(models: Path, holds: int) -> tuple[Sdxl, Cramped]:
    renderer, memory = Sdxl(look(models / "base"), device="cpu"), Cramped(holds)
    one(renderer)
    renderer._holding.model().pipelines.pipe.unet.register_forward_pre_hook(memory)
    return renderer, memory


def test_what_does_not_fit_in_memory_is_tried_in_halves(models: Path) -> None:
    renderer, memory = cramped(models, 1)
    wanted = [replace(WANTED, seed=seed) for seed in range(3)]
    told: list[tuple[int, int]] = []
    made = renderer.render(wanted, lambda *step: told.append(step[:2]))
    assert memory.seen == [3, 1, 1, 2, 1, 1, 1, 1]
    assert [picture.facts["batch"] for picture in made] == [1, 1, 1]
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert {total for _, total in told} == {2}
    for picture, asked in zip(made, wanted, strict=True):
        assert apart(picture.image, renderer.render([asked], quiet)[0].image) == 0


def test_a_picture_that_never_fits_ends_in_a_sentence(models: Path) -> None:
    renderer, memory = cramped(models, 0)
    with pytest.raises(
        RenderFailed, match=r"not enough memory for a picture of 64 × 64\. Ask for a smaller one"
    ):
        one(renderer)
    assert memory.seen == [1, 1], "and once more with a sparing VAE"
    memory.holds = 1
    assert one(renderer).image.size == (64, 64), "the next one is made"


def test_other_trouble_is_not_taken_for_a_lack_of_memory(models: Path) -> None:
    renderer, _ = cramped(models, 4)

    def breaks(_module: object, _given: object) -> None:
        raise RuntimeError("something else")

    renderer._holding.model().pipelines.pipe.unet.register_forward_pre_hook(breaks)
    with pytest.raises(RuntimeError, match="something else"):
        one(renderer)


def renamed(name: str, *pairs: tuple[str, str]) -> str:
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    return name


def in_one_file(folder: Path, path: Path) -> Path:
    """Stable Diffusion 1.5 under the names that its makers gave it, as most models are handed around."""
    whole: dict[str, torch.Tensor] = {}
    unet = [("time_embedding.linear_1.", "time_embed.0."), ("time_embedding.linear_2.", "time_embed.2.")]
    unet += [
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
        ("mid_block.attentions.0.", "middle_block.1."),
    ]
    unet += [(f"mid_block.resnets.{number}.", f"middle_block.{2 * number}.") for number in range(2)]
    vae = [("mid_block.resnets.0.", "mid.block_1."), ("mid_block.resnets.1.", "mid.block_2.")]
    vae += [("mid_block.attentions.0.", "mid.attn_1."), ("conv_shortcut.", "nin_shortcut.")]
    vae += [("conv_norm_out.", "norm_out."), ("group_norm.", "norm."), ("to_out.0.", "proj_out.")]
    vae += [(f"to_{letter}.", f"{letter}.") for letter in "qkv"]
    for level in range(3):
        unet += [
            (f"down_blocks.{level}.resnets.0.", f"input_blocks.{2 * level + 1}.0."),
            (f"down_blocks.{level}.attentions.0.", f"input_blocks.{2 * level + 1}.1."),
            (f"down_blocks.{level}.downsamplers.0.conv.", f"input_blocks.{2 * level + 2}.0.op."),
            (f"up_blocks.{level}.upsamplers.0.", f"output_blocks.{2 * level + 1}.{2 if level else 1}."),
        ]
        for number in range(2):
            for part, place in (("resnets", 0), ("attentions", 1)):
                block = f"output_blocks.{2 * level + number}.{place}."
                unet.append((f"up_blocks.{level}.{part}.{number}.", block))
    for level in range(4):
        vae += [
            (f"encoder.down_blocks.{level}.downsamplers.0.", f"encoder.down.{level}.downsample."),
            (f"encoder.down_blocks.{level}.resnets.0.", f"encoder.down.{level}.block.0."),
            (f"decoder.up_blocks.{level}.upsamplers.0.", f"decoder.up.{3 - level}.upsample."),
        ]
        vae += [
            (f"decoder.up_blocks.{level}.resnets.{number}.", f"decoder.up.{3 - level}.block.{number}.")
            for number in range(2)
        ]
    resnet = [("norm1.", "in_layers.0."), ("conv1.", "in_layers.2."), ("norm2.", "out_layers.0.")]
    resnet += [
        ("conv2.", "out_layers.3."),
        ("time_emb_proj.", "emb_layers.1."),
        ("conv_shortcut.", "skip_connection."),
    ]
    for part in ("unet", "vae", "text_encoder"):
        [weights] = (folder / part).glob("*.safetensors")
        for name, tensor in load_file(weights).items():
            if part == "unet":
                theirs = (
                    name.replace("conv_in.", "input_blocks.0.0.") if name.startswith("conv_in.") else name
                )
                theirs = renamed(theirs, *unet, *(resnet if ".resnets." in name else []))
                whole[f"model.diffusion_model.{theirs}"] = tensor
            elif part == "vae":
                flat = ".attentions." in name and tensor.ndim == 2
                whole[f"first_stage_model.{renamed(name, *vae)}"] = (
                    tensor[:, :, None, None] if flat else tensor
                )
            else:
                name = name.removeprefix("text_model.")
                whole[f"cond_stage_model.transformer.text_model.{name}"] = tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in whole.items()}, path)
    return path


def test_a_single_file_paints_what_its_folder_paints(models: Path, tmp_path: Path) -> None:
    """With a folder beside it that holds settings and no weights."""
    file = in_one_file(models / "sd15", tmp_path / "mine" / "it.safetensors")
    shutil.copytree(models / "sd15", tmp_path / "settings", ignore=shutil.ignore_patterns("*.safetensors"))
    found = look(file)
    assert (found.kind, found.config) == ("sd15", tmp_path / "settings")
    made = one(Sdxl(found, device="cpu"))
    assert made.model == "it"
    assert apart(made.image, one(Sdxl(look(models / "sd15"), device="cpu")).image) == 0


def test_a_single_file_without_settings_beside_it_says_what_it_needs(models: Path, tmp_path: Path) -> None:
    names = ["model.diffusion_model.x", "first_stage_model.x", "conditioner.embedders.1.x"]
    names.append("model.diffusion_model.input_blocks.0.0.weight")
    # Nothing of the other tests is beside it.
    alone = tmp_path / "some" / "where" / "it.safetensors"
    alone.parent.mkdir(parents=True)
    save_file({name: torch.zeros(2, 4) for name in names}, alone)
    with pytest.raises(RenderFailed, match="Put a diffusers folder of SDXL beside it"):
        one(Sdxl(look(alone), device="cpu"))


def test_weights_that_do_not_fit_the_settings_end_in_a_sentence(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "base", tmp_path / "odd")
    config = tmp_path / "odd" / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"cross_attention_dim": 48}))
    with pytest.raises(RenderFailed, match=r"odd cannot be loaded: .* Fetch it again"):
        one(Sdxl(look(tmp_path / "odd"), device="cpu"))


def test_a_device_that_is_not_there_is_told(models: Path) -> None:
    missing = next(kind for kind, there in (("cuda", torch.cuda.is_available()), ("mps", False)) if not there)
    with pytest.raises(RenderFailed, match=f"no device “{missing}”"):
        one(Sdxl(look(models / "base"), device=missing))


def test_weights_are_read_when_the_first_picture_is_wanted(models: Path, tmp_path: Path) -> None:
    found = look(models / "base")
    renderer = Sdxl(replace(found, path=tmp_path / "not-yet"), device="cpu")
    with pytest.raises(RenderFailed, match="cannot be loaded"):
        one(renderer)
    shutil.copytree(models / "base", tmp_path / "not-yet")
    assert one(renderer).image.size == (64, 64)


def test_a_look_comes_nearer_to_the_picture_with_every_step() -> None:
    looks: list[torch.Tensor] = []
    kind: Any = EulerDiscreteScheduler
    scheduler = kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.set_timesteps(8)
    picture = torch.linspace(-1, 1, 64).view(8, 8).expand(1, 4, 8, 8).contiguous()
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(picture.shape, generator=generator) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        scheduler.scale_model_input(latents, time)
        sigma = scheduler.sigmas[scheduler.step_index]
        # A model that knows the picture half.
        noise = (latents - picture * 0.5 - latents / (1 + sigma) * 0.5) / sigma
        before, latents = latents, scheduler.step(noise, time, latents, return_dict=False)[0]
        seen = glimpse(scheduler, latents, before, SDXL_COLOURS)
        looks.append(torch.tensor(list(seen.tobytes())).float())
    distances = [float((seen - looks[-1]).abs().mean()) for seen in looks]
    assert distances == sorted(distances, reverse=True)


def test_flaws_are_named() -> None:
    smooth = torch.linspace(0, 1, 64 * 64).view(64, 64).expand(4, 64, 64)
    noise = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(1))
    picture = torch.linspace(0, 1, 3 * 64).view(8, 8, 3)
    assert flaw(smooth, picture) == ""
    assert flaw(smooth + noise * 0.3, picture) == ""
    assert flaw(noise, picture) == "nothing but noise"
    assert flaw(smooth, picture * 0) == "a single colour"
    assert flaw(smooth, picture * 0 + 0.5) == "a single colour"
    assert flaw(smooth, picture * float("nan")) == "broken numbers"
    assert likeness(smooth) > 0.9
    assert abs(likeness(noise)) < 0.05
    assert likeness(torch.zeros(4, 64, 64)) == 1
