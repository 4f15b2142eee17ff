"""A model on a server of the tests: the fixtures that open it, and what is wanted of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from engine.language import PromptWanted, ReplyWanted, Wanted
from engine.language.mending import FIELDS
from engine.language.remote import Remote
from engine.settings import LanguageSettings, ServerSettings
from engine.testing import ManualClock
from personas.appearance import Ledger, Scene
from personas.persona import Persona
from personas.prompting import Line, Reach, Segment
from tests.servers.openai import OpenAIServer

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


@pytest.fixture(name="server")
async def a_server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as opened:
        yield opened


@pytest.fixture(name="clock")
def a_clock() -> Restless:
    return Restless()


@pytest.fixture(name="opened")
async def opened_models(server: OpenAIServer, clock: Restless) -> AsyncIterator[Opened]:
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
