"""Small copies of pictures, made when somebody first looks and kept beside the home's other things; gone with theirs.

It stands before the files: whoever deletes a file by it, or puts another in its place, need not think of this.
What is kept here can be made anew: a house that loses it is only slower.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import structlog
from PIL import Image

from engine.errors import NotFound
from engine.locales import say
from engine.pictures.atelier import Atelier
from engine.store.files import Files
from engine.unbroken import unbroken

log = structlog.get_logger(__name__)

#: The longer side of a small copy, in pixels.
SIDE = 384
QUALITY = 80
#: Whatever changes what small copies look like changes this, so that the old ones are not shown.
KIND = f"{SIDE}-1"


class Thumbs:
    def __init__(self, files: Files, folder: Path, atelier: Atelier) -> None:
        self._files = files
        self._folder = folder
        self._atelier = atelier
        #: What is being made just now: whoever else wants it waits for the same.
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def small(self, key: str) -> bytes:
        """A WebP of the picture under this key. Raises `NotFound` where there is none, or none that can be read."""
        path = self._path(key)
        with suppress(OSError):
            return await asyncio.to_thread(path.read_bytes)
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(self._made(key, path))
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def _made(self, key: str, path: Path) -> bytes:
        whole = await self._files.get(key)
        try:
            small = await self._atelier.do(shrunk, len(whole), whole)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            log.warning("picture_not_readable", file=key)
            raise NotFound(say("pictures.no_picture_file", name=key)) from None
        try:
            await asyncio.to_thread(_kept, path, small)
        except OSError as error:
            log.warning("thumb_not_kept", file=key, cause=error.strerror)
        return small

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{KIND}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return self._folder / name[:2] / f"{name}.webp"

    async def _forget(self, key: str) -> None:
        if (task := self._making.get(key)) is not None:
            # Left alone it would keep what is to be gone.
            await asyncio.wait([task])
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    # As files are

    async def put(self, key: str, data: bytes) -> None:
        await self._files.put(key, data)
        await self._forget(key)

    async def get(self, key: str) -> bytes:
        return await self._files.get(key)

    async def delete(self, key: str) -> None:
        await self._files.delete(key)
        await unbroken(self._forget(key))

    def keys(self, prefix: str = "") -> AsyncIterator[str]:
        return self._files.keys(prefix)

    def path(self, key: str) -> Path | None:
        return self._files.path(key)

    async def link(self, key: str) -> str | None:
        return await self._files.link(key)


def shrunk(picture: bytes) -> bytes:
    with Image.open(BytesIO(picture)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = BytesIO()
    small.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()


def _kept(path: Path, data: bytes) -> None:
    """All of it or nothing: whoever looks meanwhile sees none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
