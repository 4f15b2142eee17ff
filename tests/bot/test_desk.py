"""The front desk: stored first, then answered, in order within a chat and at once across chats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from sqlalchemy import select

from bot import commands
from bot.desk import Desk
from bot.front import ChatRef, Incoming, OptionKind
from bot.testing import FakeFront
from engine.engine import Engine
from engine.language import ReplyWanted, Wanted
from engine.store import chats
from engine.store.records import Account, DeliveryKind, TurnState
from engine.store.tables import deliveries, turns
from engine.testing import FakeLanguage


def room(name: str = "room") -> ChatRef:
    return ChatRef("stage", "one", name)


def told(wanted: Wanted) -> list[str]:
    """The talk that a model was given."""
    assert isinstance(wanted, ReplyWanted)
    return [line.text for line in wanted.lines]


class Guest:
    def __init__(self, engine: Engine, desk: Desk) -> None:
        self.engine = engine
        self.desk = desk
        self.keys = 0

    async def says(self, text: str, *, chat: str = "room", key: str = "") -> None:
        self.keys += 1
        ana = Account("stage", "ana", "Ana")
        await self.desk.hear(Incoming(room(chat), ana, text, key or str(self.keys), stranger=False))

    async def owed(self, kind: DeliveryKind | None = None) -> list[str]:
        """What all chats were promised, in order."""
        found = select(deliveries.c.kind, turns.c.text, deliveries.c.text.label("words"))
        found = found.outerjoin(turns, turns.c.id == deliveries.c.turn_id).order_by(deliveries.c.id)
        async with self.engine.database.read() as tx:
            rows = (await tx.execute(found)).all()
        return [row.text or row.words for row in rows if kind is None or row.kind == kind.value]

    async def states(self) -> list[str]:
        heard = select(turns.c.state).where(turns.c.person_id.is_not(None)).order_by(turns.c.id)
        async with self.engine.database.read() as tx:
            return list((await tx.execute(heard)).scalars())


@pytest.fixture
def stage() -> FakeFront:
    return FakeFront()


@pytest.fixture
async def desk(engine: Engine, stage: FakeFront) -> AsyncIterator[Desk]:
    opened = Desk(engine, [stage])
    yield opened
    await opened.close()


@pytest.fixture
def ana(engine: Engine, desk: Desk) -> Guest:
    return Guest(engine, desk)


async def test_words_are_answered_and_a_command_is_done(ana: Guest, desk: Desk) -> None:
    await ana.says("Hello")
    await ana.says("/queue")
    assert desk.answering(room())
    await desk.quiet()
    assert await ana.owed() == ["Quite so.", "Nothing of yours is in line."]
    assert await ana.states() == ["answered", "answered"]
    assert not desk.answering(room())


async def test_a_chat_is_answered_in_order(ana: Guest, desk: Desk, language: FakeLanguage) -> None:
    language.pause = 0.005
    for number in range(5):
        await ana.says(f"Word {number}")
    await desk.quiet()
    assert [told(wanted)[-1] for wanted in language.asked] == [f"Word {number}" for number in range(5)]
    assert len(told(language.asked[-1])) == 9


async def test_chats_are_answered_at_once(
    ana: Guest, desk: Desk, language: FakeLanguage, monkeypatch: pytest.MonkeyPatch
) -> None:
    language.pause = 0.1
    together, most, write = 0, 0, language.write

    async def counted(wanted: Wanted) -> AsyncGenerator[str, None]:
        nonlocal together, most
        together += 1
        most = max(most, together)
        async for piece in write(wanted):
            yield piece
        together -= 1

    monkeypatch.setattr(language, "write", counted)
    for number in range(10):
        await ana.says("Hello", chat=f"room-{number}")
    await desk.quiet()
    assert most > 5
    assert len(await ana.owed()) == 10


async def test_what_is_heard_twice_is_answered_once(ana: Guest, desk: Desk) -> None:
    for _ in range(3):
        await ana.says("Hello", key="update-7")
    await desk.quiet()
    assert await ana.owed() == ["Quite so."]


async def test_what_is_refused_is_told_at_once_and_not_kept(ana: Guest, stage: FakeFront) -> None:
    await ana.says("  ")
    assert "nothing to read" in stage.told[0]
    assert await ana.states() == []


async def test_what_cannot_be_done_is_explained_and_not_tried_again(
    ana: Guest, desk: Desk, engine: Engine
) -> None:
    await ana.says("/dance")
    await desk.quiet()
    [said] = await ana.owed()
    assert "/help" in said
    assert await ana.states() == [TurnState.FAILED]
    assert await engine.conversation.unanswered() == []


async def test_a_mistake_of_ours_is_said_with_the_number_that_is_in_the_log(
    ana: Guest, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_call: object) -> None:
        raise ZeroDivisionError("secret inside")

    dance = commands.Command("dance", broken)
    monkeypatch.setattr(commands, "COMMANDS", {**commands.COMMANDS, "dance": dance})
    await ana.says("/dance")
    await ana.says("Still there?")
    await desk.quiet()
    said, answer = await ana.owed()
    assert "turn 1 in the log" in said
    assert "secret" not in said
    assert answer == "Quite so."


async def test_a_draft_is_shown_as_it_grows_and_never_delays_the_reply(
    ana: Guest, desk: Desk, stage: FakeFront, language: FakeLanguage
) -> None:
    language.reply, language.pause, stage.slow = "one two three four five six", 0.01, 0.3
    await ana.says("Count!")
    await desk.quiet()
    assert stage.drafts[0] == ""
    assert len(stage.drafts) < 6, "only the latest text counts"
    assert await ana.owed() == ["one two three four five six"]


async def test_a_draft_that_is_a_message_does_not_come_before_what_the_chat_is_owed_already(
    ana: Guest, desk: Desk, stage: FakeFront, language: FakeLanguage
) -> None:
    stage.keeps_messages, language.pause = True, 0.02
    await ana.says("Hello")
    await desk.quiet()
    assert any(stage.drafts), "where nothing is owed it grows in sight"
    stage.drafts.clear()
    await ana.says("And then?")  # nobody has shown the first reply yet
    await desk.quiet()
    assert not any(stage.drafts)
    assert await ana.owed() == ["Quite so.", "Quite so."]


async def test_a_front_that_cannot_show_drafts_still_gets_the_reply(
    ana: Guest, desk: Desk, stage: FakeFront, language: FakeLanguage
) -> None:
    stage.broken, language.pause = ConnectionError("the platform is away"), 0.005
    await ana.says("Hello")
    await desk.quiet()
    assert await ana.owed() == ["Quite so."]


async def test_a_stop_ends_the_reply_and_not_the_talk(
    ana: Guest, desk: Desk, stage: FakeFront, language: FakeLanguage
) -> None:
    language.reply, language.pause = "one two three four five six", 0.02
    assert not desk.stop(room())
    await ana.says("Count!")
    await ana.says("Hello?")
    async with asyncio.timeout(30):
        while not any("two" in text for text in stage.drafts):  # noqa: ASYNC110 - the draft tells nobody
            await asyncio.sleep(0.005)
    assert not desk.stop(room("another"))
    assert desk.stop(room())
    language.pause = 0.0
    await desk.quiet()
    stopped, whole = await ana.owed()
    assert stopped.startswith("one two")
    assert (whole, len(stopped) < len(whole)) == ("one two three four five six", True)


async def test_a_closed_desk_hears_and_leaves_the_answer_for_the_next_start(
    engine: Engine, ana: Guest, desk: Desk, stage: FakeFront, language: FakeLanguage
) -> None:
    language.reply, language.pause = "never " * 1_000, 0.01
    await ana.says("Hello")
    await ana.says("And?")
    await asyncio.sleep(0.03)
    await desk.close()
    await ana.says("One more")
    await asyncio.sleep(0.01)
    assert await ana.owed() == []
    assert set(await ana.states()) == {TurnState.RECEIVED}

    language.reply, language.pause = "Quite so.", 0.0
    next_desk = Desk(engine, [stage])
    await next_desk.resume()
    await next_desk.quiet()
    assert await ana.owed() == ["Quite so."] * 3
    assert told(language.asked[-1])[-1] == "One more"


async def test_a_chat_of_a_front_that_is_gone_is_answered_all_the_same(engine: Engine, ana: Guest) -> None:
    """Its turns were heard in an earlier life; the answers wait in the outbox until it is back."""
    ana.desk._closed = True
    await ana.says("Hello")
    without = Desk(engine, [])
    await without.resume()
    await without.quiet()
    assert await ana.owed() == ["Quite so."]


async def test_what_was_stored_is_answered_although_whoever_told_it_is_cancelled(
    ana: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, storing, add = asyncio.get_running_loop(), asyncio.Event(), chats.add_turn

    async def slowly(*args: object, **more: object) -> object:
        loop.call_soon_threadsafe(storing.set)
        time.sleep(0.05)  # noqa: ASYNC251 - on a thread of the store's, which waits for nothing but its database
        return await add(*args, **more)  # type: ignore[arg-type]  # passed on as it came

    with monkeypatch.context() as patched:
        patched.setattr(chats, "add_turn", slowly)
        telling = asyncio.create_task(ana.says("Are you there?", key="1"))
        await storing.wait()
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
    await ana.desk.quiet()
    assert await ana.states() == ["answered"]
    await ana.says("Are you there?", key="1")
    await ana.desk.quiet()
    assert await ana.states() == ["answered"]


async def test_what_is_suggested_depends_on_who_is_in_the_chat(ana: Guest, desk: Desk) -> None:
    async def outfits(chat: str) -> list[str]:
        who = Account("stage", "ana", "Ana")
        typed = Incoming(room(chat), who, '/imagine a walk --outfit ""', "typed", stranger=False)
        return [one.value for one in await desk.suggestions(OptionKind.OUTFIT, "", typed)]

    await ana.says("/persona glenys")
    await ana.says("/persona wiebe", chat="hall")
    await desk.quiet()
    assert await outfits("room")
    assert set(await outfits("room")).isdisjoint(await outfits("hall"))
