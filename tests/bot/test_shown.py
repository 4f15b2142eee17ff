"""What stands in a chat whose messages stay: drafts become replies, cards pictures, and what is taken back goes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select, update

from bot.front import Account, Attachment, ChatRef, Incoming
from bot.house import House, open_house
from bot.testing import FakeFront
from engine.settings import Settings
from engine.store import chats, messages, outbox
from engine.store.records import DeliveryKind, Manner
from engine.store.tables import pictures, reactions, shown_messages, turns
from engine.testing import FakeLanguage, FakeRenderer

ANA = Account("stage", "ana", "Ana", "en")
TOM = Account("stage", "tom", "Tom", "en")


class Stage:
    """A house with one front whose messages stay, and people who talk there."""

    def __init__(self, front: FakeFront, house: House) -> None:
        self.front = front
        self.house = house
        self.chat = front.chat()
        self.keys = 0

    async def hear(self, text: str, who: Account = ANA, **more: Any) -> None:
        self.keys += 1
        told = {"chat": self.chat, "account": who, "key": f"k{self.keys}", "stranger": False, **more}
        await self.house.desk.hear(Incoming(text=text, **told))

    def seen(self, chat: ChatRef | None = None) -> list[str]:
        return self.front.seen(chat or self.chat)

    async def until(self, so: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not so():  # noqa: ASYNC110 - what stands in a chat tells nobody
                await asyncio.sleep(0.005)

    async def settled(self, *texts: str) -> None:
        await self.until(lambda: self.seen() == list(texts))

    def message(self, text: str) -> str:
        return next(one for one, shown in self.front.messages.items() if shown.text == text)


@pytest.fixture
async def stage(settings: Settings, language: FakeLanguage, renderer: FakeRenderer) -> AsyncIterator[Stage]:
    front = FakeFront(keeps_messages=True)
    async with open_house(settings, [front], models=[language], renderer=renderer) as house:
        yield Stage(front, house)


async def test_a_draft_is_a_message_and_becomes_the_reply(stage: Stage, language: FakeLanguage) -> None:
    language.reply, language.pause = "one two three four", 0.02
    await stage.hear("Count!")
    await stage.until(lambda: any(shown.draft for shown in stage.front.messages.values()))
    await stage.settled("one two three four")
    [(message, shown)] = stage.front.messages.items()
    assert not shown.draft, "it is for good now"

    async def about() -> bool:
        async with stage.house.engine.database.read() as tx:
            place = await chats.place(tx, stage.chat)
            assert place is not None
            shows = await messages.about(tx, place.id, message)
            return shows is not None and shows.turn_id == place.head_turn_id

    async with asyncio.timeout(30):
        while not await about():  # noqa: ASYNC110 - it is written down a moment after it was shown
            await asyncio.sleep(0.005)


async def test_a_slow_draft_is_waited_for_and_not_left_beside_its_reply(
    stage: Stage, language: FakeLanguage
) -> None:
    language.reply, language.pause, stage.front.slow = "one two", 0.01, 0.15
    await stage.hear("Count!")
    await stage.until(lambda: [one.draft for one in stage.front.messages.values()] == [False])
    assert stage.seen() == ["one two"]


async def test_a_draft_of_an_earlier_life_is_taken_up(stage: Stage, language: FakeLanguage) -> None:
    front, engine = stage.front, stage.house.engine
    said = await engine.conversation.hear(Incoming(stage.chat, ANA, "Count!", "k77", stranger=False))
    assert said is not None
    before = await front.draft(_draft(stage, said.turn.id, "on"))
    async with engine.database.write() as tx:
        await messages.drafted(tx, said.place.id, said.turn.id, before)
    await stage.house.desk.resume()
    await stage.settled("Quite so.")


def _draft(stage: Stage, turn_id: int, text: str) -> Any:
    from bot.front import Draft

    return Draft(stage.chat, turn_id, text)


async def test_a_persona_s_words_come_with_its_face(stage: Stage) -> None:
    await stage.hear("Hello")
    await stage.settled("Quite so.")
    face = stage.front.delivered[0].face
    assert face is not None
    assert face.name
    assert (await face.picture()).startswith(b"\x89PNG")


async def test_a_card_becomes_its_picture_in_one_message(stage: Stage) -> None:
    await stage.hear("/imagine on the roof --count 2 --seed 7")
    await stage.until(lambda: any(one.image for one in stage.front.delivered))
    [shown] = stage.front.messages.values()
    assert shown.outgoing is not None
    assert shown.outgoing.delivery.kind is DeliveryKind.PICTURE
    assert "on the roof" in shown.text
    orders = [button.order for row in shown.outgoing.delivery.manner.buttons for button in row]
    assert orders == [
        *("upscale 1 1", "upscale 1 2", "vary 1 1", "vary 1 2"),
        *("reroll 1", "pose 1", "same 1", "reprompt 1", "showprompt 1", "delete 1"),
    ]
    assert len(stage.front.messages) == 1


async def test_a_failed_picture_says_why_and_can_be_tried_again_in_its_place(
    stage: Stage, renderer: FakeRenderer
) -> None:
    renderer.fails = 1
    await stage.hear("/imagine on the roof")
    await stage.until(lambda: any("told to fail" in text for text in stage.seen()))
    [shown] = stage.front.messages.values()
    assert shown.outgoing is not None
    assert [b.order for row in shown.outgoing.delivery.manner.buttons for b in row] == ["retry 1"]
    await stage.hear("/retry 1", pressed=True)
    await stage.until(lambda: any(one.image for one in stage.front.delivered))
    assert len(stage.front.messages) == 1


async def test_what_is_deleted_leaves_the_chat(stage: Stage) -> None:
    await stage.hear("/imagine on the roof")
    await stage.until(lambda: any(one.image for one in stage.front.delivered))
    await stage.hear("/delete 1", pressed=True)
    await stage.until(lambda: not any("on the roof" in text for text in stage.seen()))


async def test_another_answer_stands_where_the_first_one_stood(stage: Stage, language: FakeLanguage) -> None:
    await stage.hear("Hello")
    await stage.settled("Quite so.")
    before = stage.message("Quite so.")
    language.reply = "Not at all."
    await stage.hear("/regenerate")
    await stage.settled("Not at all.")
    assert stage.message("Not at all.") == before


async def test_what_is_taken_back_goes_and_a_word_says_so(stage: Stage) -> None:
    await stage.hear("Hello")
    await stage.settled("Quite so.")
    await stage.hear("/undo")
    await stage.until(lambda: stage.seen() == ["Taken back: “Hello”, and what was answered to it."])
    async with stage.house.engine.database.read() as tx:
        left = (await tx.execute(select(turns.c.text).where(turns.c.kind == "words"))).scalars().all()
    assert left == []


async def test_among_many_nobody_takes_back_what_somebody_else_was_told(stage: Stage) -> None:
    await stage.hear("Hello", shared=True, mentioned=True)
    await stage.settled("Quite so.")
    for order in ("/undo", "/regenerate"):
        await stage.hear(order, TOM, shared=True)
    await stage.until(lambda: len(stage.seen()) == 3)
    assert all("asked for it" in text for text in stage.seen()[1:])
    stage.front.admins.add("tom")
    await stage.hear("/undo", TOM, shared=True)
    await stage.until(lambda: any("Taken back" in text for text in stage.seen()))


async def test_only_whoever_asked_or_is_in_charge_stops_a_reply_among_many(
    stage: Stage, language: FakeLanguage
) -> None:
    language.reply, language.pause = "word " * 200, 0.02
    await stage.hear("Hello", shared=True, mentioned=True)
    await stage.until(lambda: any(shown.draft for shown in stage.front.messages.values()))
    await stage.hear("/stop", TOM, shared=True, pressed=True)
    assert stage.house.desk.answering(stage.chat)
    await stage.hear("/stop", shared=True, pressed=True)
    await stage.until(lambda: any(one.delivery.kind is DeliveryKind.REPLY for one in stage.front.delivered))
    reply = next(one for one in stage.front.delivered if one.delivery.kind is DeliveryKind.REPLY)
    assert len(reply.delivery.text.split()) < 200


async def test_a_stranger_is_told_what_it_is_before_anything_is_answered(stage: Stage) -> None:
    await stage.hear("Hello", replace(ANA, platform_id="new"), stranger=True)
    await stage.until(lambda: len(stage.seen()) == 2)
    assert "computer program" in stage.seen()[0]
    assert stage.seen()[1] == "Quite so."


@pytest.mark.parametrize("kind", ["photo", "voice", "video", "sticker", "file", "place"])
async def test_what_nobody_can_look_at_is_answered_with_a_sentence(stage: Stage, kind: str) -> None:
    await stage.hear("", attachments=(Attachment(kind, "x"),))
    await stage.until(lambda: len(stage.seen()) == 1)
    assert "cannot look" in stage.seen()[0]
    assert await stage.house.engine.conversation.unanswered() == []


async def test_a_place_where_nobody_wants_us_is_owed_nothing_until_somebody_speaks_there(
    stage: Stage,
) -> None:
    await stage.hear("Hello")
    await stage.settled("Quite so.")
    await stage.house.desk.left(stage.chat)
    await stage.house.desk.left(stage.chat)
    async with stage.house.engine.database.read() as tx:
        place = await chats.place(tx, stage.chat)
        assert place is not None
        assert place.left_at is not None
    await stage.hear("Hello again")
    await stage.settled("Quite so.", "Quite so.")


async def test_faces_of_the_cast_come_as_one_picture(stage: Stage) -> None:
    await stage.hear("/persona")
    await stage.until(lambda: stage.front.delivered)
    with Image.open(BytesIO(stage.front.delivered[0].image)) as gallery:
        assert gallery.width > gallery.height > 256


async def test_whoever_is_forgotten_leaves_no_message_of_ours_behind_in_the_rows(stage: Stage) -> None:
    await stage.hear("Hello")
    await stage.settled("Quite so.")
    await stage.hear("/forget yes")
    engine = stage.house.engine

    async def counted(table: Any) -> int:
        async with engine.database.read() as tx:
            return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())

    async with asyncio.timeout(30):
        while await counted(turns) + await counted(shown_messages) + await counted(reactions):  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.01)
    async with engine.database.read() as tx:
        assert await chats.place(tx, stage.chat) is None


async def test_trouble_with_the_store_names_no_folder_to_anybody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.errors import StoreError

    async def full(*_args: object, **_more: object) -> None:
        raise StoreError("/home/secret/greenroom.db is full")

    monkeypatch.setattr(stage.house.engine.conversation, "_store_reply", full)
    await stage.hear("Hello")
    await stage.until(lambda: any(not shown.draft for shown in stage.front.messages.values()))
    assert not any("secret" in text for text in stage.front.texts)
    assert any("in the log" in text for text in stage.front.texts)


# What went wrong once


async def test_two_stops_are_one_and_the_answer_is_kept(stage: Stage, language: FakeLanguage) -> None:
    language.reply, language.pause = "word " * 200, 0.02
    await stage.hear("Hello")
    await stage.until(lambda: any(shown.draft for shown in stage.front.messages.values()))
    assert stage.house.desk.stop(stage.chat)
    stage.house.desk.stop(stage.chat)
    await stage.until(lambda: [one.draft for one in stage.front.messages.values()] == [False])
    language.reply, language.pause = "Quite so.", 0
    await stage.hear("And now?")
    await stage.until(lambda: stage.seen()[-1] == "Quite so.")


async def test_a_stop_that_is_told_again_stops_nothing_else(stage: Stage, language: FakeLanguage) -> None:
    await stage.hear("/stop")
    again = f"k{stage.keys}"
    await stage.until(lambda: len(stage.front.delivered) == 1)
    language.reply, language.pause = "one two three four five", 0.02
    await stage.hear("Count!")
    await stage.until(lambda: any(shown.draft for shown in stage.front.messages.values()))
    await stage.hear("/stop", key=again)
    await stage.until(lambda: stage.seen()[-1] == "one two three four five")


async def test_what_is_stopped_and_asked_for_again_at_once_is_made(
    stage: Stage, renderer: FakeRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing, go_on = threading.Event(), threading.Event()
    render = renderer.render

    def slowly(wanted: Any, progress: Any) -> Any:
        drawing.set()
        go_on.wait(30)
        return render(wanted, progress)

    monkeypatch.setattr(renderer, "render", slowly)
    await stage.hear("/imagine on the roof")
    await asyncio.to_thread(drawing.wait, 30)
    await stage.hear("/cancel 1", pressed=True)
    await stage.until(lambda: not stage.house.desk.answering(stage.chat))
    await stage.hear("/retry 1", pressed=True)
    await stage.until(lambda: not stage.house.desk.answering(stage.chat))
    go_on.set()
    await stage.until(lambda: any(one.image for one in stage.front.delivered))


async def test_words_that_are_taken_back_while_they_are_sent_do_not_stay(stage: Stage) -> None:
    stage.front.slow = 0.2
    await stage.hear("Hello")
    await stage.until(lambda: stage.front.tries)
    await stage.hear("/undo")
    await stage.until(lambda: any("Taken back" in text for text in stage.seen()))
    await stage.until(lambda: "Quite so." not in stage.seen())
    assert stage.front.texts.count("Quite so.") <= 1


async def test_pictures_that_are_deleted_before_they_are_shown_hold_nothing_up(stage: Stage) -> None:
    engine = stage.house.engine
    await stage.hear("/imagine on the roof")
    await stage.until(lambda: any(one.image for one in stage.front.delivered))
    async with engine.database.write() as tx:
        place = await chats.place(tx, stage.chat)
        assert place is not None
        await tx.execute(update(pictures).values(deleted_at=engine.clock.now()))
        await outbox.owe(tx, place.id, DeliveryKind.PICTURE, job_id=1, now=engine.clock.now())
        await outbox.owe(tx, place.id, DeliveryKind.NOTICE, text="still there", now=engine.clock.now())
        gone = Manner(faces=(4711,))
        await outbox.owe(
            tx, place.id, DeliveryKind.NOTICE, text="nobody", manner=gone, now=engine.clock.now()
        )
    engine.events.publish("notice.stored", chat=stage.chat)
    await stage.until(lambda: "still there" in stage.seen() and "nobody" in stage.seen())


async def test_orders_to_other_bots_are_none_of_our_business(stage: Stage) -> None:
    await stage.hear("/ban everybody", shared=True)
    await stage.hear("x" * 100_000, shared=True)
    await stage.hear("/ban everybody", shared=True, mentioned=True)
    await stage.until(lambda: stage.seen())
    assert stage.front.told == []
    assert len(stage.seen()) == 1


async def test_a_refusal_is_in_the_language_that_somebody_chose(stage: Stage) -> None:
    await stage.hear("/settings language de")
    await stage.until(lambda: stage.front.delivered)
    await stage.hear("x" * 100_000)
    assert "Zeichen" in stage.front.told[0]


async def test_a_front_that_hangs_does_not_keep_the_house_open(
    settings: Settings, language: FakeLanguage, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = FakeFront(keeps_messages=True)
    language.reply, language.pause = "word " * 500, 0.02
    hanging = asyncio.Event()

    async def hang(_draft: object) -> tuple[str, ...]:
        hanging.set()
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(front, "draft", hang)
    async with asyncio.timeout(20):
        async with open_house(settings, [front], models=[language]) as house:
            stage = Stage(front, house)
            await stage.hear("Hello")
            await hanging.wait()


async def test_what_was_begun_and_cannot_be_finished_does_not_stay_half_said(stage: Stage) -> None:
    engine = stage.house.engine
    said = await engine.conversation.hear(Incoming(stage.chat, ANA, "Count!", "k77", stranger=False))
    assert said is not None
    before = await stage.front.draft(_draft(stage, said.turn.id, "half of"))
    async with engine.database.write() as tx:
        await messages.drafted(tx, said.place.id, said.turn.id, before)
        await tx.execute(update(turns).where(turns.c.id == said.turn.id).values(attempts=7))
    await stage.house.desk.resume()
    await stage.until(lambda: any("several times" in text for text in stage.seen()))
    assert len(stage.seen()) == 1
