"""Who is in for longer than an answer takes, and whoever is not welcome any more is sent out.

One look at the store serves all who are in. What they are told in there, it does not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import StoreError
from engine.store import keys, sessions
from engine.store.database import Database

log = structlog.get_logger(__name__)

#: So often all who are in are looked after.
LOOK_AGAIN = 5.0


class SentOutError(Exception):
    """Somebody who was let in is not welcome any more."""


@dataclass(eq=False)
class Stay:
    """Somebody who is in: by a session, or by a key alone."""

    session_id: int | None
    key_id: int | None
    #: It ends the block in which they are in, when its time is set.
    end: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))


class Insiders:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._inside: set[Stay] = set()
        self._looking: asyncio.Task[None] | None = None

    def count(self, key_id: int) -> int:
        """How many are in by a key, also where a browser shows it."""
        return sum(stay.key_id == key_id for stay in self._inside)

    @asynccontextmanager
    async def staying(self, session_id: int | None, key_id: int | None) -> AsyncIterator[None]:
        """Somebody is in for as long as this block lasts. Raises `SentOutError` in its place when they have to go."""
        stay = Stay(session_id, key_id)
        try:
            async with stay.end:
                self._inside.add(stay)
                if self._looking is None:
                    self._looking = asyncio.create_task(self._look())
                try:
                    yield
                finally:
                    self._inside.discard(stay)
                    if not self._inside and self._looking is not None:
                        self._looking.cancel()
                        self._looking = None
        except TimeoutError:
            if not stay.end.expired():
                raise
            raise SentOutError from None

    def out(self, session_id: int) -> None:
        """This session is over: whoever is in by it goes now, and not at the next look."""
        self._send_out([one for one in self._inside if one.session_id == session_id])

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOK_AGAIN)
            by_session = {stay.session_id for stay in self._inside if stay.session_id is not None}
            by_key = {
                stay.key_id for stay in self._inside if stay.session_id is None and stay.key_id is not None
            }
            try:
                good = await self._database.look(partial(self._good, by_session=by_session, by_key=by_key))
            except StoreError as error:
                log.warning("callers_not_looked_after", cause=str(error))
                continue
            gone, revoked = by_session - good[0], by_key - good[1]
            self._send_out(
                [
                    one
                    for one in self._inside
                    if one.session_id in gone or (not one.session_id and one.key_id in revoked)
                ]
            )

    async def _good(
        self, tx: AsyncConnection, by_session: set[int], by_key: set[int]
    ) -> tuple[set[int], set[int]]:
        return await sessions.good(tx, by_session, now=self._clock.now()), await keys.good(tx, by_key)

    def _send_out(self, unwelcome: Sequence[Stay]) -> None:
        for stay in unwelcome:
            self._inside.discard(stay)
            stay.end.reschedule(0)
