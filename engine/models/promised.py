"""What the hub promises of a file, and whether what came is that. Nothing here is fetched."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class HubFile:
    """One file as the hub promises it. Large ones have a `sha256`; small ones git's own fingerprint, `blob`."""

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Listing:
    revision: str
    files: tuple[HubFile, ...]


class Fingerprint:
    """What a file is, computed while it comes: its SHA-256, and git's where that is what the hub promised."""

    def __init__(self, promised: HubFile) -> None:
        self._promised = promised
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % promised.size, usedforsecurity=False)

    def update(self, block: bytes) -> None:
        self._sha256.update(block)
        if not self._promised.sha256:
            self._git.update(block)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def is_as_promised(self) -> bool:
        if self._promised.sha256:
            return self.sha256 == self._promised.sha256
        return not self._promised.blob or self._git.hexdigest() == self._promised.blob

    async def read(self, path: Path, read: Callable[[int], None] | None = None) -> None:
        """Take in what is on the disk, leaving others a turn, so that it can be stopped."""
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                self.update(block)
                if read is not None:
                    read(len(block))
                await asyncio.sleep(0)


async def as_promised(path: Path, file: HubFile) -> Fingerprint | None:
    """The fingerprint of a file that is there as promised. Size alone would trust a disk that rots."""
    try:
        if size_of(path) != file.size:
            return None
        mark = Fingerprint(file)
        await mark.read(path)
    except OSError:
        return None
    return mark if mark.is_as_promised() else None


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
