"""Files keep their word wherever they lie: whole files under keys, and no key climbs out of its folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NotFound, StoreError
from engine.settings import FileSettings
from engine.store.files import Files, StoredFiles
from engine.store.outgoing import PatientFiles
from engine.testing import ManualClock
from tests.servers.s3 import S3, Fault
from tests.servers.s3.fixtures import s3_bucket, s3_server  # noqa: F401 - fixtures

KEY = "pictures/ada/12-1_ada_noir.png"
HOSTILE = (
    "",
    "/",
    "/etc/passwd",
    "a//b",
    "a/",
    "../a",
    "a/../b",
    "a/./b",
    ".",
    "..",
    "a\\b",
    "..\\a",
    "a\0b",
)

Place = Callable[[], S3]


async def in_folder(path: Path, _place: Place) -> Files:
    return StoredFiles.in_folder(path / "files")


async def in_memory(_path: Path, _place: Place) -> Files:
    return StoredFiles.in_memory()


async def in_bucket(_path: Path, place: Place) -> Files:
    return StoredFiles.in_bucket(FileSettings(**place().settings()))


async def waiting_for_it(path: Path, place: Place) -> Files:
    """As the house has them: with a place to wait in."""
    return await PatientFiles.beside(await in_bucket(path, place), path / "outgoing", ManualClock())


async def waiting_for_one_that_takes_nothing(path: Path, place: Place) -> Files:
    """Here everything is kept in the home, and nobody who uses it notices."""
    place().give(Fault("PUT", status=403, code="AccessDenied"))
    place().give(Fault("DELETE", status=403, code="AccessDenied"))
    return await waiting_for_it(path, place)


MAKERS = {
    "folder": in_folder,
    "memory": in_memory,
    "bucket": in_bucket,
    "bucket with patience": waiting_for_it,
    "bucket that takes nothing": waiting_for_one_that_takes_nothing,
}


@pytest.fixture(params=MAKERS)
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return await MAKERS[request.param](tmp_path, lambda: request.getfixturevalue("s3"))


def on_disk(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def keys(files: Files, prefix: str = "") -> list[str]:
    return sorted([key async for key in files.keys(prefix)])


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"x" * 3_000_000], ids=["empty", "small", "large"]
)
async def test_what_is_put_is_what_is_got(files: Files, data: bytes) -> None:
    await files.put(KEY, data)
    assert await files.get(KEY) == data


async def test_a_later_put_takes_the_place_of_an_earlier_one(files: Files) -> None:
    await files.put(KEY, b"first, and longer")
    await files.put(KEY, b"second")
    assert await files.get(KEY) == b"second"
    assert await keys(files) == [KEY]


async def test_what_is_not_there_is_named(files: Files) -> None:
    with pytest.raises(NotFound, match=KEY):
        await files.get(KEY)
    await files.delete(KEY)  # gone is gone: twice is no mistake


async def test_what_is_deleted_is_gone(files: Files) -> None:
    await files.put(KEY, b"data")
    await files.put("pictures/ada/13-1.png", b"other")
    await files.delete(KEY)
    with pytest.raises(NotFound):
        await files.get(KEY)
    assert await keys(files) == ["pictures/ada/13-1.png"]


async def test_keys_are_listed_by_what_they_stand_under(files: Files) -> None:
    for key in ("pictures/ada/1.png", "pictures/ada/2.png", "pictures/ben/1.png", "faces/ada.png"):
        await files.put(key, b"data")
    assert await keys(files) == [
        "faces/ada.png",
        "pictures/ada/1.png",
        "pictures/ada/2.png",
        "pictures/ben/1.png",
    ]
    assert await keys(files, "pictures/ada") == ["pictures/ada/1.png", "pictures/ada/2.png"]
    assert await keys(files, "nothing") == []


async def test_a_reader_sees_one_whole_file_or_the_other(files: Files) -> None:
    old, new = b"a" * 500_000, b"b" * 400_000
    await files.put(KEY, old)

    async def write() -> None:
        for data in (new, old) * 5:
            await files.put(KEY, data)

    async def read() -> None:
        for _ in range(20):
            assert await files.get(KEY) in (old, new)

    await asyncio.gather(write(), read(), read())
    assert await keys(files) == [KEY]


@pytest.mark.parametrize("key", HOSTILE)
async def test_a_key_that_would_climb_is_refused(files: Files, key: str, tmp_path: Path) -> None:
    for attempt in (files.put(key, b"data"), files.get(key), files.delete(key)):
        with pytest.raises(StoreError):
            await attempt
    with pytest.raises(StoreError):
        files.path(key)
    assert on_disk(tmp_path) == []


@given(key=st.text(alphabet="ab/.\\#%~ é\n\0", max_size=12))
def test_any_key_stays_in_its_folder_or_is_refused(key: str) -> None:
    async def try_it() -> None:
        files = StoredFiles.in_memory()
        try:
            await files.put(key, b"data")
        except StoreError:
            return
        assert await files.get(key) == b"data"

    asyncio.run(try_it())


def test_a_folder_tells_where_a_file_lies(tmp_path: Path) -> None:
    assert StoredFiles.in_folder(tmp_path).path(KEY) == tmp_path / KEY
    assert StoredFiles.in_memory().path(KEY) is None


async def test_a_folder_keeps_names_as_they_are(tmp_path: Path) -> None:
    files = StoredFiles.in_folder(tmp_path)
    await files.put(KEY, b"data")
    assert (tmp_path / KEY).read_bytes() == b"data"
    assert on_disk(tmp_path) == [KEY]


async def test_a_key_that_the_disk_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    files = StoredFiles.in_folder(tmp_path)
    with pytest.raises(StoreError) as error:
        await files.put("x" * 5_000, b"data")
    assert "\n" not in str(error.value)
    await files.put("a", b"a file where a folder is wanted")
    with pytest.raises(StoreError):
        await files.put("a/b", b"data")


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="taken"):
        StoredFiles.in_folder(tmp_path / "taken")
