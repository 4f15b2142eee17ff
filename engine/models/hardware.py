"""What this machine has: memory, a GPU, room on its disk. It is asked without loading anything heavy."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: So long the driver may think about it, in seconds; one that hangs is as good as none.
DRIVER_SECONDS = 5.0


@dataclass(frozen=True)
class Machine:
    """Bytes. `gpu_bytes` is the memory of the largest single GPU; 0: there is none."""

    ram_bytes: int
    gpu_bytes: int = 0
    gpu_name: str = ""

    def disk_free(self, home: Path) -> int:
        """What is free where the home is, or would be."""
        near = next((folder for folder in (home, *home.parents) if folder.is_dir()), Path())
        return shutil.disk_usage(near).free


def machine() -> Machine:
    memory, name = _gpu()
    return Machine(ram_bytes(), memory, name)


def ram_bytes() -> int:
    """The memory that this process may have: a container's share, where that is less than the machine's."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # a system that does not say
        whole = 0
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            share = int(Path(file).read_text().strip())
        except (OSError, ValueError):  # not in a container, or one without a limit
            continue
        whole = min(whole or share, share)
    return whole


def _gpu() -> tuple[int, str]:
    asked = ["nvidia-smi", "--query-gpu=memory.total,name", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command, found on the path as the driver installs it
            asked, capture_output=True, text=True, errors="replace", timeout=DRIVER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0, ""
    return _largest(told.stdout) if told.returncode == 0 else (0, "")


def _largest(told: str) -> tuple[int, str]:
    """The GPU with the most memory, of the driver's lines `mebibytes, name`."""
    cards = []
    for line in told.splitlines():
        mebibytes, _, name = line.partition(",")
        if mebibytes.strip().isdigit():
            cards.append((int(mebibytes) * 1024 * 1024, name.strip()))
    return max(cards, default=(0, ""))
