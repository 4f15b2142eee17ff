"""The nouns (bots, people, files, messages, drafts, presses) and the World that numbers and keeps them."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.servers.stalls import Stalls
from tests.servers.telegram.bell import Bell
from tests.servers.telegram.mailbox import Mailbox
from tests.servers.telegram.rules import DRAFT_SECONDS, JSON, QUERY_SECONDS, Breach, Rule, utf16
from tests.servers.telegram.wording import mentions

if TYPE_CHECKING:
    from tests.servers.telegram.acting import Chat

_FILE_ID = re.compile(r"AgAC-(\d+)-(\d+)-([smx])")


@dataclass(eq=False)
class Person:
    """Somebody with the app."""

    id: int
    name: str
    last_name: str | None = None
    username: str | None = None
    language: str | None = "en"
    faces: list[StoredFile] = field(default_factory=list)


@dataclass(eq=False)
class Bot:
    """One token: who it is, what it set about itself, and the places it has seen."""

    id: int
    token: str
    name: str
    username: str
    mailbox: Mailbox
    can_read_all_group_messages: bool = False
    has_topics_enabled: bool = False
    allows_users_to_create_topics: bool = False
    can_join_groups: bool = True
    chats: dict[int, Chat] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[JSON]] = field(default_factory=dict)
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    last_message: int = 0


Author = Person | Bot


@dataclass(eq=False)
class StoredFile:
    """A file that the platform keeps. Its id is another one for each bot, as it is in reality."""

    number: int
    kind: Literal["photo", "document", "voice", "sticker"]
    data: bytes = field(repr=False)
    name: str = ""
    mime: str = "application/octet-stream"
    width: int = 0
    height: int = 0
    duration: int = 0
    emoji: str = ""

    def id_for(self, bot: Bot, size: str = "x") -> str:
        return f"AgAC-{bot.id}-{self.number}-{size}"

    @property
    def unique_id(self) -> str:
        return f"AQAD{self.number}"

    @property
    def path(self) -> str:
        ending = {"photo": "jpg", "voice": "oga", "sticker": "webp"}.get(self.kind)
        ending = ending or (self.name.rpartition(".")[2] if "." in self.name else "bin")
        return f"{self.kind}s/file_{self.number}.{ending}"


@dataclass
class Member:
    """Somebody's standing in a group or channel. `rights` says only what differs from the status' default."""

    who: Author
    status: Literal["creator", "administrator", "member", "restricted", "left", "kicked"] = "member"
    rights: dict[str, bool] = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        return self.status not in {"left", "kicked"}

    @property
    def rules_here(self) -> bool:
        return self.status in {"creator", "administrator"}

    def may(self, right: str) -> bool:
        if self.status == "creator":
            return True
        if right.startswith("can_send_"):
            return self.inside and (self.status != "restricted" or self.rights.get(right, False))
        return self.status == "administrator" and self.rights.get(right, True)


@dataclass(eq=False)
class Topic:
    """A topic of a forum or of a private chat; its number is that of the message which opened it."""

    id: int
    name: str
    icon_color: int = 0x6FB9F0
    icon_custom_emoji_id: str | None = None
    closed: bool = False
    #: Nobody gave it its name.
    implicit: bool = False
    opener: Author | None = None


@dataclass(frozen=True)
class Button:
    """A button under a message."""

    text: str
    data: str | None
    url: str | None


@dataclass(eq=False)
class Message:
    """A message as a person sees it now."""

    id: int
    chat_id: int
    by: Author | None
    date: int
    at: float
    thread: int | None = None
    text: str | None = None
    entities: list[JSON] = field(default_factory=list)
    caption: str | None = None
    file: StoredFile | None = None
    location: JSON | None = None
    markup: JSON | None = None
    reply_to: Message | None = None
    album: str | None = None
    service: JSON | None = None
    edits: int = 0
    edited: int | None = None
    deleted: bool = False
    reactions: dict[int, list[JSON]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Its text or caption."""
        return self.text if self.text is not None else self.caption or ""

    @property
    def photo(self) -> bytes | None:
        return self.file.data if self.file and self.file.kind == "photo" else None

    @property
    def document(self) -> bytes | None:
        return self.file.data if self.file and self.file.kind == "document" else None

    @property
    def buttons(self) -> list[Button]:
        rows = (self.markup or {}).get("inline_keyboard", [])
        return [Button(one["text"], one.get("callback_data"), one.get("url")) for row in rows for one in row]

    def asks(self, person: Person) -> bool:
        """Whether a person's app opens a reply to it by itself."""
        if not (self.markup or {}).get("force_reply"):
            return False
        named = {one["user"]["id"] for one in self.entities if one["type"] == "text_mention"}
        called = person.username is not None and person.username.lower() in mentions(
            self.words, self.entities
        )
        meant = person.id in named or called or (self.reply_to is not None and self.reply_to.by is person)
        return meant or not (self.markup or {}).get("selective")

    def button(self, label_or_data: str) -> Button | None:
        """The button of this label or data; failing that, the only one whose label holds these words."""
        for one in self.buttons:
            if label_or_data in {one.text, one.data}:
                return one
        near = [one for one in self.buttons if label_or_data in one.text]
        return near[0] if len(near) == 1 else None


