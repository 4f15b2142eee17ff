"""Models and pictures for OpenAI's package; and requests as other programs send them."""

from __future__ import annotations

import asyncio
import base64
from io import BytesIO
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI
from PIL import Image

from engine.engine import Engine
from engine.store import personas
from engine.store.records import JobState, Scope
from engine.testing import FakeLanguage
from tests.bot.web.programs import prompt
from tests.bot.web.visitors import a_key, with_key
from tests.working import working

# Models and embeddings


async def test_each_persona_is_a_model(client: AsyncOpenAI, engine: Engine, slug: str) -> None:
    async with engine.database.read() as tx:
        cast = {entry.slug for entry in await personas.listing(tx)}
    listed = (await client.models.list()).data
    assert {one.id for one in listed} == cast
    one = await client.models.retrieve(slug)
    assert (one.id, one.object, one.owned_by) == (slug, "model", "greenroom")
    assert one.created == int(engine.clock.now().timestamp())
    with pytest.raises(openai.NotFoundError) as missing:
        await client.models.retrieve("nobody-at-all")
    assert missing.value.code == "model_not_found"


async def test_embeddings_are_refused_in_so_many_words(client: AsyncOpenAI, slug: str) -> None:
    with pytest.raises(openai.NotFoundError, match="No model here makes embeddings"):
        await client.embeddings.create(model=slug, input="a lighthouse")


# Pictures


async def test_a_picture_is_waited_for_and_comes_as_bytes(
    client: AsyncOpenAI, engine: Engine, slug: str
) -> None:
    async with working(engine):
        made = await client.images.generate(
            model=slug,
            prompt="on the gallery of a lighthouse",
            n=2,
            size="auto",
            quality="hd",
            style="vivid",
            response_format="b64_json",
        )
    assert made.created == int(engine.clock.now().timestamp())
    assert made.data is not None
    assert len(made.data) == 2
    for one in made.data:
        assert one.b64_json is not None
        picture = Image.open(BytesIO(base64.b64decode(one.b64_json)))
        assert (picture.format, picture.size) == ("PNG", (64, 64))
        assert "lighthouse" in (one.revised_prompt or "")


async def test_a_picture_s_address_opens_it_to_whoever_has_it(
    client: AsyncOpenAI, engine: Engine, slug: str
) -> None:
    async with working(engine):
        made = await client.images.generate(prompt="a lighthouse", size="128x72")
    assert made.data is not None
    address = made.data[0].url
    assert address is not None
    async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
        opened = await browser.get(address)
    assert Image.open(BytesIO(opened.content)).size == (128, 72)


async def test_a_picture_that_nobody_waits_for_is_cancelled(
    client: AsyncOpenAI, engine: Engine, slug: str
) -> None:
    waiting = asyncio.create_task(client.images.generate(model=slug, prompt="a lighthouse"))

    async def states() -> list[str]:
        async with engine.database.read() as tx:
            return [row[0] for row in await tx.exec_driver_sql("SELECT state FROM jobs")]

    async with asyncio.timeout(30):
        while not await states():  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.01)
        waiting.cancel()
        while await states() != [JobState.CANCELLED.value]:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 9}, "n"),
        ({"size": "huge"}, "size"),
        ({"size": "9x9"}, "size"),
        ({"quality": "sublime"}, "quality"),
        ({"style": "no-such-style"}, "style"),
        ({"output_format": "webp"}, "output_format"),
        ({"background": "transparent"}, "background"),
        ({"response_format": "svg"}, "response_format"),
    ],
)
async def test_a_picture_that_cannot_be_had_is_refused_by_name(
    client: AsyncOpenAI, engine: Engine, slug: str, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.images.generate(**{"model": slug, "prompt": "a lighthouse", **fields})
    assert refused.value.param == param


# As other programs ask


async def test_open_webui_s_requests_are_answered(engine: Engine, app: FastAPI, slug: str) -> None:
    word, _ = await a_key(engine, Scope.CHAT)
    body = {
        "stream": True,
        "model": slug,
        "messages": [
            {"role": "system", "content": "User Context:\n\n"},
            {"role": "user", "content": "Hello"},
        ],
        "params": {},
        "tool_servers": [],
        "features": {"image_generation": False, "web_search": False, "code_interpreter": False},
        "variables": {"{{USER_NAME}}": "Ada"},
        "session_id": "x9",
        "chat_id": "7c5e",
        "id": "c1",
        "background_tasks": {"title_generation": True},
        "stream_options": {"include_usage": True},
        "metadata": {"task": None},
        "tools": [],
        "user": "ada",
    }
    async with with_key(app, word) as raw:
        listed = (await raw.get("/v1/models")).json()["data"]
        answer = await raw.post("/v1/chat/completions", json=body, headers={"X-OpenWebUI-User-Name": "Ada"})
    assert all({"id", "object", "created", "owned_by", "name"} == set(one) for one in listed)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line for line in answer.text.split("\n\n") if line]
    assert events[-1] == "data: [DONE]"
    assert '"usage":{"prompt_tokens":' in events[-2]


async def test_sillytavern_s_requests_are_answered(
    engine: Engine, app: FastAPI, slug: str, language: FakeLanguage
) -> None:
    word, _ = await a_key(engine, Scope.CHAT)
    body = {
        "messages": [
            {"role": "system", "content": "Write Glenys's next reply in a fictional chat."},
            {"role": "system", "content": "[Start a new Chat]"},
            {"role": "assistant", "content": "The lamp wants oil."},
            {"role": "user", "content": "Then let us fetch some."},
            {"role": "system", "content": ""},
        ],
        "model": slug,
        "temperature": 1,
        "max_tokens": 300,
        "stream": False,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_p": 1,
        "top_k": -1,
        "min_p": 0,
        "repetition_penalty": 1,
        "logit_bias": {},
        "stop": [],
        "n": 1,
        "chat_completion_source": "custom",
        "user_name": "Ada",
        "char_name": "Glenys",
        "group_names": [],
        "include_reasoning": True,
        "reasoning_effort": "medium",
        "custom_prompt_post_processing": "",
        "enable_web_search": False,
        "request_images": False,
    }
    async with with_key(app, word) as raw:
        answer = await raw.post("/v1/chat/completions", json=body)
    assert answer.json()["choices"][0]["message"]["content"] == "Quite so."
    assert "Write Glenys's next reply in a fictional chat.\n\n[Start a new Chat]" in prompt(language)


async def test_what_is_no_request_at_all_is_refused_in_openai_s_form(engine: Engine, app: FastAPI) -> None:
    word, _ = await a_key(engine, Scope.CHAT)
    async with with_key(app, word) as raw:
        for body in (b"{", b"[]", b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}'):
            answer = await raw.post(
                "/v1/chat/completions", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert (await raw.get("/v1/nothing")).json()["error"]["type"] == "invalid_request_error"
