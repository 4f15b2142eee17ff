"""Pictures that OpenAI's package shows a persona: to a server that sees, to one that does not, and to nobody."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from PIL import Image

from engine.engine import Engine
from engine.pictures.shown import MOST_SIDE
from engine.settings import LimitSettings, ServerSettings, Settings
from tests.bot.web.programs import house
from tests.engine.shown_files import HOSTILE, OWNER, SVG, file_of, of_a_camera, two_halves
from tests.servers.openai import OpenAIServer, Script

NOTE = "With these words came something that you cannot see: picture."
SMALL = file_of(two_halves(60, 30), "PNG")
Part = dict[str, Any]


def data_of(picture: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


def shown(*addresses: str, words: str = "What is that?", beside: Any = None) -> ChatCompletionMessageParam:
    told: list[Any] = [{"type": "text", "text": words}] if words else []
    told += [{"type": "image_url", "image_url": {"url": one, "detail": "high"}} for one in addresses]
    told += [beside] if beside else []
    return {"role": "user", "content": told}


@pytest.fixture(name="server")
async def a_server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as opened:
        yield opened


@asynccontextmanager
async def talking_to(
    settings: Settings, server: OpenAIServer, *, sees: bool = True, **more: Any
) -> AsyncIterator[tuple[Engine, AsyncOpenAI]]:
    """A house whose words come from that server."""
    elsewhere = ServerSettings(address=server.address, sees=sees, tries=1, patience=20)
    told = settings.model_copy(update={"server": elsewhere, **more})
    async with house(told) as opened:
        yield opened


def pictures_in(call: dict[str, Any]) -> list[Image.Image]:
    """What a server was shown, message by message."""
    found: list[Image.Image] = []
    for message in call["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                head, _, coded = part["image_url"]["url"].partition(",")
                assert head == "data:image/jpeg;base64"
                found.append(Image.open(BytesIO(base64.b64decode(coded))))
    return found


async def test_a_picture_reaches_a_server_that_sees_scaled_upright_and_without_what_its_file_said(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    async with talking_to(settings, server) as (_, client):
        photo = shown(data_of(of_a_camera(), "image/jpeg"))
        answer = await client.chat.completions.create(model=slug, messages=[photo])
    assert answer.system_fingerprint != "understudy"
    assert "I heard every one of them." in (answer.choices[0].message.content or "")
    (call,) = server.calls
    (picture,) = pictures_in(call)
    assert picture.size == (round(MOST_SIDE * 2 / 3), MOST_SIDE)
    assert dict(picture.getexif()) == {}
    assert OWNER not in str(call)
    assert base64.b64encode(OWNER.encode())[:20].decode() not in str(call)
    assert NOTE not in str(call)
    words = call["messages"][-1]["content"][0]["text"]
    assert words.endswith("What is that?")


async def test_pictures_stand_where_they_were_shown_in_a_streamed_talk(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    talk: list[ChatCompletionMessageParam] = [
        shown(data_of(SMALL), data_of(file_of(two_halves(30, 30), "WEBP"), "image/webp"), words=""),
        {"role": "assistant", "content": "Two of them."},
        shown(data_of(file_of(two_halves(20, 20), "JPEG"), "image/jpg"), words="And this?"),
    ]
    async with talking_to(settings, server) as (_, client):
        stream = await client.chat.completions.create(model=slug, messages=talk, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert [one.size for one in pictures_in(server.calls[0])] == [(60, 30), (30, 30), (20, 20)]
    kinds = [type(one["content"]) for one in server.calls[0]["messages"] if one["role"] != "system"]
    assert kinds == [list, str, list]


async def test_of_a_long_talk_the_latest_pictures_are_looked_at(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    talk: list[ChatCompletionMessageParam] = []
    for side in range(20, 31):
        talk += [
            shown(data_of(file_of(two_halves(side, side), "PNG")), words=""),
            {"role": "assistant", "content": "Yes."},
        ]
    async with talking_to(settings, server) as (_, client):
        await client.chat.completions.create(model=slug, messages=talk[:-1])
    assert [one.size[0] for one in pictures_in(server.calls[0])] == list(range(23, 31))
    assert server.calls[0]["messages"][1]["content"] == "(picture)"


async def test_where_nobody_sees_it_is_told_that_a_picture_came_and_nothing_else_of_it(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    async with talking_to(settings, server, sees=False) as (_, client):
        told = [shown(data_of(SMALL), "http://127.0.0.1:9/x.png", data_of(b"rubbish"))]
        await client.chat.completions.create(model=slug, messages=told)
    assert pictures_in(server.calls[0]) == []
    assert NOTE in server.calls[0]["messages"][-1]["content"]
    assert "base64" not in str(server.calls[0])


async def test_sound_is_told_of_beside_a_picture_that_is_seen(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    async with talking_to(settings, server) as (_, client):
        await client.chat.completions.create(model=slug, messages=[shown(data_of(SMALL), beside=sound)])
    assert len(pictures_in(server.calls[0])) == 1
    assert "something that you cannot see: sound." in str(server.calls[0])


async def test_the_understudy_answers_marked_where_the_server_is_down(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    async with talking_to(settings, server) as (_, client):
        await server.close()
        told = [shown(data_of(SMALL), words="")]
        answer = await client.chat.completions.with_raw_response.create(model=slug, messages=told)
        completion = answer.parse()
    assert server.calls == []
    assert completion.choices[0].message.content
    assert completion.system_fingerprint == "understudy"
    assert answer.headers["Greenroom-Stands-In"] == "yes"


async def test_a_server_that_turns_out_not_to_see_answers_by_the_words(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    server.script(Script(status=500, body="image input is not supported - provide the mmproj"))
    async with talking_to(settings, server) as (_, client):
        answer = await client.chat.completions.create(model=slug, messages=[shown(data_of(SMALL))])
    assert answer.system_fingerprint != "understudy"
    assert len(pictures_in(server.calls[0])) == 1
    assert pictures_in(server.calls[1]) == []
    assert NOTE in server.calls[1]["messages"][-1]["content"]


NO_PICTURES = (
    ("http://127.0.0.1:9/never-fetched.png", "other addresses"),
    ("https://example.org/x.png", "other addresses"),
    ("file:///etc/passwd", "other addresses"),
    ("//example.org/x.png", "other addresses"),
    (data_of(SVG, "image/svg+xml"), "Only PNG, JPEG and WebP"),
    (data_of(SMALL, "text/html"), "Only PNG, JPEG and WebP"),
    (data_of(SMALL, "image/gif"), "Only PNG, JPEG and WebP"),
    ("data:image/png,plain", "Only PNG, JPEG and WebP"),
    ("data:image/png;base64,§§§§", "no base64"),
    ("data:image/png;base64,AAA", "no base64"),
    ("data:image/png;base64,", "cannot be read"),
    ("data:image/png;base64," + "A" * 14_000_000, "10 MB"),
    ("", "no part of a message"),
)
#: Whoever shows many in a minute: here it is one who asks for all of them.
OFTEN = LimitSettings(messages_per_minute=1_000)


async def test_an_address_that_holds_no_picture_is_refused_by_its_place(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    async with talking_to(settings, server, limits=OFTEN) as (_, client):
        for address, told in NO_PICTURES:
            with pytest.raises(openai.BadRequestError, match=told) as refused:
                await client.chat.completions.create(model=slug, messages=[shown(address)])
            assert refused.value.param == "messages.0.content.1", address[:80]
            assert refused.value.type == "invalid_request_error", address[:80]
    assert server.calls == []


async def test_a_picture_that_cannot_be_shown_is_refused_in_a_sentence(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    wrongs = [wrong for wrong in HOSTILE if wrong != "too many bytes"]
    async with talking_to(settings, server, limits=OFTEN) as (_, client):
        for number, wrong in enumerate(wrongs):
            data, told = HOSTILE[wrong]
            with pytest.raises(openai.BadRequestError, match=told) as refused:
                await client.chat.completions.create(model=slug, messages=[shown(data_of(data))])
            assert refused.value.type == "invalid_request_error", wrong
            assert len(server.calls) == number, wrong
            # Whoever shows another one is answered as ever.
            await client.chat.completions.create(model=slug, messages=[shown(data_of(SMALL))])
            assert len(server.calls) == number + 1, wrong


async def test_more_than_eight_at_once_are_refused(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    async with talking_to(settings, server) as (_, client):
        eight = [data_of(SMALL)] * 8
        with pytest.raises(openai.BadRequestError, match="8 pictures at most") as refused:
            await client.chat.completions.create(model=slug, messages=[shown(*eight, data_of(SMALL))])
        assert refused.value.param == "messages.0.content"
        await client.chat.completions.create(model=slug, messages=[shown(*eight)])
    assert len(pictures_in(server.calls[0])) == 8


async def test_nobody_looks_at_pictures_of_whoever_comes_too_often(
    settings: Settings, server: OpenAIServer, slug: str
) -> None:
    limits = LimitSettings(messages_per_minute=1)
    damaged = data_of(HOSTILE["truncated"][0])
    async with talking_to(settings, server, limits=limits) as (engine, client):
        await client.chat.completions.create(model=slug, messages=[shown()], user="ada")
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model=slug, messages=[shown(damaged)], user="ada")
        assert engine.atelier.pid is None
