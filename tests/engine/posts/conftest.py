"""A house that posts: it writes something else each time, and may have its rows where two can change them at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.engine import Engine
from engine.settings import Settings
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.posts_stage import Diarist, stored_in


@pytest.fixture
def language() -> FakeLanguage:
    return Diarist()


@pytest.fixture
async def shared(
    settings: Settings, language: FakeLanguage, postgres_url_with_tables: str
) -> AsyncIterator[Engine]:
    """A house on PostgreSQL, where two transactions run at the same time."""
    told = stored_in(settings, postgres_url_with_tables)
    async with Engine.open(told, models=[language], renderer=FakeRenderer(), clock=ManualClock()) as engine:
        yield engine
