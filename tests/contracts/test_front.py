"""Fronts: what a delivery promises, what may be dropped, and what they say when nobody is there.

A front joins by a `Place` below: how somebody comes to its chat, what they see there, and how they leave again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import pytest

from bot.front import ChatRef, Front, Incoming, Outgoing
from bot.web import lines as lines_module
from bot.web.lines import Lines, Message
from engine.errors import NotReachable
from engine.language import Source
from engine.store.records import Delivery, DeliveryKind, DeliveryState

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
        """The texts that were shown for good, repeats left out."""


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

    async def _listen(self, line: asyncio.Queue[Message]) -> None:
        while True:
            message = await line.get()
            self.messages.append(message)
            if message["is"] == "delivery" and self.confirming:
                self.lines.confirm(self.chat, message["id"])


PLACES: dict[str, Callable[[], Place]] = {"line": OnALine}


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    made = PLACES[request.param]()
    yield made
    await made.leave()


def owed(place: Place, text: str, number: int = 1) -> Outgoing:
    return Outgoing(
        Delivery(
            number,
            place.chat,
            DeliveryKind.REPLY,
            DeliveryState.SENDING,
            text,
            nonce=f"nonce-{number}",
            created_at=NOON,
            source=Source.UNDERSTUDY,
            persona_name="Ada Quill",
            persona_slug="ada",
        )
    )


async def test_its_chats_are_its_own(place: Place) -> None:
    assert place.chat.front == place.front.name
    assert place.chat.account == place.front.account
    assert place.front.recognises_repeats in (True, False)


async def test_what_is_delivered_is_seen_and_has_ids(place: Place) -> None:
    await place.come()
    ids = await asyncio.wait_for(place.front.deliver(owed(place, "Good evening.")), 5)
    assert all(isinstance(one, str) and one for one in ids)
    assert ids
    assert place.seen() == ["Good evening."]


@pytest.mark.parametrize(
    "text", ["x" * 8_000, "{{char}} %s <b>& *_`", "👩‍👩‍👧 שלום\n\n\ttab", "/help", "@everyone"]
)
async def test_any_text_arrives(place: Place, text: str) -> None:
    await place.come()
    await asyncio.wait_for(place.front.deliver(owed(place, text)), 5)
    assert "".join(place.seen()).replace("\n", "") == text.replace("\n", "")


async def test_one_after_the_other_arrives_in_order(place: Place) -> None:
    await place.come()
    for number in range(5):
        await asyncio.wait_for(place.front.deliver(owed(place, f"line {number}", number)), 5)
    assert place.seen() == [f"line {number}" for number in range(5)]


async def test_a_repeat_is_seen_as_once_where_the_front_says_so(place: Place) -> None:
    await place.come()
    for _ in range(2):
        await asyncio.wait_for(place.front.deliver(owed(place, "Good evening.")), 5)
    assert len(place.seen()) == (1 if place.front.recognises_repeats else 2)


async def test_nobody_is_not_reachable_until_somebody_comes(place: Place) -> None:
    if not place.notices_absence:
        pytest.skip("this front keeps messages for those who are away")
    with pytest.raises(NotReachable):
        await asyncio.wait_for(place.front.deliver(owed(place, "Anybody?")), 5)
    await place.come()
    await asyncio.wait_for(place.front.deliver(owed(place, "Anybody?")), 5)
    assert place.seen() == ["Anybody?"]


async def test_drafts_and_asides_may_be_dropped_and_never_fail(place: Place) -> None:
    for _ in range(2):
        for text in ("", "Good", "Good evening", "x" * 20_000):
            await asyncio.wait_for(place.front.draft(place.chat, text), 5)
        await asyncio.wait_for(place.front.tell(place.chat, "That was not understood."), 5)
        await place.come()
    await place.front.draft(replace(place.chat, chat="nobody-was-ever-here"), "Good")
    assert place.seen() == [], "none of it is for good"


async def test_it_listens_until_it_is_told_to_stop(place: Place) -> None:
    async def hear(_incoming: Incoming) -> None: ...

    running = asyncio.create_task(place.front.run(hear))
    await asyncio.sleep(0.01)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# Lines: what only an open connection can do


@pytest.fixture
def line() -> OnALine:
    return OnALine()


async def test_what_nobody_confirms_was_not_shown(line: OnALine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "ANSWER_WITHIN", 0.05)
    line.confirming = False
    await line.come()
    with pytest.raises(NotReachable, match="nobody said"):
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
    assert await asyncio.wait_for(delivering, 1) == ("1",)
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
            await line.front.draft(line.chat, f"draft {number}")
        assert deaf.full()
        with pytest.raises(NotReachable):
            await line.front.deliver(owed(line, "Hello?"))
        await line.come()
        await asyncio.wait_for(line.front.deliver(owed(line, "Hello?")), 1)
    await line.leave()
