"""The one door to the database: opens it, brings it up to date, and hands out transactions.

It knows SQLite from PostgreSQL; what is stored, it does not know. Errors of the disk and the file become
sentences here, so that nobody above ever sees a driver's traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from engine.errors import StoreError
from engine.locales import Said, say
from engine.store.atonce import THREADS, Answer, AtOnce, Work
from engine.store.checkpoints import AT_THE_LATEST, Checkpoints
from engine.store.turnstile import Turnstile

#: The revision that this program's tables are at; a test holds it equal to the newest migration.
HEAD = "0008"

#: How long a writer waits for another process that writes, before it says so.
BUSY_SECONDS = 15


class Database:
    """Transactions on one database. `read` sees a snapshot; `write` is alone with its changes.

    `look` and `change` are the same for work that waits for nothing but its transaction. On SQLite they are many
    times cheaper (see `atonce.py`), so what happens at every message goes this way.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        where: str,
        at_once: AtOnce | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._engine = engine
        self._at_once = at_once
        self._checkpoints = checkpoints
        #: The same connections, told that their transactions will write.
        self._writing = engine.execution_options(writes=True)
        self._where = where
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer: waiting here costs nothing, waiting inside SQLite is a sleep in a loop.
        self._turnstile = Turnstile()

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connect, and bring the tables up to date."""
        where = address(url)
        engine = _engine(where)
        at_once = checkpoints = None
        if _is_file(where):
            of_threads = _engine_of_threads(where)
            at_once, checkpoints = AtOnce(of_threads, engine), Checkpoints(of_threads)
        database = cls(engine, where.render_as_string(hide_password=True), at_once, checkpoints)
        try:
            await database._bring_up_to_date()
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._explained(), self._engine.connect() as tx:
            yield tx

    @asynccontextmanager
    async def write(self, *, hurried: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes something. `hurried`: somebody is told only when it is done."""
        async with self._explained():
            if self.is_sqlite:
                async with self._turnstile.turn(hurried=hurried), self._writing.begin() as tx:
                    yield tx
                self._committed()
            else:
                async with self._writing.begin() as tx:
                    yield tx

    async def look(self, work: Work[Answer]) -> Answer:
        """What `work` reads in one snapshot."""
        if self._at_once is None:
            async with self.read() as tx:
                return await work(tx)
        async with self._explained():
            return await self._at_once.read(work)

    async def change(self, work: Work[Answer], *, hurried: bool = False) -> Answer:
        """What `work` answers once all that it changed is committed; nothing is changed where it raises."""
        if self._at_once is None:
            async with self.write(hurried=hurried) as tx:
                return await work(tx)
        async with self._explained(), self._turnstile.turn(hurried=hurried):
            answer = await self._at_once.write(work)
        self._committed()
        return answer

    def _committed(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.committed()

    async def close(self) -> None:
        if self._checkpoints is not None:
            await asyncio.to_thread(self._checkpoints.close)
        if self._at_once is not None:
            await asyncio.to_thread(self._at_once.close)
        await self._engine.dispose()

    async def _bring_up_to_date(self) -> None:
        async with self.write() as tx:
            revision = await tx.run_sync(_revision)
            if revision == HEAD:
                return
            if revision is not None and revision > HEAD:
                raise StoreError(
                    f"{self._where} was made by a newer Greenroom (revision {revision}, this one knows "
                    f"{HEAD}). Update Greenroom, or name another home with GREENROOM_HOME."
                )
            await tx.run_sync(_upgrade)
            if self.is_sqlite and (torn := (await tx.exec_driver_sql("PRAGMA foreign_key_check")).all()):
                raise StoreError(say("store.torn", where=self._where, n=len(torn)))

    @asynccontextmanager
    async def _explained(self) -> AsyncIterator[None]:
        try:
            yield
        except DBAPIError as error:
            sentence = _sentence(str(error.orig), self._where)
            if sentence is None and error.connection_invalidated:  # it hung up in the middle
                sentence = say("store.silent", where=self._where)
            if sentence is None:
                raise
            raise StoreError(sentence) from error


def address(url: str) -> URL:
    """A database's address, in parts. What the parser says of a bad one may hold the password; we do not."""
    try:
        parsed = make_url(url)
        known = parsed.get_backend_name() in ("sqlite", "postgresql")
    except (ArgumentError, ValueError):
        known = False
    if not known:
        raise StoreError(
            "The setting store.database is not an address that can be used. Leave it empty for a file in the "
            "home, or write postgresql://user:password@host/name."
        )
    return parsed


def _engine(parsed: URL) -> AsyncEngine:
    if parsed.get_backend_name() == "sqlite":
        if _is_file(parsed):
            try:
                Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make the folder of {parsed.database}: {error.strerror}") from error
        engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"), **_OF_SQLITE)
        _listen(engine.sync_engine)
        return engine
    return create_async_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)


def _engine_of_threads(parsed: URL) -> Engine:
    """The same file, for threads that own their connections."""
    engine = create_engine(parsed.set(drivername="sqlite+pysqlite"), pool_size=THREADS, **_OF_SQLITE)
    _listen(engine)
    return engine


_OF_SQLITE: dict[str, Any] = {
    "connect_args": {"isolation_level": None, "timeout": BUSY_SECONDS},
    "pool_reset_on_return": None,
}


def _is_file(parsed: URL) -> bool:
    return parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # FULL: what was answered survives a power cut, not only a crash.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-8000",
        f"wal_autocheckpoint={AT_THE_LATEST}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # With the default, deferred begin two writers that read first both go on, and one update is lost.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Imported here: alembic costs a third of a second, and most starts find nothing to do.
    from alembic import command
    from alembic.config import Config

    with resources.as_file(resources.files("engine.store.migrations")) as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _sentence(cause: str, where: str) -> Said | None:
    """What went wrong, for a person; None when it is a mistake of ours and should be seen whole."""
    known = {
        "file is not a database": "store.not_ours",
        "malformed": "store.damaged",
        "readonly": "store.read_only",
        "read-only": "store.read_only",
        "disk is full": "store.full",
        "disk I/O error": "store.disk",
        "unable to open": "store.not_opened",
        "connection failed": "store.silent",
        "connection refused": "store.silent",
    }
    if "database is locked" in cause:
        return say("store.busy", where=where, n=BUSY_SECONDS)
    key = next((key for mark, key in known.items() if mark in cause), None)
    return None if key is None else say(key, where=where)
