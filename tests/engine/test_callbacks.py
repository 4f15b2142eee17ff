"""Callbacks: told once a job has ended, signed, tried again for a day, and never twice after they were heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from bot.shown import ended_shown
from engine.callbacks import AT_ONE_HOST, PAUSES, Callbacks, secret_of, signature
from engine.errors import BadRequest, Refused
from engine.events import Events
from engine.home import Home
from engine.language import Source
from engine.settings import WebSettings
from engine.store import callbacks, jobs, keys
from engine.store.database import Database
from engine.store.records import Callback, CallbackState, Job, JobState, Lane, PictureRequest, Scope
from engine.testing import ManualClock
from tests.servers.listeners import Listener, listening
from tests.working import meanwhile

REQUEST = PictureRequest("on a pier", "a woman on a pier", "", "noir", Source.UNDERSTUDY, 5, 7)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as opened:
        yield opened


class House:
    """The part that calls back, on a database with jobs that end when a test says so."""

    def __init__(self, database: Database, folder: Path, *, private: bool = True) -> None:
        self.database = database
        self.clock = ManualClock()
        self.events = Events()
        self.home = Home(folder)
        self.home.prepare()
        self.settings = WebSettings(private_callbacks=private)
        self.callbacks = self.opened()

    def opened(self) -> Callbacks:
        return Callbacks(self.database, self.events, self.settings, self.clock, self.home)

    async def promised(self, address: str, *, key_id: int | None = None) -> Job:
        async with self.database.write() as tx:
            added = await jobs.add(
                tx,
                request=REQUEST,
                lane=Lane.INTERACTIVE,
                fair_owner="house",
                cost=1,
                now=self.clock.now(),
            )
            await self.callbacks.promise(tx, added.job, address, key_id=key_id)
        return added.job

    async def end(self, job: Job, state: JobState = JobState.DONE, error: str = "") -> None:
        async with self.database.write() as tx:
            await jobs.end(tx, job.id, state, self.clock.now(), error)
        self.events.publish("job.ended", job=job.id)

    async def rows(self) -> list[Callback]:
        listed = partial(callbacks.listing, key_id=None, every=True, before=None, most=100)
        return await self.database.look(listed)

    async def until(self, state: CallbackState, attempts: int = 1) -> Callback:
        """The only one, once it is there."""
        async with asyncio.timeout(20):
            while True:
                [row] = await self.rows()
                if (row.state, row.attempts) == (state, attempts):
                    return row
                await asyncio.sleep(0.01)
                await self.clock.advance(1)

    async def a_key(self) -> int:
        async with self.database.write() as tx:
            scopes = frozenset({Scope.MAKE})
            made = await keys.add(tx, "tablet", kept="x", scopes=scopes, rate=0, now=self.clock.now())
        return made.id


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path / "home")


async def test_nobody_is_told_before_the_job_has_ended_and_then_once(
    house: House, listener: Listener
) -> None:
    job = await house.promised(listener.at())
    async with meanwhile(house.callbacks.run(ended_shown)):
        await asyncio.sleep(0.1)
        assert listener.heard == []
        await house.end(job, JobState.FAILED, "It was too dark.")
        await listener.until(1)
        row = await house.until(CallbackState.SENT)
        await house.clock.advance(100_000)
        await asyncio.sleep(0.1)
    [heard] = listener.heard
    assert (heard.told["event"], heard.told["id"]) == ("job.ended", row.id)
    assert (heard.told["job"]["state"], heard.told["job"]["error"]) == ("failed", "It was too dark.")
    assert heard.headers["x-greenroom-delivery"] == str(row.id)
    assert heard.headers["content-type"] == "application/json"


async def test_what_is_told_is_signed_by_the_key_s_own_secret(house: House, listener: Listener) -> None:
    key_id = await house.a_key()
    job = await house.promised(listener.at(), key_id=key_id)
    await house.end(job)
    async with meanwhile(house.callbacks.run(ended_shown)):
        await house.until(CallbackState.SENT)
    [heard] = listener.heard
    secret = secret_of(house.home.link_key(), key_id)
    assert heard.headers["x-greenroom-signature"] == signature(secret, heard.body)
    assert secret == house.opened().secret(key_id), "it is the same after a restart"
    assert len({secret_of(house.home.link_key(), one) for one in (None, 1, 2, 11)}) == 4


async def test_who_does_not_hear_is_told_again_after_growing_pauses(house: House, listener: Listener) -> None:
    listener.status = 500
    await house.end(await house.promised(listener.at()))
    async with meanwhile(house.callbacks.run(ended_shown)):
        for attempts, pause in enumerate(PAUSES, 1):
            row = await house.until(CallbackState.OWED, attempts)
            assert row.available_at is not None
            assert row.available_at - house.clock.now() <= timedelta(seconds=pause)
            assert "HTTP 500" in row.error
            await house.clock.advance(pause)
        gone = await house.until(CallbackState.GIVEN_UP, len(PAUSES) + 1)
    assert len(listener.heard) == len(PAUSES) + 1
    assert "HTTP 500" in gone.error
    assert sum(PAUSES) > 0.9 * 86_400
    assert len({heard.headers["x-greenroom-signature"] for heard in listener.heard}) == 1


async def test_a_server_says_when_to_come_back_but_never_for_too_long(
    house: House, listener: Listener
) -> None:
    listener.status, listener.headers = 503, {"Retry-After": "99999999"}
    await house.end(await house.promised(listener.at()))
    async with meanwhile(house.callbacks.run(ended_shown)):
        row = await house.until(CallbackState.OWED)
        assert row.available_at is not None
        late = row.available_at - house.clock.now()
        assert timedelta(seconds=PAUSES[-1] - 60) < late <= timedelta(seconds=PAUSES[-1])
        listener.status, listener.headers = 200, {}
        await house.clock.advance(PAUSES[-1])
        await house.until(CallbackState.SENT, 2)


async def test_it_goes_on_after_a_restart(house: House, listener: Listener) -> None:
    listener.status = 502
    job = await house.promised(listener.at())
    async with meanwhile(house.callbacks.run(ended_shown)):
        await house.end(job)
        await house.until(CallbackState.OWED)
    listener.status = 200
    await house.clock.advance(PAUSES[0] + 1)
    async with meanwhile(house.opened().run(ended_shown)):
        await house.until(CallbackState.SENT, 2)
    assert len(listener.heard) == 2


async def test_one_that_was_cut_off_by_a_stop_is_told_after_the_next_start(
    house: House, listener: Listener
) -> None:
    listener.open.clear()
    await house.end(await house.promised(listener.at()))
    async with meanwhile(house.callbacks.run(ended_shown)):
        await listener.until(1)
    [row] = await house.rows()
    assert (row.state, row.attempts) == (CallbackState.OWED, 0)
    listener.open.set()
    async with meanwhile(house.opened().run(ended_shown)):
        await house.until(CallbackState.SENT)


async def test_who_says_that_nothing_is_there_any_more_is_left_alone(
    house: House, listener: Listener
) -> None:
    listener.status = 410
    await house.end(await house.promised(listener.at()))
    async with meanwhile(house.callbacks.run(ended_shown)):
        await house.until(CallbackState.GIVEN_UP)


async def test_nobody_is_followed_elsewhere(house: House, listener: Listener) -> None:
    listener.status, listener.headers = 307, {"Location": listener.at("elsewhere")}
    await house.end(await house.promised(listener.at()))
    async with meanwhile(house.callbacks.run(ended_shown)):
        await house.until(CallbackState.OWED)
    assert [heard.path for heard in listener.heard] == ["/done"]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/x",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
    ],
)
async def test_a_private_address_is_refused_when_it_is_named(
    database: Database, tmp_path: Path, address: str
) -> None:
    house = House(database, tmp_path / "home", private=False)
    with pytest.raises((Refused, BadRequest)):
        house.callbacks.check(address)
    assert House(database, tmp_path / "other").callbacks.check("http://127.0.0.1:9/x")


@pytest.mark.parametrize("name", ["localhost", "0"])
async def test_a_name_that_leads_inside_is_never_called(
    database: Database, tmp_path: Path, listener: Listener, name: str
) -> None:
    house = House(database, tmp_path / "home", private=False)
    named = listener.at().replace("127.0.0.1", name)
    await house.end(await house.promised(house.callbacks.check(named)))
    async with meanwhile(house.callbacks.run(ended_shown)):
        row = await house.until(CallbackState.GIVEN_UP)
    assert row.error
    assert listener.heard == []


async def test_a_key_that_was_revoked_is_called_back_no_more(house: House, listener: Listener) -> None:
    key_id = await house.a_key()
    job = await house.promised(listener.at(), key_id=key_id)
    async with house.database.write() as tx:
        await keys.revoke(tx, "tablet", now=house.clock.now())
    await house.end(job)
    async with meanwhile(house.callbacks.run(ended_shown)):
        row = await house.until(CallbackState.GIVEN_UP)
    assert "revoked" in row.error
    assert listener.heard == []


async def test_who_is_slow_keeps_nobody_else_waiting(house: House, listener: Listener) -> None:
    async with listening() as quick:
        listener.open.clear()
        for job in [await house.promised(listener.at()) for _ in range(2 * AT_ONE_HOST)]:
            await house.end(job)
        await house.end(await house.promised(quick.at().replace("127.0.0.1", "localhost")))
        async with meanwhile(house.callbacks.run(ended_shown)):
            await quick.until(1)
            await listener.until(AT_ONE_HOST)
        assert len(listener.heard) == AT_ONE_HOST


async def test_a_clock_that_was_set_back_leaves_nothing_waiting_for_ever(
    house: House, listener: Listener
) -> None:
    listener.status = 500
    await house.end(await house.promised(listener.at()))
    async with meanwhile(house.callbacks.run(ended_shown)):
        await house.until(CallbackState.OWED)
        house.clock.jump(timedelta(days=-30))
        listener.status = 200
        await house.until(CallbackState.SENT, 2)
