"""Whoever may decides what is shown: a post is approved, reworded or skipped before its time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.language import Source
from engine.store.records import (
    PostState,
)
from tests.engine.posts_stage import (
    NINE,
    only_post,
    owed,
    paint,
    scheduled,
    until,
)


async def test_what_nobody_approved_is_not_shown_where_that_is_wanted(engine: Engine) -> None:
    await scheduled(engine, approval="skip")
    await until(engine, NINE - timedelta(minutes=1))
    assert (await only_post(engine)).state is PostState.WAITING
    await until(engine, NINE)
    post = await only_post(engine)
    assert post.state is PostState.SKIPPED
    assert "approved" in post.error
    assert await owed(engine) == []


async def test_what_was_approved_is_shown_at_its_time(engine: Engine) -> None:
    await scheduled(engine, approval="skip")
    await until(engine, NINE - timedelta(minutes=1))
    assert (await engine.posting.approve((await only_post(engine)).id)).state is PostState.READY
    await until(engine, NINE)
    assert len(await owed(engine)) == 1


async def test_what_nobody_approved_is_shown_all_the_same_where_that_is_wanted(engine: Engine) -> None:
    await scheduled(engine, approval="post")
    await until(engine, NINE)
    assert (await only_post(engine)).state is PostState.PUBLISHED


async def test_what_was_approved_while_it_was_made_waits_for_nobody(engine: Engine) -> None:
    await scheduled(engine, approval="skip", picture=True)
    await until(engine, NINE - timedelta(minutes=30))
    post = await engine.posting.approve((await only_post(engine)).id)
    assert post.state is PostState.MAKING
    await paint(engine)
    await until(engine, NINE - timedelta(minutes=20))
    assert (await only_post(engine)).state is PostState.READY


async def test_a_caption_is_written_by_hand_or_anew(engine: Engine) -> None:
    await scheduled(engine, approval="skip")
    await until(engine, NINE - timedelta(minutes=30))
    post = await only_post(engine)
    anew = await engine.posting.reword(post.id, None)
    assert anew.caption not in ("", post.caption)
    assert (anew.source, anew.state) == (Source.MODEL, PostState.WAITING)
    by_hand = await engine.posting.reword(post.id, "  Tea, at last.\x00 ")
    assert (by_hand.caption, by_hand.source) == ("Tea, at last.", Source.PERSON)
    with pytest.raises(BadRequest):
        await engine.posting.reword(post.id, "x" * 5_000)
    await engine.posting.approve(post.id)
    await until(engine, NINE)
    (shown,) = await owed(engine)
    assert shown.text == "Tea, at last."
    with pytest.raises(BadRequest, match="published"):
        await engine.posting.reword(post.id, "Too late.")


async def test_a_post_can_be_skipped_and_then_nothing_else(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE - timedelta(minutes=30))
    post = await engine.posting.skip((await only_post(engine)).id)
    assert post.state is PostState.SKIPPED
    for order in (engine.posting.approve, engine.posting.skip, engine.posting.repicture):
        with pytest.raises(BadRequest, match="skipped"):
            await order(post.id)
    await until(engine, NINE)
    assert await owed(engine) == []


@pytest.mark.parametrize("post_id", [0, -1, 4711, 10**30])
async def test_what_is_not_there_is_told(engine: Engine, post_id: int) -> None:
    posting = engine.posting
    orders: dict[str, list[Callable[[int], Awaitable[object]]]] = {
        "no post": [posting.approve, posting.skip, posting.repicture, posting.recall],
        "no schedule": [posting.pause, posting.resume, posting.remove, posting.skip_next],
    }
    for told, those in orders.items():
        for order in those:
            with pytest.raises(NotFound, match=told):
                await order(post_id)
