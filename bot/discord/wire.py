"""What is asked of Discord over REST, in one place: messages sent, changed, taken away and looked for.

It builds what Discord wants to read and knows no reason for any of it. Nobody is ever pinged by what goes out here.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.discord.failures import UNKNOWN_MESSAGE
from bot.discord.pacing import Gate
from bot.front import Buttons

Json = dict[str, Any]

#: How an order stands in a button: it is all that a press needs, in a year as well.
PREFIX = "g:"
_MARK = re.compile(r"\|\d+\Z")
#: Discord gives an answer's token a quarter of an hour; the last moments are not for us.
TOKEN_LIVES = 14.5 * 60
#: Discord lets a bot make 50, not counting answers. Its webhooks count: the library signs those calls too.
CALLS_A_SECOND = 40.0
#: What the library would answer by sending the same again.
STUMBLED = (500, 502, 504, 524)
STYLES = {"plain": 2, "good": 3, "danger": 4}
EPHEMERAL, LOADING = 1 << 6, 1 << 7


def point_at(api: str) -> None:
    """Speak to another server than Discord's, in all of this process: `http://127.0.0.1:8000`."""
    base = api.rstrip("/")
    root = base.partition("/api/")[0]
    Route.BASE = base if "/api/" in base else f"{base}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(root.replace("http", "ws", 1)) / "gateway"
    discord.Asset.BASE = root


@dataclass(frozen=True)
class Ours:
    """Messages of the bot itself, in a channel or thread."""

    channel: int


@dataclass(frozen=True)
class Hook:
    """Messages under a name and face of their own, through a webhook."""

    id: int
    token: str = field(repr=False)
    thread: int = 0


@dataclass(frozen=True)
class Answer:
    """Messages in answer to an interaction, while its token lives. Without a token it only says who asked."""

    application: int
    token: str = field(repr=False)
    interaction: int
    #: Who asked; 0 where that is not known.
    user: int = 0
    #: They brought us along: without the token the channel is closed to us.
    guest: bool = False
    #: What is meant is the first answer, by whatever id.
    first: bool = False
    #: Only who asked sees what is reached by it.
    quiet: bool = False

    @property
    def opaque(self) -> str:
        asked = f"{self.interaction}.{self.user}{'.guest' if self.guest else ''}"
        return f"{self.application}/{self.token}/{asked}"

    @classmethod
    def read(cls, opaque: str) -> Answer | None:
        application, _, rest = opaque.partition("/")
        token, apart, asked = rest.rpartition("/")
        interaction, _, who = asked.partition(".")
        user, _, how = who.partition(".")
        if not (apart and application.isdecimal() and interaction.isdecimal() and (user or "0").isdecimal()):
            return None
        return cls(int(application), token, int(interaction), int(user or 0), how == "guest")

    @classmethod
    def of(cls, interaction: discord.Interaction) -> Answer:
        server, who = interaction.guild_id, interaction.user.id
        guest = (
            interaction.client.get_guild(server) is None if server else interaction.context.private_channel
        )
        return cls(interaction.application_id, interaction.token, interaction.id, who, bool(guest))

    def alive(self, hurry: float) -> bool:
        if not self.token:
            return False
        said_at = discord.utils.snowflake_time(self.interaction)
        return datetime.now(UTC) - said_at < timedelta(seconds=TOKEN_LIVES * hurry)


Address = Ours | Hook | Answer


class Stumbled(aiohttp.ClientError):
    """Discord answered that it is in trouble: whether it did what was asked, nobody knows."""


@dataclass(frozen=True)
class Body:
    """What a message holds. In a change, what is None stays as it is."""

    text: str | None = None
    buttons: Buttons | None = None
    #: Name and bytes of the one file; an empty tuple takes files away.
    file: tuple[str, bytes] | tuple[()] | None = None
    nonce: str = ""
    reply_to: str = ""
    quiet: bool = False
    name: str = ""
    face: str = ""


def custom_id(order: str) -> str:
    return (PREFIX + order.strip().removeprefix("/"))[:100]


def order_in(custom_id: str) -> str | None:
    """The order that a button or form holds; None where it is not one of ours."""
    return "/" + _MARK.sub("", custom_id.removeprefix(PREFIX)) if custom_id.startswith(PREFIX) else None


def marked(order: str, number: int) -> str:
    """An order with a number that says nothing to whoever reads the order, and by which its button is found again."""
    return f"{order}|{number}"


def nonce_of(nonce: str, part: int) -> str:
    """A nonce of at most 25 characters for each part of a delivery."""
    short = nonce if len(nonce) <= 21 else hashlib.sha256(nonce.encode()).hexdigest()[:21]
    return f"{short}.{part}" if part else short


def rows(buttons: Buttons) -> list[Json]:
    """Buttons as Discord's rows: at most five of five, each order once."""
    seen: set[str] = set()
    made: list[Json] = []
    for row in buttons:
        inside = []
        for button in row:
            if (key := custom_id(button.order)) not in seen:
                seen.add(key)
                style = STYLES.get(button.style, 2)
                inside.append({"type": 2, "style": style, "label": button.label[:80], "custom_id": key})
        made += [{"type": 1, "components": inside[at : at + 5]} for at in range(0, len(inside), 5)]
    return made[:5]


