"""What the routes of the page's chats answer, as the API's document says it. What it means, `talks.py` knows."""

from __future__ import annotations

from pydantic import BaseModel

from bot.web.shapes import PersonaOut, ShotOut
from engine.language import Source
from engine.store.records import By


class ButtonOut(BaseModel):
    id: str
    label: str
    kind: str


class FaceOut(BaseModel):
    slug: str
    face: str


class QuestionOut(BaseModel):
    #: What is there already, to be changed.
    prefill: str


class ReactionOut(BaseModel):
    emoji: str
    #: Who put it there: `account` of `/me`.
    by: list[str]


class MessageOut(BaseModel):
    """A message as it stands in a chat now."""

    id: int
    by: By
    #: Whoever said it, where it is not told by the chat itself.
    name: str
    slug: str
    text: str
    #: Who wrote it; null for what no persona said.
    source: Source | None
    turn: int | None
    job: int | None
    pictures: list[ShotOut]
    faces: list[FaceOut]
    #: Row by row.
    buttons: list[list[ButtonOut]]
    #: The house asks back: what is said next answers it.
    question: QuestionOut | None
    #: Passages of the text, whole lines of it in their order, that are to be copied as they stand.
    code: list[str]
    reactions: list[ReactionOut]
    created_at: str
    #: It grows with every change of the chat.
    revision: int


class MessagesOut(BaseModel):
    items: list[MessageOut]
    #: The `before` of the next page, of what stands above; null at the beginning of the chat.
    next: int | None


class WhoIsThere(BaseModel):
    slug: str
    name: str


class TalkOut(BaseModel):
    chat: str
    persona: WhoIsThere
    #: The beginning of what was said last.
    last: str
    when: str | None


class TalksOut(BaseModel):
    items: list[TalkOut]
    next: int | None


class EnteredOut(BaseModel):
    chat: str
    persona: PersonaOut


class StandingOut(BaseModel):
    chat: str
    #: null: nobody has come into it yet.
    persona: PersonaOut | None
    revision: int
    #: Whether somebody is writing now.
    answering: bool


class HeardOut(BaseModel):
    #: The key under which it was heard.
    heard: str
    #: Why it was not heard, where it was not; empty: it was.
    told: str
    message: MessageOut | None


class StoppedOut(BaseModel):
    stopped: bool


class Suggestion(BaseModel):
    #: What it is: a command, a part of one, a flag, or what an option takes.
    kind: str
    #: It takes the place of all that was typed behind `at`.
    value: str
    label: str


class SuggestedOut(BaseModel):
    at: int
    items: list[Suggestion]
