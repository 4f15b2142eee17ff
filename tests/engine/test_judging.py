"""What looks at pictures: which folder is taken for it, how labels become ratings, and what real models say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from structlog.testing import capture_logs

from engine.errors import BadRequest, RenderFailed
from engine.pictures.sdxl.judging import (
    AT_ONCE,
    Checker,
    CheckerChoice,
    Verdict,
    find_checker,
    look_at,
    weighed,
)
from personas.persona import Rating
from tests.models.classifier import cut_short, write_classifier, write_safety_checker

pytestmark = pytest.mark.usefixtures("one_thread")

BLUE, RED = Image.new("RGB", (64, 64), "#2040c0"), Image.new("RGB", (64, 64), "#e02020")
LABELS = ("normal", "nsfw")


@pytest.fixture(scope="module")
def tells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that takes red for unsuitable."""
    return write_classifier(tmp_path_factory.mktemp("checkers") / "tells", LABELS, apart=(BLUE, RED))


def copied(tells: Path, to: Path, **config: Any) -> Path:
    shutil.copytree(tells, to)
    file = to / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return to


def reweighed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def said(folder: Path, *images: Image.Image, **how: Any) -> list[Verdict]:
    return Checker(look_at(folder), **how).verdicts(images)


def ratings(folder: Path, *images: Image.Image) -> list[Rating]:
    return [verdict.rating for verdict in said(folder, *images)]


# Which one


def test_the_home_goes_before_the_current_folder_and_names_are_in_order(tells: Path, tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    copied(tells, here / "models/checker/first")
    assert found_in(home, here) == "first"
    copied(tells, home / "models/checker/second")
    copied(tells, home / "models/checker/Third")
    made = find_checker(home, here)
    assert made.found is not None
    assert (made.found.name, made.found.kind) == ("second", "classifier")
    assert "second looks at each picture" in made.reason
    assert "the home's" in made.reason


def found_in(home: Path, here: Path) -> str:
    made = find_checker(home, here)
    return made.found.name if made.found else ""


def test_where_none_is_it_says_where_it_looked(tmp_path: Path) -> None:
    made = find_checker(tmp_path, tmp_path)
    assert made == CheckerChoice(None, made.reason)
    assert "models/checker" in made.reason


def test_one_that_will_not_do_is_passed_over_and_its_reason_kept(tells: Path, tmp_path: Path) -> None:
    (tmp_path / "models/checker/empty").mkdir(parents=True)
    (tmp_path / "models/checker/notes.txt").write_text("mine")
    made = find_checker(tmp_path, tmp_path / "elsewhere")
    assert (made.found, made.refused) == (None, True)
    assert "config.json" in made.reason
    assert "notes" not in made.reason
    copied(tells, tmp_path / "models/checker/whole")
    assert found_in(tmp_path, tmp_path) == "whole"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("", "has no config.json that can be read"),
        ("{", "has no config.json that can be read"),
        ("[" * 100_000, "has no config.json that can be read"),
        ("[]", "does not sort pictures"),
        ('{"architectures": "ViTForImageClassification"}', "does not sort pictures"),
        ('{"architectures": ["CLIPModel"], "model_type": "clip"}', "made for CLIPModel"),
        ('{"architectures": ["ViTForImageClassification"]}', r"nobody is kept from here \(none\)"),
        ('{"architectures": ["ViTForImageClassification"], "id2label": [1]}', r"\(none\)"),
        (
            '{"architectures": ["ViTForImageClassification"], "id2label": {"0": "cat", "1": "dog"}}',
            r"\(cat, dog\)",
        ),
        # One that knows harmless things alone could never keep a picture back.
        (
            '{"architectures": ["ViTForImageClassification"], "id2label": {"0": "safe", "1": "LABEL_1"}}',
            r"\(safe, LABEL_1\)",
        ),
    ],
)
def test_a_folder_that_is_no_checker_is_refused_by_what_it_says_of_itself(
    tmp_path: Path, config: str, why: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadRequest, match=why):
        look_at(tmp_path)


