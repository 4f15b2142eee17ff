"""A house's app, one of its cast, and OpenAI's package with a key of it. Tests that want others make their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI

from engine.engine import Engine
from engine.store import personas
from tests.bot.web.programs import program
from tests.bot.web.visitors import app_of


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    return app_of(engine)


@pytest.fixture
async def slug(engine: Engine) -> str:
    async with engine.database.read() as tx:
        return (await personas.find(tx, "glenys")).persona.slug


@pytest.fixture
async def client(engine: Engine, app: FastAPI) -> AsyncIterator[AsyncOpenAI]:
    async with program(engine, app) as opened:
        yield opened
