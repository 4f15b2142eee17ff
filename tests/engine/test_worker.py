"""The hands of the picture queue: every job comes to an end that is written down, once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any
from zlib import crc32

import pytest
from PIL import Image

from engine.engine import Engine
from engine.errors import RenderFailed, StoreError, TryAgain
from engine.events import Event
from engine.imagining import Wish
from engine.pictures import Claim, Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.previews import EVERY_SECONDS, SIDE
from engine.settings import Settings
from engine.store import chats, forgetting, jobs, outbox, people, personas, pictures
from engine.store.records import Account, ChatRef, DeliveryKind, Job, JobState, Picture
from engine.testing import FakeLanguage, FakeRenderer, ManualClock

ROOM = ChatRef("stage", "one", "room")
NEVER_STOPPED = Claim(1, 1, lambda: False)


class Moody(FakeRenderer):
    """Does what the test says at each rendering, before it renders."""

    def __init__(self) -> None:
        super().__init__()
        self.moods: list[Callable[[], None]] = []
        self.threads: set[str] = set()
        self.closed = threading.Event()
        self.step_seconds = 0.0
        #: Done on the picture thread before each step is told.
        self.at_step: Callable[[], object] = lambda: None
        #: The seed of a picture that cannot be made, and why.
        self.cannot: tuple[int, Exception] | None = None
        self.looks = 0
        self.blinks = False

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        self.threads.add(threading.current_thread().name)
        if self.moods:
            self.moods.pop(0)()
        if self.cannot and self.cannot[0] in [one.seed for one in wanted]:
            self.passes.append([one.seed for one in wanted])
            raise self.cannot[1]

        def slowly(step: int, steps: int, preview: Preview | None = None) -> None:
            assert isinstance(preview, Looks)
            time.sleep(self.step_seconds)
            self.at_step()
            looks = {place: partial(self.looked, look) for place, look in preview.each.items()}
            progress(step, steps, Looks(looks))

        return super().render(wanted, slowly)

    def looked(self, look: Preview) -> Image.Image:
        self.looks += 1
        if self.blinks:
            raise ValueError("a lash in the eye")
        return look().resize((SIDE * 2, SIDE))

    def close(self) -> None:
        self.closed.set()


def raising(error: Exception) -> Callable[[], None]:
    def mood() -> None:
        raise error

    return mood


@pytest.fixture
def renderer() -> Moody:
    return Moody()


async def ask(
    engine: Engine,
    *,
    count: int = 1,
    chat: bool = True,
    seed: int = 7,
    who: Account | None = None,
    parent: int | None = None,
    **changes: Any,
) -> Job:
    async with engine.database.read() as tx:
        record = await personas.find(tx, "glenys")
    request = await engine.imagining.compose(record, Wish("by the sea", count=count, seed=seed, style="noir"))
    request = replace(request, **changes)
    async with engine.database.write() as tx:
        place = await chats.add_place(tx, ROOM, persona_id=record.id, now=engine.clock.now())
        person = await people.add_person(tx, who, now=engine.clock.now()) if who else None
        accepted = await engine.imagining.put_in_line(
            tx,
            request,
            persona_id=record.id,
            person=person,
            chat_id=place.id if chat else None,
            parent_picture_id=parent,
        )
    engine.imagining.nudge()
    return accepted.job


@asynccontextmanager
async def working(engine: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(engine.work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def told(engine: Engine, job_id: int) -> tuple[Job, list[Picture]]:
    async with engine.database.read() as tx:
        return await jobs.get(tx, job_id), (await pictures.of_jobs(tx, [job_id])).get(job_id, [])


async def ended(engine: Engine, job_id: int) -> tuple[Job, list[Picture]]:
    async with asyncio.timeout(5):
        while not (found := await told(engine, job_id))[0].state.ended:
            await asyncio.sleep(0.005)
            if isinstance(engine.clock, ManualClock):
                await engine.clock.advance(0.5)  # pauses between two tries pass quickly
    return found


async def owed(engine: Engine) -> list[tuple[DeliveryKind, str]]:
    async with engine.database.write() as tx:
        rows = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    return [(row.kind, row.text) for row in rows]


async def test_a_job_becomes_pictures_files_and_a_delivery(engine: Engine) -> None:
    job = await ask(engine, count=3)
    async with working(engine):
        done, made = await ended(engine, job.id)
    assert (done.state, done.error, done.attempts) == (JobState.DONE, "", 1)
    assert [picture.number for picture in made] == [1, 2, 3]
    assert [picture.seed for picture in made] == [7, 8, 9]
    assert await owed(engine) == [(DeliveryKind.PICTURE, "")]
    for picture in made:
        with Image.open(BytesIO(await engine.files.get(picture.file))) as image:
            assert image.size == (picture.width, picture.height) == (64, 64)
        assert picture.file.startswith("pictures/glenys-prosser/")
        assert (picture.scene, picture.style, picture.model) == ("by the sea", "noir", "fake")
        assert 100 <= picture.word_count <= 200


async def test_nobody_is_told_where_nobody_asked_in_a_chat(engine: Engine) -> None:
    job = await ask(engine, chat=False)
    async with working(engine):
        assert (await ended(engine, job.id))[0].state is JobState.DONE
    assert await owed(engine) == []


async def test_one_thread_makes_all_the_pictures(engine: Engine, renderer: Moody) -> None:
    asked = [await ask(engine, seed=seed) for seed in range(6)]
    async with working(engine):
        for job in asked:
            await ended(engine, job.id)
    assert len(renderer.threads) == 1
    assert renderer.threads.pop().startswith("pictures")
    assert await asyncio.to_thread(renderer.closed.wait, 2)


async def test_watchers_hear_of_every_step_over_all_pictures(engine: Engine) -> None:
    job = await ask(engine, count=2)
    heard: list[Event] = []
    with engine.events.watch() as watch:
        async with working(engine):
            async for event in watch:
                heard.append(event)
                if event.name == "job.ended":
                    break
    steps = [(event.about["step"], event.about["steps"]) for event in heard if event.name == "job.step"]
    assert steps == [(step, 6) for step in range(1, 7)]
    assert heard[0].name == "job.started"
    assert heard[-1].about == {"job": job.id, "chat_id": job.chat_id, "state": "done"}


# A look at a picture in the making


@asynccontextmanager
async def stepwise(engine: Engine, renderer: Moody) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """While it lasts, a picture is made a step at a time: what is given makes one, and waits for its news."""
    may = threading.Semaphore(0)
    renderer.at_step = lambda: may.acquire(timeout=5)
    with engine.events.watch(lambda event: event.name == "job.step") as told:
        steps = aiter(told)

        async def step() -> None:
            may.release()
            await anext(steps)

        async with working(engine):
            try:
                yield step
            finally:
                may.release(100)


async def seen(engine: Engine, job: Job) -> bytes:
    """What is encoded elsewhere is there a moment later."""
    jpeg = b""
    async with asyncio.timeout(5):
        while not jpeg:
            await asyncio.sleep(0.005)
            jpeg = engine.worker.preview(job.id)
    return jpeg


async def test_where_nobody_looks_nothing_is_shown(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine, count=2)
    async with working(engine):
        await ended(engine, job.id)
    assert renderer.looks == 0
    assert engine.worker.preview(job.id) == b""


async def test_who_asks_sees_the_picture_after_the_next_step(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine)
    async with stepwise(engine, renderer) as step:
        await step()
        assert engine.worker.preview(job.id) == b"", "nobody had asked before this step"
        await step()
        with Image.open(BytesIO(await seen(engine, job))) as image:
            assert image.format == "JPEG"
            assert max(image.size) == SIDE
    assert engine.worker.preview(job.id) == b"", "and when it is over there is a real one"


async def test_looks_are_taken_no_faster_than_they_can_be_shown(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine, count=3)
    assert isinstance(engine.clock, ManualClock)
    async with stepwise(engine, renderer) as step:
        await step()
        for _ in range(3):
            engine.worker.preview(job.id)
            await step()
        assert renderer.looks == 1
        await engine.clock.advance(EVERY_SECONDS)
        engine.worker.preview(job.id)
        await step()
        assert renderer.looks == 2


async def test_a_look_that_fails_costs_nobody_the_picture(engine: Engine, renderer: Moody) -> None:
    renderer.blinks = True
    job = await ask(engine)
    async with stepwise(engine, renderer) as step:
        await step()
        engine.worker.preview(job.id)
        await step()
        await step()
        done, _ = await ended(engine, job.id)
    assert done.state is JobState.DONE


@pytest.mark.parametrize("error", [RenderFailed("the sky fell"), StoreError("the disk is full")])
async def test_a_failure_is_told_in_its_own_words(engine: Engine, renderer: Moody, error: Exception) -> None:
    renderer.moods = [raising(error)]
    job = await ask(engine)
    async with working(engine):
        failed, made = await ended(engine, job.id)
    assert (failed.state, failed.error, made) == (JobState.FAILED, str(error), [])
    [(kind, words)] = await owed(engine)
    assert kind is DeliveryKind.NOTICE
    assert f"#{job.id}" in words
    assert str(error) in words


@pytest.mark.parametrize("error", [TryAgain("the GPU is busy"), ValueError("a mistake of ours")])
async def test_passing_trouble_is_tried_again(engine: Engine, renderer: Moody, error: Exception) -> None:
    renderer.moods = [raising(error)]
    job = await ask(engine)
    async with working(engine):
        done, made = await ended(engine, job.id)
    assert (done.state, done.attempts, len(made)) == (JobState.DONE, 2, 1)


async def test_trouble_that_does_not_pass_ends_after_three_tries(engine: Engine, renderer: Moody) -> None:
    renderer.moods = [raising(ValueError("secret inside"))] * 9
    job = await ask(engine)
    async with working(engine):
        failed, _ = await ended(engine, job.id)
    assert (failed.state, failed.attempts) == (JobState.FAILED, 3)
    assert "secret" not in failed.error
    assert len(await owed(engine)) == 1


@pytest.mark.parametrize(
    ("spoken", "words"),
    [
        ("de-AT", "Es ist mehrmals misslungen; warum, steht im Log."),
        ("tlh", "It failed several times; the log says why."),
        ("", "It failed several times; the log says why."),
    ],
)
async def test_a_failure_is_told_in_the_language_of_whoever_asked(
    engine: Engine, renderer: Moody, spoken: str, words: str
) -> None:
    renderer.moods = [raising(ValueError("a mistake of ours"))] * 3
    job = await ask(engine, who=Account("stage", "ana", "Ana", language=spoken))
    async with working(engine):
        failed, _ = await ended(engine, job.id)
    assert failed.error == "It failed several times; the log says why.", "rows are in English"
    [(_, told)] = await owed(engine)
    assert told.startswith(("Aus Bild #", "Picture #"))
    assert told.endswith(words)


async def test_a_job_that_ended_the_process_each_time_is_not_tried_again(engine: Engine) -> None:
    job = await ask(engine)
    await engine.worker.work(Claim(job.id, 4, lambda: False))
    failed, _ = await told(engine, job.id)
    assert (failed.state, "ended each time" in failed.error) == (JobState.FAILED, True)


async def test_a_job_that_is_handed_out_twice_is_done_once(engine: Engine, renderer: Moody) -> None:
    job = await ask(engine)
    async with working(engine):
        await ended(engine, job.id)
    await engine.worker.work(Claim(job.id, 1, lambda: False))
    _, made = await told(engine, job.id)
    assert (len(made), len(renderer.rendered)) == (1, 1)
    assert len(await owed(engine)) == 1


async def test_a_cancelled_job_stops_at_its_next_step(engine: Engine, renderer: Moody) -> None:
    renderer.step_seconds = 0.05
    job = await ask(engine, count=4)
    behind = await ask(engine)
    with engine.events.watch(lambda event: event.name == "job.step") as steps:
        async with working(engine):
            async for _ in steps:
                break
            assert (await engine.imagining.cancel(job.id)).state is JobState.CANCELLED
            assert (await ended(engine, behind.id))[0].state is JobState.DONE
    cancelled, made = await told(engine, job.id)
    assert (cancelled.state, made) == (JobState.CANCELLED, [])
    assert await owed(engine) == [(DeliveryKind.PICTURE, "")], "only the other one is shown"


async def test_a_job_between_two_tries_can_be_cancelled(engine: Engine, renderer: Moody) -> None:
    renderer.moods = [raising(TryAgain("the GPU is busy"))] * 9
    job = await ask(engine)
    async with working(engine):
        async with asyncio.timeout(5):
            while await engine.imagining.ahead_of(job.id) is None or renderer.moods[8:]:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await engine.imagining.cancel(job.id)
        await asyncio.sleep(0.02)
    cancelled, _ = await told(engine, job.id)
    assert cancelled.state is JobState.CANCELLED
    assert await engine.imagining.ahead_of(job.id) is None


async def test_a_persona_that_left_fails_its_pictures_with_a_word(engine: Engine) -> None:
    job = await ask(engine)
    assert job.persona_id is not None
    async with engine.database.write() as tx:
        await personas.delete(tx, job.persona_id, now=engine.clock.now())
    async with working(engine):
        failed, _ = await ended(engine, job.id)
    assert (failed.state, "no longer here" in failed.error) == (JobState.FAILED, True)


async def test_a_stop_gives_back_what_was_not_finished(settings: Settings, renderer: Moody) -> None:
    renderer.step_seconds = 0.5
    settings = settings.model_copy(update={"pictures": settings.pictures.model_copy(update={"steps": 100})})
    async with Engine.open(settings, models=[FakeLanguage()], renderer=renderer) as engine:
        job = await ask(engine)
        work = asyncio.create_task(engine.work())
        with engine.events.watch(lambda event: event.name == "job.step") as steps:
            async for _ in steps:
                break
        work.cancel()
        await asyncio.sleep(0.05)
        work.cancel()  # no grace
        with suppress(asyncio.CancelledError):
            await work
        assert (await told(engine, job.id))[0].state is JobState.RUNNING
        assert await engine.imagining.ahead_of(job.id) == 0
    renderer.step_seconds = 0.0
    async with (
        Engine.open(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as engine,
        working(engine),
    ):
        done, made = await ended(engine, job.id)
    assert (done.state, len(made)) == (JobState.DONE, 1)


async def test_an_outcome_waits_for_the_store_to_be_well_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, troubles = jobs.end, [StoreError("the disk is full")] * 3

    async def full(*args: object, **more: object) -> bool:
        if troubles:
            raise troubles.pop()
        return await end(*args, **more)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(jobs, "end", full)
    job = await ask(engine)
    async with working(engine):
        done, made = await ended(engine, job.id)
    assert (done.state, len(made), troubles) == (JobState.DONE, 1, [])
    assert await owed(engine) == [(DeliveryKind.PICTURE, "")]


# Several people's pictures in one pass


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
        assert self._may.acquire(timeout=5)
        self.steps += 1


async def seen_to(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
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
    asked = [await ask(engine, seed=seed, who=who) for seed, who in people_with(10, 20)]
    async with working(engine):
        await seen_to(lambda: len(renderer.rendered) == 2)
        assert {(await told(engine, job.id))[0].state for job in asked} == {JobState.RUNNING}
        stored.set()
        for job in asked:
            await ended(engine, job.id)
    assert renderer.passes == [[10], [20]]


async def test_who_is_cancelled_in_a_shared_pass_leaves_at_once_and_the_others_go_on(
    busy: Engine, renderer: Moody
) -> None:
    with steps_told(busy) as told_to:
        async with gathered(busy, renderer, three(busy)) as (gate, asked):
            gate.let(1)
            await seen_to(lambda: all(job.id in told_to for job in asked))
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
    with steps_told(busy) as told_to:
        async with gathered(busy, renderer, three(busy)) as (gate, asked):
            gate.let(1)
            await seen_to(lambda: all(job.id in told_to for job in asked))
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
        assert await asyncio.to_thread(renderer.closed.wait, 5), "the thread lets go at its next step"
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


# Pictures that begin from another one


async def upscaled(engine: Engine, parent: int | None, **more: Any) -> Job:
    return await ask(engine, parent=parent, seed=90, strength=0.3, width=128, height=128, **more)


async def test_a_picture_begins_from_its_parent(engine: Engine, renderer: Moody) -> None:
    first = await ask(engine, seed=200)
    async with working(engine):
        _, [parent] = await ended(engine, first.id)
        job = await upscaled(engine, parent.id, count=2)
        done, made = await ended(engine, job.id)
    assert done.state is JobState.DONE
    assert [(one.parent_id, one.width, one.height) for one in made] == [(parent.id, 128, 128)] * 2
    for wanted in renderer.rendered[1:]:
        assert wanted.strength == 0.3
        assert wanted.start is not None
        assert (wanted.start.size, wanted.start.getpixel((0, 0))) == ((64, 64), (200, 0, 0))
    assert renderer.rendered[0].start is None


async def test_a_parent_alone_is_no_reason_to_begin_from_it(engine: Engine, renderer: Moody) -> None:
    first = await ask(engine)
    async with working(engine):
        _, [parent] = await ended(engine, first.id)
        again = await ask(engine, parent=parent.id)
        _, [made] = await ended(engine, again.id)
    assert made.parent_id == parent.id
    assert renderer.rendered[-1].start is None


def a_png_that_says_it_is(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + crc32(kind + data).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


TRUNCATED = BytesIO()
Image.effect_noise((64, 64), 50).save(TRUNCATED, "PNG")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "cannot be read"),
        (b"<html>not here</html>", "cannot be read"),
        (TRUNCATED.getvalue()[:500], "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read"),
        (a_png_that_says_it_is(64, 64), "cannot be read"),
        (a_png_that_says_it_is(8_100, 8_100), "more than 64 megapixels"),
        (a_png_that_says_it_is(10_000, 10_000), "more than 64 megapixels"),
        (a_png_that_says_it_is(60_000, 60_000), "more than 64 megapixels"),
        (None, "no longer here"),
    ],
)
async def test_a_parent_that_cannot_be_begun_from_is_an_answer(
    engine: Engine, renderer: Moody, file: bytes | None, words: str
) -> None:
    first = await ask(engine)
    async with working(engine):
        _, [parent] = await ended(engine, first.id)
        await engine.files.delete(parent.file)
        if file is not None:
            await engine.files.put(parent.file, file)
        failed, _ = await ended(engine, (await upscaled(engine, parent.id)).id)
        behind = await ask(engine)
        assert (await ended(engine, behind.id))[0].state is JobState.DONE, "and the queue goes on"
    assert (failed.state, words in failed.error, failed.attempts) == (JobState.FAILED, True, 1)
    assert len(renderer.rendered) == 2


async def test_a_parent_that_was_deleted_is_said_to_be_gone_in_the_language_of_whoever_asked(
    engine: Engine,
) -> None:
    ana = Account("stage", "ana", "Ana", language="de")
    first = await ask(engine)
    async with working(engine):
        _, [parent] = await ended(engine, first.id)
        async with engine.database.write() as tx:
            await forgetting.delete_pictures(tx, first.id, now=engine.clock.now())
        failed, _ = await ended(engine, (await upscaled(engine, parent.id, who=ana)).id)
    assert failed.error == "The picture that it was to begin from is no longer here."
    assert "nicht mehr da" in (await owed(engine))[-1][1]
    assert JobState.FAILED is failed.state


async def test_without_a_parent_there_is_nothing_to_begin_from(engine: Engine) -> None:
    async with working(engine):
        failed, _ = await ended(engine, (await upscaled(engine, None)).id)
    assert (failed.state, "no longer here" in failed.error) == (JobState.FAILED, True)
