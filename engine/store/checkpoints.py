"""SQLite's changes find their way from its log into its file on a thread of their own.

Left to itself, SQLite does that in the commit that happens to fill the log: two more visits to the disk, for which
whoever is being answered waits, a third of a second where pictures go to the same disk.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog
from sqlalchemy import Engine

log = structlog.get_logger(__name__)

#: After so many commits; each writes a few pages.
EVERY = 200
#: Pages in the log from which on a commit does it after all, as SQLite would at 1,000.
AT_THE_LATEST = 8_000


class Checkpoints:
    """Counts commits, and settles them from time to time. Any thread may tell of one."""

    def __init__(self, engine: Engine, every: int = EVERY) -> None:
        self._engine = engine
        self._every = every
        self._commits = 0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    def committed(self) -> None:
        with self._lock:
            self._commits += 1
            if self._commits % self._every:
                return
        with suppress(RuntimeError):  # closed meanwhile: SQLite settles the rest when it closes the file
            self._thread.submit(self._settle)

    def close(self) -> None:
        self._thread.shutdown()

    def _settle(self) -> None:
        """It waits for nobody and keeps nobody waiting: what is not settled now is settled the next time."""
        try:
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()
        except self._engine.dialect.loaded_dbapi.Error as error:
            log.warning("not_settled", cause=str(error))
