"""What may be dropped: a reply while it is written, how a job stands. Shown where there is room, the latest only."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from aiogram.exceptions import AiogramError, TelegramAPIError
from aiogram.methods import (
    EditMessageCaption,
    EditMessageText,
    SendChatAction,
    SendMessage,
    SendMessageDraft,
    TelegramMethod,
)
from aiogram.types import InlineKeyboardMarkup, Message

from bot.front import ChatRef, Draft, Progress
from bot.telegram.calling import Caller
from bot.telegram.markdown import CAPTION, TEXT, Part, parts, plain, shortened, styled
from bot.telegram.remembered import OfChats
from bot.telegram.showing import Showing, answering, entities_of, is_chat, keyboard, repictured, spot
from bot.telegram.troubles import Trouble, in_words, trouble

log = structlog.get_logger(__name__)

#: Between two changes of one message, in seconds: more would be refused, and nobody reads that fast.
EDIT_EVERY = 1.5
PREVIEW_EVERY = 4.0
#: Telegram shows "typing" for five seconds.
TYPING_EVERY = 4.0


@dataclass(frozen=True)
class Last:
    """What a message said last, and when."""

    at: float
    text: str


class Drafting:
    def __init__(self, caller: Caller, showing: Showing) -> None:
        self._caller = caller
        self._showing = showing
        self._last: OfChats[Last] = OfChats()
        #: Where no pictures may be sent.
        self._no_pictures: OfChats[None] = OfChats()
        #: Which reply is being written, by chat and thread.
        self._replies: OfChats[int] = OfChats()

    async def draft(self, draft: Draft) -> tuple[str, ...]:
        """Never fails: the reply itself comes later, whatever became of its drafts."""
        if not is_chat(draft.chat.chat):
            return draft.messages
        self._replies.keep((draft.chat.chat, draft.chat.thread), draft.turn_id)
        try:
            if not draft.text.strip():
                await self._typing(draft)
            elif spot(draft.chat).crowd:
                return await self._in_public(draft)
            else:
                await self._in_private(draft)
        except (AiogramError, ValueError) as error:
            log.debug("telegram_draft_not_shown", chat=draft.chat.chat, cause=in_words(error))
        return draft.messages

    def is_over(self, chat: ChatRef, draft_id: int) -> bool:
        """Whether another reply than that of this draft is being written there by now."""
        return self._replies.get((chat.chat, chat.thread), draft_id) != draft_id

    def forget(self, chat: str) -> None:
        self._last.forget(chat)
        self._no_pictures.forget(chat)
        self._replies.forget(chat)

    async def progress(self, progress: Progress) -> None:
        """Never fails: the outcome comes later."""
        chat, message = progress.chat.chat, progress.message
        key, markup = (chat, message), keyboard(progress.buttons)
        if not message.isdecimal():
            return
        try:
            if progress.preview and (chat, "") not in self._no_pictures:
                if self._due(key, PREVIEW_EVERY, "") and await self._preview(progress, markup):
                    self._said(key, progress.text)
            elif self._due(key, EDIT_EVERY, progress.text) and await self._reword(progress, markup):
                self._said(key, progress.text)
        except (AiogramError, ValueError) as error:
            log.debug("telegram_progress_not_shown", chat=chat, cause=in_words(error))

    async def _preview(self, progress: Progress, markup: InlineKeyboardMarkup | None) -> bool:
        chat, caption = progress.chat.chat, plain(shortened(progress.text, CAPTION))
        try:
            shown = await self._offer(repictured(chat, progress.message, progress.preview, caption, markup))
        except TelegramAPIError as error:
            if trouble(error) is Trouble.FORBIDDEN:  # from now on in words
                self._no_pictures.keep((chat, ""), None)
            raise
        if shown:
            self._showing.pictured.keep((chat, progress.message), None)
        return shown

    async def _reword(self, progress: Progress, markup: InlineKeyboardMarkup | None) -> bool:
        chat, message = progress.chat.chat, int(progress.message)
        if (chat, progress.message) not in self._showing.pictured:
            text = shortened(progress.text, TEXT) or "…"
            try:
                return await self._offer(
                    EditMessageText(
                        chat_id=chat, message_id=message, text=text, parse_mode=None, reply_markup=markup
                    )
                )
            except TelegramAPIError as error:
                if trouble(error) is not Trouble.NO_TEXT:
                    raise
                self._showing.pictured.keep((chat, progress.message), None)
        caption = shortened(progress.text, CAPTION)
        return await self._offer(
            EditMessageCaption(
                chat_id=chat, message_id=message, caption=caption, parse_mode=None, reply_markup=markup
            )
        )

    async def _typing(self, draft: Draft) -> None:
        key = draft.chat.chat, f"typing {draft.chat.thread}"
        if draft.messages or not self._due(key, TYPING_EVERY, ""):
            return
        where = spot(draft.chat)
        typing = SendChatAction(chat_id=where.chat, message_thread_id=where.thread, action="typing")
        if await self._caller.offer(typing, draft=True):
            self._said(key, "typing")

    async def _in_private(self, draft: Draft) -> None:
        part = await self._part(draft)
        where = spot(draft.chat)
        await self._caller.offer(
            SendMessageDraft(
                chat_id=int(where.chat),
                draft_id=draft.turn_id,
                message_thread_id=where.thread,
                text=part.text,
                entities=entities_of(part),
                parse_mode=None,
                can_stop=True if draft.stop else None,
                keep_on_stop=True if draft.stop else None,
            ),
            draft=True,
        )

    async def _in_public(self, draft: Draft) -> tuple[str, ...]:
        part = await self._part(draft)
        where = spot(draft.chat, draft.answers_message)
        markup = keyboard(((draft.stop,),)) if draft.stop else None
        if not draft.messages:
            sent = await self._caller.offer(
                SendMessage(
                    chat_id=where.chat,
                    message_thread_id=where.thread,
                    text=part.text,
                    entities=entities_of(part),
                    parse_mode=None,
                    reply_parameters=answering(where),
                    reply_markup=markup,
                )
            )
            if sent is None:
                return ()
            self._said((where.chat, str(sent.message_id)), part.text)
            return (str(sent.message_id),)
        message = draft.messages[0]
        if self._due((where.chat, message), EDIT_EVERY, part.text):
            edited = EditMessageText(
                chat_id=where.chat,
                message_id=int(message),
                text=part.text,
                entities=entities_of(part),
                parse_mode=None,
                reply_markup=markup,
            )
            if await self._offer(edited):
                self._said((where.chat, message), part.text)
        return draft.messages

    async def _part(self, draft: Draft) -> Part:
        """Where the reply has outgrown a message, what was written last is what people want to see."""
        whole = await self._showing.signed(styled(draft.text), draft.chat, draft.face)
        made = parts(whole)
        return made[-1] if made else plain("…")

    async def _offer(self, method: TelegramMethod[Message | bool]) -> bool:
        return await self._caller.offer(method) is not None

    def _due(self, key: tuple[str, str], every: float, text: str) -> bool:
        last = self._last.get(key)
        return last is None or (self._caller.pace.now() - last.at >= every and last.text != text)

    def _said(self, key: tuple[str, str], text: str) -> None:
        self._last.keep(key, Last(self._caller.pace.now(), text))
