"""Programs made for OpenAI's API, and the houses that they talk to: the package itself, on a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from engine.engine import Engine
from engine.language import ReplyWanted
from engine.settings import Settings
from engine.store.records import Scope
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.bot.web.visitors import a_key, app_of, served

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there."}]


@asynccontextmanager
async def program(engine: Engine, app: FastAPI, *scopes: Scope) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's package, with a key of this house."""
    word, _ = await a_key(engine, *(scopes or (Scope.CHAT, Scope.MAKE)))
    async with (
        served(app) as port,
        AsyncOpenAI(api_key=word, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0) as client,
    ):
        yield client


def asked(language: FakeLanguage) -> ReplyWanted:
    """What the model was asked for last."""
    last = language.asked[-1]
    assert isinstance(last, ReplyWanted)
    return last


def prompt(language: FakeLanguage) -> str:
    return "\n".join(one.text for one in asked(language).segments)


class Noting(FakeLanguage):
    """Notes when it is told to stop."""

    stopped = 0

    async def write(self, wanted: Any) -> Any:
        try:
            async for piece in super().write(wanted):
                yield piece
        finally:
            self.stopped += 1


@asynccontextmanager
async def house(settings: Settings, *models: FakeLanguage) -> AsyncIterator[tuple[Engine, AsyncOpenAI]]:
    async with (
        Engine.open(settings, models=models, renderer=FakeRenderer(), clock=ManualClock()) as engine,
        program(engine, app_of(engine)) as client,
    ):
        yield engine, client


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.01)
