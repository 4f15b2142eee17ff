"""What becomes of everything that goes wrong with a model on another server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import ModelUnavailable
from engine.language.connection import MOST_PAUSE
from personas.prompting import Line, segments
from tests.engine.remote_opened import (  # noqa: F401 - fixtures
    HELLO,
    IDA,
    KEY,
    Opened,
    Restless,
    a_clock,
    a_server,
    opened_models,
    reply,
    written,
)
from tests.servers.openai import OpenAIServer, Script


@pytest.mark.parametrize(
    "script",
    [
        *(Script(status=status) for status in (408, 429, 500, 502, 503, 529)),
        Script(status=502, body=b"<html><body>Bad Gateway</body></html>"),
        Script(pieces=("<think>hm</think>", "Come"), breaks_after=1),
        Script(pieces=("Come",), breaks_after=0),
        Script(pieces=(), ends_bare=True),
        Script(pieces=(), error="CUDA out of memory"),
    ],
)
async def test_passing_trouble_is_waited_out_in_growing_pauses(
    server: OpenAIServer, opened: Opened, clock: Restless, script: Script
) -> None:
    server.script(script, script, script)
    assert await written(opened(tries=3))
    assert len(server.calls) == 4
    assert clock.slept == sorted(set(clock.slept)), "each longer than the one before"


async def test_trouble_that_does_not_pass_is_told(server: OpenAIServer, opened: Opened) -> None:
    server.script(*[Script(status=503, body="Loading model")] * 9)
    with pytest.raises(ModelUnavailable, match=r"503.*Loading model"):
        await written(opened(tries=2))
    assert len(server.calls) == 3


@pytest.mark.parametrize("script", [Script(breaks_after=30), Script(ends_bare=True), Script(error="boom")])
async def test_after_the_first_word_nothing_is_asked_again(
    server: OpenAIServer, opened: Opened, script: Script
) -> None:
    server.script(replace(script, pieces=("word ",) * 40))
    heard: list[str] = []

    async def listen() -> None:
        async for piece in opened().write(reply()):
            heard.append(piece)  # noqa: PERF401 - what came before the error is looked at

    with pytest.raises(ModelUnavailable, match="broke off"):
        await listen()
    assert "".join(heard).startswith("word word")
    assert len(server.calls) == 1


async def test_a_server_that_says_when_is_asked_then(
    server: OpenAIServer, opened: Opened, clock: Restless
) -> None:
    due = (clock.now() + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server.script(
        Script(status=429, headers={"Retry-After": "7"}), Script(status=503, headers={"Retry-After": due})
    )
    assert await written(opened())
    assert clock.slept == [7.0, 9.0]


async def test_nobody_waits_for_a_server_that_wants_an_hour(
    server: OpenAIServer, opened: Opened, clock: Restless
) -> None:
    server.script(Script(status=429, headers={"Retry-After": str(int(MOST_PAUSE) + 1)}))
    with pytest.raises(ModelUnavailable, match="429"):
        await written(opened())
    assert clock.slept == []


@pytest.mark.parametrize(("status", "advice"), [(401, "server.key"), (403, "server.key"), (404, "/v1")])
async def test_what_only_the_operator_can_mend_is_said_at_once(
    server: OpenAIServer, opened: Opened, status: int, advice: str
) -> None:
    server.script(Script(status=status))
    with pytest.raises(ModelUnavailable, match=advice):
        await written(opened())
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_the_key_is_in_no_message(server: OpenAIServer, opened: Opened, status: int) -> None:
    server.script(*[Script(status=status, body=f"Incorrect API key provided: {KEY}")] * 9)
    with pytest.raises(ModelUnavailable) as told:
        await written(opened(key=KEY))
    assert KEY not in str(told.value)
    assert KEY not in repr(told.value.__cause__)


@pytest.mark.parametrize("key", ["sk\nheader: x", "schlüssel"])
async def test_a_key_that_can_be_none_is_told_without_it(opened: Opened, key: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"server\.key") as told:
        await written(opened(key=key))
    assert key not in str(told.value)


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://x/v1", "http://", "nonsense"])
async def test_an_address_that_is_none_is_said(opened: Opened, clock: Restless, address: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"server\.address"):
        await written(opened(address=address))
    assert clock.slept == []


async def test_nobody_there_is_said_without_what_is_secret_in_the_address(opened: Opened) -> None:
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9/v1") as told:
        await written(opened(address="http://me:hidden@127.0.0.1:9/v1", tries=1))
    assert "hidden" not in str(told.value)


async def test_a_server_that_says_nothing_for_too_long_is_left(server: OpenAIServer, opened: Opened) -> None:
    server.say("never", until=asyncio.Event())
    with pytest.raises(ModelUnavailable, match=r"server\.patience"):
        await written(opened(patience=0.2))
    await server.left.wait()
    assert len(server.calls) == 1


async def test_so_is_one_that_falls_silent_in_the_middle(server: OpenAIServer, opened: Opened) -> None:
    server.say(*["word "] * 40, until=asyncio.Event(), silent_after=30)
    with pytest.raises(ModelUnavailable, match=r"server\.patience"):
        await written(opened(patience=0.5))
    await server.left.wait()


async def test_a_closed_one_writes_no_more(opened: Opened) -> None:
    remote = opened()
    assert await written(remote)
    await remote.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        await written(remote)


TOO_LONG = "request (4679 tokens) exceeds the available context size (4096 tokens), try increasing it"


async def test_a_talk_that_outgrows_the_servers_context_loses_its_oldest_half(
    server: OpenAIServer, opened: Opened
) -> None:
    server.script(Script(status=400, body=TOO_LONG))
    lines = [Line(bool(number % 2), f"line {number}") for number in range(9)]
    made = segments(IDA, lines, shared="You are Ida.", person_name="Zoe", room_chars=9_000)
    assert await written(opened(), reply(segments=made))
    first, second = (call["messages"] for call in server.calls)
    assert len(first) == 10
    assert [one["content"] for one in second[:2]] == ["You are Ida.", "line 5"]
    assert second[-1] == first[-1]


async def test_words_that_outgrow_it_lose_their_middle_and_a_persona_that_does_is_told(
    server: OpenAIServer, opened: Opened
) -> None:
    refused = Script(status=400, body=TOO_LONG)
    server.script(refused)
    long = segments(IDA, [Line(False, "why? " * 900)], shared="I", person_name="", room_chars=9_000)
    await written(opened(), reply(segments=long))
    assert len(server.calls[1]["messages"][-1]["content"]) < 2_400
    server.script(*[refused] * 10)
    with pytest.raises(ModelUnavailable, match="context size"):
        await written(opened(), reply(segments=HELLO))
