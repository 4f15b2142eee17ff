"""The embedded queue: one process, on the tables of the home's own database.

The line is the rows of `queue_entries`. An entry without a holder waits; one with a holder is in somebody's
hands, and its heartbeat says that they live. What a job is, this does not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import Stopped, StoreError, TryAgain
from engine.pictures import MAX_ATTEMPTS, Claim, Handler
from engine.store.database import Database
from engine.store.tables import queue_entries as entries
from engine.unbroken import unbroken

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)

#: What a database can raise for reasons that pass: busy, full, gone for a moment.
TROUBLE = (StoreError, SQLAlchemyError, OSError)


def _ahead() -> Select[int]:
    others = entries.alias()
    before = or_(
        others.c.rank < entries.c.rank,
        and_(others.c.rank == entries.c.rank, others.c.job_id < entries.c.job_id),
    )
    ahead = select(func.count()).select_from(others).where(others.c.holder.is_(None), before)
    return select(ahead.scalar_subquery()).where(
        entries.c.job_id == bindparam("job"), entries.c.holder.is_(None)
    )


#: Made once: every card in every chat asks it whenever the line moves.
_AHEAD = _ahead()

#: A job that is in line already goes to its new place.
_SUBMIT = {
    name: (adding := insert(entries)).on_conflict_do_update(
        index_elements=[entries.c.job_id],
        set_={
            **{column: adding.excluded[column] for column in ("rank", "attempt", "stop", "available_at")},
            "holder": None,
            "heartbeat_at": None,
        },
    )
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


@dataclass(frozen=True)
class Pace:
    """How often a queue looks, and how long it waits, in seconds."""

    #: For jobs that were committed without a nudge, by another process perhaps.
    poll: float = 0.5
    #: A sign of life; also when a wish to stop from another process is heard.
    heartbeat: float = 2.0
    #: Without a sign of life for so long, a worker has vanished.
    vanished: float = 30.0
    #: At the end, for handlers to finish what they have in hand.
    grace: float = 5.0
    #: The longest pause while the database is in trouble.
    trouble: float = 30.0

    def after_trouble(self, times: int) -> float:
        return min(self.trouble, self.poll * 2.0 ** min(times, 16))


@dataclass(eq=False)
class _Held:
    """An entry in our hands. The holder's name is new with every claim: an old claim settles nothing anew."""

    job_id: int
    holder: str
    attempt: int
    stop: bool
    #: Its end is being written: that a heartbeat misses it means nothing.
    settling: bool = False


@dataclass(eq=False)
class _Shift:
    """One call of `consume`: what it works with and what it has in hand."""

    handler: Handler
    concurrency: int
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    held: set[_Held] = field(default_factory=set)
    tasks: dict[asyncio.Task[None], _Held] = field(default_factory=dict)
    closing: bool = False


