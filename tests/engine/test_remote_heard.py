"""What is heard of a model on another server: its words as they come, and nothing of the noise around them."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelUnavailable
from engine.language.refusals import complaint
from engine.language.streamed import Lines, heard
from tests.engine.remote_opened import (  # noqa: F401 - fixtures
    JSON,
    Opened,
    a_clock,
    a_server,
    opened_models,
    reply,
    written,
)
from tests.servers.openai import NOISE, OpenAIServer, Script


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("chunk", [0, 1, 7])
async def test_noise_and_cuts_change_no_word(
    server: OpenAIServer, opened: Opened, noise: bytes, chunk: int
) -> None:
    server.say("Schön, ", "日本 ", "👩‍🚀", noise=noise, chunk=chunk)
    assert await written(opened()) == "Schön, 日本 👩‍🚀"


async def test_words_come_as_they_are_written(server: OpenAIServer, opened: Opened) -> None:
    hold = asyncio.Event()
    server.say(
        "A long first sentence that needs no more waiting for the end of a thought. ",
        "And ",
        "more.",
        until=hold,
        silent_after=1,
    )
    async with aclosing(opened().write(reply())) as pieces:
        assert (await anext(pieces)).startswith("A long first sentence")
        hold.set()
        assert "".join([piece async for piece in pieces]).strip() == "And more."


async def test_thoughts_markers_and_names_are_not_shown(server: OpenAIServer, opened: Opened) -> None:
    server.say("<thi", "nk>hm</think>\n", "Ida:", " Come in.", "<|im_", "end|>")
    assert await written(opened()) == "Come in."


async def test_where_it_begins_to_speak_for_the_person_it_is_stopped(
    server: OpenAIServer, opened: Opened
) -> None:
    server.say("Come in.\nZoe:", *["more "] * 40, until=asyncio.Event(), silent_after=30)
    assert await written(opened()) == "Come in."
    await server.left.wait()
    assert server.left_early == 1


async def test_closing_the_writing_closes_the_connection(server: OpenAIServer, opened: Opened) -> None:
    server.say(*["word "] * 40, until=asyncio.Event(), silent_after=30)
    async with aclosing(opened().write(reply())) as pieces:
        assert await anext(pieces)
    await server.left.wait()
    assert server.left_early == 1


async def test_a_cancelled_writing_closes_the_connection(server: OpenAIServer, opened: Opened) -> None:
    server.say("never", until=asyncio.Event())
    writing = asyncio.create_task(written(opened()))
    await server.called.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await server.left.wait()


async def test_an_answer_that_was_cut_for_length_just_ends(server: OpenAIServer, opened: Opened) -> None:
    server.say("And then the", reason="length")
    assert await written(opened()) == "And then the"


async def test_a_server_that_does_not_stream_is_heard_too(server: OpenAIServer, opened: Opened) -> None:
    server.say("Come ", "in.", whole=True)
    assert await written(opened()) == "Come in."


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (Script(pieces=()), "nothing that can be shown"),
        (Script(pieces=(" \n ",)), "nothing that can be shown"),
        (Script(pieces=("<think>hm",), reason="length"), "600 tokens"),
        (Script(pieces=("Zoe: hi",)), "nothing that can be shown"),
        (
            Script(whole=True, body=b"{}", headers={"Content-Type": "application/json"}),
            "no OpenAI-compatible",
        ),
        (Script(whole=True, body=b"<html>", headers={"Content-Type": "text/html"}), "no OpenAI-compatible"),
    ],
)
async def test_nothing_is_no_answer(server: OpenAIServer, opened: Opened, script: Script, cause: str) -> None:
    server.script(script)
    with pytest.raises(ModelUnavailable, match=cause):
        await written(opened())
    assert len(server.calls) == 1


@given(st.binary(), JSON)
def test_whatever_a_server_sends_is_words_or_nothing(noise: bytes, told: Any) -> None:
    lines = Lines()
    for line in [*lines.feed(noise), *lines.feed(b"data:" + noise + b"\n"), f"data: {json.dumps(told)}"]:
        heard(line)
    assert isinstance(complaint(noise), str)
    assert isinstance(complaint(json.dumps(told).encode()), str)
