"""A model on another server: what is sent to it, what is heard, and what becomes of everything that goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelUnavailable
from engine.language import PROMPT_WORDS, PersonaWanted, PromptWanted, ReplyWanted, Task, Wanted, count_words
from engine.language.mending import FIELDS, persona_of
from engine.language.messages import PERSONA_FORM, message_with_pictures
from engine.language.refusals import complaint
from engine.language.remote import MOST_PAUSE, Remote
from engine.language.streamed import Lines, heard
from engine.settings import LanguageSettings, ServerSettings
from engine.testing import ManualClock
from personas.appearance import Ledger, Scene
from personas.cast import shipped_cast
from personas.persona import Persona, Sampling
from personas.prompting import Line, Reach, Segment, segments
from tests.servers.openai import NOISE, OpenAIServer, Script

IDA = Persona(slug="ida", name="Ida Brandt", description="Tends a lighthouse.")
KEY = "sk-very-secret-4711"
KEYS = sorted({*FIELDS, "summary", "traits", "palette", "wardrobe", "slug", "rating"})
HELLO = (
    Segment(Reach.SHARED, "system", "You are Ida."),
    Segment(Reach.CHAT, "system", "What happened earlier: rain."),
    Segment(Reach.CHAT, "assistant", "Come in."),
    Segment(Reach.CHAT, "user", "Hello"),
    Segment(Reach.CHAT, "assistant", "Sit down."),
    Segment(Reach.VOLATILE, "system", "You are talking with Zoe."),
    Segment(Reach.VOLATILE, "user", "How are you?"),
)


class Restless(ManualClock):
    """Nobody sleeps for real; how long they would have is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


Opened = Callable[..., Remote]


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as opened:
        yield opened


@pytest.fixture
def clock() -> Restless:
    return Restless()


@pytest.fixture
async def opened(server: OpenAIServer, clock: Restless) -> AsyncIterator[Opened]:
    """Opens models at the server, and closes them in the end."""
    remotes = []

    def open_(language: LanguageSettings | None = None, forms: Any = None, **more: Any) -> Remote:
        settings = ServerSettings(**{"address": server.address, "patience": 20.0, **more})
        remotes.append(Remote(settings, language or LanguageSettings(), clock, forms=forms))
        return remotes[-1]

    yield open_
    for remote in remotes:
        await remote.close()


def reply(text: str = "Hello", **more: Any) -> ReplyWanted:
    return ReplyWanted(
        **{"persona": IDA, "lines": (Line(False, text),), "person_name": "Zoe", "seed": 7, **more}
    )


def picture(style_words: str = "35mm film, grain") -> PromptWanted:
    return PromptWanted(Scene(IDA, "on the roof at dusk", Ledger(), 7), "film", style_words, seed=7)


async def written(remote: Remote, wanted: Wanted | None = None) -> str:
    return "".join([piece async for piece in remote.write(wanted or reply())])


# What is sent


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


# What a server does not take


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


# What is heard


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


# What goes wrong


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


# Prompts and personas


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


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


@given(st.binary(), JSON)
def test_whatever_a_server_sends_is_words_or_nothing(noise: bytes, told: Any) -> None:
    lines = Lines()
    for line in [*lines.feed(noise), *lines.feed(b"data:" + noise + b"\n"), f"data: {json.dumps(told)}"]:
        heard(line)
    assert isinstance(complaint(noise), str)
    assert isinstance(complaint(json.dumps(told).encode()), str)


# Pictures in messages


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
