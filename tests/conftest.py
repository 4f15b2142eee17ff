"""What several floors need: a real PostgreSQL, and databases of both kinds that nobody used before."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import psycopg
import pytest
import structlog
from filelock import FileLock
from psycopg.sql import SQL, Identifier

from engine.engine import Engine
from engine.settings import PictureSettings, Settings, WebSettings
from engine.store import database as database_module
from engine.store.database import Database
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.models.fixtures import (  # noqa: F401 - fixtures for all tests
    bert_model,
    broken_model,
    models_folder,
    plain_model,
    pooled_model,
    recurrent_model,
    tiny_llama3_model,
    tiny_model,
    tiny_spm_model,
)
from tests.surroundings import lay_bare

# A busy machine makes no example wrong: what is slow is measured in tests/bench, by nobody's stop-watch here.
hypothesis.settings.register_profile("greenroom", deadline=None)
hypothesis.settings.load_profile("greenroom")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """All that is imported for the tests, torch and the rest, stays to the end: to look through it for waste, again
    and again, took a sixth of the time of all tests. What a test itself leaves is looked for, though more seldom.
    """
    gc.disable()
    try:
        answer = yield
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(700, 10, 30)
        gc.enable()
    return answer


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def plain_log() -> None:
    """What is logged goes to the test's output in one line; a pretty traceback takes longer than its test."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command that a test runs starts the log of its home, for this process. The next test begins without it."""
    root, told = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    if structlog.get_config() == told:
        return
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**told)
    for name, module in list(sys.modules.items()):
        if name.startswith(("bot.", "engine.")):
            # A logger keeps the first configuration that it was used with.
            logger = getattr(module, "log", None)
            if logger is not None:
                logger.__dict__.pop("bind", None)


@pytest.fixture(scope="session", autouse=True)
def houses_look_for_no_waste() -> Iterator[None]:
    """As it opens, a house looks all through its process for waste: that takes long in one as large as this. Houses
    in processes of their own do it in the tests too.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Whoever opens one has imported it by now.
        if house := sys.modules.get("bot.house"):
            patch.setattr(house, "_kept_for_good", nullcontext)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """Nothing here has to survive one, and to wait for the disk at each commit takes longer than most of the rest.
    Houses in processes of their own wait for it in the tests too.
    """
    prepare = database_module._prepare_sqlite

    def prepare_quickly(connection: Any, record: object) -> None:
        prepare(connection, record)
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "_prepare_sqlite", prepare_quickly)
        patch.setattr(os, "fsync", lambda _file: None)
        yield


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
    with _new_database(postgres) as url:
        yield url


@pytest.fixture
def postgres_url_with_tables(postgres: str, postgres_tables: str) -> Iterator[str]:
    with _new_database(postgres, like=postgres_tables) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with all its tables and nothing in them."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url_with_tables"))
    file = shutil.copy(request.getfixturevalue("sqlite_tables"), tmp_path / "greenroom.db")
    return f"sqlite:///{file}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


# The tables are made by the migrations once, and copied from then on.


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tables") / "greenroom.db"
    _make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_tables(postgres: str) -> Iterator[str]:
    with _new_database(postgres) as url:
        _make_tables(url)
        yield _name_in(url)


def _make_tables(url: str) -> None:
    async def make() -> None:
        await (await Database.open(url)).close()

    # On a thread of its own, so that the loops of the tests are left alone.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make()).result()


@contextmanager
def _new_database(server: str, like: str = "template1") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    made = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(like))
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(made)
        yield server.replace("/postgres?", f"/{name}?")
        admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _name_in(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


# A home that nobody used before, and what stands on it.


@pytest.fixture
def settings(tmp_path: Path, sqlite_tables: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Small, quick pictures; any free port; nothing of the settings of whoever runs the tests.

    The tables are there already: making them takes longer than most tests.
    """
    lay_bare(monkeypatch)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copy(sqlite_tables, home / sqlite_tables.name)
    return Settings(
        home=home,
        pictures=PictureSettings(width=64, height=64, steps=3),
        web=WebSettings(port=0),
    )


@pytest.fixture
def language() -> FakeLanguage:
    return FakeLanguage()


@pytest.fixture
def renderer() -> FakeRenderer:
    return FakeRenderer()


@pytest.fixture
async def engine(settings: Settings, language: FakeLanguage, renderer: FakeRenderer) -> AsyncIterator[Engine]:
    async with Engine.open(settings, models=[language], renderer=renderer, clock=ManualClock()) as opened:
        yield opened


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch computes on one: the runs beside this one have the other processors."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
