"""Pure: what is wanted, as the messages that any OpenAI-compatible server takes.

Knows the roles that servers accept, and nothing of how messages are sent or what comes back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from engine.language import PROMPT_WORDS, PersonaWanted, PromptWanted, ReplyWanted, Wanted
from personas import prompting
from personas.prompting import Reach, Segment

Message = dict[str, Any]

#: How much of a talk is told where nobody has made segments of it.
ROOM_CHARS = 24_000
_REJECTED_TOLD = 3
#: Words shorter than this, in characters, are not cut: something else is too long.
LEAST_CUT = 400
_MIMES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))

#: What a persona looks like as JSON, where no grammar holds a model to it.
PERSONA_FORM = """{
  "name": "first and family name", "age": 34, "pronouns": "she/her", "occupation": "…", "home": "…",
  "kind": "…", "tags": ["…"], "description": "two paragraphs about who this is",
  "personality": {"summary": "…", "traits": ["…"], "likes": ["…"], "dislikes": ["…"], "quirks": ["…"]},
  "interests": [{"name": "…", "words": ["…"], "remarks": ["…"], "questions": ["…"]}],
  "voice": {"manner": "…", "openers": ["…"], "asides": ["…"], "comforts": ["…"], "farewells": ["…"], "avoids": ["…"]},
  "appearance": {"face": "…", "hair": "…", "eyes": "…", "skin": "…", "build": "…", "marks": "…",
                 "wardrobe": [{"name": "…", "description": "…"}], "places": ["…"]},
  "picture": {"palette": ["#22333b", "#c6ac8f", "#eae0d5"], "light": "…"},
  "scenario": "…", "greetings": ["…"], "examples": ["{{user}}: …\\n{{char}}: …"]
}"""


def messages_of(wanted: Wanted, *, sees: bool = False) -> list[Message]:
    """One system message, then user and assistant in turn. A model that `sees` gets the pictures, others a note.

    That is the one shape that every server takes. Many templates refuse a system message in the middle, and others
    move it to the front without a word, where it would change what is the same for everybody: so the block that is
    new every turn is folded in front of the person's last words, where it stands anyway. It begins with a bracket
    and says that nobody spoke it.
    """
    segments = _segments_of(wanted)
    if not sees:
        segments = prompting.without_pictures(segments)
    front = 0
    while front < len(segments) and _is_in_front(segments[front]):
        front += 1
    house = [one.text for one in segments[:front] if one.text.strip()]
    messages: list[Message] = [{"role": "system", "content": "\n\n".join(house)}] if house else []
    aside: list[str] = []
    for segment in segments[front:]:
        if segment.role == "system":
            aside.append(segment.text)
        elif segment.role == "user":
            messages.append(_said(segment, aside))
            aside = []
        else:
            messages.append({"role": "assistant", "content": segment.text})
    if isinstance(wanted, ReplyWanted) and wanted.rejected:
        aside += _otherwise(wanted.rejected)
    if aside or not messages or messages[-1]["role"] != "user":
        messages.append(_last(messages, aside))
    return messages


def in_strict_turn(messages: Sequence[Message]) -> list[Message]:
    """The same for templates that know no system role, or want the person to begin and the two to take turns."""
    turns: list[Message] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1] = {"role": role, "content": _joined(turns[-1]["content"], message["content"])}
        else:
            turns.append({**message, "role": role})
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": "(The chat begins.)"})
    return turns


def shorter(messages: Sequence[Message]) -> list[Message] | None:
    """The same for a server that has less room: without the oldest half of the talk, or with half of the last words.

    None where there is nothing left to do without.
    """
    front = [one for one in messages[:1] if one["role"] == "system"]
    talk = list(messages[len(front) :])
    if len(talk) > 1:
        kept = talk[(len(talk) + 1) // 2 :]
        return [*front, *kept]
    if not talk or not isinstance(talk[0]["content"], str) or len(talk[0]["content"]) < LEAST_CUT:
        return None
    words = talk[0]["content"]
    quarter = len(words) // 4
    return [*front, talk[0] | {"content": f"{words[:quarter]} … {words[-quarter:]}"}]


def message_with_pictures(text: str, pictures: Sequence[bytes]) -> Message:
    """What a person said and showed, as one message. What is no PNG, JPEG or WebP is left out: no server reads it."""
    shown = [(mime, one) for one in pictures if (mime := _mime_of(one))]
    if not shown:
        return {"role": "user", "content": text}
    parts: list[Message] = [{"type": "text", "text": text}] if text.strip() else []
    for mime, one in shown:
        url = f"data:{mime};base64,{base64.b64encode(one).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": "user", "content": parts}


def shows_pictures(messages: Iterable[Message]) -> bool:
    return any(not isinstance(one["content"], str) for one in messages)


def again_with_count(messages: Sequence[Message], text: str, words: int) -> list[Message]:
    """A second question after a prompt of the wrong length."""
    least, most = PROMPT_WORDS[0], PROMPT_WORDS[-1]
    way = "longer" if words < least else "shorter"
    asked = (
        f"That has {words} words. Write it again, {way}: about {(least + most) // 2} words, "
        f"never fewer than {least}, never more than {most}. One paragraph and nothing else."
    )
    return [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": asked}]


def _segments_of(wanted: Wanted) -> tuple[Segment, ...]:
    if wanted.segments:
        return wanted.segments
    if isinstance(wanted, ReplyWanted):
        shared = prompting.shared_part(wanted.persona, _instructions("chat"))
        return prompting.segments(
            wanted.persona, wanted.lines, shared=shared, person_name=wanted.person_name, room_chars=ROOM_CHARS
        )
    if isinstance(wanted, PromptWanted):
        return prompting.picture_segments(
            wanted.scene,
            instructions=_instructions("picture"),
            style_words=wanted.style_words,
            rating=wanted.rating,
        )
    return _casting_segments(wanted)


def _casting_segments(wanted: PersonaWanted) -> tuple[Segment, ...]:
    form = f"Answer with one JSON object in this form and nothing else:\n{PERSONA_FORM}"
    hints = [
        f"Kind: {prompting.one_line(wanted.kind, 80)}" if wanted.kind else "Kind: whatever you like",
        f"Name: {prompting.one_line(wanted.name, 80)}" if wanted.name else "",
        # Without a number, a model that is asked again invents the same person again.
        f"Number {wanted.seed % 100_000} of those that you invent; nobody like the ones before.",
    ]
    return (
        Segment(Reach.SHARED, "system", f"{_instructions('casting').strip()}\n\n{form}"),
        Segment(Reach.VOLATILE, "user", "\n".join(hint for hint in hints if hint)),
    )


def _instructions(name: str) -> str:
    return (resources.files("data") / "prompts" / f"{name}.v1.txt").read_text("utf-8")


def _is_in_front(segment: Segment) -> bool:
    """At a talk's first words the block that is new every turn stands right behind the house's own words."""
    return segment.role == "system" and segment.reach is not Reach.VOLATILE


def _said(segment: Segment, aside: Sequence[str]) -> Message:
    return message_with_pictures("\n\n".join([*_bracketed(aside), segment.text]), segment.pictures)


def _last(messages: list[Message], aside: Sequence[str]) -> Message:
    """The turn that the persona answers: the person's, with what is aside; or a nudge where it is to go on alone."""
    if messages and messages[-1]["role"] == "user":
        last = messages.pop()
        return {"role": "user", "content": _joined("\n\n".join(_bracketed(aside)), last["content"])}
    return {"role": "user", "content": "\n\n".join([*_bracketed(aside), "(Go on.)"])}


def _bracketed(aside: Sequence[str]) -> list[str]:
    told = "\n\n".join(text.strip() for text in aside if text.strip())
    return [f"[Only for you, nobody said this:\n{told}]"] if told else []


def _otherwise(rejected: Sequence[str]) -> list[str]:
    told = "\n".join(f"- {prompting.one_line(text, 300)}" for text in rejected[-_REJECTED_TOLD:])
    return [
        f"You answered this before, and another answer is wished, one that says something else than:\n{told}"
    ]


def _joined(first: str | list[Message], second: str | list[Message]) -> str | list[Message]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return _as_parts(first) + _as_parts(second)


def _as_parts(content: str | list[Message]) -> list[Message]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _mime_of(picture: bytes) -> str:
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for start, mime in _MIMES if picture.startswith(start)), "")
