"""A picture in the making, as its message shows it: only the latest word, one at a time, none after the picture."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from io import BytesIO

import pytest
from PIL import Image

from bot import progress as progress_module
from bot.front import ChatRef, Draft, FrontDesk, Outgoing, Progress
from bot.progress import LINE_SECONDS, STEP_SECONDS, Easels
from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures import PictureWanted, Preview, Rendered
from engine.pictures import Progress as Told
from engine.store import chats, jobs, messages, outbox, people, personas
from engine.store.records import Account, DeliveryKind, Incoming, Job, JobState
from engine.testing import FakeRenderer, ManualClock

ROOM = ChatRef("stage", "one", "room")


class Stage:
    """A front that keeps what its messages say; a change takes until it is let through."""

    name = "stage"
    account = "one"
    recognises_repeats = True

    def __init__(self, *, keeps_messages: bool = True) -> None:
        self.keeps_messages = keeps_messages
        self.told: list[Progress] = []
        self.may = asyncio.Event()
        self.may.set()
        self.busy = 0
        self.busiest = 0
        self.errors: list[Exception] = []

    async def progress(self, progress: Progress) -> None:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            await self.may.wait()
            if self.errors:
                raise self.errors.pop(0)
            self.told.append(progress)
        finally:
            self.busy -= 1

    async def run(self, desk: FrontDesk) -> None: ...

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        return ()

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        return ()

    async def tell(self, incoming: Incoming, text: str) -> None: ...

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        return False


class Painter(FakeRenderer):
    """Makes a step when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Semaphore(0)

    def render(self, wanted: Sequence[PictureWanted], progress: Told) -> list[Rendered]:
        def when_it_may(step: int, steps: int, preview: Preview | None = None) -> None:
            self.may.acquire(timeout=5)
            progress(step, steps, preview)

        return super().render(wanted, when_it_may)


@pytest.fixture
def renderer() -> Painter:
    return Painter()


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def easels(engine: Engine, stage: Stage) -> Easels:
    return Easels(engine, [stage])


async def ask(
    engine: Engine,
    *,
    ref: ChatRef = ROOM,
    message: str = "m1",
    who: str = "ana",
    language: str = "",
    count: int = 1,
) -> Job:
    """A job, and the message in which it was taken."""

    async with engine.database.read() as tx:
        record = await personas.find(tx, "glenys")
    request = await engine.imagining.compose(record, Wish("by the sea", count=count, seed=7, style="noir"))
    async with engine.database.write() as tx:
        place = await chats.add_place(tx, ref, persona_id=record.id, now=engine.clock.now())
        person = await people.add_person(
            tx, Account(ref.front, who, who, language=language), now=engine.clock.now()
        )
        accepted = await engine.imagining.put_in_line(
            tx, request, persona_id=record.id, person=person, chat_id=place.id
        )
    if message:
        await show(engine, accepted.job, message)
    return accepted.job


async def show(engine: Engine, job: Job, message: str) -> None:
    assert job.chat_id is not None
    async with engine.database.write() as tx:
        owed = await outbox.owe(
            tx, job.chat_id, DeliveryKind.NOTICE, text="In line.", job_id=job.id, now=engine.clock.now()
        )
        await outbox.sent(tx, owed, [message], now=engine.clock.now())
        await messages.shown(tx, job.chat_id, owed, [message])


@asynccontextmanager
async def running(*parts: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(part()) for part in parts]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def until(engine: Engine, true: Callable[[], object]) -> None:
    """Let time pass until something is so."""
    assert isinstance(engine.clock, ManualClock)
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.002)
            await engine.clock.advance(STEP_SECONDS / 4)


async def pass_by(engine: Engine, seconds: float = LINE_SECONDS * 2) -> None:
    """Time enough for whatever would be shown to be shown."""
    assert isinstance(engine.clock, ManualClock)
    for _ in range(int(seconds * 2)):
        await engine.clock.advance(0.5)
        await asyncio.sleep(0.004)


async def state_of(engine: Engine, job: Job) -> JobState:
    async with engine.database.read() as tx:
        return (await jobs.get(tx, job.id)).state