@dataclass(eq=False)
class Draft:
    """The preview of a message being written; gone after 30 s (scaled) without another or a real message."""

    id: int
    bot: Bot
    text: str
    entities: list[JSON]
    thread: int | None
    can_stop: bool
    keep_on_stop: bool
    at: float
    updates: int = 1
    stopped: bool = False
    over: bool = False


@dataclass(frozen=True)
class Answer:
    """What a bot answered when a button was pressed."""

    text: str
    alert: bool
    url: str | None
    at: float


@dataclass(eq=False)
class Press:
    """A button that was pressed, and what came of it."""

    id: str
    bot: Bot
    chat: Chat
    person: Person
    message: Message
    data: str
    at: float
    answer: Answer | None = None
    overdue: bool = False
    forgiven: bool = False
    _answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def settle(self, answer: Answer) -> None:
        self.answer = answer
        self._answered.set()

    async def answered(self, within: float = 10.0) -> Answer:
        """Wait for the answer."""
        async with asyncio.timeout(within):
            await self._answered.wait()
        assert self.answer is not None
        return self.answer


@dataclass(frozen=True)
class Event:
    """Something that happened in a chat: said, posted, edited, deleted, drafted, pressed, answered, reacted, …"""

    at: float
    kind: str
    by: Author | None
    message: Message | None = None
    detail: str = ""


@dataclass
class World:
    """Everything there is, by its number, and the count of what was done wrong."""

    clock: Callable[[], float]
    scale: float
    bots: dict[str, Bot] = field(default_factory=dict)
    people: dict[int, Person] = field(default_factory=dict)
    files: dict[int, StoredFile] = field(default_factory=dict)
    presses: dict[str, Press] = field(default_factory=dict)
    raw_queries: set[str] = field(default_factory=set)
    drafts: list[tuple[Chat, Draft]] = field(default_factory=list)
    usernames: dict[str, Chat] = field(default_factory=dict)
    broken: Counter[str] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)
    _last: Counter[str] = field(default_factory=Counter)
    bell: Bell = field(default_factory=Bell)
    stalls: Stalls = field(default_factory=Stalls)

    def number(self, of: str, first: int) -> int:
        """The next number of a kind."""
        self._last[of] += 1
        return first + self._last[of] - 1

    def now(self) -> float:
        return self.clock()

    def lived(self) -> float:
        """The same without the time in which everything here stood still, and nobody could have answered."""
        return self.clock() - self.stalls.lost()

    @staticmethod
    def date() -> int:
        return int(time.time())

    def breach(self, rule: Rule, bot: Bot, method: str, detail: str) -> None:
        self.broken[rule.value] += 1
        self.breaches.append(Breach(rule, bot.id, method, detail))

    def keep(self, kind: Literal["photo", "document", "voice", "sticker"], data: bytes) -> StoredFile:
        file = StoredFile(self.number("file", 1), kind, data)
        self.files[file.number] = file
        return file

    def file(self, bot: Bot, file_id: str) -> StoredFile | None:
        """The file of this id, if it is this bot's id of it."""
        match = _FILE_ID.fullmatch(file_id)
        if match is None or int(match[1]) != bot.id:
            return None
        return self.files.get(int(match[2]))

    def settle(self) -> None:
        """Count the queries and drafts whose time ran out unanswered and unfinished."""
        now = self.lived()
        for press in self.presses.values():
            late = now - press.at > QUERY_SECONDS * self.scale
            if late and not (press.answer or press.overdue or press.forgiven):
                press.overdue = True
                self.breach(Rule.QUERY_UNANSWERED, press.bot, "answerCallbackQuery", press.data)
        for _, draft in self.drafts:
            self.judge(draft, now)
        self.drafts = [(chat, draft) for chat, draft in self.drafts if not draft.over]

    def judge(self, draft: Draft, now: float) -> None:
        """A draft whose time is over is gone from the screen; nobody finished it unless it was stopped."""
        if not draft.over and now - draft.at > DRAFT_SECONDS * self.scale:
            draft.over = True
            if not draft.stopped:
                self.breach(Rule.DRAFT_HANGING, draft.bot, "sendMessageDraft", f"draft {draft.id}")


def entity(kind: str, text: str, part: str, **more: str) -> JSON:
    """An entity over the first place of `part` in `text`: what a person's app sends for bold, a link, …"""
    start = text.index(part)
    return {"type": kind, "offset": utf16(text[:start]), "length": utf16(part), **more}


def look_for_query(fields: JSON) -> str | None:
    """The id of the callback query in an update that may hold anything."""
    query = fields.get("callback_query")
    number = query.get("id") if isinstance(query, dict) else None
    return number if isinstance(number, str) else None
