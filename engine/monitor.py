"""How the machine is, GPU and system, and what one should do about it.

Looking never raises: what cannot be seen is None, or a reason. It knows nothing of who asks, nor what was rendered.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.locales import say
from engine.models.hardware import ram_bytes

PROC = Path("/proc")
CONTAINER = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Gpu:
    """Bytes, percent and degrees Celsius; None for what this card does not tell."""

    name: str
    used: int
    total: int
    busy: int | None = None
    temperature: int | None = None

    @property
    def share(self) -> float:
        return self.used / self.total if self.total else 0.0


@dataclass(frozen=True)
class System:
    """Bytes, and how many processes wanted a core at once in the last minute. None: this system does not tell."""

    memory: int
    memory_free: int | None
    cores: int
    load: float | None
    disk: int
    disk_free: int
    #: What one process takes, with its children.
    process: int | None


@dataclass(frozen=True)
class Machine:
    system: System
    gpus: tuple[Gpu, ...] = ()
    #: Why no GPU is seen, for a person.
    no_gpu: str = ""


def look(home: Path, process: int | None = None) -> Machine:
    """The machine at this moment; the home says which disk, `process` whose memory: else our own."""
    gpus, no_gpu = gpus_seen()
    return Machine(system(home, process or os.getpid()), gpus, no_gpu)


def gpus_seen() -> tuple[tuple[Gpu, ...], str]:
    """What the driver tells of its cards; or none, and why."""
    try:
        import pynvml
    except ImportError:
        return (), say("status.no_gpu.not_installed")
    try:
        pynvml.nvmlInit()
    except Exception as error:  # whatever a driver, or half of one, comes up with
        return (), say("status.no_gpu.no_answer", why=_words(error))
    try:
        cards = tuple(_cards(pynvml))
    except Exception as error:
        return (), say("status.no_gpu.silent", why=_words(error))
    finally:
        _told(pynvml.nvmlShutdown)
    return cards, "" if cards else say("status.no_gpu.no_card")


def gpu_free() -> int | None:
    """Bytes of the first GPU that nobody holds; None where there is none, or it does not say."""
    cards, _why = gpus_seen()
    return cards[0].total - cards[0].used if cards else None


def _cards(driver: Any) -> Iterator[Gpu]:
    for number in range(driver.nvmlDeviceGetCount()):
        card = driver.nvmlDeviceGetHandleByIndex(number)
        name = driver.nvmlDeviceGetName(card)
        memory = _told(driver.nvmlDeviceGetMemoryInfo, card)
        rates = _told(driver.nvmlDeviceGetUtilizationRates, card)
        yield Gpu(
            name=name.decode(errors="replace") if isinstance(name, bytes) else str(name),
            used=int(memory.used) if memory else 0,
            total=int(memory.total) if memory else 0,
            busy=int(rates.gpu) if rates else None,
            temperature=_told(driver.nvmlDeviceGetTemperature, card, driver.NVML_TEMPERATURE_GPU),
        )


def _told(ask: Any, *about: Any) -> Any:
    """Not every card tells everything: a part of one has no temperature, one that shares memory no size."""
    try:
        return ask(*about)
    except Exception:
        return None


def _words(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def system(home: Path, process: int) -> System:
    near = next((folder for folder in (home, *home.parents) if folder.is_dir()), Path())
    try:
        disk = shutil.disk_usage(near)
        total, free = disk.total, disk.free
    except OSError:
        total = free = 0
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        load = None
    return System(
        memory=ram_bytes(),
        memory_free=memory_free(),
        cores=os.cpu_count() or 1,
        load=load,
        disk=total,
        disk_free=free,
        process=process_bytes(process),
    )


def memory_free(proc: Path = PROC, container: Path = CONTAINER) -> int | None:
    """What could still be taken: of the machine, or of the container's share where that is less."""
    free: int | None = None
    for line in _lines(proc / "meminfo"):
        name, _, amount = line.partition(":")
        if name == "MemAvailable" and amount.split()[:1]:
            free = _number(amount.split()[0], times=1024)
    share = _number("".join(_lines(container / "memory.max")))
    taken = _number("".join(_lines(container / "memory.current")))
    if share is None or taken is None:
        return free
    # What only remembers files is given back when somebody needs it.
    for line in _lines(container / "memory.stat"):
        name, _, amount = line.partition(" ")
        if name == "inactive_file":
            taken -= _number(amount) or 0
    left = max(0, share - taken)
    return left if free is None else min(free, left)


def process_bytes(process: int, proc: Path = PROC) -> int | None:
    """The memory that a process and all its children hold; None where that is not told, or it has ended."""
    parents: dict[int, int] = {}
    try:
        there = [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        return None
    for one in there:
        # The name before the last bracket may hold anything.
        told = "".join(_lines(proc / str(one) / "stat")).rpartition(")")[2].split()
        if len(told) > 1 and (parent := _number(told[1])) is not None:
            parents[one] = parent
    if process not in parents:
        return None
    family, new = {process}, {process}
    while new:
        new = {one for one, parent in parents.items() if parent in new} - family
        family |= new
    return sum(_resident(proc / str(one)) for one in family)


def _resident(process: Path) -> int:
    told = "".join(_lines(process / "statm")).split()
    pages = _number(told[1]) if len(told) > 1 else None
    return (pages or 0) * os.sysconf("SC_PAGE_SIZE")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def _number(told: str, times: int = 1) -> int | None:
    try:
        return int(told.strip()) * times
    except ValueError:
        return None
