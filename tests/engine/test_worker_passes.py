"""Several people's pictures in one pass: who goes with whom, and who fails, leaves or is stopped alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from engine.engine import Engine
from engine.errors import RenderFailed, TryAgain
from engine.events import Event
from engine.settings import Settings
from engine.store.records import Account, DeliveryKind, Job, JobState
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.engine.moody import (  # noqa: F401 - fixtures
    Moody,
    ask,
    ended,
    moody_renderer,
    owed,
    seen,
    told,
)
from tests.working import working


@pytest.fixture
def many_hands(settings: Settings) -> Settings:
    return settings.model_copy(update={"pictures": settings.pictures.model_copy(update={"concurrency": 6})})


@pytest.fixture
async def busy(many_hands: Settings, renderer: Moody) -> AsyncIterator[Engine]:
    """A house that has six jobs in work at once."""
    async with Engine.open(
        many_hands, models=[FakeLanguage()], renderer=renderer, clock=ManualClock()
    ) as opened:
        yield opened


class Gate:
    """Steps are made one by one, by whoever lets them."""

    def __init__(self, renderer: Moody) -> None:
        self._may = threading.Semaphore(0)
        self.steps = 0
        renderer.at_step = self._through

    def let(self, steps: int) -> None:
        self._may.release(steps)

    def open(self) -> None:
        self.let(1_000)

    def _through(self) -> None:
        assert self._may.acquire(timeout=30)
        self.steps += 1


async def seen_to(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - what is waited for happens on the picture thread
            await asyncio.sleep(0.002)


@asynccontextmanager
async def gathered(
    engine: Engine, renderer: Moody, ask_for: Callable[[], Awaitable[list[Job]]]
) -> AsyncIterator[tuple[Gate, list[Job]]]:
    """What is asked for lies on the table, and its first pass has begun and waits before its first step."""
    gate = Gate(renderer)
    async with working(engine):
        try:
            before = await ask(engine, seed=1, width=128, chat=False)
            await seen_to(lambda: renderer.passes == [[1]])
            asked = await ask_for()
            laid = sorted([before.id, *(job.id for job in asked)])
            await seen_to(lambda: sorted(engine.worker.in_hand) == laid)
            gate.let(3)
            await seen_to(lambda: len(renderer.passes) > 1)
            renderer.passes.pop(0)
            yield gate, asked
        finally:
            gate.open()


def people_with(*seeds: int) -> list[tuple[int, Account]]:
    return [(seed, Account("stage", f"p{seed}", f"Person {seed}")) for seed in seeds]


def three(engine: Engine, **changes: Any) -> Callable[[], Awaitable[list[Job]]]:
    async def ask_for() -> list[Job]:
        return [await ask(engine, seed=seed, who=who, **changes) for seed, who in people_with(10, 20, 30)]

    return ask_for


@contextmanager
def steps_told(engine: Engine) -> Iterator[dict[int, list[tuple[int, int]]]]:
    """Which steps each job is told, of how many."""
    told: dict[int, list[tuple[int, int]]] = {}

    def note(event: Event) -> bool:
        if event.name == "job.step":
            told.setdefault(event.about["job"], []).append((event.about["step"], event.about["steps"]))
        return False

    with engine.events.watch(note):
        yield told


@asynccontextmanager
async def under_way(
    engine: Engine, renderer: Moody
) -> AsyncIterator[tuple[Gate, list[Job], dict[int, list[tuple[int, int]]]]]:
    """A pass of three whose first step is made and told to each of them."""
    with steps_told(engine) as told_to:
        async with gathered(engine, renderer, three(engine)) as (gate, asked):
            gate.let(1)
            await seen_to(lambda: all(job.id in told_to for job in asked))
            yield gate, asked, told_to


async def test_pictures_of_three_people_go_through_in_one_pass_each_with_its_own_seed(
    busy: Engine, renderer: Moody
) -> None:
    with steps_told(busy) as told_to:
        async with gathered(busy, renderer, three(busy)) as (gate, asked):
            gate.open()
            found = [await ended(busy, job.id) for job in asked]
    assert renderer.passes == [[10, 20, 30]]
    assert [(job.state, job.attempts) for job, _ in found] == [(JobState.DONE, 1)] * 3
    for seed, (job, [picture]) in zip((10, 20, 30), found, strict=True):
        assert (picture.seed, picture.number, picture.batch_size) == (seed, 1, 3)
        with Image.open(BytesIO(await busy.files.get(picture.file))) as image:
            assert image.getpixel((0, 0)) == (seed, 0, 0)
        assert told_to[job.id] == [(step, 9) for step in range(1, 10)]
    assert len({picture.seconds for _, [picture] in found}) == 1, "each has its share of the pass"
    assert len(await owed(busy)) == 3


async def test_what_does_not_go_together_goes_apart_and_nobody_is_left(busy: Engine, renderer: Moody) -> None:
    async def ask_for() -> list[Job]:
        sizes = {10: 64, 20: 96, 30: 64, 40: 96}
        return [
            await ask(busy, seed=seed, who=who, width=sizes[seed])
            for seed, who in people_with(10, 20, 30, 40)
        ]

    async with gathered(busy, renderer, ask_for) as (gate, asked):
        gate.open()
        found = [await ended(busy, job.id) for job in asked]
    assert renderer.passes == [[10, 30], [20, 40]]
    assert [(made[0].width, made[0].batch_size) for _, made in found] == [(64, 2), (96, 2), (64, 2), (96, 2)]


async def test_an_order_of_several_pictures_may_take_several_passes(busy: Engine, renderer: Moody) -> None:
    async def ask_for() -> list[Job]:
        return [await ask(busy, seed=seed, who=who, count=3) for seed, who in people_with(10, 20)]

    with steps_told(busy) as told_to:
        async with gathered(busy, renderer, ask_for) as (gate, [first, second]):
            gate.open()
            (done, made), (also_done, others) = [await ended(busy, job.id) for job in (first, second)]
    assert renderer.passes == [[10, 11, 12, 20], [21, 22]]
    assert (done.state, also_done.state) == (JobState.DONE, JobState.DONE)
    assert [(one.number, one.seed, one.batch_size) for one in made] == [(1, 10, 4), (2, 11, 4), (3, 12, 4)]
    assert [(one.number, one.seed, one.batch_size) for one in others] == [(1, 20, 4), (2, 21, 2), (3, 22, 2)]
    for job in (first, second):
        steps = told_to[job.id]
        assert len({total for _, total in steps}) == 1
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


async def test_with_two_hands_one_stays_free_to_encode_while_the_other_renders(
    engine: Engine, renderer: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, put = asyncio.Event(), engine.files.put

    async def slowly(key: str, data: bytes) -> None:
        await stored.wait()
        await put(key, data)

    monkeypatch.setattr(engine.files, "put", slowly)
    (seed, who), (other_seed, other) = people_with(10, 20)
    asked = [await ask(engine, seed=seed, who=who)]
    async with working(engine):
        await seen_to(lambda: renderer.passes == [[10]])
        asked.append(await ask(engine, seed=other_seed, who=other))
        await seen_to(lambda: len(renderer.rendered) == 2)
        assert {(await told(engine, job.id))[0].state for job in asked} == {JobState.RUNNING}
        stored.set()
        for job in asked:
            await ended(engine, job.id)
    assert renderer.passes == [[10], [20]]


async def test_who_is_cancelled_in_a_shared_pass_leaves_at_once_and_the_others_go_on(
    busy: Engine, renderer: Moody
) -> None:
    async with under_way(busy, renderer) as (gate, asked, told_to):
        await busy.imagining.cancel(asked[1].id)
        gate.let(1)
        await seen_to(lambda: busy.worker.in_hand == (asked[0].id, asked[2].id))
        assert renderer.rendered[-1].seed == 1, "the pass is still under way"
        gate.open()
        found = [await ended(busy, job.id) for job in asked]
    assert [job.state for job, _ in found] == [JobState.DONE, JobState.CANCELLED, JobState.DONE]
    assert [[one.seed for one in made] for _, made in found] == [[10], [], [30]]
    assert [len(told_to[job.id]) for job in asked] == [9, 1, 9]
    assert len(await owed(busy)) == 2
    assert renderer.passes == [[10, 20, 30]]


async def test_a_pass_that_nobody_waits_for_any_more_ends_at_its_next_step(
    busy: Engine, renderer: Moody
) -> None:
    async with under_way(busy, renderer) as (gate, asked, _):
        for job in asked:
            await busy.imagining.cancel(job.id)
        gate.open()
        await seen_to(lambda: busy.worker.in_hand == ())
        behind = await ask(busy, seed=40)
        assert (await ended(busy, behind.id))[0].state is JobState.DONE
    assert gate.steps == 3 + 2 + 3, "those before, the pass, and the one behind it"
    assert [one.seed for one in renderer.rendered] == [1, 40]


async def test_who_is_cancelled_while_others_are_rendered_is_not_rendered(
    busy: Engine, renderer: Moody
) -> None:
    async def ask_for() -> list[Job]:
        return [await ask(busy, seed=seed, width=width) for seed, width in ((10, 64), (20, 96))]

    async with gathered(busy, renderer, ask_for) as (gate, [first, waits]):
        await busy.imagining.cancel(waits.id)
        gate.let(1)
        await seen_to(lambda: busy.worker.in_hand == (first.id,))
        gate.open()
        await ended(busy, first.id)
    assert renderer.passes == [[10]]


@pytest.mark.parametrize("error", [RenderFailed("no such colour"), ValueError("a mistake of ours")])
async def test_one_that_fails_among_three_fails_alone(
    busy: Engine, renderer: Moody, error: Exception
) -> None:
    renderer.cannot = (20, error)
    async with gathered(busy, renderer, three(busy)) as (gate, asked):
        gate.open()
        found = [await ended(busy, job.id) for job in asked]
    assert [job.state for job, _ in found] == [JobState.DONE, JobState.FAILED, JobState.DONE]
    assert [job.attempts for job, _ in found][::2] == [1, 1], "the others were not tried again"
    assert renderer.passes[:4] == [[10, 20, 30], [10], [20], [30]]
    assert [[one.batch_size for one in made] for _, made in found] == [[1], [], [1]]
    kinds = sorted(kind for kind, _ in await owed(busy))
    assert kinds == sorted([DeliveryKind.PICTURE, DeliveryKind.NOTICE, DeliveryKind.PICTURE])


async def test_trouble_that_passes_is_no_reason_to_take_a_pass_apart(busy: Engine, renderer: Moody) -> None:
    renderer.cannot = (20, TryAgain("the GPU is busy"))
    async with gathered(busy, renderer, three(busy)) as (gate, asked):
        await seen_to(lambda: busy.worker.in_hand == ())
        renderer.cannot = None
        gate.open()
        found = [await ended(busy, job.id) for job in asked]
    assert [(job.state, job.attempts) for job, _ in found] == [(JobState.DONE, 2)] * 3
    assert renderer.passes[0] == [10, 20, 30]


async def test_each_of_those_who_share_a_pass_sees_their_own_picture_grow(
    busy: Engine, renderer: Moody
) -> None:
    async with gathered(busy, renderer, three(busy)) as (gate, asked):
        for job in asked[1:]:
            assert busy.worker.preview(job.id) == b"", "nobody had asked before"
        gate.let(1)
        looks = [await seen(busy, job) for job in asked[1:]]
        # Whoever did not ask cost nothing, and who asks again at once costs nothing more.
        assert renderer.looks == 2
        for job in asked[1:]:
            busy.worker.preview(job.id)
        steps = gate.steps
        gate.let(2)
        await seen_to(lambda: gate.steps == steps + 2)
        assert renderer.looks == 2
    for seed, jpeg in zip((20, 30), looks, strict=True):
        with Image.open(BytesIO(jpeg)) as image:
            colour = image.getpixel((0, 0))
            assert isinstance(colour, tuple)
            assert abs(colour[0] - seed) <= 4
    assert busy.worker.preview(asked[0].id) == b""


async def test_a_stop_in_the_middle_of_a_shared_pass_gives_all_of_it_back(
    many_hands: Settings, renderer: Moody
) -> None:
    gate = Gate(renderer)
    async with Engine.open(many_hands, models=[FakeLanguage()], renderer=renderer) as engine:
        before = await ask(engine, seed=1, width=128)
        work = asyncio.create_task(engine.work())
        await seen_to(lambda: renderer.passes == [[1]])
        asked = await three(engine)()
        await seen_to(lambda: len(engine.worker.in_hand) == 4)
        gate.let(4)
        await ended(engine, before.id)
        await seen_to(lambda: len(renderer.passes) == 2)
        work.cancel()
        await asyncio.sleep(0.05)
        work.cancel()  # no grace
        with suppress(asyncio.CancelledError):
            await work
        gate.open()
        assert await asyncio.to_thread(renderer.closed.wait, 30), "the thread lets go at its next step"
        assert gate.steps <= 3 + 2
        for place, job in enumerate(asked):
            assert (await told(engine, job.id))[0].state is JobState.RUNNING
            assert await engine.imagining.ahead_of(job.id) == place
    assert renderer.passes == [[1], [10, 20, 30]]
    async with (
        Engine.open(many_hands, models=[FakeLanguage()], renderer=FakeRenderer()) as engine,
        working(engine),
    ):
        found = [await ended(engine, job.id) for job in asked]
    assert [(job.state, len(made)) for job, made in found] == [(JobState.DONE, 1)] * 3
