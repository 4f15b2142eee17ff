"""The methods that change what stands in a chat: send, draft, edit, delete, react, answer a press."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers.telegram import rendering, rules
from tests.servers.telegram.calls import Call
from tests.servers.telegram.rules import JSON, Refusal, Rule
from tests.servers.telegram.world import Answer, Draft, Message

if TYPE_CHECKING:
    from tests.servers.telegram.acting import Chat


def _post(call: Call, chat: Chat, right: str, **fields: Any) -> Message:
    """Put a message of the bot there, once everything about it is known to be allowed."""
    chat.admit(call.bot, right)
    reply = call.replied(chat)
    thread = call.get("message_thread_id")
    if thread is None and reply is not None:
        thread = reply.thread
    chat.topic(call.bot, thread)
    message = chat.new_message(call.bot, reply_to=reply, thread=thread, **fields)
    chat.finish_draft(call.bot, thread)
    chat.note("posted", call.bot, message)
    chat.tell("channel_post" if chat.type == "channel" else "message", message)
    return message


def send_message(call: Call) -> JSON:
    chat = call.chat
    text, entities = call.words(call.params, "text")
    if not text:
        raise Refusal("message text is empty", rule=Rule.MISSING_PARAMETER)
    markup = call.markup()
    message = _post(call, chat, "can_send_messages", text=text, entities=entities, markup=markup)
    return rendering.message(message, chat, call.bot)


def _send_file(call: Call, kind: str) -> JSON:
    chat = call.chat
    caption, entities = call.words(call.params, "caption")
    markup = call.markup()
    file = call.file(call.get(kind), kind)
    message = _post(
        call, chat, f"can_send_{kind}s", file=file, caption=caption or None, entities=entities, markup=markup
    )
    return rendering.message(message, chat, call.bot)


def send_photo(call: Call) -> JSON:
    return _send_file(call, "photo")


def send_document(call: Call) -> JSON:
    return _send_file(call, "document")


def send_media_group(call: Call) -> list[JSON]:
    chat = call.chat
    media: list[Any] = call.params["media"]
    if len(media) not in rules.ALBUM:
        raise Refusal("wrong number of messages to send: 2-10 expected", rule=Rule.BAD_ALBUM)
    items = [_medium(call, one) for one in media]
    if len({kind for kind, *_ in items}) > 1:
        raise Refusal("documents can't be mixed with other media types", rule=Rule.BAD_ALBUM)
    album = str(call.world.number("album", 13_000_000_000_000_001))
    posted = [
        _post(
            call,
            chat,
            f"can_send_{kind}s",
            file=file,
            caption=caption or None,
            entities=entities,
            album=album,
        )
        for kind, file, caption, entities in items
    ]
    return [rendering.message(one, chat, call.bot) for one in posted]


def _medium(call: Call, one: object) -> tuple[str, Any, str, list[JSON]]:
    if not isinstance(one, dict) or one.get("type") not in {"photo", "document"}:
        raise Refusal("can't parse InputMedia: this server knows photo and document", rule=Rule.BAD_VALUE)
    caption, entities = call.words(one, "caption")
    return one["type"], call.file(one.get("media"), one["type"]), caption, entities


def send_chat_action(call: Call) -> bool:
    chat = call.chat
    if call.params["action"] not in rules.CHAT_ACTIONS:
        raise Refusal("wrong parameter action in request", rule=Rule.BAD_VALUE)
    chat.admit(call.bot, "can_send_messages")
    chat.topic(call.bot, call.get("message_thread_id"))
    chat.actions.append(call.params["action"])
    chat.note("action", call.bot, detail=call.params["action"])
    return True


def send_message_draft(call: Call) -> bool:
    chat = call.chat
    if chat.type != "private":
        raise Refusal("TEXTDRAFT_PEER_INVALID", rule=Rule.DRAFT_PLACE)
    number: int = call.params["draft_id"]
    if number == 0:
        raise Refusal("RANDOM_ID_INVALID", rule=Rule.DRAFT_ID)
    text, entities = call.words(call.params, "text")
    chat.admit(call.bot)
    thread = call.get("message_thread_id")
    chat.topic(call.bot, thread)
    now = call.world.lived()
    draft = chat.drafts.get(thread)
    if draft is not None:
        call.world.judge(draft, now)
    if draft is not None and draft.id == number and draft.stopped:
        chat.note("ignored", call.bot, detail=f"draft {number} was stopped")
        return True
    if draft is not None and draft.id == number and not draft.over:
        draft.text, draft.entities, draft.at = text, entities, now
        draft.updates += 1
        draft.can_stop = bool(call.get("can_stop"))
        draft.keep_on_stop = bool(call.get("keep_on_stop"))
    else:
        if draft is not None:
            draft.over = True
        draft = Draft(
            number,
            call.bot,
            text,
            entities,
            thread,
            bool(call.get("can_stop")),
            bool(call.get("keep_on_stop")),
            now,
        )
        chat.drafts[thread] = draft
        call.world.drafts.append((chat, draft))
    chat.note("drafted", call.bot, detail=text)
    return True


def _target(call: Call) -> tuple[Chat, Message]:
    """The bot's own message that is to be edited."""
    if call.get("inline_message_id") is not None:
        raise Refusal("MESSAGE_ID_INVALID", rule=Rule.BAD_VALUE)
    if call.get("chat_id") is None or call.get("message_id") is None:
        raise Refusal("message identifier is not specified", rule=Rule.MISSING_PARAMETER)
    chat = call.chat
    chat.admit(call.bot)
    message = chat.find(call.params["message_id"])
    if message is None:
        raise Refusal("message to edit not found")
    if message.by is not call.bot or message.service is not None:
        raise Refusal("message can't be edited", rule=Rule.NOT_ITS_MESSAGE)
    return chat, message


