"""The front of those who come in through the API: terminals now. A line is one open connection to a chat.

What is delivered counts as shown when the other end says so; until somebody is on the line it is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bot.front import ChatRef, Draft, FrontDesk, Incoming, Outgoing, Progress
from bot.shown import picture_shown
from engine.errors import NotReachable
from engine.locales import say

#: How many things may wait on a line; beyond that somebody is not listening, and drafts are let go.
ROOM = 256
#: How long the other end may take to say that it has shown something.
ANSWER_WITHIN = 10.0

Message = dict[str, Any]


@dataclass
class Unconfirmed:
    """Sent, and nobody has said yet that it was shown."""

    message: Message
    shown: asyncio.Event = field(default_factory=asyncio.Event)


class Lines:
    """A Front whose platform is our own API."""

    recognises_repeats = True
    keeps_messages = False

    def __init__(self, name: str = "terminal", account: str = "home") -> None:
        self.name = name
        self.account = account
        self._open: dict[ChatRef, list[asyncio.Queue[Message]]] = {}
        self._unconfirmed: dict[tuple[ChatRef, int], Unconfirmed] = {}

    def chat(self, chat: str) -> ChatRef:
        return ChatRef(self.name, self.account, chat)

    async def run(self, desk: FrontDesk) -> None:
        """The API hears for us: there is nothing to listen to here."""
        await asyncio.Event().wait()

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        self._send(draft.chat, {"is": "draft", "text": draft.text})
        return ()

    async def tell(self, incoming: Incoming, text: str) -> None:
        self._send(incoming.chat, {"is": "told", "text": text})

    async def progress(self, progress: Progress) -> None:
        """Whoever is on a line hears of each step already."""

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        """Whoever has the home's secret has charge of all of it."""
        return True

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        delivery = outgoing.delivery
        waiting = Unconfirmed(_message(outgoing))
        self._unconfirmed[outgoing.chat, delivery.id] = waiting
        try:
            if not self._send(outgoing.chat, waiting.message):
                raise NotReachable(say("web.nobody_on_line"))
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    await waiting.shown.wait()
            except TimeoutError:
                raise NotReachable(say("web.not_confirmed")) from None
        finally:
            self._unconfirmed.pop((outgoing.chat, delivery.id), None)
        return (str(delivery.id),)

    def confirm(self, chat: ChatRef, delivery_id: int) -> None:
        """The other end has shown a delivery."""
        if waiting := self._unconfirmed.get((chat, delivery_id)):
            waiting.shown.set()

    @contextmanager
    def line(self, chat: ChatRef) -> Iterator[asyncio.Queue[Message]]:
        """Somebody is on the line for as long as this block lasts."""
        line: asyncio.Queue[Message] = asyncio.Queue(ROOM)
        self._open.setdefault(chat, []).append(line)
        # The line may have broken before these were shown.
        for (where, _id), waiting in self._unconfirmed.items():
            if where == chat:
                line.put_nowait(waiting.message)
        try:
            yield line
        finally:
            self._open[chat].remove(line)
            if not self._open[chat]:
                del self._open[chat]

    def _send(self, chat: ChatRef, message: Message) -> bool:
        reached = False
        for line in self._open.get(chat, ()):
            if not line.full():
                line.put_nowait(message)
                reached = True
        return reached


def _message(outgoing: Outgoing) -> Message:
    delivery = outgoing.delivery
    return {
        "is": "delivery",
        "id": delivery.id,
        "kind": delivery.kind.value,
        "text": delivery.text,
        "source": delivery.source.value if delivery.source else None,
        "by": {"name": delivery.persona_name, "slug": delivery.persona_slug},
        "turn": delivery.turn_id,
        "job": delivery.job_id,
        "pictures": [picture_shown(picture) for picture, _bytes in outgoing.pictures],
    }
