"""The door to the database: it opens what it can, says what it cannot, and loses no update."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, delete, insert, select, text, update

from engine.errors import Conflict, StoreError
from engine.store import chats, feeds, posts, schedules
from engine.store.database import HEAD, Database, _prepare_sqlite
from engine.store.records import ChatRef, FeedKind
from engine.store.tables import deliveries, metadata, people, personas, turns
from engine.store.tables import schedules as schedule_rows

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOBODY = 65534


def _defaults_by_their_text(
    _context: object, _found: object, _wanted: object, found: str | None, _default: object, wanted: str | None
) -> bool:
    """Alembic stumbles over an empty text in SQLite, and PostgreSQL cannot compare json."""

    def bare(default: str | None) -> str | None:
        return None if default is None else default.partition("::")[0].strip("()'")

    return bare(found) != bare(wanted)


async def test_migrations_arrive_at_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        told = {"compare_type": True, "compare_server_default": _defaults_by_their_text}
        return list(compare_metadata(MigrationContext.configure(connection, opts=told), metadata))

    async with database.read() as tx:
        assert await tx.run_sync(differences) == []


def test_the_program_knows_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "engine/store/migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_opened_again_it_finds_nothing_to_do(database_url: str) -> None:
    for _ in range(2):
        database = await Database.open(database_url)
        async with database.read() as tx:
            assert (await tx.execute(text("SELECT version_num FROM alembic_version"))).scalar() == HEAD
        await database.close()


def test_migrations_run_from_an_installed_copy(tmp_path: Path) -> None:
    """Only what the package list names travels, and nobody stands in the source folder."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    installed, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for package in declared["packages"]:
        folder = Path(*package.split("."))
        for pattern in ("*.py", *declared["package-data"].get(package, ())):
            for file in filter(Path.is_file, (ROOT / folder).glob(pattern)):
                target = installed / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
    program = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1])\n"
        "from engine.store import database\n"
        "assert database.__file__.startswith(sys.argv[1]), database.__file__\n"
        "async def main():\n"
        "    await (await database.Database.open('sqlite:///greenroom.db')).close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(installed)],
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "greenroom.db").stat().st_size > 0


