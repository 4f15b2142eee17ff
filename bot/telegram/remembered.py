"""What is remembered of chats for a while."""

from __future__ import annotations

from typing import TypeVar

from bot.remembered import Remembered

Value = TypeVar("Value")
#: By chat, and what it is in the chat: a message, a thread.
Place = tuple[str, str]


class OfChats(Remembered[Place, Value]):
    """Things about chats and what is in them."""

    def __init__(self, most: int = 1_000) -> None:
        super().__init__(most)

    def forget(self, chat: str) -> None:
        """Everything about a chat."""
        for place in [one for one in self if one[0] == chat]:
            del self[place]
