"""What several tests of the engine stand on: tiny picture models, the understudy, a house on each kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.engine import Engine
from engine.language.understudy import Understudy
from engine.settings import Settings
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.posts_stage import stored_in
from tests.models.sdxl import KINDS, write_sdxl

if TYPE_CHECKING:
    from engine.pictures.sdxl.renderer import Sdxl


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture model of each kind, in folders that are called by it."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, kind in enumerate(KINDS):
        write_sdxl(folder / kind, kind=kind, seed=number)
    return folder


@pytest.fixture(scope="module")
def sdxl(models: Path) -> Iterator[Sdxl]:
    """The larger of them, on the processor, with all the memory that it wants."""
    from engine.pictures.sdxl.finding import look
    from engine.pictures.sdxl.renderer import Sdxl

    renderer = Sdxl(look(models / "base"), device="cpu")
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def understudy() -> Understudy:
    return Understudy()


@pytest.fixture
async def stored_engine(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer, database_url: str
) -> AsyncIterator[Engine]:
    """As `engine`, once with its rows in SQLite and once in PostgreSQL."""
    kept = stored_in(settings, database_url)
    async with Engine.open(kept, models=[language], renderer=renderer, clock=ManualClock()) as opened:
        yield opened
