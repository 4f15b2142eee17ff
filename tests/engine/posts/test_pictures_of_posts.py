"""A post's picture: waited for a while, shown when it comes, and never a reason to say nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import BadRequest
from engine.language import CaptionWanted, Wanted
from engine.planning import BY_HAND_PATIENCE, PICTURE_PATIENCE
from engine.settings import SafetySettings, Settings
from engine.store import jobs
from engine.store.records import (
    JobState,
    Lane,
    PostState,
)
from engine.testing import FakeRenderer, ManualClock
from tests.engine.posts_stage import (
    HALF_PAST_EIGHT,
    MINUTE,
    NINE,
    Diarist,
    only_post,
    owed,
    paint,
    scheduled,
    until,
)


async def test_a_post_has_its_picture_which_stands_in_the_lane_of_what_is_scheduled(engine: Engine) -> None:
    await scheduled(engine, picture=True, style="noir")
    await until(engine, NINE - timedelta(minutes=30))
    post = await only_post(engine)
    assert post.state is PostState.MAKING
    assert post.job_id is not None
    job = await engine.database.look(lambda tx: jobs.get(tx, post.job_id or 0))
    assert (job.lane, job.chat_id, job.request.style) == (Lane.SCHEDULED, None, "noir")
    assert "morning coffee" in job.request.scene
    await paint(engine)
    await until(engine, NINE)
    done = await only_post(engine)
    assert (done.state, done.error) == (PostState.PUBLISHED, "")
    assert done.picture_id is not None
    (shown,) = await owed(engine)
    assert (shown.job_id, shown.text) == (post.job_id, post.caption)


async def test_a_picture_that_failed_never_fails_the_words(engine: Engine, renderer: FakeRenderer) -> None:
    await scheduled(engine, picture=True)
    await until(engine, NINE - timedelta(minutes=30))
    job_id = (await only_post(engine)).job_id or 0
    async with engine.database.write() as tx:
        await jobs.end(tx, job_id, JobState.FAILED, engine.clock.now(), "The GPU is on holiday.")
    await until(engine, NINE)
    post = await only_post(engine)
    assert post.state is PostState.PUBLISHED
    assert "on holiday" in post.error
    (shown,) = await owed(engine)
    assert (shown.job_id, shown.text) == (None, post.caption)


async def test_a_late_picture_is_waited_for_some_minutes_and_no_longer(engine: Engine) -> None:
    await scheduled(engine, picture=True)
    await until(engine, NINE + PICTURE_PATIENCE - timedelta(seconds=1))
    assert await owed(engine) == []
    await until(engine, NINE + PICTURE_PATIENCE)
    post = await only_post(engine)
    assert (post.state, post.picture_id) == (PostState.PUBLISHED, None)
    assert "not ready in time" in post.error
    job = await engine.database.look(lambda tx: jobs.get(tx, post.job_id or 0))
    assert job.state is JobState.CANCELLED, "nobody waits for it any more"
    (shown,) = await owed(engine)
    assert (shown.job_id, shown.text) == (None, post.caption)


async def test_a_late_picture_that_comes_is_shown_at_once(engine: Engine) -> None:
    await scheduled(engine, picture=True)
    await until(engine, NINE + timedelta(minutes=1))
    await paint(engine)
    await until(engine, engine.clock.now())
    (shown,) = await owed(engine)
    assert shown.job_id is not None


async def test_a_late_picture_is_shown_in_the_very_round_in_which_it_comes(engine: Engine) -> None:
    await scheduled(engine, picture=True)
    await until(engine, NINE + MINUTE)
    await paint(engine)
    await engine.posting.publishing.round()
    assert (await only_post(engine)).state is PostState.PUBLISHED


async def test_a_picture_that_cannot_be_asked_for_is_left_away(settings: Settings) -> None:
    class Slip(Diarist):
        def _text(self, wanted: Wanted) -> str:
            return "A walk with Mordecai." if isinstance(wanted, CaptionWanted) else super()._text(wanted)

    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("noir film",))})
    async with Engine.open(strict, models=[Slip()], renderer=FakeRenderer(), clock=ManualClock()) as engine:
        await scheduled(engine, picture=True, theme="")
        async with engine.database.write() as tx:
            await posts_themed(tx, "noir film")
        await until(engine, NINE)
        post = await only_post(engine)
        assert post.state is PostState.PUBLISHED
        assert "There is no picture" in post.error


async def posts_themed(tx: Any, theme: str) -> None:
    """A theme that was allowed when it was given."""
    from engine.store.tables import schedules as schedule_rows

    await tx.execute(schedule_rows.update().values(theme=theme))


async def test_words_only_and_pictures_only(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="words, or a picture"):
        await scheduled(engine, picture=False, text=False)
    await scheduled(engine, picture=True, text=False)
    await until(engine, NINE - timedelta(minutes=10))
    post = await only_post(engine)
    assert (post.caption, post.state) == ("", PostState.MAKING)
    await paint(engine)
    await until(engine, NINE)
    (shown,) = await owed(engine)
    assert (shown.text, shown.job_id) == ("", post.job_id)


async def test_of_a_picture_alone_that_does_not_come_nothing_is_shown(engine: Engine) -> None:
    await scheduled(engine, picture=True, text=False)
    await until(engine, NINE + PICTURE_PATIENCE)
    post = await only_post(engine)
    assert post.state is PostState.FAILED
    assert post.error
    assert await owed(engine) == []


async def test_what_was_ordered_now_waits_for_its_picture_much_longer(engine: Engine) -> None:
    schedule = await scheduled(engine, picture=True)
    post = await engine.posting.run_now(schedule.id)
    await until(engine, post.due_at + 90 * MINUTE)
    assert (await only_post(engine)).state is PostState.MAKING
    await paint(engine)
    await until(engine, engine.clock.now())
    shown = await only_post(engine)
    assert (shown.state, shown.picture_id is not None) == (PostState.PUBLISHED, True)


async def test_what_was_ordered_now_does_not_wait_for_its_picture_for_ever(engine: Engine) -> None:
    schedule = await scheduled(engine, "weekly mon 09:00", picture=True)
    post = await engine.posting.run_now(schedule.id)
    await until(engine, post.due_at + BY_HAND_PATIENCE)
    assert (await only_post(engine)).state is PostState.PUBLISHED


async def test_another_picture_is_made_and_is_to_be_approved_again(engine: Engine) -> None:
    await scheduled(engine, approval="skip", picture=True)
    await until(engine, NINE - timedelta(minutes=40))
    await paint(engine)
    await until(engine, NINE - timedelta(minutes=30))
    before = await engine.posting.approve((await only_post(engine)).id)
    assert before.state is PostState.READY
    again = await engine.posting.repicture(before.id)
    assert (again.state, again.job_id) == (PostState.MAKING, None)
    await until(engine, NINE - timedelta(minutes=20))
    await paint(engine)
    await until(engine, NINE - timedelta(minutes=10))
    after = await only_post(engine)
    assert after.state is PostState.WAITING
    assert after.job_id not in (None, before.job_id)
    assert after.picture_id not in (None, before.picture_id)


async def test_a_picture_is_kept_until_there_is_another(engine: Engine) -> None:
    await scheduled(engine, picture=True)
    await until(engine, HALF_PAST_EIGHT)
    await paint(engine)
    await until(engine, NINE - MINUTE)
    before = await only_post(engine)
    await engine.posting.repicture(before.id)
    await until(engine, NINE + PICTURE_PATIENCE)
    after = await only_post(engine)
    assert (after.state, after.picture_id, after.job_id) == (
        PostState.PUBLISHED,
        before.picture_id,
        before.job_id,
    )
    (shown,) = await owed(engine)
    assert shown.job_id == before.job_id
    running = await engine.database.look(jobs.unfinished)
    assert not running, "nobody waits for the other one any more"


async def test_what_has_words_only_gets_no_picture(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    with pytest.raises(BadRequest, match="words only"):
        await engine.posting.repicture((await only_post(engine)).id)
