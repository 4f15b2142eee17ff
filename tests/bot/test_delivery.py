"""The outbox is drained: in order, once, with patience; and what became of each delivery is written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import delivery as delivery_module
from bot.delivery import MOST_ATTEMPTS, Deliveries
from bot.front import ChatRef
from bot.testing import FakeFront
from engine.engine import Engine
from engine.errors import DeliveryFailed, NotReachable, StoreError, TryAgain
from engine.imagining import Wish
from engine.locales import locale_of, say
from engine.store import chats, outbox, personas, posts
from engine.store.records import DeliveryKind, DeliveryState, Place, PostState
from engine.store.tables import deliveries
from engine.testing import ManualClock


@pytest.fixture
def stage() -> FakeFront:
    return FakeFront()


async def place_of(engine: Engine, name: str = "room") -> Place:
    async with engine.database.write() as tx:
        return await chats.add_place(
            tx, ChatRef("stage", "one", name), persona_id=None, now=engine.clock.now()
        )


async def owe(engine: Engine, place: Place, *texts: str, kind: DeliveryKind = DeliveryKind.NOTICE) -> None:
    async with engine.database.write() as tx:
        for text in texts:
            await outbox.owe(tx, place.id, kind, text=text, now=engine.clock.now())


@asynccontextmanager
async def pumping(engine: Engine, stage: FakeFront) -> AsyncIterator[Deliveries]:
    pump = Deliveries(engine, [stage])
    running = asyncio.create_task(pump.run())
    try:
        yield pump
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def states(engine: Engine) -> list[str]:
    async with engine.database.read() as tx:
        return list((await tx.execute(select(deliveries.c.state).order_by(deliveries.c.id))).scalars())


async def settled(engine: Engine, *wanted: DeliveryState) -> None:
    """Until the deliveries are in these states."""
    async with asyncio.timeout(30):
        while tuple(await states(engine)) != wanted:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.005)


def later(engine: Engine, pump: Deliveries, by: timedelta) -> None:
    assert isinstance(engine.clock, ManualClock)
    engine.clock.jump(by)
    pump.nudge()


SENT = DeliveryState.SENT
PENDING = DeliveryState.PENDING


async def test_what_is_owed_is_shown_in_order_and_once(engine: Engine, stage: FakeFront) -> None:
    place = await place_of(engine)
    await owe(engine, place, "one", "two")
    async with pumping(engine, stage) as pump:
        await settled(engine, SENT, SENT)
        await owe(engine, place, "three")
        pump.nudge()
        await settled(engine, SENT, SENT, SENT)
    assert stage.texts == ["one", "two", "three"]
    async with engine.database.read() as tx:
        row = (await tx.execute(select(deliveries).where(deliveries.c.id == 1))).one()
    assert (row.messages, row.sent_at) == (["message-1"], engine.clock.now())


async def test_a_slow_chat_does_not_hold_up_another(engine: Engine, stage: FakeFront) -> None:
    stage.slow = 0.05
    for name in ("one", "two", "three", "four"):
        await owe(engine, await place_of(engine, name), f"in {name}", f"again in {name}")
    async with pumping(engine, stage):
        await settled(engine, *[SENT] * 8)
    assert {text.split()[0] for text in stage.texts[:4]} == {"in"}, "nobody's second before everybody's first"


async def test_news_of_a_reply_is_enough_to_wake_it(engine: Engine, stage: FakeFront) -> None:
    place = await place_of(engine)
    async with pumping(engine, stage):
        await asyncio.sleep(0.05)
        await owe(engine, place, "one")
        engine.events.publish("reply.stored")
        await asyncio.wait_for(stage.news.wait(), 30)


async def test_for_nobody_it_waits_and_that_is_no_attempt(engine: Engine, stage: FakeFront) -> None:
    place = await place_of(engine)
    await owe(engine, place, "one", "two")
    stage.errors = [NotReachable("nobody")] * (MOST_ATTEMPTS + 2)
    async with pumping(engine, stage) as pump:
        for tries in range(1, MOST_ATTEMPTS + 3):
            async with asyncio.timeout(30):
                while stage.tries < tries:  # noqa: ASYNC110 - it is counted, not told
                    await asyncio.sleep(0.002)
            await settled(engine, PENDING, PENDING)
            later(engine, pump, timedelta(minutes=1))
        await settled(engine, SENT, SENT)
    assert stage.texts == ["one", "two"]


async def test_whoever_comes_back_finds_it_at_once(engine: Engine, stage: FakeFront) -> None:
    place = await place_of(engine)
    await owe(engine, place, "one")
    stage.errors = [NotReachable("nobody")]
    async with pumping(engine, stage) as pump:
        await stage.news.wait()
        await settled(engine, PENDING)
        async with engine.database.write() as tx:
            await outbox.wake(tx, place.id)
        pump.nudge()
        await settled(engine, SENT)


@pytest.mark.parametrize(
    ("error", "early", "late"),
    [
        (TryAgain("slow down", after_s=30), 29, 31),
        (ConnectionError("away"), 1, 3),
        (TryAgain("", after_s=1e6), 290, 301),
    ],
)
async def test_trouble_is_waited_out(
    engine: Engine, stage: FakeFront, error: Exception, early: int, late: int
) -> None:
    await owe(engine, await place_of(engine), "one", "two")
    stage.errors = [error]
    async with pumping(engine, stage) as pump:
        await stage.news.wait()
        await settled(engine, PENDING, PENDING)
        later(engine, pump, timedelta(seconds=early))
        await asyncio.sleep(0.05)
        assert stage.delivered == []
        later(engine, pump, timedelta(seconds=late - early))
        await settled(engine, SENT, SENT)
    assert stage.texts == ["one", "two"]


async def test_what_can_never_be_shown_does_not_stop_the_rest(engine: Engine, stage: FakeFront) -> None:
    await owe(engine, await place_of(engine), "one", "two")
    stage.errors = [DeliveryFailed("blocked by the person")]
    async with pumping(engine, stage):
        await settled(engine, DeliveryState.FAILED, SENT)
    async with engine.database.read() as tx:
        error = (await tx.execute(select(deliveries.c.error).where(deliveries.c.id == 1))).scalar_one()
    assert error == "blocked by the person"


async def test_why_a_post_did_not_arrive_can_be_told_in_any_language(
    engine: Engine, stage: FakeFront
) -> None:
    place, now = await place_of(engine), engine.clock.now()
    async with engine.database.write() as tx:
        post = await posts.add(tx, key="k", due_at=now, chat_id=place.id, persona_id=1, now=now)
        assert post is not None
        await posts.change(tx, post.id, was=[post.state], state=PostState.PUBLISHED)
        await outbox.owe(tx, place.id, DeliveryKind.POST, text="Hello.", post_id=post.id, now=now)
    stage.errors = [DeliveryFailed(say("talk.chat_gone"))]
    async with pumping(engine, stage):
        await settled(engine, DeliveryState.FAILED)
    async with engine.database.read() as tx:
        error = (await posts.get(tx, post.id)).error
    assert error == "It did not arrive: That chat is no longer here."
    assert locale_of("de").says(error) == "Er ist nicht angekommen: Diesen Chat gibt es nicht mehr."


async def test_trouble_without_end_is_given_up_and_not_counted_for_those_behind(
    engine: Engine, stage: FakeFront
) -> None:
    await owe(engine, await place_of(engine), "one", "two")
    stage.errors = [ConnectionError("away")] * (MOST_ATTEMPTS + 2)
    async with pumping(engine, stage) as pump:
        async with asyncio.timeout(30):
            while tuple(await states(engine)) != (DeliveryState.FAILED, SENT):
                later(engine, pump, timedelta(minutes=5))
                await asyncio.sleep(0.01)
    assert stage.tries == MOST_ATTEMPTS + 3, "two more in vain for the one behind, and the one that arrives"


async def test_a_picture_comes_with_its_bytes(engine: Engine, stage: FakeFront) -> None:
    place = await place_of(engine)
    working = asyncio.create_task(engine.work())
    async with pumping(engine, stage):
        async with engine.database.read() as tx:
            record = await personas.find(tx, "glenys")
        request = await engine.imagining.compose(record, Wish("by the sea", count=2))
        async with engine.database.write() as tx:
            await engine.imagining.put_in_line(
                tx, request, persona_id=record.id, person=None, chat_id=place.id
            )
        engine.imagining.nudge()
        await settled(engine, SENT)
    working.cancel()
    [outgoing] = stage.delivered
    assert outgoing.delivery.kind is DeliveryKind.PICTURE
    assert [data[:4] for _, data in outgoing.pictures] == [b"\x89PNG"] * 2

    for picture, _ in outgoing.pictures:
        await engine.files.delete(picture.file)
    async with engine.database.write() as tx:
        await outbox.owe(
            tx, place.id, DeliveryKind.PICTURE, job_id=outgoing.delivery.job_id, now=engine.clock.now()
        )
    async with pumping(engine, stage):
        await settled(engine, SENT, SENT)
    assert "its file is gone" in stage.texts[-1]


async def test_a_stop_finishes_what_is_being_shown(engine: Engine, stage: FakeFront) -> None:
    stage.slow = 0.1
    await owe(engine, await place_of(engine), "one")
    async with pumping(engine, stage):
        await stage.news.wait()
    assert await states(engine) == [SENT]


async def test_a_stop_shows_what_was_promised_a_moment_ago(engine: Engine, stage: FakeFront) -> None:
    place = await place_of(engine)
    async with pumping(engine, stage):
        await asyncio.sleep(0.02)
        await owe(engine, place, "one")
    assert await states(engine) == [SENT]


async def test_a_stop_does_not_wait_for_ever_and_the_next_start_shows_it_again(
    engine: Engine, stage: FakeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "FINISH_WITHIN", 0.05)
    stage.slow = 60
    await owe(engine, await place_of(engine), "one")
    async with pumping(engine, stage):
        await stage.news.wait()
    assert await states(engine) == [DeliveryState.SENDING]
    stage.slow = 0
    async with pumping(engine, stage):
        await settled(engine, SENT)
    assert stage.texts == ["one"]


async def test_a_post_that_may_have_arrived_is_held_where_a_repeat_would_be_seen(engine: Engine) -> None:
    place = await place_of(engine)
    await owe(engine, place, "a post", kind=DeliveryKind.POST)
    await owe(engine, place, "a notice")
    async with engine.database.write() as tx:
        await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    stage = FakeFront(recognises_repeats=False)
    async with pumping(engine, stage):
        await settled(engine, DeliveryState.HELD, SENT)
    assert stage.texts == ["a notice"]


async def test_a_store_in_trouble_is_waited_for_and_nothing_is_shown_twice(
    engine: Engine, stage: FakeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "LOOK_EVERY", 0.02)
    sent, troubles = outbox.sent, [StoreError("the disk is full")] * 3

    async def full(*args: object, **more: object) -> None:
        if troubles:
            raise troubles.pop()
        await sent(*args, **more)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(outbox, "sent", full)
    await owe(engine, await place_of(engine), "one", "two")
    async with pumping(engine, stage):
        await settled(engine, SENT, SENT)
    assert stage.texts == ["one", "two"]


async def test_whoever_comes_in_the_very_moment_that_nobody_was_there_does_not_wait(
    engine: Engine, stage: FakeFront
) -> None:
    place = await place_of(engine)
    await owe(engine, place, "one")
    stage.errors, stage.slow = [NotReachable("nobody")], 0.05
    async with pumping(engine, stage) as pump:
        await stage.news.wait()  # it is finding out that nobody is there
        await pump.somebody_came(place)
        await settled(engine, SENT)
    assert stage.texts == ["one"]
