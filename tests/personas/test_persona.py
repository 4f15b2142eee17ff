from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from personas.persona import Appearance, Persona, PictureTaste, Pose, Rating, slug_of
from personas.personafile import persona_from_toml, toml_of
from personas.portrait import description_of, personality_of


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Íris Vale-Okonkwo", "iris-vale-okonkwo"),
        ("  Tom  ", "tom"),
        ("../../etc/passwd", "etc-passwd"),
        ("Robert'); DROP TABLE personas;--", "robert-drop-table-personas"),
        ("A" * 100, "a" * 48),
    ],
)
def test_a_slug_is_the_name_in_small_letters_digits_and_dashes(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_names_in_other_scripts_have_slugs_that_differ_and_stay() -> None:
    assert slug_of("さくら") == slug_of("さくら")
    assert slug_of("さくら") != slug_of("うめ")


@given(st.text(max_size=120))
def test_any_name_has_a_slug_that_a_persona_can_have(name: str) -> None:
    assert Persona(slug=slug_of(name), name="x").slug == slug_of(name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,47}", slug_of(name))


@pytest.mark.parametrize("age", [None, 0, 17])
def test_nobody_under_eighteen_is_rated_beyond_all_ages(age: int | None) -> None:
    assert Persona(slug="a", name="A", age=age).rating is Rating.ALL_AGES
    for rating in (Rating.MATURE, Rating.ADULT):
        with pytest.raises(ValidationError, match="18 or more"):
            Persona(slug="a", name="A", age=age, rating=rating)
        assert Persona(slug="a", name="A", age=18, rating=rating).rating is rating


def test_each_rating_includes_the_ones_before_it() -> None:
    assert Rating.ALL_AGES.level < Rating.MATURE.level < Rating.ADULT.level


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "\x00\x07"},
        {"name": "x" * 81},
        {"slug": "Not a slug"},
        {"slug": ""},
        {"slug": "../up"},
        {"age": -1},
        {"age": "old"},
        {"hair": "red"},
        {"appearance": {"hiar": "red"}},
        {"picture": {"palette": ["red"]}},
        {"home": "x" * 2_001},
        {"description": "x" * 200_001},
        {"description": "\ud800"},
    ],
)
def test_what_a_persona_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Persona.model_validate({"slug": "a", "name": "A"} | fields)


def test_control_characters_and_turned_around_text_are_taken_out() -> None:
    persona = Persona(slug="a", name="A\u202egnp.exe", description=" one\x00\ttwo\nthree \u2066")
    assert persona.name == "Agnp.exe"
    assert persona.description == "one\ttwo\nthree"


def test_a_persona_is_called_by_its_nickname_where_it_has_one() -> None:
    assert Persona(slug="a", name="Anna").called == "Anna"
    assert Persona(slug="a", name="Anna", nickname="Ann").called == "Ann"


def test_a_persona_never_changes() -> None:
    with pytest.raises(ValidationError):
        Persona(slug="a", name="A").name = "B"


def test_a_written_description_is_told_unchanged_and_parts_as_short_lines() -> None:
    assert description_of(Persona(slug="a", name="A", description="Only this.")) == "Only this."
    text = description_of(
        Persona(
            slug="a", name="Anna", age=40, home="Lisbon", appearance=Appearance(hair="red", eyes="green.")
        )
    )
    assert text == "Anna: 40 years old, lives in Lisbon.\nLooks: red, green"
    assert personality_of(Persona(slug="a", name="A")) == ""


# What its pictures are made with


@pytest.mark.parametrize(
    "taste",
    [
        {"loras": {"": 1.0}},
        {"loras": {"x" * 81: 1.0}},
        {"loras": {"../../etc/passwd": 1.0}},
        {"loras": {"a\\b": 1.0}},
        {"loras": {"a:0.8>": 1.0}},
        {"loras": {"a\nb": 1.0}},
        {"loras": {"grain": 2.01}},
        {"loras": {"grain": -2.01}},
        {"loras": {"grain": float("nan")}},
        {"loras": {"grain": float("inf")}},
        {"loras": {"grain": "strong"}},
        {"loras": {f"lora-{number}": 1.0 for number in range(7)}},
        {"direction": "x" * 201},
    ],
)
def test_what_no_picture_can_be_made_with_is_refused(taste: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PictureTaste.model_validate(taste)


def test_poses_direction_and_loras_stand_in_a_persona_s_file() -> None:
    persona = Persona(
        slug="ida",
        name="Ida",
        appearance=Appearance(poses=(Pose(name="at the helm", description="both hands on a wheel"),)),
        picture=PictureTaste(direction="low camera, soft grain", loras={"ida v2.1": 0.8, "grain": -2}),
    )
    assert persona_from_toml(toml_of(persona)) == persona
    assert Persona.model_validate_json(persona.model_dump_json()) == persona


def test_a_persona_of_an_older_house_has_none_of_them() -> None:
    told = Persona(slug="ida", name="Ida").model_dump(mode="json")
    for part, names in (("appearance", ("poses",)), ("picture", ("direction", "loras"))):
        for name in names:
            del told[part][name]
    assert Persona.model_validate(told) == Persona(slug="ida", name="Ida")
