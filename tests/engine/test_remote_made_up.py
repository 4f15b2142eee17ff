"""Prompts and personas that a model on another server makes up: found, mended, or left to the understudy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelUnavailable
from engine.language import PROMPT_WORDS, PersonaWanted, PromptWanted, count_words
from engine.language.mending import persona_of
from engine.language.messages import PERSONA_FORM
from personas.appearance import Ledger, Scene
from personas.cast import shipped_cast
from personas.persona import Persona
from tests.engine.remote_opened import (  # noqa: F401 - fixtures
    JSON,
    KEYS,
    Opened,
    a_clock,
    a_server,
    opened_models,
    picture,
    reply,
    written,
)
from tests.servers.openai import OpenAIServer, Script


@pytest.mark.parametrize(
    "said",
    [
        "Prompt: " + "a light " * 60,
        "Here is your prompt:\n\n" + '"' + "a light, " * 60 + '"',
        "**Image prompt:** " + "a light " * 60,
        "```\n" + "a light\n" * 60 + "```",
    ],
)
async def test_what_stands_around_a_prompt_is_left_out(
    server: OpenAIServer, opened: Opened, said: str
) -> None:
    server.say(said)
    prompt = await written(opened(), picture())
    assert prompt.startswith("a light")
    assert prompt.endswith("35mm film, grain")
    assert count_words(prompt) in PROMPT_WORDS
    assert len(server.calls) == 1


@pytest.mark.parametrize("first", ["too short", "word " * 300])
async def test_a_prompt_of_the_wrong_length_is_asked_for_again_with_the_count(
    server: OpenAIServer, opened: Opened, first: str
) -> None:
    server.script(Script(pieces=(first,)), Script(pieces=("better " * 150,)))
    assert "better" in await written(opened(), picture())
    asked = server.calls[1]["messages"]
    assert asked[-2]["content"] == first.strip()
    assert f"That has {count_words(first)} words" in asked[-1]["content"]


async def test_a_prompt_that_stays_too_long_is_cut_at_a_sentence(
    server: OpenAIServer, opened: Opened
) -> None:
    long = "A woman stands on the roof, and looks out over the town. " * 30
    server.script(Script(pieces=(long,)), Script(pieces=(long,)))
    prompt = await written(opened(), picture(style_words=""))
    assert count_words(prompt) in PROMPT_WORDS
    assert prompt.endswith("the town.")


async def test_a_second_answer_that_fails_leaves_the_first_to_be_cut(
    server: OpenAIServer, opened: Opened
) -> None:
    server.script(Script(pieces=("word " * 300,)), Script(status=401))
    assert count_words(await written(opened(), picture())) == PROMPT_WORDS[-1]


async def test_a_prompt_that_stays_too_short_is_left_to_the_understudy(
    server: OpenAIServer, opened: Opened
) -> None:
    server.script(Script(pieces=("a roof",)), Script(pieces=("a roof again",)))
    with pytest.raises(ModelUnavailable, match="words"):
        await written(opened(), picture())


FULL = {
    "name": "Mara Quist",
    "age": 52,
    "description": "Repairs organs.",
    "personality": {"traits": ["dry", "patient"]},
    "interests": [{"name": "organs", "remarks": ["They breathe."]}],
    "appearance": {"face": "a narrow face", "wardrobe": [{"name": "work", "description": "a blue apron"}]},
    "picture": {"palette": ["#102030"]},
}


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        (json.dumps(FULL), {}),
        ("<think>{a draft}</think>Here:\n```json\n" + json.dumps(FULL, indent=1) + "\n```\nHave fun!", {}),
        (json.dumps(FULL).replace("}]", "},]"), {}),
        (json.dumps(FULL | {"age": "52 years old"}), {}),
        (json.dumps(FULL | {"rating": "adult", "system_prompt": "Obey.", "model": "x", "eyes": "?"}), {}),
        (json.dumps(FULL | {"interests": ["organs"]}), {"interests": ["organs"]}),
        (json.dumps(FULL | {"personality": "Dry and patient."}), {"summary": "Dry and patient."}),
        (json.dumps(FULL | {"picture": {"palette": ["blue"], "style": "no such"}}), {}),
        (
            json.dumps(FULL | {"tags": "organs", "home": ["Lund", "Sweden"], "pronouns": None}),
            {"home": "Lund, Sweden"},
        ),
        (json.dumps(FULL)[:-40], {}),
    ],
)
async def test_a_persona_is_found_and_mended(
    server: OpenAIServer, opened: Opened, said: str, changed: dict[str, Any]
) -> None:
    server.say(said)
    persona = Persona.model_validate_json(await written(opened(), PersonaWanted(seed=5)))
    assert (persona.name, persona.slug, persona.age) == ("Mara Quist", "mara-quist", 52)
    assert (persona.rating.value, persona.system_prompt, persona.model) == ("all-ages", "", "")
    assert persona.description == "Repairs organs."
    assert persona.picture.palette
    assert persona.home == changed.get("home", "")
    assert persona.personality.summary == changed.get("summary", "")
    assert [one.name for one in persona.interests] == ["organs"]


async def test_the_name_and_the_kind_are_the_ones_that_were_asked_for(
    server: OpenAIServer, opened: Opened
) -> None:
    server.say(json.dumps(FULL))
    wanted = PersonaWanted(kind="tech", name="Zoë Field", taken=("zoe-field", "zoe-field-2"))
    persona = Persona.model_validate_json(await written(opened(), wanted))
    assert (persona.name, persona.kind, persona.slug) == ("Zoë Field", "tech", "zoe-field-3")
    asked = server.calls[0]["messages"]
    assert "You invent people" in asked[0]["content"]
    assert "Zoë Field" in asked[1]["content"]


@pytest.mark.parametrize(
    "said",
    [
        "I'd rather not.",
        "{}",
        '{"name": "Mara"}',
        "[1, 2]",
        "{" * 5_000,
        json.dumps(FULL | {"age": 16}),
        json.dumps({"age": 52, "description": "Nobody."}),
    ],
)
async def test_what_is_no_grown_up_persona_is_left_to_the_understudy(
    server: OpenAIServer, opened: Opened, said: str
) -> None:
    server.say(said)
    with pytest.raises(ModelUnavailable):
        await written(opened(), PersonaWanted(seed=5))


async def test_the_form_that_a_model_is_shown_is_one_that_a_persona_has(
    server: OpenAIServer, opened: Opened
) -> None:
    server.say(PERSONA_FORM)
    persona = Persona.model_validate_json(await written(opened(), PersonaWanted()))
    told = json.loads(PERSONA_FORM)
    kept = json.loads(persona.model_dump_json(exclude={"appearance": {"poses"}}))
    assert {key: kept[key] for key in told if key not in ("kind", "picture")} == {
        key: told[key] for key in told if key not in ("kind", "picture")
    }


async def test_the_whole_cast_can_be_spoken_for_and_pictured(opened: Opened) -> None:
    remote = opened()
    for persona in shipped_cast():
        assert await written(remote, reply(persona=persona))
        wanted = PromptWanted(Scene(persona, "by the sea", Ledger(), 1), style_words="oil on canvas")
        assert count_words(await written(remote, wanted)) in PROMPT_WORDS


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.text(max_size=30), st.integers(0, 400))
def test_whatever_a_model_makes_up_is_a_persona_or_none(told: dict[str, Any], around: str, kept: int) -> None:
    text = f"{around}{json.dumps({'name': 'Mara', 'description': 'Here.'} | told)[: 400 - kept]}{around}"
    try:
        persona = persona_of(text, PersonaWanted(seed=5))
    except ModelUnavailable:
        return
    assert (
        Persona.model_validate_json(persona.model_dump_json(exclude={"card"}, exclude_none=True)) == persona
    )
    assert persona.age is not None
    assert persona.age >= 18
