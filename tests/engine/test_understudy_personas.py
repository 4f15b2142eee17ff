"""New personas by the understudy: complete, many, and harmless whatever they are asked for as."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language import PersonaWanted, Wanted
from engine.language.understudy import Understudy
from personas.persona import Persona, slug_of
from tests.engine.understudy_talks import NASTY, SHARED, any_text


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "fitness",
        "tech",
        "fashion",
        "food",
        "nature",
        "music",
        "craft",
        "books",
        "travel",
        "science",
        "chess boxing",
    ],
)
def test_a_new_persona_is_complete(understudy: Understudy, kind: str) -> None:
    for seed in range(10):
        persona = Persona.model_validate_json(understudy.text(PersonaWanted(kind=kind, seed=seed)))
        assert persona.age is not None
        assert 18 <= persona.age <= 80
        assert persona.slug == slug_of(persona.name)
        assert not kind or (persona.kind == kind and kind in persona.tags)
        assert len(persona.interests) >= 3
        assert all(i.remarks and i.questions and i.words for i in persona.interests)
        assert persona.appearance.body
        assert persona.appearance.wardrobe
        assert persona.greetings
        assert persona.voice.openers
        assert persona.occupation
        assert persona.home


def test_new_personas_are_many(understudy: Understudy) -> None:
    made = [Persona.model_validate_json(understudy.text(PersonaWanted(seed=seed))) for seed in range(120)]
    assert len({p.name for p in made}) > 90
    assert len({p.appearance.body for p in made}) > 115
    assert len({p.occupation for p in made}) > 20


def test_a_slug_that_is_taken_is_not_used_again(understudy: Understudy) -> None:
    taken = ("ines-vale", "ines-vale-2")
    persona = Persona.model_validate_json(understudy.text(PersonaWanted(name="Ines Vale", taken=taken)))
    assert persona.slug == "ines-vale-3"
    assert persona.name == "Ines Vale"


@settings(max_examples=80, deadline=None)
@given(any_text, any_text, st.integers())
def test_any_kind_and_name_make_a_valid_persona(kind: str, name: str, seed: int) -> None:
    wanted: Wanted = PersonaWanted(kind=kind, name=name, taken=("bram",), seed=seed)
    persona = Persona.model_validate_json(SHARED.text(wanted))
    assert persona.name.strip()
    assert persona.slug != "bram"


@pytest.mark.parametrize("text", NASTY)
def test_nasty_names_and_kinds_do_no_harm(understudy: Understudy, text: str) -> None:
    persona = Persona.model_validate_json(understudy.text(PersonaWanted(kind=text, name=text)))
    assert not set(persona.name) & set("{}<>\x00\u202e/")