def test_pickles_and_folders_without_their_settings_are_refused(tells: Path, tmp_path: Path) -> None:
    folder = copied(tells, tmp_path / "odd")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(BadRequest, match=r"lacks preprocessor_config\.json"):
        look_at(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadRequest, match="A pickle may run anything"):
        look_at(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(BadRequest, match=r"holds no \.safetensors file\. Fetch"):
        look_at(folder)


def test_looking_for_one_reads_no_weights(tells: Path, tmp_path: Path) -> None:
    folder = copied(tells, tmp_path / "models/checker/tells")
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    assert found_in(tmp_path, tmp_path) == "tells"


# Labels and ratings


@pytest.mark.parametrize(
    ("label", "rating"),
    [
        ("normal", Rating.ALL_AGES),
        ("SFW", Rating.ALL_AGES),
        ("neutral", Rating.ALL_AGES),
        ("drawings", Rating.ALL_AGES),
        ("not_nsfw", Rating.ALL_AGES),
        ("non-violent", Rating.ALL_AGES),
        ("sexy", Rating.MATURE),
        ("Enticing or Sensual", Rating.MATURE),
        ("violence", Rating.MATURE),
        ("NSFW", Rating.ADULT),
        ("porn", Rating.ADULT),
        ("hentai", Rating.ADULT),
        ("Not Safe", Rating.ADULT),
        ("gore", Rating.ADULT),
    ],
)
def test_a_label_means_a_rating_however_it_is_written(label: str, rating: Rating) -> None:
    made = weighed({label: 0.9, "neutral " if rating.level else "nsfw": 0.1})
    assert (made.rating, made.label) == (rating, label)
    assert made.likelihood == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("likelihoods", "verdict"),
    [
        # Two grown-up labels are one when it comes to who may see it.
        ({"porn": 0.3, "hentai": 0.25, "neutral": 0.45}, Verdict(Rating.ADULT, "porn", 0.55)),
        ({"porn": 0.3, "sexy": 0.3001, "neutral": 0.3999}, Verdict(Rating.MATURE, "sexy", 0.6001)),
        ({"porn": 0.2, "sexy": 0.2, "drawings": 0.6}, Verdict(Rating.ALL_AGES, "drawings", 0.6)),
        ({"nsfw": 0.5, "normal": 0.5}, Verdict(Rating.ADULT, "nsfw", 0.5)),
        # What nobody knows does not make a picture harmless.
        ({"weather": 0.9, "nsfw": 0.08, "normal": 0.02}, Verdict(Rating.ADULT, "nsfw", 0.8)),
        # Where nothing harmless is known, what nobody knows is that.
        ({"weather": 0.9, "gore": 0.1}, Verdict(Rating.ALL_AGES, "", 0.9)),
        ({"nsfw": 0.0, "normal": 0.0}, Verdict(Rating.ALL_AGES, "normal", 1.0)),
    ],
)
def test_likelihoods_become_a_verdict(likelihoods: dict[str, float], verdict: Verdict) -> None:
    made = weighed(likelihoods)
    assert (made.rating, made.label) == (verdict.rating, verdict.label)
    assert made.likelihood == pytest.approx(verdict.likelihood)


def test_labels_that_do_not_exclude_each_other_are_not_summed() -> None:
    both = {"violence": 0.4, "gore": 0.4, "safe": 0.1}
    assert weighed(both, exclusive=False).rating is Rating.ALL_AGES
    assert weighed(both | {"gore": 0.7}, exclusive=False) == Verdict(Rating.ADULT, "gore", 0.7)


SHARES = st.dictionaries(
    st.sampled_from(["normal", "neutral", "sexy", "violence", "porn", "nsfw", "weather", "LABEL_3"]),
    st.floats(0, 1),
    min_size=1,
)


@given(SHARES, st.floats(0.01, 1), st.floats(0.01, 1), st.booleans())
def test_a_lower_threshold_never_lets_more_through(
    likelihoods: dict[str, float], one: float, other: float, exclusive: bool
) -> None:
    strict, lenient = (
        weighed(likelihoods, at, exclusive=exclusive) for at in (min(one, other), max(one, other))
    )
    assert strict.rating.level >= lenient.rating.level
    assert 0 <= strict.likelihood <= 1


@given(SHARES, st.floats(0.01, 1))
def test_more_of_what_is_grown_up_never_makes_a_picture_more_harmless(
    likelihoods: dict[str, float], more: float
) -> None:
    before = likelihoods | {"porn": likelihoods.get("porn", 0.0)}
    after = before | {"porn": min(1.0, before["porn"] + more)}
    assert weighed(after).rating.level >= weighed(before).rating.level


