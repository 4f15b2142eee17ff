"""Posts on their way to their chats: paused there, taken back, or perhaps arrived."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.store import chats, outbox, personas
from engine.store.records import (
    DeliveryKind,
    DeliveryState,
    PostState,
)
from tests.engine.posts_stage import (
    DAY,
    NINE,
    STAGE,
    at,
    only_post,
    owed,
    place_of,
    scheduled,
    taken,
    until,
)


async def test_in_a_paused_place_nothing_is_shown_and_elsewhere_it_is(engine: Engine) -> None:
    here, there = await place_of(engine, "here"), await place_of(engine, "there")
    await scheduled(engine, place=here, targets=[there.id])
    assert await engine.posting.pause_place(here.id, True) == 1
    await until(engine, NINE)
    assert [one.chat_id for one in await owed(engine)] == [there.id]
    await engine.posting.pause_place(there.id, True)
    await until(engine, NINE + DAY)
    assert len(await owed(engine)) == 1
    latest = (await engine.posting.posts())[0]
    assert latest.state is PostState.SKIPPED
    assert "paused in this chat" in latest.error
    await engine.posting.pause_place(here.id, False)
    await until(engine, NINE + 2 * DAY)
    assert [one.chat_id for one in await owed(engine)] == [there.id, here.id]


async def test_what_is_owed_when_posts_are_paused_there_is_not_shown(engine: Engine) -> None:
    schedule = await scheduled(engine)
    await until(engine, NINE)
    await engine.posting.pause_place(schedule.chat_id, True)
    assert await taken(engine) == []
    (given_up,) = await owed(engine)
    assert given_up.state == DeliveryState.FAILED.value
    assert "paused in this chat" in (await only_post(engine)).error


async def test_where_we_were_shown_the_door_nothing_is_posted(engine: Engine) -> None:
    place = await place_of(engine)
    await scheduled(engine, place=place)
    async with engine.database.write() as tx:
        await chats.left(tx, place.ref, engine.clock.now())
    await until(engine, NINE)
    assert (await only_post(engine)).state is PostState.SKIPPED


async def test_a_recalled_post_is_taken_back_from_every_chat(engine: Engine) -> None:
    first, second = await place_of(engine, "first"), await place_of(engine, "second")
    await scheduled(engine, place=first, targets=[second.id])
    await until(engine, NINE - timedelta(minutes=1))
    post = await only_post(engine)
    with pytest.raises(BadRequest, match="not been published"):
        await engine.posting.recall(post.id)
    await until(engine, NINE)
    shown, pending = await owed(engine)
    async with engine.database.write() as tx:
        await outbox.sent(tx, shown.id, ["message-1", "message-2"], now=engine.clock.now())
    assert await engine.posting.recall(post.id) == 3
    _, given_up, removal = await owed(engine)
    assert (given_up.id, given_up.state) == (pending.id, "failed")
    assert (removal.kind, removal.chat_id) == ("removal", first.id)
    assert removal.manner == {"removes": ["message-1", "message-2"]}
    with pytest.raises(BadRequest, match="recalled"):
        await engine.posting.recall(post.id)


async def test_what_was_on_its_way_when_it_was_recalled_is_not_sent_again(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    async with engine.database.write() as tx:
        (row,) = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    await engine.posting.recall(row.post_id or 0)
    async with engine.database.write() as tx:
        await outbox.wait(tx, [row.id], until=engine.clock.now())
    (left,) = await owed(engine)
    assert left.state == DeliveryState.FAILED.value


@pytest.mark.parametrize(("again", "state"), [(True, "pending"), (False, "sent")])
async def test_what_may_have_arrived_waits_for_somebodys_word(
    engine: Engine, again: bool, state: str
) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    async with engine.database.write() as tx:
        (row,) = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
        assert row.persona_slug == (await personas.find(tx, "glenys")).persona.slug
        assert await outbox.recover(tx, [("stage", "one")], recognises_repeats=False) == (0, 1)
    (held,) = await engine.posting.held()
    assert (held.id, held.kind) == (row.id, DeliveryKind.POST)
    assert await engine.posting.held(chat_id=held.chat_id + 1) == []
    await engine.posting.release(held.id, again=again)
    assert [one.state for one in await owed(engine)] == [state]
    assert await engine.posting.held() == []
    with pytest.raises(NotFound, match="no held delivery"):
        await engine.posting.release(held.id, again=True)


async def test_what_is_shown_again_on_somebodys_word_is_shown_however_late_it_is(engine: Engine) -> None:
    await scheduled(engine)
    await until(engine, NINE)
    assert await taken(engine) == [(await only_post(engine)).id]
    await engine.database.change(partial(outbox.recover, fronts=STAGE, recognises_repeats=False))
    at(engine, NINE + DAY - timedelta(hours=2))
    (held,) = await engine.posting.held()
    await engine.posting.release(held.id, again=True)
    assert await taken(engine) == [held.post_id]
