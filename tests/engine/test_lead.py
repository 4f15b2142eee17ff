"""Pictures for posts are there in time: they are asked for as early as this machine and its line bid to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from engine.engine import Engine
from engine.estimating import Made, Work
from engine.lead import DAY, SHORTEST, Asked, Lead, coming, longest, look, spans
from engine.pictures.fairness import HEAD_START
from engine.store import jobs
from engine.store.promises import Pace
from engine.store.records import Job, JobState, Lane, PostState
from engine.store.tables import pictures, queue_entries
from engine.testing import FakeLanguage
from engine.wishes import Wish
from tests.engine.posts_stage import NINE, Diarist, at, glenys, only_post, owed, scheduled, until

USUAL = Work(64, 64, 3)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def language() -> FakeLanguage:
    return Diarist()


def paced(seconds: float, *before: Work) -> Pace:
    return Pace(tuple(Made(seconds, USUAL, "model", "cuda") for _ in range(30)), before, ())


# What it takes


def test_where_nothing_is_known_of_the_machine_nothing_is_promised() -> None:
    assert longest(Pace((), (), ()), USUAL, Lane.EVENTS, 3) is None
    unknown = Lead()
    assert (unknown.needed, unknown.lane(timedelta())) == (timedelta(), Lane.SCHEDULED)


def test_it_grows_with_the_pictures_of_this_machine_with_the_line_and_with_those_who_ask() -> None:
    alone = longest(paced(1.0), USUAL, Lane.EVENTS, 0)
    assert alone is not None
    assert alone == timedelta(seconds=1 + HEAD_START[Lane.EVENTS]), "somebody may always begin to ask"
    assert longest(paced(1.0), USUAL, Lane.EVENTS, 1) == alone
    assert longest(paced(3.0), USUAL, Lane.EVENTS, 1) == 3 * alone
    behind = longest(paced(1.0, Work(64, 64, 3, 500)), USUAL, Lane.EVENTS, 1)
    assert behind == alone + timedelta(seconds=500)
    assert longest(paced(1.0), USUAL, Lane.EVENTS, 3) == timedelta(seconds=1 + 3 * HEAD_START[Lane.EVENTS])


def test_what_comes_in_time_from_further_back_stays_there() -> None:
    lead = Lead(events=10 * MINUTE, scheduled=50 * MINUTE)
    assert [lead.lane(left) for left in (timedelta(), 49 * MINUTE, 50 * MINUTE)] == [
        Lane.EVENTS,
        Lane.EVENTS,
        Lane.SCHEDULED,
    ]
    assert lead.needed == 10 * MINUTE


# How busy others are

HOUR = timedelta(hours=1)
paces = st.builds(
    paced, st.floats(0.2, 3_600), st.builds(Work, st.just(64), st.just(64), st.just(3), st.integers(1, 40))
)
counted = st.builds(Asked, st.integers(0, 5_000), st.sampled_from([10 * MINUTE, HOUR, DAY]))
lanes = st.sampled_from([Lane.EVENTS, Lane.SCHEDULED])


def certain(told: timedelta | None) -> timedelta:
    assert told is not None
    return told


@given(paces, lanes, st.integers(0, 9), st.lists(counted, min_size=1, max_size=3), counted)
def test_it_lies_between_a_line_that_nobody_joins_and_one_that_all_join_without_a_pause(
    pace: Pace, lane: Lane, askers: int, lately: list[Asked], one_more: Asked
) -> None:
    told = certain(longest(pace, USUAL, lane, askers, lately))
    nobody = replace(pace, before=(*pace.before, USUAL)), USUAL, lane
    assert told >= certain(longest(pace, USUAL, lane, askers, [Asked(0, timedelta(days=10_000))]))
    assert told <= certain(longest(pace, USUAL, lane, askers)), "the head starts bound it"
    assert certain(longest(pace, USUAL, lane, askers, [*lately, one_more])) >= told, "the busier one counts"
    assert certain(longest(pace, USUAL, lane, askers + 1, lately)) >= told
    assert certain(longest(*nobody, askers, lately)) >= told, "a longer line leaves others more time to come"


@given(st.integers(0, 5_000), st.sampled_from([10 * MINUTE, HOUR, DAY]))
def test_more_are_reckoned_with_than_were_counted_and_somebody_may_always_begin(
    many: int, span: timedelta
) -> None:
    asked = Asked(many, span)
    assert asked.rate > many / span.total_seconds()
    assert asked.rate > Asked(max(0, many - 1), span).rate or many == 0
    assert asked.rate * span.total_seconds() < many + 3 + 2 * many**0.5


@given(st.floats(0, 1e6), st.floats(0.01, 1e4), st.floats(0, 1), st.integers(1, 100_000))
def test_those_who_come_meanwhile_make_room_for_more_who_come(
    alone: float, each: float, rate: float, most: int
) -> None:
    come = coming(alone, each, rate, most=most)
    assert 0 <= come <= most
    if come < most:
        assert come * 1.000_001 + 1e-6 >= rate * (alone + come * each) - 1, "as many as come in all that time"
        assert come >= rate * alone * 0.999_999


def test_a_slow_machine_that_nobody_asks_begins_no_hours_ahead() -> None:
    slow = paced(300.0)
    quiet = [Asked(0, span) for span in spans(slow, USUAL)]
    assert certain(longest(slow, USUAL, Lane.EVENTS, 0)) > 8 * HOUR, "if somebody asked without a pause"
    assert certain(longest(slow, USUAL, Lane.EVENTS, 0, quiet)) <= 15 * MINUTE
    now_and_then = [Asked(2, HOUR), Asked(10, DAY)]
    assert certain(longest(slow, USUAL, Lane.EVENTS, 1, now_and_then)) <= 30 * MINUTE
    busy = [Asked(12, HOUR), Asked(12, DAY)]
    assert longest(slow, USUAL, Lane.EVENTS, 1, busy) == longest(slow, USUAL, Lane.EVENTS, 1)


def test_a_slow_machine_is_watched_for_longer() -> None:
    assert spans(Pace((), (), ()), USUAL) == ()
    assert spans(paced(1.0), USUAL) == (SHORTEST, DAY)
    assert spans(paced(300.0), USUAL) == (HOUR, DAY)
    assert spans(paced(10_000.0), USUAL) == (DAY, DAY)


# In a house


class Asker:
    """Somebody who asks for pictures without a pause, on a machine that takes a minute for each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        #: The lanes of what was made, in order.
        self.made: list[Lane] = []

    async def asks(self) -> None:
        record = await glenys(self.engine)
        request = await self.engine.imagining.compose(record, Wish("at sea", seed=1))
        put = partial(
            self.engine.imagining.put_in_line,
            request=request,
            persona_id=record.id,
            person=None,
            fair_owner="person:1",
        )
        await self.engine.database.change(put)

    async def passes(self, span: timedelta = MINUTE) -> None:
        """The next picture of the line is made."""
        engine = self.engine
        async with engine.database.write() as tx:
            first = select(queue_entries.c.job_id).order_by(queue_entries.c.rank, queue_entries.c.job_id)
            job_id = (await tx.execute(first.limit(1))).scalar_one()
            job = await jobs.begin(tx, job_id, engine.clock.now())
            assert job is not None
            await tx.execute(delete(queue_entries).where(queue_entries.c.job_id == job_id))
        at(engine, engine.clock.now() + span)
        async with engine.database.write() as tx:
            await tx.execute(insert(pictures).values(_row(job, span, engine.clock.now())))
            await jobs.end(tx, job_id, JobState.DONE, engine.clock.now())
        self.made.append(job.lane)
        if job.lane is Lane.INTERACTIVE:
            await self.asks()


