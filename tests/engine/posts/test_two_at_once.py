"""Orders for one post, or one chat, in the same instant: each is told what became of it."""

from __future__ import annotations

from functools import partial

import pytest

from bot import delivery
from engine import schedules
from engine.engine import Engine
from engine.errors import BadRequest
from engine.language import Source
from engine.store import arriving, messages, outbox, posts
from engine.store.records import (
    DeliveryState,
    Post,
    PostState,
)
from tests.engine.posts_stage import (
    HALF_PAST_EIGHT,
    MINUTE,
    NINE,
    STAGE,
    at,
    only_post,
    owed,
    scheduled,
    taken,
    until,
)
from tests.holding import Hold


async def test_who_approves_what_is_reworded_at_that_moment_approves_nothing_unseen(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scheduled(shared, approval="skip")
    await until(shared, HALF_PAST_EIGHT)
    post = await only_post(shared)
    hold = Hold(posts.change)
    monkeypatch.setattr(posts, "change", hold)
    await hold.meanwhile(shared.posting.approve(post.id), lambda: shared.posting.reword(post.id, None))
    after = await only_post(shared)
    assert after.caption != post.caption
    assert (after.state, after.source) == (PostState.WAITING, Source.MODEL)
    assert not after.options.get("approved"), "nobody has seen these words"


async def test_who_skips_what_is_shown_at_that_moment_is_told(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = await scheduled(shared)
    await until(shared, NINE - MINUTE)
    at(shared, NINE)
    hold = Hold(schedules.with_skipped)
    monkeypatch.setattr(schedules, "with_skipped", hold)
    told, _ = await hold.meanwhile(shared.posting.skip_next(schedule.id), shared.posting.publishing.round)
    assert isinstance(told, BadRequest)
    assert (await only_post(shared)).state is PostState.PUBLISHED
    assert not (await shared.posting.get(schedule.id)).options.get("skipped")


async def test_what_arrives_while_it_is_recalled_is_taken_back(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scheduled(shared)
    await until(shared, NINE)
    post: Post = await only_post(shared)
    (row,) = await shared.database.change(partial(outbox.take, fronts=STAGE, now=shared.clock.now()))
    hold = Hold(messages.shown)
    monkeypatch.setattr(messages, "shown", hold)
    arrives = partial(delivery._sent, row=row, messages=["message-1"], now=shared.clock.now())
    _, told = await hold.meanwhile(shared.database.change(arrives), lambda: shared.posting.recall(post.id))
    assert told == 1
    assert [one.manner.get("removes") for one in await owed(shared) if one.kind == "removal"] == [
        ["message-1"]
    ]


async def test_what_is_recalled_while_it_is_taken_to_be_shown_is_not_shown(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scheduled(shared)
    await until(shared, NINE)
    post = await only_post(shared)
    hold = Hold(arriving.too_late)
    monkeypatch.setattr(arriving, "too_late", hold)
    recalled, told = await hold.meanwhile(taken(shared), lambda: shared.posting.recall(post.id))
    assert (recalled, told) == ([], 1)
    assert [one.state for one in await owed(shared)] == [DeliveryState.FAILED.value]


async def test_an_order_that_is_heard_twice_in_the_same_instant_is_one_post(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = await scheduled(shared)
    hold = Hold(posts.add)
    monkeypatch.setattr(posts, "add", hold)
    run = partial(shared.posting.run_now, schedule.id, by="api:now")
    first, second = await hold.meanwhile(run(), run)
    assert first.id == second.id == (await run()).id
    assert [post.id for post in await shared.posting.posts()] == [first.id]
