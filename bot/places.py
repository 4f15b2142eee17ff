"""Places as programs name them, and who and where a row is about, as other programs are told of it.

It imports late: the command line names it before it knows what it is to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.store.records import ChatRef, Place

Message = dict[str, Any]


class Placed(Protocol):
    """A row of a persona in a place: a schedule, a post, a feed."""

    @property
    def chat_id(self) -> int: ...

    @property
    def persona_id(self) -> int: ...


Row = TypeVar("Row", bound=Placed)


class WhoAndWhere:
    """What personas are called and where places are; each is looked up once, however many rows are told."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._names: dict[int, str] | None = None
        self._chats: dict[int, str] = {}
        self._zones: dict[int, str] = {}

    async def of(self, one: Placed) -> Message:
        from bot.commands.plans import names_of
        from bot.commands.settings import zone_here
        from engine.store import chats

        if self._names is None:
            self._names = await names_of(self.engine)
        if one.chat_id not in self._chats:
            place = await self.engine.database.look(partial(chats.place_of, chat_id=one.chat_id))
            self._chats[one.chat_id] = ref_told(place.ref) if place else ""
            self._zones[one.chat_id] = zone_here(place, self.engine.settings) if place else ""
        return {
            "place": one.chat_id,
            "chat": self._chats[one.chat_id],
            "persona": self._names.get(one.persona_id, ""),
        }

    def zone(self, one: Placed) -> str:
        """By which clock people there live; known once it was told where that is."""
        return self._zones.get(one.chat_id, "")


async def listed(
    engine: Engine,
    place: str | None,
    rows: Callable[[int | None], Awaitable[Sequence[Row]]],
    shown: Callable[[WhoAndWhere, Row], Awaitable[Message]],
) -> list[Message]:
    """All rows, or those of one place, as scripts are told of them."""
    chat_id = (await place_named(engine, place)).id if place else None
    beside = WhoAndWhere(engine)
    return [await shown(beside, one) for one in await rows(chat_id)]


def ref_told(ref: ChatRef) -> str:
    """A place as platforms know it: `telegram:bot:-100815`."""
    return ":".join(part for part in (ref.front, ref.account, ref.chat, ref.thread) if part)


async def place_named(engine: Engine, told: str) -> Place:
    """A place by its number, or as platforms know it: FRONT:ACCOUNT:CHAT, and its thread behind that."""
    from bot.commands.plans import place_numbered
    from engine.errors import NotFound
    from engine.locales import say
    from engine.store import chats
    from engine.store.records import ChatRef

    place = await place_numbered(engine, told.strip())
    if place is None and len(names := told.split(":", 3)) > 2:
        place = await engine.database.look(partial(chats.place, ref=ChatRef(*names)))
    if place is None:
        raise NotFound(say("posts.no_such_place", place=told[:60]))
    return place
