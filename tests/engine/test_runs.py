"""Runs from the order to what becomes of the pictures: planned, opened, paused, and gone on with."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from engine import feeding
from engine.engine import Engine
from engine.errors import BadRequest, Conflict, NotFound, Unsuitable
from engine.ordering import Kind, Order
from engine.runs import Standing
from engine.settings import SafetySettings, Settings
from engine.store import audits, chats, jobs, personas, pictures
from engine.store import runs as store
from engine.store.records import ChatRef, Job, Lane, Picture, PostState, Run
from engine.store.tables import jobs as job_rows
from engine.store.tables import personas as persona_rows
from engine.store.tables import pictures as picture_rows
from engine.store.tables import posts
from engine.testing import FakeLanguage, FakeRenderer
from personas.persona import Persona
from tests.working import meanwhile, working


def feeding_alone(engine: Engine) -> AbstractAsyncContextManager[None]:
    """Jobs come into line, and nobody works on them."""
    return meanwhile(engine.runs.run())


async def begun(engine: Engine, **order: Any) -> Run:
    run = (await engine.runs.begin(Order(**order))).run
    assert run is not None
    return run


async def until(engine: Engine, run: Run, there: Callable[[Standing], bool]) -> Standing:
    async with asyncio.timeout(60):
        while True:
            standing = await engine.runs.standing(run.id)
            if there(standing):
                return standing
            await asyncio.sleep(0.01)


def has_made(standing: Standing, least: int) -> bool:
    return standing.counts.made >= least


async def done(engine: Engine, run: Run) -> Standing:
    return await until(engine, run, lambda standing: standing.run.state == "done")


async def made(engine: Engine, **order: Any) -> Standing:
    async with working(engine):
        return await done(engine, await begun(engine, **order))


async def crowd(engine: Engine, many: int, *tags: str) -> None:
    async with engine.database.write() as tx:
        for number in range(many):
            who = Persona(slug=f"c{number:03}", name=f"Someone {number}", age=30, tags=tags)
            await personas.take_in(tx, who, origin="made", now=engine.clock.now())


async def whose(engine: Engine, run: Run) -> Counter[str]:
    """Of whom the run has jobs, and how many."""
    async with engine.database.read() as tx:
        return Counter(line.slug for line in await audits.lines(tx, run.id, most=10_000))


async def cast(engine: Engine) -> list[personas.Entry]:
    async with engine.database.read() as tx:
        return await personas.listing(tx)


async def jobs_of(engine: Engine, run: Run) -> list[Job]:
    async with engine.database.read() as tx:
        ids = (await tx.execute(select(job_rows.c.id).where(job_rows.c.run_id == run.id))).scalars().all()
        return [await jobs.get(tx, job_id) for job_id in ids]


async def the_picture(engine: Engine) -> Picture:
    async with engine.database.read() as tx:
        last = select(picture_rows.c.id).order_by(picture_rows.c.id.desc()).limit(1)
        return await pictures.get(tx, (await tx.execute(last)).scalar_one())


# An order


async def test_a_backfill_makes_one_picture_of_everybody_who_has_none(engine: Engine) -> None:
    standing = await made(engine)
    everybody = {entry.slug: 1 for entry in await cast(engine)}
    assert await whose(engine, standing.run) == everybody
    assert (standing.total, standing.counts.made, standing.left) == (len(everybody), len(everybody), 0)
    assert standing.run.current
    again = await engine.runs.begin(Order())
    assert again.run is None, "there is nothing to be made"
    people, _ = await engine.runs.pictured()
    assert people.bare == 0


async def test_the_rows_say_what_was_ordered_and_carry_the_run(engine: Engine) -> None:
    wish = {"style": "noir", "width": 128, "height": 64, "seed": 7}
    standing = await made(
        engine,
        kind=Kind.BATCH,
        scene="on a pier",
        personas=("glenys",),
        missing_only=False,
        wish=wish,
        notes="hi",
    )
    run = standing.run
    assert (run.kind, run.style, run.size, run.cohort) == ("batch", "noir", "128x64", "glenys-prosser")
    assert (run.prompt_name, run.prompt_version, run.notes) == ("picture", "v1", "hi")
    [job] = await jobs_of(engine, run)
    assert (job.lane, job.run_id, job.chat_id) == (Lane.BACKFILL, run.id, None)
    assert (job.request.scene, job.request.style, job.request.seed) == ("on a pier", "noir", 7)
    picture = await the_picture(engine)
    assert (picture.run_id, picture.width, picture.height, picture.seed) == (run.id, 128, 64, 7)
    async with engine.database.read() as tx:
        row = (await tx.execute(select(job_rows).where(job_rows.c.id == job.id))).mappings().one()
    assert (row["fair_owner"], row["dedup_key"]) == (f"run:{run.id}", f"run:{run.id}:{job.persona_id}")


async def test_a_style_is_missing_where_there_are_pictures_in_others(engine: Engine) -> None:
    await made(engine, wish={"style": "noir"}, limit=2)
    many = len(await cast(engine))
    assert (await engine.runs.plan(Order())).total == many - 2
    assert (await engine.runs.plan(Order(wish={"style": "noir"}))).total == many - 2
    assert (await engine.runs.plan(Order(wish={"style": "film"}))).total == many
    assert (await engine.runs.plan(Order(missing_only=False))).total == many


async def test_no_more_are_made_than_the_limit_says(engine: Engine) -> None:
    standing = await made(engine, limit=3)
    assert (standing.total, standing.counts.placed) == (3, 3)


@pytest.mark.parametrize(
    ("order", "error", "says"),
    [
        ({"limit": 0}, BadRequest, "makes no picture"),
        ({"limit": -5}, BadRequest, "makes no picture"),
        ({"tags": ("nobody-has-this",)}, NotFound, "Nobody has the tag"),
        ({"personas": ("nobody-at-all",)}, NotFound, "Nobody here is called"),
        ({"key": "a b"}, BadRequest, "cannot be the key"),
        ({"key": "../x"}, BadRequest, "cannot be the key"),
        ({"key": "autumn@2"}, BadRequest, "cannot be the key"),
        ({"key": "x" * 81}, BadRequest, "cannot be the key"),
        ({"key": "день"}, BadRequest, "cannot be the key"),
        ({"year": 0}, BadRequest, "no year"),
        ({"year": 10**30}, BadRequest, "no year"),
        ({"notes": "x" * 501}, BadRequest, "too many for notes"),
        ({"scene": "x" * 1_001}, BadRequest, "too many for a scene"),
        ({"wish": {"style": "nonsense"}}, NotFound, "no style"),
        ({"wish": {"width": 7}}, BadRequest, "sides"),
        ({"wish": {"seed": -1}}, BadRequest, "seed"),
        ({"wish": {"steps": 0}}, BadRequest, "steps"),
    ],
)
async def test_what_cannot_be_ordered_is_a_sentence_and_leaves_nothing_behind(
    engine: Engine, order: dict[str, Any], error: type[Exception], says: str
) -> None:
    for asked in (engine.runs.plan, engine.runs.begin):
        with pytest.raises(error, match=says):
            await asked(Order(**order))
    async with engine.database.read() as tx:
        assert await store.listing(tx) == []


async def test_a_scene_with_unwelcome_words_is_refused_before_anything_is_stored(settings: Settings) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("gallows",))})
    async with Engine.open(strict, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        with pytest.raises(Unsuitable):
            await engine.runs.begin(Order(scene="at the gallows"))


async def test_a_tag_is_found_however_it_is_typed(engine: Engine) -> None:
    await crowd(engine, 3, "Marathon")
    plan = await engine.runs.plan(Order(tags=(" maraTHON ",)))
    assert [member.slug for member in plan.members] == ["c000", "c001", "c002"]
    assert plan.cohort == "tag Marathon"


# What is told beforehand


async def test_a_plan_stores_nothing_and_names_what_the_run_then_makes(engine: Engine) -> None:
    plan = await engine.runs.plan(Order(limit=4))
    assert (plan.total, plan.expected, plan.cost) == (4, None, 0.0), "nothing is known of this machine yet"
    async with engine.database.read() as tx:
        assert await store.listing(tx) == []
    standing = await made(engine, limit=4)
    assert set(await whose(engine, standing.run)) == {member.slug for member in plan.members}
    assert standing.run.key == plan.key


async def test_a_plan_reckons_with_what_pictures_took_here_and_what_they_cost(engine: Engine) -> None:
    await made(engine, limit=2)
    async with engine.database.write() as tx:
        await tx.execute(update(picture_rows).values(seconds=3.0, cost=0.04))
    left = len(await cast(engine)) - 2
    plan = await engine.runs.plan(Order())
    assert plan.expected is not None
    assert plan.expected.likely == pytest.approx(3.0 * left)
    assert plan.expected.at_most >= plan.expected.likely
    assert plan.cost == pytest.approx(0.04 * left)
    larger = await engine.runs.plan(Order(wish={"width": 128, "height": 128}))
    assert larger.expected is not None
    assert larger.expected.likely == pytest.approx(4 * 3.0 * left)


async def test_whoever_looks_is_told_how_long_is_left(engine: Engine) -> None:
    await made(engine, limit=2)
    async with engine.database.write() as tx:
        await tx.execute(update(picture_rows).values(seconds=3.0))
    run = await begun(engine)
    standing = await engine.runs.standing(run.id)
    assert standing.expected is not None
    assert standing.expected.likely == pytest.approx(3.0 * standing.left)


# Paused, and gone on with


async def test_a_pause_empties_the_line_and_the_same_order_goes_on_where_it_stood(engine: Engine) -> None:
    await crowd(engine, 100)
    order = Order(scene="in a garden")
    async with feeding_alone(engine):
        run = (await engine.runs.begin(order)).run
        assert run is not None
        await until(engine, run, lambda standing: standing.counts.waiting == feeding.MOST_OPEN)
        paused = await engine.runs.pause(run.id)
        standing = await engine.runs.standing(run.id)
        assert (paused.state, standing.counts.waiting, standing.cancelled) == ("paused", 0, 0)
        assert standing.left == standing.total
        assert await engine.runs.pause(run.id) == paused, "twice is once"
        for _ in range(50):
            await asyncio.sleep(0)
        assert (await engine.runs.standing(run.id)).counts.waiting == 0
    async with working(engine):
        again = await engine.runs.begin(order)
        assert again.resumed
        assert again.run is not None
        assert again.run.id == run.id
        standing = await done(engine, run)
    assert (standing.counts.made, standing.cancelled) == (standing.total, 0)
    assert set((await whose(engine, run)).values()) == {1}
    with pytest.raises(BadRequest, match="is done"):
        await engine.runs.pause(run.id)


async def test_a_pause_in_the_middle_of_the_work_loses_and_doubles_nothing(engine: Engine) -> None:
    await crowd(engine, 40)
    async with working(engine):
        run = await begun(engine)
        for target in (5, 15, 30):
            await until(engine, run, partial(has_made, least=target))
            await engine.runs.pause(run.id)
            assert (await begun(engine)).id == run.id
        standing = await done(engine, run)
    assert standing.counts.made == standing.counts.pictures == standing.total == len(await cast(engine))
    assert set((await whose(engine, run)).values()) == {1}


async def test_who_goes_on_while_somebody_else_still_pauses_leaves_nobody_out_of_line(engine: Engine) -> None:
    await crowd(engine, 60)
    async with feeding_alone(engine):
        run = await begun(engine)
        for _ in range(3):
            await until(engine, run, lambda standing: standing.counts.waiting > 40)
            await asyncio.gather(engine.runs.pause(run.id), engine.runs.begin(Order()))
        for _ in range(50):
            await asyncio.sleep(0)
        assert (await engine.runs.standing(run.id)).counts.waiting <= feeding.MOST_OPEN
    async with engine.database.read() as tx:
        assert await jobs.stranded(tx) == []
    await engine.runs.begin(Order())
    async with working(engine):
        standing = await done(engine, run)
    assert standing.counts.made == standing.total


async def test_a_key_whose_run_is_open_takes_no_other_order(engine: Engine) -> None:
    run = await begun(engine, key="autumn", wish={"style": "noir"})
    with pytest.raises(Conflict, match="autumn@1 is not done yet"):
        await engine.runs.begin(Order(key="autumn", wish={"style": "film"}))
    assert (await engine.runs.begin(Order(key="autumn", wish={"style": "noir"}))).resumed
    assert (await engine.runs.plan(Order(key="autumn", wish={"style": "noir"}))).goes_on == run


async def test_a_key_whose_run_is_done_begins_its_next_version(engine: Engine) -> None:
    first = await made(engine, key="autumn", missing_only=False, limit=1)
    second = await made(engine, key="autumn", missing_only=False, limit=1)
    assert (first.run.version, second.run.version) == (1, 2)
    async with engine.database.read() as tx:
        marks = {run.version: run.current for run in await store.listing(tx)}
    assert marks == {1: False, 2: True}


async def test_the_same_order_has_the_same_key_and_another_one_another(engine: Engine) -> None:
    async def key(**order: Any) -> str:
        return (await engine.runs.plan(Order(**order))).key

    assert await key() == await key() == "backfill-all"
    kinds = [
        await key(**order)
        for order in (
            {},
            {"scene": "a garden"},
            {"scene": "a pier"},
            {"wish": {"style": "noir"}},
            {"limit": 3},
            {"year": 2026},
            {"personas": ("glenys",)},
            {"kind": Kind.BATCH, "missing_only": False},
        )
    ]
    assert len(set(kinds)) == len(kinds)


# What becomes of the pictures


async def test_they_become_the_faces_of_those_who_have_none(engine: Engine) -> None:
    await made(engine, limit=2)
    [first, second, *others] = (await faces(engine)).values()
    assert first is not None
    assert second is not None
    assert set(others) == {None}
    await made(engine, missing_only=False, limit=3)
    kept = list((await faces(engine)).values())
    assert kept[:2] == [first, second]
    assert kept[2] is not None
    await made(engine, missing_only=False, limit=3, face=True)
    assert not {first, second} & set((await faces(engine)).values())


async def faces(engine: Engine) -> dict[int, int | None]:
    async with engine.database.read() as tx:
        rows = select(persona_rows.c.id, persona_rows.c.face_picture_id).order_by(persona_rows.c.id)
        return {row.id: row.face_picture_id for row in await tx.execute(rows)}


async def test_published_posts_without_a_picture_get_theirs(engine: Engine) -> None:
    who = (await cast(engine))[0]
    async with engine.database.write() as tx:
        place = await chats.add_place(
            tx, ChatRef("stage", "one", "room"), persona_id=who.id, now=engine.clock.now()
        )
        for number, year in enumerate((2025, 2025, 2026)):
            row = {
                "persona_id": who.id,
                "chat_id": place.id,
                "occurrence_key": f"schedule:1:{number}",
                "due_at": datetime(year, 6, 1, tzinfo=UTC),
                "state": PostState.PUBLISHED.value,
                "theme": f"a walk, the {number}.",
                "created_at": engine.clock.now(),
            }
            await tx.execute(insert(posts).values(row))
    standing = await made(engine, posts=True, year=2025)
    assert (standing.run.cohort, standing.counts.made) == ("posts: year 2025", 2)
    assert sorted(job.request.scene for job in await jobs_of(engine, standing.run)) == [
        "a walk, the 0.",
        "a walk, the 1.",
    ]
    _, counted = await engine.runs.pictured()
    assert (counted.total, counted.pictured) == (3, 2)
    assert set((await faces(engine)).values()) == {None}, "a post's picture is nobody's face"
