"""A model comes from the hub into the home: all of it and as promised, or nothing of it under its name.

Whoever interrupts it leaves a part, and the next pull goes on with that. How the hub is spoken to is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from engine.errors import NotFound, Refused, StoreError
from engine.locales import say
from engine.models.entries import GB, Entry, Kind, catalogue
from engine.models.hardware import Machine
from engine.models.hub import Hub, PullFailed
from engine.models.keeping import (
    PARTS,
    Kept,
    KeptFile,
    folder_of,
    installed,
    models_folder,
    read_note,
    write_note,
)
from engine.models.picking import chosen, place
from engine.models.promised import HubFile, Listing, as_promised, size_of

Answer = TypeVar("Answer")

#: So much of the disk is left to the rest of the house.
SPARE = GB // 5
#: Progress is told when so many more bytes are there.
_STEP = 512 * 1024


@dataclass(frozen=True)
class Progress:
    """How far a pull is, in bytes of the whole model; `note` says why nothing comes, where nothing does."""

    id: str
    file: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Newer:
    """What the hub has of a model that is here: another revision with other files, or a `problem`, in words."""

    kept: Kept
    revision: str = ""
    problem: str = ""


Told = Callable[[Progress], None]


async def pull(
    wanted: Entry | str, home: Path, progress: Told | None = None, *, token: str = "", pause: float = 1.0
) -> Path:
    """Fetch a model, and answer its folder. What is there already, whole, is not fetched again.

    `wanted` is an entry, the name of one, or `owner/repository:file`. `progress` is called on the caller's loop; the
    work is done on another. Cancelling it stops it at once, and leaves the part.
    """
    entry = catalogue().wanted(wanted) if isinstance(wanted, str) else wanted
    here = asyncio.get_running_loop()

    def told(one: Progress) -> None:
        if progress is not None:
            here.call_soon_threadsafe(progress, one)

    return await _elsewhere(lambda: _pull(entry, home, told, token, pause))


async def newer(home: Path, *, token: str = "", pause: float = 1.0) -> list[Newer]:
    """The models of the home of which the hub has other files now. A new page about the same files is no update."""

    async def look() -> list[Newer]:
        found = []
        async with Hub(token, pause=pause) as hub:
            for kept in installed(home):
                if not kept.noted:
                    continue
                try:
                    there = await hub.listing(kept.repo)
                except (NotFound, Refused) as error:
                    found.append(Newer(kept, problem=str(error)))
                    continue
                if await _differs(kept, there):
                    found.append(Newer(kept, there.revision))
        return found

    return await _elsewhere(look)


async def _differs(kept: Kept, there: Listing) -> bool:
    if kept.revision == there.revision:
        return False
    hubs = {place(Kind(kept.kind), file.name): file for file in there.files}
    for mine in kept.files:
        file = hubs.get(mine.name)
        if file is None or file.size != mine.size or (file.sha256 and file.sha256 != mine.sha256):
            return True
        if not file.sha256 and not await as_promised(kept.folder / mine.name, file):
            return True
    return False


async def _elsewhere(work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run it on a loop of its own in a thread: writing and comparing gigabytes must not keep anybody waiting."""
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    left = False

    async def run() -> Answer:
        if (task := asyncio.current_task()) is not None:
            running.append((asyncio.get_running_loop(), task))
        if left:  # before it began
            raise asyncio.CancelledError
        return await work()

    thread = asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(run()))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        left = True
        for loop, task in running:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait([thread])
        if not thread.cancelled():
            thread.exception()  # whatever it was, nobody waits for it any more
        raise


async def _pull(entry: Entry, home: Path, told: Told, token: str, pause: float) -> Path:
    async with Hub(token, pause=pause) as hub:
        told(Progress(entry.id, "", 0, entry.size))
        there = await hub.listing(
            entry.repo, told=lambda note: told(Progress(entry.id, "", 0, entry.size, note))
        )
        files = chosen(entry, there)
        folder = folder_of(home, entry.kind, entry.id)
        with _alone(home, entry):
            _nobody_elses(folder, entry)
            return await _fetch_all(hub, entry, there.revision, files, folder, told)


