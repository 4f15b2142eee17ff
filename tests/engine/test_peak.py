"""What a pass took at its peak is measured where that can be, and not made up where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.pictures.sdxl.peak import PROC, Peak

MEBIBYTE = 1024**2
measures = pytest.mark.skipif(
    not (PROC / "clear_refs").exists(), reason="this system does not tell how large a process was"
)


def took(size: int) -> int:
    """Takes so much, and lets it go again."""
    return len(b"x" * size)


@measures
def test_what_was_taken_and_let_go_counts() -> None:
    peak = Peak("cpu")
    took(200 * MEBIBYTE)
    memory = peak.facts()["memory"]
    assert memory["of"] == "process"
    assert 195 * MEBIBYTE <= memory["peak"] <= 600 * MEBIBYTE


@measures
def test_what_was_taken_before_does_not_count() -> None:
    took(400 * MEBIBYTE)
    peak = Peak("cpu")
    took(20 * MEBIBYTE)
    assert peak.facts()["memory"]["peak"] < 200 * MEBIBYTE


@pytest.mark.parametrize(
    "status", ["", "VmRSS:\t soon kB\n", "VmRSS:\t 100 kB\n"], ids=["nothing", "no number", "half of it"]
)
def test_where_a_system_does_not_say_it_nothing_is_told(tmp_path: Path, status: str) -> None:
    (tmp_path / "status").write_text(status)
    assert Peak("cpu", tmp_path).facts() == {}
    assert Peak("cpu", tmp_path / "none").facts() == {}


def test_a_device_that_keeps_no_count_tells_nothing() -> None:
    assert Peak("mps").facts() == {}
