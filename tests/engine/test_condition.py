"""How the house is: counted from the rows, and judged in words that say what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from engine.condition import GIBIBYTE, GIGABYTE, Condition, condition, verdict
from engine.estimating import Expected
from engine.locales import languages, locale_of
from engine.monitor import Gpu, Machine, System
from engine.settings import PictureSettings, Settings
from engine.store import figures, jobs, pictures, promises
from engine.store.database import Database
from engine.store.figures import InLane, MadeBy, PictureFigures
from engine.store.records import JobState, Lane
from engine.store.tables import jobs as rows
from tests.engine.test_promises import ask_for, row

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SYSTEM = System(32 * GIGABYTE, 20 * GIGABYTE, 8, 0.5, 500 * GIGABYTE, 200 * GIGABYTE, GIGABYTE)
CARD = Gpu("NVIDIA RTX 4090", 6 * GIBIBYTE, 24 * GIBIBYTE, 10, 50)
NOTHING = PictureFigures((), (), 0, 0, 0)
WELL = Condition(Machine(SYSTEM, (CARD,)), NOTHING, None, "painter-xl", "It is the first that was found.")


def keys(found: Condition) -> list[str]:
    return [one.key.removeprefix("status.verdict.") for one in verdict(found)]


def on(gpu: Gpu = CARD, **system: Any) -> Condition:
    return replace(WELL, machine=Machine(replace(SYSTEM, **system), (gpu,)))


def test_a_house_that_lacks_nothing_is_well() -> None:
    assert keys(WELL) == ["well"]


def test_a_gpu_whose_memory_is_nearly_full_wants_a_bound_that_fits_it() -> None:
    full = on(replace(CARD, used=23 * GIBIBYTE))
    assert keys(full) == ["gpu_full"]
    assert "vram = 12" in verdict(full)[0], "24 would leave nothing for the others on a card of 24"
    assert "vram = 8" in verdict(replace(full, vram=12))[0]
    assert keys(replace(full, vram=8)) == ["gpu_full_all_the_same"]
    small = on(Gpu("small", 4 * GIBIBYTE, 4 * GIBIBYTE))
    assert keys(small) == ["gpu_full_all_the_same"], "no bound is small enough"


def test_what_is_hot_low_or_full_is_told_the_most_urgent_first() -> None:
    hot = replace(CARD, temperature=85)
    found = on(hot, memory_free=GIGABYTE, disk_free=GIGABYTE)
    assert keys(found) == ["disk", "hot", "memory"]


def test_what_a_system_does_not_tell_is_no_trouble() -> None:
    found = on(Gpu("silent", 0, 0), memory_free=None, load=None, process=None, disk=0, disk_free=0)
    assert keys(found) == ["well"]


def test_a_line_that_grows_faster_than_it_is_worked_off_is_told() -> None:
    lane = InLane(Lane.INTERACTIVE, 30, 1, NOON)
    made = MadeBy("painter-xl", "cuda", False, 100, 9.0)
    growing = replace(WELL, pictures=PictureFigures((lane,), (made,), asked=140, failed=0, ended=100))
    assert keys(growing) == ["growing"]
    assert keys(replace(growing, pictures=replace(growing.pictures, asked=110))) == ["well"]
    few = replace(growing.pictures, lanes=(replace(lane, waiting=3),))
    assert keys(replace(growing, pictures=few)) == ["well"]
    assert keys(replace(growing, open=False)) == ["closed"], "nobody works on it: that comes first"


def test_many_failures_are_told_with_their_commonest_reason() -> None:
    failing = replace(WELL, pictures=replace(NOTHING, failed=5, ended=20, reason="Not enough\nmemory."))
    assert keys(failing) == ["failing"]
    assert verdict(failing)[0].endswith("Not enough memory.")
    assert keys(replace(failing, pictures=replace(failing.pictures, ended=500))) == ["well"]
    assert keys(replace(failing, pictures=replace(failing.pictures, failed=1, ended=1))) == ["well"]


def test_a_missing_picture_model_is_told_unless_none_is_wanted() -> None:
    without = replace(WELL, painter="", why="There is none here.")
    assert keys(without) == ["no_painter"]
    assert verdict(without)[0].endswith("There is none here.")
    assert keys(replace(without, painter_off=True)) == ["well"]


numbers = st.integers(0, 10**13)
gpus = st.builds(Gpu, st.text(), numbers, numbers, st.none() | st.integers(0, 100), st.none() | numbers)
systems = st.builds(
    System,
    numbers,
    st.none() | numbers,
    st.integers(1, 99),
    st.none() | st.floats(0, 99),
    numbers,
    numbers,
    st.none() | numbers,
)
lanes = st.builds(
    InLane, st.sampled_from(Lane), st.integers(0, 99), st.integers(0, 99), st.none() | st.just(NOON)
)
counted = st.builds(
    PictureFigures, st.tuples(lanes), st.just(()), numbers, st.integers(0, 99), st.integers(0, 99), st.text()
)
conditions = st.builds(
    Condition,
    st.builds(Machine, systems, st.tuples(gpus), st.text()),
    counted,
    st.none(),
    st.text(),
    st.text(),
    st.booleans(),
    st.integers(0, 99),
    st.booleans(),
)


@given(conditions)
def test_there_is_always_a_verdict_and_every_language_can_say_it(found: Condition) -> None:
    said = verdict(found)
    assert said
    for language in languages():
        for one in said:
            assert locale_of(language).says(one).strip()


# From the rows


async def test_the_line_is_told_by_lane_with_the_one_that_waits_longest(database: Database) -> None:
    async with database.write() as tx:
        begun = await ask_for(tx)
        await jobs.begin(tx, begun.id, NOON)
        await ask_for(tx, Lane.BACKFILL, who="run")
        later = await ask_for(tx, who="bo")
        earlier = await ask_for(tx, who="cy")
        await tx.execute(update(rows).where(rows.c.id == later.id).values(created_at=NOON))
        long_ago = NOON - timedelta(minutes=7)
        await tx.execute(update(rows).where(rows.c.id == earlier.id).values(created_at=long_ago))
        told = await figures.of_pictures(tx, now=NOON)
    assert told.lanes == (
        InLane(Lane.INTERACTIVE, 2, 1, long_ago),
        InLane(Lane.BACKFILL, 1, 0, NOON),
    )
    assert (told.waiting, told.running) == (3, 1)


async def test_the_last_hour_is_told_by_who_made_it_and_the_last_day_by_what_failed(
    database: Database,
) -> None:
    async with database.write() as tx:
        done = await ask_for(tx, count=3)
        made = [row(done, number, float(number)) for number in range(1, 4)]
        old = row(done, 4, 99.0) | {"created_at": NOON - timedelta(hours=2)}
        drawn = row(done, 5, 0.5) | {"model": "placeholder", "device": "cpu", "stand_in": True}
        await pictures.add(tx, [*made, old, drawn])
        await jobs.end(tx, done.id, JobState.DONE, NOON)
        for error in ("no memory", "no luck", "no memory"):
            job = await ask_for(tx)
            await jobs.end(tx, job.id, JobState.FAILED, NOON, error)
        long_gone = await ask_for(tx)
        await jobs.end(tx, long_gone.id, JobState.FAILED, NOON - timedelta(days=2), "long gone")
        taken_back = await ask_for(tx, count=4)
        await jobs.end(tx, taken_back.id, JobState.CANCELLED, NOON)
        told = await figures.of_pictures(tx, now=NOON)
    assert told.made == (
        MadeBy("sdxl", "cuda", False, 3, 2.0),
        MadeBy("placeholder", "cpu", True, 1, 0.5),
    )
    assert told.pictures == 4
    assert (told.failed, told.ended, told.reason) == (3, 4, "no memory")
    assert told.asked == 3 + 4, "and what was taken back is not asked for"
    assert told.lanes == ()


async def test_a_house_where_nothing_happened_has_no_figures(database: Database) -> None:
    async with database.read() as tx:
        assert await figures.of_pictures(tx, now=NOON) == NOTHING


@pytest.mark.parametrize("models", ["auto", "off"])
async def test_the_whole_house_is_looked_at_in_one_go(
    database: Database, settings: Settings, models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    word = Expected(10.0, 15.0)
    async with database.write() as tx:
        for _ in range(10):
            job = await ask_for(tx)
            await promises.give(tx, job.id, word, word, NOON)
            await jobs.begin(tx, job.id, NOON)
            await jobs.end(tx, job.id, JobState.DONE, NOON + timedelta(seconds=11))
        await ask_for(tx)
    asked = settings.model_copy(update={"pictures": PictureSettings(models=models, vram=8)})
    found = await condition(database, asked, now=NOON, is_open=False)
    assert found.record is not None
    assert (found.record.promises, found.record.in_time) == (10, 1.0)
    assert (found.painter, found.painter_off, found.vram) == ("", models == "off", 8)
    assert found.pictures.waiting == 1
    assert "closed" in keys(found)
    assert ("no_painter" in keys(found)) == (models == "auto")
