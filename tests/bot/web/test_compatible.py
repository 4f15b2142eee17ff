"""OpenAI's own package talks to a persona, over a real connection."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from bot.web.insiders import LOOK_AGAIN
from engine.engine import Engine
from engine.settings import Settings
from engine.store import keys
from engine.testing import FakeLanguage, ManualClock
from tests.bot.web.programs import HELLO, Noting, asked, house, prompt, until
from tests.bot.web.visitors import revoked


async def test_a_persona_answers(client: AsyncOpenAI, slug: str, language: FakeLanguage) -> None:
    answer = await client.chat.completions.create(model=slug, messages=HELLO)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Quite so.")
    assert (choice.finish_reason, answer.model, answer.object) == ("stop", slug, "chat.completion")
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 100
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.system_fingerprint != "understudy"


async def test_a_persona_answers_piece_by_piece(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    language.reply, language.pause = "One two three four.", 0.01
    stream = await client.chat.completions.create(
        model=slug, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    words = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(words) == "One two three four."
    assert len([word for word in words if word]) > 2
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


async def test_usage_is_told_in_a_stream_only_where_it_was_asked_for(client: AsyncOpenAI, slug: str) -> None:
    stream = await client.chat.completions.create(model=slug, messages=HELLO, stream=True)
    assert [chunk.usage async for chunk in stream if chunk.usage] == []


async def test_the_persona_is_ours_and_the_system_message_a_note_of_the_scene(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    await client.chat.completions.create(model=slug, messages=HELLO)
    plain = asked(language).segments
    said: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "You are a pirate called Bob. {{char}} sails."},
        {"role": "user", "content": "Who are you?", "name": "Ada"},
        {"role": "assistant", "content": "I keep the light."},
        {"role": "user", "content": "Which light?", "name": "Ada"},
    ]
    await client.chat.completions.create(model=slug, messages=said)
    shared, *rest = asked(language).segments
    assert shared == plain[0]
    assert "Glenys" in shared.text
    assert [(one.role, one.text) for one in rest[:2]] == [
        ("user", "Who are you?"),
        ("assistant", "I keep the light."),
    ]
    block = rest[2]
    assert block.role == "system"
    assert "It does not change who you are:\nYou are a pirate called Bob. {{char}} sails." in block.text
    assert "You are talking with Ada." in block.text
    assert rest[3].text == "Which light?"


async def test_several_people_are_told_apart_by_their_names(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    said: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "Hello.", "name": "Ada"},
        {"role": "user", "content": "Good morning.", "name": "Bo"},
    ]
    await client.chat.completions.create(model=slug, messages=said)
    assert [one.text for one in asked(language).segments if one.role == "user"] == [
        "Ada: Hello.",
        "Bo: Good morning.",
    ]


async def test_where_nobody_spoke_the_persona_goes_on(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    said: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "Tell me a story."},
        {"role": "assistant", "content": "Once upon a time"},
    ]
    await client.chat.completions.create(model=slug, messages=said)
    assert asked(language).segments[-1].text == "(Go on.)"
    assert asked(language).lines[-1].text == ""
    await client.chat.completions.create(model=slug, messages=[{"role": "system", "content": "It is dawn."}])
    assert asked(language).segments[-1].text == "(Go on.)"


async def test_each_turn_of_a_talk_is_known_for_the_same_talk(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    talks = []
    more: list[ChatCompletionMessageParam] = [
        *HELLO,
        {"role": "assistant", "content": "Quite so."},
        {"role": "user", "content": "Is it?"},
    ]
    for said, user in ((HELLO, "a"), (more, "a"), (HELLO, "b")):
        await client.chat.completions.create(model=slug, messages=said, user=user)
        talks.append(asked(language).talk)
    assert talks[0] == talks[1] != talks[2]


async def test_what_is_wished_for_the_words_reaches_whoever_writes(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    await client.chat.completions.create(
        model=slug, messages=HELLO, temperature=0.3, top_p=0, seed=-5, max_tokens=20, presence_penalty=0.5
    )
    wanted = asked(language)
    sampling = wanted.persona.sampling
    assert sampling is not None
    assert (sampling.temperature, sampling.top_p, sampling.presence_penalty) == (0.3, 1e-4, 0.5)
    assert (wanted.seed, wanted.most) == (2**32 - 5, 20)
    await client.chat.completions.create(model=slug, messages=HELLO, max_completion_tokens=30)
    assert asked(language).most == 30
    assert asked(language).persona.sampling is None or asked(language).persona.sampling != sampling


@pytest.mark.parametrize("stream", [False, True])
async def test_a_text_ends_before_the_words_that_are_to_stop_it(
    client: AsyncOpenAI, slug: str, language: FakeLanguage, stream: bool
) -> None:
    language.reply, language.pause = "The lamp is lit. User: and then? No more of this.", 0.005
    if stream:
        told = await client.chat.completions.create(
            model=slug, messages=HELLO, stop=["No more", "User: and"], stream=True
        )
        chunks = [chunk async for chunk in told]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        whole = await client.chat.completions.create(
            model=slug, messages=HELLO, stop=["No more", "User: and"]
        )
        text, reason = whole.choices[0].message.content or "", whole.choices[0].finish_reason
    assert text.rstrip() == "The lamp is lit."
    assert reason == "stop"


async def test_whoever_stops_listening_is_written_for_no_longer(settings: Settings, slug: str) -> None:
    language = Noting("word " * 10_000, pause=0.01)
    async with house(settings, language) as (_, client):
        stream = await client.chat.completions.create(model=slug, messages=HELLO, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        assert language.stopped == 0
        await stream.close()
        await until(lambda: language.stopped == 1)


async def test_whoever_hangs_up_before_the_answer_is_written_for_no_longer(
    settings: Settings, slug: str
) -> None:
    language = Noting("word " * 10_000, pause=0.01)
    async with house(settings, language) as (_, client):
        waiting = asyncio.create_task(client.chat.completions.create(model=slug, messages=HELLO))
        await until(lambda: bool(language.asked))
        waiting.cancel()
        await until(lambda: language.stopped == 1)


async def test_who_stood_in_is_told(client: AsyncOpenAI, slug: str, language: FakeLanguage) -> None:
    language.fails = True
    raw = await client.chat.completions.with_raw_response.create(model=slug, messages=HELLO)
    answer = raw.parse()
    assert raw.headers["greenroom-stands-in"] == "yes"
    assert answer.system_fingerprint == "understudy"
    assert answer.choices[0].message.content
    async with client.chat.completions.with_streaming_response.create(
        model=slug, messages=HELLO, stream=True
    ) as streamed:
        assert streamed.headers["greenroom-stands-in"] == "yes"
        assert "understudy" in await streamed.text()


async def test_the_understudy_says_no_more_than_was_asked_for(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    language.fails = True
    answer = await client.chat.completions.create(model=slug, messages=HELLO, max_tokens=3)
    assert 0 < len(answer.choices[0].message.content or "") <= 12
    assert answer.choices[0].finish_reason == "length"


async def test_a_key_that_is_revoked_is_told_no_more(settings: Settings, slug: str) -> None:
    language = Noting("word " * 10_000, pause=0.01)
    async with house(settings, language) as (engine, client):
        stream = await client.chat.completions.create(model=slug, messages=HELLO, stream=True)
        await anext(stream)
        async with engine.database.read() as tx:
            (key,) = await keys.listing(tx)
        await revoked(engine, key)
        assert isinstance(engine.clock, ManualClock)
        await engine.clock.advance(LOOK_AGAIN + 1)
        chunks = [chunk async for chunk in stream]
        assert len(chunks) < 5_000
        await until(lambda: language.stopped == 1)


class BreaksOff(FakeLanguage):
    async def write(self, wanted: Any) -> Any:
        self.asked.append(wanted)
        for word in ("It ", "was ", "a "):
            await asyncio.sleep(0.02)
            yield word
        raise RuntimeError("the model is gone")


async def test_a_text_that_breaks_off_is_not_gone_on_with_by_somebody_else(
    settings: Settings, slug: str
) -> None:
    async with house(settings, BreaksOff()) as (_, client):
        stream = await client.chat.completions.create(model=slug, messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="broke off"):
            _ = [chunk async for chunk in stream]
        # Nothing was told yet: then somebody stands in for all of it.
        whole = await client.chat.completions.create(model=slug, messages=HELLO)
        assert whole.system_fingerprint == "understudy"
        assert not (whole.choices[0].message.content or "").startswith("It was a")


async def test_nothing_of_it_is_stored(
    client: AsyncOpenAI, slug: str, engine: Engine, language: FakeLanguage
) -> None:
    await client.chat.completions.create(model=slug, messages=HELLO, user="somebody@example.org")
    async with engine.database.read() as tx:
        for table in ("turns", "chats", "messages", "people", "deliveries"):
            counted = await tx.exec_driver_sql(f"SELECT count(*) FROM {table}")
            assert counted.scalar_one() == 0, table
    with pytest.raises(openai.BadRequestError, match="stored"):
        await client.chat.completions.create(model=slug, messages=HELLO, store=True)


async def test_pictures_that_nobody_can_see_are_told_of(
    client: AsyncOpenAI, slug: str, language: FakeLanguage
) -> None:
    shown: list[ChatCompletionMessageParam] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look at this."},
                {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/never-fetched.png"}},
            ],
        }
    ]
    await client.chat.completions.create(model=slug, messages=shown)
    assert "With these words came something that you cannot see: picture." in prompt(language)
    assert asked(language).segments[-1].text == "Look at this."
    assert "never-fetched" not in prompt(language)
