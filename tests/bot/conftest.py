"""Homes for the command line: one that is new, one that several tests look at, and its owner."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import chats, personas
from tests.bot.command_line import DEN, HALL, Greenroom, changed, until


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
    """A cast is in its home, and somebody of it in each of two places."""
    assert greenroom("personas", "list").returncode == 0

    async def places(tx: AsyncConnection) -> None:
        who = (await personas.listing(tx))[0]
        for ref in (DEN, HALL):
            await chats.add_place(tx, ref, persona_id=who.id, now=datetime.now(UTC), shared=True)

    changed(greenroom, places)
