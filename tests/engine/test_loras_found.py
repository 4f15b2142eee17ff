"""LoRAs found on a disk: known by what their layers are given, or refused with what to do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import BadRequest
from engine.pictures.sdxl.loras_found import Base, find_loras, look_at
from tests.engine.lora_files import ALIKE, KOHYA, PEFT, cut, listed, pair, settings
from tests.models.sdxl import write_lora

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("shapes", "metadata", "base"),
    [
        (pair(KOHYA, 2048), {}, "sdxl"),
        (pair(KOHYA, 1024), {}, "sd21"),
        (pair(KOHYA, 768), {}, "sd15"),
        (pair(PEFT, 2048, 8, "lora_A", "lora_B"), {}, "sdxl"),
        (pair(PEFT, 768, 8, "lora.down", "lora.up"), {}, "sd15"),
        (pair(PEFT.removeprefix("unet."), 1024, 8, "lora_A", "lora_B"), {}, "sd21"),
        (pair(f"{PEFT[:-4]}processor.to_k_lora", 2048, 8, "down", "up"), {}, "sdxl"),
        (pair("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768), {}, "sdxl"),
        (pair("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 768), {}, "sd15"),
        (pair("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 1024), {}, "sd21"),
        (
            pair("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj", 1280, 8, "lora_A", "lora_B"),
            {},
            "sdxl",
        ),
        (
            pair("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", 768, 8, "lora_A", "lora_B"),
            {},
            "unknown",
        ),
        (pair(ALIKE, 640, 8, "lora_A", "lora_B"), {}, "unknown"),
        (pair(ALIKE, 640, 8, "lora_A", "lora_B"), {"ss_base_model_version": "sdxl_base_v1-0"}, "sdxl"),
        (
            pair(ALIKE, 640, 8, "lora_A", "lora_B"),
            {"modelspec.architecture": "stable-diffusion-v1/lora"},
            "sd15",
        ),
    ],
)
def test_a_lora_is_known_by_what_its_layers_are_given(
    tmp_path: Path, shapes: dict[str, list[int]], metadata: dict[str, str], base: Base
) -> None:
    found = look_at(listed(tmp_path / "it.safetensors", shapes, metadata))
    assert (found.name, found.base, found.layers) == ("it", base, 1)
    assert found.rank == next(iter(shapes.values()))[0]


def test_loras_are_found_in_the_documented_order_one_folder_deep(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder, name in (
        (home / "models/lora", "b"),
        (home / "models/lora", "A"),
        (home / "models/lora/faces", "c"),
        (home / "models/lora/faces/deep", "no"),
        (here / "models/lora", "d"),
        (here / "models/lora", "a"),
    ):
        listed(folder / f"{name}.safetensors", pair(KOHYA, 2048))
    (here / "models/lora/old.ckpt").write_bytes(pickle.dumps({}))
    (here / "models/lora/notes.txt").write_text("about them")
    assert [one.name for one in find_loras(home, here)] == ["A", "b", "c", "d"]
    [old] = [one for one in find_loras(home, here, unusable=True) if one.trouble]
    assert old.name == "old"
    assert old.trouble.startswith("old.ckpt is a pickle")


def test_a_file_that_can_be_used_stands_for_one_of_its_name_that_cannot(tmp_path: Path) -> None:
    top = tmp_path / "models" / "lora"
    listed(top / "x" / "it.safetensors", pair(KOHYA, 2048))
    (top / "it.pt").write_bytes(pickle.dumps({}))
    [found] = find_loras(tmp_path, tmp_path, unusable=True)
    assert (found.name, found.trouble) == ("it", "")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (cut, "is cut short"),
        (
            lambda path: path.write_bytes(pickle.dumps({"weights": 1})),
            "is a pickle.*Fetch it as .safetensors",
        ),
        (lambda path: path.write_text("<!doctype html><title>Sign in</title>"), "is a web page"),
        (lambda path: path.write_bytes(b""), "is no .safetensors file"),
        (
            lambda path: listed(path, {"model.diffusion_model.x": [2, 2]}),
            "whole picture model.*models/picture",
        ),
        (lambda path: listed(path, {"emb_params": [2, 2]}), "textual inversion"),
        (lambda path: listed(path, {}), "is no LoRA"),
        (lambda path: listed(path, {f"{KOHYA}.hada_w1_a": [2, 2]}), "is a LoHa.*plain LoRA"),
        (lambda path: listed(path, {f"{KOHYA}.lokr_w1": [2, 2]}), "is a LoKr"),
        (lambda path: listed(path, pair(KOHYA, 2048) | {f"{KOHYA}.dora_scale": [2, 1]}), "is a DoRA"),
        (
            lambda path: listed(path, pair(KOHYA, 2048) | {f"{KOHYA}.lora_mid.weight": [2, 2, 3, 3]}),
            "is a LoCon with",
        ),
        (lambda path: listed(path, {f"{KOHYA}.diff": [2, 2]}), "is a whole difference"),
        (lambda path: listed(path, pair("lora_unet_double_blocks_0_img_attn_qkv", 64)), "another family"),
        (lambda path: listed(path, pair("transformer.x", 64, 4, "lora_A", "lora_B")), "another family"),
        (
            lambda path: listed(path, pair("base_model.model.x", 64, 4, "lora_A", "lora_B")),
            "as peft keeps it",
        ),
        (lambda path: listed(path, pair("something.else", 64)), "calls its parts"),
        (lambda path: listed(path, pair("unet.(a+)+", 64, 4, "lora_A", "lora_B")), "calls its parts"),
        (lambda path: listed(path, {f"{KOHYA}.lora_down.weight": [2, 2]}), "is damaged"),
        (lambda path: listed(path, {name: [2] for name in pair(KOHYA, 1)}), "is damaged"),
        (lambda path: listed(path, pair(KOHYA, 2048), {"lora_adapter_metadata": "{"}), "is damaged"),
        (
            lambda path: listed(path, pair(PEFT, 8), settings(target_modules="(a+)+b")),
            "settings that are not used",
        ),
        (
            lambda path: listed(path, pair(PEFT, 8), settings(rank_pattern={"(a+)+b": 2})),
            "settings that are not",
        ),
        (
            lambda path: listed(path, pair(PEFT, 8), settings(init_lora_weights="pissa")),
            "settings that are not",
        ),
        (lambda path: listed(path, pair(PEFT, 8), settings(r=10**9)), "settings that are not"),
        (
            lambda path: listed(path, pair(PEFT, 8), settings(megatron_config={"a": 1})),
            "settings that are not",
        ),
    ],
)
def test_a_file_that_will_not_do_is_refused_with_what_to_do(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "models" / "lora" / "it.safetensors"
    path.parent.mkdir(parents=True)
    make(path)
    with pytest.raises(BadRequest, match=said):
        look_at(path)
    assert find_loras(tmp_path, tmp_path) == []


@pytest.mark.parametrize("end", [".pt", ".bin", ".ckpt"])
def test_a_pickle_is_refused_by_its_name_and_never_opened(tmp_path: Path, end: str) -> None:
    path = write_lora(tmp_path / f"it{end}")
    with pytest.raises(BadRequest, match="is a pickle"):
        look_at(path)
