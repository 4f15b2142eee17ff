"""How fast Telegram may be spoken to. The buckets are pure; `Pace` waits by them. It knows no message."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

#: So many chats remember how much was said there; who was quiet for longer has a full bucket anyway.
REMEMBERED = 10_000
#: In so many chats at once Telegram asks to wait only when it means all of them.
EVERYWHERE = 10
#: How often whoever waits long looks after what it left standing.
MEANWHILE = 5.0
#: Where so many seconds of what must be said wait already, nothing that may be dropped is shown.
BUSY = 10.0

Meanwhile = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Rate:
    """`burst` at once, then one every `every` seconds."""

    burst: int
    every: float


@dataclass(frozen=True)
class Rates:
    """A little less than what Telegram allows: a message a second, 20 a minute in groups, 30 a second in all."""

    chat: Rate = Rate(3, 1.05)
    group: Rate = Rate(6, 4.2)
    overall: Rate = Rate(10, 1 / 28)
    draft: Rate = Rate(3, 0.6)


@dataclass
class Bucket:
    """Tokens, and when they were counted. More may be taken than are there: the next ones wait for it."""

    rate: Rate
    tokens: float = field(init=False)
    counted_at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = float(self.rate.burst)

    def missing(self, now: float, keep: int = 0) -> float:
        """Seconds until one may be taken, and `keep` are still there for others."""
        gained = max(0.0, now - self.counted_at) / self.rate.every
        self.tokens = min(float(self.rate.burst), self.tokens + gained)
        self.counted_at = max(now, self.counted_at)
        short = min(1 + keep, self.rate.burst) - self.tokens
        return max(0.0, short * self.rate.every)

    def take(self) -> None:
        self.tokens -= 1


@dataclass
class ChatPace:
    """What was said in one chat."""

    messages: Bucket
    drafts: Bucket
    group: Bucket | None
    #: Telegram asked not to be spoken to here before.
    until: float = 0.0
    #: One at a time, in the order in which they came.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def missing(self, now: float, keep: int = 0) -> float:
        waits = [bucket.missing(now, keep) for bucket in (self.messages, self.group) if bucket]
        return max(self.until - now, *waits)

    def take(self) -> None:
        self.messages.take()
        if self.group:
            self.group.take()


class Pace:
    """What must be said waits its turn; what may be dropped goes only where there is room."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        hurry: float = 1.0,
        rates: Rates = Rates(),
    ) -> None:
        self._clock = clock
        #: All waits are this much shorter, for a platform whose limits are.
        self._hurry = hurry
        self._rates = rates
        self._overall = Bucket(rates.overall)
        self._everywhere_until = 0.0
        self._chats: OrderedDict[str, ChatPace] = OrderedDict()

    def now(self) -> float:
        """In Telegram's seconds."""
        return self._clock() / self._hurry

    def real(self, seconds: float) -> float:
        """Telegram's seconds in those of this machine's clock."""
        return seconds * self._hurry

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(self.real(seconds))

    @asynccontextmanager
    async def turn(self, chat: str, meanwhile: Meanwhile | None = None) -> AsyncIterator[None]:
        """Wait until something may be said in a chat; whoever comes later waits until it has been. A long wait is
        not idle: now and then there is something to do `meanwhile`.
        """
        here = self._chat(chat)
        async with here.turn:
            while (wait := here.missing(self.now())) > 0:
                await self._until(self.now() + wait, meanwhile)
            # Taken before the wait, so that those who wait for the same second stand in line and not in a crowd.
            wait = max(self._overall.missing(self.now()), self._everywhere_until - self.now())
            self._overall.take()
            await self._until(self.now() + wait, meanwhile)
            here.take()
            yield

    async def _until(self, moment: float, meanwhile: Meanwhile | None) -> None:
        while (left := moment - self.now()) > 0:
            await self.sleep(min(left, MEANWHILE))
            if meanwhile and left > MEANWHILE:
                await meanwhile()

    @asynccontextmanager
    async def room(self, chat: str, *, draft: bool = False) -> AsyncIterator[bool]:
        """Whether something that may be dropped may be said now; then it counts as said, and nothing else is said
        there meanwhile. The last of it is kept for what must be said.
        """
        here = self._chat(chat)
        if here.turn.locked() or not self._taken(here, draft=draft):
            yield False
        else:
            async with here.turn:
                yield True

    def _taken(self, here: ChatPace, *, draft: bool) -> bool:
        now = self.now()
        if max(here.until, self._everywhere_until) > now:
            return False
        if draft:
            if here.drafts.missing(now) > 0 or self._overall.missing(now) > BUSY:
                return False
            here.drafts.take()
            return True
        if (
            here.missing(now, keep=1) > 0
            or self._overall.missing(now, keep=self._rates.overall.burst // 2) > 0
        ):
            return False
        here.take()
        self._overall.take()
        return True

    def flooded(self, chat: str, seconds: float) -> None:
        """Telegram asks to wait."""
        now = self.now()
        here = self._chat(chat)
        here.until = max(here.until, now + seconds + 0.05)
        asked = [one.until for one in self._chats.values() if one.until > now]
        if len(asked) >= EVERYWHERE:
            self._everywhere_until = max(self._everywhere_until, min(asked))

    def _chat(self, chat: str) -> ChatPace:
        here = self._chats.get(chat)
        if here is None:
            group = Bucket(self._rates.group) if chat.startswith(("-", "@")) else None
            here = self._chats[chat] = ChatPace(Bucket(self._rates.chat), Bucket(self._rates.draft), group)
            for old in list(self._chats)[: max(0, len(self._chats) - REMEMBERED)]:
                if not self._chats[old].turn.locked():
                    del self._chats[old]
        self._chats.move_to_end(chat)
        return here
