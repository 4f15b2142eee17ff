"""What is ordered of schedules: begun, paused, edited, skipped, ended, and carried out now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.store import jobs, people, schedules
from engine.store.records import (
    Account,
    JobState,
    PostState,
    ScheduleState,
)
from engine.testing import FakeLanguage
from engine.timewords import read
from tests.engine.posts_stage import (
    DAY,
    HALF_PAST_EIGHT,
    NINE,
    glenys,
    only_post,
    owed,
    place_of,
    scheduled,
    until,
)


async def test_nothing_is_ordered_that_never_comes(engine: Engine) -> None:
    with pytest.raises(BadRequest):
        await scheduled(engine, "once 2020-03-01 09:00")
    with pytest.raises(BadRequest):
        await scheduled(engine, zone="Europe/Atlantis")
    with pytest.raises(NotFound, match="no chat 4711"):
        await scheduled(engine, targets=[4711])
    with pytest.raises(BadRequest, match="approval"):
        await scheduled(engine, approval="maybe")
    with pytest.raises(NotFound, match="style"):
        await scheduled(engine, style="crayon-on-toast")
    assert await engine.posting.listing() == []


async def test_an_order_to_post_now_is_carried_out_at_once_and_changes_no_time(engine: Engine) -> None:
    schedule = await scheduled(engine, approval="skip")
    post = await engine.posting.run_now(schedule.id)
    await until(engine, engine.clock.now())
    assert (await engine.posting.post(post.id)).state is PostState.PUBLISHED
    assert len(await owed(engine)) == 1
    assert (await engine.posting.get(schedule.id)).next_due_at == NINE


async def test_where_posts_are_paused_none_is_ordered(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await engine.posting.pause_place(schedule.chat_id, True)
    with pytest.raises(BadRequest, match="paused in this chat"):
        await engine.posting.run_now(schedule.id)
    assert await engine.posting.posts() == []


@pytest.mark.parametrize("planned", [True, False])
async def test_the_next_time_can_be_skipped_whether_it_is_a_post_or_not(
    engine: Engine, planned: bool
) -> None:
    schedule = await scheduled(engine)
    if planned:
        await until(engine, NINE - timedelta(minutes=30))
    known = await engine.posting.skip_next(schedule.id)
    assert engine.posting.next_times(known, most=2) == [NINE + DAY, NINE + 2 * DAY]
    await until(engine, NINE + DAY)
    assert [post.state for post in await engine.posting.posts()] == [PostState.PUBLISHED, PostState.SKIPPED]
    assert len(await owed(engine)) == 1


async def test_a_post_that_was_skipped_is_not_told_to_come_next(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, HALF_PAST_EIGHT)
    await engine.posting.skip((await only_post(engine)).id)
    known = await engine.posting.get(schedule.id)
    assert engine.posting.next_times(known, 2) == [NINE + DAY, NINE + 2 * DAY]


async def test_an_edit_plans_anew_what_nobody_has_seen(engine: Engine, language: FakeLanguage) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    edited = await engine.posting.edit(
        schedule.id, timing=read("daily 09:15")[0], theme="tea", options={"ahead": 7_200}
    )
    assert (edited.next_due_at, edited.theme) == (NINE + timedelta(minutes=15), "tea")
    await until(engine, NINE + timedelta(minutes=20))
    post = await only_post(engine)
    assert (post.theme, post.due_at, post.state) == ("tea", NINE + timedelta(minutes=15), PostState.PUBLISHED)
    await until(engine, NINE + DAY - timedelta(minutes=100))
    assert (await engine.posting.posts())[0].state is PostState.READY, "two hours ahead, as it says"


async def test_with_the_same_time_an_edit_makes_the_same_post_once(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    await engine.posting.edit(schedule.id, theme="tea")
    await until(engine, NINE)
    post = await only_post(engine)
    assert (post.theme, post.state) == ("tea", PostState.PUBLISHED)


# Rests


async def test_a_paused_schedule_shows_nothing_and_makes_up_nothing(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    await engine.posting.pause(schedule.id)
    await until(engine, NINE + 2 * DAY)
    post = await only_post(engine)
    assert post.state is PostState.SKIPPED
    assert "paused" in post.error
    resumed = await engine.posting.resume(schedule.id)
    assert resumed.next_due_at == NINE + 3 * DAY
    await until(engine, NINE + 3 * DAY)
    assert len(await owed(engine)) == 1


async def test_one_that_goes_on_before_its_time_is_shown(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    await engine.posting.pause(schedule.id)
    await engine.posting.resume(schedule.id)
    await until(engine, NINE)
    assert len(await owed(engine)) == 1


async def test_what_a_persona_that_rests_was_about_to_post_is_not_shown(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    assert await engine.posting.pause_persona(schedule.persona_id, True) == 1
    await until(engine, NINE + timedelta(minutes=5))
    assert await owed(engine) == []
    assert await engine.posting.pause_persona(schedule.persona_id, False, chat_id=schedule.chat_id) == 1
    await until(engine, NINE + DAY)
    (shown,) = await owed(engine)
    assert shown.kind == "post"
    assert (await engine.posting.get(schedule.id)).options.get("with_persona") is None


async def test_a_schedule_that_ran_out_while_its_persona_rested_is_over(engine: Engine) -> None:
    schedule = await scheduled(engine, "once 2026-03-01 09:00")
    await engine.posting.pause_persona(schedule.persona_id, True)
    await until(engine, NINE + DAY)
    await engine.posting.pause_persona(schedule.persona_id, False)
    await until(engine, engine.clock.now())
    assert (await engine.posting.get(schedule.id)).state is ScheduleState.ENDED


# The end


async def test_once_is_once_and_then_it_is_over(engine: Engine) -> None:
    schedule = await scheduled(engine, "once 2026-03-01 09:00")
    await until(engine, NINE + 3 * DAY)
    assert len(await engine.posting.posts()) == 1
    known = await engine.posting.get(schedule.id)
    assert (known.state, known.next_due_at) == (ScheduleState.ENDED, None)
    assert engine.posting.next_times(known) == []
    with pytest.raises(BadRequest, match="is over"):
        await engine.posting.resume(schedule.id)


async def test_a_schedule_is_over_when_its_last_post_was_shown_and_not_before(engine: Engine) -> None:
    schedule = await scheduled(engine, "once 2026-03-01 09:00")
    await until(engine, HALF_PAST_EIGHT)
    still = await engine.posting.get(schedule.id)
    assert (still.state, engine.posting.next_times(still)) == (ScheduleState.ACTIVE, [NINE])
    await engine.posting.pause(schedule.id)
    await engine.posting.resume(schedule.id)
    await until(engine, NINE)
    assert (await only_post(engine)).state is PostState.PUBLISHED
    await engine.posting.publishing.round()
    assert (await engine.posting.get(schedule.id)).state is ScheduleState.ENDED


async def test_a_removed_schedule_takes_its_plans_along_and_leaves_what_was_shown(engine: Engine) -> None:
    schedule = await scheduled(engine, picture=True)
    await until(engine, NINE + DAY - timedelta(minutes=30))
    job_id = (await engine.posting.posts())[0].job_id or 0
    await engine.posting.remove(schedule.id)
    await until(engine, NINE + 3 * DAY)
    assert [post.state for post in await engine.posting.posts()] == [PostState.SKIPPED, PostState.PUBLISHED]
    job = await engine.database.look(lambda tx: jobs.get(tx, job_id))
    assert job.state is JobState.CANCELLED
    with pytest.raises(NotFound, match="no schedule"):
        await engine.posting.get(schedule.id)


async def test_posts_of_somebody_who_was_forgotten_are_not_shown(engine: Engine) -> None:
    place = await place_of(engine)
    async with engine.database.write() as tx:
        person = await people.add_person(tx, Account("stage", "ana"), now=engine.clock.now())
    timing, _ = read("daily 09:00")
    schedule = await engine.posting.add(
        place=place,
        persona=await glenys(engine),
        person=person,
        timing=timing,
        zone="UTC",
        theme="",
        options={"picture": False},
    )
    await until(engine, NINE - timedelta(minutes=30))
    async with engine.database.write() as tx:
        await schedules.remove(tx, schedule.id)
    await until(engine, NINE)
    post = await only_post(engine)
    assert post.state is PostState.SKIPPED
    assert await owed(engine) == []
