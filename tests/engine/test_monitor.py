"""Looking at the machine: what is there is told, what is not is said to be missing, and nothing is ever raised."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import monitor
from engine.monitor import Gpu, gpus_seen, look, memory_free, process_bytes

MEGABYTE = 1_000_000


class Driver(SimpleNamespace):
    """NVIDIA's library as far as it is asked, with cards that tell what they are told to."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *cards: dict[str, Any], starts: Exception | None = None) -> None:
        super().__init__(cards=cards, starts=starts, open=0)

    def nvmlInit(self) -> None:
        if self.starts:
            raise self.starts
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> dict[str, Any]:
        card: dict[str, Any] = self.cards[number]
        return card

    def nvmlDeviceGetName(self, card: dict[str, Any]) -> object:
        return self._of(card, "name")

    def nvmlDeviceGetMemoryInfo(self, card: dict[str, Any]) -> object:
        return self._of(card, "memory")

    def nvmlDeviceGetUtilizationRates(self, card: dict[str, Any]) -> object:
        return self._of(card, "rates")

    def nvmlDeviceGetTemperature(self, card: dict[str, Any], _which: int) -> object:
        return self._of(card, "temperature")

    def _of(self, card: dict[str, Any], what: str) -> object:
        if what not in card:
            raise RuntimeError("Not Supported")
        return card[what]


def seen_by(driver: object, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[Gpu, ...], str]:
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    return gpus_seen()


WHOLE = {
    "name": "NVIDIA H100",
    "memory": SimpleNamespace(used=40 * 10**9, total=80 * 10**9),
    "rates": SimpleNamespace(gpu=73, memory=20),
    "temperature": 64,
}


def test_a_card_is_told_whole_and_one_that_tells_less_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(WHOLE, {"name": b"A part of one"})
    assert seen_by(driver, monkeypatch) == (
        (Gpu("NVIDIA H100", 40 * 10**9, 80 * 10**9, 73, 64), Gpu("A part of one", 0, 0)),
        "",
    )
    assert driver.open == 0, "and the driver is let go"


def test_a_card_without_a_size_is_not_full() -> None:
    assert Gpu("shared", 0, 0).share == 0.0


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (None, "not installed"),
        (Driver(starts=RuntimeError("Driver Not Loaded")), "Driver Not Loaded"),
        (Driver({"memory": WHOLE["memory"]}), "Not Supported"),
        (Driver(), "no card"),
    ],
)
def test_where_no_gpu_is_seen_it_is_said_why(
    driver: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus, reason = seen_by(driver, monkeypatch)
    assert gpus == ()
    assert why in reason


def test_this_machine_is_looked_at_without_raising(tmp_path: Path) -> None:
    machine = look(tmp_path / "not" / "yet" / "there")
    assert bool(machine.gpus) != bool(machine.no_gpu)
    assert 0 < machine.system.disk_free <= machine.system.disk
    assert machine.system.memory > 0
    assert machine.system.cores >= 1


@pytest.mark.skipif(not monitor.PROC.is_dir(), reason="only Linux has /proc")
def test_a_process_is_counted_as_others_count_it() -> None:
    ours = psutil.Process()
    expected = ours.memory_info().rss + sum(one.memory_info().rss for one in ours.children(recursive=True))
    told = process_bytes(os.getpid())
    assert told is not None
    assert told == pytest.approx(expected, rel=0.05)


def process(proc: Path, number: int, parent: int, pages: int, name: str = "python") -> None:
    folder = proc / str(number)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{number} ({name}) S {parent} 1 1 0")
    (folder / "statm").write_text(f"999 {pages} 3 1 0 9 0")


def test_children_count_with_their_process_and_others_do_not(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, 100)
    process(tmp_path, 11, 10, 20, name="a (b) c) S 99")
    process(tmp_path, 12, 11, 3)
    process(tmp_path, 13, 1, 4_000)
    (tmp_path / "meminfo").write_text("not a process")
    (tmp_path / "14").mkdir()  # it ended just now
    page = os.sysconf("SC_PAGE_SIZE")
    assert process_bytes(10, tmp_path) == 123 * page
    assert process_bytes(14, tmp_path) is None
    assert process_bytes(10, tmp_path / "nowhere") is None


def test_a_container_has_no_more_than_its_share(tmp_path: Path) -> None:
    proc, container = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir()
    container.mkdir()
    assert memory_free(proc, container) is None
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert memory_free(proc, container) == 5_000 * 1024
    (container / "memory.max").write_text("max\n")
    (container / "memory.current").write_text("1000\n")
    assert memory_free(proc, container) == 5_000 * 1024
    (container / "memory.max").write_text(f"{3 * MEGABYTE}\n")
    (container / "memory.current").write_text(f"{2 * MEGABYTE}\n")
    (container / "memory.stat").write_text("anon 7\ninactive_file 500000\nactive_file 1\n")
    assert memory_free(proc, container) == MEGABYTE + 500_000


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_system_writes_there_nothing_is_raised(
    tmp_path_factory: pytest.TempPathFactory, memory: str, stat: str
) -> None:
    proc = tmp_path_factory.mktemp("proc")
    (proc / "7").mkdir()
    (proc / "meminfo").write_text(f"MemAvailable:{memory}", encoding="utf-8", errors="replace")
    (proc / "7" / "stat").write_text(stat, encoding="utf-8", errors="replace")
    memory_free(proc, proc)
    process_bytes(7, proc)
