"""Which model makes embeddings: where it is found, when it is loaded, and when it leaves the memory."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli.writers import looked_at
from engine.broker import Broker
from engine.errors import BadRequest, ModelUnavailable, NotFound
from engine.language.embedders import Embedders
from engine.language.embedding import Own
from engine.language.embeddings_elsewhere import Elsewhere
from engine.language.scribe import State
from engine.language.vectors import Asked, Vectors
from engine.models import find_text, machine
from engine.models.measures import find_measures
from engine.models.overview import overview
from engine.settings import LanguageSettings, ServerSettings, Settings
from tests.engine.remote_opened import Restless
from tests.servers.openai import OpenAIServer, Script


def put(home: Path, model: Path, *folder: str) -> Path:
    place = home.joinpath("models", *folder)
    place.mkdir(parents=True)
    shutil.copy(model, place / f"{folder[-1]}.gguf")
    return place / f"{folder[-1]}.gguf"


def settings(home: Path, server: ServerSettings | None = None, **language: Any) -> Settings:
    return Settings(home=home, language=LanguageSettings(**language), server=server or ServerSettings())


@pytest.fixture
async def opened() -> AsyncIterator[list[Embedders]]:
    made: list[Embedders] = []
    yield made
    for one in made:
        await one.close()


def open_(opened: list[Embedders], told: Settings, **more: Any) -> Embedders:
    opened.append(Embedders(told, here=told.home / "elsewhere", **more))
    return opened[-1]


def test_they_are_found_in_the_documented_order(
    tmp_path: Path, bert_model: Path, pooled_model: Path, tiny_model: Path
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    put(here, bert_model, "embedding", "d")
    put(home, tiny_model, "text", "writes")
    put(home, tiny_model, "c-writes")
    put(home, pooled_model, "b")
    put(home, tiny_model, "embedding", "a")
    named = put(tmp_path, bert_model, "z")
    found = [one.name for one in find_measures(home, here, str(named))]
    assert found == ["z", "a", "b", "d"], "what lies among them is meant; elsewhere the file has to say so"
    assert [one.name for one in find_text(home, here)] == ["writes", "c-writes"], "and none of those writes"


async def test_the_first_that_is_found_is_taken_and_a_named_one_before(
    tmp_path: Path, opened: list[Embedders], bert_model: Path
) -> None:
    put(tmp_path, bert_model, "embedding", "alpha")
    path = put(tmp_path, bert_model, "embedding", "beta")
    for told, name in (("", "alpha"), ("Beta", "beta"), (str(path), "beta")):
        made = open_(opened, settings(tmp_path, embeddings=told))
        assert await made.names() == [name]
        assert (await made.named(f"{name.upper()}.gguf")).name == name


async def test_where_there_is_none_it_is_said_how_to_get_one(tmp_path: Path, opened: list[Embedders]) -> None:
    with pytest.raises(NotFound, match="greenroom models pull nomic-embed"):
        await open_(opened, settings(tmp_path)).named("text-embedding-3-small")
    with pytest.raises(NotFound, match="“gone”"):
        await open_(opened, settings(tmp_path, embeddings="gone")).named("gone")
    with pytest.raises(NotFound, match="off"):
        await open_(opened, settings(tmp_path, models="off")).named("gone")


async def test_nobody_stands_in_for_another(
    tmp_path: Path, opened: list[Embedders], bert_model: Path
) -> None:
    put(tmp_path, bert_model, "embedding", "alpha")
    server = ServerSettings(address="http://127.0.0.1:1/v1", embeddings="measure")
    made = open_(opened, settings(tmp_path, server))
    assert await made.names() == ["alpha", "measure"]
    with pytest.raises(NotFound, match="Ask for alpha, measure"):
        await made.named("text-embedding-3-small")
    assert (await made.named("alpha")).name == "alpha"
    assert (await made.named("Measure")).name == "measure"


async def test_it_is_loaded_for_the_first_text_and_leaves_when_nobody_asks(bert_model: Path) -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def left() -> None:
        loop.call_soon_threadsafe(gone.set)

    model = Own(
        "bert",
        lambda go_on: Vectors.open(bert_model, Asked(), progress=go_on),
        idle=0.05,
        gone=left,
    )
    assert model.state is State.ASLEEP
    first = await model.embed(["the sea"])
    await asyncio.wait_for(gone.wait(), 20)
    assert model.state is State.ASLEEP
    assert (await model.embed(["the sea"])).vectors == first.vectors, "and it comes back"
    await model.close()


async def test_whoever_needs_the_memory_gets_it_when_nobody_asks(
    tmp_path: Path, opened: list[Embedders], bert_model: Path
) -> None:
    free = [10_000_000]
    put(tmp_path, bert_model, "embedding", "alpha")
    broker = Broker(free=lambda: free[0], patience=0.2)
    broker.takes_part("pictures", let_go=lambda: True, busy=lambda: False)
    made = open_(opened, settings(tmp_path), broker=broker)
    model = await made.named("alpha")
    assert isinstance(model, Own)
    await model.embed(["the sea"])
    broker.holds("embeddings: alpha", 5_000_000)
    free[0] = 1_000_000
    assert await asyncio.to_thread(broker.make_room, "pictures", 4_000_000)
    assert model.state is State.ASLEEP
    assert (await model.embed(["the sea"])).vectors


async def test_whoever_waits_for_it_when_it_is_closed_is_told(bert_model: Path) -> None:
    loads, goes_on = threading.Event(), threading.Event()

    def open_model(_go_on: object) -> Vectors:
        loads.set()
        assert goes_on.wait(20)
        return Vectors.open(bert_model, Asked())

    model = Own("bert", open_model)
    asks = [asyncio.create_task(model.embed(["the sea"]))]
    assert await asyncio.to_thread(loads.wait, 20)
    asks += [asyncio.create_task(model.embed(["a roof"])) for _ in range(3)]
    await asyncio.sleep(0)  # they have asked, and it has not looked yet
    closing = asyncio.create_task(model.close())
    await asyncio.sleep(0)
    goes_on.set()
    await closing
    async with asyncio.timeout(20):
        told = await asyncio.gather(*asks, return_exceptions=True)
    assert [isinstance(one, ModelUnavailable) for one in told] == [False, True, True, True]
    assert await asyncio.to_thread(model.rest), "and it holds no memory that somebody would have to wait for"


async def test_one_text_does_not_wait_for_the_many_of_others(bert_model: Path) -> None:
    model = Own("bert", lambda go_on: Vectors.open(bert_model, Asked(), progress=go_on))
    done: list[str] = []

    async def ask(name: str, texts: list[str]) -> None:
        await model.embed(texts)
        done.append(name)

    long = "sea " * 30  # so that not one of each fits into a batch
    many = [ask(f"many {number}", [long] * 20) for number in range(8)]
    await asyncio.gather(*many, ask("one", [long]))
    assert done[0] == "one"
    await model.close()


async def test_one_that_cannot_be_loaded_says_why_and_is_not_tried_at_once_again(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF and nothing else")
    tried = []

    def open_model(_go_on: object) -> Vectors:
        tried.append(1)
        return Vectors.open(tmp_path / "bad.gguf", Asked())

    model = Own("bad", open_model)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="cannot be loaded"):
            await model.embed(["the sea"])
    assert tried == [1]
    assert model.state is State.BROKEN
    await model.close()


async def test_a_text_that_is_far_too_long_is_not_even_read(bert_model: Path) -> None:
    model = Own("bert", lambda go_on: Vectors.open(bert_model, Asked(), progress=go_on))
    with pytest.raises(BadRequest, match="30,000,000 letters"):
        await model.embed(["a" * 30_000_000])
    with pytest.raises(BadRequest, match=r"Text 2 has \d+ tokens, and bert reads 128"):
        await model.embed(["a", "sea " * 150])
    await model.close()


async def test_passing_trouble_of_a_server_is_waited_out() -> None:
    async with OpenAIServer(models=("measure",)) as server:
        clock = Restless()
        model = Elsewhere(ServerSettings(address=server.address, embeddings="measure"), clock)
        server.script(Script(status=503), Script(status=429, headers={"Retry-After": "2"}))
        assert len((await model.embed(["the sea"])).vectors) == 1
        assert clock.slept == [0.5, 2.0]
        server.script(*[Script(status=500)] * 4)
        with pytest.raises(ModelUnavailable, match="cannot answer now"):
            await model.embed(["the sea"])
        await model.close()


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"data": []}',
        b'{"data": [{"embedding": "no base64"}]}',
        b'{"data": [{"embedding": [0, 0]}]}',
        b'{"data": [{"embedding": [null]}]}',
        b'{"data": [{"index": 3, "embedding": [1]}]}',
        b'{"data": [{"embedding": [1e999]}]}',
        b"<html>",
    ],
)
async def test_a_server_that_answers_with_something_else_is_told(body: bytes) -> None:
    async with OpenAIServer(models=("measure",)) as server:
        model = Elsewhere(ServerSettings(address=server.address, embeddings="measure"))
        server.script(Script(body=body))
        with pytest.raises(ModelUnavailable):
            await model.embed(["the sea"])
        await model.close()


async def test_a_server_without_such_a_model_is_told_by_its_setting() -> None:
    async with OpenAIServer(models=("tiny",)) as server:
        model = Elsewhere(ServerSettings(address=server.address, embeddings="measure"))
        with pytest.raises(ModelUnavailable, match=r"server\.embeddings"):
            await model.embed(["the sea"])
        await model.close()


async def test_doctor_and_the_list_of_models_show_it(tmp_path: Path, bert_model: Path) -> None:
    put(tmp_path, bert_model, "embedding", "alpha")
    told = settings(tmp_path)
    row = next(one for one in overview(told, machine()).rows if one.id == "alpha")
    assert (row.kind, row.in_use, row.installed) == ("embedding", True, True)
    said = [text for _, text, _ in await looked_at(told, tries=True)]
    assert any(text.startswith("embeddings: alpha is the first") for text in said)
    assert any(text.startswith("alpha made 64 numbers") for text in said)
