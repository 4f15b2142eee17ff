"""The seam to a place where people talk: what a front must do, and what it is asked to show.

A front maps a platform to these nouns and decides nothing. It hands what it heard to the desk, and shows what the
desk and the outbox give it, at the pace that its platform likes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from engine.store.records import ChatRef, Delivery, Incoming, Picture

__all__ = ["ChatRef", "Front", "Hear", "Incoming", "Outgoing"]


@dataclass(frozen=True)
class Outgoing:
    """One thing that a chat is owed, complete: its words, and its pictures with their bytes."""

    delivery: Delivery
    pictures: tuple[tuple[Picture, bytes], ...] = ()

    @property
    def chat(self) -> ChatRef:
        return self.delivery.chat


#: What a front calls for everything it hears. It returns once that is stored; only then may the front
#: acknowledge it to its platform.
Hear = Callable[[Incoming], Awaitable[None]]


class Front(Protocol):
    @property
    def name(self) -> str:
        """The `front` of its ChatRefs."""

    @property
    def account(self) -> str:
        """The `account` of its ChatRefs: which bot, where one front runs several."""

    @property
    def recognises_repeats(self) -> bool:
        """Whether showing the same delivery twice is seen as once."""

    async def run(self, hear: Hear) -> None:
        """Listen until cancelled. Ending or raising means that the front must be started again."""

    async def draft(self, chat: ChatRef, text: str) -> None:
        """Show what stands so far of a reply. It may be dropped; an empty text means: about to write."""

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        """Show something for good; answers the platform's ids of the messages.

        Raises `NotReachable` when nobody is there now, `DeliveryFailed` when it can never work, `TryAgain`
        when the platform asks to wait.
        """

    async def tell(self, chat: ChatRef, text: str) -> None:
        """Say something that is not kept: a refusal, a mistake in a command."""
