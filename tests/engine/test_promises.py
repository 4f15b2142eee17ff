"""What was promised is kept beside what became of it; what a promise is made of is read from the rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.estimating import Expected, Made, Promise, Work
from engine.language import Source
from engine.pictures.fairness import HEAD_START
from engine.store import jobs, pictures, promises
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane, PictureRequest
from engine.store.tables import jobs as rows

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
REQUEST = PictureRequest(
    "on a pier", "a pier", "", "noir", Source.MODEL, 100, 7, width=832, height=1216, steps=30
)
KIND = Work(832, 1216, 30)


async def ask_for(
    tx: AsyncConnection,
    lane: Lane = Lane.INTERACTIVE,
    count: int = 1,
    who: str = "ada",
    **changed: Any,
) -> Job:
    request = replace(REQUEST, count=count, **changed)
    added = await jobs.add(tx, request=request, lane=lane, fair_owner=who, cost=count, now=NOON)
    return added.job


def row(job: Job, number: int, took: float) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "number": number,
        "file": f"{job.id}-{number}",
        "scene": "",
        "prompt": "",
        "negative": "",
        "style": "noir",
        "source": "model",
        "word_count": 100,
        "seed": 7,
        "width": 64,
        "height": 32,
        "steps": 4,
        "guidance": 7.5,
        "rating": "all-ages",
        "model": "sdxl",
        "device": "cuda",
        "stand_in": False,
        "seconds": took,
        "created_at": NOON,
    }


async def before(tx: AsyncConnection, job: Job) -> list[Work]:
    return list((await promises.pace(tx, job, head_start=HEAD_START)).before)


async def pictures_before(tx: AsyncConnection, job: Job) -> int:
    return sum(work.count for work in await before(tx, job))


async def test_the_last_pictures_are_told_as_they_were_asked_for_the_newest_first(database: Database) -> None:
    """A model that needs but four steps takes four whenever it is asked for thirty."""
    async with database.write() as tx:
        job = await ask_for(tx)
        assert (await promises.pace(tx, job, head_start=HEAD_START)).made == ()
        await pictures.add(tx, [row(job, number, float(number)) for number in range(1, 5)])
        other = await ask_for(tx, hires=True, strength=0.5)
        await pictures.add(tx, [row(other, 1, 5.0)])
        told = await promises.pace(tx, job, head_start=HEAD_START, most=3)
    assert told.made == (
        Made(5.0, replace(KIND, hires=True, strength=0.5), "sdxl", "cuda"),
        Made(4.0, KIND, "sdxl", "cuda"),
        Made(3.0, KIND, "sdxl", "cuda"),
    )


async def test_what_was_drawn_in_place_of_a_picture_is_told_from_what_was_wanted(database: Database) -> None:
    card = {"model": "placeholder", "device": "cpu", "stand_in": True}
    async with database.write() as tx:
        job = await ask_for(tx)
        failed = {"facts": {"instead_of": "sdxl", "because": "It is too dark."}}
        rows_of = [
            row(job, 1, 9.0) | {"facts": {}},
            row(job, 2, 0.2) | card | {"facts": {}},
            row(job, 3, 0.3) | card | failed,
        ]
        await pictures.add(tx, rows_of)
        told = await promises.pace(tx, job, head_start=HEAD_START)
    assert [(one.model, one.in_place) for one in told.made] == [
        ("placeholder", True),
        ("placeholder", False),
        ("sdxl", False),
    ]


async def test_what_an_older_greenroom_stored_is_a_plain_picture(database: Database) -> None:
    async with database.write() as tx:
        first, second = await ask_for(tx), await ask_for(tx)
        old = {"scene": "on a pier", "width": 832, "height": 1216, "steps": 30}
        await tx.execute(update(rows).where(rows.c.id == first.id).values(request=old))
        assert await before(tx, second) == [KIND]


async def test_before_a_job_stand_those_in_work_and_those_that_go_first(database: Database) -> None:
    async with database.write() as tx:
        first = await ask_for(tx, count=4)
        events = await ask_for(tx, Lane.EVENTS, count=2, who="feed")
        second = await ask_for(tx, count=3, who="bo")
        third = await ask_for(tx, who="cy")
        backfill = await ask_for(tx, Lane.BACKFILL, who="run")
        in_order = (first, second, third, events, backfill)
        assert [await pictures_before(tx, job) for job in in_order] == [0, 4, 7, 8, 10]
        await jobs.begin(tx, second.id, NOON)
        assert [await pictures_before(tx, job) for job in (first, third)] == [3, 7]
        await jobs.end(tx, second.id, JobState.DONE, NOON)
        await jobs.end(tx, first.id, JobState.CANCELLED, NOON)
        assert await pictures_before(tx, third) == 0


async def test_what_is_in_the_making_counts_as_far_as_it_is_not_done(database: Database) -> None:
    async with database.write() as tx:
        first, second = await ask_for(tx, count=2), await ask_for(tx)
        await jobs.begin(tx, first.id, NOON)
        await jobs.progress(tx, first.id, 15, 60)
        assert await before(tx, second) == [replace(KIND, count=2, done=0.25)]


async def test_of_several_that_are_taken_up_at_once_the_earlier_one_waits_for_none(
    database: Database,
) -> None:
    async with database.write() as tx:
        first, second = await ask_for(tx), await ask_for(tx)
        for job in (first, second):
            await jobs.begin(tx, job.id, NOON)
        begun = [await jobs.get(tx, job.id) for job in (first, second)]
        assert [await pictures_before(tx, job) for job in begun] == [0, 1]


async def test_a_long_line_is_counted_whole(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "ONE_BY_ONE", 4)
    async with database.write() as tx:
        for number in range(11):
            await ask_for(tx, count=number % 4 + 1)
        last = await ask_for(tx)
        assert await pictures_before(tx, last) == sum(number % 4 + 1 for number in range(11))


async def test_only_the_first_word_is_a_promise(database: Database) -> None:
    async with database.write() as tx:
        job = await ask_for(tx)
        assert await promises.give(tx, job.id, Expected(9.0, 20.0), Expected(10.0, 15.0), NOON)
        late = NOON + timedelta(seconds=5)
        assert not await promises.give(tx, job.id, Expected(1.0, 2.0), Expected(1.0, 2.0), late)
        assert await promises.met(tx) == (), "nobody knows yet what will become of it"
        await jobs.begin(tx, job.id, NOON)
        await jobs.end(tx, job.id, JobState.DONE, NOON + timedelta(seconds=12.5))
        assert await promises.met(tx) == (Promise(Expected(9.0, 20.0), Expected(10.0, 15.0), 12.5),)
        told = await jobs.get(tx, job.id)
    assert (told.promised_at, told.likely, told.at_most) == (NOON, 9.0, 20.0)


async def test_what_failed_was_taken_back_or_was_begun_twice_is_no_measure(database: Database) -> None:
    word = Expected(9.0, 20.0)
    async with database.write() as tx:
        for state, begun in ((JobState.FAILED, 1), (JobState.CANCELLED, 1), (JobState.DONE, 2)):
            job = await ask_for(tx)
            await promises.give(tx, job.id, word, word, NOON)
            for _ in range(begun):
                await jobs.begin(tx, job.id, NOON)
            await jobs.end(tx, job.id, state, NOON)
        assert await promises.met(tx) == ()


async def test_whoever_asks_anew_is_promised_anew(database: Database) -> None:
    word = Expected(9.0, 20.0)
    async with database.write() as tx:
        job = await ask_for(tx)
        await promises.give(tx, job.id, word, word, NOON)
        await jobs.end(tx, job.id, JobState.CANCELLED, NOON)
        again = await jobs.requeue(tx, job.id)
        assert again is not None
        assert (again.promised_at, again.likely, again.at_most) == (None, None, None)
        assert await promises.give(tx, job.id, word, word, NOON + timedelta(hours=1))


async def test_the_last_promises_are_told_the_newest_first(database: Database) -> None:
    async with database.write() as tx:
        for took in range(1, 6):
            job = await ask_for(tx)
            await promises.give(tx, job.id, Expected(3.0, 4.0), Expected(3.0, 4.0), NOON)
            await jobs.begin(tx, job.id, NOON)
            await jobs.end(tx, job.id, JobState.DONE, NOON + timedelta(seconds=took))
        assert [one.took for one in await promises.met(tx, most=3)] == [5.0, 4.0, 3.0]
