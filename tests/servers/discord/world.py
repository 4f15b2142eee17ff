"""Who there is and where: people, bots, guilds with their roles and members, and the world that holds them.

A change made here is told to every bot that may know of it; how it travels, the gateway knows.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tests.servers.discord import permissions
from tests.servers.discord.ledger import Ledger
from tests.servers.discord.messages import Attachment, Message, Webhook
from tests.servers.stalls import Stalls

if TYPE_CHECKING:
    from tests.servers.discord.channels import Channel
    from tests.servers.discord.gateway import Connection
    from tests.servers.discord.interactions import Interactions

Json = dict[str, Any]

EPOCH = 1420070400000
#: What a bot that lost a permission may not have heard of yet.
HEARD_OF = 1.0


class Snowflakes:
    """Ids as Discord gives them: rising, with their time in the upper bits."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        # One a millisecond at most, so that guilds spread over shards.
        self._last = max(int(time.time() * 1000) - EPOCH, self._last + 1)
        return self._last << 22


@dataclass(eq=False)
class User:
    world: World
    id: int
    name: str
    locale: str = "en-US"
    is_bot: bool = False

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name.lower().replace(" ", "_"),
            "global_name": self.name,
            "discriminator": "0000" if self.is_bot else "0",
            "avatar": None,
            "bot": self.is_bot,
            "public_flags": 0,
        }


@dataclass(eq=False)
class Person(User):
    """Somebody with the app in hand."""

    blocked: set[int] = field(default_factory=set)
    #: Bots this person added to their own account.
    installed: set[int] = field(default_factory=set)

    def blocks(self, bot: Bot) -> None:
        self.blocked.add(bot.id)

    def unblocks(self, bot: Bot) -> None:
        self.blocked.discard(bot.id)
        bot.turned_away.discard(self.id)

    def installs(self, bot: Bot) -> None:
        self.installed.add(bot.id)


@dataclass(eq=False)
class Bot(User):
    """An application and its bot user, which share an id."""

    token: str = ""
    privileged: int = 0
    commands: dict[int, Json] = field(default_factory=dict)
    guild_commands: dict[int, dict[int, Json]] = field(default_factory=dict)
    #: People whose refusal this bot was already told of.
    turned_away: set[int] = field(default_factory=set)

    @property
    def flags(self) -> int:
        pairs = (
            (permissions.PRESENCES, permissions.LIMITED_PRESENCE),
            (permissions.GUILD_MEMBERS, permissions.LIMITED_MEMBERS),
            (permissions.MESSAGE_CONTENT, permissions.LIMITED_MESSAGE_CONTENT),
        )
        return sum(flag for intent, flag in pairs if self.privileged & intent)

    def offered(self, guild: Guild | None) -> list[Json]:
        own = self.guild_commands.get(guild.id, {}) if guild else {}
        return [*own.values(), *self.commands.values()]


@dataclass(eq=False)
class Role:
    id: int
    name: str
    permissions: int = 0
    mentionable: bool = False
    managed: bool = False
    position: int = 1

    @property
    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "icon": None,
            "position": self.position,
            "permissions": str(self.permissions),
            "managed": self.managed,
            "mentionable": self.mentionable,
            "flags": 0,
        }


@dataclass(eq=False)
class Member:
    user: User
    joined: str
    roles: list[Role] = field(default_factory=list)
    nick: str | None = None

    def payload(self, *, user: bool = True) -> Json:
        return {
            **({"user": self.user.payload} if user else {}),
            "nick": self.nick,
            "avatar": None,
            "roles": [str(role.id) for role in self.roles],
            "joined_at": self.joined,
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }


class Dispatch(Protocol):
    """How an event reaches a bot; answers the connections that it went out on."""

    def __call__(self, bot: Bot, event: str, data: Json, guild_id: int | None) -> list[Connection]: ...


class World:
    """Everything that exists, by id. The clock is handed in; one factor scales whatever depends on it."""

    dispatch: Dispatch
    interactions: Interactions

    def __init__(
        self, ledger: Ledger, *, scale: float, monotonic: Callable[[], float], base: str = ""
    ) -> None:
        self.ledger = ledger
        self.scale = scale
        self.monotonic = monotonic
        self.stalls = Stalls()
        self.base = base
        self.snowflakes = Snowflakes()
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.bots: dict[str, Bot] = {}
        #: Everything that was ever attached: an address outlives its message.
        self.files: dict[int, Attachment] = {}
        #: (channel, author, nonce) to when and which message.
        self.nonces: dict[tuple[int, int, str], tuple[float, Message]] = {}

    @staticmethod
    def stamp() -> str:
        return datetime.now(UTC).isoformat()

    def person(self, name: str, locale: str) -> Person:
        person = Person(self, self.snowflakes.next(), name, locale)
        self.users[person.id] = person
        return person

    def bot(self, name: str, token: str | None, privileged: int) -> Bot:
        made = token or f"{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(4)}.{secrets.token_urlsafe(28)}"
        bot = Bot(self, self.snowflakes.next(), name, is_bot=True, token=made, privileged=privileged)
        self.users[bot.id] = bot
        self.bots[made] = bot
        return bot

    def people(self, ids: Iterable[object]) -> list[User]:
        return [self.users[int(str(one))] for one in ids if int(str(one)) in self.users]


