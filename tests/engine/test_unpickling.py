"""Pickles, where the operator allows these: real weights are read, and nothing that is held besides is ever run."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ImageChops
from safetensors.torch import load_file

from engine.errors import BadRequest, RenderFailed
from engine.locales import locale_of
from engine.pictures import Lora, Rendered
from engine.pictures.painting import choice, loras_checked, painter
from engine.pictures.sdxl import unpickling
from engine.pictures.sdxl.finding import Found, choose, find_pictures, fingerprint, look, weight_bytes
from engine.pictures.sdxl.loras import Loras
from engine.pictures.sdxl.loras_found import find_loras, look_at
from engine.pictures.sdxl.renderer import Sdxl
from engine.settings import PictureSettings, Settings
from tests.engine.painted import ON_A_BRIDGE as WANTED
from tests.engine.painted import quiet
from tests.engine.test_sdxl import in_one_file
from tests.models.sdxl import LORA_STYLES, write_lora, write_sdxl

pytestmark = pytest.mark.usefixtures("one_thread")


class Mine:
    """What it is pickled as leaves a file behind once it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


def settings_of(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors")))


def pickled(path: Path, to: Path, **more: Any) -> Path:
    """The tensors of a .safetensors file as most checkpoints were handed around before there were these."""
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": load_file(path), "global_step": 7} | more, to)
    return to


def bins(folder: Path, to: Path) -> Path:
    """The same model with its parts in pickles."""
    settings_of(folder, to)
    for path in folder.rglob("*.safetensors"):
        name = "diffusion_pytorch_model.bin" if "diffusion" in path.name else "pytorch_model.bin"
        torch.save(load_file(path), to / path.parent.name / name)
    return to


def one(found: Found, wardrobe: Loras | None = None, **wanted: Any) -> Rendered:
    renderer = Sdxl(found, device="cpu", loras=wardrobe)
    [made] = renderer.render([replace(WANTED, **wanted)], quiet)
    renderer.close()
    return made


def same(first: Rendered, second: Rendered) -> bool:
    return ImageChops.difference(first.image, second.image).getbbox() is None


# Weights


@pytest.mark.parametrize("end", [".ckpt", ".pt", ".bin", ".pth"])
def test_a_checkpoint_in_a_pickle_paints_what_its_folder_paints(
    models: Path, tmp_path: Path, end: str
) -> None:
    plain = in_one_file(models / "sd15", tmp_path / "plain" / "it.safetensors")
    file = pickled(plain, tmp_path / "mine" / f"it{end}")
    settings_of(models / "sd15", tmp_path / "settings")
    found = look(file, pickles=True)
    assert (found.kind, found.single, found.pickled) == ("sd15", True, True)
    assert found.config == tmp_path / "settings"
    made = one(found)
    assert same(made, one(look(models / "sd15")))
    assert made.facts["model_hash"] == fingerprint(found)
    assert weight_bytes(found) == file.stat().st_size


def test_a_folder_whose_parts_are_pickles_paints_what_it_paints_otherwise(
    models: Path, tmp_path: Path
) -> None:
    folder = bins(models / "base", tmp_path / "bins")
    found = look(folder, pickles=True)
    assert (found.kind, found.single, found.pickled) == ("sdxl", False, True)
    assert same(one(found), one(look(models / "base")))
    before = fingerprint(found)
    vae = folder / "vae" / "diffusion_pytorch_model.bin"
    torch.save({name: tensor + 1 for name, tensor in torch.load(vae).items()}, vae)
    assert fingerprint(found) != before
    assert weight_bytes(found) > 1_000_000


@pytest.mark.parametrize("style", LORA_STYLES)
def test_a_lora_in_a_pickle_does_what_it_does_otherwise(models: Path, tmp_path: Path, style: Any) -> None:
    parts = ("unet",) if style == "plain" else ("unet", "text_encoder", "text_encoder_2")
    path = write_lora(tmp_path / "safe" / "models" / "lora" / "ink.safetensors", style=style, parts=parts)
    (tmp_path / "risky" / "models" / "lora").mkdir(parents=True)
    torch.save(load_file(path), tmp_path / "risky" / "models" / "lora" / "ink.pt")
    made = []
    for home in ("safe", "risky"):
        loras = Loras(partial(find_loras, tmp_path / home, tmp_path / "none", pickles=True), "sdxl")
        made.append(one(look(models / "base"), loras, loras=(Lora("ink", 0.7),)))
    assert same(*made)
    assert not same(made[0], one(look(models / "base")))
    loras = Loras(lambda: find_loras(tmp_path / "risky", tmp_path / "none", pickles=True), "sdxl")
    loras.check([Lora("ink.pt")])  # some name the file


def test_of_a_list_no_weight_is_read_and_it_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    torch.save({"large": torch.zeros(64, 1000), "odd": [1, 2], 3: torch.zeros(1), "step": 4}, path)
    assert unpickling.listing(path) == {"large": {"shape": [64, 1000]}}
    assert unpickling.weights(path)["large"].shape == (64, 1000)
    torch.save({"small": torch.zeros(2)}, path)
    assert unpickling.listing(path) == {"small": {"shape": [2]}}, "another file lies there"
    old = tmp_path / "old.pt"
    torch.save({"small": torch.zeros(2)}, old, _use_new_zipfile_serialization=False)
    assert unpickling.listing(old) == {"small": {"shape": [2]}}


# What is refused


def in_itself(path: Path) -> None:
    held: dict[str, Any] = {}
    held["state_dict"] = held
    torch.save(held, path)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda path, mark: torch.save({"x": torch.zeros(2), "y": Mine(mark)}, path), "pickle_of_more"),
        (lambda path, mark: torch.save(Mine(mark), path), "pickle_of_more"),
        (
            lambda path, mark: torch.save(
                {"x": torch.zeros(2), "y": Mine(mark)}, path, _use_new_zipfile_serialization=False
            ),
            "pickle_of_more",
        ),
        (lambda path, mark: path.write_bytes(pickle.dumps(Mine(mark), 2)), "pickle_of_more"),
        (lambda path, mark: path.write_bytes(pickle.dumps(Mine(mark))), "pickle_unreadable"),
        (lambda path, _: torch.save({"x": torch.zeros(2), "y": Path("a")}, path), "pickle_of_more"),
        (lambda path, _: torch.save({"x": 1}, path), "pickle_unreadable"),
        (lambda path, _: torch.save([torch.zeros(2)], path), "pickle_unreadable"),
        (lambda path, _: in_itself(path), "pickle_unreadable"),
        (lambda path, _: path.write_bytes(b""), "pickle_unreadable"),
        (lambda path, _: path.write_bytes(b"<!doctype html>"), "pickle_unreadable"),
        (lambda path, _: path.write_bytes(b"PK\x03\x04" + b"\0" * 60), "pickle_unreadable"),
    ],
)
def test_what_is_more_than_weights_is_refused_and_nothing_of_it_is_run(
    tmp_path: Path, make: Callable[[Path, Path], object], key: str
) -> None:
    mark = tmp_path / "was run"
    path = tmp_path / "models" / "picture" / "it.ckpt"
    path.parent.mkdir(parents=True)
    make(path, mark)
    for opened in (
        unpickling.listing,
        unpickling.weights,
        unpickling.check,
        lambda file: look(file, pickles=True),
        lambda file: look_at(file, pickles=True),
    ):
        with pytest.raises(BadRequest) as told:
            opened(path)
        assert told.value.args[0].key == f"pictures.file.{key}"
        assert "it.ckpt" in locale_of("de").says(told.value)
    assert find_pictures(tmp_path, tmp_path / "none", pickles=True) == []
    assert "it.ckpt" in str(choose([], str(path), pickles=True).reason)
    assert not mark.exists()


