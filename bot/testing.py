"""A front for tests, shipped because others need it too: it keeps what it is shown, and fails when it is told to.

It keeps the contract of its seam, and the contract suite holds it to it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.front import Account, ChatRef, Draft, FrontDesk, Incoming, Outgoing, Progress
from engine.store.records import DeliveryKind


@dataclass
class Shown:
    """A message on the fake platform."""

    chat: ChatRef
    text: str
    outgoing: Outgoing | None = None
    draft: bool = False


@dataclass
class FakeFront:
    """Messages by their ids, in the order in which they first appeared; `errors` are raised one for each try."""

    name: str = "stage"
    account: str = "one"
    recognises_repeats: bool = True
    keeps_messages: bool = False
    #: How long everything takes, in seconds.
    slow: float = 0.0
    errors: list[Exception] = field(default_factory=list)
    #: What drafts and progress fail with.
    broken: Exception | None = None
    #: So many starts fail.
    dies: int = 0
    admins: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.messages: dict[str, Shown] = {}
        self.delivered: list[Outgoing] = []
        self.drafts: list[str] = []
        self.told: list[str] = []
        self.progressed: list[Progress] = []
        self.tries = 0
        self.runs = 0
        self.desk: FrontDesk | None = None
        #: Set at each try to show something.
        self.news = asyncio.Event()
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self._ids = itertools.count(1)
        self._known: dict[str, tuple[str, ...]] = {}

    async def run(self, desk: FrontDesk) -> None:
        self.runs += 1
        if self.runs <= self.dies:
            raise ConnectionError("the platform is away")
        self.desk = desk
        await asyncio.Event().wait()

    def chat(self, chat: str = "room", thread: str = "") -> ChatRef:
        return ChatRef(self.name, self.account, chat, thread)

    async def say(self, text: str, key: str, *, who: str = "guest", chat: str = "room") -> None:
        """Somebody says something, as soon as the front listens."""
        async with asyncio.timeout(30):
            while self.desk is None:  # noqa: ASYNC110 - it may be started several times until it listens
                await asyncio.sleep(0.01)
        account = Account(self.name, who, who.title())
        await self.desk.hear(Incoming(self.chat(chat), account, text, key, stranger=False))

    @property
    def texts(self) -> list[str]:
        """What was delivered, in order."""
        return [outgoing.delivery.text for outgoing in self.delivered]

    def seen(self, chat: ChatRef) -> list[str]:
        """What stands in a chat now."""
        return [one.text for one in self.messages.values() if one.chat == chat]

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        if self.broken:
            raise self.broken
        await asyncio.sleep(self.slow)
        self.drafts.append(draft.text)
        if not self.keeps_messages or not draft.text:
            return draft.messages
        if draft.messages:
            self.messages[draft.messages[0]].text = draft.text
            return draft.messages
        return (self._post(Shown(draft.chat, draft.text, draft=True)),)

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        self.tries += 1
        self.news.set()
        await asyncio.sleep(self.slow)
        if self.errors:
            raise self.errors.pop(0)
        delivery = outgoing.delivery
        if self.recognises_repeats and delivery.nonce in self._known:
            return self._known[delivery.nonce]
        self.delivered.append(outgoing)
        self.arrived.put_nowait(delivery.text)
        if delivery.kind is DeliveryKind.REMOVAL:
            self._remove(delivery.manner.removes)
            return ()
        there = [one for one in outgoing.replaces if one in self.messages]
        shown = Shown(outgoing.chat, delivery.text, outgoing)
        if there:
            self.messages[there[0]] = shown
            self._remove(there[1:])
            ids: tuple[str, ...] = (there[0],)
        else:
            ids = (self._post(shown),)
        self._known[delivery.nonce] = ids
        return ids

    async def tell(self, incoming: Incoming, text: str) -> None:
        self.told.append(text)
        self.arrived.put_nowait(text)

    async def progress(self, progress: Progress) -> None:
        if self.broken:
            raise self.broken
        await asyncio.sleep(self.slow)
        self.progressed.append(progress)
        if progress.message in self.messages:
            self.messages[progress.message].text = progress.text

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        return platform_id in self.admins

    def _post(self, shown: Shown) -> str:
        message = f"message-{next(self._ids)}"
        self.messages[message] = shown
        return message

    def _remove(self, messages: Sequence[str]) -> None:
        for one in messages:
            self.messages.pop(one, None)
