"""The page as a front: a platform of our own, whose messages are rows.

What is shown is a row first, and is told then to whoever watches. Watchers are told of rows by their revision, so it
does not matter who changed one, nor who was there when it changed. What they ask for comes in through `talks.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from bot.front import Draft, FrontDesk, Incoming, Outgoing, Progress
from bot.web.messages_shown import behind, happenings, stamp
from bot.web.watchers import Happening, Topic, Watcher, Watchers, told
from engine.clock import Clock
from engine.errors import GreenroomError
from engine.rights import OPERATOR, PAGE
from engine.store import page_news, pages
from engine.store.database import Database
from engine.store.pages import Words
from engine.store.records import By, ChatRef, DeliveryKind

log = structlog.get_logger(__name__)

#: Between two drafts of one reply, in seconds: nobody reads faster.
DRAFT_EVERY = 0.1
#: A draft that grows no more, in a chat where nobody is answered, is over; looked for so often, in seconds.
LOOK_EVERY = 2.0
#: So many messages are told to whoever comes back; who was away for more of them loads the chat again.
MOST_MISSED = 300
#: Whoever knows nothing of a chat is told its last messages.
LATEST = 50
MOST_REFUSED = 1_000


@dataclass
class Writing:
    """A reply that is being written, as it is told to watchers."""

    turn_id: int
    text: str
    name: str = ""
    slug: str = ""
    told_at: float = float("-inf")
    changed_at: float = 0.0
    #: What stands now is told by it, once it is time.
    timer: asyncio.TimerHandle | None = None


@dataclass
class Room:
    """A chat that somebody watches."""

    ref: ChatRef
    #: The chat's own number, and the last revision in it that was told to all who are here.
    chat_id: int | None = None
    known: int = 0
    #: Under which names it is watched: a program does not see the whole name of its chats.
    names: dict[str, int] = field(default_factory=dict)
    #: Whoever tells of rows holds it: what changed first is told first.
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def topics(self) -> list[Topic]:
        return [topic_of(self.ref.chat, name) for name in self.names]


def topic_of(chat: str, name: str) -> Topic:
    return "chat", chat, name


class Pages:
    """The front of all browsers, and of programs that talk through the API."""

    name = PAGE
    recognises_repeats = True
    keeps_messages = True

    def __init__(self, database: Database, clock: Clock, account: str = "home") -> None:
        self.account = account
        self.watchers = Watchers()
        #: Whether something is still to be answered in a chat; the house says it.
        self.answering: Callable[[ChatRef], bool] = lambda _chat: True
        self._database = database
        self._clock = clock
        self._rooms: dict[str, Room] = {}
        self._writing: dict[str, Writing] = {}
        #: Why something was not heard, by its key, until somebody asks.
        self._refused: dict[str, str] = {}

    def chat(self, chat: str) -> ChatRef:
        return ChatRef(self.name, self.account, chat)

    async def run(self, desk: FrontDesk) -> None:
        """The API hears for us. Here it is seen to that no draft stands for ever that came to nothing."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            now = self._clock.monotonic()
            for chat, writing in list(self._writing.items()):
                if now - writing.changed_at >= LOOK_EVERY and not self.answering(self.chat(chat)):
                    self._end(chat, {writing.turn_id})

    # What the house shows

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        chat = draft.chat.chat
        writing = self._writing.get(chat)
        if writing is None or writing.turn_id != draft.turn_id:
            if writing is not None:
                self._end(chat, {writing.turn_id})
            face = draft.face
            writing = Writing(draft.turn_id, "", face.name if face else "", face.slug if face else "")
            self._writing[chat] = writing
        writing.text, writing.changed_at = draft.text, self._clock.monotonic()
        loop = asyncio.get_running_loop()
        due = writing.told_at + DRAFT_EVERY - loop.time()
        if writing.timer is None and due > 0:
            writing.timer = loop.call_later(due, self._tell_draft, chat, writing)
        elif writing.timer is None:
            self._tell_draft(chat, writing)
        return ()

    async def tell(self, incoming: Incoming, text: str) -> None:
        self._refused[incoming.key] = text
        while len(self._refused) > MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._publish(incoming.chat.chat, {"is": "told", "text": text})

    async def progress(self, progress: Progress) -> None:
        """Steps and looks are told as they happen; the row says only whether it waits, or is drawn."""
        if not progress.message.isdecimal():
            return
        text = progress.still or progress.text
        reword = partial(
            pages.reword,
            chat=progress.chat,
            message=int(progress.message),
            text=text,
            buttons=progress.buttons,
        )
        said = partial(page_news.get, chat=progress.chat, message=int(progress.message))
        now = await self._database.look(said)
        if now is None or (now.text, now.buttons) == (text, progress.buttons):
            return
        if await self._database.change(reword):
            await self.announce(progress.chat)

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        delivery, chat = outgoing.delivery, outgoing.chat
        if delivery.kind is DeliveryKind.REMOVAL:
            await self._database.change(partial(pages.take_away, chat=chat, ids=delivery.manner.removes))
            await self.announce(chat)
            return ()
        shown = await self._database.change(
            partial(
                pages.show,
                delivery_id=delivery.id,
                words=_words(outgoing),
                replaces=outgoing.replaces,
                now=self._clock.now(),
            )
        )
        # It may be that somebody was forgotten just now: then there is nothing any more in their other chats, too.
        gone = delivery.answers_id is not None and delivery.person_id is None
        for room in list(self._rooms.values()) if gone else ():
            await self.announce(room.ref)
        await self.announce(chat)
        self._end(chat.chat, {delivery.answers_id, delivery.manner.drafted_under})
        return (str(shown),) if shown is not None else ()

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        """The operator has charge of all; a program comes into no chats but its own."""
        return platform_id == OPERATOR or chat.chat.startswith(f"{platform_id}:")

    # Who watches

    def refused(self, key: str) -> str:
        """Why what came with this key was not heard; empty where it was."""
        return self._refused.pop(key, "")

    async def announce(self, chat: ChatRef) -> None:
        """Tell whoever watches a chat what has changed in it since they were told last."""
        if (room := self._rooms.get(chat.chat)) is not None:
            async with room.telling:
                await self._announce(room)

    async def join(self, watcher: Watcher, chat: ChatRef, name: str, after: int) -> None:
        """Somebody watches a chat from now on, and is told first what came behind the revision `after`."""
        room = self._rooms.setdefault(chat.chat, Room(chat))
        topic = topic_of(chat.chat, name)
        if topic not in watcher.topics:
            room.names[name] = room.names.get(name, 0) + 1
            watcher.topics.add(topic)  # so that it is left again, whatever happens meanwhile
        async with room.telling:
            await self._announce(room)
            is_first = not self._is_watched(room)
            chat_id, revision = await self._database.look(partial(page_news.revision, chat=chat))
            known = behind(chat_id, after)
            if known is None:
                news = await self._database.look(
                    partial(page_news.before, chat=chat, message=None, most=LATEST)
                )
            else:
                asked = partial(page_news.since, chat=chat, revision=known, most=MOST_MISSED)
                news = await self._database.look(asked)
            missed = (known is not None and news.more) or (known is None and after > 0)
            if topic not in watcher.topics:
                return  # they have left again
            told_first: list[Happening] = [{"is": "missed"}] if missed else []
            told_first += happenings(name, news)
            if (writing := self._writing.get(chat.chat)) is not None:
                told_first.append(_draft(name, writing))
            told_first.append({"is": "caught_up", "chat": name, "revision": stamp(chat_id, revision)})
            watcher.fill(told(one) for one in told_first)
            self.watchers.watch(watcher, topic)
            if is_first:  # otherwise others know less, and it does no harm to hear a thing twice
                room.chat_id, room.known = chat_id or None, revision

    def leave(self, watcher: Watcher, chat: ChatRef, name: str) -> None:
        """Somebody watches a chat no more."""
        topic = topic_of(chat.chat, name)
        if topic not in watcher.topics:
            return
        self.watchers.leave(watcher, topic)
        if (room := self._rooms.get(chat.chat)) is None:
            return
        room.names[name] -= 1
        if room.names[name] <= 0:
            del room.names[name]
        if not room.names:
            del self._rooms[chat.chat]

    def leave_all(self, watcher: Watcher) -> None:
        """Somebody has gone."""
        for topic in list(watcher.topics):
            if topic[0] == "chat":
                self.leave(watcher, self.chat(topic[1]), topic[2])

    def topics_of(self, chat: ChatRef) -> list[Topic]:
        """Under which topics a chat is watched just now."""
        room = self._rooms.get(chat.chat) if (chat.front, chat.account) == (self.name, self.account) else None
        return room.topics if room else []

    async def _announce(self, room: Room) -> None:
        while self._is_watched(room):
            asked = partial(page_news.since, chat=room.ref, revision=room.known, most=MOST_MISSED)
            try:
                news = await self._database.look(asked)
            except GreenroomError as error:
                log.warning("page_not_told", chat=room.ref.chat, cause=str(error))
                return
            if news.chat_id != room.chat_id:
                if room.chat_id is not None:  # it was forgotten, and perhaps is there anew
                    self._publish(room.ref.chat, {"is": "missed"})
                room.chat_id, room.known = news.chat_id, 0
                continue
            for name in room.names:
                for one in happenings(name, news):
                    self.watchers.publish([topic_of(room.ref.chat, name)], one)
            if news.messages:
                room.known = news.messages[-1].revision
            if not news.more:
                return

    def _is_watched(self, room: Room) -> bool:
        return bool(room.names) and self.watchers.are_there(*room.topics)

    # Drafts

    def _tell_draft(self, chat: str, writing: Writing) -> None:
        writing.timer = None
        writing.told_at = asyncio.get_running_loop().time()
        if (room := self._rooms.get(chat)) is not None:
            for name in room.names:
                topic, passing = topic_of(chat, name), f"draft {chat} {writing.turn_id}"
                self.watchers.publish([topic], _draft(name, writing), passing)

    def _end(self, chat: str, turns: set[int | None]) -> None:
        """The reply is there, or will never be: whatever was drafted for one of these turns is over."""
        writing = self._writing.get(chat)
        if writing is None or writing.turn_id not in turns:
            return
        del self._writing[chat]
        if writing.timer is not None:
            writing.timer.cancel()
        self._publish(chat, {"is": "draft_over", "turn": writing.turn_id})

    def _publish(self, chat: str, happening: Happening) -> None:
        if (room := self._rooms.get(chat)) is not None:
            for name in room.names:
                self.watchers.publish([topic_of(chat, name)], {**happening, "chat": name})


def _draft(name: str, writing: Writing) -> Happening:
    return {
        "is": "draft",
        "chat": name,
        "turn": writing.turn_id,
        "name": writing.name,
        "slug": writing.slug,
        "text": writing.text,
    }


def _words(outgoing: Outgoing) -> Words:
    delivery = outgoing.delivery
    by_persona = delivery.kind in (DeliveryKind.REPLY, DeliveryKind.POST)
    face = outgoing.face
    return Words(
        by=By.PERSONA if by_persona else By.HOUSE,
        text=delivery.text,
        name=(face.name if face else delivery.persona_name) if by_persona else "",
        slug=delivery.persona_slug if by_persona else "",
        source=delivery.source if by_persona else None,
        pictures=tuple(picture.id for picture, _bytes in outgoing.pictures),
        faces=outgoing.faces,
        buttons=delivery.manner.buttons,
    )
