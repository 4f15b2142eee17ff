"""Which fronts the settings name. Their libraries take seconds to import, so only those that are named are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from engine.settings import DiscordSettings, Settings, TelegramSettings

if TYPE_CHECKING:
    from bot.front import Front

#: What was found of a token: ok, note, warning or broken; what it is; and what mends it.
Found = tuple[str, str, str]
#: No platform may keep a start or `doctor` waiting for longer.
LOOK_WITHIN = 20.0


def configured_fronts(settings: Settings, *, hurry: float = 1.0) -> list[Front]:
    """A front for each token. `hurry` scales what they wait for; only tests are in a hurry."""
    fronts: list[Front] = []
    if tokens_of(settings.telegram):
        from bot.telegram import telegram_fronts

        fronts += telegram_fronts(settings, hurry=hurry)
    if tokens_of(settings.discord):
        from bot.discord import discord_fronts

        fronts += discord_fronts(settings, hurry=hurry)
    return fronts


def tokens_of(section: TelegramSettings | DiscordSettings) -> list[str]:
    """The tokens of a platform, each once."""
    told = [section.token, *section.more_tokens]
    return list(dict.fromkeys(secret.get_secret_value() for secret in told if secret.get_secret_value()))


async def looked_at(settings: Settings) -> dict[str, list[Found]]:
    """What each platform says of its tokens, by front; empty where there is none."""
    found: dict[str, list[Found]] = {}
    for name, section in (("telegram", settings.telegram), ("discord", settings.discord)):
        checks = [_bounded(_check(name), token, settings) for token in tokens_of(section)]
        found[name] = [one for told in await asyncio.gather(*checks) for one in told]
    return found


Check = Callable[[str, Settings], Awaitable[Sequence[Found]]]


def _check(name: str) -> Check:
    if name == "telegram":
        from bot.telegram.checking import check as check_telegram

        return check_telegram
    from bot.discord.checking import check as check_discord

    return check_discord


async def _bounded(check: Check, token: str, settings: Settings) -> Sequence[Found]:
    try:
        async with asyncio.timeout(LOOK_WITHIN):
            return await check(token, settings)
    except TimeoutError:
        return [("warning", f"no answer within {LOOK_WITHIN:.0f} s: is the network there?", "")]
