"""What was said, ordered or pressed on Discord, in our nouns. It asks Discord nothing and answers nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.discord.wire import Answer, order_in
from bot.front import Account, Attachment, ChatRef, Entry, Incoming, Option, Reaction
from bot.orders import order_of

#: Messages that people write; the others are Discord's own, of who joined and what was pinned.
WRITTEN = (discord.MessageType.default, discord.MessageType.reply)
SUBCOMMAND, SUBCOMMAND_GROUP = 1, 2

_MENTION = re.compile(r"<(@!?|@&|#)(\d{1,20})>")
_EMOJI = re.compile(r"<a?(:\w{1,64}:)\d{1,20}>")
_COMMAND = re.compile(r"<(/[\w -]{1,100}):\d{1,20}>")


@dataclass(frozen=True)
class Ears:
    """Who we are there: whose mentions are ours, and whose messages are not heard."""

    account: str
    user: int

    def chat(self, chat: int, thread: int = 0) -> ChatRef:
        return ChatRef("discord", self.account, str(chat), str(thread) if thread else "")

    def of_message(self, message: discord.Message) -> Incoming | None:
        """A person's message; None for what bots, webhooks and Discord itself say, and for what holds nothing."""
        if message.author.bot or message.webhook_id is not None or message.type not in WRITTEN:
            return None
        said = message.content or "\n".join(one.content for one in message.message_snapshots if one.content)
        text, mentioned = self._understood(said, message)
        where = f"{message.channel.id}/{message.id}"
        attachments = [_attached(one, where) for one in message.attachments]
        attachments += [_stuck(one) for one in message.stickers]
        if not text and not attachments and not mentioned:
            return None
        return Incoming(
            chat=self._where(message.channel),
            account=replace(_account(message.author, _tongue(message.guild)), guessed=True),
            text=text,
            key=f"m{message.id}",
            message=str(message.id),
            shared=_shared(message.channel, message.guild is not None),
            mentioned=mentioned,
            reply_to=_referenced(message),
            attachments=tuple(attachments),
            allows_mature=_grown_up(message.channel),
            places=_places(message.channel, message.guild),
            roles=_roles(message.author),
        )

    def of_interaction(self, interaction: discord.Interaction, text: str, *, message: str = "") -> Incoming:
        """A command, a press, a form: an order either way. `message` is the one that will hold its answer."""
        pressed = interaction.type is not discord.InteractionType.application_command
        under = interaction.message
        locale = interaction.locale.value
        answer = Answer.of(interaction)
        channel = interaction.channel
        return Incoming(
            chat=self._where(channel) if channel is not None else self.chat(interaction.channel_id or 0),
            account=_account(interaction.user, locale),
            text=text,
            key=f"i{interaction.id}",
            message=message,
            shared=_shared(channel, interaction.guild_id is not None),
            mentioned=True,
            reply_to=str(under.id) if under is not None else "",
            allows_mature=_grown_up(channel),
            answer_to=answer.opaque,
            pressed=pressed,
            places=_places(channel, interaction.guild, interaction.guild_id),
            roles=_roles(interaction.user),
        )

    def of_reaction(self, event: discord.RawReactionActionEvent, parent: int | None) -> Reaction | None:
        """Somebody's reaction, not ours; `parent` is the channel of a thread."""
        if event.user_id == self.user or (event.member is not None and event.member.bot):
            return None
        chat = self.chat(parent, event.channel_id) if parent else self.chat(event.channel_id)
        name = event.member.display_name if event.member else ""
        emoji = event.emoji.name or "" if event.emoji.is_unicode_emoji() else f":{event.emoji.name}:"
        added = event.event_type == "REACTION_ADD"
        account = Account("discord", str(event.user_id), name)
        return Reaction(chat, account, str(event.message_id), emoji, added)

    def _where(self, channel: object) -> ChatRef:
        if isinstance(channel, discord.Thread):
            return self.chat(channel.parent_id, channel.id)
        return self.chat(int(getattr(channel, "id", 0)))

    def _understood(self, said: str, message: discord.Message) -> tuple[str, bool]:
        people = {user.id: user.display_name for user in message.mentions}
        roles = {role.id: role.name for role in message.role_mentions}
        ours = {self.user} | {role.id for role in message.role_mentions if _is_mine(role, self.user)}

        def channel(number: int) -> str | None:
            found = message.guild.get_channel_or_thread(number) if message.guild else None
            return found.name if found else None

        return understood(said, ours=ours, people=people, roles=roles, channel=channel)


def understood(
    said: str,
    *,
    ours: Iterable[int],
    people: Mapping[int, str],
    roles: Mapping[int, str],
    channel: Callable[[int], str | None],
) -> tuple[str, bool]:
    """Words as a person would read them, without the call to us at their start; and whether we were called."""
    mine = set(ours)
    mentioned = any(kind != "#" and int(number) in mine for kind, number in _MENTION.findall(said))
    text = said.strip()
    while (called := _MENTION.match(text)) and called[1] != "#" and int(called[2]) in mine:
        text = text[called.end() :].lstrip(" ,:\n\t")

    def name(found: re.Match[str]) -> str:
        kind, number = found[1], int(found[2])
        if kind == "#":
            return f"#{channel(number) or 'somewhere'}"
        return f"@{(roles if kind == '@&' else people).get(number) or 'someone'}"

    text = _MENTION.sub(name, text)
    return _COMMAND.sub(r"\1", _EMOJI.sub(r"\1", text)).strip(), mentioned


