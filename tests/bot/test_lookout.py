"""Operators hear in their own chats what goes wrong in the house, and nobody else does."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.desk import Desk
from bot.house import open_house
from bot.lookout import Lookout
from bot.testing import FakeFront
from engine.engine import Engine
from engine.settings import LanguageSettings, PeopleSettings, PictureSettings, Settings, StoreSettings
from engine.store import chats, outbox, personas, posts, troubles
from engine.store.records import ChatRef, DeliveryKind, Place, Post, PostState
from engine.store.tables import deliveries
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.bot.commands.guest import ANA, HALL, ROOM, Guest

ROOMY, FULL = (1_000, 500, 500), (1_000, 950, 50)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The disk as the system tells of it: total, used, free; the last entry counts."""
    told = [ROOMY]
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: SimpleNamespace(total=told[-1][0], free=told[-1][2])
    )
    return told


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "people": PeopleSettings(operators=("stage:ana", "stage:zoe")),
            "language": LanguageSettings(model="tiny"),
        }
    )


@pytest.fixture
def clock(engine: Engine) -> ManualClock:
    assert isinstance(engine.clock, ManualClock)
    return engine.clock


@pytest.fixture
async def ana(engine: Engine) -> Guest:
    """Ana runs the house; she has spoken with it alone, and in the hall."""
    guest = Guest(engine)
    await guest.gets("/help")
    await Guest(engine, ANA, HALL, shared=True).gets("/help")
    return guest


@pytest.fixture
async def lookout(engine: Engine, ana: Guest) -> Lookout:
    """It has looked once, and all was well."""
    lookout = Lookout(engine)
    await lookout.look()
    assert await ana.owed() == []
    return lookout


async def place_of(engine: Engine, chat: ChatRef) -> Place:
    async with engine.database.read() as tx:
        place = await chats.place(tx, chat)
    assert place is not None
    return place


async def post_in(engine: Engine, chat: ChatRef, state: PostState, key: str = "k", error: str = "") -> Post:
    place, now = await place_of(engine, chat), engine.clock.now()
    async with engine.database.write() as tx:
        who = (await personas.listing(tx))[0]
        post = await posts.add(tx, key=key, due_at=now, chat_id=place.id, persona_id=who.id, now=now)
        assert post is not None
        changed = await posts.change(tx, post.id, was=[post.state], state=state, error=error)
    assert changed is not None
    return changed


async def shown_in(engine: Engine, post: Post) -> int:
    async with engine.database.write() as tx:
        return await outbox.owe(
            tx, post.chat_id, DeliveryKind.POST, text="Hello.", post_id=post.id, now=engine.clock.now()
        )


async def test_a_full_disk_is_told_in_the_operator_s_own_chat_and_again_when_there_is_room(
    lookout: Lookout, ana: Guest, clock: ManualClock, disk: list[tuple[int, int, int]]
) -> None:
    disk.append(FULL)
    for _minute in range(20):
        await clock.advance(60)
        await lookout.look()
    [told] = await ana.owed()
    assert (told.chat, told.kind) == (ROOM, DeliveryKind.NOTICE)
    assert told.text.startswith("The disk of the home is 95% full")
    disk.append(ROOMY)
    await lookout.look()
    assert [one.text for one in await ana.owed()] == ["The disk of the home has room again."]


async def test_each_operator_is_told_in_their_language(
    lookout: Lookout, ana: Guest, disk: list[tuple[int, int, int]]
) -> None:
    await ana.gets("/settings language de")
    disk.append(FULL)
    await lookout.look()
    assert "Die Platte des Hauses ist zu 95 % voll" in (await ana.owed())[0].text


