"""What cannot, or must not, stand in a channel for all to see: it goes by the token of what was asked, and when that
is spent, to whoever asked, in private. What it says, and why it goes this way, others know.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import discord
import structlog

from bot.discord.failures import BAD_FORM, TOO_LARGE, code_of
from bot.discord.stage import Spot, Stage
from bot.discord.wire import Answer, Body, Ours
from bot.remembered import Remembered

log = structlog.get_logger(__name__)

#: Where somebody brought us along, Discord takes so many messages by one token, beside the first answer.
MOST = 5
#: Questions and people that are remembered.
REMEMBERED = 2_000
#: Somebody who takes nothing from us in private is asked again after so many seconds.
REST = 3_600.0


class Aside:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._sent: Remembered[int, int] = Remembered(REMEMBERED)
        self._channels: Remembered[int, int] = Remembered(REMEMBERED)
        self._turned_away: Remembered[int, float] = Remembered(REMEMBERED)

    async def send(self, spot: Spot, answer: Answer, body: Body, *, quiet: bool) -> str | None:
        """A new message for whoever asked; answers its id, and None where there is no way to them any more."""
        if answer.alive(self._stage.hurry) and self._sent.get(answer.interaction, 0) < MOST:
            try:
                message = await self._stage.send(spot, answer, replace(body, quiet=quiet))
            except discord.HTTPException as error:
                if error.status == 429 or error.status >= 500 or error.code in (BAD_FORM, TOO_LARGE):
                    raise
                log.info("answer_not_taken", interaction=answer.interaction, code=code_of(error))
                self._count(answer, MOST)
            else:
                self._count(answer, 1)
                return message
        return await self._in_private(spot, answer.user, body) if answer.user else None

    def _count(self, answer: Answer, more: int) -> None:
        if answer.guest or more == MOST:
            self._sent.keep(answer.interaction, self._sent.get(answer.interaction, 0) + more)

    async def _in_private(self, spot: Spot, user: int, body: Body) -> str | None:
        now = asyncio.get_running_loop().time()
        if self._turned_away.get(user, now) > now:
            return None
        channel = 0
        try:
            channel = self._channels.get(user) or await self._stage.wire.private(user)
            self._channels.keep(user, channel)
            return await self._stage.send(Spot(channel), Ours(channel), replace(body, quiet=False))
        except (discord.Forbidden, discord.NotFound) as error:
            if channel == spot.where:
                raise
            log.info("not_told_in_private", code=code_of(error))
            self._turned_away.keep(user, now + REST * self._stage.hurry)
            return None
