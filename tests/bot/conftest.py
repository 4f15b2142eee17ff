"""An open house; and homes for the command line: one that is new, one that several look at, and its owner."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.house import House, open_house
from engine.settings import Settings
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.command_line import Greenroom, until, with_two_places


@pytest.fixture
async def house(settings: Settings, language: FakeLanguage, renderer: FakeRenderer) -> AsyncIterator[House]:
    """Everything in it is real but the models."""
    async with open_house(settings, models=[language], renderer=renderer) as opened:
        yield opened


@pytest.fixture
def greenroom(tmp_path: Path) -> Greenroom:
    return Greenroom(tmp_path)


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Greenroom:
    """A home that several tests only look at, or add to."""
    greenroom = Greenroom(tmp_path_factory.mktemp("lived-in"))
    assert greenroom("personas", "list").returncode == 0
    return greenroom


@pytest.fixture(scope="module")
def owner(lived_in: Greenroom) -> Iterator[subprocess.Popen[str]]:
    """A running `greenroom up` on the home that is lived in. At its end it closes in order, whatever was asked."""
    process = lived_in.starts("up")
    until(process, "Open.")
    yield process
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in log


@pytest.fixture
def two_places(greenroom: Greenroom) -> None:
    with_two_places(greenroom)
