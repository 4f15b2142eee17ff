"""Which permissions the bot needs, and where to get them. It knows nothing of who asks."""

from __future__ import annotations

import discord

#: What every server is asked for, and nothing that is not used, in the order in which a person would miss it.
NEEDED = (
    "view_channel",
    "send_messages",
    "send_messages_in_threads",
    "manage_webhooks",
    "attach_files",
    "read_message_history",
)

#: Where the switches are that only the owner of the application can turn.
PORTAL = "https://discord.com/developers/applications"


def needed() -> discord.Permissions:
    return discord.Permissions(**dict.fromkeys(NEEDED, True))


def missing(has: discord.Permissions) -> list[str]:
    """The names of what is wanting."""
    return [name for name in NEEDED if not (has.administrator or getattr(has, name))]


def invitation(application: int) -> str:
    """The link that adds the bot to a server, with exactly what it needs."""
    return discord.utils.oauth_url(application, permissions=needed(), scopes=("bot", "applications.commands"))


def intents_page(application: int) -> str:
    return f"{PORTAL}/{application}/bot"