class EmbeddedQueue:
    """`engine.pictures.Queue` for the one process that owns the home."""

    def __init__(
        self, database: Database, clock: Clock, *, holder: str = "", pace: Pace | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._pace = pace or Pace()
        self._holder = (holder or uuid4().hex)[:40]
        self._claims = 0
        self._held: dict[int, _Held] = {}
        #: When a job's pause ends, on the side of the clock that does not jump.
        self._pauses: dict[int, float] = {}
        #: The last heartbeat of others, and when it was first seen, on that side too.
        self._seen: dict[tuple[int, str], tuple[object, float]] = {}
        self._wakes: set[asyncio.Event] = set()
        self._taken_over = False

    async def submit(self, tx: AsyncConnection, job_id: int, rank: int) -> None:
        place = {"rank": rank, "attempt": 0, "stop": False, "available_at": None}
        await tx.execute(_SUBMIT[tx.dialect.name], {"job_id": job_id, **place})

    def nudge(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def cancel(self, job_id: int) -> bool:
        async with self._database.write() as tx:
            waiting = delete(entries).where(entries.c.job_id == job_id, entries.c.holder.is_(None))
            if (await tx.execute(waiting.returning(entries.c.job_id))).one_or_none() is not None:
                self._pauses.pop(job_id, None)
                return True
            wish = update(entries).where(entries.c.job_id == job_id).values(stop=True)
            found = (await tx.execute(wish.returning(entries.c.job_id))).one_or_none() is not None
        # A job that was deleted meanwhile has no entry any more, and may be in our hands all the same.
        if held := self._held.get(job_id):
            held.stop = True
        return found or held is not None

    async def position(self, job_id: int) -> int | None:
        async def counted(tx: AsyncConnection) -> int | None:
            return (await tx.execute(_AHEAD, {"job": job_id})).scalar_one_or_none()

        return await self._database.look(counted)

    async def consume(self, handler: Handler, concurrency: int = 1) -> None:
        shift = _Shift(handler, concurrency)
        self._wakes.add(shift.wake)
        beats = asyncio.create_task(self._keep_beating(shift))
        try:
            await self._until_done(self._take_over)
            while True:
                # A nudge from here on means that there may be more than is seen now.
                shift.wake.clear()
                if not await self._until_done(lambda: self._hand_out(shift)):
                    await self._rest(shift, beats)
        finally:
            closing = asyncio.create_task(self._close(shift, beats))
            while not closing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(closing)
                    break
                # Cancelled once more: no grace, but what was not finished is given back all the same.
                shift.hurry.set()
            self._wakes.discard(shift.wake)

    async def _take_over(self) -> None:
        """One process owns the home: what others hold when we begin, they left behind. So with their pauses."""
        if self._taken_over:
            return
        left = or_(entries.c.holder.is_not(None), entries.c.available_at.is_not(None))
        async with self._database.write() as tx:
            await tx.execute(
                update(entries)
                .where(left, entries.c.job_id.not_in(list(self._held)))
                .values(holder=None, heartbeat_at=None, available_at=None)
            )
        self._taken_over = True

    async def _hand_out(self, shift: _Shift) -> bool:
        free = shift.concurrency - len(shift.tasks)
        if free <= 0 or not await self._anything_ready():
            return False
        # Cancelled meanwhile, what was claimed is in our books all the same, and given back.
        claimed = await unbroken(self._claim(shift, free))
        for held in claimed:
            task = asyncio.create_task(self._work(shift, held))
            shift.tasks[task] = held
            task.add_done_callback(shift.tasks.pop)
        return bool(claimed)

    async def _anything_ready(self) -> bool:
        """Most looks find nothing, and a look needs no lock."""
        ready = select(entries.c.job_id).where(self._ready()).limit(1)

        async def anything(tx: AsyncConnection) -> bool:
            return (await tx.execute(ready)).first() is not None

        return await self._database.look(anything)

    def _ready(self) -> ColumnElement[bool]:
        now = self._clock.monotonic()
        rested = [job_id for job_id, until in self._pauses.items() if until <= now]
        return and_(
            entries.c.holder.is_(None),
            entries.c.job_id.not_in(list(self._held)),
            or_(
                entries.c.available_at.is_(None),
                entries.c.available_at <= self._clock.now(),
                entries.c.job_id.in_(rested),
            ),
        )

    async def _claim(self, shift: _Shift, most: int) -> list[_Held]:
        self._claims += 1
        holder = f"{self._holder}/{self._claims}"
        first = (
            select(entries.c.job_id)
            .where(self._ready())
            .order_by(entries.c.rank, entries.c.job_id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        taking = (
            update(entries)
            .where(entries.c.job_id.in_(first))
            .values(holder=holder, heartbeat_at=self._clock.now(), attempt=entries.c.attempt + 1)
            .returning(entries.c.rank, entries.c.job_id, entries.c.attempt, entries.c.stop)
        )

        async def take(tx: AsyncConnection) -> list[tuple[int, int, int, bool]]:
            return sorted(tuple(row) for row in await tx.execute(taking))

        taken = await self._database.change(take)
        claimed = [_Held(job_id, holder, attempt, stop) for _, job_id, attempt, stop in taken]
        for held in claimed:
            self._held[held.job_id] = held
            self._pauses.pop(held.job_id, None)
        shift.held.update(claimed)
        return claimed

    async def _rest(self, shift: _Shift, beats: asyncio.Task[None]) -> None:
        """Until something was committed, a handler ended, or it is time to look again."""
        wake = asyncio.create_task(shift.wake.wait())
        sleep = asyncio.create_task(self._clock.sleep(self._pace.poll))
        try:
            await asyncio.wait({wake, sleep, beats, *shift.tasks}, return_when=asyncio.FIRST_COMPLETED)
            if beats.done():
                # It ends only by a mistake of ours, and without it every claim would look abandoned.
                beats.result()
        finally:
            wake.cancel()
            sleep.cancel()

    async def _work(self, shift: _Shift, held: _Held) -> None:
        again: float | None = None
        try:
            await shift.handler(Claim(held.job_id, held.attempt, lambda: held.stop))
        except TryAgain as error:
            if held.attempt < MAX_ATTEMPTS:
                again = error.after_s
            else:
                log.warning("queue.gave_up", job=held.job_id, attempt=held.attempt, error=str(error))
        except Stopped:
            log.info("queue.stopped", job=held.job_id)
        except asyncio.CancelledError:
            if shift.closing:
                raise
            log.exception("queue.handler_failed", job=held.job_id)
        except Exception:
            log.exception("queue.handler_failed", job=held.job_id)
        held.settling = True
        await self._until_done(lambda: self._settle(shift, held, again), give_up=lambda: shift.closing)

    async def _settle(self, shift: _Shift, held: _Held, again: float | None) -> None:
        """Out of the line; or back in it after `again` seconds, unless it was asked to stop."""
        ours = and_(entries.c.job_id == held.job_id, entries.c.holder == held.holder)

        rests = again is not None and not held.stop
        if again is not None and rests:
            self._pauses[held.job_id] = self._clock.monotonic() + again

        async def settled(tx: AsyncConnection) -> None:
            if again is not None and rests:
                until = self._clock.now() + timedelta(seconds=again)
                back = update(entries).where(ours, entries.c.stop.is_(False))
                await tx.execute(back.values(holder=None, heartbeat_at=None, available_at=until))
            await tx.execute(delete(entries).where(ours))

        await self._database.change(settled)
        self._let_go(shift, held)

    def _let_go(self, shift: _Shift, held: _Held) -> None:
        shift.held.discard(held)
        self._held.pop(held.job_id, None)

    async def _keep_beating(self, shift: _Shift) -> None:
        while True:
            await self._clock.sleep(self._pace.heartbeat)
            await self._until_done(lambda: self._beat(shift))
            await self._until_done(self._free_the_abandoned)

    async def _beat(self, shift: _Shift) -> None:
        """Say that we live; hear who is to stop."""
        expected = list(shift.held)
        if not expected:
            return
        alive = update(entries).where(entries.c.holder.in_({held.holder for held in expected}))

        async def beat(tx: AsyncConnection) -> dict[int, bool]:
            told = await tx.execute(
                alive.values(heartbeat_at=self._clock.now()).returning(entries.c.job_id, entries.c.stop)
            )
            return {row.job_id: row.stop for row in told}

        stop = await self._database.change(beat)
        for held in expected:
            if held.settling or held not in shift.held:
                continue
            if held.job_id not in stop:
                log.warning("queue.claim_lost", job=held.job_id)
            held.stop = held.stop or stop.get(held.job_id, True)

    async def _free_the_abandoned(self) -> None:
        """Entries in other hands whose heartbeat stood still for too long, by our own patience: clocks jump."""
        others = select(entries.c.job_id, entries.c.holder, entries.c.heartbeat_at).where(
            entries.c.holder.is_not(None), entries.c.job_id.not_in(list(self._held))
        )
        async with self._database.read() as tx:
            found = (await tx.execute(others)).all()
        now = self._clock.monotonic()
        before, self._seen = self._seen, {}
        gone = []
        for job_id, holder, beat in found:
            then = before.get((job_id, holder))
            since = then[1] if then is not None and then[0] == beat else now
            self._seen[job_id, holder] = (beat, since)
            if now - since >= self._pace.vanished:
                gone.append(and_(entries.c.job_id == job_id, entries.c.holder == holder))
        if gone:
            async with self._database.write() as tx:
                await tx.execute(update(entries).where(or_(*gone)).values(holder=None, heartbeat_at=None))
            log.warning("queue.freed_abandoned", jobs=len(gone))
            self.nudge()

    async def _close(self, shift: _Shift, beats: asyncio.Task[None]) -> None:
        shift.closing = True
        if working := set(shift.tasks):
            hurry = asyncio.create_task(shift.hurry.wait())
            ended = asyncio.create_task(asyncio.wait(working))
            either: set[asyncio.Task[Any]] = {hurry, ended}
            # Real seconds, whatever the clock says: the process is ending.
            await asyncio.wait(either, timeout=self._pace.grace, return_when=asyncio.FIRST_COMPLETED)
            for task in (hurry, ended, *shift.tasks):
                task.cancel()
            await asyncio.wait(working, timeout=max(1.0, self._pace.grace))
        beats.cancel()
        await asyncio.wait({beats})
        stuck = set(shift.tasks.values())
        for held in stuck:
            log.error("queue.does_not_stop", job=held.job_id)
        await self._give_back(shift, shift.held - stuck)

    async def _give_back(self, shift: _Shift, unfinished: set[_Held]) -> None:
        """An orderly end is nobody's fault: the attempt does not count."""
        if not unfinished:
            return
        ours = [and_(entries.c.job_id == held.job_id, entries.c.holder == held.holder) for held in unfinished]
        try:
            async with self._database.write() as tx:
                await tx.execute(
                    update(entries)
                    .where(or_(*ours))
                    .values(holder=None, heartbeat_at=None, attempt=entries.c.attempt - 1)
                )
        except TROUBLE as error:
            log.warning("queue.not_given_back", jobs=len(unfinished), error=str(error))
        for held in unfinished:
            self._let_go(shift, held)
        self.nudge()

    async def _until_done(
        self, step: Callable[[], Coroutine[Any, Any, Answer]], give_up: Callable[[], bool] = lambda: False
    ) -> Answer | None:
        """Waits out the database's trouble; None if it gave up."""
        times = 0
        while True:
            try:
                return await unbroken(step())
            except TROUBLE as error:
                if give_up():
                    return None
                times += 1
                pause = self._pace.after_trouble(times)
                log.warning("queue.database_trouble", error=str(error), again_in=pause)
                await self._clock.sleep(pause)
