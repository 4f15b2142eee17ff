"""The route of direct messages: something is said in a persona's name, in any chat that anybody has spoken in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bot.web.by_time import Line
from bot.web.doors import Caller
from bot.web.owners import Manager, asked_once
from bot.web.problems import API, PROBLEMS
from bot.web.shapes import LINE, Given
from engine.engine import Engine
from engine.store.records import ChatRef

#: More than the longest message that any setting would allow.
MOST_WORDS = 100_000

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Message(Given):
    front: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z]+$")]
    #: The account under which the front runs there: a bot's number; `home` for the page.
    account: Name
    chat: Name
    thread: Annotated[str, Field(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    #: Who says it; empty: whoever is there.
    persona: Line = ""
    text: Annotated[str, Field(min_length=1, max_length=MOST_WORDS)]
    #: The sender's own id of this message: sent twice, it is told once.
    key: Annotated[str, Field(max_length=64, pattern=LINE)] = ""


class MessageTold(BaseModel):
    #: The number of the place, and of the turn that stands in its talk now.
    place: int
    turn: int


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=API, responses=PROBLEMS, tags=["chats"])

    @router.post("/messages", status_code=202, response_model=MessageTold)
    async def tell(message: Message, who: Manager) -> MessageTold:
        """It is owed to the chat from now on, and shown as soon as its front can."""
        ref = ChatRef(message.front, message.account, message.chat, message.thread)
        key = _key_of(message, who)
        place, turn = await engine.telling.tell(ref, message.text, persona=message.persona, key=key)
        return MessageTold(place=place, turn=turn)

    return router


def _key_of(message: Message, who: Caller) -> str:
    """Two programs may call two messages the same. What the operator has told is known by its own name."""
    return message.key if who.key_id is None else asked_once(who, message.key)
