"""What a pass took at its peak is measured where that can be, and not made up where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.pictures.sdxl.peak import PROC, Peak

MEBIBYTE = 1024**2
measures = pytest.mark.skipif(
    not (PROC / "clear_refs").exists(), reason="this system does not tell how large a process was"
)


def measured(before: int, then: int) -> dict[str, Any]:
    """What is told where so many MiB were taken and let go before, and so many then.

    In a process of its own: what others leave in this one comes and goes meanwhile.
    """
    program = (
        "import json, sys\n"
        "from engine.pictures.sdxl.peak import Peak\n"
        "took = lambda size: len(b'x' * size * 1024**2)\n"
        "took(int(sys.argv[1]))\n"
        "peak = Peak('cpu')\n"
        "took(int(sys.argv[2]))\n"
        "print(json.dumps(peak.facts()))\n"
    )
    asked = [sys.executable, "-c", program, str(before), str(then)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@measures
def test_what_was_taken_and_let_go_counts() -> None:
    memory = measured(0, 200)["memory"]
    assert memory["of"] == "process"
    assert 195 * MEBIBYTE <= memory["peak"] <= 600 * MEBIBYTE


@measures
def test_what_was_taken_before_does_not_count() -> None:
    assert measured(400, 20)["memory"]["peak"] < 200 * MEBIBYTE


@pytest.mark.parametrize(
    "status", ["", "VmRSS:\t soon kB\n", "VmRSS:\t 100 kB\n"], ids=["nothing", "no number", "half of it"]
)
def test_where_a_system_does_not_say_it_nothing_is_told(tmp_path: Path, status: str) -> None:
    (tmp_path / "status").write_text(status)
    assert Peak("cpu", tmp_path).facts() == {}
    assert Peak("cpu", tmp_path / "none").facts() == {}


def test_a_device_that_keeps_no_count_tells_nothing() -> None:
    assert Peak("mps").facts() == {}
