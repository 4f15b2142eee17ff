"""The hands of the picture queue: every job comes to an end that is written down, once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image

from engine.engine import Engine
from engine.errors import RenderFailed, StoreError, TryAgain
from engine.events import Event
from engine.pictures import Claim
from engine.settings import Settings
from engine.store import jobs, personas
from engine.store.records import Account, DeliveryKind, JobState
from engine.testing import FakeLanguage, FakeRenderer
from tests.engine.moody import (  # noqa: F401 - fixtures
    Moody,
    ask,
    ended,
    moody_renderer,
    owed,
    raising,
    told,
)
from tests.working import working

NEVER_STOPPED = Claim(1, 1, lambda: False)


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
    done = {"job": job.id, "chat_id": job.chat_id, "state": "done"}
    assert heard[-1].about == done | {"pictures": 2, "stand_ins": 0, "seconds": 0.0}


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
        async with asyncio.timeout(30):
            while await engine.imagining.ahead_of(job.id) is None or renderer.moods[8:]:  # noqa: ASYNC110 - the same
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
