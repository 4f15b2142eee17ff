"""Fronts: what a delivery promises, what may be dropped, and what they say when nobody is there.

A front joins by a `Place` below: how somebody comes to its chat, what they see there, and how they leave again.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from PIL import Image

from bot.front import (
    ChatRef,
    Choice,
    Draft,
    Entry,
    Front,
    FrontDesk,
    Incoming,
    OptionKind,
    Outgoing,
    Progress,
    Question,
    Reaction,
)
from bot.testing import FakeFront
from bot.web import lines as lines_module
from bot.web.lines import Lines, Message
from engine.errors import NotReachable
from engine.language import Source
from engine.locales import locale_of
from engine.store.records import Account, Delivery, DeliveryKind, DeliveryState, Manner
from tests.bot.on_discord.place import OnDiscord
from tests.bot.telegram.place import OnTelegram
from tests.bot.web.place import on_a_page

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Place(Protocol):
    """A chat of a front, and somebody who may be in it."""

    @property
    def front(self) -> Front: ...

    @property
    def chat(self) -> ChatRef: ...

    @property
    def notices_absence(self) -> bool:
        """Whether the front can tell that nobody is there; a messenger keeps messages itself."""

    async def come(self) -> None: ...

    async def leave(self) -> None: ...

    def seen(self) -> list[str]:
        """The texts that stand there for good, repeats left out."""

    def listening(self) -> asyncio.Task[None] | None:
        """The front at work, where it has to be to show anything."""


class OnALine:
    """Somebody at the other end of the API, who says of everything that it was shown."""

    notices_absence = True

    def __init__(self) -> None:
        self.front = self.lines = Lines()
        self.chat = self.lines.chat("home")
        self.messages: list[Message] = []
        self.confirming = True
        self._stack = ExitStack()
        self._listening: asyncio.Task[None] | None = None

    async def come(self) -> None:
        line = self._stack.enter_context(self.lines.line(self.chat))
        self._listening = asyncio.create_task(self._listen(line))

    async def leave(self) -> None:
        if self._listening:
            self._listening.cancel()
        self._stack.close()

    def seen(self) -> list[str]:
        shown = {message["id"]: message["text"] for message in self.messages if message["is"] == "delivery"}
        return list(shown.values())

    def listening(self) -> None: ...

    async def _listen(self, line: asyncio.Queue[Message]) -> None:
        while True:
            message = await line.get()
            self.messages.append(message)
            if message["is"] == "delivery" and self.confirming:
                self.lines.confirm(self.chat, message["id"])


class OnAStage:
    """The fake that ships, where messages stay."""

    notices_absence = False

    def __init__(self) -> None:
        self.front = self.stage = FakeFront(keeps_messages=True)
        self.chat = self.stage.chat()

    async def come(self) -> None: ...

    async def leave(self) -> None: ...

    def seen(self) -> list[str]:
        return [one.text for one in self.stage.messages.values() if one.chat == self.chat and not one.draft]

    def listening(self) -> None: ...


@asynccontextmanager
async def on_a_line() -> AsyncIterator[Place]:
    place = OnALine()
    yield place
    await place.leave()


@asynccontextmanager
async def on_a_stage() -> AsyncIterator[Place]:
    yield OnAStage()


@asynccontextmanager
async def on_telegram() -> AsyncIterator[Place]:
    async with OnTelegram() as place:
        yield place


@asynccontextmanager
async def on_discord() -> AsyncIterator[Place]:
    place = OnDiscord()
    yield place
    await place.leave()


PLACES: dict[str, Callable[[], AbstractAsyncContextManager[Place]]] = {
    "line": on_a_line,
    "stage": on_a_stage,
    "telegram": on_telegram,
    "discord": on_discord,
    "page": on_a_page,
}


class Nobody:
    """A desk where nothing happens."""

    async def hear(self, incoming: Incoming) -> None: ...

    async def react(self, reaction: Reaction) -> None: ...

    async def moved(self, old: ChatRef, new: ChatRef) -> None: ...

    async def left(self, chat: ChatRef) -> None: ...

    def stop(self, chat: ChatRef) -> bool:
        return False

    def menu(self, language: str) -> list[Entry]:
        return [Entry("help", "What there is")]

    def languages(self) -> list[str]:
        return ["en"]

    async def suggestions(self, kind: OptionKind, typed: str, incoming: Incoming) -> list[Choice]:
        return []

    async def question(self, incoming: Incoming) -> tuple[str, Question] | None:
        return None

    def says(self, key: str, language: str, **facts: object) -> str:
        return locale_of(language).say(key, **facts)


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with PLACES[request.param]() as made:
        yield made


def owed(
    place: Place, text: str, number: int = 1, *, kind: DeliveryKind = DeliveryKind.NOTICE, **more: Any
) -> Outgoing:
    delivery = Delivery(
        number,
        place.chat,
        kind,
        DeliveryState.SENDING,
        text,
        nonce=f"nonce-{number}",
        created_at=NOON,
        source=Source.UNDERSTUDY,
        persona_name="Ada Quill",
        persona_slug="ada",
    )
    return Outgoing(delivery, **more)


async def shown(place: Place, outgoing: Outgoing) -> tuple[str, ...]:
    async with asyncio.timeout(30):
        return await place.front.deliver(outgoing)


def as_one(texts: list[str]) -> str:
    """White space between and around messages is the platform's."""
    return "".join("".join(texts).split())