# Real models


def test_each_picture_has_its_own_verdict_in_its_place(tells: Path) -> None:
    checker = Checker(look_at(tells))
    pictures = [RED, BLUE, BLUE, RED] * AT_ONCE
    verdicts = checker.verdicts(pictures)
    assert [one.rating for one in verdicts] == [
        Rating.ADULT,
        Rating.ALL_AGES,
        Rating.ALL_AGES,
        Rating.ADULT,
    ] * (AT_ONCE)
    assert {one.label for one in verdicts} == {"normal", "nsfw"}
    assert all(0.9 < one.likelihood <= 1 for one in verdicts)
    assert checker.name == "tells"
    assert checker.verdicts([]) == []
    checker.close()
    checker.close()
    assert checker.verdicts([BLUE])[0].label == "normal", "and is opened again"


def test_pictures_of_any_kind_and_size_are_looked_at(tells: Path) -> None:
    reds = [RED.convert(mode) for mode in ("RGBA", "CMYK", "P")]
    reds += [RED.resize(size) for size in ((1, 1), (64, 2048), (1216, 832))]
    assert ratings(tells, *reds) == [Rating.ADULT] * len(reds)
    assert ratings(tells, BLUE.convert("RGBA")) == [Rating.ALL_AGES]


def test_a_verdict_needs_the_likelihood_that_was_set(tells: Path) -> None:
    [verdict] = said(tells, RED)
    assert verdict.likelihood < 0.999
    assert said(tells, RED, threshold=0.9999)[0].rating is Rating.ALL_AGES
    assert said(tells, BLUE, threshold=0.0001)[0].rating is Rating.ADULT


def test_labels_that_nobody_knows_are_told_once_and_left_out(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "many", ("normal", "porn", "weather", "cats"), says="weather")
    with capture_logs() as told:
        checker = Checker(look_at(folder))
        assert checker.verdicts([BLUE])[0].label in {"normal", "porn"}
        checker.verdicts([RED])
    assert [one["labels"] for one in told if one["event"] == "picture_labels_unknown"] == [
        ["weather", "cats"]
    ]


def test_a_model_whose_labels_do_not_exclude_each_other_is_read_so(tells: Path, tmp_path: Path) -> None:
    folder = copied(tells, tmp_path / "several", problem_type="multi_label_classification")

    def unsure(tensors: dict[str, torch.Tensor]) -> None:
        tensors["classifier.weight"].zero_()
        tensors["classifier.bias"][:] = torch.tensor([4.0, 1.0])

    # Each is likely; as shares of one, the second had next to nothing.
    [verdict] = said(reweighed(folder, unsure), BLUE)
    assert (verdict.rating, verdict.label) == (Rating.ADULT, "nsfw")
    assert verdict.likelihood == pytest.approx(0.731, abs=0.001)


def test_a_model_with_a_single_label_is_asked_whether_it_is_that(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "single", ("nsfw",), says="nsfw")
    assert ratings(folder, BLUE) == [Rating.ADULT]
    reweighed(folder, lambda tensors: tensors["classifier.bias"].fill_(-5))
    assert ratings(folder, BLUE) == [Rating.ALL_AGES]


@pytest.mark.parametrize("turned", [False, True])
def test_a_model_that_would_see_the_middle_only_is_shown_all_of_a_picture(
    tells: Path, tmp_path: Path, turned: bool
) -> None:
    folder = copied(tells, tmp_path / "crops")
    cropping = {
        "do_center_crop": True,
        "size": {"shortest_edge": 16},
        "crop_size": 16,
        "image_mean": [0.5] * 3,
    }
    cropping |= {"image_processor_type": "CLIPImageProcessor", "image_std": [0.5] * 3, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(cropping))
    for place in (0, 128):
        wide = Image.new("RGB", (192, 64), BLUE.getpixel((0, 0)))
        harmless = wide.copy()
        wide.paste(RED, (place, 0))
        pictures = [one.transpose(Image.Transpose.ROTATE_90) if turned else one for one in (wide, harmless)]
        assert ratings(folder, *pictures) == [Rating.ADULT, Rating.ALL_AGES]


