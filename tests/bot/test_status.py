"""`greenroom status`, /status, and the promises that cards make: what the house says of itself is so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import progress
from engine import monitor
from engine.engine import Engine
from engine.errors import StoreError
from engine.estimating import Expected
from engine.home import Home
from engine.locales import locale_of
from engine.monitor import Gpu
from engine.settings import PeopleSettings, Settings
from engine.store import jobs, pictures, promises
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane
from engine.testing import ManualClock
from tests.bot.command_line import Greenroom
from tests.bot.commands.guest import Guest
from tests.bot.test_progress import ask
from tests.engine.test_promises import ask_for, row

CARDS = (Gpu("NVIDIA H100", 79 * 10**9, 80 * 10**9, 73, 90), Gpu("A part of one", 0, 0))


async def lived(database: Database, now: datetime) -> None:
    """A day of a house: pictures made, some failures, promises met and missed, and a line."""
    word = Expected(10.0, 15.0)
    async with database.write() as tx:
        for number in range(20):
            job = await ask_for(tx, who=f"person:{number % 3}")
            await promises.give(tx, job.id, word, word, now - timedelta(minutes=30))
            await jobs.begin(tx, job.id, now - timedelta(minutes=30))
            await pictures.add(tx, [row(job, 1, 9.0) | {"created_at": now - timedelta(minutes=29)}])
            took = timedelta(seconds=11 if number else 40)
            await jobs.end(tx, job.id, JobState.DONE, now - timedelta(minutes=30) + took)
        for _ in range(4):
            job = await ask_for(tx)
            await jobs.end(tx, job.id, JobState.FAILED, now, "There was not \x1b[31menough memory.")
        await ask_for(tx, Lane.BACKFILL, who="run")
        await ask_for(tx, count=2)


async def at_work(database: Database, now: datetime) -> None:
    """One job that is done, of two pictures, and one in the making."""
    async with database.write() as tx:
        done = await ask_for(tx)
        await jobs.begin(tx, done.id, now - timedelta(minutes=2))
        for number, peak in enumerate((9_100_000_000, 11_260_000_000), 1):
            facts = {"memory": {"peak": peak, "of": "gpu"}}
            made = {"facts": facts, "created_at": now - timedelta(minutes=2)}
            await pictures.add(tx, [row(done, number, 9.0) | made])
        await jobs.end(tx, done.id, JobState.DONE, now - timedelta(minutes=1))
        running = await ask_for(tx)
        await jobs.begin(tx, running.id, now - timedelta(seconds=90))
        await jobs.progress(tx, running.id, 3, 20)


def fill(home: Path, with_what: Callable[[Database, datetime], Awaitable[None]] = lived) -> None:
    async def filled() -> None:
        database = await Database.open(f"sqlite:///{home / 'greenroom.db'}")
        try:
            await with_what(database, datetime.now(UTC))
        finally:
            await database.close()

    asyncio.run(filled())


def test_a_new_house_tells_what_there_is_and_what_to_do(greenroom: Greenroom) -> None:
    ended = greenroom("status")
    assert ended.returncode == 0, ended.stderr
    for words in ("does not run here", "GPU", "GB free of", "nobody waits", "no picture was made", "too few"):
        assert words in ended.stdout
    assert "→ Stand-ins are drawn" in ended.stdout


def test_a_house_that_was_lived_in_is_told_from_its_rows(greenroom: Greenroom) -> None:
    assert greenroom("status").returncode == 0
    fill(greenroom.home)
    told = " ".join(greenroom("status", COLUMNS="200").stdout.split())
    for words in (
        "interactive: 1 waiting, the oldest for ",
        "backfill: 1 waiting, the oldest for ",
        "20 pictures, 9.0 s each, sdxl on cuda",
        "4 of 24 jobs in the last day, most often: There was not enough memory.",
        "of the last 20, 95% came before the later time; usually off by 10%",
        "→ 2 orders wait, and the house does not run",
        "→ 4 of 24 orders came to nothing",
    ):
        assert words in told
    assert "\x1b" not in told


def test_what_single_jobs_use_is_told_in_work_and_after(greenroom: Greenroom) -> None:
    assert greenroom("status").returncode == 0
    fill(greenroom.home, at_work)
    told = " ".join(greenroom("status", COLUMNS="200").stdout.split())
    assert "jobs 2: step 3 of 20, in work for 9" in told
    assert "1: 2 pictures on cuda, each 9.0 s, at most 11.3 GB of the GPU" in told
    running, done = json.loads(greenroom("status", "--json").stdout)["jobs"]
    assert (running["job"], running["step"], running["steps"]) == (2, 3, 20)
    assert running["seconds"] >= 90
    assert done["facts"] == {"memory": {"peak": 11_260_000_000, "of": "gpu"}}
    shown = greenroom("jobs", "show", "1", COLUMNS="200").stdout
    assert "9.0 s, at most 9.1 GB of the GPU" in shown
    assert "9.0 s, at most 11.3 GB of the GPU" in shown


def test_each_card_is_told(greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "gpus_seen", lambda: (CARDS, ""))
    told = greenroom("status", COLUMNS="200").stdout
    assert "NVIDIA H100 · ━━━━━━━━━━━━ 79.0 GB of 80.0 GB · 73 % busy · 90 °C" in told
    assert "A part of one" in told


def test_scripts_are_told_the_same(greenroom: Greenroom) -> None:
    assert greenroom("status").returncode == 0
    fill(greenroom.home)
    told = json.loads(greenroom("status", "--json").stdout)
    assert told["running"] is None
    assert [lane["waiting"] for lane in told["pictures"]["lanes"]] == [1, 1]
    assert told["record"] == {"promises": 20, "in_time": 0.95, "off": pytest.approx(0.1)}
    assert told["machine"]["system"]["memory"] > 0
    assert len(told["verdict"]) >= 2


def test_beside_a_running_house_its_memory_is_told(greenroom: Greenroom) -> None:
    with Home(greenroom.home).own():
        Home(greenroom.home).announce("http://127.0.0.1:1")
        told = greenroom("status", COLUMNS="200").stdout
    assert "runs at http://127.0.0.1:1" in told
    assert "of it Greenroom's" in told


# In a chat


class TestAnOperator:
    @pytest.fixture
    def ana(self, engine: Engine) -> Guest:
        return Guest(engine)

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"people": PeopleSettings(operators=("stage:ana",))})

    async def test_is_told_of_the_machine_the_estimates_and_what_to_do(
        self, ana: Guest, engine: Engine
    ) -> None:
        await ana.says("Hello")
        assert "Guesses" not in await ana.does("/status"), "nothing is known of them yet"
        await lived(engine.database, engine.clock.now())
        told = await ana.does("/status")
        assert "GB of disk" in told
        assert "of the last 20, 95% came before the later time; usually they are off by 10%." in told
        assert "→ 4 of 24 orders came to nothing in the last 24 hours, most often so: There was not" in told
        assert "{" not in told

    async def test_is_told_of_each_card_and_what_it_does_not_tell(
        self, ana: Guest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await ana.says("Hello")
        monkeypatch.setattr(monitor, "gpus_seen", lambda: (CARDS, ""))
        told = await ana.does("/status")
        assert "GPU NVIDIA H100: 79 of 80 GB in use, 73% busy, 90 °C" in told
        assert "GPU A part of one: 0 of 0 GB in use, –% busy, – °C" in told
        assert "→ NVIDIA H100 has 90 °C and slows itself down." in told
        assert "`[pictures] vram = 24`" in told


# What cards promise


async def known(engine: Engine, seconds: float = 9.0) -> None:
    """A picture of the kind that `ask` asks for was made, and took so long."""
    job = await ask(engine, message="", who="somebody who was here before")
    async with engine.database.write() as tx:
        await pictures.add(tx, [row(job, 1, seconds)])
    await engine.imagining.cancel(job.id)


async def fresh(engine: Engine, job: Job) -> Job:
    async with engine.database.read() as tx:
        return await jobs.get(tx, job.id)


async def test_the_first_word_on_a_job_is_kept_and_what_is_said_later_is_not(engine: Engine) -> None:
    assert isinstance(engine.clock, ManualClock)
    await known(engine)
    first = await ask(engine, message="")
    second = await ask(engine, message="", who="bo")
    ahead, ready = await progress.expectation(engine, await fresh(engine, second))
    assert ahead == 1
    assert ready is not None
    assert ready.likely == pytest.approx(18.0)
    promised = await fresh(engine, second)
    assert promised.promised_at == engine.clock.now()
    assert (promised.likely, promised.at_most) == (ready.likely, ready.at_most)
    await engine.imagining.cancel(first.id)
    await engine.clock.advance(5)
    ahead, ready = await progress.expectation(engine, promised)
    assert ahead == 0
    assert ready is not None
    assert ready.likely == pytest.approx(9.0), "what is told is what is so now"
    assert await fresh(engine, second) == promised


async def test_where_nothing_is_known_nothing_is_promised(engine: Engine) -> None:
    job = await ask(engine, message="")
    assert await progress.expectation(engine, job) == (0, None)
    assert (await fresh(engine, job)).promised_at is None


async def test_past_errors_are_reckoned_in(engine: Engine) -> None:
    await known(engine)
    guess, start = Expected(9.0, 9.5), engine.clock.now()
    async with engine.database.write() as tx:
        for _ in range(20):
            job = await ask_for(tx)
            await promises.give(tx, job.id, guess, guess, start)
            await jobs.begin(tx, job.id, start)
            await jobs.end(tx, job.id, JobState.DONE, start + timedelta(seconds=18))
    asked = await ask(engine, message="")
    _, ready = await progress.expectation(engine, asked)
    assert ready is not None
    assert ready.likely == pytest.approx(18.0), "it always took twice as long as was guessed"
    told = await progress.record_told(engine, locale_of("de"))
    assert "Von den letzten 20 kamen 0 %" in told


async def test_a_store_in_trouble_keeps_nobody_from_being_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(engine)
    job = await ask(engine, message="")

    async def trouble(*_about: Any, **_told: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(promises, "give", trouble)
    _, ready = await progress.expectation(engine, job)
    assert ready is not None
    assert (await fresh(engine, job)).promised_at is None
