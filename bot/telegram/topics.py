"""Whether a topic says who speaks in it. One in a private chat is named after the persona that came into it, unless
its person named it; in a group topics belong to its people.

A name is known only from what was heard of it since the start. Telegram cannot be asked for one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog
from aiogram.exceptions import AiogramError, TelegramAPIError
from aiogram.methods import EditForumTopic

from bot.telegram.calling import Caller
from bot.telegram.remembered import OfChats
from bot.telegram.troubles import Trouble, in_words, trouble
from engine.store.records import ChatRef

log = structlog.get_logger(__name__)

LONGEST = 128


@dataclass(frozen=True)
class Name:
    """What a topic is called, and whether it may be called something else: nobody chose the name, or we did."""

    text: str
    free: bool
    #: Whom we named it after so far.
    after: frozenset[str] = frozenset()
    #: Those who were here before came again: it is nobody's.
    shared: bool = False


class Topics:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._names: OfChats[Name] = OfChats()

    def heard(self, chat: ChatRef, text: str, *, free: bool) -> None:
        """A topic was made, or has another name now."""
        place = chat.chat, chat.thread
        known = self._names.get(place)
        if known is None or known.text != text:
            self._names.keep(place, Name(text, free))

    def forget(self, chat: str) -> None:
        self._names.forget(chat)

    async def names(self, speaker: str, chat: ChatRef, *, arrived: bool) -> bool:
        """Whether it is clear from the topic that this one speaks, who may have `arrived` just now."""
        known, speaker = self._names.get((chat.chat, chat.thread)), speaker[:LONGEST]
        if known is None or known.shared:
            return False
        if known.text == speaker:
            return True
        if not arrived or not known.free or chat.chat.startswith("-"):
            return False
        if speaker in known.after:
            # They take turns, and a name that changes with every line says nothing.
            self._names.keep((chat.chat, chat.thread), replace(known, shared=True))
            return False
        return await self._rename(speaker, chat, known)

    async def _rename(self, speaker: str, chat: ChatRef, known: Name) -> bool:
        try:
            await self._caller.ask(
                EditForumTopic(chat_id=chat.chat, message_thread_id=int(chat.thread), name=speaker)
            )
        except (AiogramError, ValueError) as error:
            what = trouble(error)
            if what is not Trouble.THE_SAME:
                log.info(
                    "telegram_topic_keeps_its_name",
                    chat=chat.chat,
                    thread=chat.thread,
                    cause=in_words(error),
                )
                if isinstance(error, TelegramAPIError) and what is not Trouble.PASSING:
                    self._names.keep((chat.chat, chat.thread), replace(known, free=False))
                return False
        self._names.keep((chat.chat, chat.thread), Name(speaker, free=True, after=known.after | {speaker}))
        return True
