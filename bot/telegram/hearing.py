"""Pure: what Telegram tells us, in Greenroom's nouns. It stores nothing and answers nobody.

Whatever an update holds that is none of our business, or that nobody has heard of yet, is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiogram.types import (
    CallbackQuery,
    Chat,
    ChatMemberUpdated,
    Message,
    MessageGenerationStopped,
    MessageReactionUpdated,
    ReactionTypeEmoji,
    Update,
    User,
)
from pydantic import ValidationError

from engine.store.records import Account, Attachment, ChatRef, Incoming, Reaction

FRONT = "telegram"
#: What we ask Telegram for, by name: reactions come in no other way.
WANTED = (
    "message",
    "channel_post",
    "callback_query",
    "message_reaction",
    "my_chat_member",
    "stopped_message_generation",
)
#: An album comes as several messages, which are heard as one.
ALBUM = "album:"
#: Speak for somebody else: an admin who stays anonymous, a channel.
_MASKS = frozenset({1087968824, 136817688})
_TELEGRAM_ITSELF = 777000
_COMMAND = re.compile(r"(/\w{1,64})(?:@(\w{3,64}))?(?=\s|\Z)")


@dataclass(frozen=True)
class Moved:
    """A group became a supergroup."""

    chat: ChatRef
    new: ChatRef


@dataclass(frozen=True)
class Left:
    """The bot was removed or blocked."""

    chat: ChatRef


@dataclass(frozen=True)
class Stop:
    """A person pressed Stop under a draft."""

    chat: ChatRef
    draft: int = 0


@dataclass(frozen=True)
class Topic:
    """A topic has this name now."""

    chat: ChatRef
    name: str
    #: Nobody chose it.
    free: bool = False


Heard = Incoming | Reaction | Moved | Left | Stop | Topic


class Unreadable(Exception):
    """An update that is none: where, and how."""

    def __init__(self, number: object, where: str) -> None:
        super().__init__(where)
        self.number = number
        self.where = where


def read(raw: Mapping[str, Any]) -> Update:
    """An update as it came. Raises `Unreadable`, whose words hold nothing of what somebody said."""
    try:
        return Update.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = f"{'.'.join(map(str, first['loc']))}: {first['type']}"
    except RecursionError:
        where = "too deep"
    raise Unreadable(raw.get("update_id"), where)


def heard(update: Update, me: User) -> tuple[Heard, ...]:
    """What an update says to us, the bot `me`; nothing for one that is of no concern."""
    return tuple(_heard(update, me))


def gathered(things: Iterable[Heard]) -> list[Heard]:
    """The same, with the messages of one album put together into one."""
    found: list[Heard] = []
    albums: dict[str, tuple[int, Incoming | None]] = {}
    for thing in things:
        if isinstance(thing, Incoming) and thing.key.startswith(ALBUM):
            at, album = albums.get(thing.dedup_key, (len(found), None))
            if album is None:
                found.append(thing)
            else:
                both = album.attachments + thing.attachments
                thing = replace(album, text=album.text or thing.text, attachments=both)
                found[at] = thing
            albums[thing.dedup_key] = at, thing
        else:
            found.append(thing)
    return found


def _heard(update: Update, me: User) -> Iterator[Heard]:
    key = str(update.update_id)
    if message := update.message or update.channel_post:
        yield from _said(message, key, me)
    elif update.callback_query:
        yield from _pressed(update.callback_query, key, me)
    elif update.message_reaction:
        yield from _reacted(update.message_reaction, me)
    elif update.my_chat_member:
        yield from _stood(update.my_chat_member, me)
    elif update.stopped_message_generation:
        yield from _stopped(update.stopped_message_generation, me)


def _said(message: Message, key: str, me: User) -> Iterator[Heard]:
    chat = _ref(message.chat, me, message)
    if message.migrate_to_chat_id:
        yield Moved(chat, replace(chat, chat=str(message.migrate_to_chat_id), thread=""))
        return
    if topic := message.forum_topic_created or message.forum_topic_edited:
        if topic.name and message.message_thread_id:
            free = message.forum_topic_created is not None and bool(
                message.forum_topic_created.is_name_implicit
            )
            yield Topic(replace(chat, thread=str(message.message_thread_id)), topic.name, free)
        return
    account = _speaker(message)
    attachments = tuple(_attachments(message))
    text = message.text or message.caption or (message.dice.emoji if message.dice else "")
    if account is None or not (text.strip() or attachments):
        return
    words = _to_us(text, me.username or "")
    if words is None:
        return
    text, mentioned = words
    entities = message.entities or message.caption_entities or ()
    yield Incoming(
        chat,
        account,
        text,
        f"{ALBUM}{message.media_group_id}" if message.media_group_id else key,
        message=str(message.message_id),
        shared=message.chat.type != "private",
        mentioned=mentioned or any(one.user is not None and one.user.id == me.id for one in entities),
        reply_to=_reply_to(message),
        attachments=attachments,
        places=(f"{FRONT}:{message.chat.id}",),
    )


def _pressed(query: CallbackQuery, key: str, me: User) -> Iterator[Heard]:
    under = query.message
    if under is None or not query.data or query.from_user.is_bot:
        return
    yield Incoming(
        _ref(under.chat, me, under if isinstance(under, Message) else None),
        _account(query.from_user),
        f"/{query.data}",
        key,
        message=str(under.message_id),
        shared=under.chat.type != "private",
        answer_to=query.id,
        pressed=True,
        places=(f"{FRONT}:{under.chat.id}",),
    )


def _reacted(change: MessageReactionUpdated, me: User) -> Iterator[Heard]:
    account = _account(change.user) if change.user else _mask(change.actor_chat)
    if account is None or (change.user and change.user.is_bot):
        return
    old = [one.emoji for one in change.old_reaction if isinstance(one, ReactionTypeEmoji)]
    new = [one.emoji for one in change.new_reaction if isinstance(one, ReactionTypeEmoji)]
    chat, message = _ref(change.chat, me), str(change.message_id)
    for emoji in old:
        if emoji not in new:
            yield Reaction(chat, account, message, emoji, added=False)
    for emoji in new:
        if emoji not in old:
            yield Reaction(chat, account, message, emoji)


def _stood(change: ChatMemberUpdated, me: User) -> Iterator[Heard]:
    if change.new_chat_member.user.id == me.id and change.new_chat_member.status in ("kicked", "left"):
        yield Left(_ref(change.chat, me))


def _stopped(stopped: MessageGenerationStopped, me: User) -> Iterator[Heard]:
    thread = str(stopped.message_thread_id or "")
    yield Stop(replace(_ref(stopped.chat, me), thread=thread), stopped.draft_id)


def _ref(chat: Chat, me: User, message: Message | None = None) -> ChatRef:
    in_topic = message is not None and message.is_topic_message and message.message_thread_id
    return ChatRef(
        FRONT, str(me.id), str(chat.id), str(message.message_thread_id) if message and in_topic else ""
    )


def _speaker(message: Message) -> Account | None:
    """Who said it; nobody for machines, and for what Telegram itself repeats."""
    user = message.from_user
    if message.is_automatic_forward or (user and user.id == _TELEGRAM_ITSELF):
        return None
    if message.sender_chat and (user is None or user.id in _MASKS):
        return _mask(message.sender_chat)
    return None if user is None or user.is_bot else _account(user)


def _account(user: User) -> Account:
    return Account(FRONT, str(user.id), user.full_name, user.language_code or "")


def _mask(chat: Chat | None) -> Account | None:
    return Account(FRONT, str(chat.id), chat.title or "") if chat else None


def _to_us(text: str, username: str) -> tuple[str, bool] | None:
    """The words, and whether they call the bot by its name; None for a command to another bot."""
    name = re.escape(username)
    called = re.compile(rf"(?<!\w)@{name}(?!\w)", re.IGNORECASE) if username else None
    mentioned = called is not None and called.search(text) is not None
    if (
        called
        and (ahead := called.match(text.lstrip()))
        and (rest := text.lstrip()[ahead.end() :]).strip(" ,:")
    ):
        text = rest.lstrip(" ,:")
    if command := _COMMAND.match(text):
        if command[2] and command[2].lower() != username.lower():
            return None
        # What a link adds to /start is of no use here, and anybody can write such a link.
        rest = "" if command[1].lower() == "/start" else text[command.end() :]
        return command[1] + rest, mentioned or bool(command[2])
    return text, mentioned


def _reply_to(message: Message) -> str:
    """The message that is replied to. In a topic everything "replies" to what opened it, and means nothing by it."""
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created:
        return ""
    if message.is_topic_message and replied.message_id == message.message_thread_id:
        return ""
    return str(replied.message_id)


def _attachments(message: Message) -> Iterator[Attachment]:
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        yield Attachment("photo", largest.file_id, mime="image/jpeg", size=largest.file_size or 0)
    if message.voice:
        mime = message.voice.mime_type or "audio/ogg"
        yield Attachment("voice", message.voice.file_id, mime=mime, size=message.voice.file_size or 0)
    if video := message.video or message.animation:
        yield Attachment(
            "video", video.file_id, video.file_name or "", video.mime_type or "", video.file_size or 0
        )
    if message.video_note:
        yield Attachment("video", message.video_note.file_id, size=message.video_note.file_size or 0)
    if sticker := message.sticker:
        yield Attachment("sticker", sticker.file_id, sticker.emoji or "", size=sticker.file_size or 0)
    # A moving picture comes as a file too.
    if file := message.audio or (None if message.animation else message.document):
        yield Attachment(
            "file", file.file_id, file.file_name or "", file.mime_type or "", file.file_size or 0
        )
    if message.contact:
        yield Attachment("file", name=f"{message.contact.first_name}.vcf", mime="text/vcard")
    if spot := message.venue.location if message.venue else message.location:
        name = message.venue.title if message.venue else f"{spot.latitude:.5f}, {spot.longitude:.5f}"
        yield Attachment("place", name=name)
