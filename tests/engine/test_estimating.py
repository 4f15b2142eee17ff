"""How long it will take: from what was measured, monotone, and silent where nothing was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.estimating import ENOUGH, Made, expected, left
from engine.language import Source
from engine.pictures.fairness import HEAD_START
from engine.store import jobs, pictures
from engine.store.database import Database
from engine.store.records import Job, JobState, Lane, PictureRequest

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAIN = Made(10.0, 1024, 1024, 20, "sdxl", "cuda")

sides = st.integers(8, 256).map(lambda eighth: eighth * 8)
seconds = st.floats(0.01, 3600)
histories = st.lists(
    st.builds(
        Made,
        seconds,
        sides,
        sides,
        st.integers(1, 150),
        st.sampled_from(["sdxl", "placeholder"]),
        st.just("cuda"),
    ),
    min_size=1,
    max_size=50,
)


def test_where_nothing_was_made_nothing_is_said() -> None:
    assert expected([], width=1024, height=1024, steps=20) is None
    assert expected([replace(PLAIN, seconds=0.0)], width=1024, height=1024, steps=20) is None


def test_half_of_them_take_no_longer_than_likely_and_nine_of_ten_no_longer_than_at_most() -> None:
    made = [replace(PLAIN, seconds=float(second)) for second in range(1, 12)]
    told = expected(made, width=1024, height=1024, steps=20)
    assert told is not None
    assert (told.likely, told.at_most) == (6.0, 10.0)


def test_an_unlike_picture_is_told_in_proportion_to_its_work() -> None:
    told = expected([PLAIN], width=512, height=1024, steps=40)
    half = expected([PLAIN], width=512, height=1024, steps=20)
    assert told is not None
    assert half is not None
    assert (told.likely, half.likely) == (10.0, 5.0)


def test_enough_of_the_very_same_kind_are_asked_alone() -> None:
    small = [replace(PLAIN, width=512, height=512, seconds=4.0)] * ENOUGH
    told = expected([PLAIN] * 40 + small, width=512, height=512, steps=20)
    assert told is not None
    assert told.likely == 4.0, "and not a quarter of ten: small pictures have their own overhead"


def test_what_a_stand_in_took_says_nothing_of_a_model() -> None:
    stand_ins = [replace(PLAIN, seconds=0.2, model="placeholder", device="cpu")] * 49
    told = expected([PLAIN, *stand_ins], width=1024, height=1024, steps=20)
    assert told is not None
    assert told.likely == 10.0


@given(
    histories, sides, sides, st.integers(1, 150), st.integers(1, 4), st.integers(0, 100), st.integers(1, 8)
)
def test_more_work_and_a_longer_line_never_take_less(
    made: list[Made], width: int, height: int, steps: int, count: int, before: int, concurrency: int
) -> None:
    def ask(**changed: int) -> tuple[float, float]:
        asked = {"count": count, "before": before, "concurrency": concurrency} | changed
        told = expected(made, width=width, height=height, steps=steps, **asked)
        assert told is not None
        return told.likely, told.at_most

    likely, at_most = ask()
    assert 0 < likely <= at_most
    for longer in (ask(count=count + 1), ask(before=before + 1)):
        assert longer[0] >= likely
        assert longer[1] >= at_most * 0.999_999
    assert ask(concurrency=concurrency + 1)[0] <= likely


@given(histories, sides, sides, st.integers(1, 75), st.floats(0.5, 8))
def test_a_slower_machine_takes_longer_by_the_same_factor(
    made: list[Made], width: int, height: int, steps: int, factor: float
) -> None:
    slower = [replace(one, seconds=one.seconds * factor) for one in made]
    now = expected(made, width=width, height=height, steps=steps, before=3)
    then = expected(slower, width=width, height=height, steps=steps, before=3)
    assert now is not None
    assert then is not None
    assert then.likely == pytest.approx(now.likely * factor)
    assert then.at_most == pytest.approx(now.at_most * factor)


@given(st.integers(1, 200), st.integers(0, 200), st.floats(0.001, 10_000))
def test_what_is_left_goes_down_to_nothing_at_the_last_step(steps: int, step: int, a_step: float) -> None:
    told = left(step, steps, passed=step * a_step)
    if step == 0 or step > steps:
        assert told is None
    else:
        assert told == pytest.approx((steps - step) * a_step)


def test_a_pace_is_that_of_the_steps_that_were_seen() -> None:
    assert left(12, 20, passed=4.0, since=10) == 16.0
    assert left(10, 20, passed=4.0, since=10) is None


# What the store knows of it

REQUEST = PictureRequest("on a pier", "a pier", "", "noir", Source.MODEL, 100, 7)


async def ask_for(tx: AsyncConnection, lane: Lane = Lane.INTERACTIVE, cost: int = 1, who: str = "ada") -> Job:
    added = await jobs.add(tx, request=REQUEST, lane=lane, fair_owner=who, cost=cost, now=NOON)
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
        "steps": 9,
        "guidance": 7.5,
        "rating": "all-ages",
        "model": "sdxl",
        "device": "cuda",
        "stand_in": False,
        "seconds": took,
        "created_at": NOON,
    }


async def test_the_last_pictures_are_told_the_newest_first(database: Database) -> None:
    async with database.write() as tx:
        job = await ask_for(tx)
        assert (await jobs.pace(tx, job, head_start=HEAD_START)).made == ()
        await pictures.add(tx, [row(job, number, float(number)) for number in range(1, 5)])
        told = await jobs.pace(tx, job, head_start=HEAD_START, most=3)
    assert told.made == tuple(Made(took, 64, 32, 9, "sdxl", "cuda") for took in (4.0, 3.0, 2.0))


async def test_before_a_job_stand_the_pictures_of_those_in_work_and_of_those_that_go_first(
    database: Database,
) -> None:
    async with database.write() as tx:
        first = await ask_for(tx, cost=4)
        events = await ask_for(tx, Lane.EVENTS, cost=2, who="feed")
        second = await ask_for(tx, cost=3, who="bo")
        third = await ask_for(tx, who="cy")
        backfill = await ask_for(tx, Lane.BACKFILL, who="run")

        async def before(job: Job) -> int:
            return (await jobs.pace(tx, job, head_start=HEAD_START)).before

        assert [await before(job) for job in (first, second, third, events, backfill)] == [0, 4, 7, 8, 10]
        await jobs.begin(tx, second.id, NOON)
        assert [await before(job) for job in (first, third)] == [3, 7]
        await jobs.end(tx, second.id, JobState.DONE, NOON)
        await jobs.end(tx, first.id, JobState.CANCELLED, NOON)
        assert await before(third) == 0
