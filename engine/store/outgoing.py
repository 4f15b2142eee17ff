"""Files for a bucket that may be away: what it does not take waits in the home, is read there, and goes up later.

A file that waits is a file, so a restart forgets none of them. What is to be deleted waits the same way. It does not
know what the files are, nor why the bucket is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import structlog

from engine.clock import Clock
from engine.errors import GreenroomError, NotFound, StoreError, TryAgain
from engine.home import Home
from engine.locales import say
from engine.settings import FileSettings
from engine.store.files import Files, StoredFiles, clear_halves

log = structlog.get_logger(__name__)

#: While the bucket is away, it is tried again with growing pauses, in seconds.
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
#: A bucket that refuses so many files, and takes none, is not asked about all the others too.
MOST_REFUSED = 3


@asynccontextmanager
async def open_files(settings: FileSettings, home: Home, clock: Clock) -> AsyncIterator[Files]:
    """The files of a house, as its settings say; what waits is taken up for as long as the block lasts.

    Who owns the home clears away first what a process that was killed had half written.
    """
    if home.owned:
        halves = [await clear_halves(folder) for folder in (home.files, home.outgoing)]
        if any(halves):
            log.info("halves_cleared", files=sum(halves))
    files = await files_of(settings, home, clock)
    if not isinstance(files, PatientFiles):
        if home.owned and _is_folder(home.outgoing):
            files = FilesAtHome.beside(home, settings.public)
            await files.bring_home()
        yield files
        return
    if files.waiting:
        log.info("files_wait_for_bucket", waiting=files.waiting)
    running = asyncio.create_task(files.run())
    try:
        yield files
    finally:
        running.cancel()
        await asyncio.wait([running])


async def files_of(settings: FileSettings, home: Home, clock: Clock) -> Files:
    """The files of a house, for who only looks at them: nothing that waits is taken up."""
    if not settings.store:
        return StoredFiles.in_folder(home.files, settings.public)
    # From before there was a bucket.
    before = StoredFiles.in_folder(home.files) if _is_folder(home.files) else None
    return await PatientFiles.beside(StoredFiles.in_bucket(settings), home.outgoing, clock, before)


def _is_folder(path: Path) -> bool:
    return path.is_dir()


class FilesAtHome(StoredFiles):
    """Files in the home, where a bucket kept them before. What waited for it is kept here from now on.

    What is to be deleted in the bucket stays written down, for the day on which it is back.
    """

    _kept: Files
    _going: Files

    @classmethod
    def beside(cls, home: Home, public: str = "") -> Self:
        files = cls.in_folder(home.files, public)
        files._kept = StoredFiles.in_folder(home.outgoing / "kept")
        files._going = StoredFiles.in_folder(home.outgoing / "going")
        return files

    async def put(self, key: str, data: bytes) -> None:
        await super().put(key, data)
        # What it takes the place of is neither brought home any more nor deleted.
        await self._kept.delete(key)
        await self._going.delete(key)

    async def delete(self, key: str) -> None:
        await super().delete(key)
        await self._kept.delete(key)

    async def bring_home(self) -> None:
        waiting = {key async for key in self._kept.keys("")}
        doomed = {key async for key in self._going.keys("")}
        for key in sorted(waiting | doomed):
            try:
                if key in waiting:
                    await self.put(key, await self._kept.get(key))
                else:
                    await self.delete(key)
            except GreenroomError as error:
                log.warning("file_not_brought_home", file=key, cause=str(error))
        if waiting:
            log.info("files_brought_home", files=len(waiting))


class PatientFiles:
    """Files in a bucket, and beside it in the home what it did not take yet."""

    def __init__(
        self, bucket: Files, kept: Files, going: Files, clock: Clock, before: Files | None = None
    ) -> None:
        """`kept`: files that are to go up; `going`: empty ones under the names of those that are to be deleted.

        `before`: where files were kept when there was no bucket yet. They stay there, and are seen all the same.
        """
        self._bucket = bucket
        self._before = before
        self._kept = kept
        self._going = going
        self._clock = clock
        self._waiting: set[str] = set()
        self._doomed: set[str] = set()
        #: Keys whose older copy in the home could not be deleted, though a newer one is kept.
        self._outdated: set[str] = set()
        #: Keys that the bucket refused when it was asked last: the next time the others come first.
        self._refused: set[str] = set()
        self._away = False
        self._news = asyncio.Event()
        #: Who changes a file is alone with it, or one that was replaced meanwhile would be followed by its old self.
        self._changing: dict[str, tuple[asyncio.Lock, int]] = {}

    @classmethod
    async def beside(
        cls, bucket: Files, folder: Path, clock: Clock, before: Files | None = None
    ) -> PatientFiles:
        """With what an earlier process left waiting in this folder."""
        kept, going = StoredFiles.in_folder(folder / "kept"), StoredFiles.in_folder(folder / "going")
        files = cls(bucket, kept, going, clock, before)
        files._waiting = {key async for key in kept.keys("")}
        files._doomed = {key async for key in going.keys("")}
        return files

    @property
    def waiting(self) -> int:
        """How many files wait to go up, or to be deleted."""
        return len(self._waiting | self._doomed)

    async def put(self, key: str, data: bytes) -> None:
        self._kept.path(key)  # a name that no file may have is refused here, and by no bucket
        async with self._alone_with(key):
            await self._spare(key)
            if self._away or not await self._went(key, self._bucket.put(key, data)):
                await self._kept.put(key, data)
                self._waiting.add(key)
                self._news.set()
            else:
                await self._staying(key, self._let_go(key))
            if self._before and await self._staying(key, self._before.delete(key)):
                self._outdated.add(key)

    async def get(self, key: str) -> bytes:
        if key in self._doomed:
            raise NotFound(say("files.no_file", name=key))
        if key in self._waiting:
            with suppress(NotFound):  # it went up just now
                return await self._kept.get(key)
        if self._before and key not in self._outdated:
            with suppress(NotFound):
                return await self._before.get(key)
        return await self._bucket.get(key)

    async def delete(self, key: str) -> None:
        self._kept.path(key)
        async with self._alone_with(key):
            self._waiting.discard(key)
            # Also where nothing waits: it may be what could not be deleted the last time.
            stays = await self._staying(key, self._kept.delete(key))
            if self._before:
                stays = await self._staying(key, self._before.delete(key)) or stays
            if self._away or not await self._went(key, self._bucket.delete(key)):
                await self._going.put(key, b"")
                self._doomed.add(key)
                self._news.set()
            if stays:
                raise stays

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        """All that is there. Where the bucket does not answer that is not known, and half of it is no answer."""
        seen = {key for key in self._waiting if not prefix or key.startswith(f"{prefix}/")}
        if self._before:
            seen |= {key async for key in self._before.keys(prefix)}
        for key in sorted(seen):
            yield key
        async for key in self._bucket.keys(prefix):
            if key not in seen and key not in self._doomed:
                yield key

    def path(self, key: str) -> Path | None:
        kept = self._kept.path(key)
        if key in self._waiting:
            return kept
        path = self._before.path(key) if self._before and key not in self._outdated else None
        return path if path and path.is_file() else None

    async def link(self, key: str) -> str | None:
        """None too while the file lies here alone: nobody else has it."""
        return await self._bucket.link(key) if self.path(key) is None else None

    async def run(self) -> None:
        """Take up what waits, whenever there is something and the bucket answers; until cancelled."""
        pause = FIRST_PAUSE
        while True:
            self._news.clear()
            if not self._waiting and not self._doomed and not self._away:
                await self._news.wait()
                # The bucket refused it a moment ago.
                await self._clock.sleep(FIRST_PAUSE)
            if await self._brought_up():
                pause = FIRST_PAUSE
                continue
            await self._clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _brought_up(self) -> bool:
        """Whether nothing is left to be done. Of a silent bucket no second file waits for an answer."""
        left = sorted(self._waiting | self._doomed, key=lambda key: (key in self._refused, key))
        self._refused.clear()
        went = 0
        for key in left:
            if len(self._refused) >= MOST_REFUSED and not went:
                break
            try:
                async with self._alone_with(key):
                    await self._bring_up(key)
                went += 1
            except TryAgain as error:
                self._away = True
                log.warning("bucket_away", waiting=self.waiting, cause=str(error))
                return False
            except StoreError as error:
                self._refused.add(key)
                log.warning("bucket_refuses", file=key, waiting=self.waiting, cause=str(error))
            except Exception:
                self._refused.add(key)
                log.exception("file_not_brought_up", file=key)
        self._away = False  # it speaks, whatever it says
        if went:
            log.info("bucket_has_what_waited", files=went)
        return not self._refused

    async def _bring_up(self, key: str) -> None:
        if key in self._doomed:
            await self._bucket.delete(key)
            await self._spare(key)
        elif key in self._waiting:
            try:
                data = await self._kept.get(key)
            except NotFound:
                log.warning("waiting_file_gone", file=key)  # somebody cleared the folder
                self._waiting.discard(key)
                return
            await self._bucket.put(key, data)
            await self._let_go(key)

    async def _went(self, key: str, asked: Awaitable[None]) -> bool:
        """Whether the bucket did what it was asked."""
        try:
            await asked
        except TryAgain as error:
            self._away = True
            self._news.set()
            log.warning("file_waits_for_bucket", file=key, cause=str(error))
            return False
        except StoreError as error:
            log.warning("file_waits_for_bucket", file=key, cause=str(error))
            return False
        return True

    async def _staying(self, key: str, asked: Awaitable[None]) -> StoreError | None:
        """Why a copy in the home could not be deleted. The bucket is told of what happened all the same."""
        try:
            await asked
        except StoreError as error:
            log.warning("copy_stays_here", file=key, cause=str(error))
            return error
        return None

    @asynccontextmanager
    async def _alone_with(self, key: str) -> AsyncIterator[None]:
        """As long as the block lasts nobody else changes this file."""
        lock, others = self._changing.get(key) or (asyncio.Lock(), 0)
        self._changing[key] = lock, others + 1
        try:
            async with lock:
                yield
        finally:
            lock, others = self._changing.pop(key)
            if others > 1:
                self._changing[key] = lock, others - 1

    async def _let_go(self, key: str) -> None:
        """It does not wait here any more."""
        if key in self._waiting:
            self._waiting.discard(key)
            await self._kept.delete(key)

    async def _spare(self, key: str) -> None:
        """It is not to be deleted any more."""
        if key in self._doomed:
            self._doomed.discard(key)
            await self._going.delete(key)
