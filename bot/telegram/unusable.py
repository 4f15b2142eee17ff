"""The front of a token that is none: it says so when it is started, and keeps what its chats are owed."""

from __future__ import annotations

import re

from bot.front import ChatRef, Draft, FrontDesk, Incoming, Outgoing, Progress
from engine.errors import NotReachable, SettingsError
from engine.locales import say

_TOKEN = re.compile(r"\d{1,20}:[\w-]+", re.ASCII)


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def account_of(token: str) -> str:
    """The bot's id, which stands before the colon; what has none gets no account of its own."""
    number = token.partition(":")[0].strip()
    return number if number.isdecimal() else "unknown"


class Unusable:
    name = "telegram"
    recognises_repeats = False
    keeps_messages = True

    def __init__(self, account: str) -> None:
        self.account = account

    async def run(self, desk: FrontDesk) -> None:
        raise SettingsError(say("telegram.token.malformed", bot=self.account))

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        return draft.messages

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        raise NotReachable(say("telegram.token.malformed", bot=self.account))

    async def tell(self, incoming: Incoming, text: str) -> None: ...

    async def progress(self, progress: Progress) -> None: ...

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        return False