def picture(colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(made, "PNG")
    return made.getvalue()


async def test_its_chats_are_its_own(place: Place) -> None:
    assert place.chat.front == place.front.name
    assert place.chat.account == place.front.account
    assert place.front.recognises_repeats in (True, False)
    assert place.front.keeps_messages in (True, False)


@pytest.mark.parametrize("kind", [DeliveryKind.NOTICE, DeliveryKind.REPLY])
async def test_what_is_delivered_is_seen_and_has_ids(place: Place, kind: DeliveryKind) -> None:
    await place.come()
    ids = await shown(place, owed(place, "Good evening.", kind=kind))
    assert all(isinstance(one, str) and one for one in ids)
    assert ids
    assert place.seen() == ["Good evening."]


@pytest.mark.parametrize(
    "text", ["x" * 8_000, "{{char}} %s <b>& *_`", "👩‍👩‍👧 שלום\n\n\ttab", "/help", "@everyone", "a\n" * 3_000]
)
async def test_any_text_arrives(place: Place, text: str) -> None:
    await place.come()
    await shown(place, owed(place, text))
    told = as_one(place.seen()).replace("\\", "").replace("\u200b", "")
    assert told == as_one([text])


@pytest.mark.parametrize(
    "text", ["**", "```", "# a\n" * 3_000, "|a|b|\n|-|-|\n" * 900, "[x](javascript:1)" * 500]
)
async def test_no_markup_of_a_persona_keeps_its_words_from_arriving(place: Place, text: str) -> None:
    await place.come()
    assert await shown(place, owed(place, text, kind=DeliveryKind.REPLY))
    assert place.seen()


async def test_one_after_the_other_arrives_in_order(place: Place) -> None:
    await place.come()
    for number in range(5):
        await shown(place, owed(place, f"line {number}", number + 1))
    assert place.seen() == [f"line {number}" for number in range(5)]


async def test_a_repeat_is_seen_as_once_where_the_front_says_so(place: Place) -> None:
    await place.come()
    for _ in range(2):
        again = owed(place, "Good evening.")
        await shown(place, replace(again, delivery=replace(again.delivery, unsure=True, attempts=2)))
    assert len(place.seen()) == (1 if place.front.recognises_repeats else 2)


async def test_nobody_is_not_reachable_until_somebody_comes(place: Place) -> None:
    if not place.notices_absence:
        pytest.skip("this front keeps messages for those who are away")
    with pytest.raises(NotReachable):
        await shown(place, owed(place, "Anybody?"))
    await place.come()
    await shown(place, owed(place, "Anybody?"))
    assert place.seen() == ["Anybody?"]


async def test_drafts_and_asides_may_be_dropped_and_never_fail(place: Place) -> None:
    ana = Account(place.front.name, "77", "Ana")
    await place.come()
    async with asyncio.timeout(20):
        for number in range(2):
            messages: tuple[str, ...] = ()
            for text in ("", "Good", "Good evening", "x" * 20_000):
                messages = await place.front.draft(Draft(place.chat, 4711 + number, text, messages=messages))
            heard = Incoming(place.chat, ana, "hm", f"77{number}")
            await place.front.tell(heard, "That was not understood.")
        nowhere = replace(place.chat, chat="5550001")
        await place.front.draft(Draft(nowhere, 4714, "Good"))
        await place.front.tell(Incoming(nowhere, ana, "hm", "770"), "That was not understood.")
        await place.front.progress(Progress(nowhere, "123", "half done"))
    assert place.seen() == [], "none of it is for good"


async def test_it_listens_until_it_is_told_to_stop(place: Place) -> None:
    desk: FrontDesk = Nobody()
    await place.come()
    running = place.listening() or asyncio.create_task(place.front.run(desk))
    await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# Fronts whose messages stay


@pytest.fixture
def staying(place: Place) -> Place:
    if not place.front.keeps_messages:
        pytest.skip("what this front shows scrolls away")
    return place


async def test_what_takes_a_message_s_place_is_there_instead(staying: Place) -> None:
    await staying.come()
    before = await shown(staying, owed(staying, "in line", 1))
    after = await shown(staying, owed(staying, "it was cancelled", 2, replaces=before))
    assert staying.seen() == ["it was cancelled"]
    assert after == before


async def test_a_draft_becomes_its_reply(staying: Place) -> None:
    await staying.come()
    messages = await staying.front.draft(Draft(staying.chat, 4711, "Good"))
    reply = owed(staying, "Good evening.", kind=DeliveryKind.REPLY, replaces=messages)
    await shown(staying, reply)
    assert staying.seen() == ["Good evening."]


async def test_a_picture_takes_the_place_of_its_card(staying: Place) -> None:
    await staying.come()
    card = await shown(staying, owed(staying, "in line", 1))
    await staying.front.progress(Progress(staying.chat, card[0], "half done", preview=picture("grey")))
    made = owed(staying, "on the roof", 2, kind=DeliveryKind.PICTURE, replaces=card, image=picture("red"))
    await shown(staying, made)
    assert staying.seen() == ["on the roof"]


async def test_a_message_that_is_gone_is_no_reason_to_lose_what_comes_instead(staying: Place) -> None:
    await staying.come()
    await shown(staying, owed(staying, "still there", 2, replaces=("424242",)))
    assert staying.seen() == ["still there"]


async def test_messages_can_be_taken_away_and_it_does_not_matter_whether_they_are_there(
    staying: Place,
) -> None:
    await staying.come()
    gone = await shown(staying, owed(staying, "a slip", 1))
    removal = owed(staying, "", 2, kind=DeliveryKind.REMOVAL)
    removal = replace(removal, delivery=replace(removal.delivery, manner=Manner(removes=(*gone, "424242"))))
    await shown(staying, removal)
    await shown(staying, replace(removal, delivery=replace(removal.delivery, id=3, nonce="nonce-3")))
    assert staying.seen() == []


# Lines: what only an open connection can do


@pytest.fixture
def line() -> OnALine:
    return OnALine()


async def test_what_nobody_confirms_was_not_shown(line: OnALine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "ANSWER_WITHIN", 0.05)
    line.confirming = False
    await line.come()
    with pytest.raises(NotReachable, match="Nobody said"):
        await line.front.deliver(owed(line, "Hello?"))
    line.lines.confirm(line.chat, 1)  # too late is no mistake
    line.lines.confirm(line.lines.chat("elsewhere"), 99)


async def test_a_line_that_broke_before_it_was_shown_gets_it_when_it_is_back(line: OnALine) -> None:
    line.confirming = False
    await line.come()
    delivering = asyncio.create_task(line.front.deliver(owed(line, "Hello?")))
    await asyncio.sleep(0.01)
    await line.leave()
    line.confirming = True
    await line.come()
    assert await asyncio.wait_for(delivering, 30) == ("1",)
    assert len(line.messages) == 2
    await line.leave()


async def test_everybody_on_a_chat_s_lines_sees_the_same(line: OnALine) -> None:
    await line.come()
    with line.lines.line(line.chat) as second, line.lines.line(line.lines.chat("hall")) as elsewhere:
        await line.front.deliver(owed(line, "Good evening."))
        assert second.get_nowait()["text"] == "Good evening."
        assert elsewhere.empty()
    await line.leave()


async def test_a_line_where_nobody_reads_costs_nobody_else_anything(line: OnALine) -> None:
    with line.lines.line(line.chat) as deaf:
        for number in range(lines_module.ROOM + 100):
            await line.front.draft(Draft(line.chat, 1, f"draft {number}"))
        assert deaf.full()
        with pytest.raises(NotReachable):
            await line.front.deliver(owed(line, "Hello?"))
        await line.come()
        await asyncio.wait_for(line.front.deliver(owed(line, "Hello?")), 30)
    await line.leave()
