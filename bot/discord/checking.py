"""What is right and wrong with a bot's set-up on Discord, in sentences with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import discord
from discord.http import Route

from bot.discord.failures import BROKEN_WAY
from bot.discord.front import UNKNOWN, account_in
from bot.discord.permits import intents_page, invitation, missing
from bot.discord.wire import point_at
from engine.locales import Said, say
from engine.settings import Settings

State = Literal["ok", "note", "warning", "broken"]
#: How it is, what is so, and what to do about it.
Finding = tuple[State, Said | str, Said | str]
#: Servers on one page of Discord's list, and as many pages as are read.
PAGE, PAGES = 200, 5


async def check(token: str, settings: Settings) -> list[Finding]:
    """Ask Discord about a token. Nothing is changed by it, and no connection is opened."""
    account = account_in(token)
    if account == UNKNOWN:
        return [("broken", say("discord.start.no_token"), say("discord.mend.token"))]
    if settings.discord.api:
        point_at(settings.discord.api)
    client = discord.Client(intents=discord.Intents.none())
    try:
        async with client:
            await client.login(token)
            about = await client.application_info()
            servers = await _servers(client)
    except discord.LoginFailure:
        return [("broken", say("discord.start.refused", bot=account), say("discord.mend.token"))]
    except (discord.DiscordException, *BROKEN_WAY) as error:
        cause = type(error).__name__
        return [("broken", say("discord.check.unreachable", cause=cause), say("discord.mend.unreachable"))]
    return [*_about(about), *_where(servers, about.id)]


async def _servers(client: discord.Client) -> list[dict[str, Any]]:
    """The servers it is in, with its permissions there: discord.py leaves those out."""
    found: list[dict[str, Any]] = []
    for _ in range(PAGES):
        after = {"after": str(found[-1]["id"])} if found else {}
        page = await client.http.request(
            Route("GET", "/users/@me/guilds"), params={"limit": str(PAGE), **after}
        )
        found += page
        if len(page) < PAGE:
            break
    return found


def _about(about: discord.AppInfo) -> Iterator[Finding]:
    yield "ok", say("discord.check.there", bot=about.name), ""
    if not (about.flags.gateway_message_content or about.flags.gateway_message_content_limited):
        mend = say("discord.mend.content", link=intents_page(about.id))
        yield "warning", say("discord.check.only_mentions"), mend
    if about.interactions_endpoint_url:
        mend = say(
            "discord.mend.elsewhere", link=intents_page(about.id).removesuffix("/bot") + "/information"
        )
        yield "warning", say("discord.check.elsewhere"), mend


def _where(servers: Sequence[dict[str, Any]], application: int) -> Iterator[Finding]:
    link = invitation(application)
    if not servers:
        yield "note", say("discord.check.no_servers"), say("discord.mend.invite", link=link)
        return
    yield "ok", say("discord.check.servers", n=len(servers)), say("discord.mend.more", link=link)
    for server in servers:
        wanting = missing(discord.Permissions(int(server.get("permissions") or 0)))
        if wanting:
            named = [say(f"discord.permission.{name}") for name in wanting]
            says = say("discord.check.missing", server=str(server.get("name", "")), permissions=named)
            yield "warning", says, say("discord.mend.permissions", link=link)
