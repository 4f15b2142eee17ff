"""The engine's public names, and what looking at them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import engine


def test_every_public_name_is_there_and_no_other_is_promised() -> None:
    assert sorted(engine.__all__) == engine.__all__
    assert set(engine.__all__) == set(engine._WHERE)
    for name in engine.__all__:
        assert getattr(engine, name).__name__ == name or callable(getattr(engine, name))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = engine.nonsense


@pytest.mark.parametrize("module", ["engine", "bot", "personas", "bot.cli"])
def test_looking_in_imports_nothing_heavy(module: str) -> None:
    heavy = (
        "sqlalchemy",
        "fastapi",
        "uvicorn",
        "PIL",
        "httpx",
        "rich",
        "prompt_toolkit",
        "obstore",
        "pydantic",
    )
    code = f"import sys, {module}; print(sorted(set({heavy!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
