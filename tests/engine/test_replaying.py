"""Replays: a picture is made of the same once more, and whoever compares the two is told what is not the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine import replaying
from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.pictures import PictureWanted, Progress, Rendered
from engine.settings import Settings
from engine.store import jobs
from engine.store.records import JobState, Picture
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.test_runs import made, the_picture
from tests.working import working


async def ask(engine: Engine, picture: Picture) -> Picture:
    async with working(engine):
        job = await replaying.replay(engine.database, engine.imagining, picture.id)
        async with asyncio.timeout(30):
            while True:
                async with engine.database.read() as tx:
                    if (await jobs.get(tx, job.id)).state is JobState.DONE:
                        break
                await asyncio.sleep(0.01)
    return await the_picture(engine)


async def test_a_replay_is_the_same_to_the_pixel_and_another_seed_is_not(engine: Engine) -> None:
    await made(engine, limit=1, wish={"seed": 70_000})
    first = await the_picture(engine)
    again = await ask(engine, first)
    assert (again.prompt, again.seed, again.run_id) == (first.prompt, first.seed, None)
    found = await replaying.compared(engine.database, engine.files, first.id, again.id)
    assert (found.same, found.differing) == (True, 0.0)
    await made(engine, missing_only=False, limit=1, wish={"seed": 90_000})
    other = await the_picture(engine)
    apart = await replaying.compared(engine.database, engine.files, first.id, other.id)
    assert (apart.same, apart.differing) == (False, 1.0)
    assert "100 %" in apart.says


async def test_a_stand_in_is_not_painted_again(settings: Settings) -> None:
    async with Engine.open(settings, models=[FakeLanguage()], clock=ManualClock()) as engine:
        await made(engine, limit=1)
        picture = await the_picture(engine)
        assert picture.stand_in
        with pytest.raises(BadRequest, match="is a stand-in"):
            await replaying.replay(engine.database, engine.imagining, picture.id)


async def test_where_nothing_paints_any_more_the_replay_says_so(settings: Settings) -> None:
    async with Engine.open(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        await made(engine, limit=1)
        first = await the_picture(engine)
    async with Engine.open(settings, models=[FakeLanguage()]) as engine:
        again = await ask(engine, first)
        found = await replaying.compared(engine.database, engine.files, first.id, again.id)
    assert not found.same
    assert found.differing is None
    assert "no picture model paints here now" in found.says


async def test_another_model_is_named_as_the_reason(settings: Settings) -> None:
    class Other(FakeRenderer):
        name = "another"

        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            made = super().render(wanted, progress)
            return [Rendered(one.image.rotate(90).point(lambda v: 255 - v), self.name, "cpu") for one in made]

    async with Engine.open(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        await made(engine, limit=1)
        first = await the_picture(engine)
    async with Engine.open(settings, models=[FakeLanguage()], renderer=Other()) as engine:
        again = await ask(engine, first)
        found = await replaying.compared(engine.database, engine.files, first.id, again.id)
    assert not found.same
    assert "fake painted it, and another paints now" in found.says


async def test_a_picture_that_is_not_there_has_no_replay(engine: Engine) -> None:
    with pytest.raises(NotFound, match="no picture 7"):
        await replaying.replay(engine.database, engine.imagining, 7)
