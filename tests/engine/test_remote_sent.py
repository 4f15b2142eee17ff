"""What is sent to a model on another server, and what is left out where a server does not take it."""

from __future__ import annotations

import json

import pytest

from engine.errors import ModelUnavailable
from engine.language import Task
from engine.language.messages import message_with_pictures, messages_of
from engine.language.requests import Request
from engine.settings import LanguageSettings
from personas.persona import Sampling
from personas.prompting import Line, Reach, Segment, segments
from tests.engine.remote_opened import (  # noqa: F401 - fixtures
    HELLO,
    IDA,
    KEY,
    Opened,
    Restless,
    a_clock,
    a_server,
    opened_models,
    picture,
    reply,
    written,
)
from tests.servers.openai import OpenAIServer, Script


async def test_one_system_message_stands_in_front_and_what_is_new_before_the_last_words(
    server: OpenAIServer, opened: Opened
) -> None:
    await written(opened(), reply(segments=HELLO))
    told = [(one["role"], one["content"]) for one in server.calls[0]["messages"]]
    assert [role for role, _ in told] == ["system", "assistant", "user", "assistant", "user"]
    assert told[0][1] == "You are Ida.\n\nWhat happened earlier: rain."
    assert told[-1][1] == "[Only for you, nobody said this:\nYou are talking with Zoe.]\n\nHow are you?"


async def test_what_is_the_same_for_everybody_stays_so(server: OpenAIServer, opened: Opened) -> None:
    remote = opened()
    for name in ("Zoe", "Will"):
        made = segments(IDA, [Line(False, "Hi")], shared="You are Ida.", person_name=name, room_chars=9_000)
        await written(remote, reply(segments=made))
    first, second = (call["messages"] for call in server.calls)
    assert first[0] == second[0]
    assert first[1] != second[1]


async def test_a_persona_draws_its_words_in_its_own_way(server: OpenAIServer, opened: Opened) -> None:
    ida = IDA.model_copy(update={"sampling": Sampling(temperature=1.3, top_k=40)})
    await written(opened(LanguageSettings(reply_tokens=77, dry=0.5)), reply(persona=ida))
    call = server.calls[0]
    assert (call["temperature"], call["top_k"], call["max_tokens"], call["seed"]) == (1.3, 40, 77, 7)
    assert (call["dry_multiplier"], call["min_p"], call["repeat_penalty"]) == (0.5, 0.05, 1.05)
    assert "xtc_probability" not in call, "what is off is not sent"


async def test_an_answer_that_was_not_kept_is_told_and_drawn_otherwise(
    server: OpenAIServer, opened: Opened
) -> None:
    await written(opened(), reply(rejected=("Go away.",)))
    assert server.calls[0]["seed"] == 8
    assert "Go away." in server.calls[0]["messages"][-1]["content"]


async def test_a_persona_that_goes_on_alone_is_nudged(server: OpenAIServer, opened: Opened) -> None:
    await written(opened(), reply(segments=HELLO[:3]))
    assert server.calls[0]["messages"][-1] == {"role": "user", "content": "(Go on.)"}


async def test_the_model_is_the_one_in_the_settings_or_the_first_that_the_server_names(
    server: OpenAIServer, opened: Opened
) -> None:
    server.models = ("big", "small")
    await written(opened())
    await written(opened(model="small"))
    assert [call["model"] for call in server.calls] == ["big", "small"]
    assert opened(model="small").name == "small"
    assert server.address in opened().name


async def test_another_model_is_used_where_it_is_allowed_and_there(
    server: OpenAIServer, opened: Opened
) -> None:
    server.models = ("big", "small")
    remote = opened(LanguageSettings(allowed=("small", "gone")), model="big")
    await written(remote, reply(model="small"))
    await written(remote, reply(persona=IDA.model_copy(update={"model": "small"})))
    for other in ("gone", "never allowed"):
        await written(remote, reply(model=other))
    assert [call["model"] for call in server.calls] == ["small", "small", "big", "big"]


async def test_a_server_without_a_list_of_models_needs_no_name(server: OpenAIServer, opened: Opened) -> None:
    server.models = None
    assert await written(opened())
    assert "model" not in server.calls[0]


async def test_the_key_is_sent(server: OpenAIServer, opened: Opened) -> None:
    server.key = KEY
    assert await written(opened(key=KEY))


async def test_fields_that_a_server_does_not_know_are_left_out_from_then_on(
    server: OpenAIServer, opened: Opened, clock: Restless
) -> None:
    server.refuses = ("min_p", "seed")
    remote = opened()
    assert await written(remote)
    assert await written(remote)
    assert len(server.calls) == 4, "min_p, then seed, then twice what it takes"
    assert not {"min_p", "dry_multiplier", "repeat_penalty", "seed"} & set(server.calls[-1])
    assert server.calls[-1]["top_p"] == 0.95
    assert clock.slept == []


