"""Which picture models lie on a disk, and what is said of what is none: real files with a real header."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadRequest
from engine.pictures.sdxl.finding import FewStep, Kind, choose, find_pictures, fingerprint, look

UNET = "model.diffusion_model.input_blocks.0.0.weight"
VAE = "first_stage_model.decoder.conv_in.weight"
SDXL = (UNET, VAE, "conditioner.embedders.0.transformer.x", "conditioner.embedders.1.model.x")
CLASSES = {
    "sdxl": "StableDiffusionXLPipeline",
    "refiner": "StableDiffusionXLImg2ImgPipeline",
    "sd15": "StableDiffusionPipeline",
}


def single(path: Path, *names: str, channels: int = 4, data: bytes = b"\0" * 8) -> Path:
    """A .safetensors file with tensors of these names, all of them the same few bytes."""
    shape = [len(data) // channels // 2, channels, 1]
    one = {"dtype": "F16", "shape": shape, "data_offsets": [0, len(data)]}
    head = json.dumps({"__metadata__": {"format": "pt"}} | dict.fromkeys(names or SDXL, one)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(head).to_bytes(8, "little") + head + data)
    return path


def folder(path: Path, kind: str = "sdxl", *, weights: bool = True, **unet: Any) -> Path:
    index: dict[str, Any] = {"_class_name": CLASSES.get(kind, kind)}
    index |= {part: ["diffusers", "Part"] for part in ("unet", "vae")}
    index |= {"text_encoder": [None, None], "text_encoder_2": ["transformers", "Part"]}
    write(path / "model_index.json", index)
    write(path / "unet" / "config.json", {"in_channels": 4, "cross_attention_dim": 2048} | unet)
    write(path / "scheduler" / "scheduler_config.json", {"_class_name": "EulerDiscreteScheduler"})
    if weights:
        for part in ("unet", "vae", "text_encoder_2"):
            single(path / part / "model.safetensors")
    return path


def write(path: Path, told: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def test_models_are_found_in_the_documented_order_and_by_name_within_a_folder(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    folder(here / "models" / "picture" / "sixth")
    single(here / "models" / "picture" / "fifth.safetensors")
    folder(home / "models" / "picture" / "fourth")
    single(home / "models" / "picture" / "files" / "third.safetensors")
    single(home / "models" / "picture" / "files" / "Second.safetensors")
    single(home / "models" / "picture" / "first.safetensors")
    named = single(here / "elsewhere" / "zeroth.safetensors")
    found = find_pictures(home, here, str(named))
    assert [one.name for one in found] == ["zeroth", "first", "Second", "third", "fourth", "fifth", "sixth"]
    assert found[0].reason == "The settings name this path."
    assert found[2].reason == "It is in the home's models/picture/files."
    assert found[5].reason == "It is in the current folder's models/picture."


def test_a_model_that_is_reached_twice_counts_once(tmp_path: Path) -> None:
    model = folder(tmp_path / "models" / "picture" / "one")
    found = find_pictures(tmp_path, tmp_path, str(model))
    assert [one.reason for one in found] == ["The settings name this path."]


@pytest.mark.parametrize(
    ("made", "unet", "kind"),
    [
        ("sdxl", {}, "sdxl"),
        ("sdxl", {"cross_attention_dim": 64}, "sdxl"),
        ("refiner", {"cross_attention_dim": 1280}, "refiner"),
        ("sd15", {"cross_attention_dim": 768}, "sd15"),
        ("sd15", {"cross_attention_dim": 1024}, "sd21"),
    ],
)
def test_a_folder_is_known_by_what_it_was_made_for(
    tmp_path: Path, made: str, unet: dict[str, Any], kind: Kind
) -> None:
    assert look(folder(tmp_path / "it", made, **unet)).kind == kind


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("conditioner.embedders.0.transformer.x", "conditioner.embedders.1.model.x"), "sdxl"),
        (("conditioner.embedders.0.model.x",), "refiner"),
        (("cond_stage_model.transformer.x",), "sd15"),
        (("cond_stage_model.model.x",), "sd21"),
    ],
)
def test_a_single_file_is_known_by_its_text_encoders(
    tmp_path: Path, names: tuple[str, ...], kind: Kind
) -> None:
    found = look(single(tmp_path / "it.safetensors", UNET, VAE, *names))
    assert found.kind == kind
    assert found.single


def test_a_single_file_takes_its_settings_from_a_folder_of_its_kind_beside_it(tmp_path: Path) -> None:
    file = single(tmp_path / "models" / "mine" / "it.safetensors")
    assert look(file).config is None
    folder(tmp_path / "models" / "another", "sd15")
    assert look(file).config is None
    config = folder(tmp_path / "models" / "sdxl", weights=False)
    assert look(file).config == config


def test_a_folder_without_weights_leaves_the_word_to_the_file_in_it(tmp_path: Path) -> None:
    config = folder(tmp_path / "models" / "picture" / "it", weights=False)
    single(config / "weights.safetensors")
    [found] = find_pictures(tmp_path, tmp_path)
    assert (found.name, found.config) == ("weights", config)


@pytest.mark.parametrize(
    ("name", "few"),
    [
        ("sd_xl_turbo_1.0_fp16", "turbo"),
        ("DreamShaperXL_Lightning", "lightning"),
        ("RealVisXL_V4.0_Turbo_Lightning", "lightning"),
        ("Hyper-SDXL-4step", "hyper"),
        ("hyperrealism_xl", ""),
        ("ssd-lcm-xl", "lcm"),
        ("calcmodel", ""),
        ("sd_xl_base_1.0", ""),
    ],
)
def test_a_few_step_model_is_known_by_its_name(tmp_path: Path, name: str, few: FewStep) -> None:
    assert look(single(tmp_path / f"{name}.safetensors")).few_step == few


@pytest.mark.parametrize(
    ("scheduler", "spacing", "few"),
    [
        ("EulerDiscreteScheduler", "leading", ""),
        ("EulerDiscreteScheduler", "trailing", "lightning"),
        ("EulerAncestralDiscreteScheduler", "trailing", "turbo"),
        ("EulerAncestralDiscreteScheduler", "leading", ""),
        ("LCMScheduler", "leading", "lcm"),
        ("TCDScheduler", "leading", "hyper"),
    ],
)
def test_a_few_step_model_is_known_by_its_scheduler(
    tmp_path: Path, scheduler: str, spacing: str, few: FewStep
) -> None:
    it = folder(tmp_path / "it")
    write(it / "scheduler" / "scheduler_config.json", {"_class_name": scheduler, "timestep_spacing": spacing})
    assert look(it).few_step == few


def cut(path: Path) -> None:
    single(path, data=b"\0" * 4096)
    path.write_bytes(path.read_bytes()[:-1])


def cut_in_the_header(path: Path) -> None:
    single(path)
    path.write_bytes(path.read_bytes()[:40])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": 1}))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")


def odd_header(path: Path) -> None:
    head = b'{"x": {"data_offsets": "?"}}'
    path.write_bytes(len(head).to_bytes(8, "little") + head)


def nested_header(path: Path) -> None:
    head = b'{"x":' + b"[" * 200_000
    path.write_bytes(len(head).to_bytes(8, "little") + head)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (cut, r"is cut short: [\d,]+ bytes of [\d,]+ bytes are there. Fetch it again."),
        (cut_in_the_header, "is cut short"),
        (lambda path: path.write_bytes(b""), "is no .safetensors file"),
        (lambda path: path.write_bytes(b"\xff" * 100), "is no .safetensors file"),
        (odd_header, "is damaged"),
        (nested_header, "is damaged"),
        (pickled, "is a pickle.*refused"),
        (zipped, "is a pickle.*refused"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid"), "only a pointer"),
        (lambda path: path.write_bytes(b"<!doctype html><title>Sign in</title>"), "a web page"),
        (lambda path: single(path, "lora_unet_x.lora_up.weight", "lora_unet_x.alpha"), "is a LoRA"),
        (lambda path: single(path, "unet.x.lora_A.weight"), "is a LoRA"),
        (lambda path: single(path, "decoder.conv_in.weight"), "is only a VAE"),
        (lambda path: single(path, "control_model.x"), "is a ControlNet"),
        (lambda path: single(path, "double_blocks.0.x"), "another family"),
        (lambda path: single(path, UNET, "conditioner.embedders.1.model.x"), "has no VAE"),
        (lambda path: single(path, UNET, VAE), "no text encoder"),
        (lambda path: single(path, *SDXL, channels=9, data=b"\0" * 18), "inpainting"),
    ],
)
def test_a_file_that_is_no_model_is_told_for_what_it_is(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "models" / "picture" / "it.safetensors"
    path.parent.mkdir(parents=True)
    make(path)
    with pytest.raises(BadRequest, match=f"it.safetensors {said}|it.safetensors.*{said}"):
        look(path)
    assert find_pictures(tmp_path, tmp_path) == []
    assert "it.safetensors" in choose([], str(path)).reason


@pytest.mark.parametrize("name", ["it.ckpt", "it.pt", "it.bin"])
def test_a_pickle_is_refused_by_its_name_alone(tmp_path: Path, name: str) -> None:
    single(tmp_path / name)
    with pytest.raises(BadRequest, match=f"{name} is a pickle.*refused"):
        look(tmp_path / name)


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    it = folder(tmp_path / "it", weights=False)
    (it / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(BadRequest, match=r"is a pickle.*refused"):
        look(it)


def test_a_folder_with_a_part_that_is_cut_or_missing_names_the_part(tmp_path: Path) -> None:
    it = folder(tmp_path / "it")
    cut(it / "vae" / "model.safetensors")
    with pytest.raises(BadRequest, match=r"vae/model\.safetensors is cut short"):
        look(it)
    (it / "vae" / "model.safetensors").unlink()
    with pytest.raises(BadRequest, match="vae holds no weights"):
        look(it)


@pytest.mark.parametrize(
    ("kind", "unet", "said"),
    [
        ("StableDiffusion3Pipeline", {}, "StableDiffusion3Pipeline"),
        ("sdxl", {"in_channels": 9}, "inpainting"),
    ],
)
def test_a_folder_of_another_kind_is_told_for_what_it_is(
    tmp_path: Path, kind: str, unet: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        look(folder(tmp_path / "it", kind, **unet))


def test_the_first_model_is_taken_with_the_refiner_that_is_there(tmp_path: Path) -> None:
    folder(tmp_path / "models" / "picture" / "a-refiner", "refiner")
    assert choose(find_pictures(tmp_path, tmp_path)).found is None, "a refiner alone paints nothing"
    folder(tmp_path / "models" / "picture" / "base")
    folder(tmp_path / "models" / "picture" / "turbo")
    found = find_pictures(tmp_path, tmp_path)
    choice = choose(found)
    assert choice.found is not None
    assert choice.refiner is not None
    assert (choice.found.name, choice.refiner.name) == ("base", "a-refiner")
    assert choice.reason == "base is the first that was found. It is in the home's models/picture/base."
    assert choose(found, "TURBO").refiner is None, "and a few steps are not shared"


@pytest.mark.parametrize("named", ["b", "B", "models/picture/b", "b.safetensors"])
def test_a_model_goes_by_its_name_its_file_and_its_path(tmp_path: Path, named: str) -> None:
    folder(tmp_path / "models" / "picture" / "a")
    single(tmp_path / "models" / "picture" / "b" / "b.safetensors")
    choice = choose(find_pictures(tmp_path, tmp_path), named, tmp_path)
    assert choice.found is not None
    assert choice.found.name == "b"


def test_a_name_that_nothing_goes_by_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    folder(tmp_path / "models" / "picture" / "a")
    choice = choose(find_pictures(tmp_path, tmp_path), "nothing")
    assert choice.found is None
    assert "“nothing” is not here" in choice.reason
    assert "There: a." in choice.reason


def test_a_fingerprint_changes_with_the_weights_and_with_nothing_else(tmp_path: Path) -> None:
    first = single(tmp_path / "a" / "it.safetensors", data=b"\0" * 4096)
    same = single(tmp_path / "b" / "it.safetensors", data=b"\0" * 4096)
    other = single(tmp_path / "c" / "it.safetensors", data=b"\0" * 4095 + b"\1")
    assert fingerprint(look(first)) == fingerprint(look(same))
    assert fingerprint(look(first)) != fingerprint(look(other))