async def test_a_message_follows_its_job_from_the_line_to_the_last_step(
    engine: Engine, easels: Easels, stage: Stage, renderer: Painter
) -> None:
    job = await ask(engine)
    async with running(easels.run):
        await until(engine, lambda: stage.told)
        waiting = stage.told[-1]
        assert (waiting.chat, waiting.message) == (ROOM, "m1")
        assert waiting.text == "Glenys Prosser: “by the sea”\nNext in line."
        assert [[button.order for button in row] for row in waiting.buttons] == [[f"cancel {job.id}"]]
        async with running(engine.work):
            await until(engine, lambda: "On the easel" in stage.told[-1].text)
            renderer.may.release()
            await until(engine, lambda: "1/3" in stage.told[-1].text)
            renderer.may.release()
            await until(engine, lambda: "2/3" in stage.told[-1].text)
            assert "left" in stage.told[-1].text, "by now there is a pace"
            renderer.may.release()
            async with asyncio.timeout(30):
                while not (await state_of(engine, job)).ended:  # noqa: ASYNC110  # a row has no bell
                    await asyncio.sleep(0.002)


async def test_it_is_said_in_the_language_of_whoever_asked(
    engine: Engine, easels: Easels, stage: Stage
) -> None:
    await ask(engine, language="de")
    async with running(easels.run):
        await until(engine, lambda: stage.told)
    assert stage.told[-1].text == "Glenys Prosser: „by the sea“\nAls Nächstes an der Reihe."
    assert stage.told[-1].buttons[0][0].label == "Stopp"


async def test_a_picture_in_the_making_is_seen(
    engine: Engine, easels: Easels, stage: Stage, renderer: Painter
) -> None:
    await ask(engine, count=4)
    async with running(easels.run, engine.work):
        await until(engine, lambda: stage.told)
        for _ in range(3):
            renderer.may.release()
            await pass_by(engine, 1)
        await until(engine, lambda: stage.told[-1].preview)
        with Image.open(BytesIO(stage.told[-1].preview)) as image:
            assert image.format == "JPEG"
        renderer.may.release(100)


async def test_places_move_up_when_a_job_before_them_ends(
    engine: Engine, easels: Easels, stage: Stage, renderer: Painter
) -> None:
    first = await ask(engine, message="m1")
    await ask(engine, message="m2", who="bo")
    await ask(engine, message="m3", who="cy")

    def says(message: str) -> str:
        return next((told.text for told in reversed(stage.told) if told.message == message), "")

    async with running(easels.run):
        await until(engine, lambda: "one before it" in says("m2") and "2 before it" in says("m3"))
        await engine.imagining.cancel(first.id)
        await until(engine, lambda: "Next in line" in says("m2") and "one before it" in says("m3"))


async def test_only_the_latest_word_counts_and_one_is_said_at_a_time(
    engine: Engine, easels: Easels, stage: Stage, renderer: Painter
) -> None:
    job = await ask(engine, count=4)
    async with running(easels.run):
        stage.may.clear()
        engine.events.publish("job.started", job=job.id, chat_id=job.chat_id)
        async with engine.database.write() as tx:
            await jobs.begin(tx, job.id, engine.clock.now())
        await until(engine, lambda: stage.busy)
        for step in range(1, 11):
            engine.events.publish("job.step", job=job.id, chat_id=job.chat_id, step=step, steps=12)
            await pass_by(engine, 1)
        stage.may.set()
        await until(engine, lambda: len(stage.told) > 1)
        await pass_by(engine)
    assert stage.busiest == 1
    assert len(stage.told) == 2, "ten steps while the front was busy are one change"
    assert "10/12" in stage.told[-1].text


async def test_what_changes_nothing_is_not_said_again(engine: Engine, easels: Easels, stage: Stage) -> None:
    job = await ask(engine)
    async with running(easels.run):
        await until(engine, lambda: stage.told)
        for _ in range(3):
            easels.take_up(job.id)
            await pass_by(engine)
    assert len(stage.told) == 1


async def test_steps_before_the_message_is_there_are_made_up_for(
    engine: Engine, easels: Easels, stage: Stage, renderer: Painter
) -> None:
    job = await ask(engine, message="")
    async with running(easels.run, engine.work):
        renderer.may.release()
        await pass_by(engine)
        assert stage.told == []
        await show(engine, job, "m9")
        easels.take_up(job.id)
        await until(engine, lambda: stage.told)
        assert (stage.told[-1].message, "1/3" in stage.told[-1].text) == ("m9", True)
        renderer.may.release(100)


async def test_what_was_open_before_a_restart_is_taken_up_again(engine: Engine, stage: Stage) -> None:
    job = await ask(engine)
    async with engine.database.write() as tx:
        await jobs.begin(tx, job.id, engine.clock.now())
        await jobs.progress(tx, job.id, 12, 20)
    async with running(Easels(engine, [stage]).run):
        await until(engine, lambda: stage.told)
    assert "▰▰▰▰▰▰▱▱▱▱ 12/20 · 60%" in stage.told[-1].text


