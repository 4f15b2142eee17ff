"""The variables around a house: those of whoever runs the tests, without what would be settings of the house."""

from __future__ import annotations

import os

import pytest

_PREFIX = "GREENROOM_"


def bare(**more: str) -> dict[str, str]:
    """For a process of its own; `more` is added."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)} | more


def lay_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process, until the test is over."""
    for name in os.environ:
        if name.startswith(_PREFIX):
            monkeypatch.delenv(name)
