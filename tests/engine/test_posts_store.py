"""Schedules and posts as rows: each time once, each change from the state that it names, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest, NotFound
from engine.language import Source
from engine.locales import FromNow, locale_of, say
from engine.store import chats, jobs, outbox, personas, pictures, posts, schedules, sentences
from engine.store.database import Database
from engine.store.records import (
    ChatRef,
    Delivery,
    DeliveryKind,
    DeliveryState,
    JobState,
    Lane,
    PictureRequest,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from personas.persona import Persona

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def here(database: Database) -> tuple[int, int]:
    """A chat and a persona."""
    async with database.write() as tx:
        record = await personas.take_in(tx, Persona(slug="ada", name="Ada"), origin="made", now=NOW)
        place = await chats.add_place(tx, ChatRef("stage", "one", "room"), persona_id=record.id, now=NOW)
    return place.id, record.id


async def schedule_in(database: Database, here: tuple[int, int], **more: Any) -> Schedule:
    chat_id, persona_id = here
    told: dict[str, Any] = {"spec": "daily 09:00", "zone": "UTC", "next_due_at": NOW + 3 * HOUR} | more
    async with database.write() as tx:
        return await schedules.add(tx, chat_id=chat_id, persona_id=persona_id, now=NOW, **told)


async def post_in(database: Database, here: tuple[int, int], key: str = "a", **more: Any) -> Post:
    chat_id, persona_id = here
    told = {"due_at": NOW + HOUR, "now": NOW} | more
    async with database.write() as tx:
        post = await posts.add(tx, key=key, chat_id=chat_id, persona_id=persona_id, **told)
    assert post is not None
    return post


async def job_in(tx: AsyncConnection, persona_id: int) -> int:
    request = PictureRequest("a pier", "a woman on a pier", "", "noir", Source.UNDERSTUDY, 5, 7)
    added = await jobs.add(
        tx,
        request=request,
        lane=Lane.SCHEDULED,
        fair_owner="schedule:1",
        cost=1,
        now=NOW,
        persona_id=persona_id,
    )
    return added.job.id


async def test_a_schedule_comes_back_as_it_was_kept(database: Database, here: tuple[int, int]) -> None:
    kept = await schedule_in(database, here, theme="tea", options={"targets": [7], "ahead": 60})
    async with database.read() as tx:
        assert await schedules.get(tx, kept.id) == kept
        assert await schedules.listing(tx) == [kept]
        assert await schedules.listing(tx, chat_id=here[0]) == [kept]
        assert await schedules.listing(tx, chat_id=here[0] + 1) == []
        for unknown in (0, -1, kept.id + 1, 10**30):
            with pytest.raises(NotFound, match="no schedule"):
                await schedules.get(tx, unknown)
    assert (kept.theme, kept.options, kept.next_due_at) == (
        "tea",
        {"targets": [7], "ahead": 60},
        NOW + 3 * HOUR,
    )


async def test_of_two_who_move_a_schedule_on_one_does(database: Database, here: tuple[int, int]) -> None:
    known = await schedule_in(database, here)

    async def moved() -> bool:
        move = partial(schedules.change, known=known, move=True, next_due_at=NOW + 27 * HOUR)
        return await database.change(move) is not None

    assert sorted(await asyncio.gather(*[moved() for _ in range(5)])) == [False] * 4 + [True]


async def test_a_schedule_that_was_changed_meanwhile_is_left_as_it_is(
    database: Database, here: tuple[int, int]
) -> None:
    known = await schedule_in(database, here)
    async with database.write() as tx:
        assert await schedules.change(tx, known, spec="daily 10:00") is not None
        assert await schedules.change(tx, known, theme="tea") is None


async def test_only_what_is_begun_by_now_is_planned(database: Database, here: tuple[int, int]) -> None:
    usual = await schedule_in(database, here, next_due_at=NOW + HOUR)
    early = await schedule_in(database, here, next_due_at=NOW + 5 * HOUR, options={"ahead": 20_000})
    await schedule_in(database, here, next_due_at=NOW + 5 * HOUR)
    await schedule_in(database, here, next_due_at=NOW + 50 * HOUR, options={"ahead": 20_000})
    await schedule_in(database, here, next_due_at=NOW + 4 * HOUR, options={"picture": False})
    paused = await schedule_in(database, here, next_due_at=NOW)
    async with database.write() as tx:
        await schedules.change(tx, paused, state=ScheduleState.PAUSED)
        found = await schedules.to_plan(tx, soon=NOW + HOUR, far=NOW + 24 * HOUR, usual=3_600.0)
        assert [one.id for one in found] == [usual.id, early.id]
        times = await schedules.next_times(tx)
    assert sorted(times, key=lambda one: one[0]) == [
        (NOW + HOUR, {"ahead": None, "picture": True}),
        (NOW + 4 * HOUR, {"ahead": None, "picture": False}),
        (NOW + 5 * HOUR, {"ahead": 20_000.0, "picture": True}),
    ], "the next one of each kind"


async def test_each_time_is_one_post_however_many_plan_it(database: Database, here: tuple[int, int]) -> None:
    chat_id, persona_id = here
    add = partial(posts.add, key="schedule:1:x", due_at=NOW, chat_id=chat_id, persona_id=persona_id, now=NOW)
    made = await asyncio.gather(*[database.change(add) for _ in range(8)])
    assert len([one for one in made if one is not None]) == 1
    async with database.read() as tx:
        assert len(await posts.listing(tx)) == 1


async def test_a_post_changes_from_the_state_it_is_in_and_from_no_other(
    database: Database, here: tuple[int, int]
) -> None:
    post = await post_in(database, here)

    async def published() -> Post | None:
        change = partial(
            posts.change, post_id=post.id, was=posts.OPEN, state=PostState.PUBLISHED, caption="Tea."
        )
        return await database.change(change)

    changed = [one for one in await asyncio.gather(*[published() for _ in range(5)]) if one is not None]
    assert len(changed) == 1
    assert (changed[0].state, changed[0].caption) == (PostState.PUBLISHED, "Tea.")


async def test_posts_are_listed_wherever_they_are_to_come_or_came(
    database: Database, here: tuple[int, int]
) -> None:
    async with database.write() as tx:
        other = await chats.add_place(tx, ChatRef("stage", "one", "yard"), persona_id=here[1], now=NOW)
    there = other.id
    coming = await post_in(database, here, "a", due_at=NOW + 2 * HOUR, options={"targets": [there, 10**6]})
    came = await post_in(database, here, "b", options={"targets": [there]})
    await post_in(database, here, "c", options={"targets": [there * 10, there + 1]})
    await post_in(database, here, "d", options={"targets": [there]}, state=PostState.SKIPPED)
    await post_in(database, here, "e")
    async with database.write() as tx:
        await posts.change(tx, came.id, was=posts.OPEN, state=PostState.PUBLISHED)
        await outbox.owe(tx, there, DeliveryKind.POST, text="Tea.", post_id=came.id, now=NOW)
    async with database.read() as tx:
        assert [one.id for one in await posts.listing(tx, chat_id=there)] == [coming.id, came.id]
        assert len(await posts.listing(tx, chat_id=here[0])) == 5


async def test_posts_are_listed_by_place_and_state_the_latest_first(
    database: Database, here: tuple[int, int]
) -> None:
    first = await post_in(database, here, "a", due_at=NOW + 2 * HOUR)
    second = await post_in(database, here, "b", due_at=NOW + HOUR, state=PostState.SKIPPED, error="why")
    async with database.read() as tx:
        assert [one.id for one in await posts.listing(tx)] == [first.id, second.id]
        assert [one.id for one in await posts.listing(tx, states=[PostState.SKIPPED])] == [second.id]
        assert await posts.listing(tx, chat_id=here[0] + 1) == []
        assert len(await posts.listing(tx, most=1)) == 1
        assert (await posts.get(tx, second.id)).error == "why"
        for unknown in (0, -1, second.id + 1, 10**30):
            with pytest.raises(NotFound, match="no post"):
                await posts.get(tx, unknown)


async def test_what_is_due_is_found_with_how_its_picture_stands(
    database: Database, here: tuple[int, int]
) -> None:
    post = await post_in(database, here)
    await post_in(database, here, "later", due_at=NOW + 9 * HOUR)
    async with database.write() as tx:
        assert [one.id for one in await posts.to_make(tx)] == [post.id, post.id + 1]
        await posts.change(tx, post.id, was=posts.OPEN, state=PostState.MAKING, caption="Tea.")
        assert [one.id for one in await posts.to_make(tx)] == [post.id, post.id + 1], "no picture is ordered"
        job_id = await job_in(tx, here[1])
        assert await posts.order_picture(tx, post.id, job_id)
        assert not await posts.order_picture(tx, post.id, job_id), "it has one"
        assert [one.id for one in await posts.to_make(tx)] == [post.id + 1]
        assert await posts.due(tx, now=NOW) == []
        (under,) = await posts.due(tx, now=NOW + HOUR)
        assert (under.job_state, under.picture_id) == (JobState.QUEUED, None)
        assert await posts.made(tx) == []
        assert await posts.next_due(tx, after=NOW + HOUR) == NOW + 9 * HOUR

        await jobs.end(tx, job_id, JobState.DONE, NOW)
        (picture_id,) = await pictures.add(tx, [picture_row(job_id, here[1])])
        (made,) = await posts.made(tx)
    assert (made.post.id, made.job_state, made.picture_id) == (post.id, JobState.DONE, picture_id)


def picture_row(job_id: int, persona_id: int) -> dict[str, Any]:
    return {
        "job_id": job_id, "persona_id": persona_id, "number": 1, "file": "pictures/ada/1.png", "scene": "a pier",
        "prompt": "a woman on a pier", "negative": "", "style": "noir", "source": "understudy", "word_count": 5,
        "seed": 7, "width": 64, "height": 64, "steps": 3, "guidance": 7.5, "rating": "all-ages", "model": "fake",
        "device": "cpu", "stand_in": False, "created_at": NOW,
    }  # fmt: skip


async def test_the_last_captions_of_a_persona_are_remembered_the_newest_first(
    database: Database, here: tuple[int, int]
) -> None:
    made = [await post_in(database, here, key) for key in "abc"]
    async with database.write() as tx:
        for post in made[:2]:
            await posts.change(tx, post.id, was=posts.OPEN, caption=f"Caption {post.id}.")
        told = partial(posts.recent_captions, tx, here[1])
        assert await told(most=10) == [f"Caption {made[1].id}.", f"Caption {made[0].id}."]
        assert await told(most=1) == [f"Caption {made[1].id}."]
        assert await told(most=10, but=made[1].id) == [f"Caption {made[0].id}."]


async def test_what_was_planned_for_later_is_taken_away_and_nothing_else(
    database: Database, here: tuple[int, int]
) -> None:
    schedule = await schedule_in(database, here)
    due = await post_in(database, here, "due", due_at=NOW, schedule_id=schedule.id)
    later = await post_in(database, here, "later", due_at=NOW + HOUR, schedule_id=schedule.id)
    gone = await post_in(
        database, here, "gone", due_at=NOW + HOUR, schedule_id=schedule.id, state=PostState.SKIPPED
    )
    async with database.write() as tx:
        assert [one.id for one in await posts.open_of(tx, schedule.id)] == [due.id, later.id]
        assert await posts.count_of(tx, schedule.id) == 3
        assert [one.id for one in await posts.delete_coming(tx, schedule.id, after=NOW)] == [later.id]
        await schedules.remove(tx, schedule.id)
        left = await posts.listing(tx)
    assert {one.id for one in left} == {due.id, gone.id}
    assert {one.schedule_id for one in left} == {None}


async def taken(tx: AsyncConnection, chat_id: int, post: Post) -> Delivery:
    """It is owed to a chat, and on its way there."""
    await outbox.owe(tx, chat_id, DeliveryKind.POST, text="Tea.", post_id=post.id, now=NOW)
    (row,) = await outbox.take(tx, [("stage", "one")], now=NOW)
    return row


async def test_a_delivery_of_a_post_knows_who_posts_and_what_became_of_it(
    database: Database, here: tuple[int, int]
) -> None:
    post = await post_in(database, here)
    async with database.write() as tx:
        row = await taken(tx, here[0], post)
        assert (row.persona_name, row.persona_slug, row.persona_id) == ("Ada", "ada", here[1])
        await outbox.sent(tx, row.id, ["m1"], now=NOW)
        await outbox.owe(tx, here[0], DeliveryKind.NOTICE, text="Not a post.", now=NOW)
        (shown,) = await posts.shown(tx, post.id)
        assert (shown.state, shown.messages, shown.chat_id) == (DeliveryState.SENT, ("m1",), here[0])
        assert not await posts.is_recalled(tx, post.id)
        await posts.change(tx, post.id, was=posts.OPEN, state=PostState.RECALLED)
        assert await posts.is_recalled(tx, post.id)


async def test_what_is_held_waits_for_a_word_and_hears_it_once(
    database: Database, here: tuple[int, int]
) -> None:
    post = await post_in(database, here)
    async with database.write() as tx:
        row = await taken(tx, here[0], post)
        assert await outbox.held(tx) == []
        assert not await outbox.release(tx, row.id, again=True, now=NOW)
        await outbox.recover(tx, [("stage", "one")], recognises_repeats=False)
        assert [one.id for one in await outbox.held(tx)] == [row.id]
        assert await outbox.take(tx, [("stage", "one")], now=NOW) == []
        assert await outbox.release(tx, row.id, again=True, now=NOW)
        assert not await outbox.release(tx, row.id, again=True, now=NOW)
        assert [one.id for one in await outbox.take(tx, [("stage", "one")], now=NOW)] == [row.id]


async def test_why_a_post_was_not_shown_is_kept_so_that_it_can_be_told_in_any_language(
    database: Database, here: tuple[int, int]
) -> None:
    inner = BadRequest(say("pictures.outcome.failed"))
    why = say("posting.reason.no_picture", why=inner)
    post = await post_in(database, here, error=why, state=PostState.SKIPPED)
    other = await post_in(database, here, key="b", error="in nobody's words", state=PostState.SKIPPED)
    kept = await database.look(partial(posts.get, post_id=post.id))
    assert kept.error == str(why)
    german = locale_of("de")
    assert german.says(kept.error) == f"Es gibt kein Bild: {german.say('pictures.outcome.failed')}"
    assert other.error == german.says(other.error) == "in nobody's words"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "plain",
        '{"said":',
        '{"said": 1}',
        '{"said": "Once.", "key": "nobody.says.this", "facts": {}}',
        '{"said": "Once.", "key": "posting.no_post"}',
        '{"said": "Once.", "key": "posting.no_post", "facts": null}',
        '{"said": "Once.", "key": "posting.no_post", "facts": {"id": {"span": 1e300}}}',
    ],
)
def test_words_that_are_no_sentence_of_ours_are_told_as_they_are(words: str) -> None:
    assert sentences.told(words) in (words, "1", "Once.")
    assert sentences.told(sentences.kept(words)) == sentences.told(words)


def test_a_sentence_keeps_its_facts_of_every_kind() -> None:
    span = timedelta(minutes=3)
    for fact in (span, FromNow(minutes=3), [1, "two", 3.5], True, 12_345, say("posting.no_post", id="7")):
        said = say("posting.reason.no_picture", why=fact)
        back = sentences.told(sentences.kept(said))
        for code in ("en", "de"):
            assert locale_of(code).says(back) == locale_of(code).says(said)


async def test_a_schedule_is_over_when_neither_a_time_nor_a_post_of_it_is_to_come(
    database: Database, here: tuple[int, int]
) -> None:
    coming, empty = [await schedule_in(database, here, next_due_at=None) for _ in range(2)]
    await schedule_in(database, here)
    post = await post_in(database, here, schedule_id=coming.id)
    assert [one.id for one in await database.look(schedules.over)] == [empty.id]
    await database.change(partial(posts.change, post_id=post.id, was=posts.OPEN, state=PostState.PUBLISHED))
    assert [one.id for one in await database.look(schedules.over)] == [coming.id, empty.id]
