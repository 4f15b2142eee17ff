"""LoRAs put on real models, tiny ones, that are as before once they are off."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engine.errors import BadRequest
from engine.pictures import Lora
from engine.pictures.loras_told import MOST_LORAS
from engine.pictures.sdxl.loras import KEPT, Loras, Worn
from engine.pictures.sdxl.loras_found import FoundLora, find_loras
from tests.engine.lora_files import PEFT, cut, listed, pair, settings
from tests.models.sdxl import LORA_STYLES, LoraStyle, write_lora

pytestmark = pytest.mark.usefixtures("one_thread")


class Studio:
    """A model that paints, and the LoRAs that lie beside it."""

    def __init__(self, folder: Path, home: Path, kind: str = "sdxl") -> None:
        self.home = home
        self.looked = 0
        name = "StableDiffusionXLPipeline" if kind == "sdxl" else "StableDiffusionPipeline"
        open_: Any = getattr(diffusers, name)
        self.pipe = open_.from_pretrained(folder)
        self.pipe.set_progress_bar_config(disable=True)
        self.loras = Loras(self._found, "sdxl" if kind == "sdxl" else "sd15")

    def _found(self) -> list[FoundLora]:
        self.looked += 1
        return find_loras(self.home, self.home / "none", unusable=True)

    def write(self, name: str, **how: Any) -> Path:
        return write_lora(self.home / "models" / "lora" / f"{name}.safetensors", **how)

    def wear(self, *wanted: Lora) -> Worn:
        return self.loras.wear(self.pipe, wanted)

    def paint(self, pipe: Any = None, **also: Any) -> torch.Tensor:
        with torch.inference_mode():
            made: torch.Tensor = (pipe or self.pipe)(
                "a woman on a bridge",
                num_inference_steps=2,
                generator=torch.Generator().manual_seed(7),
                output_type="pt",
                **({} if "image" in also else {"width": 64, "height": 64}),
                **also,
            ).images
        return made


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


@pytest.fixture
def studio(models: Path, tmp_path: Path) -> Studio:
    return Studio(models / "base", tmp_path)


def test_loras_change_a_picture_and_off_they_leave_it_as_it_was(studio: Studio) -> None:
    first = studio.paint()
    assert studio.wear() == Worn([], words_changed=False)
    studio.write("film")
    studio.write("rain", style="peft", seed=1)
    studio.write("light", style="diffusers", parts=("unet",), seed=2)
    film = studio.wear(Lora("film"))
    [fact] = film.facts
    assert (fact["name"], fact["weight"], len(fact["hash"])) == ("film", 1.0, 12)
    assert film.words_changed
    with_film = studio.paint()
    assert not same(with_film, first)
    assert not studio.wear(Lora("film"), Lora("light")).words_changed, (
        "one of the UNet alone changes no words"
    )
    assert not same(studio.paint(), with_film)
    assert studio.wear(Lora("rain", 0.7)).words_changed
    with_rain = studio.paint()
    worn = studio.wear(Lora("film", 0.5), Lora("RAIN.safetensors", 0.7))
    assert [(one["name"], one["weight"]) for one in worn.facts] == [("film", 0.5), ("rain", 0.7)]
    both = studio.paint()
    assert not any(same(both, other) for other in (first, with_film, with_rain))
    assert studio.wear(Lora("film", 0.6), Lora("rain", 0.7)).words_changed, "another weight, other words"
    assert not same(studio.paint(), both)
    # Whatever was worn between, the same is the same.
    studio.wear(Lora("film", 0.5), Lora("rain", 0.7))
    assert same(studio.paint(), both)
    assert studio.wear(Lora("film", 0.0)) == Worn([], words_changed=True)
    assert same(studio.paint(), first)
    assert studio.wear() == Worn([], words_changed=False)
    assert same(studio.paint(), first)


def test_a_lora_does_the_same_however_its_trainer_called_its_parts(studio: Studio) -> None:
    made: dict[LoraStyle, torch.Tensor] = {}
    for style in LORA_STYLES:
        studio.write(
            style,
            style=style,
            parts=("unet",) if style == "plain" else ("unet", "text_encoder", "text_encoder_2"),
        )
        studio.wear(Lora(style))
        made[style] = studio.paint()
    studio.write("unet", parts=("unet",))
    studio.wear(Lora("unet"))
    assert same(made.pop("plain"), studio.paint())
    assert all(same(one, made["peft"]) for one in made.values())


def test_each_layer_counts_as_its_trainer_said(studio: Studio) -> None:
    """Not all of one file need be of one rank, nor count alike."""
    tensors = load_file(studio.write("even"))
    uneven = dict(tensors)
    for number, name in enumerate(sorted(tensors)):
        if name.endswith(".alpha"):
            up = name.replace(".alpha", ".lora_up.weight")
            tensors[up] = tensors[up] * (1 + number % 4) / 2
            uneven[name] = torch.tensor(1.0 + number % 4)
            if number % 5 == 0:  # of twice the rank, and empty in the other half
                down = name.replace(".alpha", ".lora_down.weight")
                uneven[down] = torch.cat([uneven[down], torch.zeros_like(uneven[down])])
                uneven[up] = torch.cat([uneven[up], torch.zeros_like(uneven[up])], dim=1)
                uneven[name] *= 2
    top = studio.home / "models" / "lora"
    save_file(uneven, top / "uneven.safetensors")
    save_file({name: one for name, one in tensors.items() if ".alpha" not in name}, top / "told.safetensors")
    studio.wear(Lora("uneven"))
    made = studio.paint()
    studio.wear(Lora("told"))
    assert float((made - studio.paint()).abs().max()) < 1e-4
    studio.wear(Lora("even"))
    assert float((made - studio.paint()).abs().max()) > 1e-2


def test_what_peft_wrote_down_counts(studio: Studio) -> None:
    studio.write("half", parts=("unet",), alpha=1.0)
    about = settings(
        r=2, lora_alpha=1, target_modules=["to_q", "to_k", "to_v", "to_out.0"], lora_dropout=0.5, bias="none"
    )
    studio.write("peft", style="peft", parts=("unet",), metadata=about)
    studio.wear(Lora("half"))
    half = studio.paint()
    studio.wear(Lora("peft"))
    assert float((half - studio.paint()).abs().max()) < 1e-5
    assert same(studio.paint(), studio.paint()), "nothing is dropped at random, as it is in training"


def test_stable_diffusion_15_wears_loras_too(models: Path, tmp_path: Path) -> None:
    studio = Studio(models / "sd15", tmp_path, "sd15")
    first = studio.paint()
    for style in ("kohya", "diffusers"):
        studio.write(style, kind="sd15", style=style)
        assert studio.wear(Lora(style)).words_changed
        assert not same(studio.paint(), first)
    assert studio.wear().words_changed
    assert same(studio.paint(), first)


def test_a_picture_from_a_picture_wears_what_the_plain_one_wears(studio: Studio) -> None:
    studio.write("film")
    kind: Any = diffusers.StableDiffusionXLImg2ImgPipeline
    second = kind(**studio.pipe.components, add_watermarker=False)
    second.set_progress_bar_config(disable=True)
    start = {"image": Image.new("RGB", (64, 64), "teal"), "strength": 1.0}
    first, plain = studio.paint(second, **start), studio.paint()
    studio.wear(Lora("film"))
    with_film = studio.paint(second, **start)
    assert not same(with_film, first)
    assert studio.loras.wear(second, [Lora("film")]) == replace(
        studio.wear(Lora("film")), words_changed=False
    )
    assert studio.loras.wear(second, []).words_changed
    assert same(studio.paint(second, **start), first)
    assert same(studio.paint(), plain)


def test_a_refiner_that_shares_an_encoder_is_left_alone(models: Path, studio: Studio) -> None:
    kind: Any = diffusers.StableDiffusionXLImg2ImgPipeline
    shared = {part: getattr(studio.pipe, part) for part in ("vae", "text_encoder_2", "tokenizer_2")}
    refiner = kind.from_pretrained(models / "refiner", add_watermarker=False, **shared)

    def told_words() -> torch.Tensor:
        with torch.inference_mode():
            made: torch.Tensor = refiner.encode_prompt("a bridge", do_classifier_free_guidance=False)[0]
        return made

    before, layers = told_words(), [name for name, _ in refiner.unet.named_modules()]
    studio.write("film")
    studio.wear(Lora("film"))
    with_film = studio.paint()
    assert not same(told_words(), before)
    with studio.loras.aside(studio.pipe):
        assert same(told_words(), before)
    assert same(studio.paint(), with_film), "it is worn again"
    assert [name for name, _ in refiner.unet.named_modules()] == layers
    studio.wear()
    with studio.loras.aside(studio.pipe):
        assert same(told_words(), before)


def test_what_is_wrong_is_told_and_what_was_worn_stays_on(studio: Studio) -> None:
    first = studio.paint()
    # One that is loaded and not worn: it must not take the place of one that was.
    studio.write("early", seed=9)
    studio.wear(Lora("early"))
    studio.wear()
    studio.write("film")
    studio.write("sister", kind="sd15", style="peft")
    studio.write("blank", parts=("text_encoder",), style="diffusers")
    listed(studio.home / "models/lora/other.safetensors", pair(PEFT, 768, 8, "lora_A", "lora_B"))
    cut(studio.home / "models/lora/cut.safetensors")
    (studio.home / "models/lora/old.pt").write_bytes(pickle.dumps({}))
    broken = load_file(studio.write("broken", parts=("unet",)))
    broken[next(name for name in broken if "up" in name)][0, 0] = float("nan")
    save_file(broken, studio.home / "models/lora/broken.safetensors")
    nowhere = pair("unet.nowhere.to_q", 4, 2, "lora_A", "lora_B")
    save_file(
        {name: torch.zeros(shape) for name, shape in nowhere.items()},
        studio.home / "models/lora/lost.safetensors",
    )
    narrow = {
        name: one[:, :16].contiguous() if "down" in name else one
        for name, one in load_file(studio.home / "models/lora/blank.safetensors").items()
    }
    save_file(narrow, studio.home / "models/lora/blank.safetensors")
    wrong = [
        (Lora("nobody"), "There is no LoRA “nobody”. There: blank, broken, early, film, lost, sister."),
        (Lora("other"), "made for Stable Diffusion 1.5, and what paints here is SDXL. There: .*film"),
        (Lora("sister"), "“sister” does not fit SDXL, or its file is damaged. Fetch it again.*There: .*film"),
        (Lora("blank"), "“blank” does not fit SDXL"),
        (Lora("lost"), "“lost” does not fit SDXL|“lost” changes nothing"),
        (Lora("broken"), "“broken” holds broken numbers"),
        (Lora("cut"), "^cut.safetensors is cut short.*There: .*film"),
        (Lora("old"), "^old.pt is a pickle.*There: .*film"),
        (Lora("film", float("nan")), "is no number"),
    ]
    for lora, said in wrong:
        with pytest.raises(BadRequest, match=said):
            studio.wear(lora)
        assert same(studio.paint(), first)
    assert studio.wear(Lora("film", 0.5)).words_changed
    with_film = studio.paint()
    for lora, said in wrong:
        with pytest.raises(BadRequest, match=said):
            studio.wear(Lora("film"), lora)
        assert same(studio.paint(), with_film)
    assert not studio.wear(Lora("film", 0.5)).words_changed
    studio.wear()
    assert same(studio.paint(), first)


def test_more_than_six_are_refused(studio: Studio) -> None:
    with pytest.raises(BadRequest, match=r"7 LoRAs are too many for one picture\. Name 6 at most"):
        studio.wear(*(Lora(f"n{number}") for number in range(7)))


def test_where_there_is_none_it_is_told_where_they_belong(studio: Studio) -> None:
    with pytest.raises(BadRequest, match=r"There is none for SDXL\. Looked in the home's models/lora/"):
        studio.wear(Lora("film"))


def test_a_part_that_finds_no_place_is_told(studio: Studio) -> None:
    tensors = load_file(studio.write("film", style="peft"))
    for name, shape in pair("unet.nowhere.to_q", 4, 2, "lora_A", "lora_B").items():
        tensors[name] = torch.zeros(shape)
    save_file(tensors, studio.home / "models" / "lora" / "more.safetensors")
    studio.wear(Lora("film"))
    with_film = studio.paint()
    [fact] = studio.wear(Lora("more")).facts
    assert fact["left_out"] == 1
    assert same(studio.paint(), with_film)


def test_eight_stay_loaded_and_the_one_not_worn_for_longest_goes(studio: Studio) -> None:
    first = studio.paint()
    for number in range(KEPT + 2):
        studio.write(f"n{number}", parts=("text_encoder",), style="diffusers", seed=number)
    made = []
    for number in range(KEPT):
        studio.wear(Lora(f"n{number}"))
        made.append(studio.paint())
    studio.wear(Lora("n0"))
    studio.wear(Lora("n5"))
    studio.wear(Lora("n8"), Lora("n9"))
    assert len(studio.pipe.get_list_adapters()["text_encoder"]) == KEPT
    loaded = studio.loras._loaded
    assert {one.name for one in loaded} == {"n0", "n3", "n4", "n5", "n6", "n7", "n8", "n9"}
    for number in (0, 1, 7):
        studio.wear(Lora(f"n{number}"))
        assert same(studio.paint(), made[number])
    studio.wear()
    assert same(studio.paint(), first)


def test_six_others_can_be_worn_after_six(studio: Studio) -> None:
    for number in range(2 * MOST_LORAS):
        studio.write(f"n{number:02}", parts=("text_encoder",), style="diffusers", seed=number)
    for start in (0, MOST_LORAS):
        worn = studio.wear(*(Lora(f"n{start + number:02}", 0.2) for number in range(MOST_LORAS)))
        assert len(worn.facts) == MOST_LORAS
    assert len(studio.pipe.get_list_adapters()["text_encoder"]) == KEPT


def test_the_disk_is_looked_at_only_for_what_is_not_known(studio: Studio) -> None:
    studio.write("film")
    for weight in (0.5, 0.6, 0.7):
        studio.wear(Lora("film", weight))
    assert studio.looked == 1
    studio.write("rain", seed=3)
    studio.wear(Lora("rain"))
    assert studio.looked == 2


def test_another_file_of_that_name_is_another_lora(studio: Studio) -> None:
    path = studio.write("film")
    [before] = studio.wear(Lora("film")).facts
    with_film = studio.paint()
    write_lora(path, seed=5, rank=3)
    [after] = studio.wear(Lora("film")).facts
    assert after["hash"] != before["hash"]
    assert not same(studio.paint(), with_film)
    path.unlink()
    with pytest.raises(BadRequest, match="There is no LoRA “film”"):
        studio.wear(Lora("film"))


def test_a_name_that_peft_would_take_apart_is_only_a_name(studio: Studio) -> None:
    first = studio.paint()
    studio.write("lora_A.weight v1.5 (unet) é")
    studio.wear(Lora("lora_A.weight v1.5 (unet) é"))
    assert not same(studio.paint(), first)
    studio.wear()
    assert same(studio.paint(), first)


def test_projections_that_are_fused_are_parted_while_a_lora_is_worn(studio: Studio) -> None:
    studio.write("film")
    studio.wear(Lora("film"))
    with_film = studio.paint()
    studio.wear()
    studio.pipe.unet.fuse_qkv_projections()
    fused = studio.paint()
    for _ in range(2):
        studio.wear(Lora("film"))
        assert same(studio.paint(), with_film)
        studio.wear()
        assert same(studio.paint(), fused)
        assert {type(one).__name__ for one in studio.pipe.unet.attn_processors.values()} == {
            "FusedAttnProcessor2_0"
        }


def test_a_model_that_is_loaded_anew_begins_with_none(models: Path, studio: Studio) -> None:
    studio.write("film")
    studio.wear(Lora("film"))
    with_film = studio.paint()
    studio.pipe = Studio(models / "base", studio.home).pipe
    assert studio.wear(Lora("film")).words_changed
    assert same(studio.paint(), with_film)


def test_16_bit_wear_what_32_bit_do(studio: Studio) -> None:
    studio.write("film", size=0.1)
    first = studio.paint()
    studio.wear(Lora("film"))
    wide = studio.paint()
    studio.pipe.to(torch.bfloat16)
    narrow = studio.paint().float()
    assert float((narrow - wide).abs().mean()) < float((wide - first).abs().mean())
