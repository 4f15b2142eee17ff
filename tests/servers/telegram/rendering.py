"""How the nouns look in the API's JSON, to one bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.telegram.rules import JSON
from tests.servers.telegram.world import Author, Bot, Member, Message, StoredFile

if TYPE_CHECKING:
    from tests.servers.telegram.places import Place

_ADMIN = (
    "can_manage_chat can_delete_messages can_manage_video_chats can_restrict_members can_promote_members"
    " can_change_info can_invite_users can_post_stories can_edit_stories can_delete_stories"
    " can_send_welcome_messages can_post_messages can_edit_messages can_pin_messages can_manage_topics"
)
_SEND = (
    "can_send_messages can_send_audios can_send_documents can_send_photos can_send_videos can_send_video_notes"
    " can_send_voice_notes can_send_polls can_send_other_messages"
)
_MORE = (
    "can_add_web_page_previews can_react_to_messages can_edit_tag can_change_info can_invite_users"
    " can_pin_messages can_manage_topics"
)
ADMIN_RIGHTS = tuple(_ADMIN.split())
SEND_RIGHTS = tuple(_SEND.split())
RESTRICTED_RIGHTS = SEND_RIGHTS + tuple(_MORE.split())


def filled(**fields: object) -> JSON:
    """Only the fields that say something."""
    return {name: value for name, value in fields.items() if value is not None}


def user(who: Author) -> JSON:
    if isinstance(who, Bot):
        return {"id": who.id, "is_bot": True, "first_name": who.name, "username": who.username}
    return filled(
        id=who.id,
        is_bot=False,
        first_name=who.name,
        last_name=who.last_name,
        username=who.username,
        language_code=who.language,
    )


def me(bot: Bot) -> JSON:
    return {
        **user(bot),
        "can_join_groups": bot.can_join_groups,
        "can_read_all_group_messages": bot.can_read_all_group_messages,
        "supports_inline_queries": False,
        "supports_guest_queries": False,
        "supports_join_request_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": bot.has_topics_enabled,
        "allows_users_to_create_topics": bot.allows_users_to_create_topics,
        "can_manage_bots": False,
    }


def chat(place: Place, chat_id: int | None = None) -> JSON:
    """A chat; under another number, if it has moved since."""
    person = place.person
    if person is not None:
        return filled(
            id=person.id,
            type="private",
            first_name=person.name,
            last_name=person.last_name,
            username=person.username,
        )
    moved = chat_id is not None and chat_id != place.id
    return filled(
        id=chat_id if moved else place.id,
        type="group" if moved else place.type,
        title=place.title,
        username=place.username,
        is_forum=True if place.forum and not moved else None,
    )


def full_chat(place: Place, bot: Bot) -> JSON:
    gifts = (
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    )
    fields = {
        **chat(place),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }
    if place.person is None:
        fields["permissions"] = dict.fromkeys(SEND_RIGHTS, True)
    elif place.person.faces:
        face = place.person.faces[0]
        fields["photo"] = {
            "small_file_id": face.id_for(bot, "s"),
            "small_file_unique_id": face.unique_id + "s",
            "big_file_id": face.id_for(bot),
            "big_file_unique_id": face.unique_id,
        }
    return fields


def member(one: Member) -> JSON:
    fields: JSON = {"status": one.status, "user": user(one.who)}
    if one.status == "creator":
        fields["is_anonymous"] = False
    elif one.status == "administrator":
        fields |= {"can_be_edited": False, "is_anonymous": False}
        fields |= {right: one.may(right) for right in ADMIN_RIGHTS}
    elif one.status == "restricted":
        fields |= {"is_member": True, "until_date": 0}
        fields |= {right: one.rights.get(right, False) for right in RESTRICTED_RIGHTS}
    elif one.status == "kicked":
        fields["until_date"] = 0
    return fields


def photo_sizes(file: StoredFile, bot: Bot) -> list[JSON]:
    """The picture in its sizes, the largest last."""
    longest = max(file.width, file.height)
    sizes = [("s", 90), ("m", 320), ("x", max(longest, 1))]
    return [
        {
            "file_id": file.id_for(bot, name),
            "file_unique_id": file.unique_id + name,
            "width": max(1, file.width * side // longest),
            "height": max(1, file.height * side // longest),
            "file_size": len(file.data),
        }
        for name, side in sizes
        if name == "x" or side < longest
    ]


def _file(file: StoredFile, bot: Bot) -> JSON:
    base = {"file_id": file.id_for(bot), "file_unique_id": file.unique_id, "file_size": len(file.data)}
    if file.kind == "photo":
        return {"photo": photo_sizes(file, bot)}
    if file.kind == "voice":
        return {"voice": {**base, "duration": file.duration, "mime_type": file.mime}}
    if file.kind == "sticker":
        shape = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        return {"sticker": {**base, **shape, "emoji": file.emoji}}
    return {"document": {**base, "file_name": file.name, "mime_type": file.mime}}


def message(one: Message, place: Place, bot: Bot, *, whole: bool = True) -> JSON:
    """A message; `whole` is false for what is replied to, which brings no reply of its own."""
    fields = filled(
        message_id=one.id,
        date=one.date,
        chat=chat(place, one.chat_id),
        message_thread_id=one.thread,
        is_topic_message=True if one.thread is not None else None,
        edit_date=one.edited,
        media_group_id=one.album,
        text=one.text,
        caption=one.caption,
        location=one.location,
        reply_markup=one.markup if one.markup and "inline_keyboard" in one.markup else None,
    )
    if place.type == "channel":
        fields["sender_chat"] = chat(place)
    elif one.by is not None:
        fields["from"] = user(one.by)
    if one.entities:
        fields["entities" if one.text is not None else "caption_entities"] = one.entities
    if one.file is not None:
        fields |= _file(one.file, bot)
    if one.service is not None:
        fields |= one.service
    if whole and one.reply_to is not None and not one.reply_to.deleted:
        fields["reply_to_message"] = message(one.reply_to, place, bot, whole=False)
    return fields