def headless(folder: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["classifier.weight"]

    reweighed(folder, change)


def too_wide(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 16}))


def foreign(folder: Path) -> None:
    """With code of its own, which is never run, and of a kind that nobody knows."""
    (folder / "mine.py").write_text("raise SystemExit('it was run')\n")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "mine"}
    config["auto_map"] = {"AutoConfig": "mine.Config", "AutoModelForImageClassification": "mine.Model"}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (cut_short, "cut short"),
        # It would be filled up with random numbers.
        (headless, r"lacks weights \(classifier\.weight\)"),
        (too_wide, "cannot be loaded"),
        (foreign, "cannot be loaded"),
    ],
)
def test_broken_weights_give_a_sentence_and_no_verdict(
    tells: Path, tmp_path: Path, damage: Callable[[Path], None], why: str
) -> None:
    folder = copied(tells, tmp_path / "broken")
    damage(folder)
    checker = Checker(look_at(folder))
    for _ in range(2):
        with pytest.raises(RenderFailed, match=why):
            checker.open()
    with pytest.raises(RenderFailed, match="picture checker broken"):
        checker.verdicts([BLUE])


def test_broken_numbers_are_no_verdict(tells: Path, tmp_path: Path) -> None:
    """No comparison with them holds, and so the worst picture would pass."""
    folder = copied(tells, tmp_path / "nan")
    reweighed(folder, lambda tensors: tensors["classifier.bias"].fill_(float("nan")))
    with pytest.raises(RenderFailed, match="nothing but broken numbers"):
        said(folder, RED)


def test_weights_in_16_bit_are_used_in_32(tells: Path, tmp_path: Path) -> None:
    folder = copied(tells, tmp_path / "half")
    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.fp16.safetensors", metadata={"format": "pt"})
    assert ratings(folder, RED, BLUE) == [Rating.ADULT, Rating.ALL_AGES]


@pytest.mark.parametrize(("concern", "rating"), [(-2.0, Rating.ADULT), (2.0, Rating.ALL_AGES)])
def test_the_checker_of_the_first_stable_diffusion_will_do_as_well(
    tmp_path: Path, concern: float, rating: Rating
) -> None:
    folder = write_safety_checker(tmp_path / "safety_checker", concern=concern)
    assert look_at(folder).kind == "safety"
    assert {verdict.rating for verdict in said(folder, RED, BLUE)} == {rating}
    tall = said(folder, RED.resize((64, 192)))
    assert tall == [Verdict(rating, "nsfw" if rating.level else "safe", 1.0)]


@pytest.mark.parametrize("cared_for", [False, True])
def test_it_finds_what_the_checker_itself_finds(tmp_path: Path, cared_for: bool) -> None:
    """Just where it begins to object to the first colour; it is stricter with what comes near a special concept."""
    checker = Checker(look_at(write_safety_checker(tmp_path / "checker", concern=0.0)))
    checker.open()
    assert checker._loaded is not None
    model, processor = checker._loaded.model.requires_grad_(False), checker._loaded.processor
    colours = [Image.new("RGB", (20, 20), (17 * n % 256, 67 * n % 256, 151 * n % 256)) for n in range(12)]
    pixels = processor(images=colours, return_tensors="pt")["pixel_values"]
    first = model.visual_projection(model.vision_model(pixels)[1])[:1]
    near = float(torch.cosine_similarity(first, model.concept_embeds).max())
    model.special_care_embeds_weights.fill_(-1.0 if cared_for else 1.0)
    for further, objects in [(-0.02, True), (-0.005, True), (0.005, cared_for), (0.02, False)]:
        model.concept_embeds_weights.fill_(near + further)
        _, found = model(pixels, [torch.zeros(1)] * len(colours))
        assert [one.rating is Rating.ADULT for one in checker.verdicts(colours)] == found
        assert found[0] is objects


def test_a_safety_checker_with_broken_numbers_gives_no_verdict(tmp_path: Path) -> None:
    folder = write_safety_checker(tmp_path / "nan", concern=2.0)
    reweighed(folder, lambda tensors: tensors["concept_embeds"].fill_(float("nan")))
    with pytest.raises(RenderFailed, match="broken numbers"):
        said(folder, RED)
