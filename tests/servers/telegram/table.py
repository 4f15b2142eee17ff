"""Every method of the API that this server has, with its parameters and their types (Bot API 10.3)."""

from __future__ import annotations

from typing import Any

from tests.servers.telegram import knowing, sending
from tests.servers.telegram.calls import Call, Method, method

_TO = "chat_id:chat! message_thread_id:int business_connection_id:str "
_HOW = (
    _TO
    + "direct_messages_topic_id:int disable_notification:bool protect_content:bool allow_paid_broadcast:bool"
    " message_effect_id:str reply_parameters:obj allow_sending_without_reply:bool reply_to_message_id:int "
)
_ONE = _HOW + (
    "suggested_post_parameters:obj reply_markup:obj ephemeral_message_parameters:obj receiver_user_id:int"
    " callback_query_id:str "
)
_TEXT = "parse_mode:str entities:list link_preview_options:obj disable_web_page_preview:bool "
_CAPTION = "caption:str parse_mode:str caption_entities:list "
_SHOWN = "show_caption_above_media:bool "
_EDIT = "chat_id:chat message_id:int inline_message_id:str business_connection_id:str reply_markup:obj "
_TOPIC = "chat_id:chat! message_thread_id:int! "


def polled(_: Call) -> Any:
    """getUpdates waits: the server answers it itself."""
    raise AssertionError("getUpdates is answered by the server")


_METHODS = (
    method("getMe", knowing.get_me),
    method("getUpdates", polled, "offset:int limit:int timeout:int allowed_updates:strs"),
    method(
        "setWebhook",
        knowing.set_webhook,
        "url:str! certificate:file ip_address:str max_connections:int allowed_updates:strs"
        " drop_pending_updates:bool secret_token:str",
    ),
    method("deleteWebhook", knowing.delete_webhook, "drop_pending_updates:bool"),
    method("getWebhookInfo", knowing.get_webhook_info),
    method("sendMessage", sending.send_message, _ONE + "text:str! " + _TEXT, meter="send"),
    method(
        "sendMessageDraft",
        sending.send_message_draft,
        "chat_id:int! draft_id:int! message_thread_id:int text:str parse_mode:str entities:list can_stop:bool"
        " keep_on_stop:bool",
        meter="draft",
    ),
    method(
        "sendPhoto",
        sending.send_photo,
        _ONE + "photo:file! has_spoiler:bool " + _SHOWN + _CAPTION,
        meter="send",
        photos=True,
    ),
    method(
        "sendDocument",
        sending.send_document,
        _ONE + "document:file! thumbnail:file disable_content_type_detection:bool " + _CAPTION,
        meter="send",
    ),
    method("sendMediaGroup", sending.send_media_group, _HOW + "media:list!", meter="send", photos=True),
    method("sendChatAction", sending.send_chat_action, _TO + "action:str!", writes=True),
    method(
        "editMessageText",
        sending.edit_message_text,
        _EDIT + "text:str rich_message:obj " + _TEXT,
        meter="send",
    ),
    method("editMessageCaption", sending.edit_message_caption, _EDIT + _SHOWN + _CAPTION, meter="send"),
    method("editMessageMedia", sending.edit_message_media, _EDIT + "media:obj!", meter="send", photos=True),
    method("editMessageReplyMarkup", sending.edit_message_reply_markup, _EDIT, meter="send"),
    method("deleteMessage", sending.delete_message, "chat_id:chat! message_id:int!"),
    method("deleteMessages", sending.delete_messages, "chat_id:chat! message_ids:ints!"),
    method(
        "answerCallbackQuery",
        sending.answer_callback_query,
        "callback_query_id:str! text:str show_alert:bool url:str cache_time:int",
    ),
    method(
        "setMessageReaction",
        sending.set_message_reaction,
        "chat_id:chat! message_id:int! reaction:list is_big:bool",
    ),
    method("getChat", knowing.get_chat, "chat_id:chat!"),
    method("getChatMember", knowing.get_chat_member, "chat_id:chat! user_id:int!"),
    method("getChatAdministrators", knowing.get_chat_administrators, "chat_id:chat! return_bots:bool"),
    method("getChatMemberCount", knowing.get_chat_member_count, "chat_id:chat!"),
    method("leaveChat", knowing.leave_chat, "chat_id:chat!"),
    method("getFile", knowing.get_file, "file_id:str!"),
    method("getUserProfilePhotos", knowing.get_user_profile_photos, "user_id:int! offset:int limit:int"),
    method("setMyCommands", knowing.set_my_commands, "commands:list! scope:obj language_code:str"),
    method("getMyCommands", knowing.get_my_commands, "scope:obj language_code:str"),
    method("deleteMyCommands", knowing.delete_my_commands, "scope:obj language_code:str"),
    method("setMyDescription", knowing.set_my_description, "description:str language_code:str"),
    method("getMyDescription", knowing.get_my_description, "language_code:str"),
    method(
        "setMyShortDescription", knowing.set_my_short_description, "short_description:str language_code:str"
    ),
    method("getMyShortDescription", knowing.get_my_short_description, "language_code:str"),
    method("setMyName", knowing.set_my_name, "name:str language_code:str"),
    method("getMyName", knowing.get_my_name, "language_code:str"),
    method(
        "createForumTopic",
        knowing.create_forum_topic,
        "chat_id:chat! name:str! icon_color:int icon_custom_emoji_id:str",
    ),
    method("editForumTopic", knowing.edit_forum_topic, _TOPIC + "name:str icon_custom_emoji_id:str"),
    method("closeForumTopic", knowing.close_forum_topic, _TOPIC),
    method("reopenForumTopic", knowing.reopen_forum_topic, _TOPIC),
    method("deleteForumTopic", knowing.delete_forum_topic, _TOPIC),
)

#: By their small name: the real server does not mind the case.
METHODS: dict[str, Method] = {one.name.lower(): one for one in _METHODS}
