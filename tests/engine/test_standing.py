"""Batches and backfills that begin by the clock: once at each time, and what came of them is told."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.ordering import Kind, Order
from engine.store import outbox, personas, runs, schedules
from engine.store.records import DeliveryKind, JobState, Lane, Run, Schedule, ScheduleState
from engine.store.runs import RunState
from engine.store.tables import jobs
from engine.store.tables import personas as persona_rows
from engine.timewords import read
from tests.engine import posts_stage
from tests.engine.posts_stage import DAY, NINE, place_of
from tests.working import working


@pytest.fixture
def engine(stored_engine: Engine) -> Engine:
    return stored_engine


async def ordered(engine: Engine, words: str = "daily 09:00", **order: Any) -> Schedule:
    timing, _ = read(words)
    place = await place_of(engine)
    return await engine.standing.add(
        place=place, timing=timing, zone="UTC", order=Order(**{"limit": 2, **order})
    )


async def at(engine: Engine, moment: datetime) -> None:
    posts_stage.at(engine, moment)
    await engine.standing.round()


async def all_runs(engine: Engine) -> list[Run]:
    return list(reversed(await engine.database.look(runs.listing)))


async def paint(engine: Engine, run_id: int) -> None:
    async with working(engine), asyncio.timeout(20):
        while (await engine.runs.standing(run_id)).run.state != RunState.DONE:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.01)


async def notices(engine: Engine) -> list[str]:
    async with engine.database.write() as tx:
        owed = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    return [row.text for row in owed if row.kind is DeliveryKind.NOTICE]


async def test_each_time_is_one_run_in_the_lane_of_backfills_and_its_end_is_told(engine: Engine) -> None:
    schedule = await ordered(engine)
    await at(engine, NINE - timedelta(seconds=1))
    assert await all_runs(engine) == []
    await at(engine, NINE)
    await at(engine, NINE + timedelta(seconds=15))
    (run,) = await all_runs(engine)
    assert run.key == f"{schedule.options['name']}-2026-03-01"
    assert run.state == RunState.OPEN
    await paint(engine, run.id)
    async with engine.database.read() as tx:
        lanes = set((await tx.execute(jobs.select().with_only_columns(jobs.c.lane, jobs.c.state))).all())
    assert lanes == {(Lane.BACKFILL.value, JobState.DONE.value)}
    assert await notices(engine) == []
    await engine.standing.round()
    await engine.standing.round()
    assert await notices(engine) == [f"Run {run.key} is done: 2 made, 0 failed."]
    await at(engine, NINE + DAY)
    assert [one.key[-10:] for one in await all_runs(engine)] == ["2026-03-01", "2026-03-02"]


async def test_no_post_comes_of_it(engine: Engine) -> None:
    schedule = await ordered(engine)
    await at(engine, NINE - timedelta(minutes=1))
    assert await engine.posting.publishing.round() is None
    await at(engine, NINE)
    await engine.posting.publishing.round()
    assert await engine.posting.posts() == []
    with pytest.raises(BadRequest, match="orders pictures"):
        await engine.posting.run_now(schedule.id)
    assert schedule.persona_id == 0, "nobody posts"
    for who in await engine.database.look(personas.listing):
        assert await engine.posting.pause_persona(who.id, True) == 0


async def test_a_stop_between_the_run_and_its_schedule_begins_no_second_run(engine: Engine) -> None:
    schedule = await ordered(engine)
    await at(engine, NINE)
    moved = await engine.posting.get(schedule.id)
    back = partial(schedules.change, known=moved, next_due_at=NINE, options=schedule.options)
    assert await engine.database.change(back) is not None
    await paint(engine, (await all_runs(engine))[0].id)
    await engine.standing.round()
    assert len(await all_runs(engine)) == 1
    await engine.standing.round()
    assert len(await notices(engine)) == 1


async def test_of_several_times_a_day_each_has_its_own_run(engine: Engine) -> None:
    await ordered(engine, "daily 09:00,18:30", kind=Kind.BATCH, missing_only=False, scene="in the rain")
    await at(engine, NINE)
    await at(engine, NINE + timedelta(hours=9, minutes=30))
    assert [one.key[-15:] for one in await all_runs(engine)] == ["2026-03-01-0900", "2026-03-01-1830"]


async def test_what_was_missed_for_long_is_passed_over_and_of_a_moment_ago_made_up(engine: Engine) -> None:
    await ordered(engine)
    await at(engine, NINE + 3 * DAY + timedelta(hours=5))
    assert await all_runs(engine) == []
    await at(engine, NINE + 4 * DAY + timedelta(minutes=40))
    assert [one.key[-10:] for one in await all_runs(engine)] == ["2026-03-05"]


async def test_one_that_is_paused_begins_nothing_and_one_that_is_over_ends(engine: Engine) -> None:
    schedule = await ordered(engine, "once 2026-03-01 09:00")
    await engine.posting.pause(schedule.id)
    await at(engine, NINE)
    assert await all_runs(engine) == []
    other = await ordered(engine, "once 2026-03-02 09:00")
    await at(engine, NINE + DAY)
    assert len(await all_runs(engine)) == 1
    assert (await engine.posting.get(other.id)).state is ScheduleState.ENDED


async def test_what_cannot_be_ordered_is_refused_and_what_cannot_any_more_is_told(engine: Engine) -> None:
    with pytest.raises(NotFound, match="tag"):
        await ordered(engine, tags=("nobody-has-it",))
    with pytest.raises(BadRequest, match="limit"):
        await ordered(engine, limit=0)
    schedule = await ordered(engine, personas=("glenys",))
    async with engine.database.write() as tx:
        glenys = await personas.find(tx, "glenys")
        await tx.execute(
            persona_rows.update().where(persona_rows.c.id == glenys.id).values(deleted_at=engine.clock.now())
        )
    await at(engine, NINE)
    (told,) = await notices(engine)
    assert told.startswith(f"What schedule {schedule.id} orders could not begin:")
    assert (await engine.posting.get(schedule.id)).next_due_at == NINE + DAY
