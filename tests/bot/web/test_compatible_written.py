"""A real model behind OpenAI's API: tokens are counted as they were, and the same seed says the same."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from engine.engine import Engine
from engine.settings import LanguageSettings, Settings
from engine.store import personas
from engine.store.records import Scope
from engine.testing import FakeRenderer
from personas.persona import Persona
from tests.bot.web.visitors import a_key, app_of, served

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there."}]


@pytest.fixture
async def engine(settings: Settings, tiny_model: Path) -> AsyncIterator[Engine]:
    folder = settings.home / "models" / "text"
    folder.mkdir(parents=True)
    model = Path(shutil.copy(tiny_model, folder / "tiny.gguf"))
    language = LanguageSettings(model=str(model), threads=1, context=4_096, reply_tokens=48, gpu_layers=0)
    with_model = settings.model_copy(update={"language": language})
    async with Engine.open(with_model, renderer=FakeRenderer()) as opened:
        yield opened


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[AsyncOpenAI]:
    word, _ = await a_key(engine, Scope.CHAT)
    async with (
        served(app_of(engine)) as port,
        AsyncOpenAI(api_key=word, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0) as opened,
    ):
        yield opened


@pytest.fixture
async def slug(engine: Engine) -> str:
    """Somebody of few words: the tiny model needs many tokens for each."""
    async with engine.database.write() as tx:
        who = Persona(slug="maud", name="Maud Ferry", description="Keeps a ferry on a slow river.")
        return (await personas.take_in(tx, who, origin="made", now=engine.clock.now())).persona.slug


async def ask(client: AsyncOpenAI, slug: str, *, seed: int = 7, most: int = 24) -> ChatCompletion:
    answer = await client.chat.completions.create(model=slug, messages=HELLO, seed=seed, max_tokens=most)
    assert answer.system_fingerprint != "understudy"
    return answer


async def test_tokens_are_counted_and_a_text_that_was_cut_says_so(client: AsyncOpenAI, slug: str) -> None:
    answer = await ask(client, slug, most=12)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens > 300
    assert answer.choices[0].finish_reason == "length"


async def test_the_same_seed_says_the_same_and_another_something_else(client: AsyncOpenAI, slug: str) -> None:
    first, again, other = [await ask(client, slug, seed=seed) for seed in (7, 7, 8)]
    assert first.choices[0].message.content == again.choices[0].message.content
    assert first.choices[0].message.content != other.choices[0].message.content


async def test_a_stream_has_the_words_of_the_whole(client: AsyncOpenAI, slug: str) -> None:
    whole = await ask(client, slug)
    stream = await client.chat.completions.create(
        model=slug,
        messages=HELLO,
        seed=7,
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed.strip() == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


async def test_a_text_that_was_stopped_by_a_word_is_not_said_to_be_cut(
    client: AsyncOpenAI, slug: str
) -> None:
    whole = (await ask(client, slug)).choices[0].message.content or ""
    word = whole.split()[2]
    answer = await client.chat.completions.create(
        model=slug, messages=HELLO, seed=7, max_tokens=24, stop=word
    )
    assert (answer.choices[0].message.content or "") == whole[: whole.index(word)].rstrip()
    assert answer.choices[0].finish_reason == "stop"


async def test_many_who_ask_at_once_are_all_answered_by_the_model(client: AsyncOpenAI, slug: str) -> None:
    answers = await asyncio.gather(*(ask(client, slug, seed=seed) for seed in range(8)))
    assert {answer.system_fingerprint for answer in answers} == {answers[0].system_fingerprint}
    assert len({answer.choices[0].message.content for answer in answers}) > 4