async def test_a_newer_name_of_the_limit_is_learned(server: OpenAIServer, opened: Opened) -> None:
    told = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    server.script(Script(status=400, body=told))
    assert await written(opened())
    assert server.calls[1]["max_completion_tokens"] == 600
    assert "max_tokens" not in server.calls[1]


@pytest.mark.parametrize("roles", ["no-system", "front"])
async def test_a_server_that_refuses_roles_gets_person_and_persona_strictly_in_turn(
    server: OpenAIServer, opened: Opened, roles: str
) -> None:
    server.roles = roles
    remote = opened()
    assert await written(remote, reply(segments=HELLO))
    assert await written(remote, reply(segments=HELLO))
    assert len(server.calls) == 3
    told = server.calls[-1]["messages"]
    assert [one["role"] for one in told] == ["user", "assistant", "user", "assistant", "user"]
    assert told[0]["content"].startswith("You are Ida.")


async def test_a_form_is_asked_for_only_where_the_server_knows_it(
    server: OpenAIServer, opened: Opened
) -> None:
    server.refuses = ("grammar",)
    remote = opened(forms={Task.PROMPTS: {"grammar": 'root ::= "x"'}})
    assert await written(remote, picture())
    assert ["grammar" in call for call in server.calls] == [True, False]
    await written(remote)
    assert "grammar" not in server.calls[-1]


async def test_a_server_that_takes_nothing_is_given_up(server: OpenAIServer, opened: Opened) -> None:
    server.script(*[Script(status=400, body="the prompt exceeds the available context size")] * 9)
    with pytest.raises(ModelUnavailable, match="context size"):
        await written(opened())
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("picture", "mime"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_a_picture_goes_as_an_address_that_holds_it(picture: bytes, mime: str) -> None:
    message = message_with_pictures("Look!", [picture, b"GIF89a", b""])
    text, shown = message["content"]
    assert text == {"type": "text", "text": "Look!"}
    assert shown["image_url"]["url"].startswith(f"data:{mime};base64,")


def test_words_without_pictures_are_plain() -> None:
    assert message_with_pictures("Look!", [b"no picture"]) == {"role": "user", "content": "Look!"}


JPEG = b"\xff\xd8\xff\xe0rest"
SHOWN = (*HELLO[:-1], Segment(Reach.VOLATILE, "user", "What is that?", (JPEG,)))
NOTE = "With these words came something that you cannot see: picture."


async def test_a_server_that_sees_gets_the_picture_and_no_word_of_not_seeing(
    server: OpenAIServer, opened: Opened
) -> None:
    await written(opened(sees=True), reply(segments=SHOWN))
    last = server.calls[0]["messages"][-1]
    assert [part["type"] for part in last["content"]] == ["text", "image_url"]
    assert NOTE not in str(server.calls[0])


async def test_a_server_that_does_not_see_is_told_that_something_came(
    server: OpenAIServer, opened: Opened
) -> None:
    await written(opened(), reply(segments=SHOWN))
    last = server.calls[0]["messages"][-1]["content"]
    assert last.endswith("What is that?")
    assert NOTE in last
    assert "image_url" not in str(server.calls[0])


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "tiny is not a multimodal model"),
        (404, "No endpoints found that support image input"),
        (400, "messages[3]: content must be a string"),
        (413, "Request Entity Too Large"),
    ],
)
async def test_a_server_that_refuses_pictures_is_asked_again_without_them(
    server: OpenAIServer, opened: Opened, status: int, told: str
) -> None:
    server.script(Script(status=status, body=told))
    remote = opened(sees=True)
    assert await written(remote, reply(segments=SHOWN))
    first, second = server.calls
    assert "image_url" in str(first)
    assert "image_url" not in str(second)
    assert NOTE in second["messages"][-1]["content"]
    # All else is asked for as before, and the next picture is tried again.
    assert {**first, "messages": []} == {**second, "messages": []}
    await written(remote, reply(segments=SHOWN))
    assert "image_url" in str(server.calls[2])


def test_whoever_writes_here_gets_no_picture_and_a_note_of_it() -> None:
    request = Request(SHOWN)
    assert all(one.pictures == () for one in request.segments)
    assert NOTE in request.segments[-2].text
    told = json.loads(json.dumps(request.as_json()))
    assert Request.of_json(told) == request


def test_what_was_shown_without_segments_is_seen_too() -> None:
    wanted = reply(lines=(Line(False, "Look!", "", (JPEG,)),))
    assert "image_url" in str(messages_of(wanted, sees=True)[-1])
    assert NOTE in str(messages_of(wanted)[-1])