async def _fetch_all(
    hub: Hub, entry: Entry, revision: str, files: list[HubFile], folder: Path, told: Told
) -> Path:
    report = _Report(entry.id, sum(file.size for file in files), told)
    whole: dict[str, str] = {}
    parts: list[tuple[HubFile, Path]] = []
    for file in files:
        mark = await as_promised(folder / place(entry.kind, file.name), file)
        if mark is not None:
            whole[file.name] = mark.sha256
            report.finished(file)
        else:
            parts.append(
                (
                    file,
                    folder / PARTS / f"{(file.sha256 or file.blob or revision)[:40]}-{Path(file.name).name}",
                )
            )
    _throw_away_other_parts(folder, {part for _, part in parts})
    _room_for(folder, parts)
    for file, part in parts:
        mark = await hub.fetch(entry.repo, revision, file, part, partial(report.at, file))
        whole[file.name] = mark.sha256
        report.finished(file)
    try:
        _put_inplace(entry, revision, files, whole, parts, folder)
    except OSError as error:
        raise StoreError(say("models.pull.not_written", path=folder, why=error.strerror or error)) from None
    return folder


def _put_inplace(
    entry: Entry,
    revision: str,
    files: list[HubFile],
    whole: dict[str, str],
    parts: list[tuple[HubFile, Path]],
    folder: Path,
) -> None:
    """Everything is here and as promised: from now on it takes a moment."""
    before = read_note(folder)
    for file, part in parts:
        target = folder / place(entry.kind, file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
    kept = tuple(KeptFile(place(entry.kind, file.name), file.size, whole[file.name]) for file in files)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_note(Kept(entry.id, entry.kind.value, folder, entry.repo, revision, now, entry.licence, kept))
    names = {file.name for file in kept}
    for old in before.files if before else ():
        if old.name not in names:
            (folder / old.name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (folder / PARTS).rmdir()


class _Report:
    """Bytes of one file made into bytes of the whole, told now and then."""

    def __init__(self, name: str, total: int, told: Told) -> None:
        self._name, self._total, self._told = name, total, told
        self._before = 0
        self._last = -_STEP

    def at(self, file: HubFile, done: int, note: str) -> None:
        if note or done == 0 or abs(self._before + done - self._last) >= _STEP:
            self._last = self._before + done
            self._told(Progress(self._name, file.name, self._last, self._total, note))

    def finished(self, file: HubFile) -> None:
        self._before += file.size
        self._last = self._before
        self._told(Progress(self._name, file.name, self._before, self._total))


@contextlib.contextmanager
def _alone(home: Path, entry: Entry) -> Iterator[None]:
    folder = models_folder(home) / ".locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{entry.kind.value}-{entry.id}.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise Refused(say("models.pull.elsewhere", name=entry.id)) from None
    except OSError as error:
        raise StoreError(say("models.pull.not_written", path=folder, why=error.strerror or error)) from None
    try:
        yield
    finally:
        lock.release()


def _nobody_elses(folder: Path, entry: Entry) -> None:
    note = read_note(folder)
    if note is not None and note.repo != entry.repo:
        called = f"{entry.kind.value}/{entry.id}"
        raise Refused(say("models.pull.other_there", name=called, there=note.repo, repo=entry.repo))


def _throw_away_other_parts(folder: Path, needed: set[Path]) -> None:
    """Parts of what the hub no longer has, or that nobody needs any more."""
    with contextlib.suppress(OSError):
        for part in (folder / PARTS).iterdir():
            if part not in needed:
                part.unlink()


def _room_for(folder: Path, parts: list[tuple[HubFile, Path]]) -> None:
    needed = sum(file.size - size_of(part) for file, part in parts)
    free = Machine(0).disk_free(folder)
    if parts and needed + SPARE > free:
        room = {"needed": round(needed / GB, 1), "free": round(free / GB, 1)}
        raise PullFailed(say("models.pull.little_room", **room, folder=folder))
