"""What stands in the chats of the page, on both databases: once, in order, and told by its number to who was away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest

from engine.language import Source
from engine.store import chats, forgetting, outbox, page_news, pages, people
from engine.store.database import Database
from engine.store.pages import Words
from engine.store.records import Account, Button, By, ChatRef, DeliveryKind, Place, TurnKind

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOME = ChatRef("web", "home", "home")
GOOD = Words(By.PERSONA, "Good evening.", name="Ada", slug="ada", source=Source.MODEL)


@pytest.fixture
async def place(database: Database) -> Place:
    async with database.write() as tx:
        return await chats.add_place(tx, HOME, persona_id=None, now=NOON)


async def owed(database: Database, place: Place) -> int:
    async with database.write() as tx:
        return await outbox.owe(tx, place.id, DeliveryKind.NOTICE, now=NOON)


async def shown(database: Database, delivery_id: int, words: Words = GOOD, *replaces: int) -> int | None:
    named = tuple(map(str, replaces))
    return await database.change(
        partial(pages.show, delivery_id=delivery_id, words=words, replaces=named, now=NOON)
    )


async def since(
    database: Database, revision: int, chat: ChatRef = HOME
) -> list[tuple[int | None, str, bool]]:
    found = await database.look(partial(page_news.since, chat=chat, revision=revision, most=100))
    return [(one.id, one.text, one.gone) for one in found.messages]


async def test_a_delivery_that_is_shown_twice_stands_there_once(database: Database, place: Place) -> None:
    delivery = await owed(database, place)
    first, again = await shown(database, delivery), await shown(database, delivery)
    assert first == again
    assert len(await since(database, 0)) == 1


async def test_what_nobody_is_owed_any_more_is_not_shown(database: Database, place: Place) -> None:
    assert await shown(database, 424_242) is None
    assert await since(database, 0) == []


async def test_it_comes_in_the_place_of_the_first_that_is_there_and_the_others_go(
    database: Database, place: Place
) -> None:
    ids = [await shown(database, await owed(database, place)) for _ in range(3)]
    known = (await database.look(partial(page_news.revision, chat=HOME)))[1]
    there = [one for one in ids if one is not None]
    made = await shown(database, await owed(database, place), Words(By.HOUSE, "instead"), 424_242, *there)
    assert made == there[0]
    changed = await since(database, known)
    assert sorted(changed) == [(there[0], "instead", False), (there[1], "", True), (there[2], "", True)]


async def test_a_message_of_another_chat_is_not_replaced_nor_reworded_nor_taken_away(
    database: Database, place: Place
) -> None:
    mine = await shown(database, await owed(database, place))
    assert mine is not None
    other = ChatRef("web", "home", "key:1:home")
    async with database.write() as tx:
        elsewhere = await chats.add_place(tx, other, persona_id=None, now=NOON)
    assert await shown(database, await owed(database, elsewhere), GOOD, mine) != mine
    assert not await database.change(
        partial(pages.reword, chat=other, message=mine, text="hijacked", buttons=())
    )
    await database.change(partial(pages.take_away, chat=other, ids=[str(mine)]))
    assert await database.look(partial(page_news.get, chat=other, message=mine)) is None
    found = await database.look(partial(page_news.get, chat=HOME, message=mine))
    assert found is not None
    assert found.text == GOOD.text


async def test_every_change_takes_the_next_number_and_saying_the_same_is_no_change(
    database: Database, place: Place
) -> None:
    mine = await shown(database, await owed(database, place))
    assert mine is not None
    buttons = ((Button("Stop", "cancel 1", "danger"),),)
    reword = partial(pages.reword, chat=HOME, message=mine, text="half done", buttons=buttons)
    assert await database.change(reword)
    assert not await database.change(reword)
    found = await database.look(partial(page_news.get, chat=HOME, message=mine))
    assert found is not None
    assert (found.text, found.buttons, found.revision) == ("half done", buttons, 2)


async def test_many_who_write_at_once_take_numbers_without_a_gap(database: Database, place: Place) -> None:
    deliveries = [await owed(database, place) for _ in range(20)]
    await asyncio.gather(*(shown(database, one) for one in deliveries))
    found = await database.look(partial(page_news.since, chat=HOME, revision=0, most=100))
    assert [one.revision for one in found.messages] == list(range(1, 21))


async def test_the_last_messages_are_read_oldest_first_and_page_by_page(
    database: Database, place: Place
) -> None:
    ids = [await shown(database, await owed(database, place)) for _ in range(7)]
    await database.change(partial(pages.take_away, chat=HOME, ids=[str(ids[5])]))
    last = await database.look(partial(page_news.before, chat=HOME, message=None, most=3))
    assert [one.id for one in last.messages] == [ids[3], ids[4], ids[6]]
    assert last.more
    first = await database.look(partial(page_news.before, chat=HOME, message=ids[3], most=3))
    assert [one.id for one in first.messages] == ids[:3]
    assert not first.more


@pytest.mark.parametrize("strange", ["", "x", "-1", "1e3", "99999999999999999999", "٣"])
async def test_what_is_no_number_of_a_message_is_nobody_s(
    database: Database, place: Place, strange: str
) -> None:
    await database.change(partial(pages.take_away, chat=HOME, ids=[strange]))
    mine = await database.change(
        partial(pages.show, delivery_id=await owed(database, place), words=GOOD, replaces=[strange], now=NOON)
    )
    assert mine is not None


async def test_nothing_is_left_of_somebody_who_is_forgotten_but_that_it_went(
    database: Database, place: Place
) -> None:
    ada = Account("web", "home", "Ada")
    async with database.write() as tx:
        person = await people.add_person(tx, ada, now=NOON)
        turn = await chats.add_turn(tx, place.id, "Rosebud.", now=NOON, person_id=person.id)
        await pages.heard(tx, turn, "Rosebud.", person, NOON)
        order = await chats.add_turn(
            tx, place.id, "/forget yes", now=NOON, kind=TurnKind.COMMAND, person_id=person.id
        )
        await pages.heard(tx, order, "/forget yes", person, NOON)
    assert [text for _id, text, _gone in await since(database, 0)] == ["Rosebud.", "/forget yes"]
    await database.change(partial(forgetting.forget, person_id=person.id, order_id=order.id))
    left = await database.look(partial(page_news.since, chat=HOME, revision=2, most=10))
    assert [(one.text, one.name, one.turn_id, one.gone) for one in left.messages] == [
        ("", "", None, True)
    ] * 2
    assert [one.revision for one in left.messages] == [3, 4]
