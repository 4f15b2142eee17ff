"""The routes for who one is, for guilds, channels, threads, and for commands: one function each.

Each checks what Discord checks, does it in the world, and answers as Discord answers.
"""

from __future__ import annotations

from typing import Any

from tests.servers.discord import limits, rules
from tests.servers.discord.calls import Answer, Call, Route
from tests.servers.discord.channels import Channel
from tests.servers.discord.rules import Json, Refusal, bad_form
from tests.servers.discord.world import Bot, Guild, Person

# Who one is.


def me(call: Call) -> Answer:
    return {**call.bot.payload, "verified": True, "mfa_enabled": True, "email": None, "flags": 0}


def user(call: Call) -> Answer:
    found = call.world.users.get(call.number("user"))
    if found is None:
        raise Refusal(404, 10013, "Unknown User")
    return found.payload


def application(call: Call) -> Answer:
    bot = call.bot
    return {
        "id": str(bot.id),
        "name": bot.name,
        "icon": None,
        "description": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": {**bot.payload, "bot": False},
        "verify_key": "0" * 64,
        "flags": bot.flags,
        "team": None,
        "rpc_origins": [],
        "interactions_endpoint_url": None,
        "approximate_guild_count": sum(bot.id in guild.members for guild in call.world.guilds.values()),
        "integration_types_config": {"0": {}, "1": {}},
    }


def my_guilds(call: Call) -> Answer:
    mine = [guild for guild in call.world.guilds.values() if call.bot.id in guild.members]
    return [
        {"id": str(one.id), "name": one.name, "icon": None, "owner": False, "features": []}
        | {"permissions": str(one.permissions_of(call.bot))}
        for one in mine
    ]


def leave_guild(call: Call) -> Answer:
    call.guild().removes(call.bot)
    return None


def open_dm(call: Call) -> Answer:
    recipient = call.world.users.get(int(call.form.get("recipient_id") or 0))
    if recipient is None:
        raise Refusal(404, 10013, "Unknown User")
    if not isinstance(recipient, Person):
        raise Refusal(403, 50007, "Cannot send messages to this user", "opened a chat with a bot")
    return direct(call.world.channels.values(), call.bot, recipient).payload()


def direct(channels: Any, bot: Bot, person: Person) -> Channel:
    """Their direct message, made when it is first asked for."""
    for channel in channels:
        if channel.guild is None and {bot, person} == set(channel.recipients):
            found: Channel = channel
            return found
    number = bot.world.snowflakes.next()
    return Channel(bot.world, number, f"{person.name} and {bot.name}", recipients=(person, bot))


# Guilds.


def guild(call: Call) -> Answer:
    return {**call.guild().payload(), "approximate_member_count": len(call.guild().members)}


def guild_channels(call: Call) -> Answer:
    return [one.payload() for one in call.guild().channels.values() if not one.is_thread]


def guild_threads(call: Call) -> Answer:
    threads = [one for one in call.guild().channels.values() if one.is_thread and one.visible_to(call.bot)]
    return {"threads": [one.payload() for one in threads if not one.archived], "members": []}


def roles(call: Call) -> Answer:
    return [role.payload for role in call.guild().roles.values()]


def member(call: Call) -> Answer:
    found = call.guild().members.get(call.number("user"))
    if found is None:
        raise Refusal(404, 10007, "Unknown Member")
    return found.payload()


def members(call: Call) -> Answer:
    after, limit = int(call.query.get("after", 0)), int(call.query.get("limit", 1))
    every = sorted(call.guild().members.values(), key=lambda one: one.user.id)
    return [one.payload() for one in every if one.user.id > after][:limit]


def change_nick(call: Call) -> Answer:
    guild = call.guild()
    guild.calls(call.bot, call.form.get("nick"))
    return guild.members[call.bot.id].payload()


# Channels and threads.


def channel(call: Call) -> Answer:
    return call.channel().payload()


def change_channel(call: Call) -> Answer:
    channel = call.channel()
    call.require(channel, "manage_threads" if channel.is_thread else "manage_channels")
    channel.set(name=call.form.get("name"), nsfw=call.form.get("nsfw"), archived=call.form.get("archived"))
    return channel.payload()


def delete_channel(call: Call) -> Answer:
    channel = call.channel()
    if channel.guild is not None:
        call.require(channel, "manage_threads" if channel.is_thread else "manage_channels")
        channel.delete()
    return channel.payload()


