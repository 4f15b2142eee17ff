"""Posts where the rating of a chat or of the house changes at the last moment."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import update

from engine.engine import Engine
from engine.settings import SafetySettings, Settings
from engine.store import jobs, outbox
from engine.store.records import (
    Place,
    PostState,
)
from engine.store.tables import chats as chat_rows
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Rating
from tests.engine.posts_stage import (
    HALF_PAST_EIGHT,
    NINE,
    STAGE,
    only_post,
    owed,
    paint,
    place_of,
    scheduled,
    taken,
    until,
)


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
