"""Times at which nobody was there, or nothing may be said: made up within their grace, never in a burst."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from engine.engine import Engine
from engine.locales import locale_of
from engine.store import schedules as rows
from engine.store.records import (
    PostState,
)
from engine.testing import DAWN
from tests.engine.posts_stage import DAY, NINE, at, only_post, owed, place_of, scheduled, taken, until


async def test_what_was_missed_is_made_up_within_its_grace_and_never_in_a_burst(engine: Engine) -> None:
    schedule = await scheduled(engine, "every 1 hours grace 90m", ahead=0)
    at(engine, DAWN + timedelta(hours=10, minutes=20))
    await until(engine, engine.clock.now())
    skipped, made = sorted(await engine.posting.posts(), key=lambda post: post.due_at)
    assert made.due_at == DAWN + timedelta(hours=10)
    assert made.state is PostState.PUBLISHED
    assert skipped.state is PostState.SKIPPED
    assert "since 2026-03-01 07:00" in skipped.error
    assert len(await owed(engine)) == 1
    assert (await engine.posting.get(schedule.id)).next_due_at == DAWN + timedelta(hours=11)


async def test_what_was_missed_for_longer_is_passed_over_and_told(engine: Engine) -> None:
    schedule = await scheduled(engine, "daily 09:00 grace 0")
    at(engine, NINE + 40 * DAY + timedelta(minutes=10))
    await until(engine, engine.clock.now())
    post = await only_post(engine)
    assert (post.state, post.due_at) == (PostState.SKIPPED, NINE + 40 * DAY)
    assert post.error
    assert await owed(engine) == []
    assert (await engine.posting.get(schedule.id)).next_due_at == NINE + 41 * DAY


async def test_why_a_post_was_passed_over_is_told_in_anybodys_language(engine: Engine) -> None:
    await scheduled(engine, "daily 09:00 grace 0")
    at(engine, NINE + timedelta(hours=5))
    await until(engine, engine.clock.now())
    post = await only_post(engine)
    assert post.error.startswith("Nobody was there")
    assert locale_of("de").says(post.error).startswith("Niemand war da")


async def test_posts_that_were_ready_when_the_house_closed_do_not_come_all_at_once(engine: Engine) -> None:
    await scheduled(engine, "cron */10 * * * *")
    await until(engine, DAWN + timedelta(minutes=1))
    ready = await engine.posting.posts(states=[PostState.READY])
    assert len(ready) == 6, "an hour ahead"
    at(engine, DAWN + timedelta(minutes=45))
    await until(engine, engine.clock.now())
    shown = await engine.posting.posts(states=[PostState.PUBLISHED])
    assert [post.due_at for post in shown] == [DAWN + timedelta(minutes=40)]
    missed = await engine.posting.posts(states=[PostState.SKIPPED])
    assert [post.due_at.minute for post in missed] == [30, 20, 10]


async def test_what_was_ordered_now_is_shown_however_late_the_house_opens(engine: Engine) -> None:
    schedule = await scheduled(engine, "weekly mon 09:00 grace 0")
    post = await engine.posting.run_now(schedule.id)
    at(engine, post.due_at + timedelta(hours=3))
    await until(engine, engine.clock.now())
    assert (await only_post(engine)).state is PostState.PUBLISHED
    assert await taken(engine) == [post.id]


async def test_a_front_that_was_away_shows_the_newest_post_of_a_schedule_alone(engine: Engine) -> None:
    often = await scheduled(engine, "every hour grace 6h")
    await scheduled(engine, "daily 10:15 grace 6h", place=await place_of(engine, "elsewhere"))
    await until(engine, NINE + timedelta(hours=3))
    newest = (await engine.posting.posts(chat_id=often.chat_id, states=[PostState.PUBLISHED]))[0]
    other = (await engine.posting.posts(states=[PostState.PUBLISHED]))[1:]
    assert len(other) > 2
    shown = await taken(engine)
    assert newest.id in shown
    assert len(shown) == 2
    passed = [post for post in await engine.posting.posts(chat_id=often.chat_id) if post.error]
    assert "A later post" in passed[0].error


async def test_what_a_front_could_not_show_in_time_is_not_shown(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    at(engine, NINE + timedelta(hours=1, minutes=1))
    assert await taken(engine) == []
    assert "not be reached in time" in (await only_post(engine)).error


# Quiet hours


async def test_what_is_made_up_waits_for_the_end_of_quiet_hours(engine: Engine) -> None:
    await scheduled(engine, "daily 21:30 quiet 22:00-07:00 grace 10h", zone="Europe/Berlin")
    half_past_ten = NINE.replace(hour=21, minute=30)
    at(engine, half_past_ten)
    await until(engine, half_past_ten + 8 * timedelta(hours=1))
    assert (await only_post(engine)).state is PostState.READY
    assert await owed(engine) == []
    await until(engine, NINE.replace(hour=6) + DAY)
    assert (await only_post(engine)).state is PostState.PUBLISHED
    assert len(await owed(engine)) == 1


async def test_what_would_be_made_up_too_late_behind_quiet_hours_is_passed_over(engine: Engine) -> None:
    await scheduled(engine, "daily 21:30 quiet 22:00-07:00 grace 9h")
    at(engine, NINE.replace(hour=22, minute=15))
    await until(engine, engine.clock.now() + 12 * timedelta(hours=1))
    post = await only_post(engine)
    assert (post.state, post.caption) == (PostState.SKIPPED, ""), "nothing is made in vain"
    assert "quiet hours" in post.error
    assert await owed(engine) == []


async def test_what_was_ready_is_not_shown_in_quiet_hours_when_the_house_opens_in_them(
    engine: Engine,
) -> None:
    await scheduled(engine, "daily 21:30 quiet 22:00-07:00 grace 2h")
    await until(engine, NINE.replace(hour=21))
    at(engine, NINE.replace(hour=22, minute=15))
    await engine.posting.publishing.round()
    post = await only_post(engine)
    assert (post.state, await owed(engine)) == (PostState.SKIPPED, [])
    assert "quiet hours" in post.error


async def test_no_picture_is_waited_for_into_quiet_hours(engine: Engine) -> None:
    await scheduled(engine, "daily 21:59 quiet 22:00-07:00", picture=True)
    await until(engine, NINE.replace(hour=21, minute=59, second=55))
    post = await only_post(engine)
    assert (post.state, post.picture_id) == (PostState.PUBLISHED, None)


# Clocks


async def test_a_schedule_goes_on_when_the_clock_was_far_ahead(engine: Engine) -> None:
    schedule = await scheduled(engine)
    at(engine, NINE + 300 * DAY)
    await until(engine, engine.clock.now())
    at(engine, NINE - timedelta(hours=3))
    await until(engine, NINE + 2 * DAY)
    shown = await engine.posting.posts(states=[PostState.PUBLISHED])
    assert [post.due_at for post in shown if post.due_at < NINE + 3 * DAY] == [
        NINE + 2 * DAY,
        NINE + DAY,
        NINE,
    ]
    assert (await engine.posting.get(schedule.id)).next_due_at == NINE + 3 * DAY


async def test_a_start_after_the_clock_was_ahead_keeps_what_was_skipped(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await engine.posting.skip_next(schedule.id)
    known = await engine.posting.get(schedule.id)
    ahead = partial(rows.change, known=known, next_due_at=NINE + 300 * DAY)
    await engine.database.change(ahead)
    await engine.posting.publishing.round()
    assert (await engine.posting.get(schedule.id)).next_due_at == NINE + DAY