def start_thread(call: Call) -> Answer:
    channel = call.channel()
    name = call.form.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise bad_form("name", "Must be between 1 and 100 in length.", "thread name not 1–100")
    if channel.guild is None or channel.is_thread:
        raise Refusal(400, 50024, "Cannot execute action on this channel type", "thread where none can be")
    private = "message" not in call.params and call.form.get("type") != 11
    call.require(channel, "create_private_threads" if private else "create_public_threads")
    on = call.message(channel) if "message" in call.params else None
    if on is not None and on.thread is not None:
        raise Refusal(400, 160004, "A thread has already been created for this message")
    return channel.thread(name, call.bot, on=on, private=private).payload()


def join_thread(call: Call) -> Answer:
    call.channel().thread_members.add(call.bot.id)
    return None


# Commands.


def _shelf(call: Call) -> tuple[dict[int, Json], Guild | None]:
    if call.number("application") != call.bot.id:
        raise Refusal(
            403, 20012, "You are not authorized to perform this action on this application", "not its own app"
        )
    if "guild" in call.params:
        guild = call.guild()
        return call.bot.guild_commands.setdefault(guild.id, {}), guild
    return call.bot.commands, None


def _kept(call: Call, form: Json, guild: Guild | None, number: int) -> Json:
    return {
        "dm_permission": True,
        "default_member_permissions": None,
        "nsfw": False,
        "options": [],
        "description": "",
        "integration_types": [0],
        "contexts": None,
        **form,
        "type": form.get("type") or 1,
        "id": str(number),
        "application_id": str(call.bot.id),
        "version": str(call.world.snowflakes.next()),
        **({"guild_id": str(guild.id)} if guild else {}),
    }


def list_commands(call: Call) -> Answer:
    return list(_shelf(call)[0].values())


def put_commands(call: Call) -> Answer:
    shelf, guild = _shelf(call)
    rules.check_commands(call.items)
    # A command of the same name and kind keeps its id.
    known = {(one["name"], one["type"]): int(one["id"]) for one in shelf.values()}
    shelf.clear()
    for form in call.items:
        number = known.get((form["name"], form.get("type") or 1)) or call.world.snowflakes.next()
        shelf[number] = _kept(call, form, guild, number)
    return list(shelf.values())


def add_command(call: Call) -> Answer:
    shelf, guild = _shelf(call)
    rules.check_command(call.form)
    same = [key for key, one in shelf.items() if one["name"] == call.form["name"]]
    number = same[0] if same else call.world.snowflakes.next()
    shelf[number] = _kept(call, call.form, guild, number)
    return shelf[number]


def delete_command(call: Call) -> Answer:
    if _shelf(call)[0].pop(call.number("command"), None) is None:
        raise Refusal(404, 10063, "Unknown application command")
    return None


_COMMANDS = "/applications/{application}/commands"
_GUILD_COMMANDS = "/applications/{application}/guilds/{guild}/commands"

ROUTES = (
    Route("GET /users/@me", me),
    Route("GET /users/@me/guilds", my_guilds),
    Route("DELETE /users/@me/guilds/{guild}", leave_guild),
    Route("POST /users/@me/channels", open_dm, limits.OPEN_DM),
    Route("GET /users/{user}", user),
    Route("GET /oauth2/applications/@me", application),
    Route("GET /applications/@me", application),
    Route("GET /guilds/{guild}", guild),
    Route("GET /guilds/{guild}/channels", guild_channels),
    Route("GET /guilds/{guild}/threads/active", guild_threads),
    Route("GET /guilds/{guild}/roles", roles),
    Route("GET /guilds/{guild}/members", members),
    Route("PATCH /guilds/{guild}/members/@me", change_nick),
    Route("GET /guilds/{guild}/members/{user}", member),
    Route("GET /channels/{channel}", channel),
    Route("PATCH /channels/{channel}", change_channel),
    Route("DELETE /channels/{channel}", delete_channel),
    Route("POST /channels/{channel}/threads", start_thread),
    Route("POST /channels/{channel}/messages/{message}/threads", start_thread),
    Route("PUT /channels/{channel}/thread-members/@me", join_thread),
    Route(f"GET {_COMMANDS}", list_commands),
    Route(f"PUT {_COMMANDS}", put_commands, limits.COMMANDS),
    Route(f"POST {_COMMANDS}", add_command, limits.COMMANDS),
    Route(f"DELETE {_COMMANDS}/{{command}}", delete_command, limits.COMMANDS),
    Route(f"GET {_GUILD_COMMANDS}", list_commands),
    Route(f"PUT {_GUILD_COMMANDS}", put_commands, limits.COMMANDS),
    Route(f"POST {_GUILD_COMMANDS}", add_command, limits.COMMANDS),
    Route(f"DELETE {_GUILD_COMMANDS}/{{command}}", delete_command, limits.COMMANDS),
)