def _row(job: Job, span: timedelta, now: object) -> dict[str, object]:
    asked = job.request
    told = {name: getattr(asked, name) for name in ("scene", "prompt", "negative", "style", "word_count")}
    size = {name: getattr(asked, name) for name in ("seed", "width", "height", "steps", "guidance")}
    return {
        **told,
        **size,
        "job_id": job.id,
        "persona_id": job.persona_id,
        "number": 1,
        "file": f"{job.id}.png",
        "source": asked.source.value,
        "rating": asked.rating.value,
        "model": "model",
        "device": "cpu",
        "seconds": span.total_seconds(),
        "stand_in": False,
        "created_at": now,
    }


@pytest.fixture
async def asker(engine: Engine) -> Asker:
    """They have made a few, and there are always three more."""
    asker = Asker(engine)
    for _ in range(3):
        await asker.asks()
    for _ in range(10):
        await asker.passes()
    return asker


async def test_a_post_has_its_picture_in_time_behind_a_line_that_never_ends(
    engine: Engine, asker: Asker
) -> None:
    await scheduled(engine, picture=True)
    loop = engine.posting.publishing
    while engine.clock.now() < NINE:
        await loop.round()
        await loop.make()
        await asker.passes()
    at(engine, NINE)
    await loop.round()
    await loop.round()
    post = await only_post(engine)
    assert (post.state, post.error) == (PostState.PUBLISHED, "")
    (shown,) = await owed(engine)
    assert shown.job_id == post.job_id is not None
    theirs = [lane for lane in asker.made if lane is not Lane.INTERACTIVE]
    assert theirs == [Lane.EVENTS], "whoever asks goes on being served"


async def test_what_has_time_stands_in_the_lane_of_what_is_scheduled(engine: Engine, asker: Asker) -> None:
    needed = (await engine.database.look(partial(look, work=USUAL, now=engine.clock.now()))).scheduled
    assert needed is not None
    assert needed > timedelta(hours=16), "a thousand pictures of theirs may go first"
    await scheduled(engine, "once 2026-03-02 06:00", picture=True, ahead=86_400)
    await engine.posting.publishing.round()
    await engine.posting.publishing.make()
    job = await engine.database.look(partial(jobs.get, job_id=(await only_post(engine)).job_id or 0))
    assert job.lane is Lane.SCHEDULED


async def test_words_alone_are_begun_as_late_as_ever(engine: Engine, asker: Asker) -> None:
    needed = (await engine.database.look(partial(look, work=USUAL, now=engine.clock.now()))).needed
    assert needed > timedelta(minutes=100)
    await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=61))
    assert await engine.posting.posts() == []
    await until(engine, NINE - timedelta(minutes=60))
    assert len(await engine.posting.posts()) == 1


async def test_a_slow_machine_that_was_left_alone_for_a_day_begins_a_post_at_its_usual_time(
    engine: Engine, asker: Asker
) -> None:
    """Whoever asked without a pause has gone; their last pictures are made."""
    looked = partial(look, work=USUAL, now=engine.clock.now())
    busy = await engine.database.look(looked)
    async with engine.database.write() as tx:
        await tx.execute(delete(queue_entries))
        for job in await jobs.unfinished(tx):
            await jobs.end(tx, job.id, JobState.CANCELLED, engine.clock.now())
    at(engine, engine.clock.now() + timedelta(hours=25))
    quiet = await engine.database.look(partial(look, work=USUAL, now=engine.clock.now()))
    assert busy.needed > 100 * MINUTE
    assert MINUTE < quiet.needed < 5 * MINUTE
    assert quiet.scheduled is not None
    assert quiet.scheduled > 16 * HOUR, "where it stands is not left to chance"
