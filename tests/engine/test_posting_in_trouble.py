"""Posts when something changes at the last moment: ratings, pauses, hours, clocks, faults, fronts, other people."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from bot import delivery
from engine import schedules
from engine.engine import Engine
from engine.errors import BadRequest, StoreError
from engine.language import Source
from engine.locales import locale_of
from engine.planning import BY_HAND_PATIENCE, PICTURE_PATIENCE
from engine.settings import SafetySettings, Settings, StoreSettings
from engine.store import arriving, jobs, messages, outbox, posts
from engine.store import schedules as rows
from engine.store.records import DeliveryState, Place, Post, PostState, ScheduleState
from engine.store.tables import chats as chat_rows
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Rating
from tests.engine.test_posting import (
    DAY,
    NINE,
    Diarist,
    at,
    only_post,
    owed,
    paint,
    place_of,
    scheduled,
    until,
)

HALF_PAST_EIGHT = NINE - timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
STAGE = [("stage", "one")]


@pytest.fixture
def language() -> FakeLanguage:
    return Diarist()


@pytest.fixture
async def grown_up(settings: Settings, language: FakeLanguage) -> Any:
    """A house whose operator allows everything."""
    adult = settings.model_copy(update={"safety": SafetySettings(rating=Rating.ADULT)})
    async with Engine.open(adult, models=[language], renderer=FakeRenderer(), clock=ManualClock()) as engine:
        yield engine


async def rate(engine: Engine, place: Place, rating: Rating) -> None:
    async with engine.database.write() as tx:
        await tx.execute(update(chat_rows).where(chat_rows.c.id == place.id).values(rating=rating.value))


async def rating_of(engine: Engine, job_id: int | None) -> Rating:
    job = await engine.database.look(lambda tx: jobs.get(tx, job_id or 0))
    return job.request.rating


async def taken(engine: Engine) -> list[int | None]:
    """The posts that a front is given to show now."""
    rows = await engine.database.change(partial(outbox.take, fronts=STAGE, now=engine.clock.now()))
    return [row.post_id for row in rows]


# Ratings


async def test_where_the_rating_was_lowered_meanwhile_the_words_come_alone(grown_up: Engine) -> None:
    here, there = await place_of(grown_up, "here"), await place_of(grown_up, "there")
    for place in (here, there):
        await rate(grown_up, place, Rating.ADULT)
    await scheduled(grown_up, place=here, picture=True, targets=[there.id])
    await until(grown_up, HALF_PAST_EIGHT)
    await paint(grown_up)
    assert await rating_of(grown_up, (await only_post(grown_up)).job_id) is Rating.ADULT
    await rate(grown_up, there, Rating.ALL_AGES)
    await until(grown_up, NINE)
    post = await only_post(grown_up)
    first, second = await owed(grown_up)
    assert (first.chat_id, first.job_id, first.text) == (here.id, post.job_id, post.caption)
    assert (second.chat_id, second.job_id, second.text) == (there.id, None, post.caption)
    assert "too grown-up" in post.error


async def test_of_a_picture_alone_that_may_not_be_shown_any_more_nothing_is_shown(grown_up: Engine) -> None:
    here = await place_of(grown_up)
    await rate(grown_up, here, Rating.ADULT)
    await scheduled(grown_up, place=here, picture=True, text=False)
    await until(grown_up, HALF_PAST_EIGHT)
    await paint(grown_up)
    await rate(grown_up, here, Rating.ALL_AGES)
    await until(grown_up, NINE)
    post = await only_post(grown_up)
    assert (post.state, await owed(grown_up)) == (PostState.SKIPPED, [])
    assert "too grown-up" in post.error


@pytest.mark.parametrize("by", ["place", "operator"])
async def test_where_the_rating_was_lowered_while_the_front_was_away_the_words_come_alone(
    grown_up: Engine, by: str
) -> None:
    here, there = await place_of(grown_up, "here"), await place_of(grown_up, "there")
    for place in (here, there):
        await rate(grown_up, place, Rating.ADULT)
    await scheduled(grown_up, place=here, picture=True, targets=[there.id])
    await until(grown_up, HALF_PAST_EIGHT)
    await paint(grown_up)
    await until(grown_up, NINE)
    post = await only_post(grown_up)
    assert [one.job_id for one in await owed(grown_up)] == [post.job_id] * 2
    if by == "place":
        await rate(grown_up, there, Rating.ALL_AGES)
    most = Rating.ADULT if by == "place" else Rating.ALL_AGES
    take = partial(outbox.take, fronts=STAGE, now=grown_up.clock.now(), most_rated=most)
    rows = await grown_up.database.change(take)
    first = post.job_id if by == "place" else None
    assert [(row.chat_id, row.job_id, row.text) for row in rows] == [
        (here.id, first, post.caption),
        (there.id, None, post.caption),
    ]
    assert "too grown-up" in (await only_post(grown_up)).error


async def test_a_picture_alone_that_became_too_grown_up_while_the_front_was_away_is_given_up(
    grown_up: Engine,
) -> None:
    here = await place_of(grown_up)
    await rate(grown_up, here, Rating.ADULT)
    await scheduled(grown_up, place=here, picture=True, text=False)
    await until(grown_up, HALF_PAST_EIGHT)
    await paint(grown_up)
    await until(grown_up, NINE)
    await rate(grown_up, here, Rating.ALL_AGES)
    assert await taken(grown_up) == []
    (row,) = await owed(grown_up)
    assert (row.state, "too grown-up" in row.error) == ("failed", True)
    assert "too grown-up" in (await only_post(grown_up)).error


async def test_a_picture_also_suits_the_places_that_are_only_paused(grown_up: Engine) -> None:
    here, there = await place_of(grown_up, "here"), await place_of(grown_up, "there")
    await rate(grown_up, here, Rating.ADULT)
    await grown_up.posting.pause_place(there.id, True)
    await scheduled(grown_up, place=here, picture=True, targets=[there.id])
    await until(grown_up, HALF_PAST_EIGHT)
    await paint(grown_up)
    await grown_up.posting.pause_place(there.id, False)
    await until(grown_up, NINE)
    shown = await owed(grown_up)
    assert [one.chat_id for one in shown] == [here.id, there.id]
    assert [await rating_of(grown_up, one.job_id) for one in shown] == [Rating.ALL_AGES] * 2


# The loop


async def rounds(engine: Engine, during: Callable[[], Awaitable[object]]) -> int:
    """How often the loop goes round while something happens."""
    loop, count, real = engine.posting.publishing, 0, engine.posting.publishing.round

    async def counted() -> Any:
        nonlocal count
        count += 1
        return await real()

    loop.round = counted  # type: ignore[method-assign]  # the real one is called in it
    running = asyncio.create_task(engine.posting.run())
    await during()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return count


async def turns() -> None:
    """So much that a loop that never rests goes round hundreds of times."""
    for _ in range(300):
        await asyncio.sleep(0.001)


async def test_the_loop_rests_while_a_post_reaches_nobody(engine: Engine) -> None:
    schedule = await scheduled(engine)
    at(engine, HALF_PAST_EIGHT)
    await engine.posting.pause_place(schedule.chat_id, True)
    assert await rounds(engine, turns) < 5
    assert (await only_post(engine)).state is PostState.PLANNED


def failing(engine: Engine, error: Callable[[], Exception], times: int) -> list[float]:
    """Captions fail so often; answers when that was tried, on the monotonic clock."""
    captions, tried = engine.posting._making._captions, list[float]()
    real = captions.write

    async def write(*args: Any, **more: Any) -> Any:
        tried.append(engine.clock.monotonic())
        if len(tried) <= times:
            raise error()
        return await real(*args, **more)

    captions.write = write  # type: ignore[method-assign]  # the real one is called in it
    return tried


async def pass_time(engine: Engine, seconds: int) -> None:
    assert isinstance(engine.clock, ManualClock)
    for _ in range(seconds):
        await engine.clock.advance(1)
        for _ in range(10):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("error", [RuntimeError, StoreError])
async def test_what_cannot_be_made_is_tried_again_with_growing_pauses(
    engine: Engine, error: type[Exception]
) -> None:
    await scheduled(engine)
    at(engine, HALF_PAST_EIGHT)
    tried = failing(engine, lambda: error("for a while"), times=6)
    assert await rounds(engine, partial(pass_time, engine, 120)) < 300
    assert len(tried) == 7
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert all(pause >= least for pause, least in zip(pauses, (1, 2, 4, 8, 16, 32), strict=True))
    assert (await only_post(engine)).state is PostState.READY


async def test_what_can_never_be_made_has_failed_once_it_is_late_and_not_before(engine: Engine) -> None:
    await scheduled(engine)
    at(engine, NINE - 2 * MINUTE)
    failing(engine, lambda: RuntimeError("for ever"), times=10**6)
    states = []

    async def during() -> None:
        await pass_time(engine, 110)
        states.append((await only_post(engine)).state)
        await pass_time(engine, 300)
        states.append((await only_post(engine)).state)

    await rounds(engine, during)
    assert states == [PostState.PLANNED, PostState.FAILED]


async def test_a_late_picture_is_shown_in_the_very_round_in_which_it_comes(engine: Engine) -> None:
    await scheduled(engine, picture=True)
    await until(engine, NINE + MINUTE)
    await paint(engine)
    await engine.posting.publishing.round()
    assert (await only_post(engine)).state is PostState.PUBLISHED


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


# By hand


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


async def test_what_was_ordered_now_is_shown_however_late_the_house_opens(engine: Engine) -> None:
    schedule = await scheduled(engine, "weekly mon 09:00 grace 0")
    post = await engine.posting.run_now(schedule.id)
    at(engine, post.due_at + timedelta(hours=3))
    await until(engine, engine.clock.now())
    assert (await only_post(engine)).state is PostState.PUBLISHED
    assert await taken(engine) == [post.id]


async def test_where_posts_are_paused_none_is_ordered(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await engine.posting.pause_place(schedule.chat_id, True)
    with pytest.raises(BadRequest, match="paused in this chat"):
        await engine.posting.run_now(schedule.id)
    assert await engine.posting.posts() == []


# Another picture


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


# The end


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


async def test_a_post_that_was_skipped_is_not_told_to_come_next(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, HALF_PAST_EIGHT)
    await engine.posting.skip((await only_post(engine)).id)
    known = await engine.posting.get(schedule.id)
    assert engine.posting.next_times(known, 2) == [NINE + DAY, NINE + 2 * DAY]


# On its way


async def test_what_is_owed_when_posts_are_paused_there_is_not_shown(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE)
    await engine.posting.pause_place(schedule.chat_id, True)
    assert await taken(engine) == []
    (given_up,) = await owed(engine)
    assert given_up.state == DeliveryState.FAILED.value
    assert "paused in this chat" in (await only_post(engine)).error


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


async def test_what_is_shown_again_on_somebodys_word_is_shown_however_late_it_is(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    assert await taken(engine) == [(await only_post(engine)).id]
    await engine.database.change(partial(outbox.recover, fronts=STAGE, recognises_repeats=False))
    at(engine, NINE + DAY - timedelta(hours=2))
    (held,) = await engine.posting.held()
    await engine.posting.release(held.id, again=True)
    assert await taken(engine) == [held.post_id]


async def test_a_post_that_could_not_be_delivered_says_so_in_anybodys_language(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    (shown,) = await owed(engine)
    await engine.database.change(partial(outbox.give_up, delivery_id=shown.id, error="chat not found"))
    post = await only_post(engine)
    assert post.error == "It did not arrive: chat not found"
    assert locale_of("de").says(post.error) == "Er ist nicht angekommen: chat not found"


async def test_why_a_post_was_passed_over_is_told_in_anybodys_language(engine: Engine) -> None:
    await scheduled(engine, "daily 09:00 grace 0")
    at(engine, NINE + timedelta(hours=5))
    await until(engine, engine.clock.now())
    post = await only_post(engine)
    assert post.error.startswith("Nobody was there")
    assert locale_of("de").says(post.error).startswith("Niemand war da")


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


# Two at once


@pytest.fixture
async def shared(settings: Settings, language: FakeLanguage, postgres_url_with_tables: str) -> Any:
    """A house on PostgreSQL, where two transactions run at the same time."""
    url = StoreSettings(database=SecretStr(postgres_url_with_tables))
    told = settings.model_copy(update={"store": url})
    async with Engine.open(told, models=[language], renderer=FakeRenderer(), clock=ManualClock()) as engine:
        yield engine


class Hold:
    """Stops the first who comes here, until it is let go."""

    def __init__(self, real: Callable[..., Awaitable[Any]]) -> None:
        self._real, self._there, self._go = real, asyncio.Event(), asyncio.Event()

    async def __call__(self, *args: Any, **more: Any) -> Any:
        if not self._there.is_set():
            self._there.set()
            await self._go.wait()
        return await self._real(*args, **more)

    async def meanwhile(self, first: Awaitable[Any], second: Callable[[], Awaitable[Any]]) -> list[Any]:
        """The second begins while the first holds still in the middle; the first goes on a while later."""
        one = asyncio.ensure_future(first)
        await asyncio.wait_for(self._there.wait(), 20)
        two = asyncio.ensure_future(second())
        await asyncio.wait([two], timeout=0.3)
        self._go.set()
        return list(await asyncio.wait_for(asyncio.gather(one, two, return_exceptions=True), 20))


async def test_who_approves_what_is_reworded_at_that_moment_approves_nothing_unseen(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scheduled(shared, approval="skip")
    await until(shared, HALF_PAST_EIGHT)
    post = await only_post(shared)
    hold = Hold(posts.change)
    monkeypatch.setattr(posts, "change", hold)
    await hold.meanwhile(shared.posting.approve(post.id), lambda: shared.posting.reword(post.id, None))
    after = await only_post(shared)
    assert after.caption != post.caption
    assert (after.state, after.source) == (PostState.WAITING, Source.MODEL)
    assert not after.options.get("approved"), "nobody has seen these words"


async def test_who_skips_what_is_shown_at_that_moment_is_told(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = await scheduled(shared)
    await until(shared, NINE - MINUTE)
    at(shared, NINE)
    hold = Hold(schedules.with_skipped)
    monkeypatch.setattr(schedules, "with_skipped", hold)
    told, _ = await hold.meanwhile(shared.posting.skip_next(schedule.id), shared.posting.publishing.round)
    assert isinstance(told, BadRequest)
    assert (await only_post(shared)).state is PostState.PUBLISHED
    assert not (await shared.posting.get(schedule.id)).options.get("skipped")


async def test_what_arrives_while_it_is_recalled_is_taken_back(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scheduled(shared)
    await until(shared, NINE)
    post: Post = await only_post(shared)
    (row,) = await shared.database.change(partial(outbox.take, fronts=STAGE, now=shared.clock.now()))
    hold = Hold(messages.shown)
    monkeypatch.setattr(messages, "shown", hold)
    arrives = partial(delivery._sent, row=row, messages=["message-1"], now=shared.clock.now())
    _, told = await hold.meanwhile(shared.database.change(arrives), lambda: shared.posting.recall(post.id))
    assert told == 1
    assert [one.manner.get("removes") for one in await owed(shared) if one.kind == "removal"] == [
        ["message-1"]
    ]


async def test_what_is_recalled_while_it_is_taken_to_be_shown_is_not_shown(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scheduled(shared)
    await until(shared, NINE)
    post = await only_post(shared)
    hold = Hold(arriving.too_late)
    monkeypatch.setattr(arriving, "too_late", hold)
    recalled, told = await hold.meanwhile(taken(shared), lambda: shared.posting.recall(post.id))
    assert (recalled, told) == ([], 1)
    assert [one.state for one in await owed(shared)] == [DeliveryState.FAILED.value]
