"""What is remembered for a while: so much of it, and what was of use longest ago is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Value = TypeVar("Value")
#: By chat, and what it is in the chat: a message, a thread.
Place = tuple[str, str]


class Remembered(OrderedDict[Place, Value]):
    """Things about chats and what is in them."""

    def __init__(self, most: int = 1_000) -> None:
        super().__init__()
        self._most = most

    def keep(self, place: Place, value: Value) -> None:
        self[place] = value
        self.move_to_end(place)
        while len(self) > self._most:
            self.popitem(last=False)

    def forget(self, chat: str) -> None:
        """Everything about a chat."""
        for place in [one for one in self if one[0] == chat]:
            del self[place]
