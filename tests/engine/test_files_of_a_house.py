"""Where a house keeps its files, as its settings say; and what an earlier process, or other settings, left there."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import NotFound, StoreError
from engine.home import Home
from engine.imagining import Wish
from engine.settings import FileSettings, Settings
from engine.store import jobs, personas, pictures
from engine.store.outgoing import files_of, open_files
from engine.store.records import Lane, Picture
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.test_outgoing import BUSY, IN_BUCKET, KEY, OTHER, all_up, keys, left_in, told_of
from tests.servers.s3 import S3
from tests.servers.s3.fixtures import s3_bucket, s3_server  # noqa: F401 - fixtures


async def test_the_settings_say_where_files_are(s3: S3, tmp_path: Path) -> None:
    home, clock = Home(tmp_path), ManualClock()
    async with open_files(FileSettings(public="https://example.org/p"), home, clock) as files:
        await files.put(KEY, b"first")
        assert (home.files / KEY).read_bytes() == b"first"
        assert await files.link(KEY) == f"https://example.org/p/{KEY}"
    assert await (await files_of(FileSettings(), home, clock)).link(KEY) is None
    s3.give(BUSY)
    async with open_files(told_of(s3), home, clock) as files:
        await files.put(KEY, b"first")
    s3.mend()
    # What an earlier house left waiting goes up by itself.
    async with open_files(told_of(s3), home, clock) as files:
        await all_up(files, clock)
    assert s3.objects() == {IN_BUCKET + KEY: b"first"}


async def test_what_was_kept_in_the_home_before_there_was_a_bucket_is_still_seen(
    s3: S3, tmp_path: Path
) -> None:
    home, clock = Home(tmp_path), ManualClock()
    async with open_files(FileSettings(), home, clock) as files:
        for key in (KEY, OTHER):
            await files.put(key, b"before")
    async with open_files(told_of(s3), home, clock) as files:
        new = "pictures/ada/14-1_ada_noir.png"
        await files.put(new, b"since")
        assert await files.get(KEY) == b"before"
        assert files.path(KEY) == home.files / KEY
        assert files.path(new) is None
        assert await files.link(KEY) is None
        assert await files.link(new)
        assert sorted([key async for key in files.keys("pictures/ada")]) == [KEY, new]
        await files.put(KEY, b"anew")
        assert await files.get(KEY) == b"anew"
        await files.delete(OTHER)
        with pytest.raises(NotFound):
            await files.get(OTHER)
    assert s3.objects() == {IN_BUCKET + KEY: b"anew", IN_BUCKET + new: b"since"}
    assert left_in(home.files) == []


async def test_what_waits_for_a_bucket_that_nobody_names_any_more_comes_home(s3: S3, tmp_path: Path) -> None:
    home, clock = Home(tmp_path), ManualClock()
    lamp = "pictures/ada/14-1_ada_noir.png"
    s3.put(IN_BUCKET + OTHER, b"in the bucket")
    s3.give(BUSY)
    async with open_files(told_of(s3), home, clock) as files:
        await files.put(KEY, b"waits")
        await files.put(lamp, b"waits too")
        await files.delete(OTHER)
    (home.files / OTHER).parent.mkdir(parents=True)
    (home.files / OTHER).write_bytes(b"could not be deleted then")
    async with open_files(FileSettings(), home, clock) as files:
        assert [key async for key in files.keys("pictures/ada")] == [], "it is for the owner to move things"
    with home.own():
        async with open_files(FileSettings(), home, clock) as files:
            assert sorted([key async for key in files.keys("")]) == [KEY, lamp]
            assert await files.get(lamp) == b"waits too"
            await files.delete(KEY)
        s3.mend()
        async with open_files(told_of(s3), home, clock) as files:
            await all_up(files, clock)
            assert await keys(files) == [lamp]
            assert await files.get(lamp) == b"waits too"
    assert s3.objects() == {}, "what was to be deleted there is deleted"
    assert left_in(home.outgoing) == []


async def test_what_is_put_anew_at_home_is_not_taken_for_what_was_deleted(s3: S3, tmp_path: Path) -> None:
    home, clock = Home(tmp_path), ManualClock()
    s3.give(BUSY)
    async with open_files(told_of(s3), home, clock) as files:
        await files.delete(KEY)
    with home.own():
        async with open_files(FileSettings(), home, clock) as files:
            await files.put(KEY, b"made anew")
        async with open_files(FileSettings(), home, clock) as files:
            assert await files.get(KEY) == b"made anew"


#: It is killed in the middle of a file: by the system, at the 100,000th byte.
KILLED = """
import asyncio, resource, signal, sys
from pathlib import Path
from engine.store.files import StoredFiles
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
asyncio.run(StoredFiles.in_folder(Path(sys.argv[1])).put(sys.argv[2], b"x" * 1_000_000))
"""


@pytest.mark.parametrize("where", ["files", "outgoing/kept"])
@pytest.mark.parametrize("bucket", [False, True], ids=["at home", "in a bucket"])
async def test_what_a_killed_process_had_half_written_is_cleared_away_by_the_next_owner(
    s3: S3, tmp_path: Path, where: str, *, bucket: bool
) -> None:
    home, clock = Home(tmp_path), ManualClock()
    settings = told_of(s3) if bucket else FileSettings()
    child = [sys.executable, "-c", KILLED, str(tmp_path / where), KEY]
    ended = await asyncio.to_thread(subprocess.run, child, check=False)
    assert ended.returncode == -signal.SIGXFSZ
    [half] = left_in(tmp_path)
    assert half.stat().st_size == 100_000
    async with open_files(settings, home, clock):
        assert left_in(tmp_path) == [half], "it may be somebody's who writes it just now"
    with home.own():
        async with open_files(settings, home, clock) as files:
            await files.put("pictures/ada/1-1_ada_c#.png", b"a name like others")
            await files.put(OTHER, b"data")
        async with open_files(settings, home, clock) as files:
            assert await files.get("pictures/ada/1-1_ada_c#.png") == b"a name like others"
            assert await files.get(OTHER) == b"data"
        assert [path for path in left_in(tmp_path) if path.name.startswith("12-1")] == []


async def test_a_copy_in_the_home_that_cannot_be_deleted_keeps_nothing_from_the_bucket(
    s3: S3, tmp_path: Path
) -> None:
    home, clock = Home(tmp_path), ManualClock()
    (home.files / KEY / "something of somebody's").mkdir(parents=True)
    files = await files_of(told_of(s3), home, clock)
    await files.put(KEY, b"new")
    assert s3.objects() == {IN_BUCKET + KEY: b"new"}
    assert await files.get(KEY) == b"new"
    with pytest.raises(StoreError):
        await files.delete(KEY)
    assert s3.objects() == {}


async def test_where_the_library_stumbles_over_a_key_a_picture_waits_at_home(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    files = await files_of(told_of(s3, access_key="", secret_key=""), Home(tmp_path), ManualClock())
    await files.put(KEY, b"first")
    assert await files.get(KEY) == b"first"
    assert s3.objects() == {}


async def test_a_picture_made_while_the_bucket_is_away_is_made_once_and_shown(
    settings: Settings, s3: S3, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    told, clock = settings.model_copy(update={"files": told_of(s3)}), ManualClock()
    s3.give(BUSY)
    async with Engine.open(told, models=[language], renderer=renderer, clock=clock) as engine:
        job_id, working = await ask(engine), asyncio.create_task(engine.work())
        made = await when_made(engine, job_id)
        assert (await engine.files.get(made.file)).startswith(b"\x89PNG")
        assert s3.objects() == {}
        assert renderer.passes == [[7]]
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    s3.mend()
    async with Engine.open(told, models=[language], renderer=renderer, clock=clock) as engine:
        await all_up(engine.files, clock)
        assert (await engine.files.get(made.file)).startswith(b"\x89PNG")
        assert list(s3.objects()) == [IN_BUCKET + made.file]
        assert renderer.passes == []


async def ask(engine: Engine) -> int:
    async with engine.database.read() as tx:
        record = await personas.find(tx, "glenys")
    request = await engine.imagining.compose(record, Wish("by the sea", seed=7, style="noir"))
    async with engine.database.write() as tx:
        accepted = await engine.imagining.put_in_line(
            tx, request, persona_id=record.id, person=None, lane=Lane.INTERACTIVE
        )
    engine.imagining.nudge()
    return accepted.job.id


async def when_made(engine: Engine, job_id: int) -> Picture:
    async with asyncio.timeout(30):
        while True:
            async with engine.database.read() as tx:
                if (await jobs.get(tx, job_id)).state.ended:
                    return (await pictures.of_jobs(tx, [job_id]))[job_id][0]
            await asyncio.sleep(0.02)
