"""Under whose name a message goes out: through a channel's one webhook where that can be, else as the bot itself.

What is said, it does not know.
"""

from __future__ import annotations

import asyncio
import re

import discord
import structlog

from bot.discord.failures import code_of
from bot.discord.wire import Hook, Wire
from bot.remembered import Remembered

log = structlog.get_logger(__name__)

WEBHOOK = "Greenroom"
#: Channels whose webhook is remembered.
REMEMBERED = 5_000
#: A channel without one is looked at again after so long.
REST = 120.0

#: Names that Discord takes from nobody, at the place where a letter is swapped for one that looks like it.
_TAKEN = re.compile(r"(d)(iscord)|(c)(lyde)", re.IGNORECASE)
_LOOKALIKES = {"d": "ԁ", "D": "Ꭰ", "c": "с", "C": "С"}


def acceptable(name: str) -> str:
    """A name that Discord lets a webhook have, as near to the persona's own as can be."""
    swapped = _TAKEN.sub(
        lambda found: _LOOKALIKES[found[1] or found[3]] + (found[2] or found[4]), " ".join(name.split())
    )
    return swapped[:80].strip() or WEBHOOK


class Voices:
    """The webhooks of channels: found or made once, and forgotten when they turn out to be gone."""

    def __init__(self, client: discord.Client, wire: Wire, application: int, hurry: float) -> None:
        self._client = client
        self._wire = wire
        self._application = application
        self._hurry = hurry
        self._hooks: Remembered[int, tuple[int, str]] = Remembered(REMEMBERED)
        self._none_until: dict[int, float] = {}
        self._asking: dict[int, asyncio.Lock] = {}
        self._refused: Remembered[str, None] = Remembered(REMEMBERED)

    async def hook(self, channel: int, thread: int = 0) -> Hook | None:
        """The webhook of a channel, for it or for one of its threads; None where we have to speak ourselves."""
        if not self._may(channel):
            return None
        async with self._asking.setdefault(channel, asyncio.Lock()):
            if channel not in self._hooks:
                await self._look(channel)
        self._asking.pop(channel, None)
        found = self._hooks.get(channel)
        return Hook(*found, thread) if found else None

    def refuse(self, name: str) -> None:
        """Discord does not take this name: which ones these are, it says only when it sees them."""
        self._refused.keep(acceptable(name), None)

    def refused(self, name: str) -> bool:
        return acceptable(name) in self._refused

    def forget(self, channel: int) -> None:
        self._hooks.pop(channel, None)

    def _may(self, channel: int) -> bool:
        there = self._client.get_channel(channel)
        if not isinstance(there, discord.abc.GuildChannel) or not hasattr(there, "webhooks"):
            return False
        return there.permissions_for(there.guild.me).manage_webhooks

    async def _look(self, channel: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._none_until.get(channel, 0.0) > now:
            return
        try:
            there = await self._wire.webhooks(channel)
            own = [one for one in there if str(one.get("application_id")) == str(self._application)]
            made = next((one for one in own if one.get("token")), None)
            made = made or await self._wire.make_webhook(channel, WEBHOOK)
        except discord.HTTPException as error:
            self._none_until[channel] = now + REST * self._hurry
            log.info("no_webhook", channel=channel, code=code_of(error), cause=error.text[:200])
            return
        self._hooks.keep(channel, (int(made["id"]), str(made["token"])))
