"""Bits as Discord numbers them: permissions, gateway intents, flags. Pure numbers and names."""

from __future__ import annotations

from collections.abc import Iterable

_NAMES = [
    "create_instant_invite",
    "kick_members",
    "ban_members",
    "administrator",
    "manage_channels",
    "manage_guild",
    "add_reactions",
    "view_audit_log",
    "priority_speaker",
    "stream",
    "view_channel",
    "send_messages",
    "send_tts_messages",
    "manage_messages",
    "embed_links",
    "attach_files",
    "read_message_history",
    "mention_everyone",
    "use_external_emojis",
    "view_guild_insights",
    "connect",
    "speak",
    "mute_members",
    "deafen_members",
    "move_members",
    "use_voice_activation",
    "change_nickname",
    "manage_nicknames",
    "manage_roles",
    "manage_webhooks",
    "manage_expressions",
    "use_application_commands",
    "request_to_speak",
    "manage_events",
    "manage_threads",
    "create_public_threads",
    "create_private_threads",
    "use_external_stickers",
    "send_messages_in_threads",
    "use_embedded_activities",
    "moderate_members",
]

#: Name to bit, in the names that people read in the client (and discord.py uses).
PERMISSIONS: dict[str, int] = {name: 1 << place for place, name in enumerate(_NAMES)}
PERMISSIONS["use_external_apps"] = 1 << 50
ALL = sum(PERMISSIONS.values())


def bits(names: Iterable[str]) -> int:
    """The sum of named permissions; a misspelt one is a KeyError."""
    return sum(PERMISSIONS[name] for name in set(names))


#: What everybody may in a new guild.
EVERYONE = bits(
    [
        "view_channel",
        "send_messages",
        "embed_links",
        "attach_files",
        "read_message_history",
        "mention_everyone",
        "add_reactions",
        "use_external_emojis",
        "use_application_commands",
        "create_public_threads",
        "send_messages_in_threads",
        "change_nickname",
        "use_external_apps",
    ]
)
#: What a bot is invited with if a test does not say otherwise.
INVITED = EVERYONE | bits(
    [
        "manage_webhooks",
        "manage_messages",
        "manage_threads",
        "create_private_threads",
    ]
)

GUILDS = 1 << 0
GUILD_MEMBERS = 1 << 1
WEBHOOKS = 1 << 5
PRESENCES = 1 << 8
MESSAGE_CONTENT = 1 << 15

#: Events that need an intent: the bit inside a guild, the bit in a direct message. Others always come.
INTENTS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(
        [
            "GUILD_CREATE",
            "GUILD_UPDATE",
            "GUILD_DELETE",
            "GUILD_ROLE_CREATE",
            "GUILD_ROLE_UPDATE",
            "GUILD_ROLE_DELETE",
            "CHANNEL_CREATE",
            "CHANNEL_UPDATE",
            "CHANNEL_DELETE",
            "THREAD_CREATE",
            "THREAD_UPDATE",
            "THREAD_DELETE",
        ],
        (GUILDS, 0),
    ),
    **dict.fromkeys(
        [
            "GUILD_MEMBER_ADD",
            "GUILD_MEMBER_UPDATE",
            "GUILD_MEMBER_REMOVE",
        ],
        (GUILD_MEMBERS, 0),
    ),
    "WEBHOOKS_UPDATE": (WEBHOOKS, 0),
    **dict.fromkeys(
        [
            "MESSAGE_CREATE",
            "MESSAGE_UPDATE",
            "MESSAGE_DELETE",
        ],
        (1 << 9, 1 << 12),
    ),
    **dict.fromkeys(
        [
            "MESSAGE_REACTION_ADD",
            "MESSAGE_REACTION_REMOVE",
        ],
        (1 << 10, 1 << 13),
    ),
    "TYPING_START": (1 << 11, 1 << 14),
}

EPHEMERAL = 1 << 6
LOADING = 1 << 7
SUPPRESS_EMBEDS = 1 << 2
SUPPRESS_NOTIFICATIONS = 1 << 12
COMPONENTS_V2 = 1 << 15
#: What a bot may set of a message's flags.
SETTABLE = EPHEMERAL | SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2

#: An application's flags: the intent is on for a bot in fewer than a hundred guilds.
LIMITED_PRESENCE, LIMITED_MEMBERS, LIMITED_MESSAGE_CONTENT = 1 << 13, 1 << 15, 1 << 19
