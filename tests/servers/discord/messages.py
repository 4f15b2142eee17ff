"""The nouns of a channel: messages as they stand now, what is attached to them, and whom they mention.

It knows how Discord writes them down, not how they come or go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.servers.discord import rules
from tests.servers.discord.permissions import EPHEMERAL, LOADING

if TYPE_CHECKING:
    from tests.servers.discord.channels import Channel
    from tests.servers.discord.world import Bot, Guild, User

Json = dict[str, Any]


@dataclass(frozen=True)
class Attachment:
    id: int
    filename: str
    content_type: str
    data: bytes = field(repr=False)
    url: str
    description: str | None = None

    @property
    def payload(self) -> Json:
        size = rules.image_size(self.data) if rules.claims_image(self.filename) else None
        return {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": self.url,
            "proxy_url": self.url,
            "content_type": self.content_type,
            **({"description": self.description} if self.description else {}),
            **({"width": size[0], "height": size[1]} if size else {}),
        }


@dataclass(frozen=True)
class Button:
    """A button as a person sees it."""

    label: str
    custom_id: str | None
    url: str | None = None
    style: int = 1
    emoji: str | None = None
    disabled: bool = False


@dataclass(frozen=True)
class Select:
    custom_id: str
    kind: int
    options: tuple[tuple[str, str], ...] = ()
    placeholder: str | None = None
    disabled: bool = False


@dataclass(frozen=True)
class Face:
    """Who a message seems to be from: a webhook may show another name and picture each time."""

    name: str
    avatar_url: str | None = None
    is_bot: bool = False


@dataclass
class Webhook:
    id: int
    token: str
    name: str
    channel: Channel
    owner: User
    avatar: str | None = None

    def payload(self) -> Json:
        guild = self.channel.guild
        return {
            "id": str(self.id),
            "type": 1,
            "name": self.name,
            "avatar": self.avatar,
            "channel_id": str(self.channel.id),
            "guild_id": str(guild.id) if guild else None,
            "application_id": str(self.owner.id) if self.owner.is_bot else None,
            "token": self.token,
            "user": self.owner.payload,
        }


@dataclass(frozen=True)
class Mentions:
    """Whom a message really notifies."""

    users: tuple[User, ...] = ()
    roles: tuple[int, ...] = ()
    everyone: bool = False
    replied: bool = False


_USER, _ROLE = re.compile(r"<@!?(\d+)>"), re.compile(r"<@&(\d+)>")


def read_mentions(
    content: str,
    allowed: Json | None,
    *,
    users: dict[int, User],
    guild: Guild | None,
    may_mention_all: bool,
    replied_to: User | None = None,
) -> Mentions:
    """Who is notified, by the text, by `allowed_mentions`, and by what the author may."""
    parse = {"users", "roles", "everyone"} if allowed is None else set(allowed.get("parse") or ())
    listed = {int(one) for key in ("users", "roles") for one in (allowed or {}).get(key) or ()}
    found = [users[int(one)] for one in dict.fromkeys(_USER.findall(content)) if int(one) in users]
    people = [user for user in found if "users" in parse or user.id in listed]
    replied = replied_to is not None and (allowed is None or bool(allowed.get("replied_user")))
    if replied_to is not None and replied and replied_to not in people:
        people.append(replied_to)
    roles = [int(one) for one in dict.fromkeys(_ROLE.findall(content)) if guild and int(one) in guild.roles]
    roles = [one for one in roles if "roles" in parse or one in listed]
    if guild and not may_mention_all:
        roles = [one for one in roles if guild.roles[one].mentionable]
    everyone = "everyone" in parse and may_mention_all and guild is not None
    everyone = everyone and ("@everyone" in content or "@here" in content)
    return Mentions(tuple(people), tuple(roles), everyone, replied)


@dataclass(eq=False)
class Message:
    """One message as it stands now."""

    id: int
    channel: Channel
    author: User
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    flags: int = 0
    mentions: Mentions = Mentions()
    reference: Message | None = None
    reference_id: int | None = None
    nonce: str | None = None
    webhook: Webhook | None = None
    #: The name and picture of this one message of a webhook.
    shown_as: Face | None = None
    application: Bot | None = None
    metadata: Json | None = None
    ephemeral_for: User | None = None
    reactions: dict[str, list[User]] = field(default_factory=dict)
    edits: int = 0
    deleted: bool = False
    created: str = ""
    edited: str | None = None
    thread: Channel | None = None
    type: int = 0

    @property
    def face(self) -> Face:
        return self.shown_as or Face(self.author.display_name, None, self.author.is_bot)

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """Whether it is still “… is thinking”."""
        return bool(self.flags & LOADING)

    @property
    def buttons(self) -> list[Button]:
        found = [part for part in rules.parts(self.components) if part.get("type") == rules.BUTTON]
        return [
            Button(
                label=part.get("label") or "",
                custom_id=part.get("custom_id"),
                url=part.get("url"),
                style=int(part["style"]),
                emoji=(part.get("emoji") or {}).get("name"),
                disabled=bool(part.get("disabled")),
            )
            for part in found
        ]

    @property
    def selects(self) -> list[Select]:
        found = [part for part in rules.parts(self.components) if part.get("type") in rules.SELECTS]
        return [
            Select(
                custom_id=part["custom_id"],
                kind=int(part["type"]),
                options=tuple((one["label"], one["value"]) for one in part.get("options") or ()),
                placeholder=part.get("placeholder"),
                disabled=bool(part.get("disabled")),
            )
            for part in found
        ]

    @property
    def is_reply(self) -> bool:
        return self.reference_id is not None

    def author_payload(self) -> Json:
        if self.webhook is None:
            return self.author.payload
        face = self.face
        # Discord fetches the picture and keeps it under a hash of its own.
        shown = hashlib.md5(face.avatar_url.encode()).hexdigest() if face.avatar_url else self.webhook.avatar
        return {
            "id": str(self.webhook.id),
            "username": face.name,
            "global_name": None,
            "discriminator": "0000",
            "avatar": shown,
            "bot": True,
        }

    def payload(self, viewer: User | None = None, *, deep: bool = True) -> Json:
        guild = self.channel.guild
        form: Json = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "type": self.type,
            "author": self.author_payload(),
            "content": self.content,
            "timestamp": self.created,
            "edited_timestamp": self.edited,
            "tts": False,
            "mention_everyone": self.mentions.everyone,
            "mentions": [user.payload for user in self.mentions.users],
            "mention_roles": [str(role) for role in self.mentions.roles],
            "attachments": [one.payload for one in self.attachments],
            "embeds": self.embeds,
            "components": self.components,
            "pinned": False,
            "flags": self.flags,
        }
        if self.reactions:
            form["reactions"] = [
                {
                    "count": len(users),
                    "me": viewer in users,
                    "emoji": {"id": None, "name": emoji},
                    "me_burst": False,
                    "count_details": {"burst": 0, "normal": len(users)},
                    "burst_colors": [],
                }
                for emoji, users in self.reactions.items()
            ]
        if self.webhook is not None:
            form["webhook_id"] = str(self.webhook.id)
        if self.application is not None:
            form["application_id"] = str(self.application.id)
        if self.metadata is not None:
            form["interaction_metadata"] = self.metadata
        if self.nonce is not None:
            form["nonce"] = self.nonce
        if self.thread is not None:
            form["thread"] = self.thread.payload()
        if self.reference_id is not None:
            form["message_reference"] = {
                "type": 0,
                "message_id": str(self.reference_id),
                "channel_id": str(self.channel.id),
                **({"guild_id": str(guild.id)} if guild else {}),
            }
            if deep:
                gone = self.reference is None or self.reference.deleted
                form["referenced_message"] = (
                    None if gone else self.reference and self.reference.payload(viewer, deep=False)
                )
        return form

    def event(self, viewer: User | None = None) -> Json:
        """As the gateway tells it: with the guild and the author's place in it."""
        form = self.payload(viewer)
        guild = self.channel.guild
        if guild is not None:
            form["guild_id"] = str(guild.id)
            member = guild.members.get(self.author.id)
            if self.webhook is None and member is not None:
                form["member"] = member.payload(user=False)
            for mentioned in form["mentions"]:
                here = guild.members.get(int(mentioned["id"]))
                if here is not None:
                    mentioned["member"] = here.payload(user=False)
        return form


def redacted(event: Json, bot_id: int) -> Json:
    """A message as a bot without the message-content intent gets it."""
    own = event["author"]["id"] == str(bot_id) or event.get("application_id") == str(bot_id)
    named = any(user["id"] == str(bot_id) for user in event["mentions"])
    if "guild_id" not in event or own or named:
        return event
    return {**event, "content": "", "embeds": [], "attachments": [], "components": []}


def resolve_embeds(embeds: Sequence[Json], attachments: Sequence[Attachment]) -> list[Json]:
    """Embeds as they are shown: `attachment://` made an address, the kind filled in."""
    addresses = {f"attachment://{one.filename}": one.url for one in attachments}
    shown = []
    for embed in embeds:
        resolved = {"type": "rich", **embed}
        for key in ("image", "thumbnail"):
            picture = resolved.get(key)
            if picture and picture.get("url") in addresses:
                resolved[key] = {**picture, "url": addresses[picture["url"]]}
        shown.append(resolved)
    return shown
