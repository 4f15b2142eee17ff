"""Picture bytes, by key. The only file that knows obstore: a local folder, or a bucket, by the same calls."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import quote

import structlog
from obstore import sign_async
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from engine.errors import GreenroomError, NotFound, SettingsError, StoreError
from engine.locales import say
from engine.settings import FileSettings
from engine.store.buckets import away, is_about_the_bucket, meaning, said_code
from engine.unbroken import unbroken

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

log = structlog.get_logger(__name__)

#: What is larger goes to a bucket in parts of this size; of an upload that fails no part is left.
PART = 8 * 1024 * 1024
#: A file is written under such a name beside its own, and gets its own when it is whole. No listing shows it.
_HALF = re.compile(r".+#\d+")
#: A request to a bucket is made so many times at most, with growing pauses in between.
TRIES = 3
FIRST_PAUSE = timedelta(milliseconds=200)
LONGEST_PAUSE = timedelta(seconds=2)
CONNECT_WITHIN = 5.0

KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def kind_of(key: str) -> str:
    """What a file is, by the end of its name, as browsers want to be told it."""
    return KINDS.get(PurePosixPath(key).suffix.lower(), "application/octet-stream")


class Files(Protocol):
    """Whole files under keys such as `pictures/ada/12-1_ada_noir.png`. A put is all or nothing."""

    async def put(self, key: str, data: bytes) -> None: ...

    async def get(self, key: str) -> bytes: ...

    async def delete(self, key: str) -> None: ...

    def keys(self, prefix: str = "") -> AsyncIterator[str]: ...

    def path(self, key: str) -> Path | None:
        """Where the file lies on this machine, if it lies on this machine."""

    async def link(self, key: str) -> str | None:
        """An address at which others can see the file; None where nobody can serve it but ourselves."""


class StoredFiles:
    """Files in an obstore store."""

    def __init__(
        self,
        store: LocalStore | MemoryStore | S3Store,
        folder: Path | None = None,
        *,
        public: str = "",
        signed_for: int = 0,
    ) -> None:
        self._store = store
        self._folder = folder
        #: Under this address everybody sees what is kept; empty: nobody does.
        self._public = public.rstrip("/")
        self._signed_for = timedelta(seconds=signed_for)

    @classmethod
    def in_folder(cls, folder: Path, public: str = "") -> Self:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(prefix=str(folder), mkdir=True), folder, public=public)
        except (OSError, BaseError) as error:
            raise StoreError(f"The folder {folder} cannot be used for pictures: {error}") from None

    @classmethod
    def in_memory(cls) -> Self:
        return cls(MemoryStore())

    @classmethod
    def in_bucket(cls, settings: FileSettings) -> Self:
        """Nothing is asked of the bucket yet: whether it is there shows when it is used."""
        try:
            store = _bucket(settings)
        except (BaseError, ValueError) as error:
            raise SettingsError(f"[files] cannot be used: {_cause(error)}") from None
        return cls(store, public=settings.public, signed_for=settings.signed_for)

    async def put(self, key: str, data: bytes) -> None:
        _checked(key)
        try:
            if isinstance(self._store, S3Store) and len(data) <= PART:
                await self._sent(key, data)
            else:
                # Given up in the middle, the parts of an upload would stay in the bucket for ever; and a disk goes on
                # writing, so a file would appear after whoever gave it up has deleted it.
                await unbroken(self._sent(key, data))
        except Exception as error:
            raise self._trouble(error, f"{key} could not be stored") from self._shown(error)

    async def _sent(self, key: str, data: bytes) -> None:
        if isinstance(self._store, S3Store):
            kind: Attributes = {"Content-Type": kind_of(key)}
            large = len(data) > PART
            await self._store.put_async(key, data, attributes=kind, use_multipart=large, chunk_size=PART)
            return
        await self._store.put_async(key, data)
        if self._folder:
            # A row that names a file is committed after this: no power cut leaves it a file without bytes. And
            # the database's next commit, for which somebody waits, does not have to write them too.
            await asyncio.to_thread(_on_disk, self._folder / key)

    async def get(self, key: str) -> bytes:
        _checked(key)
        try:
            found = await self._store.get_async(key)
            data = bytes(await found.bytes_async())
        except Exception as error:
            if self._is_missing(error):
                raise NotFound(say("files.no_file", name=key)) from None
            raise self._trouble(error, f"{key} could not be read") from self._shown(error)
        if len(data) != found.meta["size"]:
            raise away()
        return data

    async def delete(self, key: str) -> None:
        _checked(key)
        try:
            await self._store.delete_async(key)
        except Exception as error:
            if not self._is_missing(error):
                raise self._trouble(error, f"{key} could not be deleted") from self._shown(error)

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        try:
            async for batch in self._store.list(prefix or None):
                for found in batch:
                    yield found["path"]
        except Exception as error:
            raise self._trouble(error, "The files could not be listed") from self._shown(error)

    def path(self, key: str) -> Path | None:
        checked = _checked(key)
        return self._folder / checked if self._folder else None

    async def link(self, key: str) -> str | None:
        _checked(key)
        if self._public:
            return f"{self._public}/{quote(key)}"
        if not isinstance(self._store, S3Store):
            return None
        try:
            return await sign_async(self._store, "GET", key, self._signed_for)
        except Exception as error:
            raise self._trouble(error, f"{key} has no address") from None

    def _is_missing(self, error: Exception) -> bool:
        # A server says the same of a file and of a whole bucket that are not there.
        return isinstance(error, FileNotFoundError) and not is_about_the_bucket(str(error))

    def _trouble(self, error: Exception, what: str) -> GreenroomError:
        if not isinstance(self._store, S3Store):
            return StoreError(f"{what}: {_cause(error)}")
        if not isinstance(error, (OSError, BaseError)):
            # The library itself stumbled, over something in the settings or the environment.
            log.warning("bucket_not_asked", what=what, kind=type(error).__name__)
            return StoreError(say("files.not_asked", kind=type(error).__name__))
        meant = meaning(str(error))
        log.warning("bucket_refused", what=what, code=said_code(str(error)), kind=type(meant).__name__)
        return meant

    def _shown(self, error: Exception) -> Exception | None:
        """A bucket's refusal repeats what was signed, and that is nothing for a log."""
        return None if isinstance(self._store, S3Store) else error


