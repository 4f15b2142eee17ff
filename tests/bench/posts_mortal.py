"""A house that posts in a process of its own, and may be killed at any moment; who kills it is `posts_year`.

Its clock is a file, so that it outlives who winds it; what its platforms were shown is in a file too. Reads a line
with a home for each life, forks, and writes down how that life ended.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import and_, bindparam, or_, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.delivery import Deliveries
from bot.front import Outgoing
from bot.logs import start_logging
from bot.testing import FakeFront
from engine import publishing
from engine.engine import Engine
from engine.home import Home
from engine.store.records import PostState
from engine.store.tables import deliveries, posts
from tests.bench.pictures_house import settings_of
from tests.lives import bear

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A post's platform, by whether it knows a repeat when it sees one.
PLATFORMS = {"forgetful": False, "watchful": True}
SHOWN, CLOCK = "shown", "clock"


class Wound:
    """The clock: eight bytes of a file. `wind` sets it forward whenever there is nothing left to do."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._held = mmap.mmap(opened.fileno(), 8)
        self._sleepers: dict[asyncio.Future[None], datetime] = {}
        self._news = asyncio.Event()

    @classmethod
    def made(cls, file: Path, moment: datetime) -> Wound:
        file.write_bytes(bytes(8))
        made = cls(file)
        made.set(moment)
        return made

    def now(self) -> datetime:
        [microseconds] = struct.unpack_from("<q", self._held)
        return EPOCH + timedelta(microseconds=microseconds)

    def set(self, moment: datetime) -> None:
        struct.pack_into("<q", self._held, 0, (moment - EPOCH) // timedelta(microseconds=1))

    def monotonic(self) -> float:
        return (self.now() - EPOCH).total_seconds()

    async def sleep(self, seconds: float) -> None:
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[waking] = self.now() + timedelta(seconds=max(0.0, seconds))
        self._news.set()
        try:
            await waking
        finally:
            self._sleepers.pop(waking, None)

    async def wind(self, until: datetime, is_quiet: Callable[[], Awaitable[bool]]) -> None:
        """To what comes next; where there is still something to do, time goes on as slowly as it does outside."""
        while not (quiet := await is_quiet()) or self.now() < until:
            if not quiet:
                await asyncio.sleep(0.002)
                self.set(self.now() + timedelta(milliseconds=2))
            elif coming := [at for waking, at in self._sleepers.items() if not waking.done()]:
                self.set(max(self.now(), min(until, *coming)))
            else:
                self._news.clear()
                await self._news.wait()
            self._wake()

    def _wake(self) -> None:
        now = self.now()
        for waking in [one for one, at in self._sleepers.items() if at <= now]:
            del self._sleepers[waking]
            if not waking.done():
                waking.set_result(None)


class Screen(FakeFront):
    """A platform: what it was shown, and when, is in a file, whatever becomes of who showed it."""

    def __init__(self, name: str, home: Path, clock: Wound) -> None:
        super().__init__(name=name, recognises_repeats=PLATFORMS[name])
        self._clock = clock
        self._file = os.open(home / SHOWN, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        row = outgoing.delivery
        told = {"post": row.post_id, "nonce": row.nonce, "on": self.name, "at": self._clock.monotonic()}
        os.write(self._file, json.dumps(told).encode() + b"\n")
        await asyncio.sleep(0.002)  # the answer is on its way: whoever dies now does not know
        return (row.nonce,)


async def live(order: dict[str, str]) -> None:
    """One life of the house."""
    home, until = Path(order["home"]), datetime.fromisoformat(order["until"])
    clock, settings = Wound(home / CLOCK), settings_of(home)
    start_logging(Home(home).log, settings.log, console=False)
    # Nobody else changes the rows: time goes from one thing that comes to the next.
    publishing.LOOK_EVERY = timedelta(days=365).total_seconds()
    async with Engine.open(settings, clock=clock) as engine, asyncio.TaskGroup() as group:
        fronts = [Screen(name, home, clock) for name in PLATFORMS]
        parts = [group.create_task(one) for one in (Deliveries(engine, fronts).run(), engine.posting.run())]

        async def is_quiet() -> bool:
            return not await engine.database.look(lambda tx: _to_do(tx, clock.now()))

        await clock.wind(until, is_quiet)
        for part in parts:
            part.cancel()


def _asked() -> Any:
    is_made = posts.c.state.in_([PostState.WAITING.value, PostState.READY.value])
    to_make = posts.c.state.in_([PostState.PLANNED.value, PostState.MAKING.value])
    to_show = select(posts.c.id).where(or_(to_make, and_(is_made, posts.c.due_at <= bindparam("now"))))
    # Their index is found by these very words.
    owed = select(deliveries.c.id).where(text("deliveries.state IN ('pending', 'sending')"))
    return union_all(to_show, owed).limit(1)


#: Made once: it is asked whenever time may go on.
_TO_DO = _asked()


async def _to_do(tx: AsyncConnection, now: datetime) -> bool:
    """Whether a post is to be made or shown now, or anything is owed."""
    return (await tx.execute(_TO_DO, {"now": now})).first() is not None


if __name__ == "__main__":
    bear(live)
