"""Posts of somebody who is forgotten: nothing that came of their words is left, and what others posted stays."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from engine import forgetting
from engine.engine import Engine
from engine.language import Source
from engine.locales import locale_of
from engine.runs import Order
from engine.store import chats, jobs, outbox, people
from engine.store import forgetting as store
from engine.store.records import (
    Account,
    DeliveryKind,
    JobState,
    Person,
    Place,
    Post,
    PostState,
    Schedule,
    TurnKind,
    TurnState,
)
from engine.store.tables import deliveries, metadata
from engine.testing import FakeLanguage
from engine.timewords import read
from tests.engine.posts_stage import DAY, NINE, Diarist, glenys, paint, place_of, until

#: Her words, and what a model made of them: each of her posts tells of marzipan.
WORDS = "marzipan"


class Echo(Diarist):
    """Writes what it is asked about, as models do."""

    def _text(self, wanted: Any) -> str:
        return f"{super()._text(wanted)} {getattr(wanted, 'theme', '')}"


@pytest.fixture
def language() -> FakeLanguage:
    return Echo()


@pytest.fixture
def engine(stored_engine: Engine) -> Engine:
    return stored_engine


async def somebody(engine: Engine, name: str) -> Person:
    async with engine.database.write() as tx:
        return await people.add_person(tx, Account("stage", name, name), now=engine.clock.now())


async def ordered(
    engine: Engine, place: Place, person: Person, theme: str, words: str = "daily 09:00", **options: Any
) -> Schedule:
    timing, _ = read(words)
    return await engine.posting.add(
        place=place,
        persona=await glenys(engine),
        person=person,
        timing=timing,
        zone="UTC",
        theme=theme,
        options=options,
    )


async def forget(engine: Engine, person: Person, place: Place) -> None:
    """All that `/forget yes` does."""
    async with engine.database.write() as tx:
        order = await chats.add_turn(
            tx,
            place.id,
            "/forget yes",
            now=engine.clock.now(),
            kind=TurnKind.COMMAND,
            person_id=person.id,
            state=TurnState.ANSWERED,
        )
    await forgetting.stop_jobs(engine.database, engine.queue, engine.clock, person.id, here=place)
    async with engine.database.write() as tx:
        await store.forget(tx, person.id, order_id=order.id)
    await forgetting.Sweep(engine.database, engine.files, engine.queue, engine.clock).make()


async def traces(engine: Engine) -> list[str]:
    """The rows in which her words still stand."""
    async with engine.database.read() as tx:
        return [
            f"{table.name}: {tuple(row)}"
            for table in metadata.sorted_tables
            for row in await tx.execute(select(table))
            if WORDS in str(tuple(row)).lower()
        ]


async def arrive(engine: Engine) -> None:
    """Whatever is owed is shown in a message of its number."""
    async with engine.database.write() as tx:
        for row in list(await tx.execute(select(deliveries.c.id).where(deliveries.c.state == "pending"))):
            await outbox.sent(tx, row.id, [f"m{row.id}"], now=engine.clock.now())


async def all_posts(engine: Engine) -> list[Post]:
    return sorted(await engine.posting.posts(), key=lambda post: post.id)


async def test_what_was_posted_for_somebody_says_nothing_any_more_and_can_still_be_taken_back(
    engine: Engine,
) -> None:
    ana, hall = await somebody(engine, "ana"), await place_of(engine, shared=True)
    await ordered(engine, hall, ana, f"{WORDS} in the hall")
    await until(engine, NINE - timedelta(minutes=30))
    await paint(engine)
    await until(engine, NINE)
    await arrive(engine)
    (before,) = await all_posts(engine)
    assert before.picture_id is not None
    assert WORDS in before.caption
    assert [key async for key in engine.files.keys("pictures")] != []
    assert len(await traces(engine)) > 3, "the post, its schedule, its delivery, its job and its picture"

    await forget(engine, ana, hall)
    (after,) = await all_posts(engine)
    assert (after.state, after.theme, after.caption, after.source) == (PostState.PUBLISHED, "", "", None)
    assert (after.job_id, after.picture_id, after.schedule_id) == (None, None, None)
    assert "person" not in after.options
    assert await traces(engine) == []
    assert [key async for key in engine.files.keys("pictures")] == []
    assert await engine.posting.recall(after.id) == 1


async def test_posts_that_were_still_to_come_are_skipped_and_nobody_paints_for_them(engine: Engine) -> None:
    ana, hall = await somebody(engine, "ana"), await place_of(engine, shared=True)
    await ordered(engine, hall, ana, WORDS, approval="skip")
    await until(engine, NINE - timedelta(minutes=30))
    (post,) = await all_posts(engine)
    assert post.state is PostState.MAKING
    await engine.posting.repicture(post.id)
    await engine.posting.publishing.make()
    async with engine.database.read() as tx:
        painted = await store.open_jobs(tx, ana.id)
        assert [(await jobs.get(tx, job_id)).person_id for job_id in painted] == [None]
    await forget(engine, ana, hall)
    (post,) = await all_posts(engine)
    assert (post.state, post.theme, post.caption) == (PostState.SKIPPED, "", "")
    german = locale_of("de")
    assert german.says(post.error) == german.say("posting.reason.schedule_gone")
    assert await traces(engine) == []
    async with engine.database.read() as tx:
        assert await jobs.unfinished(tx) == [], "each take is gone, also the one that was replaced"
    await until(engine, NINE + DAY)
    assert (await all_posts(engine))[-1].state is PostState.SKIPPED
    assert (await owed_posts(engine)) == []


async def owed_posts(engine: Engine) -> list[Any]:
    async with engine.database.read() as tx:
        kept = select(deliveries).where(deliveries.c.kind == DeliveryKind.POST.value)
        return list(await tx.execute(kept.order_by(deliveries.c.id)))


async def test_a_post_that_was_on_its_way_is_owed_to_nobody(engine: Engine) -> None:
    ana, hall = await somebody(engine, "ana"), await place_of(engine, shared=True)
    await ordered(engine, hall, ana, WORDS, picture=False)
    await until(engine, NINE)
    assert [row.state for row in await owed_posts(engine)] == ["pending"]
    await forget(engine, ana, hall)
    assert await owed_posts(engine) == []
    assert await traces(engine) == []


async def test_posts_of_schedules_that_were_removed_before_are_found_too(engine: Engine) -> None:
    ana, hall = await somebody(engine, "ana"), await place_of(engine, shared=True)
    schedule = await ordered(engine, hall, ana, WORDS, picture=False)
    await until(engine, NINE)
    await engine.posting.remove(schedule.id)
    assert await traces(engine) != []
    await forget(engine, ana, hall)
    assert await traces(engine) == []


async def test_what_a_run_painted_for_a_post_goes_too(engine: Engine) -> None:
    ana, hall = await somebody(engine, "ana"), await place_of(engine, shared=True)
    schedule = await ordered(engine, hall, ana, WORDS, picture=False)
    await until(engine, NINE)
    await engine.posting.edit(schedule.id, options={"picture": True})
    began = await engine.runs.begin(Order(posts=True))
    assert began.run is not None
    feeding = asyncio.create_task(engine.runs.run())
    try:
        async with asyncio.timeout(20):
            while not await engine.database.look(jobs.unfinished):  # noqa: ASYNC110 - rows tell nobody
                await asyncio.sleep(0.01)
    finally:
        feeding.cancel()
    (post,) = await all_posts(engine)
    job_id = post.job_id or 0
    job = await engine.database.look(lambda tx: jobs.get(tx, job_id))
    assert job.state is JobState.QUEUED
    assert WORDS in job.request.scene
    await forget(engine, ana, hall)
    assert await traces(engine) == []


async def test_what_others_have_posted_stays(engine: Engine) -> None:
    ana, ben = await somebody(engine, "ana"), await somebody(engine, "ben")
    hall = await place_of(engine, shared=True)
    theirs = await ordered(engine, hall, ben, "the lamp", picture=False)
    await ordered(engine, hall, ana, WORDS, picture=False)
    await until(engine, NINE)
    await arrive(engine)
    await forget(engine, ana, hall)
    kept = [post for post in await all_posts(engine) if post.theme]
    assert [(post.theme, post.source, post.schedule_id) for post in kept] == [
        ("the lamp", Source.MODEL, theirs.id)
    ]
    assert kept[0].options["person"] == ben.id
    assert [row.text for row in await owed_posts(engine)] == [kept[0].caption, ""]
    await until(engine, NINE + DAY)
    assert [post.schedule_id for post in await all_posts(engine) if post.due_at == NINE + DAY] == [theirs.id]


async def test_what_somebody_had_others_told_of_is_told_no_more(engine: Engine) -> None:
    ana, ben = await somebody(engine, "ana"), await somebody(engine, "ben")
    hall = await place_of(engine, shared=True)
    hooked = partial(engine.newsroom.add_hook, place=hall, persona=await glenys(engine), options={})
    hers, _ = await hooked(person=ana)
    his, _ = await hooked(person=ben)
    await forget(engine, ana, hall)
    assert [one.id for one in await engine.newsroom.listing()] == [his.id]
    assert hers.id != his.id