@pytest.mark.parametrize("people", [PeopleSettings(), PeopleSettings(operators=("stage:ana",), alerts=False)])
async def test_where_no_operator_is_to_be_told_the_log_is(
    settings: Settings, people: PeopleSettings, disk: list[tuple[int, int, int]]
) -> None:
    alone = settings.model_copy(update={"people": people})
    async with Engine.open(alone, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        guest = Guest(engine)
        await guest.gets("/help")
        disk.append(FULL)
        with capture_logs() as logged:
            await Lookout(engine).look()
        assert await guest.owed() == []
    [line] = [one for one in logged if one["event"] == "alert"]
    assert (line["log_level"], line["told"]) == ("warning", 0)


async def test_a_post_that_failed_is_told_once_with_its_reason(
    engine: Engine, lookout: Lookout, ana: Guest
) -> None:
    post = await post_in(engine, HALL, PostState.FAILED, error="The picture was not ready in time.")
    place = await place_of(engine, HALL)
    await lookout.look()
    await lookout.look()
    assert [one.text for one in await ana.owed()] == [
        f"Post #{post.id} in place {place.id} came to nothing: The picture was not ready in time."
    ]


async def test_what_failed_before_the_house_opened_is_no_news(engine: Engine, ana: Guest) -> None:
    await post_in(engine, HALL, PostState.FAILED, error="long ago")
    lookout = Lookout(engine)
    await lookout.look()
    await lookout.look()
    assert await ana.owed() == []


async def test_a_post_that_a_chat_refuses_is_told_and_one_that_was_taken_back_is_not(
    engine: Engine, lookout: Lookout, ana: Guest
) -> None:
    refused = await post_in(engine, HALL, PostState.PUBLISHED)
    recalled = await post_in(engine, HALL, PostState.RECALLED, "r")
    ids = [await shown_in(engine, one) for one in (refused, recalled)]
    await lookout.look()
    async with engine.database.write() as tx:
        for one in ids:
            await outbox.give_up(tx, one, error="We may not write there.")
    await lookout.look()
    assert [one.text for one in await ana.owed()] == [
        f"Post #{refused.id} could not be shown in place {refused.chat_id}: We may not write there."
    ]


async def test_a_refusal_is_told_once_though_another_post_is_on_its_way_for_days(
    engine: Engine, lookout: Lookout, ana: Guest, clock: ManualClock
) -> None:
    waiting, refused = [
        await shown_in(engine, await post_in(engine, HALL, PostState.PUBLISHED, key)) for key in ("w", "r")
    ]
    async with engine.database.write() as tx:
        await outbox.give_up(tx, refused, error="no")
        await outbox.take(tx, [("stage", "one")], now=clock.now())
        await outbox.wait(tx, [waiting], until=clock.now() + timedelta(minutes=1))
    await lookout.look()
    assert "could not be shown" in (await ana.owed())[-1].text
    await clock.advance(7 * 3_600)
    await lookout.look()
    async with engine.database.read() as tx:
        notices = await tx.execute(select(deliveries.c.id).where(deliveries.c.text.contains("could not be")))
    assert len(notices.all()) == 1


async def test_what_is_held_at_a_start_is_told_once(engine: Engine, ana: Guest) -> None:
    post = await post_in(engine, HALL, PostState.PUBLISHED)
    await shown_in(engine, post)
    async with engine.database.write() as tx:
        await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
        await outbox.recover(tx, [("stage", "one")], recognises_repeats=False)
    lookout = Lookout(engine)
    await lookout.look()
    await lookout.look()
    [told] = await ana.owed()
    assert told.text.startswith(f"Post #{post.id} may have arrived")


@pytest.mark.parametrize("hours", [0, 1, 30])
async def test_what_was_told_is_not_told_again_after_a_restart(
    engine: Engine, ana: Guest, clock: ManualClock, hours: int
) -> None:
    async def held(key: str) -> int:
        delivery_id = await shown_in(engine, await post_in(engine, HALL, PostState.PUBLISHED, key))
        async with engine.database.write() as tx:
            await outbox.take(tx, [("stage", "one")], now=clock.now())
            await outbox.recover(tx, [("stage", "one")], recognises_repeats=False)
        return delivery_id

    await held("first")
    await Lookout(engine).look()
    assert "may have arrived" in (await ana.owed())[-1].text
    clock.jump(timedelta(hours=hours))
    await Lookout(engine).look()
    assert await ana.owed() == []
    second = await held("second")
    await Lookout(engine).look()
    [told] = await ana.owed()
    assert told.text.count("may have arrived") == 1, "only what is new"
    async with engine.database.write() as tx:
        await outbox.release(tx, second, again=False, now=clock.now())
    clock.jump(timedelta(hours=hours))
    await Lookout(engine).look()
    assert await ana.owed() == []


async def test_a_full_disk_is_told_once_in_six_hours_however_often_the_house_is_opened(
    engine: Engine, ana: Guest, clock: ManualClock, disk: list[tuple[int, int, int]]
) -> None:
    disk.append(FULL)
    told = []
    for _hour in range(8):
        lookout = Lookout(engine)
        await lookout.look()
        told.append([one.text[:20] for one in await ana.owed()])
        clock.jump(timedelta(hours=1))
    assert [hour for hour, one in enumerate(told) if one] == [0, 6]
    disk.append(ROOMY)
    await lookout.look()
    assert [one.text for one in await ana.owed()] == ["The disk of the home has room again."]
    await Lookout(engine).look()
    assert await ana.owed() == []


async def test_a_language_model_that_is_silent_for_ten_minutes_is_told_and_its_return_too(
    lookout: Lookout, ana: Guest, clock: ManualClock, language: FakeLanguage
) -> None:
    language.fails = True
    for _time in range(2):
        await ana.says("Are you there?")
        await lookout.look()
        await clock.advance(10 * 60)
    assert "The language model" in "".join(one.text for one in await ana.owed())
    language.fails = False
    await ana.says("And now?")
    await lookout.look()
    assert "The language model is back." in [one.text for one in await ana.owed()]


async def test_a_single_reply_of_the_understudy_is_no_alert(
    lookout: Lookout, ana: Guest, clock: ManualClock, language: FakeLanguage
) -> None:
    language.fails = True
    await ana.says("Are you there?")
    for _minute in range(30):
        await clock.advance(60)
        await lookout.look()
    assert not any("language model" in one.text for one in await ana.owed())


async def test_a_picture_model_that_is_named_and_not_there_is_told_after_ten_minutes(
    settings: Settings,
) -> None:
    clock = ManualClock()
    pictures = PictureSettings(width=64, height=64, steps=3, model="nowhere.safetensors")
    named = settings.model_copy(update={"pictures": pictures})
    async with Engine.open(named, models=[FakeLanguage()], renderer=FakeRenderer(), clock=clock) as engine:
        ana, lookout = Guest(engine), Lookout(engine)
        await ana.gets("/help")
        await lookout.look()
        await clock.advance(9 * 60)
        await lookout.look()
        assert await ana.owed() == []
        await clock.advance(60)
        await lookout.look()
        assert (await ana.owed())[0].text.startswith("The picture model is down")


async def test_many_troubles_are_one_message(engine: Engine, lookout: Lookout, ana: Guest) -> None:
    for number in range(13):
        await post_in(engine, HALL, PostState.FAILED, key=str(number))
    await lookout.look()
    [told] = await ana.owed()
    assert len(told.text.splitlines()) == 11
    assert told.text.endswith("… and 3 more; the log has them.")


async def test_what_could_not_be_told_is_told_at_the_next_look(
    lookout: Lookout,
    ana: Guest,
    disk: list[tuple[int, int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk.append(FULL)

    async def away(*_args: Any, **_more: Any) -> Any:
        raise ConnectionError("the store is away")

    with monkeypatch.context() as broken:
        broken.setattr(troubles, "own_chats", away)
        with pytest.raises(ConnectionError):
            await lookout.look()
    await lookout.look()
    assert len(await ana.owed()) == 1


async def test_operators_are_told_where_they_spoke_last_and_not_where_they_left(
    database_url: str, settings: Settings
) -> None:
    here = settings.model_copy(update={"store": StoreSettings(database=SecretStr(database_url))})
    async with Engine.open(
        here, models=[FakeLanguage()], renderer=FakeRenderer(), clock=ManualClock()
    ) as engine:
        den = ChatRef("stage", "two", "den")
        for chat in (ROOM, den):
            assert isinstance(engine.clock, ManualClock)
            await engine.clock.advance(1)
            await Guest(engine, ANA, chat).orders("/help")
        assert await own(engine) == [den]
        async with engine.database.write() as tx:
            await chats.left(tx, den, engine.clock.now())
        assert await own(engine) == [ROOM]
        await post_in(engine, ROOM, PostState.FAILED)
        lookout = Lookout(engine)
        await lookout.look()
        await post_in(engine, ROOM, PostState.FAILED, key="second")
        await lookout.look()
        async with engine.database.read() as tx:
            texts = (await tx.execute(select(deliveries.c.text))).scalars().all()
        assert sum("came to nothing" in text for text in texts) == 1


async def own(engine: Engine) -> list[ChatRef]:
    async with engine.database.read() as tx:
        found = await troubles.own_chats(tx, ["stage:ana", "stage:nobody", "discord:role:4711"])
        places = [await chats.place_of(tx, one.chat_id) for one in found]
    return [place.ref for place in places if place]


class TestInAHouse:
    @pytest.fixture
    async def front(self, settings: Settings) -> AsyncIterator[FakeFront]:
        front = FakeFront()
        async with open_house(
            settings, [front], models=[FakeLanguage()], renderer=FakeRenderer(), clock=ManualClock()
        ):
            yield front

    async def test_whoever_runs_it_hears_at_once_that_a_place_showed_it_the_door(
        self, front: FakeFront
    ) -> None:
        await front.say("Hello.", "1", who="ana", chat="ana")
        await front.say("Hello.", "2", who="ben", chat="ben")
        for _reply in range(2):
            await front.arrived.get()
        desk = front.desk
        assert isinstance(desk, Desk)
        async with desk._engine.database.write() as tx:
            await chats.add_place(
                tx, front.chat("hall"), persona_id=None, now=desk._engine.clock.now(), shared=True
            )
        await desk.left(front.chat("ben"))
        await desk.left(front.chat("hall"))
        text = await _next(front, lambda text: "no longer welcome" in text)
        assert text.endswith("(stage hall).")
        [told] = [one for one in front.delivered if "no longer welcome" in one.delivery.text]
        assert told.chat == front.chat("ana")


async def _next(front: FakeFront, wanted: Callable[[str], bool]) -> str:
    while True:
        text = await front.arrived.get()
        if wanted(text):
            return text