async def test_a_front_that_stumbles_costs_one_word(engine: Engine, easels: Easels, stage: Stage) -> None:
    stage.errors = [RuntimeError("the message is gone")]
    job = await ask(engine)
    async with running(easels.run):
        await until(engine, lambda: not stage.errors)
        async with engine.database.write() as tx:
            await jobs.begin(tx, job.id, engine.clock.now())
        engine.events.publish("job.started", job=job.id, chat_id=job.chat_id)
        await until(engine, lambda: stage.told)
    assert "On the easel" in stage.told[-1].text


async def test_where_messages_scroll_away_nothing_is_asked(engine: Engine) -> None:
    stage = Stage(keeps_messages=False)
    await ask(engine)
    async with running(Easels(engine, [stage]).run):
        await pass_by(engine)
    assert stage.told == []


async def test_a_job_that_takes_but_a_moment_changes_no_message(
    engine: Engine, easels: Easels, stage: Stage, renderer: Painter
) -> None:
    renderer.may.release(100)
    async with running(easels.run, engine.work):
        job = await ask(engine)
        engine.imagining.nudge()
        async with asyncio.timeout(30):
            while not (await state_of(engine, job)).ended:  # noqa: ASYNC110  # a row has no bell
                await asyncio.sleep(0.002)
        await pass_by(engine)
    assert stage.told == []


# When the picture comes


async def end(engine: Engine, job: Job) -> None:
    async with engine.database.write() as tx:
        await jobs.end(tx, job.id, JobState.DONE, engine.clock.now())


async def test_whoever_lets_go_waits_for_the_change_under_way_and_no_other_follows(
    engine: Engine, easels: Easels, stage: Stage
) -> None:
    job = await ask(engine)
    async with running(easels.run):
        stage.may.clear()
        await until(engine, lambda: stage.busy)
        engine.events.publish("job.step", job=job.id, chat_id=job.chat_id, step=1, steps=3)
        await end(engine, job)
        engine.events.publish("job.ended", job=job.id, chat_id=job.chat_id, state="done")
        letting = asyncio.ensure_future(easels.let_go(job.id))
        await pass_by(engine)
        assert not letting.done(), "the change is still on its way to the platform"
        stage.may.set()
        await letting
        said = len(stage.told)
        assert said == 1
        await pass_by(engine)
    assert len(stage.told) == said


async def test_a_step_that_is_heard_late_changes_nothing(
    engine: Engine, easels: Easels, stage: Stage
) -> None:
    job = await ask(engine)
    async with running(easels.run):
        await until(engine, lambda: stage.told)
        await end(engine, job)
        await easels.let_go(job.id)
        engine.events.publish("job.step", job=job.id, chat_id=job.chat_id, step=3, steps=3)
        engine.events.publish("job.preview", job=job.id)
        easels.take_up(job.id)
        await pass_by(engine)
    assert len(stage.told) == 1


async def test_a_front_that_hangs_is_not_waited_for_for_ever(
    engine: Engine, easels: Easels, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "PATIENCE", 0.01)
    job = await ask(engine)
    async with running(easels.run):
        stage.may.clear()
        await until(engine, lambda: stage.busy)
        await easels.let_go(job.id)
        assert stage.busy == 0, "it was broken off"
    assert stage.told == []


async def test_a_job_that_is_tried_again_is_shown_again(engine: Engine, easels: Easels, stage: Stage) -> None:
    job = await ask(engine)
    async with running(easels.run):
        await until(engine, lambda: stage.told)
        await engine.imagining.cancel(job.id)
        await easels.let_go(job.id)
        await engine.imagining.retry(job.id)
        await show(engine, job, "m2")
        easels.take_up(job.id)
        await until(engine, lambda: stage.told[-1].message == "m2")


async def test_what_a_first_life_left_hanging_does_not_outlive_the_second(
    engine: Engine, easels: Easels, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "PATIENCE", 0.01)
    job = await ask(engine)
    async with running(easels.run):
        stage.may.clear()
        await until(engine, lambda: stage.busy)
        await engine.imagining.cancel(job.id)
        await pass_by(engine, 1)
        await engine.imagining.retry(job.id)
        easels.take_up(job.id)
        await pass_by(engine)
        await easels.let_go(job.id)
        assert (stage.busy, stage.busiest) == (0, 1)


async def test_letting_go_of_what_nobody_shows_is_nothing(engine: Engine, easels: Easels) -> None:
    await easels.let_go(4711)
    async with running(easels.run):
        await easels.let_go(4711)
