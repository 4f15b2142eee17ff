"""The routes for messages and reactions: what a bot may post, what becomes of it, and whom it wakes."""

from __future__ import annotations

from tests.servers.discord import limits, rules
from tests.servers.discord.calls import Answer, Call, Route
from tests.servers.discord.channels import Channel
from tests.servers.discord.messages import Message, read_mentions, resolve_embeds
from tests.servers.discord.permissions import COMPONENTS_V2, PERMISSIONS, SETTABLE
from tests.servers.discord.rules import Json, Refusal
from tests.servers.discord.world import Bot, Person, User

#: How long a nonce is remembered, in seconds before scaling.
NONCE_REMEMBERED = 300.0


def _sending(channel: Channel) -> str:
    return "send_messages_in_threads" if channel.is_thread else "send_messages"


def typing(call: Call) -> Answer:
    channel = call.channel()
    call.require(channel, _sending(channel))
    channel.typing(call.bot)
    return None


def _must_be_open(call: Call, channel: Channel) -> None:
    """Whether the person at the other end of a direct message takes it."""
    person = next((one for one in channel.recipients if isinstance(one, Person)), None)
    if person is None:
        return
    bot = call.bot
    guilds = call.world.guilds.values()
    known = any(person.id in one.members and bot.id in one.members for one in guilds)
    known = known or channel.opened_by_person or bot.id in person.installed
    if bot.id in person.blocked or not known:
        # The first refusal teaches it; asking again does not change it.
        rule = "sent again to a person who cannot be reached" if person.id in bot.turned_away else ""
        bot.turned_away.add(person.id)
        raise Refusal(403, 50007, "Cannot send messages to this user", rule)


def create_message(call: Call) -> Answer:
    channel, form = call.channel(), call.form
    _must_be_open(call, channel)
    call.require(channel, _sending(channel))
    rules.check_message(form, call.uploads, size_limit=call.size_limit)
    rules.check_not_empty(
        form.get("content"), form.get("embeds"), call.uploads, form.get("sticker_ids"), v2(form)
    )
    if call.uploads:
        call.require(channel, "attach_files")
    if form.get("embeds"):
        call.require(channel, "embed_links")
    if channel.archived:
        channel.set(archived=False)
    known = remembered(call, channel)
    if known is not None:
        return known.payload(call.bot)
    reference, number = replied_to(call, channel)
    message = compose(call, channel, call.bot, reference=reference)
    message.reference_id, message.type = number, 19 if number else 0
    nonce = form.get("nonce")
    if nonce is not None:
        message.nonce = str(nonce)
        call.world.nonces[channel.id, call.bot.id, str(nonce)] = (call.world.monotonic(), message)
    channel.add(message)
    return message.payload(call.bot)


def v2(form: Json) -> bool:
    return bool(int(form.get("flags") or 0) & COMPONENTS_V2 and form.get("components"))


def remembered(call: Call, channel: Channel) -> Message | None:
    """The message that an enforced nonce already made."""
    if not call.form.get("enforce_nonce"):
        return None
    key = (channel.id, call.bot.id, str(call.form.get("nonce")))
    at, message = call.world.nonces.get(key, (float("-inf"), None))
    fresh = call.world.monotonic() - at <= NONCE_REMEMBERED * call.world.scale
    return message if fresh else None


def replied_to(call: Call, channel: Channel) -> tuple[Message | None, int | None]:
    about = call.form.get("message_reference")
    if not about:
        return None, None
    call.require(channel, "read_message_history")
    number = int(about.get("message_id") or 0)
    found = channel.every_message.get(number)
    if found is None or found.deleted:
        if about.get("fail_if_not_exists", True):
            # The world moved: no fault of the bot's.
            raise Refusal(400, 50035, "Unknown message", "", "message_reference")
        return None, None
    return found, number


def compose(
    call: Call, channel: Channel, author: User, *, reference: Message | None = None, right: bool | None = None
) -> Message:
    """A message of a bot's from a form that was checked; whom it wakes is written down."""
    form, world = call.form, call.world
    attachments = call.new_attachments(channel)
    content = str(form.get("content") or "")
    may = bool(channel.permissions_of(author) & PERMISSIONS["mention_everyone"]) if right is None else right
    mentions = read_mentions(
        content,
        form.get("allowed_mentions"),
        users=world.users,
        guild=channel.guild,
        may_mention_all=may,
        replied_to=reference.author if reference and reference.webhook is None else None,
    )
    note_pings(call, mentions.everyone, len(mentions.roles), len(mentions.users), mentions.replied)
    return Message(
        id=world.snowflakes.next(),
        channel=channel,
        author=author,
        content=content,
        embeds=resolve_embeds(form.get("embeds") or [], attachments),
        attachments=attachments,
        components=form.get("components") or [],
        flags=int(form.get("flags") or 0) & SETTABLE,
        mentions=mentions,
        reference=reference,
        application=author if isinstance(author, Bot) else None,
    )


