"""What is remembered of runs, on SQLite and on PostgreSQL: versions, counts, costs, whom they are about."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.language import Source
from engine.store import audits, chats, cohorts, jobs, personas, pictures
from engine.store import runs as store
from engine.store.cohorts import Cohort
from engine.store.database import Database
from engine.store.records import ChatRef, Job, JobState, Lane, PictureRequest, PostState, Run
from engine.store.runs import RunState
from engine.store.tables import personas as persona_rows
from engine.store.tables import pictures as picture_rows
from engine.store.tables import posts, schedules
from personas.persona import Persona

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
REQUEST = PictureRequest("on a pier", "a pier", "", "noir", Source.MODEL, 2, 2**32 - 1)


async def opened(tx: AsyncConnection, key: str = "autumn", **options: Any) -> Run:
    return await store.add(
        tx,
        key=key,
        kind="batch",
        style="noir",
        size="64x64",
        cohort="all",
        prompt_name="picture",
        prompt_version="v1",
        notes="for the wall",
        options=options,
        now=NOON,
    )


async def somebody(
    tx: AsyncConnection, slug: str, *tags: str, came: datetime = NOON, called: str = ""
) -> int:
    who = Persona(slug=slug, name=called or slug.title(), age=30, tags=tags)
    return (await personas.take_in(tx, who, origin="made", now=came)).id


async def asked(tx: AsyncConnection, run: Run | None, persona_id: int | None) -> Job:
    run_id = run.id if run else None
    added = await jobs.add(
        tx,
        request=REQUEST,
        lane=Lane.BACKFILL,
        fair_owner=f"run:{run_id}",
        cost=1,
        now=NOON,
        persona_id=persona_id,
        run_id=run_id,
    )
    return added.job


async def made(tx: AsyncConnection, run: Run | None, persona_id: int | None, **row: Any) -> int:
    job = await asked(tx, run, persona_id)
    await jobs.begin(tx, job.id, NOON)
    await jobs.end(tx, job.id, JobState.DONE, NOON)
    plain: dict[str, Any] = {
        "job_id": job.id,
        "persona_id": persona_id,
        "run_id": run.id if run else None,
        "number": 1,
        "file": f"{job.id}.png",
        "scene": "on a pier",
        "prompt": "a pier",
        "negative": "",
        "style": "noir",
        "source": "model",
        "word_count": 2,
        "seed": REQUEST.seed,
        "width": 64,
        "height": 64,
        "steps": 3,
        "guidance": 7.5,
        "rating": "all-ages",
        "model": "fake",
        "device": "cpu",
        "stand_in": False,
        "facts": {},
        "created_at": NOON,
    }
    return (await pictures.add(tx, [plain | row]))[0]


async def slugs(tx: AsyncConnection, cohort: Cohort, **more: Any) -> list[str]:
    return [member.slug for member in await cohorts.members(tx, cohort, **more)]


async def test_the_same_key_again_is_the_next_version_and_each_is_found(database: Database) -> None:
    async with database.write() as tx:
        first, second = await opened(tx), await opened(tx)
        other = await opened(tx, "winter")
        assert (first.version, second.version, other.version) == (1, 2, 1)
        assert (await store.find(tx, "autumn")).id == second.id
        assert (await store.find(tx, " autumn@1 ")).id == first.id
        assert (first.notes, first.prompt_name, first.prompt_version) == ("for the wall", "picture", "v1")
        assert [run.id for run in await store.listing(tx, key="autumn")] == [second.id, first.id]


@pytest.mark.parametrize(
    "wanted", ["spring", "autumn@2", "autumn@", "autumn@x", "autumn@99999999999999", "@", ""]
)
async def test_a_run_that_is_not_there_is_named(database: Database, wanted: str) -> None:
    async with database.write() as tx:
        await opened(tx)
        with pytest.raises(NotFound, match="There is no run"):
            await store.find(tx, wanted)


async def test_the_newest_version_that_is_done_is_the_current_one(database: Database) -> None:
    async with database.write() as tx:
        first, second, third = await opened(tx), await opened(tx), await opened(tx)
        assert not first.current, "nothing came of it yet"
        await store.close(tx, second, now=NOON)
        assert (await store.get(tx, second.id)).current
        await store.close(tx, first, now=NOON)
        assert not (await store.get(tx, first.id)).current, "an older one that ends later takes no mark away"
        await store.close(tx, third, now=NOON)
        marks = {run.version: run.current for run in await store.listing(tx)}
    assert marks == {1: False, 2: False, 3: True}


async def test_a_run_that_is_paused_or_done_is_in_nobodys_hands(database: Database) -> None:
    async with database.write() as tx:
        first, second = await opened(tx), await opened(tx, "winter")
        await store.keep(tx, replace(first, state=RunState.PAUSED.value))
        assert await store.hold(tx, first.id) is None
        assert await store.hold(tx, second.id) == second
        assert await store.under_way(tx) == [second]


async def test_what_nobody_has_begun_is_taken_out_and_the_rest_goes_on(database: Database) -> None:
    async with database.write() as tx:
        run, other = await opened(tx), await opened(tx, "winter")
        waiting, begun, ended = [await asked(tx, run, None) for _ in range(3)]
        elsewhere = await asked(tx, other, None)
        await jobs.begin(tx, begun.id, NOON)
        await jobs.end(tx, ended.id, JobState.FAILED, NOON, "no")
        assert await store.open_jobs(tx, run.id) == [waiting.id, begun.id]
        assert await store.take_out(tx, run.id, now=NOON) == [waiting.id]
        assert await store.open_jobs(tx, run.id) == [begun.id]
        assert await store.still_open(tx, [waiting.id, begun.id, ended.id, elsewhere.id]) == [
            begun.id,
            elsewhere.id,
        ]
        assert (await jobs.get(tx, waiting.id)).state is JobState.CANCELLED


async def test_counts_and_costs_are_those_of_the_pictures_themselves_to_the_cent(database: Database) -> None:
    """Also of a picture that was deleted since, and of somebody who has left."""
    costs = [0.04, 0.013, 1 / 3, 19.99, 0.0]
    async with database.write() as tx:
        first, second = await opened(tx), await opened(tx)
        who = [await somebody(tx, f"p{number}") for number in range(5)]
        for run, factor in ((first, 1), (second, 2)):
            for persona_id, cost in zip(who, costs, strict=True):
                await made(tx, run, persona_id, cost=cost * factor, seconds=cost, stand_in=cost == 0)
        failed = await asked(tx, first, who[0])
        await jobs.end(tx, failed.id, JobState.FAILED, NOON, "The card was full.")
        await made(tx, None, who[0], cost=100.0)
        await tx.execute(
            update(picture_rows).where(picture_rows.c.persona_id == who[3]).values(deleted_at=NOON)
        )
        await personas.delete(tx, who[4], now=NOON)

        counted = await store.counts(tx, [first.id, second.id])
        both = await audits.compare(tx, first.id, second.id)
        for run in (first, second):
            rows = (
                await tx.execute(select(picture_rows.c.cost).where(picture_rows.c.run_id == run.id))
            ).scalars()
            own = math.fsum(rows)
            assert f"{counted[run.id].cost:.2f}" == f"{own:.2f}"
            assert (await store.close(tx, run, now=NOON)).cost == pytest.approx(own, abs=1e-9)
            shares = [each.one if run is first else each.other for each in both]
            told = [share for share in shares if share is not None]
            assert f"{math.fsum(share.cost for share in told):.2f}" == f"{own:.2f}"
            assert sum(share.pictures for share in told) == counted[run.id].pictures == 5
            assert sum(share.failed for share in told) == counted[run.id].failed
        assert (counted[first.id].made, counted[first.id].failed, counted[first.id].stand_ins) == (5, 1, 1)
        assert await audits.reasons(tx, first.id) == [("The card was full.", 1)]
        assert [each.slug for each in both] == ["p0", "p1", "p2", "p3", "p4"]


async def test_a_persona_in_one_of_two_runs_has_an_empty_side(database: Database) -> None:
    async with database.write() as tx:
        first, second = await opened(tx), await opened(tx)
        ada, bo = await somebody(tx, "ada"), await somebody(tx, "bo")
        await made(tx, first, ada)
        await made(tx, second, bo)
        [one, other] = await audits.compare(tx, first.id, second.id)
    assert one.one is not None
    assert one.other is None
    assert other.one is None
    assert other.other is not None


async def test_a_line_says_all_of_a_picture_and_of_a_job_that_gave_none(database: Database) -> None:
    async with database.write() as tx:
        run = await opened(tx)
        ada = await somebody(tx, "ada")
        picture = await made(tx, run, ada, cost=0.5, seconds=2.0)
        failed = await asked(tx, run, ada)
        await jobs.end(tx, failed.id, JobState.FAILED, NOON, "No room.")
        first, second = await audits.lines(tx, run.id)
        assert await audits.lines(tx, run.id, after=first.job_id) == [second]
    assert (first.picture_id, first.slug, first.style, first.cost, first.seconds) == (
        picture,
        "ada",
        "noir",
        0.5,
        2,
    )
    assert (second.picture_id, second.state, second.error) == (None, "failed", "No room.")
    assert (second.style, second.seed) == ("noir", 2**32 - 1), "as it was asked for"


async def test_a_cohort_is_who_has_a_tag_or_came_in_a_year(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohorts, "PAGE", 2)
    async with database.write() as tx:
        await somebody(tx, "old", "Fitness", came=datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
        await somebody(tx, "new", "Straße", came=datetime(2026, 1, 1, tzinfo=UTC))
        await somebody(tx, "newer", "fitness", "garden")
        gone = await somebody(tx, "gone", "fitness")
        await personas.delete(tx, gone, now=NOON)
        assert await slugs(tx, Cohort()) == ["old", "new", "newer"]
        assert await slugs(tx, Cohort(tags=("fitness",))) == ["old", "newer"]
        assert await slugs(tx, Cohort(tags=("STRASSE",))) == ["new"]
        assert await slugs(tx, Cohort(year=2025)) == ["old"]
        assert await slugs(tx, Cohort(year=2026, tags=("garden",))) == ["newer"]
        assert await slugs(tx, Cohort(personas=(1, 3)), most=1) == ["old"]
        assert await slugs(tx, Cohort(), after=1, last=2) == ["new"]
        assert await cohorts.tags(tx) == ["Fitness", "fitness", "garden", "Straße"]


async def test_who_lacks_a_picture_is_asked_by_style_and_a_stand_in_is_none(database: Database) -> None:
    async with database.write() as tx:
        bare, noir, stand_in, deleted = [
            await somebody(tx, slug) for slug in ("bare", "noir", "stand-in", "deleted")
        ]
        await made(tx, None, noir)
        await made(tx, None, stand_in, stand_in=True)
        await made(tx, None, deleted, deleted_at=NOON)
        assert bare
        missing = Cohort(missing=True)
        assert await slugs(tx, missing) == ["bare", "stand-in", "deleted"]
        assert await slugs(tx, replace(missing, stand_ins_count=True)) == ["bare", "deleted"]
        assert await slugs(tx, replace(missing, style="film")) == ["bare", "noir", "stand-in", "deleted"]
        counted = await cohorts.personas_pictured(tx, stand_ins_count=False)
        assert (counted.total, counted.pictured, counted.bare) == (4, 1, 3)
        assert (await cohorts.personas_pictured(tx, style="film", stand_ins_count=True)).pictured == 0


async def test_posts_that_lack_a_picture_are_the_published_ones_that_want_one(database: Database) -> None:
    async with database.write() as tx:
        ada = await somebody(tx, "ada", "sea")
        place = await chats.add_place(tx, ChatRef("stage", "one", "room"), persona_id=ada, now=NOON)
        schedule = insert(schedules).returning(schedules.c.id)
        plain = {
            "chat_id": place.id,
            "persona_id": ada,
            "spec": "daily 09:00",
            "zone": "UTC",
            "state": "active",
        }
        wordy = await tx.execute(schedule, plain | {"options": {"picture": False}, "created_at": NOON})
        words_alone = wordy.scalar_one()
        picture = await made(tx, None, ada)

        async def post(key: str, **more: Any) -> int:
            row = {
                "persona_id": ada,
                "chat_id": place.id,
                "occurrence_key": key,
                "due_at": NOON,
                "state": PostState.PUBLISHED.value,
                "caption": "The sea was loud.",
                "created_at": NOON,
            }
            return int((await tx.execute(insert(posts).returning(posts.c.id), row | more)).scalar_one())

        lacking = await post("a", theme="the sea at night")
        older = await post("b", due_at=datetime(2025, 3, 1, tzinfo=UTC))
        await post("c", picture_id=picture)
        await post("d", state=PostState.PLANNED.value)
        await post("e", schedule_id=words_alone)
        await post("f", job_id=(await asked(tx, None, ada)).id)
        found = await cohorts.members(tx, Cohort(posts=True, missing=True, tags=("sea",)))
        assert [(one.id, one.scene) for one in found] == [
            (lacking, "the sea at night"),
            (older, "The sea was loud."),
        ]
        assert [one.id for one in await cohorts.members(tx, Cohort(posts=True, missing=True, year=2025))] == [
            older
        ]
        counted = await cohorts.posts_pictured(tx)
        assert (counted.total, counted.pictured) == (5, 1)

        run = await opened(tx)
        job = await asked(tx, run, ada)
        await store.meant_for_post(tx, job.id, lacking)
        await store.illustrate(tx, [job.id])
        has = select(posts.c.picture_id).where(posts.c.id == lacking)
        assert (await tx.execute(has)).scalar_one() is None, "nothing came of it yet"
        second = await made(tx, None, ada, job_id=job.id)
        await store.illustrate(tx, [job.id])
        assert (await tx.execute(has)).scalar_one() == second
        await tx.execute(update(posts).values(picture_id=None))
        await store.illustrate_all(tx, run.id)
        assert (await tx.execute(has)).scalar_one() == second


async def test_pictures_of_a_run_become_the_faces_of_those_who_have_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FACES", 2)

    async def faces(tx: AsyncConnection) -> list[int | None]:
        rows = select(persona_rows.c.face_picture_id).order_by(persona_rows.c.id)
        return list((await tx.execute(rows)).scalars())

    async def worn(tx: AsyncConnection, run: Run, *, every: bool) -> None:
        after: int | None = 0
        while after is not None:
            after = await store.wear(tx, run.id, every=every, after=after)

    async with database.write() as tx:
        run = await opened(tx)
        who = [await somebody(tx, f"p{number}") for number in range(5)]
        has = await made(tx, None, who[1])
        await tx.execute(update(persona_rows).where(persona_rows.c.id == who[1]).values(face_picture_id=has))
        first, second, _, _, last = [
            await made(tx, run, who[0]),
            await made(tx, run, who[1]),
            await made(tx, run, who[2], stand_in=True),
            await made(tx, run, who[3], rating="mature"),
            await made(tx, run, who[4]),
        ]
        await worn(tx, run, every=False)
        assert await faces(tx) == [first, has, None, None, last]
        await worn(tx, run, every=True)
        assert await faces(tx) == [first, second, None, None, last]


async def test_what_a_picture_costs_is_what_the_last_ones_cost(database: Database) -> None:
    async with database.write() as tx:
        assert await store.usual_cost(tx, 1) == 0
        for cost in (0.02, 0.04):
            await made(tx, None, None, cost=cost)
        await made(tx, None, None, stand_in=True)
        assert await store.usual_cost(tx, 1) == pytest.approx(0.03)
