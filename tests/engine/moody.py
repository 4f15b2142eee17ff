"""A renderer that does what a test says, and what is asked of the house that it paints for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from PIL import Image

from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.previews import SIDE
from engine.store import chats, jobs, outbox, people, personas, pictures
from engine.store.records import Account, ChatRef, DeliveryKind, Job, Picture
from engine.testing import FakeRenderer, ManualClock

ROOM = ChatRef("stage", "one", "room")


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


@pytest.fixture(name="renderer")
def moody_renderer() -> Moody:
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


async def told(engine: Engine, job_id: int) -> tuple[Job, list[Picture]]:
    async with engine.database.read() as tx:
        return await jobs.get(tx, job_id), (await pictures.of_jobs(tx, [job_id])).get(job_id, [])


async def ended(engine: Engine, job_id: int) -> tuple[Job, list[Picture]]:
    async with asyncio.timeout(30):
        while not (found := await told(engine, job_id))[0].state.ended:
            await asyncio.sleep(0.005)
            if isinstance(engine.clock, ManualClock):
                await engine.clock.advance(0.5)  # pauses between two tries pass quickly
    return found


async def owed(engine: Engine) -> list[tuple[DeliveryKind, str]]:
    async with engine.database.write() as tx:
        rows = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    return [(row.kind, row.text) for row in rows]


async def seen(engine: Engine, job: Job) -> bytes:
    """What is encoded elsewhere is there a moment later."""
    jpeg = b""
    async with asyncio.timeout(30):
        while not jpeg:
            await asyncio.sleep(0.005)
            jpeg = engine.worker.preview(job.id)
    return jpeg
