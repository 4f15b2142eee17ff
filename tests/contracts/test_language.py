"""Whoever writes: pieces that make a text, prompts of 100 to 200 words, valid personas, and an end when closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest
import structlog

from engine.errors import BadRequest, ModelUnavailable
from engine.language import (
    PROMPT_WORDS,
    LanguageModel,
    PersonaWanted,
    PromptWanted,
    ReplyWanted,
    Source,
    Wanted,
    count_words,
)
from engine.language.local import Local
from engine.language.remote import Remote
from engine.language.scribe import Scribe
from engine.language.shelf import elsewhere, plan_for
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.settings import LanguageSettings, ServerSettings, Settings
from engine.testing import FakeLanguage
from personas.appearance import Ledger, Scene
from personas.cast import shipped_cast
from personas.persona import Persona
from personas.prompting import Line
from tests.servers.llama_server import LlamaServer, found
from tests.servers.openai import OpenAIServer

CAST = tuple(shipped_cast())
SCENES = ("on the roof at dusk", "x", "{{char}} %s <b>", "reading " * 100, "🌧️", "café, ночью")


class Chain:
    """Writers as a model: a first that always fails, and an understudy behind it."""

    name = "chain"
    source = Source.UNDERSTUDY

    def __init__(self) -> None:
        self._writers = Writers([FakeLanguage(fails=True), Understudy()])

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        yield (await self._writers.write(wanted)).text

    async def close(self) -> None:
        await self._writers.close()


class Elsewhere:
    """The model on another server, which is opened with its first words and closed with it."""

    name = "elsewhere"
    source = Source.MODEL

    def __init__(self) -> None:
        self._server = OpenAIServer()
        self._remote: Remote | None = None

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        address = await self._server.open()
        self._remote = self._remote or Remote(ServerSettings(address=address), LanguageSettings())
        async with aclosing(self._remote.write(wanted)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        if self._remote is not None:
            await self._remote.close()
        await self._server.close()


class AtLlamaServer:
    """The model on a real llama-server, asked as the house asks it."""

    name = "llama-server"
    source = Source.MODEL

    def __init__(self, server: LlamaServer) -> None:
        self._server = server
        self._remote: LanguageModel | None = None

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        server = ServerSettings(address=await self._server.open())
        self._remote = self._remote or elsewhere(
            Settings(server=server, language=LanguageSettings(reply_tokens=48))
        )
        async with aclosing(self._remote.write(wanted)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        if self._remote is not None:
            await self._remote.close()
        await self._server.close()


MAKERS: dict[str, Callable[[], LanguageModel]] = {
    "understudy": Understudy,
    "fake": FakeLanguage,
    "chain": Chain,
    "remote": Elsewhere,
}
#: llama.cpp on tiny models of random weights: what holds for them holds whatever the model.
LLAMAS = {
    "llama": ("tiny_model", False),
    "llama with SentencePiece": ("tiny_spm_model", False),
    "llama without a template": ("plain_model", False),
    "llama without attention": ("recurrent_model", False),
    "isolated llama": ("tiny_llama3_model", True),
}
LLAMA_SERVER = "llama-server"


@pytest.fixture(params=[*MAKERS, *LLAMAS, LLAMA_SERVER])
async def model(request: pytest.FixtureRequest) -> AsyncIterator[LanguageModel]:
    made: LanguageModel
    if request.param == LLAMA_SERVER:
        if (binary := found()) is None:
            pytest.skip("there is no llama-server: GREENROOM_LLAMA_SERVER names one")
        made = AtLlamaServer(LlamaServer(binary, request.getfixturevalue("tiny_model")))
    else:
        made = MAKERS[request.param]() if request.param in MAKERS else llama(request, *LLAMAS[request.param])
    yield made
    await made.close()


def llama(request: pytest.FixtureRequest, name: str, isolated: bool) -> LanguageModel:
    settings = LanguageSettings(isolate=isolated, context=8_192, reply_tokens=48, rows=4)
    plan = plan_for(settings, request.getfixturevalue(name))
    scribe = Scribe(name, lambda: plan.works(isolated=isolated), patience=240.0)
    return Local(
        scribe, settings, casting="You invent people.", picture="You write prompts for pictures of {{char}}."
    )


def reply_to(text: str, persona: Persona = CAST[0], **more: object) -> ReplyWanted:
    return ReplyWanted(persona, (Line(False, text),), "Ana", seed=7)


def prompt_for(request: str, persona: Persona = CAST[0], seed: int = 7) -> PromptWanted:
    return PromptWanted(Scene(persona, request, Ledger(), seed), "film", "35mm film, grain", seed=seed)


async def pieces(model: LanguageModel, wanted: Wanted) -> list[str]:
    return [piece async for piece in model.write(wanted)]


async def written(model: LanguageModel, wanted: Wanted) -> str:
    return "".join(await pieces(model, wanted)).strip()


def test_it_has_a_name_and_says_what_it_is(model: LanguageModel) -> None:
    assert model.name
    assert model.source in Source


@pytest.mark.parametrize(
    "text", ["Hello", "", "?!", "x" * 8_000, "{{user}} {% if %} %s", "\n\n", "👋", "Why? " * 500]
)
async def test_a_reply_is_never_empty(model: LanguageModel, text: str) -> None:
    plain = Persona(slug="plain", name="Plain")
    # A real model takes its time.
    for persona in (plain,) if isinstance(model, Local | AtLlamaServer) else (*CAST[:3], plain):
        assert await written(model, reply_to(text, persona))


async def test_who_sees_no_pictures_answers_by_the_words(model: LanguageModel) -> None:
    shown = Line(False, "Look!", "", (b"\xff\xd8\xff\xe0rest",))
    assert await written(model, ReplyWanted(Persona(slug="plain", name="Plain"), (shown,), "Zoe"))


async def test_the_same_wanted_is_the_same_text(model: LanguageModel, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["model"] in (*LLAMAS, LLAMA_SERVER):
        pytest.skip("sums depend on who else is in the batch, and random weights on the last digit")
    for wanted in (reply_to("Hello"), prompt_for("by the sea"), PersonaWanted(kind="tech", seed=3)):
        assert await written(model, wanted) == await written(model, wanted)


@pytest.mark.parametrize("scene", SCENES)
async def test_a_prompt_has_100_to_200_words(model: LanguageModel, scene: str) -> None:
    for persona in (CAST[0], CAST[-1], Persona(slug="plain", name="Plain")):
        assert count_words(await written(model, prompt_for(scene, persona))) in PROMPT_WORDS


@pytest.mark.parametrize("kind", ["", "fitness", "tech", "no such kind", "x" * 80, "{{kind}}"])
async def test_a_persona_is_valid(model: LanguageModel, kind: str) -> None:
    made = Persona.model_validate(json.loads(await written(model, PersonaWanted(kind=kind, seed=5))))
    assert made.name
    assert made.age is not None
    assert made.age >= 18


async def test_a_persona_has_the_name_that_was_asked_for(model: LanguageModel) -> None:
    told = json.loads(await written(model, PersonaWanted(name="Zoë Field", seed=5)))
    assert told["name"] == "Zoë Field"


async def test_many_can_write_at_once(model: LanguageModel, request: pytest.FixtureRequest) -> None:
    wanted = [prompt_for("by the sea", persona) for persona in CAST]
    together = await asyncio.gather(*(written(model, one) for one in wanted))
    assert all(count_words(text) in PROMPT_WORDS for text in together)
    if request.node.callspec.params["model"] not in (
        *LLAMAS,
        LLAMA_SERVER,
    ):  # whose sums depend on who else is in the batch
        assert together == [await written(model, one) for one in wanted]


async def test_closing_it_early_stops_the_writing(model: LanguageModel) -> None:
    async with aclosing(model.write(prompt_for("by the sea"))) as writing:
        assert await anext(writing)
    with pytest.raises(StopAsyncIteration):
        await anext(writing)
    assert await written(model, reply_to("Hello")), "and the next text is written"


async def test_it_can_be_closed(model: LanguageModel) -> None:
    await written(model, reply_to("Hello"))
    await model.close()
    await model.close()


# Writers: who is asked, in which order


class Scripted(FakeLanguage):
    """Writes these pieces, then fails."""

    def __init__(self, name: str, pieces: Sequence[str], *, then: Exception | None = None) -> None:
        super().__init__()
        self.name = name
        self._pieces = pieces
        self._then = then

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        for piece in self._pieces:
            yield piece
        if self._then:
            raise self._then


async def test_the_first_that_can_is_the_one_that_writes() -> None:
    told = await Writers([FakeLanguage("One."), FakeLanguage("Two.")]).write(reply_to("Hello"))
    assert (told.text, told.source, told.model) == ("One.", Source.MODEL, "fake")


@pytest.mark.parametrize("failure", [ModelUnavailable("busy"), RuntimeError("a bug"), OSError("gone")])
async def test_whoever_fails_in_the_middle_is_followed_by_the_next(failure: Exception) -> None:
    shown: list[str] = []
    writers = Writers([Scripted("first", ["Half a "], then=failure), Scripted("second", ["Whole."])])
    assert (await writers.write(reply_to("Hello"), on_text=shown.append)).model == "second"
    assert shown == ["Half a ", "Whole."], "a draft may start again from nothing"


@pytest.mark.parametrize("nothing", [[], [""], [" \n"], ["\x00\ud800"]])
async def test_nothing_is_no_answer(nothing: list[str]) -> None:
    writers = Writers([Scripted("first", nothing), Scripted("second", ["Something."])])
    assert (await writers.write(reply_to("Hello"))).text == "Something."


async def test_what_is_not_accepted_is_not_taken() -> None:
    writers = Writers([Scripted("first", ["too short"]), Understudy()])
    told = await writers.write(
        prompt_for("by the sea"), accept=lambda text: count_words(text) in PROMPT_WORDS
    )
    assert told.source is Source.UNDERSTUDY


async def test_when_nobody_can_it_is_said() -> None:
    with pytest.raises(ModelUnavailable, match="log"):
        await Writers([FakeLanguage(fails=True)]).write(reply_to("Hello"))


async def test_a_cancellation_is_not_taken_for_a_failure() -> None:
    slow, second = FakeLanguage("one two three", pause=0.05), FakeLanguage("Two.")
    writing = asyncio.create_task(Writers([slow, second]).write(reply_to("Hello")))
    await asyncio.sleep(0.07)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert second.asked == []


async def test_what_is_shown_can_always_be_encoded() -> None:
    shown: list[str] = []
    writers = Writers([Scripted("first", ["a\ud800", "\x1b[0m", "\u202eb", "\tc\n"])])
    told = await writers.write(reply_to("Hello"), on_text=shown.append)
    assert told.text == "a[0mb\tc"
    for text in (*shown, told.text):
        text.encode()


async def test_where_nobody_can_be_chosen_the_others_write_and_a_refused_wish_is_told() -> None:
    async def fails(_wanted: Wanted) -> Sequence[LanguageModel]:
        raise PermissionError("models")

    async def refuses(_wanted: Wanted) -> Sequence[LanguageModel]:
        raise BadRequest("There is no such model.")

    assert (await Writers([FakeLanguage("One.")], choose=fails).write(reply_to("Hello"))).text == "One."
    with pytest.raises(BadRequest):
        await Writers([FakeLanguage("One.")], choose=refuses).write(reply_to("Hello"))


async def test_the_operator_is_told_once_for_each_task_that_a_model_fails_at() -> None:
    class OnlyTalks(FakeLanguage):
        async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
            if not isinstance(wanted, ReplyWanted):
                raise ModelUnavailable("it only talks")
            yield "Yes."

    writers = Writers([OnlyTalks(), Understudy()])
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await writers.write(reply_to("Hello"))
            await writers.write(prompt_for("by the sea"))
    assert [(one["event"], one["log_level"]) for one in logs if one["log_level"] != "debug"] == [
        ("model_failed", "warning")
    ]
