"""What Telegram says, in our nouns; and whatever else it says, nothing."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.types import Message, Update, User
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.telegram.hearing import Heard, Left, Moved, Stop, Topic, Unreadable, gathered, read
from bot.telegram.listening import Reader
from engine.store.records import Account, Attachment, ChatRef, Incoming, Reaction

JSON = dict[str, Any]
ME = User(id=42, is_bot=True, first_name="Green", username="Green_Bot")
ANA: JSON = {"id": 7, "is_bot": False, "first_name": "Ana", "last_name": "Lind", "language_code": "pt-br"}
PRIVATE: JSON = {"id": 7, "type": "private", "first_name": "Ana"}
GROUP: JSON = {"id": -100815, "type": "supergroup", "title": "Tea room"}
FILE: JSON = {"file_id": "F", "file_unique_id": "U", "file_size": 5}


def fields(told: JSON) -> JSON:
    """`from` is no name for an argument: here it is `from_`."""
    return {name.rstrip("_"): value for name, value in told.items()}


def message(**told: Any) -> JSON:
    return {"message_id": 3, "date": 0, "chat": PRIVATE, "from": ANA, **fields(told)}


def update(kind: str = "message", *, number: int = 9, **told: Any) -> JSON:
    return {
        "update_id": number,
        kind: message(**told) if kind in ("message", "channel_post") else fields(told),
    }


def heard(raw: JSON, me: User) -> tuple[Heard, ...]:
    return Reader(me).heard(raw)


def only(raw: JSON) -> Heard:
    (thing,) = heard(raw, ME)
    return thing


def incoming(raw: JSON) -> Incoming:
    thing = only(raw)
    assert isinstance(thing, Incoming)
    return thing


def test_words_in_a_private_chat() -> None:
    assert incoming(update(text="Hello")) == Incoming(
        ChatRef("telegram", "42", "7"),
        Account("telegram", "7", "Ana Lind", "pt-br"),
        "Hello",
        "9",
        message="3",
        places=("telegram:7",),
    )


@pytest.mark.parametrize(
    ("text", "words", "mentioned"),
    [
        ("hello", "hello", False),
        ("hello @green_bot!", "hello @green_bot!", True),
        ("@Green_Bot, hello", "hello", True),
        ("@green_bot /imagine a fox", "/imagine a fox", True),
        ("@green_bot", "@green_bot", True),
        ("mail me@green_bot.org", "mail me@green_bot.org", False),
        ("@green_bottle is another", "@green_bottle is another", False),
        ("/imagine a fox", "/imagine a fox", False),
        ("/imagine@GREEN_bot a fox", "/imagine a fox", True),
        ("/start ref_4711", "/start", False),
        ("/start@green_bot x", "/start", True),
        ("/etc/hosts is a file", "/etc/hosts is a file", False),
    ],
)
def test_whom_a_text_is_for(text: str, words: str, mentioned: bool) -> None:
    said = incoming(update(text=text, chat=GROUP))
    assert (said.text, said.mentioned, said.shared) == (words, mentioned, True)


def test_a_mention_without_a_username_counts_too() -> None:
    entity = {"type": "text_mention", "offset": 0, "length": 5, "user": ME.model_dump()}
    assert incoming(update(text="Green hello", chat=GROUP, entities=[entity])).mentioned


def test_a_command_for_another_bot_is_none_of_our_business() -> None:
    assert heard(update(text="/imagine@other_bot a fox", chat=GROUP), ME) == ()


@pytest.mark.parametrize(
    ("told", "attachment"),
    [
        (
            {
                "photo": [
                    {**FILE, "width": 90, "height": 90},
                    {**FILE, "file_id": "L", "width": 900, "height": 900},
                ]
            },
            Attachment("photo", "L", mime="image/jpeg", size=5),
        ),
        ({"voice": {**FILE, "duration": 3}}, Attachment("voice", "F", mime="audio/ogg", size=5)),
        (
            {"video": {**FILE, "width": 1, "height": 1, "duration": 3, "mime_type": "video/mp4"}},
            Attachment("video", "F", mime="video/mp4", size=5),
        ),
        ({"video_note": {**FILE, "length": 1, "duration": 3}}, Attachment("video", "F", size=5)),
        (
            {
                "sticker": {
                    **FILE,
                    "type": "regular",
                    "width": 1,
                    "height": 1,
                    "is_animated": False,
                    "is_video": False,
                    "emoji": "👋",
                }
            },
            Attachment("sticker", "F", "👋", size=5),
        ),
        (
            {"document": {**FILE, "file_name": "a.pdf", "mime_type": "application/pdf"}},
            Attachment("file", "F", "a.pdf", "application/pdf", 5),
        ),
        ({"location": {"latitude": 52.5, "longitude": 13.4}}, Attachment("place", name="52.50000, 13.40000")),
    ],
)
def test_what_comes_with_a_message(told: JSON, attachment: Attachment) -> None:
    said = incoming(update(caption="Look", **told))
    assert said.text == "Look"
    assert said.attachments == (attachment,)


def test_a_topic_is_a_thread_and_its_opening_is_no_reply() -> None:
    opened = message(message_id=5, chat=GROUP, forum_topic_created={"name": "Cooking", "icon_color": 1})
    topic: JSON = {"chat": GROUP, "message_thread_id": 5, "is_topic_message": True}
    said = incoming(update(text="hi", reply_to_message=opened, **topic))
    assert (said.chat.thread, said.reply_to) == ("5", "")
    real = incoming(update(text="hi", reply_to_message=message(message_id=8, text="x"), **topic))
    assert real.reply_to == "8"
    # Elsewhere a thread is only a row of replies.
    assert incoming(update(text="hi", chat=GROUP, message_thread_id=5)).chat.thread == ""


def test_a_topic_s_name_is_noticed() -> None:
    raw = update(chat=GROUP, message_thread_id=5, is_topic_message=True, forum_topic_edited={"name": "Tea"})
    where = ChatRef("telegram", "42", "-100815", "5")
    assert only(raw) == Topic(where, "Tea")
    for told, free in (({}, False), ({"is_name_implicit": True}, True)):
        made = {"name": "Tea", "icon_color": 1, **told}
        raw = update(chat=GROUP, message_thread_id=5, is_topic_message=True, forum_topic_created=made)
        assert only(raw) == Topic(where, "Tea", free)


def test_an_anonymous_admin_and_a_channel_speak_as_themselves() -> None:
    masked = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
    said = incoming(update(text="hi", chat=GROUP, sender_chat=GROUP, from_=masked))
    assert said.account == Account("telegram", "-100815", "Tea room")
    channel = {"id": -1001, "type": "channel", "title": "News"}
    post = update("channel_post", text="hi", chat=channel, sender_chat=channel, from_=None)
    assert incoming(post).account.platform_id == "-1001"
    assert incoming(post).shared


@pytest.mark.parametrize(
    "told",
    [
        {"text": "hi", "from": {"id": 8, "is_bot": True, "first_name": "Bot"}},
        {"text": "hi", "is_automatic_forward": True},
        {"text": "hi", "from": {"id": 777000, "is_bot": False, "first_name": "Telegram"}},
        {"text": "   "},
        {"new_chat_title": "Tea"},
        {"left_chat_member": ANA},
        {"pinned_message": {"message_id": 1, "date": 0, "chat": PRIVATE}},
    ],
)
def test_what_nobody_said_to_us_is_nothing(told: JSON) -> None:
    assert heard(update(**told), ME) == ()


def test_an_edit_is_nothing() -> None:
    assert heard({"update_id": 1, "edited_message": message(text="hi")}, ME) == ()


def test_a_press() -> None:
    raw = update(
        "callback_query", id="q1", from_=ANA, chat_instance="1", data="reroll 12", message=message(chat=GROUP)
    )
    said = incoming(raw)
    assert (said.text, said.key, said.answer_to, said.pressed, said.message) == (
        "/reroll 12",
        "9",
        "q1",
        True,
        "3",
    )
    old = {"message_id": 3, "date": 0, "chat": GROUP}  # a message so old that Telegram only knows its number
    raw["callback_query"]["message"] = old
    assert incoming(raw).chat.chat == "-100815"


def test_reactions_come_and_go() -> None:
    emoji = [{"type": "emoji", "emoji": one} for one in "👍🔥❤"]
    raw = update(
        "message_reaction",
        chat=PRIVATE,
        message_id=3,
        user=ANA,
        date=0,
        old_reaction=emoji[:2],
        new_reaction=emoji[1:],
    )
    things = heard(raw, ME)
    assert all(isinstance(one, Reaction) for one in things)
    assert [(one.emoji, one.added) for one in things if isinstance(one, Reaction)] == [
        ("👍", False),
        ("❤", True),
    ]


def test_coming_and_going() -> None:
    def stood(status: str, who: JSON) -> JSON:
        new = {"status": status, "user": who} | ({"until_date": 0} if status == "kicked" else {})
        old = {"status": "member", "user": who}
        return update(
            "my_chat_member", chat=GROUP, from_=ANA, date=0, old_chat_member=old, new_chat_member=new
        )

    me = ME.model_dump(exclude_none=True)
    assert only(stood("kicked", me)) == Left(ChatRef("telegram", "42", "-100815"))
    assert only(stood("left", me)) == Left(ChatRef("telegram", "42", "-100815"))
    assert heard(stood("member", me), ME) == ()
    assert heard(stood("left", ANA), ME) == ()


def test_a_group_moves_and_a_draft_is_stopped() -> None:
    assert only(update(chat=GROUP, migrate_to_chat_id=-1009)) == Moved(
        ChatRef("telegram", "42", "-100815"), ChatRef("telegram", "42", "-1009")
    )
    raw = update("stopped_message_generation", chat=PRIVATE, draft_id=5, message_thread_id=6)
    assert only(raw) == Stop(ChatRef("telegram", "42", "7", "6"), 5)


def test_an_album_is_one_message_with_all_its_pictures() -> None:
    photo = [{**FILE, "width": 1, "height": 1}]
    things: list[Heard] = []
    for number, caption in enumerate(("", "Look!", "")):
        raw = update(number=number, message_id=number + 1, photo=photo, caption=caption, media_group_id="13")
        things += heard(raw, ME)
    things[1:1] = heard(update(text="meanwhile"), ME)
    album, other = gathered(things)
    assert isinstance(album, Incoming)
    assert isinstance(other, Incoming)
    assert (album.text, album.key, len(album.attachments)) == ("Look!", "album:13", 3)
    assert other.text == "meanwhile"


# What cannot be read


def test_it_is_said_where_and_nothing_of_what_was_said() -> None:
    origin = {"type": "from_the_future", "words": "a secret"}
    raw = update(text="a secret", reply_to_message=message(text="a secret", forward_origin=origin))
    with pytest.raises(Unreadable) as told:
        read(raw)
    assert told.value.number == 9
    assert told.value.where.startswith("message.reply_to_message.forward_origin")
    assert "secret" not in str(told.value)


def test_each_kind_of_it_is_logged_once() -> None:
    reader = Reader(ME)
    with capture_logs() as logs:
        for number in (1, 2):
            assert reader.heard(update(number=number, text=5)) == ()
        assert reader.heard(update(number=3, message_id="no")) == ()
    told = [one for one in logs if one["event"] == "telegram_news_not_read"]
    assert [(one["log_level"], one["update"]) for one in told] == [("warning", 1), ("warning", 3)]
    assert [one["where"].partition(":")[0] for one in told] == ["message.text", "message.message_id"]


# Anything at all

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=12)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [*sorted(Message.model_fields), "from", "data", "id", "message", "old_reaction", "user"]
)
KINDS = st.sampled_from([*sorted(Update.model_fields), "unheard_of"])


@given(KINDS, st.dictionaries(FIELDS, ANYTHING, max_size=6), ANYTHING, st.booleans())
def test_nothing_that_comes_can_break_us(kind: str, told: JSON, number: object, whole: bool) -> None:
    inner = {**message(text="hi"), **told} if whole else told
    for thing in heard({"update_id": number, kind: inner}, ME):
        assert thing.chat.front == "telegram"


@given(ANYTHING)
def test_nor_can_what_is_no_update(raw: object) -> None:
    if isinstance(raw, dict):
        assert heard(raw, ME) == ()


@given(st.text(), st.sampled_from(["private", "group", "supergroup", "channel"]))
def test_any_text_is_heard_or_is_blank_or_is_for_another_bot(text: str, kind: str) -> None:
    things = heard(update(text=text, chat={"id": -5, "type": kind}), ME)
    if not text.strip():
        assert things == ()
    for thing in things:
        assert isinstance(thing, Incoming)
        assert thing.text.strip()
