"""The page of a house, and a house's app without it; who comes to them. Tests that want others make their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI

from bot.house import House
from engine.engine import Engine
from engine.store import personas
from tests.bot.web.programs import program
from tests.bot.web.tabs import Visitor, page_of
from tests.bot.web.visitors import SECRET, app_of, with_key
from tests.working import working


@pytest.fixture
async def page(house: House) -> AsyncIterator[Visitor]:
    async with page_of(house) as visitor:
        yield visitor


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    """Nobody works on anything there unless a test says so."""
    return app_of(engine)


@pytest.fixture
async def operator(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The operator's program: it may do everything."""
    async with with_key(app, SECRET) as opened:
        yield opened


@pytest.fixture
async def at_work(engine: Engine) -> AsyncIterator[None]:
    """What is asked for is made."""
    async with working(engine):
        yield


@pytest.fixture
async def slug(engine: Engine) -> str:
    async with engine.database.read() as tx:
        return (await personas.find(tx, "glenys")).persona.slug


@pytest.fixture
async def client(engine: Engine, app: FastAPI) -> AsyncIterator[AsyncOpenAI]:
    async with program(engine, app) as opened:
        yield opened
