"""What several tests of the engine stand on: tiny models for pictures, and the understudy."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.language.understudy import Understudy
from tests.models.sdxl import KINDS, write_sdxl


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture model of each kind, in folders that are called by it."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, kind in enumerate(KINDS):
        write_sdxl(folder / kind, kind=kind, seed=number)
    return folder


@pytest.fixture(scope="module")
def understudy() -> Understudy:
    return Understudy()