@dataclass(frozen=True)
class Ordered:
    """A command as its form was filled in: where it stands in the menu, and what was told."""

    path: tuple[str, ...]
    entry: Entry | None
    told: Mapping[str, object]
    #: The option that is being typed in, while suggestions are asked for.
    focused: str = ""

    @property
    def quiet(self) -> bool:
        return self.entry is not None and self.entry.quiet

    @property
    def text(self) -> str:
        options = self.entry.options if self.entry else [Option(name, "", flag=name) for name in self.told]
        return order_of(self.path, options, self.told)

    @property
    def wants_words(self) -> bool:
        """Whether its main words were left out, so that it might be asked for them."""
        options = self.entry.options if self.entry else ()
        return any(not option.flag and option.name not in self.told for option in options)


def ordered(data: Mapping[str, Any], menu: Sequence[Entry]) -> Ordered:
    """What stands in a slash command, read by our menu."""
    path = [str(data.get("name", ""))]
    options = data.get("options") or []
    while options and options[0].get("type") in (SUBCOMMAND, SUBCOMMAND_GROUP):
        path.append(str(options[0].get("name", "")))
        options = options[0].get("options") or []
    entry = _down(path, menu)
    told = {str(one["name"]): one["value"] for one in options if one.get("value") not in (None, "")}
    focused = next((str(one["name"]) for one in options if one.get("focused")), "")
    return Ordered(tuple(path), entry, told, focused)


def submitted(data: Mapping[str, Any]) -> str:
    """The order of a form with the words that were filled in; empty where it is none of ours."""
    order = order_in(str(data.get("custom_id", "")))
    if order is None:
        return ""
    words = " ".join(value for value in _values(data.get("components") or []) if value)
    return f"{order} {words}".strip()


def _values(components: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for one in components:
        inside = one.get("components") or ([one["component"]] if one.get("component") else [])
        yield from _values(inside)
        if "value" in one:
            yield str(one["value"]).strip()


def is_quiet(text: str, menu: Sequence[Entry]) -> bool:
    """Whether the answer to an order in words is for the asker's eyes."""
    words = text.removeprefix("/").split()
    entry = _down(words[:2], menu) or _down(words[:1], menu)
    return entry is not None and entry.quiet


def _down(path: Sequence[str], menu: Sequence[Entry]) -> Entry | None:
    """The command, or the part of it, that a path names; a part is as quiet as its command."""
    entries, entry, quiet = menu, None, False
    for name in path:
        entry = next((one for one in entries if one.name == name), None)
        entries, quiet = (entry.parts, quiet or entry.quiet) if entry else ((), quiet)
    return replace(entry, quiet=quiet) if entry is not None else None


def _is_mine(role: discord.Role, user: int) -> bool:
    return role.is_bot_managed() and role.tags is not None and role.tags.bot_id == user


def _account(user: discord.abc.User, language: str) -> Account:
    # What Discord would not send is kept from the rows: it would be met there again and again.
    return Account(
        "discord", str(user.id), str(user.display_name), language if isinstance(language, str) else ""
    )


def _tongue(guild: discord.Guild | None) -> str:
    return guild.preferred_locale.value if guild else ""


def _shared(channel: object, in_guild: bool) -> bool:
    return in_guild or isinstance(channel, discord.GroupChannel)


def _grown_up(channel: object) -> bool:
    marked = getattr(channel, "is_nsfw", None)
    return bool(marked()) if callable(marked) else False


def _referenced(message: discord.Message) -> str:
    about = message.reference
    is_reply = message.type is discord.MessageType.reply and about is not None
    return str(about.message_id) if is_reply and about is not None and about.message_id else ""


def _places(channel: object, guild: discord.Guild | None, guild_id: int | None = None) -> tuple[str, ...]:
    numbers = [guild.id if guild else guild_id]
    if isinstance(channel, discord.Thread):
        numbers += [channel.parent_id, channel.parent.category_id if channel.parent else None]
    numbers += [getattr(channel, "id", None), getattr(channel, "category_id", None)]
    return tuple(dict.fromkeys(f"discord:{number}" for number in numbers if number))


def _roles(user: object) -> tuple[str, ...]:
    # Everybody has the role that bears the server's number: it says nothing.
    roles = user.roles if isinstance(user, discord.Member) else []
    return tuple(f"discord:role:{role.id}" for role in roles if not role.is_default())


def _attached(one: discord.Attachment, where: str) -> Attachment:
    """By its message and number: the address that Discord gives of a file is dead after a day."""
    mime = one.content_type or ""
    kind = {"image": "photo", "audio": "voice", "video": "video"}.get(mime.partition("/")[0], "file")
    kind = "voice" if one.is_voice_message() else kind
    return Attachment(kind, f"{where}/{one.id}", one.filename, mime, one.size)


def _stuck(one: discord.StickerItem) -> Attachment:
    return Attachment("sticker", one.url, one.name)
