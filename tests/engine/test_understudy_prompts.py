"""The understudy's prompts for pictures: within bounds, true to the request, and for everybody."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language import PROMPT_WORDS, PromptWanted, count_words
from engine.language.understudy import Understudy
from personas.appearance import Ledger, Scene
from personas.persona import Appearance, Persona
from tests.engine.understudy_talks import NASTY, ODILE, SHARED, any_text, everybody, prompt


@everybody
@pytest.mark.parametrize("request_text", ["", "on the beach at night", "in the kitchen baking bread", *NASTY])
def test_prompts_keep_their_bounds_and_their_parts(
    understudy: Understudy, persona: Persona, request_text: str
) -> None:
    text = prompt(understudy, Scene(persona, request_text), style="watercolour, soft edges")
    assert count_words(text) in PROMPT_WORDS
    assert persona.appearance.body in text
    assert text.endswith("watercolour, soft edges")
    text.encode("utf-8")


def test_the_request_comes_early_and_without_markup(understudy: Understudy) -> None:
    text = prompt(understudy, Scene(ODILE, "reading (a map:1.4) in <lora:x> [rain] | under a bridge"))
    assert "reading a map:1.4 in lora:x rain under a bridge" in text
    assert text.index("reading") < text.index(ODILE.appearance.hair)


def test_three_hundred_scenes_have_three_hundred_prompts(understudy: Understudy) -> None:
    requests = ["on stage", "in a forest", "at the market", "", "in the snow", "asleep"]
    prompts = {
        prompt(understudy, Scene(ODILE, r, seed=seed), seed=seed) for r in requests for seed in range(50)
    }
    assert len(prompts) == 300


@everybody
def test_the_light_is_of_one_family_and_fits_the_hour(understudy: Understudy, persona: Persona) -> None:
    days = ("sunlight", "daylight", "bright sun", "window light")
    nights = ("moonlight", "lamplight", "street lamp", "warm lamp")
    for seed in range(12):
        night = prompt(
            understudy,
            Scene(persona, "walking in a forest at night", Ledger(clothes="a coat", place="a wood")),
            seed=seed,
        )
        assert not any(word in night for word in days)
        day = prompt(understudy, Scene(persona, "on the beach at noon", Ledger(clothes="a coat")), seed=seed)
        assert not any(word in day for word in nights)


def test_the_ledger_dresses_and_places(understudy: Understudy) -> None:
    text = prompt(
        understudy, Scene(ODILE, "", Ledger(clothes="a yellow oilskin", place="a tram depot", mood="sleepy"))
    )
    assert "wearing a yellow oilskin" in text
    assert "a tram depot" in text
    assert "sleepy expression" in text


def test_a_request_that_dresses_itself_is_not_dressed_twice(understudy: Understudy) -> None:
    text = prompt(understudy, Scene(ODILE, "in a red raincoat by the river"))
    assert "brass buttons" not in text


def test_a_lens_is_named_once_and_only_where_there_is_a_camera(understudy: Understudy) -> None:
    for seed in range(12):
        photograph = prompt(understudy, Scene(ODILE, "at sea"), style="photograph, 85mm lens", seed=seed)
        assert photograph.count("lens") == 1
        assert "lens" not in prompt(
            understudy, Scene(ODILE, "at sea"), style="oil painting on canvas", seed=seed
        )


def test_a_style_without_colours_is_given_none(understudy: Understudy) -> None:
    for seed in range(12):
        text = prompt(understudy, Scene(ODILE, "on a bridge"), style="black and white film noir", seed=seed)
        assert not any(words in text for words in ("palette", "colours of", "tones throughout"))


def test_a_place_outweighs_what_is_done_there(understudy: Understudy) -> None:
    for seed in range(12):
        text = prompt(understudy, Scene(ODILE, "reading a letter in a café"), seed=seed)
        assert "spines" not in text


def test_a_face_that_is_asked_for_is_not_given_another(understudy: Understudy) -> None:
    bank = tomllib.loads(resources.files("data").joinpath("understudy/pictures.toml").read_text("utf-8"))
    for seed in range(12):
        text = prompt(understudy, Scene(ODILE, "crying at a station"), seed=seed)
        assert not any(expression in text for expression in bank["looks"]["expression"])


@pytest.mark.parametrize(
    ("asked", "never"),
    [
        ("eating ice cream in the park", "snow"),
        ("on a hill in the late afternoon", "moonlight"),
        ("on the beach in the morning", "midday"),
        ("swimming in a lake", "brass buttons"),
    ],
)
def test_nothing_contradicts_the_request(understudy: Understudy, asked: str, never: str) -> None:
    for seed in range(12):
        assert never not in prompt(understudy, Scene(ODILE, asked, seed=seed), seed=seed)


def test_pictures_are_for_everybody(understudy: Understudy) -> None:
    text = prompt(understudy, Scene(ODILE, "naked and bloody on the beach"))
    assert "naked" not in text
    assert "bloody" not in text
    assert "wearing" in text


@settings(max_examples=120, deadline=None)
@given(any_text, any_text, any_text, st.integers(), st.integers(min_value=0, max_value=2**63))
def test_any_scene_has_a_prompt_within_bounds(
    asked: str, clothes: str, style: str, seed: int, scene_seed: int
) -> None:
    scene = Scene(ODILE, asked, Ledger(clothes=clothes, place=style), scene_seed)
    text = SHARED.text(PromptWanted(scene, style_words=style, seed=seed))
    assert count_words(text) in PROMPT_WORDS
    assert ODILE.appearance.body in text
    text.encode("utf-8")


@pytest.mark.parametrize("words", [5, 90, 150, 400])
def test_a_long_body_squeezes_the_rest(understudy: Understudy, words: int) -> None:
    body = " ".join(f"b{n}" for n in range(words))
    persona = Persona(slug="x", name="X", appearance=Appearance(face=body))
    text = prompt(understudy, Scene(persona, "one two three " * 50), style=" ".join(["style"] * 20))
    assert count_words(text) in PROMPT_WORDS
    assert "one two three" in text
    assert body in text or words > 150
