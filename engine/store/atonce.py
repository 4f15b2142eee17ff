"""A whole transaction in one visit to a thread of the store.

Between the loop and a database's thread each statement is two hops, and while other threads compute each hop waits
for Python's lock: a message of a dozen statements stood in line for longer than its statements took. Here the same
coroutine functions run to their end on the thread. They may wait for their transaction, and for nothing else.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.unbroken import unbroken

Answer = TypeVar("Answer")
Work = Callable[[AsyncConnection], Awaitable[Answer]]

#: SQLite has one writer; these are for it and for those who read meanwhile.
THREADS = 4


class OnThisThread(AsyncConnection):
    """What the store's functions call a transaction, on a connection that answers at once."""

    # A driver that never lets go of its thread is what SQLAlchemy's own methods refuse; these are the ones in use.

    async def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        return self._proxied.execute(statement, parameters, **options)

    async def exec_driver_sql(
        self, statement: str, parameters: Any = None, execution_options: Any = None
    ) -> Any:
        return self._proxied.exec_driver_sql(statement, parameters, execution_options)


class AtOnce:
    """Does work on the store's own threads, over connections that belong to them."""

    def __init__(self, engine: Engine, told_as: AsyncEngine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(writes=True)
        self._told_as = told_as
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")

    async def read(self, work: Work[Answer]) -> Answer:
        return await self._on_a_thread(self._read, work)

    async def write(self, work: Work[Answer]) -> Answer:
        """Once begun it is done to its end: whoever is cancelled meanwhile learns of it when it is over."""
        return await unbroken(self._on_a_thread(self._write, work))

    def close(self) -> None:
        self._threads.shutdown()
        self._engine.dispose()

    async def _on_a_thread(self, how: Callable[[Work[Answer]], Answer], work: Work[Answer]) -> Answer:
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        return await loop.run_in_executor(self._threads, context.run, how, work)

    def _read(self, work: Work[Answer]) -> Answer:
        with self._engine.connect() as connection:
            return self._done(work, connection)

    def _write(self, work: Work[Answer]) -> Answer:
        with self._writing.begin() as connection:
            return self._done(work, connection)

    def _done(self, work: Work[Answer], connection: Connection) -> Answer:
        return _driven(work(OnThisThread(self._told_as, connection)))


def _driven(work: Awaitable[Answer]) -> Answer:
    """What a coroutine answers that never has to wait."""
    steps = cast("Generator[Any, None, Answer]", work.__await__())
    try:
        next(steps)
    except StopIteration as done:
        return cast("Answer", done.value)
    steps.close()
    raise RuntimeError("a transaction in one go waited for something else than its database")
