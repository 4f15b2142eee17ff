"""The front to Telegram: one bot, heard and shown. What anything means is for the desk to decide."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace

import structlog
from aiogram.exceptions import (
    AiogramError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramUnauthorizedError,
)
from aiogram.methods import AnswerCallbackQuery, GetChatMember, GetMe, SetMyCommands
from aiogram.types import BotCommand

from bot.front import ChatRef, Draft, FrontDesk, Incoming, Outgoing, Progress
from bot.telegram.calling import Caller, knocking
from bot.telegram.drafting import Drafting
from bot.telegram.hearing import FRONT, Heard, Left, Moved, Stop, Topic
from bot.telegram.listening import listen
from bot.telegram.markdown import TEXT, plain, shortened
from bot.telegram.remembered import OfChats
from bot.telegram.showing import Showing, Spot, is_chat, spot
from bot.telegram.troubles import Trouble, hopeless, in_words, trouble
from bot.telegram.unusable import account_of
from bot.telegram.webhook import Door, Tenant, answer_the_door
from engine.errors import DeliveryFailed, GreenroomError, TryAgain
from engine.locales import ENGLISH, say
from engine.settings import TelegramSettings
from engine.store.records import DeliveryKind, Reaction
from engine.unbroken import ended

log = structlog.get_logger(__name__)

#: What fits into the little window over a chat.
ALERT = 200
MOST_COMMANDS = 100
#: So much waits in one chat to be said in passing.
MOST_TOLD = 3
#: When it closes, so many seconds for what is being said in passing at that moment.
FINISH_WITHIN = 1.0
#: So long it is believed who has charge of a chat.
IN_CHARGE_FOR = 300.0
#: When nobody answers, the next try of a delivery comes after this many seconds at the latest.
LONGEST_PAUSE = 60.0


class TelegramFront:
    name = FRONT
    recognises_repeats = False
    keeps_messages = True

    def __init__(
        self, token: str, settings: TelegramSettings, *, door: Door | None = None, hurry: float = 1.0
    ) -> None:
        self.account = account_of(token)
        self._settings = settings
        self._door = door or Door(settings.listen)
        self._desk: FrontDesk | None = None
        self._caller = Caller(token, api=settings.api, hurry=hurry)
        self._showing = Showing(self._caller)
        self._drafting = Drafting(self._caller, self._showing)
        #: Presses that wait for their answer, and those that had it: each gets exactly one, also one told again.
        self._unanswered: deque[str] = deque(maxlen=1_000)
        self._answered: deque[str] = deque(maxlen=1_000)
        self._running = False
        #: What is being said in passing, and where; it ends with `run`.
        self._asides: dict[asyncio.Task[None], str] = {}
        self._in_charge: OfChats[tuple[float, bool]] = OfChats(10_000)

    async def run(self, desk: FrontDesk) -> None:
        self._desk, self._running = desk, True
        try:
            await self._listen(desk)
        finally:
            self._running = False
            await ended(self._asides, within=FINISH_WITHIN)

    async def _aside(self, doing: Coroutine[None, None, None], chat: str) -> None:
        """Beside the listening: in a busy chat it waits for its turn, and the others should not wait for it."""
        task = asyncio.create_task(doing)
        self._asides[task] = chat
        task.add_done_callback(self._asides.pop)
        if not self._running:
            await task

    async def _listen(self, desk: FrontDesk) -> None:
        caller = self._caller
        async with caller.open():
            async with knocking(self.account):
                me = await caller.ask(GetMe())
            log.info("telegram_there", bot=me.username, link=f"https://t.me/{me.username}")
            if not me.can_read_all_group_messages:
                log.info("telegram_privacy_mode", bot=me.username, says=say("telegram.check.privacy"))
            await self._offer_menu(desk)
            if self._settings.webhook:
                secret = self._settings.webhook_secret.get_secret_value() or secrets.token_urlsafe(32)
                async with knocking(self.account):
                    await answer_the_door(
                        self._door, caller, self._settings.webhook, Tenant(me, secret, self._take)
                    )
            else:
                await listen(caller, me, self._take)

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        return await self._drafting.draft(draft)

    async def progress(self, progress: Progress) -> None:
        await self._drafting.progress(progress)

    async def deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        try:
            return await self._deliver(outgoing)
        except GreenroomError:
            raise
        except Exception as error:
            chat = outgoing.chat
            what = trouble(error)
            if what is Trouble.GONE:
                if self._desk:
                    await self._desk.left(replace(chat, thread=""))
                raise DeliveryFailed(say("telegram.gone", chat=chat.chat, cause=in_words(error))) from error
            if what is Trouble.FORBIDDEN:
                raise DeliveryFailed(
                    say("telegram.forbidden", chat=chat.chat, cause=in_words(error))
                ) from error
            if what is Trouble.PASSING or isinstance(error, TelegramUnauthorizedError | TelegramNotFound):
                pause = min(LONGEST_PAUSE, 0.5 * 2.0 ** min(outgoing.delivery.attempts, 10))
                raise TryAgain(
                    say("telegram.unreachable", cause=in_words(error)), after_s=self._caller.pace.real(pause)
                ) from error
            if hopeless(error):
                raise DeliveryFailed(
                    say("telegram.refused", chat=chat.chat, cause=in_words(error))
                ) from error
            raise

    async def _deliver(self, outgoing: Outgoing) -> tuple[str, ...]:
        if not is_chat(outgoing.chat.chat):
            raise DeliveryFailed(say("telegram.gone", chat=outgoing.chat.chat, cause="chat not found"))
        try:
            return await self._showing.show(outgoing)
        except TelegramMigrateToChat as moved:
            old = outgoing.chat
            new = replace(old, chat=str(moved.migrate_to_chat_id), thread="")
            if self._desk:
                await self._desk.moved(old, new)
            self._forget(old)
            if outgoing.delivery.kind is DeliveryKind.REMOVAL:
                return ()
            # Whatever a number meant in the old chat, in the new one it means somebody else's message.
            delivery = replace(outgoing.delivery, chat=new, answers_message="")
            return await self._showing.show(replace(outgoing, delivery=delivery, replaces=()))

    def _forget(self, old: ChatRef) -> None:
        """A chat that has another name now."""
        for memory in (self._showing, self._drafting, self._caller, self._in_charge):
            memory.forget(old.chat)

    async def tell(self, incoming: Incoming, text: str) -> None:
        if incoming.pressed and incoming.answer_to in self._unanswered and len(text) <= ALERT:
            await self._answer(incoming.answer_to, text)
            return
        where = spot(incoming.chat, incoming.message)
        if not is_chat(where.chat) or list(self._asides.values()).count(where.chat) >= MOST_TOLD:
            return  # whoever is told something all the time is told it as often as there is room
        await self._aside(self._tell(where, text), where.chat)

    async def _tell(self, where: Spot, text: str) -> None:
        try:
            await self._showing.post(plain(shortened(text, TEXT)), where)
        except (AiogramError, GreenroomError, ValueError) as error:
            log.info("telegram_not_told", chat=where.chat, cause=in_words(error))

    async def in_charge(self, chat: ChatRef, platform_id: str) -> bool:
        """In a private chat its person; an admin who stays anonymous in a group goes by the group's own number."""
        if platform_id == chat.chat or not chat.chat.startswith("-"):
            return True
        if not platform_id.isdecimal():
            return False
        key, now = (chat.chat, platform_id), self._caller.pace.now()
        at, known = self._in_charge.get(key, (float("-inf"), False))
        if now - at < IN_CHARGE_FOR:
            return known
        try:
            member = await self._caller.ask(
                GetChatMember(chat_id=chat.chat, user_id=int(platform_id)), seconds=10
            )
        except (AiogramError, GreenroomError) as error:
            log.info("telegram_not_known_who_is_in_charge", chat=chat.chat, cause=in_words(error))
            return False
        known = member.status in ("creator", "administrator")
        self._in_charge.keep(key, (now, known))
        return known

    # What is heard

    async def _take(self, thing: Heard) -> None:
        desk = self._desk
        if desk is None:
            return
        match thing:
            case Incoming():
                await self._hear(thing, desk)
            case Reaction():
                await desk.react(thing)
            case Moved():
                await desk.moved(thing.chat, thing.new)
                self._forget(thing.chat)
            case Left():
                await desk.left(thing.chat)
            case Stop():
                if not self._drafting.is_over(thing.chat, thing.draft):
                    desk.stop(thing.chat)
            case Topic():
                self._showing.topics.heard(thing.chat, thing.name, free=thing.free)

    async def _hear(self, incoming: Incoming, desk: FrontDesk) -> None:
        if incoming.pressed:
            incoming = self._showing.under_press(incoming)
            if incoming.answer_to not in self._answered and incoming.answer_to not in self._unanswered:
                self._unanswered.append(incoming.answer_to)
        await desk.hear(incoming)
        # Stored: nobody told anything, so the button stops turning without a word.
        if incoming.answer_to in self._unanswered:
            await self._answer(incoming.answer_to)

    async def _answer(self, query: str, text: str = "") -> None:
        if query in self._unanswered:
            self._unanswered.remove(query)
        self._answered.append(query)
        await self._aside(self._answer_press(query, text), "")

    async def _answer_press(self, query: str, text: str) -> None:
        try:
            await self._caller.ask(
                AnswerCallbackQuery(
                    callback_query_id=query, text=text or None, show_alert=bool(text) or None
                ),
                seconds=5,
            )
        except (AiogramError, GreenroomError) as error:
            log.info("telegram_press_not_answered", cause=in_words(error))

    async def _offer_menu(self, desk: FrontDesk) -> None:
        """What can be asked for, in each language. Nothing depends on it."""
        for language in desk.languages():
            menu = [
                BotCommand(command=entry.name, description=shortened(entry.says, 256) or entry.name)
                for entry in desk.menu(language)
                if not entry.operators_only
            ]
            code = None if language == ENGLISH else language
            if not menu or (code is not None and len(code) != 2):
                continue  # Telegram knows languages, and no countries
            try:
                await self._caller.ask(SetMyCommands(commands=menu[:MOST_COMMANDS], language_code=code))
            except (AiogramError, GreenroomError) as error:
                log.warning("telegram_menu_not_set", language=language, cause=in_words(error))
