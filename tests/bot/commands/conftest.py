"""Two who are alone with the house, and two who are in one place with others."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from tests.bot.commands.guest import ANA, BEN, HALL, Guest


@pytest.fixture
def ana(engine: Engine) -> Guest:
    return Guest(engine)


@pytest.fixture
def ben(engine: Engine) -> Guest:
    return Guest(engine, BEN)


@pytest.fixture
def ana_in_hall(engine: Engine) -> Guest:
    return Guest(engine, ANA, HALL, shared=True)


@pytest.fixture
def ben_in_hall(engine: Engine) -> Guest:
    return Guest(engine, BEN, HALL, shared=True)