def test_one_that_would_run_something_does_so_where_anything_is_opened(tmp_path: Path) -> None:
    """So that the tests above would see it."""
    mark = tmp_path / "was run"
    path = tmp_path / "it.pt"
    torch.save({"x": torch.zeros(2), "y": Mine(mark)}, path)
    torch.load(path, weights_only=False)
    assert mark.is_dir()


@pytest.mark.parametrize("forced", [False, True])
def test_one_that_was_exchanged_after_it_was_found_is_refused_when_it_is_opened(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forced: bool
) -> None:
    if forced:  # whoever set this elsewhere does not open the door here
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark = tmp_path / "was run"
    plain = in_one_file(models / "sd15", tmp_path / "plain" / "it.safetensors")
    file = pickled(plain, tmp_path / "mine" / "it.ckpt")
    settings_of(models / "sd15", tmp_path / "settings")
    found = look(file, pickles=True)
    pickled(plain, file, more=Mine(mark))
    folder = look(bins(models / "base", tmp_path / "bins"), pickles=True)
    unet = folder.path / "unet" / "diffusion_pytorch_model.bin"
    torch.save({"x": torch.zeros(2), "y": Mine(mark)}, unet)
    for one_of_them in (found, folder):
        with pytest.raises(RenderFailed, match="holds more than weights"):
            one(one_of_them)
    assert not mark.exists()


def test_a_lora_that_would_run_something_is_told_by_its_name_alone(models: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    top = tmp_path / "models" / "lora"
    top.mkdir(parents=True)
    torch.save({"x": torch.zeros(2), "y": Mine(mark)}, top / "evil.pt")
    loras = Loras(lambda: find_loras(tmp_path, tmp_path / "none", unusable=True, pickles=True), "sdxl")
    with pytest.raises(BadRequest, match=r"^evil\.pt is a pickle that holds more than weights"):
        one(look(models / "base"), loras, loras=(Lora("evil"),))
    assert not mark.exists()


# The setting


@pytest.mark.parametrize("pickles", [False, True])
def test_the_operator_allows_them_and_nobody_else(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pickles: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    plain = in_one_file(models / "sd15", tmp_path / "plain" / "it.safetensors")
    file = pickled(plain, home / "models" / "picture" / "mine" / "it.ckpt")
    settings_of(models / "sd15", home / "models" / "picture" / "settings")
    (home / "models" / "lora").mkdir(parents=True)
    lora = write_lora(tmp_path / "ink.safetensors", kind="sd15")
    torch.save(load_file(lora), home / "models" / "lora" / "ink.pt")
    settings = Settings(home=home, pictures=PictureSettings(pickles=pickles, model=str(file), check="off"))
    made = choice(settings)
    check = loras_checked(settings)
    if pickles:
        assert made.found is not None
        assert made.found.name == "it"
        check([Lora("ink")], [Lora("ink")])
        renderer = painter(settings)()
        assert renderer is not None
        [seen] = renderer.render([replace(WANTED, loras=(Lora("ink"),))], quiet)
        assert [fact["name"] for fact in seen.facts["loras"]] == ["ink"]
        renderer.close()
    else:
        assert made.found is None
        assert "it.ckpt is a pickle, which may run anything when it is opened: refused" in made.reason
        write_sdxl(home / "models" / "picture" / "base")
        other = Settings(home=home, pictures=PictureSettings())
        with pytest.raises(BadRequest, match=r"^ink\.pt is a pickle, which may run anything"):
            loras_checked(other)([Lora("ink")], [Lora("ink")])


def test_it_is_off_unless_somebody_switches_it_on() -> None:
    assert PictureSettings().pickles is False
