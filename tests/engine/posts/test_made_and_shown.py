"""Personas post: what is made before its time is shown at it, once, in words of its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from functools import partial

from sqlalchemy import select

from engine.engine import Engine
from engine.language import CaptionWanted, Source, Wanted
from engine.locales import locale_of
from engine.planning import PICTURE_PATIENCE
from engine.settings import Settings
from engine.store import jobs, outbox
from engine.store.records import (
    PostState,
)
from engine.store.tables import posts as post_rows
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.posts_stage import (
    DAY,
    NINE,
    Diarist,
    at,
    only_post,
    owed,
    place_of,
    scheduled,
    stored_in,
    until,
)


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


async def test_a_post_that_could_not_be_delivered_says_so_in_anybodys_language(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    (shown,) = await owed(engine)
    await engine.database.change(partial(outbox.give_up, delivery_id=shown.id, error="chat not found"))
    post = await only_post(engine)
    assert post.error == "It did not arrive: chat not found"
    assert locale_of("de").says(post.error) == "Er ist nicht angekommen: chat not found"


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
    shared = stored_in(settings, postgres_url_with_tables)
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
