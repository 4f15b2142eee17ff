"""Picture bytes, by key. The only file that knows obstore: a local folder now, a bucket by the same calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore

from engine.errors import NotFound, StoreError


class Files(Protocol):
    """Whole files under keys such as `pictures/ada/12-1_ada_noir.png`. A put is all or nothing."""

    async def put(self, key: str, data: bytes) -> None: ...

    async def get(self, key: str) -> bytes: ...

    async def delete(self, key: str) -> None: ...

    def keys(self, prefix: str = "") -> AsyncIterator[str]: ...

    def path(self, key: str) -> Path | None:
        """Where the file lies on this machine, if it lies on this machine."""


class StoredFiles:
    """Files in an obstore store."""

    def __init__(self, store: LocalStore | MemoryStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def in_folder(cls, folder: Path) -> StoredFiles:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(prefix=str(folder), mkdir=True), folder)
        except (OSError, BaseError) as error:
            raise StoreError(f"The folder {folder} cannot be used for pictures: {error}") from None

    @classmethod
    def in_memory(cls) -> StoredFiles:
        return cls(MemoryStore())

    async def put(self, key: str, data: bytes) -> None:
        try:
            await self._store.put_async(_checked(key), data)
            if self._folder:
                # A row that names a file is committed after this: no power cut leaves it a file without bytes. And
                # the database's next commit, for which somebody waits, does not have to write them too.
                await asyncio.to_thread(_on_disk, self._folder / key)
        except (OSError, BaseError) as error:
            raise StoreError(f"{key} could not be stored: {_cause(error)}") from error

    async def get(self, key: str) -> bytes:
        try:
            found = await self._store.get_async(_checked(key))
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            raise NotFound(f"There is no file {key}.") from None
        except (OSError, BaseError) as error:
            raise StoreError(f"{key} could not be read: {_cause(error)}") from error

    async def delete(self, key: str) -> None:
        try:
            await self._store.delete_async(_checked(key))
        except FileNotFoundError:
            return
        except (OSError, BaseError) as error:
            raise StoreError(f"{key} could not be deleted: {_cause(error)}") from error

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        async for batch in self._store.list(prefix or None):
            for found in batch:
                yield found["path"]

    def path(self, key: str) -> Path | None:
        checked = _checked(key)
        return self._folder / checked if self._folder else None


def _checked(key: str) -> str:
    """Keys are made by us, but of names that people chose: none may climb out of its folder."""
    parts = key.split("/")
    if not key.isprintable() or any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise StoreError(f"{key!r} cannot be the name of a file.")
    return key


def _on_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _cause(error: Exception) -> str:
    """The first line of a cause: what follows it is the library's own, for us and not for a person."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
