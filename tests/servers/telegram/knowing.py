"""The methods that ask about places and people, keep a forum's topics, and set what a bot says about itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.servers.telegram import rendering, rules
from tests.servers.telegram.calls import Call
from tests.servers.telegram.mailbox import Webhook
from tests.servers.telegram.rules import JSON, Refusal, Rule
from tests.servers.telegram.world import Member, Topic

if TYPE_CHECKING:
    from tests.servers.telegram.acting import Chat

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


# The bot about itself.


def get_me(call: Call) -> JSON:
    return rendering.me(call.bot)


def _scope(call: Call) -> tuple[str, str]:
    scope = call.get("scope") or {"type": "default"}
    language = call.get("language_code") or ""
    if language and not re.fullmatch(r"[a-z]{2}", language):
        raise Refusal("invalid language code specified", rule=Rule.BAD_VALUE)
    return json.dumps(scope, sort_keys=True), language


def set_my_commands(call: Call) -> bool:
    commands: list[Any] = call.params["commands"]
    if len(commands) > 100:
        raise Refusal("too many commands: 100 at most", rule=Rule.BAD_VALUE)
    for one in commands:
        if not isinstance(one, dict) or not _COMMAND.fullmatch(str(one.get("command", ""))):
            raise Refusal("BOT_COMMAND_INVALID", rule=Rule.BAD_VALUE)
        if not 1 <= len(str(one.get("description", ""))) <= 256:
            raise Refusal("BOT_COMMAND_DESCRIPTION_INVALID", rule=Rule.BAD_VALUE)
    call.bot.commands[_scope(call)] = commands
    return True


def get_my_commands(call: Call) -> list[JSON]:
    return call.bot.commands.get(_scope(call), [])


def delete_my_commands(call: Call) -> bool:
    call.bot.commands.pop(_scope(call), None)
    return True


def _set_words(call: Call, field: str, longest: int) -> bool:
    words = call.get(field) or ""
    if len(words) > longest:
        raise Refusal(f"{field.replace('_', ' ')} is too long", rule=Rule.TEXT_TOO_LONG)
    call.bot.words[field, call.get("language_code") or ""] = words
    return True


def _get_words(call: Call, field: str) -> JSON:
    words = call.bot.words
    return {field: words.get((field, call.get("language_code") or ""), words.get((field, ""), ""))}


def set_my_description(call: Call) -> bool:
    return _set_words(call, "description", 512)


def get_my_description(call: Call) -> JSON:
    return _get_words(call, "description")


def set_my_short_description(call: Call) -> bool:
    return _set_words(call, "short_description", 120)


def get_my_short_description(call: Call) -> JSON:
    return _get_words(call, "short_description")


def set_my_name(call: Call) -> bool:
    return _set_words(call, "name", 64)


def get_my_name(call: Call) -> JSON:
    known = _get_words(call, "name")
    return known if known["name"] else {"name": call.bot.name}


def set_webhook(call: Call) -> bool:
    url: str = call.params["url"]
    box = call.bot.mailbox
    box.allow(call.get("allowed_updates"))
    if call.get("drop_pending_updates"):
        box.pending.clear()
    if not url:
        box.webhook = None
        return True
    parts = urlsplit(url)
    near = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if parts.scheme != "https" and not (near and parts.scheme == "http"):
        raise Refusal("bad webhook: An HTTPS URL must be provided for webhook", rule=Rule.BAD_VALUE)
    secret = call.get("secret_token")
    if secret is not None and not _SECRET.fullmatch(secret):
        raise Refusal("secret token contains unallowed characters", rule=Rule.BAD_VALUE)
    box.webhook = Webhook(url, secret, call.get("max_connections") or 40)
    box.bell.ring()
    return True


def delete_webhook(call: Call) -> bool:
    box = call.bot.mailbox
    box.webhook = None
    if call.get("drop_pending_updates"):
        box.pending.clear()
    box.bell.ring()
    return True


def get_webhook_info(call: Call) -> JSON:
    box = call.bot.mailbox
    hook = box.webhook or Webhook("")
    return rendering.filled(
        url=hook.url,
        has_custom_certificate=False,
        pending_update_count=len(box.pending),
        max_connections=hook.max_connections if hook.url else None,
        last_error_date=hook.last_error_date,
        last_error_message=hook.last_error,
        allowed_updates=sorted(box.allowed) if box.allowed else None,
    )


# Places and people.


def _inside(call: Call) -> Chat:
    chat = call.chat
    member = chat.members.get(call.bot.id)
    if member is not None and chat.person is None and not member.inside:
        chat.admit(call.bot)
    return chat


def get_chat(call: Call) -> JSON:
    return rendering.full_chat(_inside(call), call.bot)


def get_chat_member(call: Call) -> JSON:
    chat = _inside(call)
    who = call.person()
    return rendering.member(chat.members.get(who.id) or Member(who, "left"))


def get_chat_administrators(call: Call) -> list[JSON]:
    chat = _inside(call)
    if chat.person is not None:
        raise Refusal("there are no administrators in the private chat")
    return [rendering.member(one) for one in chat.members.values() if one.rules_here]


def get_chat_member_count(call: Call) -> int:
    return sum(one.inside for one in _inside(call).members.values())


def leave_chat(call: Call) -> bool:
    chat = _inside(call)
    if chat.person is not None:
        raise Refusal("chat member status can't be changed in private chats")
    chat.serve(call.bot, left_chat_member=rendering.user(call.bot))
    chat.change_member(call.bot, call.bot, Member(call.bot, "left"))
    return True


def get_user_profile_photos(call: Call) -> JSON:
    who = call.person()
    faces = getattr(who, "faces", [])
    start = call.get("offset") or 0
    shown = faces[start : start + (call.get("limit") or 100)]
    return {"total_count": len(faces), "photos": [rendering.photo_sizes(face, call.bot) for face in shown]}


def get_file(call: Call) -> JSON:
    file = call.world.file(call.bot, call.params["file_id"])
    if file is None:
        raise Refusal("wrong file_id or the file is temporarily unavailable", rule=Rule.BAD_VALUE)
    if len(file.data) > rules.DOWNLOAD_BYTES:
        raise Refusal("file is too big")
    return {
        "file_id": call.params["file_id"],
        "file_unique_id": file.unique_id,
        "file_size": len(file.data),
        "file_path": file.path,
    }


# Topics.


def _forum(call: Call) -> Chat:
    """The chat, if it has topics and this bot may keep them."""
    chat = call.chat
    chat.admit(call.bot)
    if not (call.bot.has_topics_enabled if chat.type == "private" else chat.forum):
        raise Refusal("the chat is not a forum")
    if chat.type != "private" and not chat.members[call.bot.id].may("can_manage_topics"):
        raise Refusal("not enough rights to manage topics in the chat")
    return chat


def _topic(call: Call) -> tuple[Chat, Topic]:
    chat = _forum(call)
    topic = chat.topics.get(call.params["message_thread_id"])
    if topic is None:
        raise Refusal("message thread not found")
    return chat, topic


def create_forum_topic(call: Call) -> JSON:
    chat = _forum(call)
    name: str = call.params["name"]
    if not 1 <= len(name) <= 128:
        raise Refusal("TOPIC_TITLE_INVALID", rule=Rule.BAD_VALUE)
    color = call.get("icon_color") or 0x6FB9F0
    if color not in {7322096, 16766590, 13338331, 9367192, 16749490, 16478047}:
        raise Refusal("invalid topic icon color specified", rule=Rule.BAD_VALUE)
    topic = chat.open_topic(call.bot, Topic(0, name, color, call.get("icon_custom_emoji_id")))
    return rendering.filled(
        message_thread_id=topic.id,
        name=topic.name,
        icon_color=topic.icon_color,
        icon_custom_emoji_id=topic.icon_custom_emoji_id,
    )


def edit_forum_topic(call: Call) -> bool:
    chat, topic = _topic(call)
    name, icon = call.get("name"), call.get("icon_custom_emoji_id")
    if name in (None, topic.name) and icon in (None, topic.icon_custom_emoji_id):
        raise Refusal("TOPIC_NOT_MODIFIED")
    topic.name = name or topic.name
    topic.icon_custom_emoji_id = icon if icon is not None else topic.icon_custom_emoji_id
    edited = rendering.filled(name=name, icon_custom_emoji_id=icon)
    chat.serve(call.bot, forum_topic_edited=edited, thread=topic.id)
    return True


def close_forum_topic(call: Call) -> bool:
    return _shut(call, closed=True)


def reopen_forum_topic(call: Call) -> bool:
    return _shut(call, closed=False)


def _shut(call: Call, *, closed: bool) -> bool:
    chat, topic = _topic(call)
    if topic.closed == closed:
        raise Refusal("TOPIC_NOT_MODIFIED")
    topic.closed = closed
    service: JSON = {"forum_topic_closed" if closed else "forum_topic_reopened": {}}
    chat.serve(call.bot, thread=topic.id, **service)
    return True


def delete_forum_topic(call: Call) -> bool:
    chat, topic = _topic(call)
    chat.drop_topic(call.bot, topic)
    return True
