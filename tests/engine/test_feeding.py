"""Open runs in the line: fed little by little, by whichever process there is, and stopped by no failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import feeding
from engine.engine import Engine
from engine.errors import RenderFailed
from engine.ordering import Order
from engine.pictures import PictureWanted, Progress, Rendered
from engine.settings import Settings, StoreSettings
from engine.store import audits, personas
from engine.store import runs as store
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.test_runs import (
    begun,
    cast,
    crowd,
    done,
    feeding_alone,
    jobs_of,
    made,
    until,
    whose,
)
from tests.working import working


async def test_ten_times_as_many_stand_in_line_no_longer_than_a_few(engine: Engine) -> None:
    await crowd(engine, 100)
    async with feeding_alone(engine):
        run = await begun(engine)
        full = await until(engine, run, lambda standing: standing.counts.waiting == feeding.MOST_OPEN)
        assert full.left > feeding.MOST_OPEN
        for _ in range(50):
            await asyncio.sleep(0)
        assert (await engine.runs.standing(run.id)).counts.waiting == feeding.MOST_OPEN
    async with working(engine):
        standing = await done(engine, run)
    assert standing.counts.made == len(await cast(engine))
    assert set((await whose(engine, run)).values()) == {1}


async def test_one_that_fails_does_not_stop_the_others_and_its_reason_is_told(settings: Settings) -> None:
    class Choosy(FakeRenderer):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            if any(one.scene.persona.slug == "glenys-prosser" for one in wanted):
                raise RenderFailed("Nobody can paint her.")
            return super().render(wanted, progress)

    async with Engine.open(
        settings, models=[FakeLanguage()], renderer=Choosy(), clock=ManualClock()
    ) as engine:
        standing = await made(engine)
        many = len(await cast(engine))
        assert (standing.counts.made, standing.counts.failed, standing.left) == (many - 1, 1, 0)
        async with engine.database.read() as tx:
            assert await audits.reasons(tx, standing.run.id) == [("Nobody can paint her.", 1)]
        plan = await engine.runs.plan(Order())
        assert [member.slug for member in plan.members] == ["glenys-prosser"], "she is what is still missing"


async def test_whose_prompt_cannot_be_written_fails_with_a_row_and_the_others_are_made(
    engine: Engine,
) -> None:
    """Only some of them have that outfit."""
    entries = await cast(engine)
    async with engine.database.read() as tx:
        records = [await personas.get(tx, entry.id) for entry in entries]
    [has, *_] = [record for record in records if record.persona.appearance.wardrobe]
    outfit = has.persona.appearance.wardrobe[0].name
    standing = await made(engine, wish={"outfit": outfit}, missing_only=False)
    assert standing.counts.made >= 1
    assert standing.counts.failed >= 1
    assert standing.counts.placed == len(entries)
    async with engine.database.read() as tx:
        lines = await audits.lines(tx, standing.run.id)
    failed = [line for line in lines if line.state == "failed"]
    assert all("outfit" in line.error for line in failed)
    assert has.persona.slug not in {line.slug for line in failed}


async def test_somebody_who_leaves_while_the_run_goes_on_is_passed_over(engine: Engine) -> None:
    run = await begun(engine)
    gone = (await cast(engine))[0]
    async with engine.database.write() as tx:
        await personas.delete(tx, gone.id, now=engine.clock.now())
    await crowd(engine, 1)
    async with working(engine):
        standing = await done(engine, run)
    names = await whose(engine, run)
    assert gone.slug not in names
    assert "c000" not in names, "who comes after the order is not meant by it"
    assert standing.total == standing.counts.made == len(names)


async def test_one_job_that_is_taken_back_is_counted_and_ends_nothing(engine: Engine) -> None:
    async with feeding_alone(engine):
        run = await begun(engine)
        await until(engine, run, lambda standing: standing.counts.waiting == standing.total)
        first = (await jobs_of(engine, run))[0]
        await engine.imagining.cancel(first.id)
    async with working(engine):
        standing = await done(engine, run)
    assert (standing.cancelled, standing.counts.made) == (1, standing.total - 1)


async def test_the_next_process_goes_on_by_itself(settings: Settings) -> None:
    class Slow(FakeRenderer):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            if len(self.passes) >= 2:
                raise RuntimeError("the house closes before this is made")
            return super().render(wanted, progress)

    async with Engine.open(settings, models=[FakeLanguage()], renderer=Slow(), clock=ManualClock()) as engine:
        await crowd(engine, 80)
        async with working(engine):
            run = await begun(engine)
            await until(engine, run, lambda standing: standing.counts.made >= 2)
    async with Engine.open(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        async with working(engine):
            standing = await done(engine, run)
        assert standing.counts.made == standing.total == len(await cast(engine))
        assert set((await whose(engine, run)).values()) == {1}


async def test_two_processes_that_feed_one_run_make_everything_once(
    settings: Settings, postgres_url_with_tables: str
) -> None:
    shared = settings.model_copy(
        update={"store": StoreSettings(database=SecretStr(postgres_url_with_tables))}
    )

    def opened() -> AbstractAsyncContextManager[Engine]:
        return Engine.open(shared, models=[FakeLanguage()], renderer=FakeRenderer())

    async with opened() as one, opened() as other:
        await crowd(one, 30)
        async with working(one), working(other):
            run = await begun(one, limit=35)
            standing = await done(other, run)
        assert (standing.total, standing.counts.made, standing.counts.pictures) == (35, 35, 35)
        assert set((await whose(one, run)).values()) == {1}


async def test_what_ends_while_another_run_is_looked_up_is_heard(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looking, go_on = engine.database.look, asyncio.Event(), asyncio.Event()

    async def slowly(work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
        if isinstance(work, partial) and work.func is store.open_jobs:
            looking.set()
            await go_on.wait()
        return await look(work)

    async with feeding_alone(engine):
        one, other = [await begun(engine, limit=1, key=key) for key in ("one", "other")]
        for run in (one, other):
            await until(engine, run, lambda standing: standing.counts.waiting == 1)
        monkeypatch.setattr(engine.database, "look", slowly)
        await begun(engine, limit=1, key="one")
        await looking.wait()
        [job] = await jobs_of(engine, other)
        await engine.imagining.cancel(job.id)
        for _ in range(50):
            await asyncio.sleep(0)
        go_on.set()
        await done(engine, other)
