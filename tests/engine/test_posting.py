"""Personas post: at their times, once, whatever stops in between; and whoever may, decides what is shown."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.language import CaptionWanted, Source, Wanted
from engine.planning import PICTURE_PATIENCE
from engine.settings import SafetySettings, Settings, StoreSettings
from engine.store import chats, jobs, outbox, people, personas, schedules
from engine.store.records import (
    Account,
    ChatRef,
    DeliveryKind,
    DeliveryState,
    JobState,
    Lane,
    PersonaRecord,
    Place,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from engine.store.tables import deliveries
from engine.store.tables import posts as post_rows
from engine.testing import DAWN, FakeLanguage, FakeRenderer, ManualClock
from engine.timewords import read

NINE = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Diarist(FakeLanguage):
    """Writes something else under every post."""

    def _text(self, wanted: Wanted) -> str:
        if isinstance(wanted, CaptionWanted):
            number = len([one for one in self.asked if isinstance(one, CaptionWanted)])
            return f"Entry{number} about subject{number}, mood{number} and weather{number}."
        return super()._text(wanted)


@pytest.fixture
def language() -> FakeLanguage:
    return Diarist()


async def place_of(engine: Engine, name: str = "room", **more: Any) -> Place:
    async with engine.database.write() as tx:
        return await chats.add_place(
            tx, ChatRef("stage", "one", name), persona_id=None, now=engine.clock.now(), **more
        )


async def glenys(engine: Engine) -> PersonaRecord:
    async with engine.database.read() as tx:
        return await personas.find(tx, "glenys")


async def scheduled(
    engine: Engine,
    words: str = "daily 09:00",
    *,
    place: Place | None = None,
    zone: str = "UTC",
    theme: str = "morning coffee",
    **options: Any,
) -> Schedule:
    timing, _ = read(words)
    return await engine.posting.add(
        place=place or await place_of(engine),
        persona=await glenys(engine),
        person=None,
        timing=timing,
        zone=zone,
        theme=theme,
        options={"picture": False, **options},
    )


def at(engine: Engine, moment: datetime) -> None:
    assert isinstance(engine.clock, ManualClock)
    engine.clock.jump(moment - engine.clock.now())


async def until(engine: Engine, moment: datetime) -> None:
    """Let the loop do all that it has to do up to a moment."""
    loop = engine.posting.publishing
    while True:
        next_at = await loop.round()
        await loop.make()
        next_at = await loop.round()
        if next_at is None or next_at > moment:
            at(engine, moment)
            await loop.round()
            return
        at(engine, max(next_at, engine.clock.now()))


async def paint(engine: Engine) -> None:
    """Let the worker make all that is in line."""
    working = asyncio.create_task(engine.work())
    try:
        async with asyncio.timeout(20):
            while await engine.database.look(jobs.unfinished):  # noqa: ASYNC110 - rows tell nobody
                await asyncio.sleep(0.01)
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def owed(engine: Engine) -> list[Any]:
    async with engine.database.read() as tx:
        return list(await tx.execute(select(deliveries).order_by(deliveries.c.id)))


async def only_post(engine: Engine) -> Post:
    (post,) = await engine.posting.posts()
    return post


async def test_a_post_is_made_before_its_time_and_shown_at_it(engine: Engine) -> None:
    schedule = await scheduled(engine)
    assert schedule.next_due_at == NINE
    await until(engine, NINE - timedelta(minutes=61))
    assert await engine.posting.posts() == []
    await until(engine, NINE - timedelta(seconds=1))
    post = await only_post(engine)
    assert (post.state, post.source, post.due_at) == (PostState.READY, Source.MODEL, NINE)
    assert post.occurrence_key == f"schedule:{schedule.id}:2026-03-01T09:00"
    assert await owed(engine) == []
    await until(engine, NINE)
    (shown,) = await owed(engine)
    assert (shown.kind, shown.state, shown.text) == ("post", "pending", post.caption)
    assert (shown.post_id, shown.job_id, shown.source) == (post.id, None, "model")
    assert (await only_post(engine)).state is PostState.PUBLISHED


async def test_whoever_writes_is_told_the_day_the_theme_and_the_last_posts(
    engine: Engine, language: FakeLanguage
) -> None:
    await scheduled(engine, zone="Asia/Tokyo", theme="plums")
    await until(engine, NINE + 2 * DAY)
    asked = [one for one in language.asked if isinstance(one, CaptionWanted)]
    first, second = asked[0], asked[1]
    assert (first.weekday, first.part, first.theme, first.recent) == ("Monday", "morning", "plums", ())
    told = "\n".join(segment.text for segment in second.segments)
    assert "Tuesday, 3 March 2026, 09:00" in told
    assert "It is about: plums" in told
    assert "Entry1 about subject1" in told


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


async def test_a_post_goes_to_several_chats_and_once_to_each(engine: Engine) -> None:
    first, second = await place_of(engine, "first"), await place_of(engine, "second")
    await scheduled(engine, place=first, targets=[second.id, first.id, second.id])
    await until(engine, NINE)
    assert sorted(one.chat_id for one in await owed(engine)) == [first.id, second.id]


async def test_themes_are_used_in_turn(engine: Engine, language: FakeLanguage) -> None:
    await scheduled(engine, themes=["tea", "rain"], theme="unused")
    await until(engine, NINE + 3 * DAY)
    asked = [one.theme for one in language.asked if isinstance(one, CaptionWanted)]
    assert asked == ["tea", "rain", "tea", "rain"]


async def test_where_no_model_writes_the_understudy_posts_and_says_so(settings: Settings) -> None:
    async with Engine.open(
        settings, models=[FakeLanguage(fails=True)], renderer=FakeRenderer(), clock=ManualClock()
    ) as engine:
        await scheduled(engine)
        await until(engine, NINE + 9 * DAY)
        found = await engine.posting.posts(most=50)
        assert len(found) == 10
        assert {post.source for post in found} == {Source.UNDERSTUDY}
        assert len({post.caption for post in found}) == 10
        assert {one.source for one in await owed(engine)} == {"understudy"}


async def test_a_caption_too_like_the_last_ones_is_written_again(settings: Settings) -> None:
    class Stubborn(FakeLanguage):
        def _text(self, wanted: Wanted) -> str:
            if not isinstance(wanted, CaptionWanted):
                return super()._text(wanted)
            if wanted.rejected and len(wanted.recent) == 1:
                return "Seagulls have opinions about bread today."
            return "Rainy harbour, warm kettle, quiet morning."

    model = Stubborn()
    async with Engine.open(settings, models=[model], renderer=FakeRenderer(), clock=ManualClock()) as engine:
        await scheduled(engine)
        await until(engine, NINE + 2 * DAY)
        third, second, first = [post.caption for post in await engine.posting.posts()]
    assert first == "Rainy harbour, warm kettle, quiet morning."
    assert second == "Seagulls have opinions about bread today."
    assert third.endswith("Rainy harbour, warm kettle, quiet morning.")
    assert third != first, "taken with another opening"
    again = [one for one in model.asked if isinstance(one, CaptionWanted) and one.rejected]
    assert "too much like your last posts" in again[0].segments[1].text


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


async def test_once_is_once_and_then_it_is_over(engine: Engine) -> None:
    schedule = await scheduled(engine, "once 2026-03-01 09:00")
    await until(engine, NINE + 3 * DAY)
    assert len(await engine.posting.posts()) == 1
    known = await engine.posting.get(schedule.id)
    assert (known.state, known.next_due_at) == (ScheduleState.ENDED, None)
    assert engine.posting.next_times(known) == []
    with pytest.raises(BadRequest, match="is over"):
        await engine.posting.resume(schedule.id)


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


async def test_an_order_to_post_now_is_carried_out_at_once_and_changes_no_time(engine: Engine) -> None:
    schedule = await scheduled(engine, approval="skip")
    post = await engine.posting.run_now(schedule.id)
    await until(engine, engine.clock.now())
    assert (await engine.posting.post(post.id)).state is PostState.PUBLISHED
    assert len(await owed(engine)) == 1
    assert (await engine.posting.get(schedule.id)).next_due_at == NINE


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


async def test_what_nobody_approved_is_not_shown_where_that_is_wanted(engine: Engine) -> None:
    await scheduled(engine, approval="skip")
    await until(engine, NINE - timedelta(minutes=1))
    assert (await only_post(engine)).state is PostState.WAITING
    await until(engine, NINE)
    post = await only_post(engine)
    assert post.state is PostState.SKIPPED
    assert "approved" in post.error
    assert await owed(engine) == []


async def test_what_was_approved_is_shown_at_its_time(engine: Engine) -> None:
    await scheduled(engine, approval="skip")
    await until(engine, NINE - timedelta(minutes=1))
    assert (await engine.posting.approve((await only_post(engine)).id)).state is PostState.READY
    await until(engine, NINE)
    assert len(await owed(engine)) == 1


async def test_what_nobody_approved_is_shown_all_the_same_where_that_is_wanted(engine: Engine) -> None:
    await scheduled(engine, approval="post")
    await until(engine, NINE)
    assert (await only_post(engine)).state is PostState.PUBLISHED


async def test_what_was_approved_while_it_was_made_waits_for_nobody(engine: Engine) -> None:
    await scheduled(engine, approval="skip", picture=True)
    await until(engine, NINE - timedelta(minutes=30))
    post = await engine.posting.approve((await only_post(engine)).id)
    assert post.state is PostState.MAKING
    await paint(engine)
    await until(engine, NINE - timedelta(minutes=20))
    assert (await only_post(engine)).state is PostState.READY


async def test_a_caption_is_written_by_hand_or_anew(engine: Engine) -> None:
    await scheduled(engine, approval="skip")
    await until(engine, NINE - timedelta(minutes=30))
    post = await only_post(engine)
    anew = await engine.posting.reword(post.id, None)
    assert anew.caption not in ("", post.caption)
    assert (anew.source, anew.state) == (Source.MODEL, PostState.WAITING)
    by_hand = await engine.posting.reword(post.id, "  Tea, at last.\x00 ")
    assert (by_hand.caption, by_hand.source) == ("Tea, at last.", Source.PERSON)
    with pytest.raises(BadRequest):
        await engine.posting.reword(post.id, "x" * 5_000)
    await engine.posting.approve(post.id)
    await until(engine, NINE)
    (shown,) = await owed(engine)
    assert shown.text == "Tea, at last."
    with pytest.raises(BadRequest, match="published"):
        await engine.posting.reword(post.id, "Too late.")


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


async def test_what_has_words_only_gets_no_picture(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    with pytest.raises(BadRequest, match="words only"):
        await engine.posting.repicture((await only_post(engine)).id)


async def test_a_post_can_be_skipped_and_then_nothing_else(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    post = await engine.posting.skip((await only_post(engine)).id)
    assert post.state is PostState.SKIPPED
    for order in (engine.posting.approve, engine.posting.skip, engine.posting.repicture):
        with pytest.raises(BadRequest, match="skipped"):
            await order(post.id)
    await until(engine, NINE)
    assert await owed(engine) == []


@pytest.mark.parametrize("post_id", [0, -1, 4711, 10**30])
async def test_what_is_not_there_is_told(engine: Engine, post_id: int) -> None:
    for order in (
        engine.posting.approve,
        engine.posting.skip,
        engine.posting.repicture,
        engine.posting.recall,
    ):
        with pytest.raises(NotFound, match="no post"):
            await order(post_id)
    for change in (
        engine.posting.pause,
        engine.posting.resume,
        engine.posting.remove,
        engine.posting.skip_next,
    ):
        with pytest.raises(NotFound, match="no schedule"):
            await change(post_id)


async def test_in_a_paused_place_nothing_is_shown_and_elsewhere_it_is(engine: Engine) -> None:
    here, there = await place_of(engine, "here"), await place_of(engine, "there")
    await scheduled(engine, place=here, targets=[there.id])
    assert await engine.posting.pause_place(here.id, True) == 1
    await until(engine, NINE)
    assert [one.chat_id for one in await owed(engine)] == [there.id]
    await engine.posting.pause_place(there.id, True)
    await until(engine, NINE + DAY)
    assert len(await owed(engine)) == 1
    latest = (await engine.posting.posts())[0]
    assert latest.state is PostState.SKIPPED
    assert "paused in this chat" in latest.error
    await engine.posting.pause_place(here.id, False)
    await until(engine, NINE + 2 * DAY)
    assert [one.chat_id for one in await owed(engine)] == [there.id, here.id]


async def test_where_we_were_shown_the_door_nothing_is_posted(engine: Engine) -> None:
    place = await place_of(engine)
    await scheduled(engine, place=place)
    async with engine.database.write() as tx:
        await chats.left(tx, place.ref, engine.clock.now())
    await until(engine, NINE)
    assert (await only_post(engine)).state is PostState.SKIPPED


async def test_a_recalled_post_is_taken_back_from_every_chat(engine: Engine) -> None:
    first, second = await place_of(engine, "first"), await place_of(engine, "second")
    await scheduled(engine, place=first, targets=[second.id])
    await until(engine, NINE - timedelta(minutes=1))
    post = await only_post(engine)
    with pytest.raises(BadRequest, match="not been published"):
        await engine.posting.recall(post.id)
    await until(engine, NINE)
    shown, pending = await owed(engine)
    async with engine.database.write() as tx:
        await outbox.sent(tx, shown.id, ["message-1", "message-2"], now=engine.clock.now())
    assert await engine.posting.recall(post.id) == 3
    _, given_up, removal = await owed(engine)
    assert (given_up.id, given_up.state) == (pending.id, "failed")
    assert (removal.kind, removal.chat_id) == ("removal", first.id)
    assert removal.manner == {"removes": ["message-1", "message-2"]}
    with pytest.raises(BadRequest, match="recalled"):
        await engine.posting.recall(post.id)


async def test_what_was_on_its_way_when_it_was_recalled_is_not_sent_again(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    async with engine.database.write() as tx:
        (row,) = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    await engine.posting.recall(row.post_id or 0)
    async with engine.database.write() as tx:
        await outbox.wait(tx, [row.id], until=engine.clock.now())
    (left,) = await owed(engine)
    assert left.state == DeliveryState.FAILED.value


@pytest.mark.parametrize(("again", "state"), [(True, "pending"), (False, "sent")])
async def test_what_may_have_arrived_waits_for_somebodys_word(
    engine: Engine, again: bool, state: str
) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    async with engine.database.write() as tx:
        (row,) = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
        assert row.persona_slug == (await personas.find(tx, "glenys")).persona.slug
        assert await outbox.recover(tx, [("stage", "one")], recognises_repeats=False) == (0, 1)
    (held,) = await engine.posting.held()
    assert (held.id, held.kind) == (row.id, DeliveryKind.POST)
    assert await engine.posting.held(chat_id=held.chat_id + 1) == []
    await engine.posting.release(held.id, again=again)
    assert [one.state for one in await owed(engine)] == [state]
    assert await engine.posting.held() == []
    with pytest.raises(NotFound, match="no held delivery"):
        await engine.posting.release(held.id, again=True)


async def test_the_loop_keeps_time_by_itself(engine: Engine) -> None:
    """Made, painted and shown without anybody's help, on the minute."""
    assert isinstance(engine.clock, ManualClock)
    await scheduled(engine, picture=True)
    with engine.events.watch(lambda event: event.name == "post.published") as published:
        running = [asyncio.create_task(engine.posting.run()), asyncio.create_task(engine.work())]
        try:
            async with asyncio.timeout(30):
                while (await states(engine)) != ["ready"]:
                    await asyncio.sleep(0.005)
                    if engine.clock.now() < NINE - timedelta(minutes=30):
                        await engine.clock.advance(60)
                await engine.clock.advance((NINE - engine.clock.now()).total_seconds() - 1)
                await asyncio.sleep(0.05)
                assert await owed(engine) == []
                await engine.clock.advance(1)
                async for event in published:
                    assert event.name == "post.published"
                    break
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    (shown,) = await owed(engine)
    assert shown.created_at == NINE.replace(tzinfo=UTC)
    assert shown.job_id is not None


