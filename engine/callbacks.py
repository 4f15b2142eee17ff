"""Other programs are told at an address of theirs that a job has ended: signed, and tried again for a day.

The rows are the truth: what is owed at a stop is told after the next start. Between an answer and its row nothing
can be put: whoever has heard of a job may hear of it again after a crash, under the same number of delivery.
What is said of a job, it is told.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.bell import Bell
from engine.clock import Clock
from engine.errors import BadRequest, GreenroomError, NotFound, Refused, StoreError, TryAgain
from engine.events import Events, Watch
from engine.fetching import check_address, host_of, tell
from engine.home import Home
from engine.locales import say
from engine.settings import WebSettings
from engine.store import callbacks, jobs, pictures
from engine.store.callbacks import Due
from engine.store.database import Database
from engine.store.records import CallbackState, Job, Picture
from engine.unbroken import unbroken

log = structlog.get_logger(__name__)

#: What is told of a job that has ended.
Told = Callable[[Job, list[Picture]], dict[str, Any]]

#: Between two tries, in seconds: nearly a day together. After the last one it is given up.
PAUSES: tuple[float, ...] = (10, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
#: Nobody is made to wait longer by what their server says.
LONGEST_PAUSE = timedelta(seconds=PAUSES[-1])
#: Another process may have ended a job without being able to ring, in seconds.
LOOK_EVERY = 5.0
#: So many are told at once, of which so many at one host.
AT_ONCE, AT_ONE_HOST = 8, 2
#: So long one may take to answer, in seconds.
PATIENCE = 15.0
PREFIX = "grw_"


class Callbacks:
    def __init__(
        self, database: Database, events: Events, settings: WebSettings, clock: Clock, home: Home
    ) -> None:
        self._database = database
        self._events = events
        self._settings = settings
        self._clock = clock
        self._home = home
        self._bell = Bell(clock)
        self._telling: dict[int, tuple[str, asyncio.Task[None]]] = {}

    def check(self, address: str) -> str:
        """An address that may be told something. Raises `BadRequest` or `Refused`; a name is looked up only later."""
        return check_address(address, private=self._settings.private_callbacks)

    async def promise(self, tx: AsyncConnection, job: Job, address: str, *, key_id: int | None) -> None:
        """As part of the caller's transaction, with the job."""
        await callbacks.add(tx, job.id, address, key_id=key_id, now=self._clock.now())

    def secret(self, key_id: int | None) -> str:
        """What signs for a key, or for the house itself. It is read from the home's own key, and kept nowhere."""
        return secret_of(self._home.link_key(), key_id)

    async def run(self, told: Told) -> None:
        """Tell until cancelled."""
        with self._events.watch(lambda event: event.name == "job.ended") as news:
            hearing = asyncio.create_task(self._hear(news))
            try:
                while True:
                    self._bell.hush()
                    await self._begin(told)
                    await self._bell.rest(LOOK_EVERY)
            finally:
                tasks = [hearing, *(task for _, task in self._telling.values())]
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def _hear(self, news: Watch) -> None:
        async for _ in news:
            self._bell.ring()

    async def _begin(self, told: Told) -> None:
        if len(self._telling) >= AT_ONCE:
            return
        now = self._clock.now()
        look = partial(callbacks.due, now=now, late=now + LONGEST_PAUSE, but=tuple(self._telling))
        try:
            due = await self._database.look(look)
        except StoreError as error:
            log.warning("callbacks_not_read", cause=str(error))
            return
        for one in due:
            host = host_of(one.callback.address)
            busy = Counter(at for at, _ in self._telling.values())
            if len(self._telling) < AT_ONCE and busy[host] < AT_ONE_HOST:
                task = asyncio.create_task(self._tell(one, told))
                self._telling[one.callback.id] = host, task
                task.add_done_callback(partial(self._told, one.callback.id))

    def _told(self, callback_id: int, task: asyncio.Task[None]) -> None:
        del self._telling[callback_id]
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            self._bell.ring()
        else:
            # It is still owed; the next look is soon enough.
            log.error("callback_failed", callback=callback_id, exc_info=error)

    async def _tell(self, due: Due, told: Told) -> None:
        callback = due.callback
        if due.revoked:
            await self._given_up(due, say("rights.key_revoked"))
            return
        job, made = await self._database.look(partial(_ended, job_id=callback.job_id))
        body = json.dumps({"event": "job.ended", "id": callback.id, "job": told(job, made)}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Greenroom-Event": "job.ended",
            # The row's own number: however often it is told, and by whichever life of the house.
            "X-Greenroom-Delivery": str(callback.id),
            "X-Greenroom-Signature": signature(self.secret(callback.key_id), body),
        }
        try:
            await tell(
                callback.address,
                body,
                headers,
                private=self._settings.private_callbacks,
                patience=PATIENCE,
            )
        except TryAgain as error:
            await self._later(due, error)
        except (BadRequest, NotFound, Refused) as error:
            await self._given_up(due, error.sentence)
        else:
            # Whoever has it is not told again, even if we are closing just now.
            await unbroken(self._tried(due, CallbackState.SENT))
            log.info("callback_sent", callback=callback.id, job=callback.job_id)

    async def _later(self, due: Due, error: TryAgain) -> None:
        attempts = due.callback.attempts
        if attempts >= len(PAUSES):
            await self._given_up(due, error.sentence)
            return
        wanted = min(timedelta(seconds=max(0.0, error.after_s)), LONGEST_PAUSE)
        pause = max(timedelta(seconds=PAUSES[attempts]), wanted)
        await self._tried(due, CallbackState.OWED, error.sentence, self._clock.now() + pause)
        log.info("callback_later", callback=due.callback.id, pause=pause.total_seconds(), cause=str(error))

    async def _given_up(self, due: Due, why: str) -> None:
        await self._tried(due, CallbackState.GIVEN_UP, why)
        log.warning("callback_given_up", callback=due.callback.id, job=due.callback.job_id, cause=why)

    async def _tried(self, due: Due, becomes: CallbackState, error: str = "", again: Any = None) -> None:
        what = partial(
            callbacks.tried, callback_id=due.callback.id, becomes=becomes, error=error, again=again
        )
        while True:
            try:
                return await self._database.change(what)
            except GreenroomError as trouble:
                # A full disk passes; to forget what was told would be to tell it twice.
                log.warning("callback_not_noted", callback=due.callback.id, cause=str(trouble))
                await self._clock.sleep(LOOK_EVERY)


async def _ended(tx: AsyncConnection, job_id: int) -> tuple[Job, list[Picture]]:
    return await jobs.get(tx, job_id), (await pictures.of_jobs(tx, [job_id])).get(job_id, [])


def secret_of(link_key: bytes, key_id: int | None) -> str:
    """The secret by which a key's program knows that it is us who call."""
    whose = "the house" if key_id is None else f"key {key_id}"
    made = hmac.new(link_key, f"callbacks of {whose}".encode(), hashlib.sha256).digest()
    return PREFIX + base64.urlsafe_b64encode(made).decode().rstrip("=")


def signature(secret: str, body: bytes) -> str:
    """As hooks everywhere are signed.

    >>> signature("secret", b"{}")
    'sha256=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13'
    """
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
