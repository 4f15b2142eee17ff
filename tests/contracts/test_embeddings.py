"""Whoever turns texts into vectors: one for each, in their order, of length 1, and never of a text that was cut."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from engine.errors import BadRequest, ModelUnavailable
from engine.language.embedders import asked_for
from engine.language.embedding import Own
from engine.language.embeddings import Embedder, Vector
from engine.language.embeddings_elsewhere import MOST_SENT, Elsewhere
from engine.language.vectors import Asked, Vectors
from engine.settings import ServerSettings, Settings
from tests.servers.openai import OpenAIServer

Made = Callable[[], Embedder]
LONG = "the light house by the sea " * 400


def same(one: Vector, other: Vector) -> bool:
    """What stands beside a text in a batch changes its last digits, the more the coarser the weights are."""
    return sum(a * b for a, b in zip(one, other, strict=True)) > 0.999


def own(path: Path) -> Own:
    return Own(path.stem, lambda go_on: Vectors.open(path, Asked(longest=512), progress=go_on))


@pytest.fixture(params=["bert_model", "pooled_model", "elsewhere"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Made]:
    made: list[Embedder] = []
    async with OpenAIServer(models=("measure",)) as server:
        if request.param == "elsewhere":
            settings = ServerSettings(address=server.address, embeddings="measure")
            opens: Callable[[], Embedder] = partial(Elsewhere, settings)
        else:
            opens = partial(own, request.getfixturevalue(request.param))

        def opened() -> Embedder:
            made.append(opens())
            return made[-1]

        yield opened
        for one in made:
            await one.close()


async def test_each_text_has_a_vector_of_length_one_in_its_place(make: Made) -> None:
    embedder = make()
    texts = ["the sea", "a roof in the morning", "the sea", "🌧️ café, ночью"]
    told = await embedder.embed(texts)
    assert len(told.vectors) == 4
    assert len({len(vector) for vector in told.vectors}) == 1
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-5) for vector in told.vectors)
    assert same(told.vectors[0], told.vectors[2])
    assert not same(told.vectors[0], told.vectors[1])
    assert told.tokens > 0


async def test_many_texts_keep_their_order(make: Made) -> None:
    embedder = make()
    texts = [f"the sea {number}" for number in range(MOST_SENT + 40)]
    told = await embedder.embed(texts)
    for place in (0, 31, 32, 255, 256, len(texts) - 1):
        alone = await embedder.embed([texts[place]])
        assert same(told.vectors[place], alone.vectors[0])
    assert not same(told.vectors[0], told.vectors[257])


async def test_whoever_asks_at_once_gets_their_own(make: Made) -> None:
    embedder = make()
    told = await asyncio.gather(*(embedder.embed([f"roof {number}", "the sea"]) for number in range(20)))
    assert all(same(one.vectors[1], told[0].vectors[1]) for one in told)
    for number in (0, 7, 19):
        alone = await embedder.embed([f"roof {number}"])
        assert same(told[number].vectors[0], alone.vectors[0])


@pytest.mark.parametrize("texts", [[LONG], ["the sea", LONG]])
async def test_what_is_too_long_is_refused_and_not_cut(make: Made, texts: list[str]) -> None:
    embedder = make()
    with pytest.raises(BadRequest):
        await embedder.embed(texts)
    assert (await embedder.embed(["the sea"])).vectors, "and others are served as before"


async def test_an_empty_text_is_refused_by_its_number(make: Made) -> None:
    with pytest.raises(BadRequest, match="Text 2 is empty"):
        await make().embed(["the sea", ""])


async def test_dimensions_are_as_many_as_were_asked_for_or_refused(make: Made) -> None:
    embedder = make()
    usual = len((await embedder.embed(["the sea"])).vectors[0])
    assert len((await embedder.embed(["the sea"], dimensions=usual)).vectors[0]) == usual
    if isinstance(embedder, Own):
        with pytest.raises(BadRequest, match=f"{usual} numbers"):
            await embedder.embed(["the sea"], dimensions=7)
    else:
        told = await embedder.embed(["the sea"], dimensions=7)
        assert len(told.vectors[0]) == 7
        assert math.hypot(*told.vectors[0]) == pytest.approx(1, abs=1e-5)


async def test_whoever_leaves_is_forgotten(make: Made) -> None:
    embedder = make()
    leaving = asyncio.create_task(embedder.embed(["the sea"] * 500))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await embedder.embed(["the sea"])).vectors


async def test_a_closed_one_makes_none(make: Made) -> None:
    embedder = make()
    await embedder.embed(["the sea"])
    await embedder.close()
    with pytest.raises(ModelUnavailable):
        await embedder.embed(["the sea"])


def test_the_settings_say_how_it_is_run() -> None:
    asked = asked_for(Settings())
    assert (asked.longest, asked.gpu_layers) == (8_192, -1)
    assert asked.threads >= 1