def test_a_commit_waits_until_it_is_on_the_disk(tmp_path: Path) -> None:
    # As it was imported: the tests themselves do without, see the conftest of all.
    with closing(sqlite3.connect(tmp_path / "greenroom.db")) as connection:
        _prepare_sqlite(connection, None)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_200_changes_by_eight_at_once_are_200_changes(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(insert(people).values(id=1, name="0", created_at=NOON))

    async def add_25() -> None:
        for _ in range(25):
            async with database.write() as tx:
                read = select(people.c.name).where(people.c.id == 1).with_for_update()
                name = (await tx.execute(read)).scalar_one()
                await tx.execute(update(people).values(name=str(int(name) + 1)))

    await asyncio.gather(*(add_25() for _ in range(8)))
    async with database.read() as tx:
        assert (await tx.execute(select(people.c.name))).scalar_one() == "200"


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        datetime(2026, 1, 1, 0, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
async def test_a_moment_comes_back_in_utc(database: Database, moment: datetime) -> None:
    async with database.write() as tx:
        await tx.execute(insert(people).values(name="", created_at=moment))
    async with database.read() as tx:
        found = (
            await tx.execute(select(people.c.created_at).where(people.c.created_at == moment))
        ).scalar_one()
    assert found == moment
    assert found.utcoffset() == timedelta()


async def test_what_is_unfinished_is_rolled_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await _write_and_fail(database)
    async with database.read() as tx:
        assert (await tx.execute(select(people.c.id))).all() == []


async def _write_and_fail(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(insert(people).values(name="", created_at=NOON))
        raise ZeroDivisionError


async def test_a_newer_database_is_refused_with_a_sentence(database_url: str) -> None:
    database = await Database.open(database_url)
    async with database.write() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(StoreError, match=r"newer Greenroom .*9999.*Update Greenroom"):
        await Database.open(database_url)


async def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "greenroom.db"
    file.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreError, match="not a Greenroom database, or it is damaged"):
        await Database.open(f"sqlite:///{file}")
    assert file.read_bytes() == b"Dear diary, " * 1000


async def test_a_damaged_file_is_told_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "greenroom.db"
    await (await Database.open(f"sqlite:///{file}")).close()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="damaged"):
        await _touch_everything(f"sqlite:///{file}")


async def _touch_everything(url: str) -> None:
    database = await Database.open(url)
    try:
        async with database.write() as tx:
            for table in metadata.sorted_tables:
                await tx.execute(select(table))
    finally:
        await database.close()


async def test_a_full_disk_is_told_with_a_sentence_and_nothing_is_half_written(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'greenroom.db'}")
    try:
        with pytest.raises(StoreError, match="disk is full"):
            await _fill(database)
        async with database.read() as tx:
            assert (await tx.execute(select(people.c.id))).all() == []
    finally:
        await database.close()


async def _fill(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(text("PRAGMA max_page_count = 1"))
        await tx.execute(insert(people).values(name="", created_at=NOON))
        await tx.execute(
            insert(personas).values(slug="a", name="x" * 10**6, revision=1, origin="", created_at=NOON)
        )


@pytest.fixture
def as_somebody_without_rights() -> Iterator[Path]:
    """A folder that may be read and not written, also for a test that runs as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "home").mkdir()
        yield folder / "home"
        os.seteuid(os.getuid())
        (folder / "home").chmod(0o755)


async def test_a_read_only_home_is_told_with_a_sentence(as_somebody_without_rights: Path) -> None:
    home = as_somebody_without_rights
    url = f"sqlite:///{home / 'greenroom.db'}"
    await (await Database.open(url)).close()
    (home / "greenroom.db").chmod(0o444)
    home.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    with pytest.raises(StoreError, match=r"cannot be (written|opened)"):
        await _touch_everything(url)
    with pytest.raises(StoreError, match=r"cannot be opened|cannot be written"):
        await Database.open(f"sqlite:///{home / 'other.db'}")
    with pytest.raises(StoreError, match="cannot make the folder"):
        await Database.open(f"sqlite:///{home / 'deeper' / 'greenroom.db'}")
    # After a connection that failed, aiosqlite's thread speaks to the loop once more: it must still be there.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 5)


async def test_a_server_that_does_not_answer_is_told_with_a_sentence_without_the_password() -> None:
    with pytest.raises(StoreError, match="does not answer") as told:
        await Database.open("postgresql://ada:secret@127.0.0.1:1/greenroom")
    assert "secret" not in str(told.value)


# A home that an older Greenroom has kept

OLD = """
INSERT INTO people (id, name, created_at) VALUES (1, 'Ana', :now);
INSERT INTO accounts (id, person_id, front, platform_id, name) VALUES (1, 1, 'terminal', 'operator', 'Ana');
INSERT INTO personas (id, slug, name, revision, origin, tags, created_at)
    VALUES (1, 'ada', 'Ada', 1, 'made', '[]', :now);
INSERT INTO chats (id, front, account, chat, persona_id, head_turn_id, created_at)
    VALUES (1, 'terminal', 'home', 'room', 1, 2, :now);
INSERT INTO turns (id, chat_id, person_id, kind, state, text, created_at)
    VALUES (1, 1, 1, 'words', 'answered', 'Hello', :now);
INSERT INTO turns (id, chat_id, parent_id, persona_id, kind, state, text, created_at)
    VALUES (2, 1, 1, 1, 'words', 'answered', 'Good evening.', :now);
INSERT INTO deliveries (id, chat_id, turn_id, kind, state, nonce, created_at)
    VALUES (1, 1, 2, 'reply', 'sent', 'abc', :now)
"""


#: A schedule with a post, one that orders pictures, and one that is gone.
SCHEDULED = """
INSERT INTO schedules (chat_id, persona_id, spec, zone, state, options, next_due_at, created_at)
    VALUES (1, 1, 'daily 09:00', 'UTC', 'active', '{}', :now, :now);
INSERT INTO schedules (chat_id, persona_id, spec, zone, state, options, created_at)
    VALUES (1, 1, 'daily 03:00', 'UTC', 'active', '{"order" : {"kind" : "backfill"}}', :now);
INSERT INTO schedules (chat_id, persona_id, spec, zone, state, created_at)
    VALUES (1, 1, 'daily 05:00', 'UTC', 'ended', :now);
DELETE FROM schedules WHERE id = 3;
INSERT INTO posts (schedule_id, persona_id, chat_id, occurrence_key, due_at, state, created_at)
    VALUES (1, 1, 1, 'schedule:1:today', :now, 'planned', :now)
"""


def _at_step(url: str, step: str, kept: str = OLD) -> None:
    """A database as the program of that step left it, with a talk in it."""
    driver = "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "engine/store/migrations"))
    made = create_engine(url.replace("sqlite", driver, 1).replace("postgresql", driver, 1))
    with made.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, step)
        for statement in kept.split(";"):
            connection.execute(
                text(statement), {"now": NOON if driver != "sqlite" else NOON.isoformat(" ")[:19]}
            )
    made.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'greenroom.db'}"


async def test_a_home_of_the_first_greenroom_opens_with_all_that_was_said_in_it(empty_url: str) -> None:
    await asyncio.to_thread(_at_step, empty_url, "0001")
    database = await Database.open(empty_url)
    try:
        async with database.read() as tx:
            place = await chats.place(tx, ChatRef("terminal", "home", "room"))
            assert place is not None
            assert (place.guests, place.shared, place.allows_mature, place.left_at) == ((), False, True, None)
            talk = await chats.talk(tx, place.id)
            assert [line.text for line in talk.lines] == ["Hello", "Good evening."]
            said = (await tx.execute(select(deliveries.c.turn_id, deliveries.c.unsure))).one()
            assert tuple(said) == (2, False)
        async with database.write() as tx:
            await tx.execute(delete(turns).where(turns.c.id == 2))
            assert (await tx.execute(select(deliveries.c.turn_id))).scalar_one() is None, "it still points"
    finally:
        await database.close()


async def test_schedules_that_become_nobody_s_keep_their_posts_and_their_numbers(empty_url: str) -> None:
    await asyncio.to_thread(_at_step, empty_url, "0005", f"{OLD};{SCHEDULED}")
    database = await Database.open(empty_url)
    try:
        async with database.write() as tx:
            known, of_pictures = await schedules.listing(tx)
            assert (known.persona_id, known.spec, known.next_due_at) == (1, "daily 09:00", NOON)
            assert of_pictures.persona_id == 0
            assert of_pictures.options == {"order": {"kind": "backfill"}}
            assert [post.schedule_id for post in await posts.open_of(tx, known.id)] == [known.id]
            added = await schedules.add(tx, chat_id=1, persona_id=0, spec="daily 04:00", zone="UTC", now=NOON)
            assert added.id == 4, "the number of one that is gone is given to no other"
            await tx.execute(delete(schedule_rows).where(schedule_rows.c.id == known.id))
            assert (await posts.get(tx, 1)).schedule_id is None, "it still points"
    finally:
        await database.close()


#: Two places that were ordered the same, one that nobody ordered by a name, and a hook.
LISTENED = """
INSERT INTO chats (id, front, account, chat, persona_id, created_at)
    VALUES (2, 'terminal', 'home', 'hall', 1, :now);
INSERT INTO feeds (chat_id, persona_id, kind, address, state, options, created_at)
    VALUES (1, 1, 'feed', 'https://example.org/a', 'active', '{"order" : "api:news"}', :now);
INSERT INTO feeds (chat_id, persona_id, kind, address, state, options, created_at)
    VALUES (2, 1, 'feed', 'https://example.org/a', 'active', '{"order" : "api:news"}', :now);
INSERT INTO feeds (chat_id, persona_id, kind, address, state, options, created_at)
    VALUES (2, 1, 'feed', 'https://example.org/b', 'active', '{}', :now);
INSERT INTO feeds (chat_id, persona_id, kind, state, options, created_at)
    VALUES (1, 1, 'hook', 'active', '{"order" : "turn:1"}', :now)
"""


async def test_feeds_that_were_ordered_before_are_known_by_their_orders(empty_url: str) -> None:
    # A colon is a parameter, where there is no other one before it.
    kept = f"{OLD};{LISTENED}".replace("api:news", "api\\:news").replace("turn:1", "turn\\:1")
    await asyncio.to_thread(_at_step, empty_url, "0007", kept)
    database = await Database.open(empty_url)
    try:
        async with database.read() as tx:
            by_order = {
                order: await feeds.ordered(tx, order, told="whatever it says", chat_id=1, kind=kind)
                for order, kind in (
                    ("api:news", FeedKind.FEED),
                    ("turn:1", FeedKind.HOOK),
                    ("api:other", FeedKind.FEED),
                )
            }
            for chat_id, kind in ((2, FeedKind.FEED), (1, FeedKind.HOOK)):
                with pytest.raises(Conflict):
                    await feeds.ordered(tx, "api:news", told="", chat_id=chat_id, kind=kind)
        known = {order: feed.id if feed else None for order, feed in by_order.items()}
        assert known == {"api:news": 1, "turn:1": 4, "api:other": None}
    finally:
        await database.close()


async def test_no_number_is_given_twice(database_url: str) -> None:
    """A button holds a number for ever: it must never be somebody else's."""
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL's sequences never go back")
    database = await Database.open(database_url)
    try:
        async with database.read() as tx:
            made = (await tx.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))).all()
        numbered = {row.name for row in made if "AUTOINCREMENT" in row.sql}
        wanted = {
            table.name
            for table in metadata.tables.values()
            if table.dialect_options["sqlite"]["autoincrement"]
        }
        assert numbered == wanted
        assert "turns" in wanted
    finally:
        await database.close()
