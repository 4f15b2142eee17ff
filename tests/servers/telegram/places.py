"""A chat as a place: who is in it, what is said, who hears it, who may do what. People's verbs are in `acting`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

from tests.servers.telegram import rendering, wording
from tests.servers.telegram.bell import Bell
from tests.servers.telegram.rules import Refusal, Rule
from tests.servers.telegram.world import Author, Bot, Draft, Event, Member, Message, Person, Topic, World

Seen = TypeVar("Seen")
Kind = Literal["private", "group", "supergroup", "channel"]


class Place:
    """A private chat, a group, a supergroup or a channel."""

    def __init__(
        self, world: World, number: int, kind: Kind, title: str | None, *, forum: bool = False
    ) -> None:
        self.world = world
        self.id = number
        self.type: Kind = kind
        self.title = title
        self.forum = forum
        self.username: str | None = None
        self.person: Person | None = None
        self.started = False
        self.blocked = False
        self.members: dict[int, Member] = {}
        self.topics: dict[int, Topic] = {}
        self.history: list[Event] = []
        self.bell = Bell()
        self.actions: list[str] = []
        self.drafts: dict[int | None, Draft] = {}
        self.last_bot: Bot | None = None
        self._all: list[Message] = []
        self._by_id: dict[int, Message] = {}
        self._last_id = 0

    # What a person sees.

    @property
    def messages(self) -> list[Message]:
        """What stands there now, from the top; deleted ones are gone, service messages are `service`."""
        return [message for message in self._all if not message.deleted]

    def said_by(self, author: Author, *, thread: int | None = None) -> list[Message]:
        """What this one said there and did not take back; in one topic only, if it is named."""
        return [
            one
            for one in self._all
            if one.by is author and not one.deleted and one.service is None and thread in (None, one.thread)
        ]

    @property
    def draft(self) -> Draft | None:
        """The draft that is on the screen now."""
        now = self.world.lived()
        for draft in self.drafts.values():
            self.world.judge(draft, now)
        alive = [draft for draft in self.drafts.values() if not draft.over]
        return max(alive, key=lambda draft: draft.at, default=None)

    async def until(self, seen: Callable[[Any], Seen], within: float = 30.0) -> Seen:
        """Wait until `seen(chat)` is true and answer what it said."""
        try:
            async with asyncio.timeout(within):
                while not (value := seen(self)):
                    await self.bell.wait()
                return value
        except TimeoutError:
            raise TimeoutError(f"not seen within {within} s in this chat:\n{self.transcript()}") from None

    def transcript(self) -> str:
        """The history as lines, for a person who wonders why a test failed."""
        lines = []
        for event in self.history:
            who = event.by.name if event.by else "-"
            words = event.message.words if event.message else ""
            lines.append(f"{event.at:10.3f} {event.kind:10} {who}: {words[:100]!r} {event.detail}".rstrip())
        return "\n".join(lines) or "(nothing happened)"

    # What happens.

    def note(self, kind: str, by: Author | None, message: Message | None = None, detail: str = "") -> None:
        self.history.append(Event(self.world.now(), kind, by, message, detail))
        self.bell.ring()
        self.world.bell.ring()

    def new_message(self, by: Author | None, **fields: Any) -> Message:
        """Number a message and put it there. A bot's private chats count together, other chats for themselves."""
        bot = self.bot_here
        if bot is not None:
            bot.last_message += 1
            number = bot.last_message
        else:
            self._last_id += 1
            number = self._last_id
        message = Message(number, self.id, by, self.world.date(), self.world.now(), **fields)
        self._all.append(message)
        self._by_id[number] = message
        if isinstance(by, Bot):
            self.last_bot = by
        return message

    def serve(self, by: Author | None, **service: object) -> Message:
        """A service message, told to every bot there but the one that caused it."""
        thread = service.pop("thread", None)
        message = self.new_message(by, service=rendering.filled(**service), thread=thread)
        self.note("service", by, message, detail=", ".join(service))
        self.tell("channel_post" if self.type == "channel" else "message", message)
        return message

    def renumber(self, number: int, kind: Kind) -> None:
        """A group became a supergroup: another number, and no old message can be reached there."""
        self.id, self.type = number, kind
        self._by_id.clear()
        self._last_id = 0

    def find(self, number: int) -> Message | None:
        message = self._by_id.get(number)
        return None if message is None or message.deleted else message

    def delete(self, message: Message, by: Author | None) -> None:
        message.deleted = True
        self.note("deleted", by, message)

    # Who hears what.

    @property
    def bot_here(self) -> Bot | None:
        """The one bot of a private chat."""
        if self.person is None:
            return None
        return next(one.who for one in self.members.values() if isinstance(one.who, Bot))

    def bots(self) -> Iterable[Bot]:
        return [one.who for one in self.members.values() if one.inside and isinstance(one.who, Bot)]

    def hears(self, bot: Bot, message: Message) -> bool:
        """Whether a bot is told of a message: what privacy mode lets through, and never another bot's words."""
        if self.type == "private":
            return not self.blocked
        member = self.members.get(bot.id)
        if member is None or not member.inside or message.by is bot:
            return False
        if self.type == "channel" or message.service is not None:
            return True
        if isinstance(message.by, Bot):
            return False
        if bot.can_read_all_group_messages or member.rules_here:
            return True
        name = bot.username.lower()
        for command in wording.commands(message.words, message.entities):
            _, _, to = command.partition("@")
            if to.lower() == name or (not to and self.last_bot in (None, bot)):
                return True
        replies = message.reply_to is not None and message.reply_to.by is bot
        return replies or name in wording.mentions(message.words, message.entities)

    def tell(self, kind: str, message: Message) -> None:
        """Make an update of a message for each bot that hears it."""
        for bot in self.bots():
            if message.by is not bot and self.hears(bot, message):
                bot.mailbox.put(kind, rendering.message(message, self, bot), (self.id, message.thread))

    # Who may do what.

    def admit(self, bot: Bot, right: str | None = None) -> None:
        """A refusal unless this bot may speak there; `right` is what it needs to, e.g. `can_send_photos`."""
        if self.person is not None:
            if not self.started:
                raise Refusal("bot can't initiate conversation with a user", code=403, rule=Rule.STRANGER)
            if self.blocked:
                raise Refusal("bot was blocked by the user", code=403)
            return
        member = self.members.get(bot.id)
        if member is None or not member.inside:
            if member is not None and member.status == "kicked":
                raise Refusal(f"bot was kicked from the {self.type} chat", code=403)
            raise Refusal(f"bot is not a member of the {self.type} chat", code=403)
        if self.type == "channel":
            if not member.may("can_post_messages"):
                raise Refusal("need administrator rights in the channel chat")
        elif right is not None and not member.may(right):
            things = {"messages": "text messages"}.get(
                right.removeprefix("can_send_"), right.removeprefix("can_send_")
            )
            raise Refusal(f"not enough rights to send {things} to the chat")

    def topic(self, bot: Bot, thread: int | None) -> Topic | None:
        """The open topic of this number; a refusal if there is none."""
        if thread is None:
            return None
        topic = self.topics.get(thread)
        if topic is None:
            raise Refusal("message thread not found")
        if topic.closed and self.type != "private" and not self.members[bot.id].may("can_manage_topics"):
            raise Refusal("TOPIC_CLOSED")
        return topic

    def finish_draft(self, bot: Bot, thread: int | None) -> None:
        """A real message takes the place of the draft."""
        draft = self.drafts.pop(thread, None)
        if draft is not None and draft.bot is bot:
            self.world.judge(draft, self.world.lived())
            draft.over = True

    def change_member(self, by: Author, who: Author, member: Member) -> None:
        """Somebody's standing changed: the bot concerned is told, and the admins who asked for it."""
        old = self.members.get(who.id) or Member(who, "left")
        self.members[who.id] = member
        update = {
            "chat": rendering.chat(self),
            "from": rendering.user(by),
            "date": self.world.date(),
            "old_chat_member": rendering.member(old),
            "new_chat_member": rendering.member(member),
        }
        self.note("member", by, detail=f"{who.name}: {old.status} -> {member.status}")
        if isinstance(who, Bot):
            who.mailbox.put("my_chat_member", update, (self.id, None))
        for bot in self.bots():
            if bot is not who and self.members[bot.id].rules_here:
                bot.mailbox.put("chat_member", update, (self.id, None))
