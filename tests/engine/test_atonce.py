"""A whole transaction in one go: the same promises as statement by statement, on either database."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import StoreError
from engine.store.checkpoints import EVERY
from engine.store.database import Database


async def count(tx: AsyncConnection) -> int:
    return int((await tx.execute(text("SELECT count(*) FROM chats"))).scalar_one())


async def add(tx: AsyncConnection, chat: str = "1") -> None:
    await tx.execute(
        text(
            "INSERT INTO chats (front, account, chat, thread, created_at)"
            " VALUES ('terminal', '', :chat, '', CURRENT_TIMESTAMP)"
        ),
        {"chat": chat},
    )


async def test_what_is_changed_is_there_for_whoever_looks(database: Database) -> None:
    await database.change(add)
    assert await database.look(count) == 1
    async with database.read() as tx:
        assert await count(tx) == 1


async def test_nothing_is_changed_where_it_raises(database: Database) -> None:
    async def half(tx: AsyncConnection) -> None:
        await add(tx)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await database.change(half)
    assert await database.look(count) == 0


async def test_both_ways_of_writing_take_turns(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'a.db'}")

    async def statement_by_statement(number: int) -> None:
        async with database.write() as tx:
            before = await count(tx)
            await add(tx, f"a{number}")
            assert await count(tx) == before + 1

    async def at_once(tx: AsyncConnection, number: int) -> None:
        before = await count(tx)
        await add(tx, f"b{number}")
        assert await count(tx) == before + 1

    await asyncio.gather(
        *[statement_by_statement(number) for number in range(20)],
        *[database.change(partial(at_once, number=number)) for number in range(20)],
    )
    assert await database.look(count) == 40
    await database.close()


async def test_what_was_begun_is_done_although_whoever_waits_is_cancelled(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    async def slowly(tx: AsyncConnection) -> None:
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.05)  # noqa: ASYNC251 - a slow disk
        await add(tx)

    task = asyncio.create_task(database.change(slowly))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.look(count) == 1
    await database.close()


async def test_the_loop_is_free_meanwhile(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    threads: list[threading.Thread] = []

    async def where(_tx: AsyncConnection) -> None:
        threads.append(threading.current_thread())

    await database.change(where)
    await database.look(where)
    assert threading.main_thread() not in threads
    await database.close()


async def test_waiting_for_something_else_in_a_transaction_is_a_mistake_that_is_told(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'a.db'}")

    async def dawdles(tx: AsyncConnection) -> None:
        await add(tx)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="something else"):
        await database.change(dawdles)
    assert await database.look(count) == 0
    await database.change(add)  # and the next one is not held up
    await database.close()


async def test_trouble_of_the_disk_becomes_a_sentence(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'a.db'}")

    async def read_only(tx: AsyncConnection) -> None:
        await tx.exec_driver_sql("PRAGMA query_only = ON")
        await add(tx)

    with pytest.raises(StoreError):
        await database.change(read_only)
    await database.close()


async def test_what_was_committed_finds_its_way_into_the_file_beside_those_who_write(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    try:
        for number in range(EVERY):
            await database.change(partial(add, chat=str(number)))
        for _look in range(1_000):
            if settled(tmp_path) >= EVERY // 2:
                return
            await asyncio.sleep(0.02)
        pytest.fail("nothing found its way")
    finally:
        await database.close()


def settled(folder: Path) -> int:
    """The rows in the file itself, without what its log holds."""
    alone = folder / "alone.db"
    alone.write_bytes((folder / "a.db").read_bytes())
    with closing(sqlite3.connect(alone)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM chats").fetchone()[0])
        except sqlite3.DatabaseError:  # not even the tables are there yet
            return 0
