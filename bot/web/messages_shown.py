"""Messages of the page as a browser sees them: the same JSON from its socket and from the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.store.page_news import News, Shot
from engine.store.records import Message

#: A revision is told together with the chat's own number. Where a chat was forgotten and is made anew, its
#: messages all come behind whatever somebody remembers of the old one.
_PLACES = 32


def stamp(chat_id: int, revision: int) -> int:
    return (chat_id << _PLACES) + revision


def behind(chat_id: int, after: int) -> int | None:
    """The revision that somebody knows of this chat; None: they know another one, or none."""
    known, revision = after >> _PLACES, after & ((1 << _PLACES) - 1)
    return revision if known == chat_id else None


def message_shown(message: Message, shots: Mapping[int, Shot]) -> dict[str, Any]:
    return {
        "id": message.id,
        "by": message.by.value,
        "name": message.name,
        "slug": message.slug,
        "text": message.text,
        "source": message.source.value if message.source else None,
        "turn": message.turn_id,
        "job": message.job_id,
        "pictures": [shot_shown(shots[one]) for one in message.pictures if one in shots],
        "faces": [{"slug": slug, "face": f"/api/v1/personas/{slug}/face"} for slug in message.faces],
        "buttons": [
            [{"id": one.order, "label": one.label, "kind": one.style} for one in row]
            for row in message.buttons
        ],
        "question": {"prefill": message.question.prefill} if message.question else None,
        "code": list(message.code),
        "reactions": [{"emoji": one.emoji, "by": list(one.by)} for one in message.marks],
        "created_at": message.created_at.isoformat(),
        "revision": stamp(message.chat_id, message.revision),
    }


def happenings(chat: str, news: News) -> list[dict[str, Any]]:
    """What is told of these messages in a chat that is called so."""
    return [
        {
            "is": "gone",
            "chat": chat,
            "id": message.id,
            "revision": stamp(message.chat_id, message.revision),
        }
        if message.gone
        else {"is": "message", "chat": chat, "message": message_shown(message, news.shots)}
        for message in news.messages
    ]


def shot_shown(shot: Shot) -> dict[str, Any]:
    return {
        "id": shot.id,
        "persona": shot.persona,
        "style": shot.style,
        "width": shot.width,
        "height": shot.height,
        "rating": shot.rating.value,
        "stand_in": shot.stand_in,
        "created_at": shot.created_at.isoformat(),
        "thumb": f"/api/v1/pictures/{shot.id}/thumb",
        "image": f"/api/v1/pictures/{shot.id}",
    }
