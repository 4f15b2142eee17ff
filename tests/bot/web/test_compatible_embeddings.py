"""Embeddings for OpenAI's package: from a model of the house, and from another server."""

from __future__ import annotations

import base64
import math
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from engine.engine import Engine
from engine.settings import ServerSettings, Settings
from engine.store.records import Scope
from engine.testing import FakeLanguage
from tests.bot.web.programs import house, program
from tests.bot.web.visitors import app_of
from tests.servers.openai import OpenAIServer

Home = tuple[Engine, AsyncOpenAI]


@pytest.fixture(params=["bert", "measure"])
async def at_home(
    request: pytest.FixtureRequest, settings: Settings, bert_model: Path
) -> AsyncIterator[tuple[Engine, AsyncOpenAI, str]]:
    """With a model of its own, and one of another server."""
    folder = settings.home / "models" / "embedding" / "bert"
    folder.mkdir(parents=True)
    shutil.copy(bert_model, folder / "bert.gguf")
    async with OpenAIServer(models=("measure",)) as server:
        told = settings.model_copy(
            update={"server": ServerSettings(address=server.address, embeddings="measure")}
        )
        async with house(told, FakeLanguage()) as (engine, client):
            yield engine, client, request.param


async def test_texts_become_vectors_in_both_forms(at_home: tuple[Engine, AsyncOpenAI, str]) -> None:
    _engine, client, name = at_home
    texts = ["the sea", "who mends the roof", "the sea"]
    usual = await client.embeddings.create(model=name, input=texts)
    plain = await client.embeddings.create(model=name, input=texts, encoding_format="float")
    packed = await client.embeddings.create(model=name, input=texts, encoding_format="base64")
    assert [one.index for one in plain.data] == [0, 1, 2]
    assert plain.model == name
    assert plain.usage.prompt_tokens == plain.usage.total_tokens > 4
    for one, two, three in zip(plain.data, usual.data, packed.data, strict=True):
        assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-5)
        assert two.embedding == pytest.approx(one.embedding, abs=1e-6)
        letters: Any = three.embedding  # the package has no type for those that were asked for as base64
        raw = base64.b64decode(letters)
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == pytest.approx(one.embedding, abs=1e-6)
    single = await client.embeddings.create(model=name, input="the sea")
    assert single.data[0].embedding == pytest.approx(plain.data[2].embedding, abs=1e-2)


async def test_they_stand_in_the_list_of_models(at_home: tuple[Engine, AsyncOpenAI, str]) -> None:
    _engine, client, name = at_home
    assert {"bert", "measure"} < {one.id for one in (await client.models.list()).data}
    assert (await client.models.retrieve(name)).id == name


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"input": []}, "no text"),
    ({"input": ""}, "Text 1 is empty"),
    ({"input": ["the sea", ""]}, "Text 2 is empty"),
    ({"input": [1, 2, 3]}, "send the texts"),
    ({"input": [[1, 2], [3]]}, "send the texts"),
    ({"input": ["the sea", 7]}, "send the texts"),
    ({"input": [None]}, "a list of texts"),
    ({"input": ["x"] * 2_049}, "2,048 texts"),
    ({"input": "the light house by the sea " * 5_000}, "parts|maximum context"),
    ({"input": "the sea", "encoding_format": "int8"}, "base64"),
    ({"input": "the sea", "dimensions": 0}, "1 at least"),
)


async def test_what_cannot_be_had_is_refused_in_a_sentence(
    at_home: tuple[Engine, AsyncOpenAI, str],
) -> None:
    _engine, client, name = at_home
    for fields, told in REFUSED:
        with pytest.raises(openai.BadRequestError, match=told) as refused:
            await client.embeddings.create(**{"model": name, **fields})
        assert refused.value.param in ("input", "encoding_format", "dimensions"), told


async def test_as_many_texts_as_openai_takes_are_taken(at_home: tuple[Engine, AsyncOpenAI, str]) -> None:
    _engine, client, name = at_home
    told = await client.embeddings.create(model=name, input=[f"sea {n}" for n in range(2_048)])
    assert [one.index for one in told.data] == list(range(2_048))


async def test_other_dimensions_are_honoured_or_refused(at_home: tuple[Engine, AsyncOpenAI, str]) -> None:
    _engine, client, name = at_home
    if name == "bert":
        with pytest.raises(openai.BadRequestError, match="64 numbers"):
            await client.embeddings.create(model=name, input="the sea", dimensions=8)
    else:
        told = await client.embeddings.create(model=name, input="the sea", dimensions=8)
        assert len(told.data[0].embedding) == 8


async def test_a_persona_makes_none_and_it_is_said_who_does(
    at_home: tuple[Engine, AsyncOpenAI, str], slug: str
) -> None:
    _engine, client, _name = at_home
    with pytest.raises(openai.NotFoundError, match="Ask for bert, measure") as missing:
        await client.embeddings.create(model=slug, input="the sea")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


async def test_a_key_that_may_not_talk_makes_none(engine: Engine) -> None:
    async with program(engine, app_of(engine), Scope.READ) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.embeddings.create(model="bert", input="the sea")


async def test_a_server_that_is_down_is_passing_trouble(settings: Settings) -> None:
    gone = ServerSettings(address="http://127.0.0.1:9/v1", embeddings="measure", tries=1, patience=5)
    told = settings.model_copy(update={"server": gone})
    async with house(told, FakeLanguage()) as (_engine, client):
        with pytest.raises(openai.InternalServerError) as down:
            await client.embeddings.create(model="measure", input="the sea")
    assert down.value.status_code == httpx.codes.SERVICE_UNAVAILABLE
