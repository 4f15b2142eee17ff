"""From weights on the disk to a picture in a row: which model is taken, and what is said where none is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures.painting import choice
from engine.settings import PictureSettings, Settings
from engine.store import jobs, personas, pictures
from engine.store.records import JobState, Picture
from engine.testing import FakeLanguage, ManualClock
from tests.engine.painted import told_by
from tests.models.sdxl import write_sdxl


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home without models, in a folder without models."""
    monkeypatch.chdir(tmp_path)
    return Settings(home=tmp_path / "home", pictures=PictureSettings(width=64, height=64, steps=2))


def with_pictures(house: Settings, **changed: object) -> Settings:
    return house.model_copy(update={"pictures": house.pictures.model_copy(update=changed)})


def test_without_a_model_it_says_where_it_looked(house: Settings) -> None:
    made = choice(house)
    assert made.found is None
    assert "models/picture" in made.reason


def test_what_is_switched_off_is_not_used(house: Settings) -> None:
    write_sdxl(house.home / "models" / "picture" / "tiny")
    assert choice(house).found
    made = choice(with_pictures(house, models="off"))
    assert made.found is None
    assert "off" in made.reason


def test_without_what_runs_it_it_says_how_to_install_that(
    house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sdxl(house.home / "models" / "picture" / "tiny")
    monkeypatch.setattr("engine.pictures.painting.NEEDED", ("torch", "no_such_library"))
    made = choice(house)
    assert made.found is None
    assert "no_such_library" in made.reason
    assert "EXTRAS=pictures" in made.reason


def test_a_refiner_that_was_fetched_is_found_where_fetching_puts_it(house: Settings) -> None:
    write_sdxl(house.home / "models" / "picture" / "tiny")
    write_sdxl(house.home / "models" / "refiner" / "tiny-refiner", kind="refiner")
    made = choice(house)
    assert made.found
    assert made.found.name == "tiny"
    assert made.refiner
    assert made.refiner.name == "tiny-refiner"


async def painted(settings: Settings, wish: Wish) -> tuple[list[Picture], list[bytes]]:
    """A job from the wish to its pictures, by the worker that every house has."""
    async with Engine.open(settings, clock=ManualClock(), models=[FakeLanguage()]) as engine:
        async with engine.database.read() as tx:
            record = await personas.find(tx, "glenys-prosser")
        request = await engine.imagining.compose(record, wish)
        async with engine.database.write() as tx:
            accepted = await engine.imagining.put_in_line(tx, request, persona_id=record.id, person=None)
        engine.imagining.nudge()
        with engine.events.watch(lambda event: event.name == "job.ended") as news:
            working = asyncio.create_task(engine.work())
            try:
                async with asyncio.timeout(60):
                    async for _event in news:
                        break
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        async with engine.database.read() as tx:
            assert (await jobs.get(tx, accepted.job.id)).state is JobState.DONE
            made = (await pictures.of_jobs(tx, [accepted.job.id]))[accepted.job.id]
        return list(made), [await engine.files.get(one.file) for one in made]


async def test_a_wish_becomes_pictures_by_the_model_with_all_that_made_them(house: Settings) -> None:
    write_sdxl(house.home / "models" / "picture" / "tiny")
    made, files = await painted(house, Wish("on a pier in a (red coat:1.3)", seed=4, count=2))
    assert [one.stand_in for one in made] == [False, False]
    assert {one.model for one in made} == {"tiny"}
    assert [one.batch_size for one in made] == [2, 2], "they shared their passes"
    assert [one.seed for one in made] == [4, 5]
    receipt = made[0].facts["receipt"]
    assert receipt["whole"]
    assert receipt["weighted"]
    assert receipt["chunks"] > 1
    assert files[0] != files[1]
    said = told_by(files[0])
    assert "Steps: 2" in said["parameters"]
    assert "AI" in said["Source"]


async def test_a_model_that_cannot_be_loaded_is_stood_in_for_and_says_why(house: Settings) -> None:
    folder = write_sdxl(house.home / "models" / "picture" / "tiny")
    shutil.rmtree(folder / "tokenizer")
    made, _ = await painted(house, Wish("on a pier", seed=4))
    assert made[0].stand_in
    assert made[0].facts["instead_of"] == "tiny"
    assert made[0].facts["because"]
