"""What people do in a chat, as verbs for a test to script: say, edit, press, react, stop, block, add, promote."""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers.telegram import rendering, wording
from tests.servers.telegram.places import Place
from tests.servers.telegram.rules import JSON, check_entities, look
from tests.servers.telegram.world import Author, Bot, Draft, Member, Message, Person, Press, StoredFile, Topic


class Chat(Place):
    """A place with its people's hands."""

    async def starts(self, payload: str = "") -> Message:
        """Press Start: the first contact (or the contact after a block)."""
        assert self.person is not None, "only a private chat is started"
        self.started = True
        if self.blocked:
            await self.unblocks()
        return self._say(self.person, text=f"/start {payload}".strip())

    async def says(
        self,
        person: Person,
        text: str = "",
        *,
        reply_to: Message | None = None,
        thread: int | None = None,
        entities: Sequence[JSON] = (),
        photo: bytes | None = None,
        document: bytes | None = None,
        file_name: str = "file.bin",
        voice: bytes | None = None,
        sticker: str | None = None,
        location: tuple[float, float] | None = None,
        album: str | None = None,
    ) -> Message:
        """Say something; with a file the text is its caption. A stranger presses Start first, as the app demands."""
        if self.person is not None and not self.started and not text.startswith("/start"):
            await self.starts()
        self.started = True
        assert not self.blocked, f"{person.name} blocked this bot and cannot write to it"
        file = self._file(photo, document, file_name, voice, sticker)
        place = {"latitude": location[0], "longitude": location[1]} if location else None
        words = text if text or not (file or place) else None
        return self._say(
            person,
            text=words if file is None and place is None else None,
            caption=words if file is not None else None,
            told=entities,
            file=file,
            location=place,
            reply_to=reply_to,
            thread=thread if thread is not None or reply_to is None else reply_to.thread,
            album=album,
        )

    def _file(
        self, photo: bytes | None, document: bytes | None, name: str, voice: bytes | None, sticker: str | None
    ) -> StoredFile | None:
        if photo is not None:
            picture = look(photo)
            assert picture is not None, "a person's app sends pictures only"
            file = self.world.keep("photo", photo)
            file.width, file.height = picture.width, picture.height
        elif document is not None:
            file = self.world.keep("document", document)
            file.name = name
        elif voice is not None:
            file = self.world.keep("voice", voice)
            file.mime, file.duration = "audio/ogg", 3
        elif sticker is not None:
            file = self.world.keep("sticker", b"RIFF....WEBP")
            file.emoji = sticker
        else:
            return None
        return file

    def _say(
        self,
        person: Person,
        *,
        text: str | None = None,
        caption: str | None = None,
        told: Sequence[JSON] = (),
        file: StoredFile | None = None,
        location: JSON | None = None,
        reply_to: Message | None = None,
        thread: int | None = None,
        album: str | None = None,
    ) -> Message:
        words = text if text is not None else caption or ""
        assert thread is None or thread in self.topics, f"there is no topic {thread} here"
        message = self.new_message(
            person,
            text=text,
            caption=caption,
            entities=wording.merged(words, check_entities(words, told)),
            file=file,
            location=location,
            reply_to=reply_to,
            thread=thread,
            album=album,
        )
        self.note("said", person, message)
        self.tell("channel_post" if self.type == "channel" else "message", message)
        return message

    async def edits(self, person: Person, message: Message, text: str) -> Message:
        """Change one's own words."""
        assert message.by is person, "people edit their own messages"
        if message.text is not None:
            message.text = text
        else:
            message.caption = text
        message.entities = wording.found(text)
        message.edits += 1
        message.edited = self.world.date()
        self.note("edited", person, message)
        self.tell("edited_channel_post" if self.type == "channel" else "edited_message", message)
        return message

    async def deletes(self, person: Person, message: Message) -> None:
        """Take a message away. No bot is told, as in reality."""
        self.delete(message, person)

    async def presses(self, person: Person, message: Message, label_or_data: str) -> Press:
        """Press a button under a message of a bot; the answer arrives at the handle that comes back."""
        assert not message.deleted, "a deleted message has no buttons"
        button = message.button(label_or_data)
        labels = [one.text for one in message.buttons]
        assert button is not None, f"no button {label_or_data!r} here, only {labels}"
        assert button.data is not None, f"the button {button.text!r} sends no data"
        assert isinstance(message.by, Bot)
        number = str(self.world.number("query", 4_000_000_000_000_001))
        press = Press(number, message.by, self, person, message, button.data, self.world.lived())
        self.world.presses[number] = press
        self.note("pressed", person, message, detail=button.data)
        query = {
            "id": number,
            "from": rendering.user(person),
            "message": rendering.message(message, self, message.by),
            "chat_instance": str(abs(self.id)),
            "data": button.data,
        }
        message.by.mailbox.put("callback_query", query, (self.id, message.thread))
        return press

    async def reacts(self, person: Person, message: Message, *emoji: str) -> None:
        """Put these reactions under a message instead of one's earlier ones; none takes them away."""
        old = message.reactions.get(person.id, [])
        new = [{"type": "emoji", "emoji": one} for one in emoji]
        message.reactions[person.id] = new
        self.note("reacted", person, message, detail=" ".join(emoji))
        update = {
            "chat": rendering.chat(self),
            "message_id": message.id,
            "user": rendering.user(person),
            "date": self.world.date(),
            "old_reaction": old,
            "new_reaction": new,
        }
        for bot in self.bots():
            if self.type == "private" or self.members[bot.id].rules_here:
                bot.mailbox.put("message_reaction", update, (self.id, message.thread))

    async def stops(self, person: Person, draft: Draft | None = None) -> Draft:
        """Press Stop under a draft, which must have been sent with `can_stop`."""
        draft = draft or self.draft
        assert draft is not None, "there is no draft on the screen"
        assert draft.can_stop, "this draft has no Stop button"
        assert not draft.over, "this draft is gone from the screen"
        assert not draft.stopped, "this draft was stopped already"
        draft.stopped = True
        draft.over = not draft.keep_on_stop
        self.note("stopped", person, detail=f"draft {draft.id}")
        update = rendering.filled(
            chat=rendering.chat(self), draft_id=draft.id, message_thread_id=draft.thread
        )
        draft.bot.mailbox.put("stopped_message_generation", update, (self.id, draft.thread))
        return draft

    # Coming and going.

    async def blocks(self) -> None:
        """The person of a private chat blocks its bot."""
        self._turn_away(away=True)

    async def unblocks(self) -> None:
        self._turn_away(away=False)

    def _turn_away(self, *, away: bool) -> None:
        bot = self.bot_here
        assert bot is not None, "only a private chat can be blocked"
        assert self.person is not None
        self.blocked = away
        for draft in self.drafts.values():
            draft.over = draft.over or away
        self.change_member(self.person, bot, Member(bot, "kicked" if away else "member"))

    async def adds(self, person: Person, who: Author, *, admin: bool = False) -> None:
        """Add a bot or a person to a group or channel."""
        if isinstance(who, Bot):
            who.chats[self.id] = self
        admin = admin or self.type == "channel"
        self.change_member(person, who, Member(who, "administrator" if admin else "member"))
        if self.type != "channel":
            self.serve(person, new_chat_members=[rendering.user(who)])

    async def removes(self, person: Person, who: Author) -> None:
        """Remove a bot or a person."""
        if self.type != "channel":
            self.serve(person, left_chat_member=rendering.user(who))
        self.change_member(person, who, Member(who, "kicked"))

    async def promotes(self, person: Person, who: Author, **rights: bool) -> None:
        """Make an admin of somebody; every right that is not named is given."""
        self.change_member(person, who, Member(who, "administrator", dict(rights)))

    async def demotes(self, person: Person, who: Author) -> None:
        self.change_member(person, who, Member(who, "member"))

    async def restricts(self, person: Person, who: Author, **rights: bool) -> None:
        """Forbid some kinds of messages; every right to send that is not named stays."""
        all_rights = dict.fromkeys(rendering.RESTRICTED_RIGHTS, True)
        self.change_member(person, who, Member(who, "restricted", all_rights | rights))

    async def upgrades(self, person: Person) -> int:
        """A group becomes a supergroup; answers its new number. The old one only says where it went."""
        assert self.type == "group", "only a basic group is upgraded"
        old, new = self.id, -1_001_000_000_000 - self.world.number("supergroup", 1)
        self.serve(person, migrate_to_chat_id=new)
        for bot in self.bots():
            bot.chats.pop(old, None)
            bot.chats[new] = self
            bot.moved[old] = new
        self.renumber(new, "supergroup")
        self.serve(person, migrate_from_chat_id=old)
        return new

    # Topics.

    async def opens_topic(self, person: Person, name: str, *, implicit: bool = False) -> Topic:
        """Open a topic in a forum, or in a private chat whose bot lets people do so; its name may be the app's."""
        return self.open_topic(person, Topic(0, name, implicit=implicit))

    async def renames_topic(self, person: Person, topic: Topic, name: str) -> None:
        topic.name, topic.implicit = name, False
        self.serve(person, forum_topic_edited={"name": name}, thread=topic.id)

    def open_topic(self, by: Author, topic: Topic) -> Topic:
        created = rendering.filled(
            name=topic.name,
            icon_color=topic.icon_color,
            icon_custom_emoji_id=topic.icon_custom_emoji_id,
            is_name_implicit=topic.implicit or None,
        )
        message = self.new_message(by, service={"forum_topic_created": created})
        topic.id = message.thread = message.id
        topic.opener = by
        self.topics[topic.id] = topic
        self.note("topic", by, message, detail=topic.name)
        self.tell("message", message)
        return topic

    async def closes_topic(self, person: Person, topic: Topic) -> None:
        topic.closed = True
        self.serve(person, forum_topic_closed={}, thread=topic.id)

    async def deletes_topic(self, person: Person, topic: Topic) -> None:
        """A topic and all that was said in it goes; no bot is told."""
        self.drop_topic(person, topic)

    def drop_topic(self, by: Author, topic: Topic) -> None:
        del self.topics[topic.id]
        for message in self.messages:
            if message.thread == topic.id:
                message.deleted = True
        self.note("topic gone", by, detail=topic.name)
