"""A real house on loopback, and a real Chromium that looks at its page."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from bot.house import House, open_house
from engine.settings import Settings
from engine.testing import FakeLanguage, FakeRenderer
from tests.browser.held import Held
from tests.browser.tabs import Visitor

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Any]:
    """One browser for all tests; each has a profile of its own in it."""
    pytest.importorskip("playwright", reason="playwright drives the browser: pip install playwright")
    from playwright.async_api import async_playwright, expect

    # What is waited for comes late on a machine that is busy with the other tests.
    expect.set_options(timeout=20_000)
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip("There is no Chromium here: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def house(settings: Settings, language: FakeLanguage, renderer: FakeRenderer) -> AsyncIterator[House]:
    async with open_house(settings, models=[language], renderer=renderer) as opened:
        yield opened


@pytest.fixture
def held() -> Iterator[Held]:
    renderer = Held()
    yield renderer
    renderer.may.set()


@pytest_asyncio.fixture(loop_scope="session")
async def held_house(settings: Settings, language: FakeLanguage, held: Held) -> AsyncIterator[House]:
    async with open_house(settings, models=[language], renderer=held) as opened:
        yield opened
        held.may.set()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Any) -> AsyncIterator[Visitor]:
    """Somebody with a browser. What goes wrong in it fails the test."""
    made = Visitor(chromium)
    yield made
    await made.close()
    assert made.faults == []
