"""A channel, a thread, a direct message: what stands in it, who sees it, and what people do there.

What a person does is a method that a test awaits. What a bot does comes through the same few verbs (`add`,
`change`, `drop`) from the REST routes, which have checked it by then.
"""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers.discord.messages import Attachment, Face, Message, Webhook, read_mentions
from tests.servers.discord.permissions import ALL, PERMISSIONS, bits
from tests.servers.discord.world import Bot, Guild, Person, User, World

if TYPE_CHECKING:
    from tests.servers.discord.interactions import Interaction

Json = dict[str, Any]
TEXT, DM, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 11, 12


class NotOffered(Exception):
    """A person cannot do this in the app: no such command, button or option, or it would not let them."""


@dataclass(frozen=True)
class Happening:
    """One line of a channel's history, as it was then."""

    at: float
    kind: str
    by: User | None
    message: Message | None = None
    content: str = ""


class Signal:
    """Wakes whoever waits for something to be so, each time something changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, met: Callable[[], object], within: float, describe: Callable[[], str]) -> None:
        try:
            async with asyncio.timeout(within):
                while not met():
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {within} s; {describe()}") from None


class Channel:
    def __init__(
        self,
        world: World,
        channel_id: int,
        name: str,
        *,
        guild: Guild | None = None,
        nsfw: bool = False,
        topic: str | None = None,
        parent: Channel | None = None,
        recipients: tuple[User, ...] = (),
        private: bool = False,
        owner: User | None = None,
    ) -> None:
        self.world = world
        self.id = channel_id
        self.name = name
        self.guild = guild
        self.nsfw = nsfw
        self.topic = topic
        self.parent = parent
        self.recipients = recipients
        self.private = private
        self.owner = owner
        self.thread_members: set[int] = set()
        self.archived = False
        self.deleted = False
        self.opened_by_person = False
        #: By who it is for: (role or member, allowed, denied).
        self.overwrites: dict[int, tuple[int, int, int]] = {}
        self.changed = float("-inf")
        self.every_message: dict[int, Message] = {}
        self.history: list[Happening] = []
        self.signal = Signal()
        world.channels[self.id] = self

    # What is to be seen.

    @property
    def messages(self) -> list[Message]:
        """What everybody here sees now, oldest first."""
        return [one for one in self.every_message.values() if not one.deleted and one.ephemeral_for is None]

    def seen_by(self, person: User) -> list[Message]:
        """What one person sees: with what is shown to them alone."""
        shown = [one for one in self.every_message.values() if not one.deleted]
        return [one for one in shown if one.ephemeral_for in (None, person)]

    async def until(self, met: Callable[[Channel], object], within: float = 30.0) -> None:
        """Wait until something is so here; a TimeoutError tells what is here instead."""
        await self.signal.until(lambda: met(self), within, self._describe)

    def _describe(self) -> str:
        tail = [f"{one.face.name}: {one.content[:80]!r}" for one in list(self.every_message.values())[-5:]]
        return f"in #{self.name} stands {tail}; broken so far: {dict(self.world.ledger.broken)}"

    # What a person does.

    async def says(
        self,
        author: User,
        content: str = "",
        *,
        reply_to: Message | None = None,
        attachments: Sequence[tuple[str, bytes]] = (),
        ping: bool = True,
    ) -> Message:
        """Somebody writes: a person, or another bot (its own rules are not looked at)."""
        self._must_be_here(author)
        replied = reply_to.author if reply_to and ping and reply_to.webhook is None else None
        message = Message(
            id=self.world.snowflakes.next(),
            channel=self,
            author=author,
            content=content,
            attachments=[self.attach(filename, data) for filename, data in attachments],
            mentions=read_mentions(
                content,
                None,
                users=self.world.users,
                guild=self.guild,
                may_mention_all=bool(self.permissions_of(author) & PERMISSIONS["mention_everyone"]),
                replied_to=replied,
            ),
            reference=reply_to,
            reference_id=reply_to.id if reply_to else None,
            type=19 if reply_to else 0,
        )
        self.add(message)
        await asyncio.sleep(0)
        return message

    async def hears(self, webhook: Webhook, content: str, *, name: str | None = None) -> Message:
        """A webhook that is not the bot's writes here."""
        face = Face(name or webhook.name, None, True)
        message = Message(
            self.world.snowflakes.next(), self, webhook.owner, content, webhook=webhook, shown_as=face
        )
        self.add(message)
        await asyncio.sleep(0)
        return message

    async def edits(self, author: User, message: Message, content: str) -> None:
        if message.author is not author:
            raise NotOffered("only one's own message")
        self.change(message, by=author, content=content)
        await asyncio.sleep(0)

    async def deletes(self, by: User, message: Message) -> None:
        self.drop(message, by=by)
        await asyncio.sleep(0)

    async def reacts(self, user: User, message: Message, emoji: str) -> None:
        self.react(user, message, emoji)
        await asyncio.sleep(0)

    async def unreacts(self, user: User, message: Message, emoji: str) -> None:
        self.unreact(user, message, emoji)
        await asyncio.sleep(0)

    async def types(self, user: User) -> None:
        self.typing(user)
        await asyncio.sleep(0)

    def command(
        self, person: Person, command: str, *, bot: Bot | None = None, **options: object
    ) -> Awaitable[Interaction]:
        """`/command`, or "command sub"; the app's checks on the options are made as they are there."""
        return self.world.interactions.command(self, person, command, options, bot=bot)

    def on_message(
        self, person: Person, command: str, message: Message, *, bot: Bot | None = None
    ) -> Awaitable[Interaction]:
        """A command from the menu of a message."""
        return self.world.interactions.menu(self, person, command, message, bot=bot)

    def on_user(
        self, person: Person, command: str, user: User, *, bot: Bot | None = None
    ) -> Awaitable[Interaction]:
        """A command from the menu of somebody's name."""
        return self.world.interactions.menu(self, person, command, user, bot=bot)

    def autocomplete(
        self,
        person: Person,
        command: str,
        *,
        focused: str,
        value: object = "",
        bot: Bot | None = None,
        **others: object,
    ) -> Awaitable[list[Json]]:
        """What is suggested while `focused` is being filled in."""
        return self.world.interactions.autocomplete(self, person, command, focused, value, others, bot=bot)

    def presses(self, person: Person, message: Message, button: str) -> Awaitable[Interaction]:
        """A button by its label, emoji or custom_id."""
        return self.world.interactions.press(self, person, message, button)

    def selects(
        self, person: Person, message: Message, values: Sequence[str], custom_id: str | None = None
    ) -> Awaitable[Interaction]:
        """Options of a select, by label or value."""
        return self.world.interactions.select(self, person, message, values, custom_id)

    def thread(self, name: str, by: User, *, on: Message | None = None, private: bool = False) -> Channel:
        thread = Channel(
            self.world,
            on.id if on else self.world.snowflakes.next(),
            name,
            guild=self.guild,
            nsfw=self.nsfw,
            parent=self,
            private=private,
            owner=by,
        )
        if self.guild is None:
            raise NotOffered("no threads in a direct message")
        self.guild.channels[thread.id] = thread
        thread.thread_members.add(by.id)
        if on is not None:
            on.thread = thread
        thread.announce("THREAD_CREATE")
        return thread

    def webhook(self, name: str, owner: User) -> Webhook:
        webhook = Webhook(self.world.snowflakes.next(), secrets.token_urlsafe(51), name, self, owner)
        self.world.webhooks[webhook.id] = webhook
        self.tell_webhooks()
        return webhook

    # What somebody who manages the channel does.

    def allow(self, who: User, *names: str) -> None:
        self._overwrite(who, lambda allow, deny: (allow | bits(names), deny & ~bits(names)))

    def deny(self, who: User, *names: str) -> None:
        self._overwrite(who, lambda allow, deny: (allow & ~bits(names), deny | bits(names)))

    def set(self, *, name: str | None = None, nsfw: bool | None = None, archived: bool | None = None) -> None:
        self.name = self.name if name is None else name
        self.nsfw = self.nsfw if nsfw is None else nsfw
        self.archived = self.archived if archived is None else archived
        self.announce("THREAD_UPDATE" if self.is_thread else "CHANNEL_UPDATE")

    def delete(self) -> None:
        self.announce("THREAD_DELETE" if self.is_thread else "CHANNEL_DELETE")
        self.deleted = True
        self.world.channels.pop(self.id, None)
        for webhook in [one for one in self.world.webhooks.values() if one.channel is self]:
            del self.world.webhooks[webhook.id]
        if self.guild is not None:
            self.guild.channels.pop(self.id, None)
            for thread in [one for one in self.guild.channels.values() if one.parent is self]:
                thread.delete()
        self._note("channel deleted", None)

    def _overwrite(self, who: User, change: Callable[[int, int], tuple[int, int]]) -> None:
        was_visible = {bot for bot in self.guild.bots() if self.visible_to(bot)} if self.guild else set()
        _, allow, deny = self.overwrites.get(who.id, (1, 0, 0))
        self.overwrites[who.id] = (1, *change(allow, deny))
        self.changed = self.world.monotonic()
        for bot in self.guild.bots() if self.guild else []:
            # One that just lost sight of it is told too: that is how it learns.
            if bot in was_visible or self.visible_to(bot):
                self.world.dispatch(bot, "CHANNEL_UPDATE", self.payload(), self.guild_id)

    # Who is here, and what they may.

    @property
    def is_thread(self) -> bool:
        return self.parent is not None

    @property
    def kind(self) -> int:
        if self.guild is None:
            return DM
        return TEXT if self.parent is None else PRIVATE_THREAD if self.private else PUBLIC_THREAD

    @property
    def guild_id(self) -> int | None:
        return self.guild.id if self.guild else None

    def bots(self) -> list[Bot]:
        there = self.guild.bots() if self.guild else [one for one in self.recipients if isinstance(one, Bot)]
        return [bot for bot in there if self.visible_to(bot)]

    def visible_to(self, user: User) -> bool:
        if self.private and user.id not in self.thread_members:
            return bool(self.permissions_of(user) & PERMISSIONS["manage_threads"])
        return bool(self.permissions_of(user) & PERMISSIONS["view_channel"])

    def permissions_of(self, user: User) -> int:
        if self.guild is None:
            return ALL if user in self.recipients else 0
        if user.id not in self.guild.members:
            return 0
        rights = self.guild.permissions_of(user)
        if rights == ALL:
            return rights
        overwrites = (self.parent or self).overwrites
        roles = [role.id for role in self.guild.members[user.id].roles]
        for layer in ([self.guild.id], roles, [user.id]):
            found = [overwrites[one] for one in layer if one in overwrites]
            for _, _, deny in found:
                rights &= ~deny
            for _, allow, _ in found:
                rights |= allow
        return rights

    def permissions_changed(self) -> float:
        guild = self.guild.changed if self.guild else float("-inf")
        return max(guild, self.changed, self.parent.changed if self.parent else float("-inf"))

    def _must_be_here(self, user: User) -> None:
        if self.deleted or (
            user not in self.recipients and (not self.guild or user.id not in self.guild.members)
        ):
            raise NotOffered(f"{user.name} is not in #{self.name}")
        if isinstance(user, Person) and self.guild is None:
            self.opened_by_person = True

    # What becomes of messages, whoever did it.

    def add(self, message: Message) -> None:
        message.created = self.world.stamp()
        self.every_message[message.id] = message
        self._note("created", message.author, message)
        if message.ephemeral_for is None:
            for bot in self.bots():
                self.world.dispatch(bot, "MESSAGE_CREATE", message.event(bot), self.guild_id)

    def change(self, message: Message, *, by: User | None, **fields: object) -> None:
        for name, value in fields.items():
            setattr(message, name, value)
        message.edits += 1
        message.edited = self.world.stamp()
        self._note("edited", by, message)
        if message.ephemeral_for is None:
            for bot in self.bots():
                self.world.dispatch(bot, "MESSAGE_UPDATE", message.event(bot), self.guild_id)

    def drop(self, message: Message, *, by: User | None) -> None:
        message.deleted = True
        self._note("deleted", by, message)
        if message.ephemeral_for is None:
            for bot in self.bots():
                self.world.dispatch(bot, "MESSAGE_DELETE", self._about(message.id, "id"), self.guild_id)

    def react(self, user: User, message: Message, emoji: str) -> None:
        there = message.reactions.setdefault(emoji, [])
        if user not in there:
            there.append(user)
            self._note("reacted", user, message, emoji)
            self._tell_reaction("MESSAGE_REACTION_ADD", user, message, emoji)

    def unreact(self, user: User, message: Message, emoji: str) -> None:
        there = message.reactions.get(emoji, [])
        if user in there:
            there.remove(user)
            if not there:
                del message.reactions[emoji]
            self._note("unreacted", user, message, emoji)
            self._tell_reaction("MESSAGE_REACTION_REMOVE", user, message, emoji)

    def typing(self, user: User) -> None:
        self._note("typing", user)
        data = {**self._about(self.id, "channel_id"), "user_id": str(user.id), "timestamp": 0}
        for bot in self.bots():
            self.world.dispatch(bot, "TYPING_START", data, self.guild_id)

    def attach(
        self, filename: str, data: bytes, description: str | None = None, kind: str = ""
    ) -> Attachment:
        number = self.world.snowflakes.next()
        guessed = mimetypes.guess_type(filename)[0] or kind or "application/octet-stream"
        url = f"{self.world.base}/attachments/{self.id}/{number}/{filename}"
        attachment = Attachment(number, filename, guessed, data, url, description)
        self.world.files[number] = attachment
        return attachment

    def _tell_reaction(self, event: str, user: User, message: Message, emoji: str) -> None:
        data: Json = {
            **self._about(message.id, "message_id"),
            "user_id": str(user.id),
            "emoji": {"id": None, "name": emoji},
            "message_author_id": str(message.author.id),
            "burst": False,
            "type": 0,
        }
        if self.guild is not None and user.id in self.guild.members and event.endswith("ADD"):
            data["member"] = self.guild.members[user.id].payload()
        for bot in self.bots():
            self.world.dispatch(bot, event, data, self.guild_id)

    def _about(self, number: int, key: str) -> Json:
        about = {"channel_id": str(self.id), key: str(number)}
        return {**about, "guild_id": str(self.guild.id)} if self.guild else about

    def _note(self, kind: str, by: User | None, message: Message | None = None, content: str = "") -> None:
        shown = content or (message.content if message else "")
        self.history.append(Happening(self.world.monotonic(), kind, by, message, shown))
        self.signal.ring()

    def announce(self, event: str) -> None:
        if self.guild is None:
            return
        for bot in self.guild.bots():
            if self.visible_to(bot):
                new: Mapping[str, object] = {"newly_created": True} if event == "THREAD_CREATE" else {}
                self.world.dispatch(bot, event, {**self.payload(), **new}, self.guild.id)

    def tell_webhooks(self) -> None:
        for bot in self.bots():
            self.world.dispatch(bot, "WEBHOOKS_UPDATE", self._about(self.id, "channel_id"), self.guild_id)

    def payload(self) -> Json:
        last = next(reversed(self.every_message), None)
        form: Json = {
            "id": str(self.id),
            "type": self.kind,
            "last_message_id": str(last) if last else None,
            "flags": 0,
        }
        if self.guild is None:
            people = [user.payload for user in self.recipients if not isinstance(user, Bot)]
            return {**form, "recipients": people}
        form |= {"guild_id": str(self.guild.id), "name": self.name, "rate_limit_per_user": 0}
        if self.parent is None:
            return form | {
                "position": 0,
                "topic": self.topic,
                "nsfw": self.nsfw,
                "parent_id": None,
                "permission_overwrites": [
                    {"id": str(who), "type": kind, "allow": str(allow), "deny": str(deny)}
                    for who, (kind, allow, deny) in self.overwrites.items()
                ],
            }
        return form | {
            "parent_id": str(self.parent.id),
            "owner_id": str(self.owner.id if self.owner else self.guild.owner.id),
            "message_count": len(self.messages),
            "total_message_sent": len(self.every_message),
            "member_count": len(self.thread_members),
            "thread_metadata": {
                "archived": self.archived,
                "auto_archive_duration": 1440,
                "archive_timestamp": self.world.stamp(),
                "locked": False,
            },
        }
