"""Answers that people are waiting for: the messages that say “… is thinking” until what was asked for stands there.

It knows which are open and how they are reached, and nothing of what will be said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import discord

from bot.discord.wire import EPHEMERAL, LOADING, Answer, Ours, Wire
from bot.remembered import Remembered

REMEMBERED = 2_000


@dataclass(frozen=True)
class Open:
    """An answer that is still owed: its message, the way to it, and whether only one person sees it."""

    message: str
    at: Answer | Ours
    quiet: bool


class Answers:
    def __init__(self, wire: Wire, hurry: float) -> None:
        self._wire = wire
        self._hurry = hurry
        self._open: Remembered[str, Open] = Remembered(REMEMBERED)
        self._given: Remembered[str, None] = Remembered(REMEMBERED)

    def expect(self, message: str, answer: Answer, *, quiet: bool) -> None:
        """A command was met with “thinking”."""
        self._open.keep(message, Open(message, replace(answer, first=True, quiet=quiet), quiet))

    def given(self, message: str) -> None:
        """It says something else now, or is gone: whatever comes later is a message of its own."""
        self._open.pop(message, None)
        self._given.keep(message, None)

    async def owed(self, message: str, opaque: str, channel: int) -> Open | None:
        """The open answer that a message is, also one that a process before this one left open."""
        answer = Answer.read(opaque)
        if not message or answer is None or message in self._given:
            return None
        alive = answer.alive(self._hurry)
        if answer.guest and not alive:
            return None
        known = self._open.get(message)
        if known is not None and alive:
            return known
        at = replace(answer, first=True) if alive else Ours(channel)
        if known is not None:
            # Its token has died; what everybody sees can still be changed as any message of ours.
            return None if known.quiet else replace(known, at=at)
        return await self._left_open(message, at)

    async def _left_open(self, message: str, at: Answer | Ours) -> Open | None:
        try:
            there = await self._wire.get(at, message)
        except discord.HTTPException:
            return None
        if there is None or str(there.get("id")) != message or not int(there.get("flags") or 0) & LOADING:
            self.given(message)
            return None
        quiet = bool(int(there["flags"]) & EPHEMERAL)
        return Open(message, replace(at, quiet=quiet) if isinstance(at, Answer) else at, quiet)