def note_pings(call: Call, everyone: bool, roles: int, people: int, replied: bool) -> None:
    ledger = call.world.ledger
    if everyone:
        ledger.pings["everyone"] += 1
        ledger.breach("pinged everyone", str(call.form.get("content"))[:80])
    if roles:
        ledger.pings["role"] += roles
        ledger.breach("pinged a role", str(call.form.get("content"))[:80])
    if replied:
        ledger.pings["reply"] += 1
    if people > replied:
        ledger.pings["person"] += people - replied


def edited(call: Call, message: Message, *, author: User) -> None:
    """Apply an edit that was checked: only what was named changes."""
    form = call.form
    rules.check_message(form, call.uploads, size_limit=call.size_limit)
    attachments = [*call.kept_attachments(message), *call.new_attachments(message.channel)]
    fields: dict[str, object] = {"attachments": attachments}
    if "content" in form:
        fields["content"] = str(form["content"] or "")
    if "embeds" in form:
        fields["embeds"] = resolve_embeds(form["embeds"] or [], attachments)
    if "components" in form:
        fields["components"] = form["components"] or []
    after = {"content": message.content, "embeds": message.embeds, "components": message.components} | fields
    is_v2 = message.flags & COMPONENTS_V2 or v2(form)
    rules.check_not_empty(after["content"], after["embeds"], attachments, is_v2 and after["components"])
    if form.get("flags") is not None:
        fields["flags"] = message.flags | int(form["flags"]) & SETTABLE
    message.channel.change(message, by=author, **fields)


def edit_message(call: Call) -> Answer:
    channel = call.channel()
    message = call.message(channel)
    if message.author is not call.bot or message.webhook is not None:
        raise Refusal(
            403, 50005, "Cannot edit a message authored by another user", "edited another's message"
        )
    if call.uploads:
        call.require(channel, "attach_files")
    edited(call, message, author=call.bot)
    return message.payload(call.bot)


def delete_message(call: Call) -> Answer:
    channel = call.channel()
    message = call.message(channel)
    if message.author is not call.bot:
        if channel.guild is None:
            raise Refusal(
                403, 50003, "Cannot execute action on a DM channel", "deleted another's direct message"
            )
        call.require(channel, "manage_messages")
    channel.drop(message, by=call.bot)
    return None


def bulk_delete(call: Call) -> Answer:
    channel = call.channel()
    call.require(channel, "manage_messages")
    for number in call.form.get("messages") or []:
        message = channel.every_message.get(int(number))
        if message is not None and not message.deleted:
            channel.drop(message, by=call.bot)
    return None


def get_message(call: Call) -> Answer:
    channel = call.channel()
    call.require(channel, "read_message_history")
    return call.message(channel).payload(call.bot)


def list_messages(call: Call) -> Answer:
    channel = call.channel()
    if not channel.permissions_of(call.bot) & PERMISSIONS["read_message_history"]:
        return []
    limit = int(call.query.get("limit", 50))
    found = channel.messages
    if "before" in call.query:
        found = [one for one in found if one.id < int(call.query["before"])]
    if "after" in call.query:
        # Those just after it, not the newest.
        found = [one for one in found if one.id > int(call.query["after"])][:limit]
    return [one.payload(call.bot) for one in reversed(found[-limit:])]


def add_reaction(call: Call) -> Answer:
    channel = call.channel()
    message = call.message(channel)
    call.require(
        channel,
        "read_message_history",
        *(() if call.params["emoji"] in message.reactions else ("add_reactions",)),
    )
    if len(call.params["emoji"]) > 64:
        raise Refusal(400, 10014, "Unknown Emoji", "reacted with no emoji")
    channel.react(call.bot, message, call.params["emoji"])
    return None


def remove_reaction(call: Call) -> Answer:
    channel = call.channel()
    whose = call.params.get("user", "@me")
    found = call.bot if whose == "@me" else call.world.users.get(int(whose))
    if found is not call.bot:
        call.require(channel, "manage_messages")
    if found is not None:
        channel.unreact(found, call.message(channel), call.params["emoji"])
    return None


_MESSAGES = "/channels/{channel}/messages"
_REACTIONS = _MESSAGES + "/{message}/reactions/{emoji}"

ROUTES = (
    Route("POST /channels/{channel}/typing", typing, limits.TYPING),
    Route(f"POST {_MESSAGES}", create_message, limits.SEND),
    Route(f"POST {_MESSAGES}/bulk-delete", bulk_delete),
    Route(f"GET {_MESSAGES}", list_messages),
    Route(f"GET {_MESSAGES}/{{message}}", get_message),
    Route(f"PATCH {_MESSAGES}/{{message}}", edit_message, limits.EDIT),
    Route(f"DELETE {_MESSAGES}/{{message}}", delete_message, limits.DELETE),
    Route(f"PUT {_REACTIONS}/@me", add_reaction, limits.REACT),
    Route(f"DELETE {_REACTIONS}/@me", remove_reaction, limits.REACT),
    Route(f"DELETE {_REACTIONS}/{{user}}", remove_reaction, limits.REACT),
)
