"""Discord: one front per bot token. Nothing of discord.py is imported before the fronts are asked for.

Never run a file in here as a script: its folder would then stand in for the library of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.settings import Settings

if TYPE_CHECKING:
    from bot.front import Front


def discord_fronts(settings: Settings, *, hurry: float = 1.0) -> list[Front]:
    """A front for each token that the settings name. `hurry` scales every wait of ours, for tests.

    Where `discord.api` names another server, that holds for all that speaks to Discord in this process.
    """
    told = settings.discord
    tokens = [token.get_secret_value().strip() for token in (told.token, *told.more_tokens)]
    tokens = list(dict.fromkeys(token for token in tokens if token))
    if not tokens:
        return []
    from bot.discord.front import DiscordFront
    from bot.discord.wire import point_at

    if told.api:
        point_at(told.api)
    return [DiscordFront(token, shards=told.shards, hurry=hurry) for token in tokens]
