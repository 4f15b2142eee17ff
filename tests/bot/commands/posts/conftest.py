"""A house that Ana runs, in Berlin, on a clock that is turned by hand."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.settings import PeopleSettings, PostSettings, SafetySettings, Settings
from engine.testing import ManualClock


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ana runs this house; it stands in Berlin, and has words that it does not want."""
    return settings.model_copy(
        update={
            "people": PeopleSettings(operators=("stage:ana",)),
            "posts": PostSettings(zone="Europe/Berlin"),
            "safety": SafetySettings(blocked_words=("turnip",)),
        }
    )


@pytest.fixture
def clock(engine: Engine) -> ManualClock:
    assert isinstance(engine.clock, ManualClock)
    return engine.clock
