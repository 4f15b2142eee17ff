"""Pictures that begin from another one, and what is said when that cannot be begun from."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zlib import crc32

import pytest
from PIL import Image

from engine.engine import Engine
from engine.store import forgetting
from engine.store.records import Account, Job, JobState
from tests.engine.moody import (  # noqa: F401 - fixtures
    Moody,
    ask,
    ended,
    moody_renderer,
    owed,
)
from tests.working import working


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