async def states(engine: Engine) -> list[str]:
    async with engine.database.read() as tx:
        return list((await tx.execute(select(post_rows.c.state).order_by(post_rows.c.id))).scalars())


async def test_two_processes_that_race_post_each_time_once(
    settings: Settings, postgres_url_with_tables: str
) -> None:
    shared = settings.model_copy(
        update={"store": StoreSettings(database=SecretStr(postgres_url_with_tables))}
    )
    async with (
        Engine.open(shared, models=[Diarist()], renderer=FakeRenderer(), clock=ManualClock()) as engine,
        Engine.open(shared, models=[Diarist()], renderer=FakeRenderer(), clock=engine.clock) as other,
    ):
        for number in range(4):
            room = await place_of(engine, f"room {number}")
            await scheduled(engine, place=room, picture=number == 3, ahead=1_800)
        both = [engine.posting.publishing, other.posting.publishing]
        while engine.clock.now() <= NINE + DAY + PICTURE_PATIENCE:
            await asyncio.gather(*(one.round() for one in both))
            await asyncio.gather(*(one.make() for one in both))
            first, _ = await asyncio.gather(*(one.round() for one in both))
            assert first is not None
            at(engine, max(first, engine.clock.now()))
        made = await engine.posting.posts(states=[PostState.PUBLISHED])
        shown = await owed(engine)
        painted = await engine.database.look(jobs.listing)
    assert len(made) == 8
    assert sorted(one.post_id for one in shown) == sorted(post.id for post in made)
    assert sorted(job.id for job in painted) == sorted(post.job_id for post in made if post.job_id)
    assert len(painted) == 2, "each picture is ordered once"


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
