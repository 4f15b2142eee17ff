"""What several floors need: a real PostgreSQL, and databases of both kinds that nobody used before."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from filelock import FileLock
from psycopg.sql import SQL, Identifier

from engine.store.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of this test process's own; answers the address of its maintenance database."""
    # Not in pytest's folder: another run closes that to all but its owner, and the server may be another user.
    with tempfile.TemporaryDirectory(prefix="greenroom-postgres-") as folder:
        try:
            server = _start_postgres(Path(folder))
        except Exception as error:  # whatever keeps it from starting here, these tests cannot run
            pytest.skip(f"PostgreSQL does not start here: {error!r}")
        address: str = server.get_uri()
        with psycopg.connect(address, autocommit=True) as admin:
            # Nothing here has to survive a power cut.
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
        yield address
        server.cleanup()


def _start_postgres(folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Where pgserver keeps its lock; it complains at import if there is no such folder.
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        # As root it makes a user for the server: two at a time would stumble over each other.
        with FileLock(Path(tempfile.gettempdir()) / "greenroom-tests-postgres.lock"):
            pgserver = importlib.import_module("pgserver")
            return pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """An empty database on it."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield postgres.replace("/postgres?", f"/{name}?")
        server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'greenroom.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()
