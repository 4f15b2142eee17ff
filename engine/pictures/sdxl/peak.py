"""How much memory a pass takes at its peak: of the GPU all that torch holds there, else what the process grows by.

What shares that memory meanwhile it cannot tell apart. Where nobody can say, nothing is told. It knows no pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: What Linux says of this process.
PROC = Path("/proc/self")
#: Written to `clear_refs`, the most that a process ever held is what it holds now.
_ANEW = "5\n"


class Peak:
    """From its making on. One at a time: the marks that it sets are there once for the whole process."""

    def __init__(self, device: str, proc: Path = PROC) -> None:
        """`device`: `cuda`, `mps` or `cpu`, whatever stands behind it."""
        self._device = device.split(" ")[0].split(":")[0]
        self._proc = proc
        self._before: int | None = None
        if self._device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        elif self._device == "cpu":
            self._before = self._begun()

    def facts(self) -> dict[str, Any]:
        """As a picture's row keeps it: so many bytes, and of what; nothing where nobody knows."""
        if self._device == "cuda":
            import torch

            return {"memory": {"peak": torch.cuda.max_memory_allocated(), "of": "gpu"}}
        most = None if self._before is None else self._told("VmHWM")
        if self._before is None or most is None:
            return {}
        return {"memory": {"peak": max(0, most - self._before), "of": "process"}}

    def _begun(self) -> int | None:
        """What the process holds; None where its largest size cannot be measured from now on."""
        try:
            (self._proc / "clear_refs").write_text(_ANEW, encoding="ascii")
        except OSError:
            return None
        return self._told("VmRSS")

    def _told(self, name: str) -> int | None:
        try:
            lines = (self._proc / "status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return None
        for line in lines:
            words = line.split()
            if words[:1] == [f"{name}:"] and len(words) == 3 and words[1].isdigit():
                return int(words[1]) * 1024
        return None