def payload(body: Body, *, new: bool) -> Json:
    form: Json = {"allowed_mentions": {"parse": []}}
    if body.text is not None:
        form["content"] = body.text
    if body.buttons is not None and (body.buttons or not new):
        form["components"] = rows(body.buttons)
    if body.file:
        form["attachments"] = [{"id": 0, "filename": body.file[0]}]
    elif body.file is not None and not new:
        form["attachments"] = []
    if not new:
        return form
    if body.nonce:
        form |= {"nonce": body.nonce, "enforce_nonce": True}
    if body.reply_to:
        form["message_reference"] = {"message_id": body.reply_to, "fail_if_not_exists": False}
    if body.quiet:
        form["flags"] = EPHEMERAL
    if body.name:
        form["username"] = body.name
    if body.face:
        form["avatar_url"] = body.face
    return form


class Wire:
    """One bot's way to Discord, as long as its client lives."""

    def __init__(self, client: discord.Client, hurry: float = 1.0) -> None:
        self._http = client.http
        self._gate = Gate(CALLS_A_SECOND, hurry)

    async def send(self, to: Address, body: Body) -> Json:
        """A new message; answers it as Discord keeps it."""
        match to:
            case Ours(channel):
                route = Route("POST", "/channels/{channel_id}/messages", channel_id=channel)
                return await self._call(route, body, new=True)
            # The library would repeat it, and nothing tells Discord that it is the same.
            case Hook(number, token, thread):
                route = _hooked("POST", "", number, token)
                return await self._call(
                    route, body, new=True, params={"wait": "true", **_in(thread)}, once=True
                )
            case Answer(application, token):
                return await self._call(_hooked("POST", "", application, token), body, new=True, free=True)

    async def edit(self, at: Address, message: str, body: Body) -> Json:
        route, params = _message("PATCH", at, message)
        return await self._call(route, body, new=False, params=params, free=isinstance(at, Answer))

    async def delete(self, at: Address, message: str) -> None:
        """Take a message away; one that has gone already is no trouble."""
        route, params = _message("DELETE", at, message)
        try:
            await self._ask(route, free=isinstance(at, Answer), params=params)
        except discord.NotFound as error:
            if error.code != UNKNOWN_MESSAGE:
                raise

    async def get(self, at: Address, message: str) -> Json | None:
        route, params = _message("GET", at, message)
        try:
            return cast("Json", await self._ask(route, free=isinstance(at, Answer), params=params))
        except discord.NotFound:
            return None

    async def latest(self, channel: int, count: int = 20) -> list[Json]:
        """The last messages of a channel, newest first."""
        route = Route("GET", "/channels/{channel_id}/messages", channel_id=channel)
        return cast("list[Json]", await self._ask(route, params={"limit": count}))

    async def typing(self, channel: int) -> None:
        await self._ask(Route("POST", "/channels/{channel_id}/typing", channel_id=channel))

    async def private(self, user: int) -> int:
        """The channel of a direct message."""
        opened = await self._ask(Route("POST", "/users/@me/channels"), json={"recipient_id": str(user)})
        return int(opened["id"])

    async def webhooks(self, channel: int) -> list[Json]:
        route = Route("GET", "/channels/{channel_id}/webhooks", channel_id=channel)
        return cast("list[Json]", await self._ask(route))

    async def make_webhook(self, channel: int, name: str) -> Json:
        route = Route("POST", "/channels/{channel_id}/webhooks", channel_id=channel)
        return cast("Json", await self._ask(route, json={"name": name}))

    async def commands(self, application: int) -> list[Json]:
        route = Route("GET", "/applications/{application_id}/commands", application_id=application)
        return cast("list[Json]", await self._ask(route, params={"with_localizations": "true"}))

    async def put_commands(self, application: int, commands: list[Json]) -> None:
        route = Route("PUT", "/applications/{application_id}/commands", application_id=application)
        await self._ask(route, json=commands)

    async def _ask(self, route: Route, *, free: bool = False, once: bool = False, **more: Any) -> Any:
        if not free:
            await self._gate.passed()
        if once:
            more["raise_for_status"] = _stumbles
        return await self._http.request(route, **more)

    async def _call(
        self,
        route: Route,
        body: Body,
        *,
        new: bool,
        params: Mapping[str, str] | None = None,
        free: bool = False,
        once: bool = False,
    ) -> Json:
        form = payload(body, new=new)
        if not body.file:
            told = await self._ask(route, free=free, once=once, json=form, params=params or {})
            return cast("Json", told)
        name, data = body.file
        file = discord.File(io.BytesIO(data), filename=name)
        multipart: list[Json] = [
            {"name": "payload_json", "value": json.dumps(form), "content_type": "application/json"},
            {
                "name": "files[0]",
                "value": file.fp,
                "filename": name,
                "content_type": "application/octet-stream",
            },
        ]
        try:
            told = await self._ask(
                route, free=free, once=once, form=multipart, files=[file], params=params or {}
            )
        finally:
            file.close()
        return cast("Json", told)


async def _stumbles(response: aiohttp.ClientResponse) -> None:
    # An error of aiohttp's own would name the address, and with it the webhook's token.
    if response.status in STUMBLED:
        raise Stumbled(str(response.status))


def _in(thread: int) -> dict[str, str]:
    return {"thread_id": str(thread)} if thread else {}


def _hooked(method: str, path: str, number: int, token: str, **more: str) -> Route:
    start = "/webhooks/{webhook_id}/{webhook_token}"
    return Route(method, start + path, webhook_id=number, webhook_token=token, **more)


def _message(method: str, at: Address, message: str) -> tuple[Route, dict[str, str]]:
    match at:
        case Ours(channel):
            path = "/channels/{channel_id}/messages/{message_id}"
            return Route(method, path, channel_id=channel, message_id=message), {}
        case Hook(number, token, thread):
            return _hooked(method, "/messages/{message_id}", number, token, message_id=message), _in(thread)
        case Answer(application, token, first=first):
            name = "@original" if first else message
            return _hooked(method, "/messages/{message_id}", application, token, message_id=name), {}
