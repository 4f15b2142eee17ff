"""Posts as chats see them: one message with the picture above its caption, under the persona's name; or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.completing import Completing
from bot.front import ChatRef, Outgoing
from bot.house import House, open_house
from bot.testing import FakeFront
from engine.errors import TryAgain
from engine.settings import Settings
from engine.store import chats, outbox, personas
from engine.store.records import DeliveryKind, PersonaRecord, Place, PostState, Schedule
from engine.store.tables import deliveries, pictures, shown_messages
from engine.testing import FakeLanguage, FakeRenderer
from engine.timewords import read

CAPTION = "The tide came in and took my other boot."


@pytest.fixture
def front() -> FakeFront:
    return FakeFront(keeps_messages=True)


@pytest.fixture
async def house(settings: Settings, front: FakeFront, renderer: FakeRenderer) -> AsyncIterator[House]:
    async with open_house(settings, [front], models=[FakeLanguage(CAPTION)], renderer=renderer) as opened:
        yield opened


async def place_of(house: House, chat: ChatRef) -> Place:
    async with house.engine.database.write() as tx:
        return await chats.add_place(tx, chat, persona_id=None, now=house.engine.clock.now())


async def glenys(house: House) -> PersonaRecord:
    async with house.engine.database.read() as tx:
        return await personas.find(tx, "glenys")


async def scheduled(house: House, chat: ChatRef, **options: Any) -> Schedule:
    return await house.engine.posting.add(
        place=await place_of(house, chat),
        persona=await glenys(house),
        person=None,
        timing=read("weekly mon 03:00")[0],
        zone="UTC",
        theme="the sea",
        options=options,
    )


async def until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not so():  # noqa: ASYNC110 - what stands in a chat tells nobody
            await asyncio.sleep(0.005)


async def written_down(house: House, state: str, count: int = 1) -> None:
    """Until so many deliveries are in that state: what is shown is written down a moment later."""

    async def found() -> int:
        async with house.engine.database.read() as tx:
            return len((await tx.execute(select(deliveries.c.id).where(deliveries.c.state == state))).all())

    async with asyncio.timeout(20):
        while await found() < count:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.005)


async def test_a_post_is_one_message_with_its_picture_above_its_caption(
    house: House, front: FakeFront
) -> None:
    schedule = await scheduled(house, front.chat("channel"))
    post = await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.seen(front.chat("channel")) == [CAPTION])
    (shown,) = front.delivered
    assert shown.delivery.kind is DeliveryKind.POST
    assert shown.delivery.post_id == post.id
    assert shown.image.startswith(b"\x89PNG")
    assert len(shown.pictures) == 1
    assert shown.face is not None
    assert shown.face.name == shown.delivery.persona_name == (await glenys(house)).persona.called
    assert shown.delivery.manner.buttons == ()


async def test_a_post_of_words_alone_has_no_picture(house: House, front: FakeFront) -> None:
    schedule = await scheduled(house, front.chat(), picture=False)
    await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.texts == [CAPTION])
    assert (front.delivered[0].image, front.delivered[0].pictures) == (b"", ())
    assert front.delivered[0].face is not None


async def test_a_post_of_a_picture_alone_has_no_words(house: House, front: FakeFront) -> None:
    schedule = await scheduled(house, front.chat(), text=False)
    await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.texts == [""])
    assert front.delivered[0].image


async def test_a_post_takes_the_place_of_no_message(house: House, front: FakeFront) -> None:
    """The same picture may stand in the chat already: a post that is sent anew comes beside it."""
    schedule = await scheduled(house, front.chat())
    await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.texts == [CAPTION])
    await written_down(house, "sent")
    async with house.engine.database.write() as tx:
        row = (await tx.execute(select(deliveries))).one()
        await outbox.owe(
            tx,
            row.chat_id,
            DeliveryKind.POST,
            text="Once more.",
            job_id=row.job_id,
            post_id=row.post_id,
            now=house.engine.clock.now(),
        )
    house.engine.events.publish("post.published")
    await until(lambda: front.seen(front.chat()) == [CAPTION, "Once more."])


async def test_where_messages_scroll_away_the_pictures_come_with_the_words(settings: Settings) -> None:
    stage = FakeFront(keeps_messages=False)
    async with open_house(
        settings, [stage], models=[FakeLanguage(CAPTION)], renderer=FakeRenderer()
    ) as house:
        schedule = await scheduled(house, stage.chat())
        await house.engine.posting.run_now(schedule.id)
        await until(lambda: stage.texts == [CAPTION])
    (shown,) = stage.delivered
    assert len(shown.pictures) == 1
    assert (shown.image, shown.face) == (b"", None)


async def test_a_picture_that_has_gone_leaves_its_words(house: House, front: FakeFront) -> None:
    schedule = await scheduled(house, front.chat())
    await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.texts == [CAPTION])
    async with house.engine.database.write() as tx:
        await tx.execute(update(pictures).values(deleted_at=house.engine.clock.now()))
    again: Outgoing = await Completing(house.engine).complete(
        replace(front.delivered[0].delivery, id=99), edits=True
    )
    assert (again.delivery.text, again.image, again.pictures) == (CAPTION, b"", ())


async def test_a_recalled_post_goes_from_every_chat(house: House, front: FakeFront) -> None:
    one, other = front.chat("one"), front.chat("other")
    more = await place_of(house, other)
    schedule = await scheduled(house, one, picture=False, targets=[more.id])
    post = await house.engine.posting.run_now(schedule.id)
    await until(lambda: len(front.texts) == 2)
    await written_down(house, "sent", 2)
    assert await house.engine.posting.recall(post.id) == 2
    await until(lambda: not front.seen(one) and not front.seen(other))
    await written_down(house, "sent", 4)
    async with house.engine.database.read() as tx:
        assert (await tx.execute(select(shown_messages))).all() == []
    assert (await house.engine.posting.post(post.id)).state is PostState.RECALLED


async def test_what_was_being_shown_when_it_was_recalled_goes_as_soon_as_it_is_there(
    house: House, front: FakeFront
) -> None:
    schedule = await scheduled(house, front.chat(), picture=False)
    front.slow = 0.3
    post = await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.tries == 1)
    assert await house.engine.posting.recall(post.id) == 0
    await until(lambda: [one.delivery.kind for one in front.delivered] == ["post", "removal"])
    assert front.seen(front.chat()) == []


async def test_what_could_not_be_shown_before_it_was_recalled_is_not_tried_again(
    house: House, front: FakeFront
) -> None:
    schedule = await scheduled(house, front.chat(), picture=False)
    front.slow, front.errors = 0.2, [TryAgain("in a moment", after_s=0.01)]
    post = await house.engine.posting.run_now(schedule.id)
    await until(lambda: front.tries == 1)
    await house.engine.posting.recall(post.id)
    await written_down(house, "failed")
    assert front.delivered == []
