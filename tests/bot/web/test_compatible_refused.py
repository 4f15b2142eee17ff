"""What OpenAI's package is refused, and how it is told: each refusal is an error that it knows."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI

from engine.engine import Engine
from engine.settings import LimitSettings, SafetySettings, Settings
from engine.store import personas
from engine.store.records import Scope
from engine.testing import FakeLanguage, ManualClock
from personas.persona import Persona, Rating
from tests.bot.web.programs import HELLO, house, program
from tests.bot.web.visitors import a_key, with_key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("logit_bias", {"50256": -100}),
        ("logprobs", True),
        ("response_format", {"type": "json_object"}),
        ("tool_choice", "required"),
        ("modalities", ["text", "audio"]),
        ("web_search_options", {}),
    ],
)
async def test_what_would_be_taken_for_done_is_refused_by_name(
    client: AsyncOpenAI, slug: str, language: FakeLanguage, field: str, value: Any
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model=slug, messages=HELLO, **{field: value})
    assert (refused.value.param, refused.value.code) == (field, "unsupported_parameter")
    assert refused.value.type == "invalid_request_error"
    assert language.asked == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"temperature": 9}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": "x" * 9_000}]}, None),
    ],
)
async def test_what_is_out_of_range_is_refused_by_name(
    client: AsyncOpenAI, slug: str, fields: dict[str, Any], param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(**{"model": slug, "messages": HELLO, **fields})
    assert refused.value.param == param


async def test_an_unknown_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


async def test_a_wrong_key_opens_nothing_and_a_key_no_more_than_its_scopes(
    engine: Engine, app: FastAPI, slug: str
) -> None:
    async with program(engine, app, Scope.CHAT) as talker:
        await talker.chat.completions.create(model=slug, messages=HELLO)
        with pytest.raises(openai.PermissionDeniedError, match="make"):
            await talker.images.generate(model=slug, prompt="a lighthouse")
        stranger = talker.with_options(api_key="grk_wrong")
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.models.list()
        assert refused.value.code == "invalid_api_key"
    async with program(engine, app, Scope.MAKE) as maker:
        assert (await maker.models.list()).data
        with pytest.raises(openai.PermissionDeniedError, match="chat"):
            await maker.chat.completions.create(model=slug, messages=HELLO)


async def test_a_key_is_told_how_much_of_its_limit_is_left(engine: Engine, app: FastAPI, slug: str) -> None:
    word, _ = await a_key(engine, Scope.CHAT, rate=2)
    async with with_key(app, word) as raw:
        body = {"model": slug, "messages": HELLO}
        answers = [await raw.post("/v1/chat/completions", json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:2]] == ["1", "0"]
    assert int(answers[2].headers["retry-after"]) > 0
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"


async def test_each_person_that_a_program_names_has_a_limit_of_their_own(
    settings: Settings, slug: str
) -> None:
    narrow = settings.model_copy(
        update={"limits": LimitSettings(messages_per_minute=2, place_messages_per_minute=5)}
    )
    async with house(narrow, FakeLanguage()) as (engine, client):
        clock = engine.clock
        assert isinstance(clock, ManualClock)

        async def ask(user: str) -> None:
            await client.chat.completions.create(model=slug, messages=HELLO, user=user)

        await ask("ada")
        await ask("ada")
        with pytest.raises(openai.RateLimitError):
            await ask("ada")
        await ask("bo")
        await ask("")
        await ask("")
        with pytest.raises(openai.RateLimitError):  # all of the program together
            await ask("cy")
        await clock.advance(61)
        await ask("ada")


async def test_safety_hears_every_word_that_is_brought(settings: Settings, slug: str) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("kraken",))})
    language = FakeLanguage()
    async with house(strict, language) as (_, client):
        for role in ("system", "user", "assistant"):
            said: Any = [{"role": role, "content": "Release the Krakén!"}, *HELLO]
            with pytest.raises(openai.PermissionDeniedError):
                await client.chat.completions.create(model=slug, messages=said)
        assert language.asked == []


async def test_whoever_is_not_for_everybody_is_neither_shown_nor_had(
    client: AsyncOpenAI, engine: Engine
) -> None:
    async with engine.database.write() as tx:
        grown_up = Persona(slug="vesper", name="Vesper", age=40, rating=Rating.ADULT)
        await personas.take_in(tx, grown_up, origin="made", now=engine.clock.now())
    assert "vesper" not in [one.id for one in (await client.models.list()).data]
    with pytest.raises(openai.PermissionDeniedError):
        await client.chat.completions.create(model="vesper", messages=HELLO)
    with pytest.raises(openai.PermissionDeniedError):
        await client.models.retrieve("vesper")
