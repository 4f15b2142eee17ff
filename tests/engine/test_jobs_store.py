"""What is remembered of jobs, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.pictures.fairness import fair_tag, rank_of
from engine.store import jobs
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane, PictureRequest
from engine.store.tables import people
from personas.persona import Rating

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

REQUEST = PictureRequest(
    scene="on a pier",
    prompt="a woman on a pier",
    negative="fog",
    style="photorealistic",
    source=Source.MODEL,
    word_count=5,
    seed=2**40,
    rating=Rating.MATURE,
    ledger={"clothes": "a coat"},
)


async def ask(
    tx: AsyncConnection, owner: str = "ada", lane: Lane = Lane.INTERACTIVE, cost: int = 1, **more: Any
) -> Job:
    added = await jobs.add(tx, request=REQUEST, lane=lane, fair_owner=owner, cost=cost, now=NOON, **more)
    return added.job


async def test_a_job_comes_back_as_it_was_stored(database: Database) -> None:
    async with database.write() as tx:
        stored = await ask(tx, lane=Lane.EVENTS, parent_picture_id=9)
    async with database.read() as tx:
        found = await jobs.get(tx, stored.id)
    assert found == stored
    assert found.request == REQUEST
    assert (found.state, found.lane, found.created_at) == (JobState.QUEUED, Lane.EVENTS, NOON)


@pytest.mark.parametrize("job_id", [0, -1, 7, 2**31, 2**70])
async def test_a_job_that_is_not_there_is_named(database: Database, job_id: int) -> None:
    async with database.read() as tx:
        with pytest.raises(NotFound, match=f"no job {job_id}"):
            await jobs.get(tx, job_id)


async def test_asked_twice_under_one_key_it_is_one_job(database: Database) -> None:
    async def once() -> jobs.Added:
        async with database.write() as tx:
            return await jobs.add(
                tx,
                request=REQUEST,
                lane=Lane.INTERACTIVE,
                fair_owner="ada",
                cost=1,
                now=NOON,
                dedup_key="telegram:1:2",
            )

    added = await asyncio.gather(*(once() for _ in range(5)))
    assert len({one.job.id for one in added}) == 1
    assert sorted(one.is_new for one in added) == [False] * 4 + [True]


async def test_tags_are_those_of_the_arithmetic(database: Database) -> None:
    asked = [("ada", Lane.INTERACTIVE, 1), ("ada", Lane.INTERACTIVE, 4), ("bela", Lane.INTERACTIVE, 1)]
    asked += [("ada", Lane.BACKFILL, 2), ("ada", Lane.INTERACTIVE, 1), ("bela", Lane.INTERACTIVE, 3)]
    asked += [("cleo", Lane.INTERACTIVE, 1), ("ada", Lane.BACKFILL, 1), ("ada", Lane.INTERACTIVE, 1)]
    virtual_time = 0
    ends: dict[tuple[str, Lane], int] = {}
    for number, (owner, lane, cost) in enumerate(asked):
        async with database.write() as tx:
            job = await ask(tx, owner, lane, cost)
            assert job.fair_tag == fair_tag(virtual_time, ends.get((owner, lane), 0))
            ends[owner, lane] = job.fair_tag + cost
            if number % 2:
                await jobs.begin(tx, job.id, NOON)
                virtual_time = max(virtual_time, job.fair_tag)


async def test_one_persons_jobs_asked_at_once_get_tags_one_behind_the_other(database: Database) -> None:
    async def once() -> int:
        async with database.write() as tx:
            return (await ask(tx)).fair_tag

    assert sorted(await asyncio.gather(*(once() for _ in range(6)))) == list(range(6))


async def test_what_was_cancelled_before_it_started_is_not_charged(database: Database) -> None:
    async with database.write() as tx:
        asked = [await ask(tx) for _ in range(10)]
        for job in asked[1:]:
            await jobs.end(tx, job.id, JobState.CANCELLED, NOON)
        assert (await ask(tx)).fair_tag == 1


async def test_ranks_follow_the_lanes(database: Database) -> None:
    async with database.write() as tx:
        ranks = [rank_of(await ask(tx, lane=lane)) for lane in Lane]
    assert ranks == sorted(set(ranks))


async def test_a_job_that_has_ended_does_not_begin_again(database: Database) -> None:
    async with database.write() as tx:
        job = await ask(tx)
        first = await jobs.begin(tx, job.id, NOON)
        second = await jobs.begin(tx, job.id, NOON + timedelta(minutes=1))
        assert first is not None
        assert second is not None
        assert (first.state, first.attempts, first.started_at) == (JobState.RUNNING, 1, NOON)
        assert second.attempts == 2
        assert await jobs.end(tx, job.id, JobState.DONE, NOON)
        assert await jobs.begin(tx, job.id, NOON) is None
        assert await jobs.begin(tx, job.id + 1, NOON) is None


async def test_the_first_outcome_stands(database: Database) -> None:
    async with database.write() as tx:
        job = await ask(tx)
        assert await jobs.end(tx, job.id, JobState.FAILED, NOON, "the card is full")
        assert not await jobs.end(tx, job.id, JobState.DONE, NOON)
        ended = await jobs.get(tx, job.id)
        assert (ended.state, ended.error, ended.ended_at) == (JobState.FAILED, "the card is full", NOON)
        with pytest.raises(ValueError, match="not an end"):
            await jobs.end(tx, job.id, JobState.RUNNING, NOON)


async def test_steps_are_counted_while_it_runs_and_not_after(database: Database) -> None:
    async with database.write() as tx:
        job = await ask(tx)
        await jobs.begin(tx, job.id, NOON)
        await jobs.progress(tx, job.id, 3, 20)
        running = await jobs.get(tx, job.id)
        await jobs.end(tx, job.id, JobState.CANCELLED, NOON)
        await jobs.progress(tx, job.id, 4, 20)
        ended = await jobs.get(tx, job.id)
    assert (running.step, running.steps, ended.step) == (3, 20, 3)


@pytest.mark.parametrize("outcome", [JobState.FAILED, JobState.CANCELLED])
async def test_a_retry_starts_afresh_behind_its_owners_other_jobs(
    database: Database, outcome: JobState
) -> None:
    async with database.write() as tx:
        job, other = await ask(tx), await ask(tx)
        await jobs.begin(tx, job.id, NOON)
        await jobs.end(tx, job.id, outcome, NOON, "no")
        again = await jobs.requeue(tx, job.id)
        assert again == replace(job, fair_tag=other.fair_tag + 1)
        newcomer = await ask(tx, "bela")
        assert newcomer.fair_tag <= other.fair_tag


async def test_only_what_failed_or_was_cancelled_is_retried(database: Database) -> None:
    async with database.write() as tx:
        job = await ask(tx)
        assert await jobs.requeue(tx, job.id) is None
        await jobs.begin(tx, job.id, NOON)
        assert await jobs.requeue(tx, job.id) is None
        await jobs.end(tx, job.id, JobState.DONE, NOON)
        assert await jobs.requeue(tx, job.id) is None
        assert await jobs.requeue(tx, job.id + 1) is None


async def test_a_listing_is_newest_first_in_pages_by_state_and_by_person(database: Database) -> None:
    async with database.write() as tx:
        person = (
            await tx.execute(insert(people).values(name="Ada", created_at=NOON).returning(people.c.id))
        ).scalar_one()
        asked = [await ask(tx, person_id=person if number % 2 else None) for number in range(6)]
        await jobs.end(tx, asked[3].id, JobState.DONE, NOON)
        ids = [job.id for job in asked]
        page = await jobs.listing(tx, limit=4)
        rest = await jobs.listing(tx, limit=4, before_id=page[-1].id)
        assert [job.id for job in page + rest] == ids[::-1]
        assert [job.id for job in await jobs.listing(tx, person_id=person)] == [ids[5], ids[3], ids[1]]
        assert [job.id for job in await jobs.listing(tx, states=[JobState.DONE])] == [ids[3]]
        assert await jobs.listing(tx, states=[]) == []
        assert len(await jobs.listing(tx, before_id=2**70)) == 6


async def test_what_is_unfinished_is_what_has_no_outcome(database: Database) -> None:
    async with database.write() as tx:
        waiting, running, done = [await ask(tx) for _ in range(3)]
        await jobs.begin(tx, running.id, NOON)
        await jobs.end(tx, done.id, JobState.DONE, NOON)
        assert [job.id for job in await jobs.unfinished(tx)] == [waiting.id, running.id]


requests = st.builds(
    PictureRequest,
    scene=st.text(),
    prompt=st.text(),
    negative=st.text(),
    style=st.text(),
    source=st.sampled_from(Source),
    word_count=st.integers(0, 300),
    seed=st.integers(0, 2**63 - 1),
    rating=st.sampled_from(Rating),
    guidance=st.floats(0, 30),
    ledger=st.dictionaries(st.text(), st.text()),
)


@given(requests)
def test_a_request_survives_its_way_through_json(request_: PictureRequest) -> None:
    assert jobs.request_from_json(jobs.request_to_json(request_)) == request_


@given(requests, st.sets(st.sampled_from([*jobs.request_to_json(REQUEST)])))
def test_a_request_of_another_version_can_be_read(request_: PictureRequest, missing: set[str]) -> None:
    stored = {name: value for name, value in jobs.request_to_json(request_).items() if name not in missing}
    read = jobs.request_from_json({**stored, "camera": {"lens": 35}})
    kept = jobs.request_to_json(read)
    assert all(kept[name] == value for name, value in stored.items())


def test_what_a_newer_version_calls_source_and_rating_is_read_with_care() -> None:
    stored = {**jobs.request_to_json(REQUEST), "source": "oracle", "rating": "unheard-of"}
    read = jobs.request_from_json(stored)
    assert (read.source, read.rating) == (Source.UNDERSTUDY, Rating.ADULT)


async def test_who_asks_lately_is_seen_past_all_that_a_run_makes_meanwhile(database: Database) -> None:
    async with database.write() as tx:
        await ask(tx, "ada", cost=3)
        await ask(tx, "ben")
        for _ in range(1_100):
            await ask(tx, "a run", lane=Lane.BACKFILL)
        assert await jobs.askers(tx, since=NOON) == 2
        assert await jobs.pictures_asked(tx, since=NOON) == 4