def _edited(call: Call, chat: Chat, message: Message, **fields: Any) -> JSON:
    """Change what is new; a refusal if nothing is."""
    if all(getattr(message, name) == value for name, value in fields.items()):
        raise Refusal(
            "message is not modified: specified new message content and reply markup are exactly the same"
            " as a current content and reply markup of the message"
        )
    for name, value in fields.items():
        setattr(message, name, value)
    message.edits += 1
    message.edited = call.world.date()
    chat.note("edited", call.bot, message)
    return rendering.message(message, chat, call.bot)


def edit_message_text(call: Call) -> JSON:
    chat, message = _target(call)
    text, entities = call.words(call.params, "text")
    if message.text is None:
        raise Refusal("there is no text in the message to edit")
    if not text:
        raise Refusal("message text is empty", rule=Rule.MISSING_PARAMETER)
    return _edited(call, chat, message, text=text, entities=entities, markup=call.markup(inline_only=True))


def edit_message_caption(call: Call) -> JSON:
    chat, message = _target(call)
    caption, entities = call.words(call.params, "caption")
    if message.file is None:
        raise Refusal("there is no caption in the message to edit")
    markup = call.markup(inline_only=True)
    return _edited(call, chat, message, caption=caption or None, entities=entities, markup=markup)


def edit_message_media(call: Call) -> JSON:
    chat, message = _target(call)
    markup = call.markup(inline_only=True)
    kind, file, caption, entities = _medium(call, call.params["media"])
    chat.admit(call.bot, f"can_send_{kind}s")
    return _edited(
        call, chat, message, file=file, text=None, caption=caption or None, entities=entities, markup=markup
    )


def edit_message_reply_markup(call: Call) -> JSON:
    chat, message = _target(call)
    return _edited(call, chat, message, markup=call.markup(inline_only=True))


def _check_deletable(call: Call, chat: Chat, message: Message) -> None:
    """A refusal unless the bot may delete this: its own and private messages while they are new, or as an admin."""
    if chat.type != "private" and chat.members[call.bot.id].may("can_delete_messages"):
        return
    if chat.type != "private" and message.by is not call.bot:
        raise Refusal("message can't be deleted")
    if call.world.date() - message.date > rules.DELETABLE_SECONDS:
        raise Refusal("message can't be deleted for everyone")


def delete_message(call: Call) -> bool:
    chat = call.chat
    chat.admit(call.bot)
    message = chat.find(call.params["message_id"])
    if message is None:
        raise Refusal("message to delete not found")
    _check_deletable(call, chat, message)
    chat.delete(message, call.bot)
    return True


def delete_messages(call: Call) -> bool:
    chat = call.chat
    chat.admit(call.bot)
    found = [message for number in call.params["message_ids"] if (message := chat.find(number))]
    for message in found:
        _check_deletable(call, chat, message)
    for message in found:
        chat.delete(message, call.bot)
    return True


def set_message_reaction(call: Call) -> bool:
    chat = call.chat
    message = chat.find(call.params["message_id"])
    if message is None:
        raise Refusal("message to react not found")
    wanted: list[Any] = call.get("reaction") or []
    emoji = [str(one.get("emoji")) for one in wanted if isinstance(one, dict)]
    if len(wanted) > 1:
        raise Refusal("REACTIONS_TOO_MANY", rule=Rule.BAD_VALUE)
    if len(emoji) != len(wanted) or not all(one in rules.REACTIONS for one in emoji):
        raise Refusal("REACTION_INVALID", rule=Rule.BAD_VALUE)
    message.reactions[call.bot.id] = wanted
    chat.note("reacted", call.bot, message, detail=" ".join(emoji))
    return True


def answer_callback_query(call: Call) -> bool:
    number: str = call.params["callback_query_id"]
    if number in call.world.raw_queries:
        return True
    gone = "query is too old and response timeout expired or query ID is invalid"
    press = call.world.presses.get(number)
    if press is None or press.bot is not call.bot:
        raise Refusal(gone, rule=Rule.QUERY_UNKNOWN)
    if press.answer is not None:
        if press.forgiven:
            return True
        raise Refusal(gone, rule=Rule.QUERY_TWICE)
    now = call.world.lived()
    if now - press.at > rules.QUERY_SECONDS * call.world.scale:
        counted = press.overdue or press.forgiven
        press.overdue = True
        raise Refusal(gone, rule=None if counted else Rule.QUERY_LATE)
    text = call.get("text") or ""
    if len(text) > 200:
        raise Refusal("MESSAGE_TOO_LONG", rule=Rule.TEXT_TOO_LONG)
    press.settle(Answer(text, bool(call.get("show_alert")), call.get("url"), now))
    press.chat.note("answered", call.bot, press.message, detail=text)
    return True