def _bucket(settings: FileSettings) -> S3Store:
    # Half of its time for one request, so that there is a second one; the pauses are short beside that.
    half = timedelta(seconds=settings.patience / 2)
    client: ClientConfig = {
        "allow_http": settings.endpoint.startswith("http://"),
        "connect_timeout": min(half, timedelta(seconds=CONNECT_WITHIN)),
        "timeout": half,
    }
    retries: RetryConfig = {
        "max_retries": TRIES - 1,
        "retry_timeout": half,
        "backoff": {"init_backoff": FIRST_PAUSE, "max_backoff": LONGEST_PAUSE, "base": 2},
    }
    key: S3Credential = {
        "access_key_id": settings.access_key,
        "secret_access_key": settings.secret_key.get_secret_value(),
        "token": None,
        "expires_at": None,
    }
    places: S3Config = {}
    if settings.region:
        places["region"] = settings.region
    if settings.endpoint:
        places["endpoint"] = settings.endpoint
    return S3Store(
        settings.bucket,
        prefix=settings.prefix or None,
        config=places,
        client_options=client,
        retry_config=retries,
        # One by one: not every server knows how to delete several at once.
        disable_bulk_delete=True,
        # Given this way it mixes with nothing that the environment says of AWS; without it, that is what counts.
        credential_provider=(lambda: key) if settings.access_key else None,
    )


def _checked(key: str) -> str:
    """Keys are made by us, but of names that people chose: none may climb out of its folder."""
    parts = key.split("/")
    if not key.isprintable() or any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise StoreError(f"{key!r} cannot be the name of a file.")
    return key


async def clear_halves(folder: Path) -> int:
    """Remove what a process that was killed had half written there, while nobody else writes. Answers how many."""
    return await asyncio.to_thread(_halves_cleared, folder)


def _halves_cleared(folder: Path) -> int:
    cleared = 0
    for path in folder.rglob("*#*"):
        try:
            if _HALF.fullmatch(path.name) and path.is_file():
                path.unlink()
                cleared += 1
        except OSError as error:
            log.warning("half_not_cleared", file=str(path), cause=error.strerror)
    return cleared


def _on_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _cause(error: Exception) -> str:
    """The first line of a cause: what follows it is the library's own, for us and not for a person."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