class Guild:
    def __init__(self, world: World, name: str, owner: User, guild_id: int, locale: str = "en-US") -> None:
        self.world = world
        self.id = guild_id
        self.name = name
        self.owner = owner
        self.locale = locale
        self.changed = float("-inf")
        self.everyone = Role(self.id, "@everyone", permissions.EVERYONE, position=0)
        self.roles: dict[int, Role] = {self.id: self.everyone}
        self.members: dict[int, Member] = {}
        self.channels: dict[int, Channel] = {}
        self.nsfw_level = 0
        self._add(owner)
        world.guilds[self.id] = self

    def bots(self) -> list[Bot]:
        return [member.user for member in self.members.values() if isinstance(member.user, Bot)]

    def _add(self, user: User) -> Member:
        member = self.members[user.id] = Member(user, self.world.stamp())
        return member

    # What a test does.

    def joins(self, user: User, *names: str) -> Member:
        """A person comes in, or a bot is added (with `names` for its permissions, else the usual ones)."""
        member = self._add(user)
        if isinstance(user, Bot):
            rights = permissions.bits(names) if names else permissions.INVITED
            role = Role(self.world.snowflakes.next(), user.name, rights, managed=True)
            self.roles[role.id] = role
            member.roles.append(role)
            # Without the word "unavailable" it is news, and not only back again.
            event = {key: value for key, value in self.create_event(user).items() if key != "unavailable"}
            self.world.dispatch(user, "GUILD_CREATE", event, self.id)
        for bot in self.bots():
            if bot is not user:
                self._tell(bot, "GUILD_MEMBER_ADD", {**member.payload(), "guild_id": str(self.id)})
        return member

    def removes(self, user: User) -> None:
        """Kicked, or left."""
        member = self.members.pop(user.id)
        for role in member.roles:
            if role.managed:
                del self.roles[role.id]
        if isinstance(user, Bot):
            self._tell(user, "GUILD_DELETE", {"id": str(self.id)})
        for bot in self.bots():
            self._tell(bot, "GUILD_MEMBER_REMOVE", {"user": user.payload, "guild_id": str(self.id)})

    def role(self, name: str, *names: str, mentionable: bool = False) -> Role:
        role = Role(self.world.snowflakes.next(), name, permissions.bits(names), mentionable)
        self.roles[role.id] = role
        self._tell_role("GUILD_ROLE_CREATE", role)
        return role

    def gives(self, user: User, role: Role) -> None:
        self.members[user.id].roles.append(role)
        self._tell_member(user)

    def takes(self, user: User, role: Role) -> None:
        self.members[user.id].roles.remove(role)
        self._tell_member(user)

    def calls(self, user: User, nick: str | None) -> None:
        self.members[user.id].nick = nick
        self._tell_member(user)

    def allow(self, bot: Bot, *names: str) -> None:
        """Everywhere in the guild, by the bot's own role."""
        self._change(bot, lambda had: had | permissions.bits(names))

    def deny(self, bot: Bot, *names: str) -> None:
        """Everywhere in the guild: taken from the bot's role and from everybody."""
        self.everyone.permissions &= ~permissions.bits(names)
        self._tell_role("GUILD_ROLE_UPDATE", self.everyone)
        self._change(bot, lambda had: had & ~permissions.bits(names))

    def text_channel(self, name: str, *, nsfw: bool = False, topic: str | None = None) -> Channel:
        from tests.servers.discord.channels import Channel

        channel = Channel(self.world, self.world.snowflakes.next(), name, guild=self, nsfw=nsfw, topic=topic)
        self.channels[channel.id] = channel
        channel.announce("CHANNEL_CREATE")
        return channel

    # What the parts of the server ask.

    def permissions_of(self, user: User) -> int:
        member = self.members.get(user.id)
        if member is None:
            return 0
        rights = self.everyone.permissions
        for role in member.roles:
            rights |= role.permissions
        everything = user is self.owner or rights & permissions.PERMISSIONS["administrator"]
        return permissions.ALL if everything else rights

    def _change(self, bot: Bot, change: Callable[[int], int]) -> None:
        role = next(role for role in self.members[bot.id].roles if role.managed)
        role.permissions = change(role.permissions)
        self._tell_role("GUILD_ROLE_UPDATE", role)

    def _tell_role(self, event: str, role: Role) -> None:
        self.changed = self.world.monotonic()
        for bot in self.bots():
            self._tell(bot, event, {"guild_id": str(self.id), "role": role.payload})

    def _tell_member(self, user: User) -> None:
        self.changed = self.world.monotonic()
        for bot in self.bots():
            self._tell(
                bot, "GUILD_MEMBER_UPDATE", {**self.members[user.id].payload(), "guild_id": str(self.id)}
            )

    def _tell(self, bot: Bot, event: str, data: Json) -> None:
        self.world.dispatch(bot, event, data, self.id)

    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "owner_id": str(self.owner.id),
            "region": "",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "roles": [role.payload for role in self.roles.values()],
            "emojis": [],
            "stickers": [],
            "features": [],
            "mfa_level": 0,
            "nsfw_level": self.nsfw_level,
            "application_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "vanity_url_code": None,
            "description": None,
            "banner": None,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": self.locale,
        }

    def create_event(self, bot: Bot, *, members: bool = False) -> Json:
        """GUILD_CREATE: everything a bot learns when it comes in, or connects."""
        mine = [one for one in self.channels.values() if one.visible_to(bot)]
        shown = self.members.values() if members else [self.members[bot.id]]
        return {
            **self.payload(),
            "joined_at": self.members[bot.id].joined,
            "large": False,
            "unavailable": False,
            "member_count": len(self.members),
            "members": [member.payload() for member in shown],
            "channels": [one.payload() for one in mine if not one.is_thread],
            "threads": [one.payload() for one in mine if one.is_thread and not one.archived],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }
