"""What is owed goes out once and in order, whoever crashes in between; on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.language import Source
from engine.store import chats, outbox
from engine.store.database import Database
from engine.store.records import (
    ChatRef,
    Delivery,
    DeliveryKind,
    Place,
)
from tests.contracts.store_stage import HALL, HERE, KITCHEN, NOON, reply, said, settled


async def owing(
    tx: AsyncConnection, place: Place, *texts: str, kind: DeliveryKind = DeliveryKind.NOTICE
) -> list[int]:
    return [await outbox.owe(tx, place.id, kind, text=text, now=NOON) for text in texts]


async def taken(tx: AsyncConnection, *, now: datetime = NOON, **more: Any) -> list[Delivery]:
    return await outbox.take(tx, HERE, now=now, **more)


async def test_what_is_owed_goes_out_once_and_in_order(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        ids = await owing(tx, place, "one", "two", "three")
        rows = await taken(tx, most=2)
        assert [(row.id, row.text, row.attempts) for row in rows] == [(ids[0], "one", 1), (ids[1], "two", 1)]
        assert rows[0].chat == KITCHEN
        assert await taken(tx) == [], "nothing passes those that are on their way"
        for row in rows:
            await outbox.sent(tx, row.id, [f"message-{row.id}"], now=NOON)
        assert [row.text for row in await taken(tx)] == ["three"]
        assert await outbox.owed(tx) == 1


async def test_a_reply_goes_out_in_its_own_words_with_who_said_it(database: Database) -> None:
    async with settled(database) as (tx, place, person, ada):
        turn = await said(tx, place, person, "Well?")
        answer = await reply(tx, place, turn, "Well.", ada.id)
        await outbox.owe(tx, place.id, DeliveryKind.REPLY, turn_id=answer.id, now=NOON)
        [row] = await taken(tx)
    assert (row.text, row.source, row.turn_id) == ("Well.", Source.MODEL, answer.id)
    assert (row.persona_name, row.persona_slug) == ("Ada Quill", "ada")


async def test_one_chat_does_not_hold_up_another(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        hall = await chats.add_place(tx, HALL, persona_id=None, now=NOON)
        [first] = await owing(tx, place, "one")
        await taken(tx)
        await outbox.wait(tx, [first], until=NOON + timedelta(minutes=1))
        await owing(tx, place, "two")
        await owing(tx, hall, "elsewhere")
        assert [row.text for row in await taken(tx)] == ["elsewhere"]
        assert [row.text for row in await taken(tx, now=NOON + timedelta(minutes=1))] == ["one", "two"]


async def test_what_waits_goes_at_once_when_somebody_comes(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        [first] = await owing(tx, place, "one")
        await taken(tx)
        await outbox.wait(tx, [first], until=NOON + timedelta(minutes=1), counted=False)
        assert await taken(tx) == []
        await outbox.wake(tx, place.id)
        [row] = await taken(tx)
    assert row.attempts == 1, "that nobody was there was no attempt"


async def test_a_clock_set_back_makes_nothing_wait_longer_than_a_pause(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        [first] = await owing(tx, place, "one")
        await taken(tx)
        await outbox.wait(tx, [first], until=NOON + timedelta(minutes=1))
        assert [row.id for row in await taken(tx, now=NOON - timedelta(days=300))] == [first]


async def test_other_fronts_are_left_alone(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        elsewhere = await chats.add_place(tx, ChatRef("telegram", "bot", "1"), persona_id=None, now=NOON)
        await owing(tx, elsewhere, "not ours")
        await owing(tx, place, "ours")
        assert [row.text for row in await taken(tx)] == ["ours"]
        assert await outbox.take(tx, [], now=NOON) == []
        assert await outbox.owed(tx, chat_id=elsewhere.id) == 1


async def test_what_is_given_up_does_not_hold_up_the_rest(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        first, _second = await owing(tx, place, "never", "later")
        [row, _] = await taken(tx)
        await outbox.give_up(tx, first, error="the chat is gone")
        assert row.id == first
        assert await outbox.owed(tx) == 1


async def test_after_a_crash_what_was_on_its_way_goes_again(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        ids = await owing(tx, place, "one", "two")
        await taken(tx)
        assert await outbox.recover(tx, HERE, recognises_repeats=True) == (2, 0)
        again = await taken(tx)
    assert [(row.id, row.attempts) for row in again] == [(ids[0], 2), (ids[1], 2)]


async def test_after_a_crash_a_post_is_held_where_repeats_are_not_recognised(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        await owing(tx, place, "a post", kind=DeliveryKind.POST)
        await owing(tx, place, "a notice")
        await taken(tx)
        assert await outbox.recover(tx, HERE, recognises_repeats=False) == (1, 1)
        assert [row.text for row in await taken(tx)] == ["a notice"]


async def test_a_nonce_is_a_delivery_s_own_and_stays(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        await owing(tx, place, "one", "two")
        before = await taken(tx)
        await outbox.recover(tx, HERE, recognises_repeats=True)
        after = await taken(tx)
    assert [row.nonce for row in before] == [row.nonce for row in after]
    assert len({row.nonce for row in before}) == 2
