"""One call to the API, read and looked up, and the table that says which function answers it.

It knows how a call is written down and what every route needs first; the routes themselves are in `rest` and `hooks`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from tests.servers.discord.channels import Channel
from tests.servers.discord.limits import PLAIN, Limit
from tests.servers.discord.messages import Attachment, Message
from tests.servers.discord.permissions import PERMISSIONS
from tests.servers.discord.rules import Json, Refusal, Upload
from tests.servers.discord.world import HEARD_OF, Bot, Guild, World

if TYPE_CHECKING:
    from tests.servers.discord.interactions import Interaction, Interactions

#: What a route answers with: JSON, or None for "204 No Content".
Answer = Json | list[Json] | None
Handler = Callable[["Call"], Answer]


@dataclass(frozen=True)
class Route:
    """One line of the routing table. Its name is what tests and counters call it by."""

    name: str
    handler: Handler
    limit: Limit = PLAIN
    #: Path parameters that have a bucket each.
    major: tuple[str, ...] = ("channel", "guild", "webhook", "token", "interaction")
    authorised: bool = True

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def bucket(self) -> str:
        return self.name if self.limit is PLAIN else self.limit.name

    def major_of(self, params: Mapping[str, str]) -> str:
        return "+".join(params[name] for name in self.major if name in params)


@dataclass
class Call:
    world: World
    interactions: Interactions
    route: Route
    params: Mapping[str, str]
    query: Mapping[str, str]
    caller: Bot | None
    size_limit: int
    form: Json = field(default_factory=dict)
    items: list[Json] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)

    @property
    def bot(self) -> Bot:
        if self.caller is None:
            raise Refusal(401, 0, "401: Unauthorized")
        return self.caller

    def number(self, name: str) -> int:
        value = self.params[name]
        if not value.isdecimal():
            raise Refusal(400, 50035, "Invalid Form Body", "an id that is no snowflake", name)
        return int(value)

    def channel(self) -> Channel:
        channel = self.world.channels.get(self.number("channel"))
        if channel is None or channel.deleted:
            raise Refusal(404, 10003, "Unknown Channel")
        if not channel.visible_to(self.bot):
            raise self.forbidden(channel, 50001, "Missing Access")
        return channel

    def guild(self) -> Guild:
        guild = self.world.guilds.get(self.number("guild"))
        if guild is None or self.bot.id not in guild.members:
            raise Refusal(404, 10004, "Unknown Guild")
        return guild

    def message(self, channel: Channel, name: str = "message") -> Message:
        message = channel.every_message.get(self.number(name))
        if message is None or message.deleted or message.ephemeral_for is not None:
            raise Refusal(404, 10008, "Unknown Message")
        return message

    def require(self, channel: Channel, *names: str) -> None:
        rights = channel.permissions_of(self.bot)
        missing = [name for name in names if not rights & PERMISSIONS[name]]
        if missing:
            raise self.forbidden(channel, 50013, "Missing Permissions", ", ".join(missing))

    def forbidden(self, channel: Channel, code: int, message: str, detail: str = "") -> Refusal:
        # A right that was taken this moment may be tried: the news is still on its way.
        knew = self.world.monotonic() - channel.permissions_changed() > HEARD_OF
        member = channel.guild is None or self.bot.id in channel.guild.members
        rule = f"without permission{': ' if detail else ''}{detail}" if knew and member else ""
        return Refusal(403, code, message, rule)

    def new_attachments(self, channel: Channel) -> list[Attachment]:
        described = {str(one.get("id")): one for one in self.form.get("attachments") or []}
        made = []
        for upload in self.uploads:
            about = described.get(upload.place, {})
            name = about.get("filename") or upload.filename
            made.append(channel.attach(name, upload.data, about.get("description"), upload.content_type))
        return made

    def kept_attachments(self, message: Message) -> list[Attachment]:
        if self.form.get("attachments") is None:
            return list(message.attachments)
        named = {str(one.get("id")) for one in self.form["attachments"]}
        return [one for one in message.attachments if str(one.id) in named]

    def interaction(self) -> Interaction | None:
        return self.interactions.by_token.get(self.params.get("token", ""))


_PLACE = re.compile(r"^files\[(\d+)\]$")


async def read_body(request: web.Request) -> tuple[object, list[Upload], str]:
    """The JSON of a call, its files, and a mark by which the same call is known again."""
    uploads: list[Upload] = []
    if not request.can_read_body:
        return {}, uploads, ""
    if request.content_type == "multipart/form-data":
        text = "{}"
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            data = bytes(await part.read())
            place = _PLACE.match(part.name or "")
            if place:
                kind = part.headers.get("Content-Type", "")
                uploads.append(Upload(place[1], part.filename or "unknown", kind, data))
            elif part.name == "payload_json":
                text = data.decode()
    else:
        raw = await request.read()
        if request.content_type != "application/json" and raw:
            raise Refusal(400, 50109, "The request body contains invalid JSON.", "body is not sent as JSON")
        text = raw.decode() or "{}"
    try:
        return json.loads(text), uploads, hashlib.sha256(text.encode()).hexdigest()
    except ValueError:
        raise Refusal(400, 50109, "The request body contains invalid JSON.", "body is not JSON") from None


def take_body(call: Call, body: object) -> None:
    """Objects go to `form`, lists of objects to `items`; anything else is refused."""
    if isinstance(body, dict):
        call.form = body
    elif isinstance(body, list) and all(isinstance(one, dict) for one in body):
        call.items = body
    else:
        raise Refusal(400, 50109, "The request body contains invalid JSON.", "body is not an object")
