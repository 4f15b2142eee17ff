"""Pictures that begin from others, pictures that are made in two passes, and who goes through the model with whom."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops, ImageStat

from engine.errors import BadRequest
from engine.pictures import Lora, Preview
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.longprompt import Encoder
from engine.pictures.sdxl.opening import open_pipelines
from engine.pictures.sdxl.pipelines import Begun, Pipelines, Words
from engine.pictures.sdxl.recipes import SCHEDULERS, recipe
from engine.pictures.sdxl.renderer import Sdxl
from engine.pictures.sdxl.seeing import as_pixels, developed, read
from tests.engine import painted
from tests.engine.painted import ON_A_BRIDGE, apart, quiet

pytestmark = pytest.mark.usefixtures("one_thread")

WANTED = replace(ON_A_BRIDGE, steps=4)
one = partial(painted.one, of=WANTED)
LONG = " ".join(["a woman with red hair and a green coat on a bridge"] * 12)


@pytest.fixture(scope="module")
def pipelines(models: Path) -> Pipelines:
    return open_pipelines(look(models / "base"), None, "cpu")


def painting(size: tuple[int, int] = (64, 64), turn: int = 0) -> Image.Image:
    """Something with colours, and no two the same."""
    across = Image.linear_gradient("L").rotate(90)
    bands = (Image.linear_gradient("L").rotate(turn), across, Image.radial_gradient("L"))
    return Image.merge("RGB", bands).resize(size)


def told(pipelines: Pipelines) -> Words:
    words = Encoder(pipelines.pipe).encode("a woman")
    return Words(words.embeds, words.pooled, words.embeds, words.pooled)


def far(first: Image.Image, second: Image.Image) -> float:
    """By how much the two differ altogether."""
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean)


@pytest.mark.parametrize("kind", ["base", "sd15"])
def test_a_picture_may_begin_from_another_one(models: Path, kind: str) -> None:
    renderer = Sdxl(look(models / kind), device="cpu")
    made = one(renderer, start=painting(), strength=0.5)
    assert made.facts["start"] == {"strength": 0.5}
    assert "hires" not in made.facts
    json.dumps(made.facts)
    assert apart(made.image, one(renderer).image) > 0
    assert apart(made.image, one(renderer, start=painting(turn=180), strength=0.5).image) > 0
    assert apart(made.image, one(renderer, start=painting(), strength=0.5, seed=8).image) > 0
    assert apart(made.image, one(renderer, start=painting(), strength=0.5, prompt="a dog").image) > 0
    assert apart(made.image, one(renderer, start=painting(), strength=0.5).image) == 0


def test_the_weights_are_there_once(pipelines: Pipelines) -> None:
    shown = told(pipelines)
    how = recipe(look(Path(pipelines.pipe.config._name_or_path)), 2, 7.5)
    pipelines.denoise(how, shown, None, (64, 64), [1], quiet, Begun((painting(),), 0.5))
    assert pipelines._over.unet is pipelines.pipe.unet
    assert pipelines._over.vae is pipelines.pipe.vae
    assert pipelines._over.text_encoder is pipelines.pipe.text_encoder


def test_the_more_strength_the_further_it_goes_from_its_start(pipelines: Pipelines) -> None:
    """Looked at before it is developed: a VAE of random weights makes much of little."""
    start = painting()
    shown, how = told(pipelines), recipe(look(Path(pipelines.pipe.config._name_or_path)), 20, 7.5)
    with torch.inference_mode():
        begun = read(pipelines.pipe.vae, as_pixels(start))
    latents = [
        pipelines.denoise(how, shown, None, (64, 64), [7], quiet, Begun((start,), strength))
        for strength in (0.05, 0.3, 0.6, 1)
    ]
    distances = [float((one - begun).square().mean().sqrt()) for one in latents]
    assert all(nearer < further / 2 for nearer, further in pairwise(distances))


def test_strength_0_gives_the_start_back(sdxl: Sdxl) -> None:
    told: list[tuple[int, int]] = []
    looks: list[Image.Image] = []

    def tell(step: int, steps: int, preview: Preview | None = None) -> None:
        told.append((step, steps))
        if preview is not None:
            looks.append(preview())

    start = painting((61, 70))
    wanted = replace(WANTED, width=61, height=70, start=start, strength=0.0)
    [made] = sdxl.render([wanted], tell)
    assert made.image.tobytes() == start.tobytes()
    assert made.facts["start"] == {"strength": 0.0}
    assert told == [(1, 1)]
    assert looks[0].tobytes() == start.tobytes()


@pytest.mark.parametrize("strength", [1e-9, 0.001, 0.05])
def test_a_little_strength_is_a_step_at_least(sdxl: Sdxl, strength: float) -> None:
    told: list[tuple[int, int]] = []
    wanted = replace(WANTED, start=painting(), strength=strength, steps=4)
    [made] = sdxl.render([wanted], lambda *step: told.append(step[:2]))
    assert told == [(1, 1)]
    assert apart(made.image, painting()) > 0


@pytest.mark.parametrize(("asked", "taken"), [(7.0, 1.0), (math.inf, 1.0), (-3.0, 0.0)])
def test_strength_is_kept_within_its_bounds(sdxl: Sdxl, asked: float, taken: float) -> None:
    made = one(sdxl, start=painting(), strength=asked)
    assert made.facts["start"] == {"strength": taken}
    assert apart(made.image, one(sdxl, start=painting(), strength=taken).image) == 0


def test_a_strength_that_is_no_number_is_refused(sdxl: Sdxl) -> None:
    with pytest.raises(BadRequest, match="strength is no number"):
        one(sdxl, start=painting(), strength=math.nan)
    assert one(sdxl, strength=math.nan).image.size == (64, 64), "and asked only where there is a start"


def test_a_start_that_cannot_be_used_is_told_before_anything_is_made(sdxl: Sdxl) -> None:
    told: list[int] = []
    with pytest.raises(BadRequest, match="too small"):
        sdxl.render([WANTED, replace(WANTED, start=painting((8, 8)))], lambda *step: told.append(step[0]))
    assert told == []


def test_a_start_of_any_size_fits_a_picture_of_any_size(sdxl: Sdxl) -> None:
    made = one(sdxl, width=61, height=70, start=painting((300, 40)).convert("CMYK"), strength=0.5)
    assert made.image.size == (61, 70)


@pytest.mark.parametrize("scheduler", ["euler", "euler a", "dpm++ 2m sde karras", "lcm"])
def test_a_begun_picture_is_the_same_in_company_and_alone(sdxl: Sdxl, scheduler: str) -> None:
    wanted = [
        replace(WANTED, seed=seed, scheduler=scheduler, start=painting(turn=90 * seed), strength=0.6)
        for seed in range(3)
    ]
    together = sdxl.render(wanted, quiet)
    assert [made.facts["batch"] for made in together] == [3, 3, 3]
    for made, picture in zip(together, wanted, strict=True):
        [alone] = sdxl.render([picture], quiet)
        assert alone.facts["batch"] == 1
        assert apart(made.image, alone.image) <= 1


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_can_begin_from_a_picture(pipelines: Pipelines, scheduler: str) -> None:
    shown = told(pipelines)
    for steps, strength in ((1, 0.4), (1, 1.0), (5, 0.1), (5, 0.6)):
        heard: list[tuple[int, int]] = []

        def progress(step: int, steps: int, preview: Preview, heard: list[tuple[int, int]] = heard) -> None:
            assert preview().size == (64, 64)
            heard.append((step, steps))

        how = recipe(look(Path(pipelines.pipe.config._name_or_path)), steps, 7.5, scheduler)
        begun = Begun((painting(),), strength)
        latents = pipelines.denoise(how, shown, None, (64, 64), [7], progress, begun)
        assert torch.isfinite(latents).all()
        assert heard == [(step, len(heard)) for step in range(1, len(heard) + 1)]
        assert len(heard) == pipelines.plan(how, strength).total


def test_where_there_is_a_refiner_the_base_goes_on_from_a_picture_alone(models: Path, sdxl: Sdxl) -> None:
    refined = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu")
    made = one(refined, start=painting(), strength=0.5)
    assert made.facts["base_alone"] is True
    assert "refiner" not in made.facts
    assert apart(made.image, one(sdxl, start=painting(), strength=0.5).image) == 0
    assert "base_alone" not in one(refined).facts


def test_what_is_read_from_a_picture_is_what_develops_to_it(pipelines: Pipelines) -> None:
    """The one is the other's way back: with the scaling of models that have a mean and a spread, too."""
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    class Vae:
        config = pipelines.pipe.vae.config

        def encode(self, pixels: torch.Tensor) -> Any:
            outcome = type("Encoded", (), {"latent_dist": self})()
            self.pixels = pixels
            return outcome

        def mode(self) -> torch.Tensor:
            return self.pixels

        def decode(self, plain: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
            self.plain = plain
            return (torch.zeros(1, 3, 8, 8),)

    for settings in ({}, {"latents_mean": [1.0, -2.0, 0.5, 3.0], "latents_std": [2.0, 4.0, 0.5, 1.0]}):
        vae = Vae()
        vae.config = type("Settings", (), {"scaling_factor": 0.13025} | settings)
        developed(vae, read(vae, latents))
        assert torch.allclose(vae.plain, latents, atol=1e-5)


def test_a_large_picture_is_made_small_and_then_gone_over(sdxl: Sdxl) -> None:
    told: list[tuple[int, int]] = []
    sizes: set[tuple[int, int]] = set()

    def tell(step: int, steps: int, preview: Preview | None = None) -> None:
        told.append((step, steps))
        assert preview is not None
        sizes.add(preview().size)

    wanted = replace(WANTED, width=192, height=96, hires=True, steps=6)
    [made] = sdxl.render([wanted], tell)
    assert made.image.size == (192, 96)
    assert made.facts["hires"] == {"from": [88, 48], "strength": 0.35}
    assert told == [(step, 8) for step in range(1, 9)], "six small, and two of six large"
    assert sizes == {(88, 48), (192, 96)}
    json.dumps(made.facts)
    plain = one(sdxl, width=192, height=96, steps=6)
    assert "hires" not in plain.facts
    assert apart(made.image, plain.image) > 0


def test_a_large_picture_keeps_what_the_small_one_shows(sdxl: Sdxl) -> None:
    large = one(sdxl, width=128, height=128, hires=True, steps=20).image
    small = one(sdxl, steps=20).image.resize((128, 128))
    other = one(sdxl, steps=20, seed=8).image.resize((128, 128))
    assert far(large, small) < far(large, other)


def test_a_picture_of_the_size_that_the_model_knows_is_made_in_one_go(sdxl: Sdxl) -> None:
    made = one(sdxl, width=64, height=72, hires=True)
    assert "hires" not in made.facts
    assert apart(made.image, one(sdxl, width=64, height=72).image) == 0


def test_a_start_is_all_that_a_large_picture_needs(sdxl: Sdxl) -> None:
    made = one(sdxl, width=128, height=128, hires=True, start=painting(), strength=0.3)
    assert "hires" not in made.facts
    assert made.facts["start"] == {"strength": 0.3}


def test_large_pictures_are_the_same_in_company_and_alone(sdxl: Sdxl) -> None:
    wanted = [replace(WANTED, width=128, height=128, hires=True, seed=seed) for seed in range(2)]
    together = sdxl.render(wanted, quiet)
    for made, picture in zip(together, wanted, strict=True):
        assert made.facts["batch"] == 2
        assert apart(made.image, sdxl.render([picture], quiet)[0].image) <= 1


def test_a_refiner_finishes_the_small_one_of_the_two(models: Path) -> None:
    refined = Sdxl(look(models / "base"), look(models / "refiner"), device="cpu")
    told: list[tuple[int, int]] = []
    wanted = replace(WANTED, width=128, height=128, hires=True, steps=10)
    [made] = refined.render([wanted], lambda *step: told.append(step[:2]))
    assert told == [(step, 14) for step in range(1, 15)]
    assert made.facts["refiner"] == "refiner"


def test_a_picture_names_its_own_scheduler(models: Path) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu", scheduler="ddim")
    own = one(renderer, scheduler="DPM++ 2M Karras")
    assert own.facts["sampler"] == "dpm++ 2m karras"
    assert one(renderer).facts["sampler"] == "ddim"
    with pytest.raises(BadRequest, match="no scheduler “best”"):
        one(renderer, scheduler="best")


@pytest.mark.parametrize(
    ("other", "shares"),
    [
        ({}, True),
        ({"seed": 8, "prompt": "a dog", "negative": "", "style": "ink"}, True),
        ({"steps": 5}, False),
        ({"guidance": 3.0}, False),
        ({"scheduler": "ddim"}, False),
        ({"scheduler": "Euler"}, True),
        ({"width": 72}, False),
        ({"width": 63}, True),
        ({"prompt": LONG}, False),
        ({"negative": LONG}, False),
        ({"hires": True}, True),
        ({"strength": 0.2}, True),
        ({"start": painting()}, False),
        ({"loras": (Lora("ink", 0.5),)}, False),
        ({"loras": (Lora("ink", 0.0),)}, True),
        ({"scheduler": "best"}, False),
        ({"start": painting(), "strength": math.nan}, False),
    ],
)
def test_who_goes_with_whom(sdxl: Sdxl, other: dict[str, Any], shares: bool) -> None:
    assert sdxl.company([WANTED, replace(WANTED, **other)]) == ([0, 1] if shares else [0])
    assert sdxl.company([replace(WANTED, **other), WANTED]) == ([0, 1] if shares else [0])


def test_company_is_in_order_and_no_larger_than_a_pass(sdxl: Sdxl) -> None:
    start = painting()
    wanted = [replace(WANTED, start=start, strength=0.4 if number % 3 else 0.5) for number in range(12)]
    assert sdxl.company(wanted) == [0, 3, 6, 9]
    assert sdxl.company(wanted[1:]) == [0, 1, 3, 4]
    assert sdxl.company(wanted[:1]) == [0]
    assert sdxl.company([]) == []


@pytest.mark.parametrize("hires", [False, True])
def test_who_goes_together_shares_a_pass(sdxl: Sdxl, hires: bool) -> None:
    wanted = [replace(WANTED, seed=seed, width=128, steps=3 + seed % 2, hires=hires) for seed in range(7)]
    company = sdxl.company(wanted)
    assert company == [0, 2, 4, 6]
    made = sdxl.render([wanted[place] for place in company], quiet)
    assert [picture.facts["batch"] for picture in made] == [4] * 4


def test_a_model_that_is_not_there_is_no_reason_not_to_answer(models: Path, tmp_path: Path) -> None:
    renderer = Sdxl(replace(look(models / "base"), path=tmp_path / "gone"), device="cpu")
    assert renderer.company([WANTED, WANTED]) == [0]


def test_a_lora_where_there_are_none_is_refused(sdxl: Sdxl) -> None:
    with pytest.raises(BadRequest, match="base is used without LoRAs here, and “ink” is wanted"):
        one(sdxl, loras=(Lora("ink"),))


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"scheduler": "euler a"},
        {"scheduler": "dpm++ 2m sde"},
        {"hires": True, "width": 128},
        {"start": painting(), "strength": 0.5},
        {"start": painting(), "strength": 0.5, "scheduler": "dpm++ sde karras"},
    ],
)
def test_a_replay_alone_is_the_same_to_the_last_bit(sdxl: Sdxl, wanted: dict[str, Any]) -> None:
    first = one(sdxl, **wanted).image.tobytes()
    assert one(sdxl, **wanted).image.tobytes() == first
    sdxl.render([replace(WANTED, seed=seed, prompt=LONG, **wanted) for seed in range(3)], quiet)
    sdxl.render([replace(WANTED, seed=seed, scheduler="heun") for seed in range(2)], quiet)
    assert one(sdxl, **wanted).image.tobytes() == first
