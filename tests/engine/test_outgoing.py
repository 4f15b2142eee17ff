"""While its bucket is away a house goes on: no picture is lost or made twice, all are seen, and all go up later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NotFound, StoreError, TryAgain
from engine.settings import FileSettings
from engine.store.files import Files, StoredFiles
from engine.store.outgoing import FIRST_PAUSE, LONGEST_PAUSE, PatientFiles
from engine.testing import ManualClock
from tests.servers.s3 import S3, Fault
from tests.servers.s3.fixtures import s3_bucket, s3_server  # noqa: F401 - fixtures
from tests.working import meanwhile

KEY, OTHER = "pictures/ada/12-1_ada_noir.png", "pictures/ben/13-1_ben_noir.png"
IN_BUCKET = "home/of/it/"
BUSY = Fault(status=503, code="SlowDown")
EXPIRED = Fault(status=400, code="ExpiredToken")


def told_of(s3: S3, **more: Any) -> FileSettings:
    return FileSettings(**s3.settings(**more))


async def beside(s3: S3, folder: Path, clock: ManualClock | None = None) -> PatientFiles:
    return await PatientFiles.beside(StoredFiles.in_bucket(told_of(s3)), folder, clock or ManualClock())


async def becomes_true(what: Callable[[], bool], clock: ManualClock, seconds: float = FIRST_PAUSE) -> None:
    """Time passes until it is so; the bucket answers in real time, which passes too."""
    async with asyncio.timeout(30):
        while not what():
            await clock.advance(seconds)
            await asyncio.sleep(0.01)


async def all_up(files: Files, clock: ManualClock) -> None:
    """Time passes until nothing waits for the bucket any more."""
    assert isinstance(files, PatientFiles)
    waits = files
    await becomes_true(lambda: waits.waiting == 0, clock)


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def keys(files: Files) -> list[str]:
    return sorted([key async for key in files.keys("")])


@pytest.mark.parametrize("fault", [BUSY, EXPIRED], ids=["busy", "expired key"])
async def test_what_the_bucket_does_not_take_is_seen_meanwhile_and_goes_up_later(
    fault: Fault, s3: S3, tmp_path: Path
) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    async with meanwhile(files.run()):
        s3.give(fault)
        await files.put(KEY, b"first")
        await files.put(OTHER, b"second")
        assert await files.get(KEY) == b"first"
        path = files.path(KEY)
        assert path is not None
        assert path.read_bytes() == b"first"
        assert await files.link(KEY) is None
        assert s3.objects() == {}
        s3.mend()
        await becomes_true(lambda: files.waiting == 0, clock, LONGEST_PAUSE)
        assert s3.objects() == {IN_BUCKET + KEY: b"first", IN_BUCKET + OTHER: b"second"}
        assert left_in(tmp_path) == []
        assert await files.get(KEY) == b"first"
        assert await files.link(KEY)
        # And from here on everything takes the short way again.
        await files.put(KEY, b"third")
        assert s3.objects()[IN_BUCKET + KEY] == b"third"


async def test_a_bucket_that_is_silent_is_waited_for_once_and_not_by_each(s3: S3, tmp_path: Path) -> None:
    files = await beside(s3, tmp_path)
    s3.give(BUSY)
    await files.put(KEY, b"first")
    asked = len(s3.asked)
    for number in range(10):
        await files.put(f"pictures/{number}.png", b"more")
    assert len(s3.asked) == asked
    assert files.waiting == 11


async def test_a_restart_forgets_nothing_that_waits(s3: S3, tmp_path: Path) -> None:
    await (await beside(s3, tmp_path)).put(OTHER, b"old")
    s3.give(BUSY)
    before = await beside(s3, tmp_path)
    await before.put(KEY, b"first")
    await before.delete(OTHER)
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    assert await files.get(KEY) == b"first"
    with pytest.raises(NotFound):
        await files.get(OTHER)
    s3.mend()
    assert await keys(files) == [KEY]
    async with meanwhile(files.run()):
        await all_up(files, clock)
    assert s3.objects() == {IN_BUCKET + KEY: b"first"}


async def test_what_is_deleted_while_the_bucket_is_away_is_gone_at_once_and_there_later(
    s3: S3, tmp_path: Path
) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    await files.put(KEY, b"first")
    s3.give(BUSY)
    await files.put(OTHER, b"never goes up")
    await files.delete(OTHER)
    await files.delete(KEY)
    for key in (KEY, OTHER):
        with pytest.raises(NotFound):
            await files.get(key)
    assert IN_BUCKET + KEY in s3.objects()
    s3.mend()
    async with meanwhile(files.run()):
        await all_up(files, clock)
    assert s3.objects() == {}


async def test_what_is_put_again_after_it_was_deleted_stays(s3: S3, tmp_path: Path) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    s3.give(BUSY)
    await files.put(KEY, b"first")
    await files.delete(KEY)
    await files.put(KEY, b"second")
    assert await files.get(KEY) == b"second"
    s3.mend()
    async with meanwhile(files.run()):
        await all_up(files, clock)
    assert s3.objects() == {IN_BUCKET + KEY: b"second"}


async def test_what_was_replaced_meanwhile_is_not_followed_by_its_old_self(s3: S3, tmp_path: Path) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    s3.give(EXPIRED)
    await files.put(KEY, b"old")
    s3.mend()
    # The old one is on its way up, slowly, when the new one comes.
    s3.give(Fault("PUT", slow=0.3, times=1))
    async with meanwhile(files.run()):
        asked = len(s3.asked)
        await becomes_true(lambda: len(s3.asked) > asked, clock)
        await files.put(KEY, b"new")
        await becomes_true(lambda: files.waiting == 0 and s3.over == len(s3.asked), clock)
    assert s3.objects() == {IN_BUCKET + KEY: b"new"}


async def test_files_that_are_refused_hold_up_no_others(s3: S3, tmp_path: Path) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    s3.give(EXPIRED)
    names = [f"pictures/{number}.png" for number in range(8)]
    for name in names:
        await files.put(name, name.encode())
    s3.mend()
    for name in names[:3]:
        s3.give(Fault("PUT", name, status=403, code="AccessDenied"))
    async with meanwhile(files.run()):
        await becomes_true(lambda: files.waiting == 3, clock, LONGEST_PAUSE)
        assert sorted(s3.objects()) == [IN_BUCKET + name for name in names[3:]]
        await files.put(KEY, b"directly")
        assert s3.objects()[IN_BUCKET + KEY] == b"directly"
        assert await files.get(names[0]) == names[0].encode()


async def test_a_bucket_that_refuses_everything_is_not_asked_for_everything(s3: S3, tmp_path: Path) -> None:
    clock = ManualClock()
    s3.give(EXPIRED)
    before = await beside(s3, tmp_path, clock)
    for number in range(20):
        await before.put(f"pictures/{number}.png", b"data")
    files = await beside(s3, tmp_path, clock)
    s3.asked.clear()
    async with meanwhile(files.run()):
        await becomes_true(lambda: len(s3.asked) >= 3, clock, 0.0)
        await asyncio.sleep(0.2)
        assert len(s3.asked) == 3
        assert files.waiting == 20


async def test_half_a_list_is_no_list(s3: S3, tmp_path: Path) -> None:
    """Who removes all files of somebody must not believe that these were all."""
    files = await beside(s3, tmp_path)
    await files.put(KEY, b"first")
    s3.give(BUSY)
    await files.put(OTHER, b"second")
    with pytest.raises(TryAgain):
        await keys(files)
    with pytest.raises(TryAgain):
        await files.get(KEY)
    s3.mend()
    assert await keys(files) == [KEY, OTHER]


async def test_where_nothing_can_be_kept_either_it_is_said_and_the_bucket_is_tried_again(
    s3: S3, tmp_path: Path
) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    (tmp_path / "kept" / "pictures").write_text("a file where a folder is wanted")
    s3.give(BUSY)
    with pytest.raises(StoreError):
        await files.put(KEY, b"first")
    s3.mend()
    async with meanwhile(files.run()):
        await clock.advance(FIRST_PAUSE)
        await files.put(KEY, b"first")
    assert s3.objects() == {IN_BUCKET + KEY: b"first"}


async def test_somebody_who_clears_the_folder_stops_nothing(s3: S3, tmp_path: Path) -> None:
    clock = ManualClock()
    files = await beside(s3, tmp_path, clock)
    s3.give(BUSY)
    await files.put(KEY, b"first")
    await files.put(OTHER, b"second")
    path = files.path(KEY)
    assert path is not None
    path.unlink()
    s3.mend()
    with pytest.raises(NotFound):
        await files.get(KEY)
    async with meanwhile(files.run()):
        await all_up(files, clock)
    assert s3.objects() == {IN_BUCKET + OTHER: b"second"}
