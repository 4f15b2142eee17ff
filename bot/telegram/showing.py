"""What a chat is owed, as messages: sent, or put in the place of those that are there. It decides nothing else.

What was shown of a delivery before its connection broke is remembered, and not shown again when it is tried again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from aiogram.exceptions import TelegramAPIError
from aiogram.methods import (
    EditMessageMedia,
    EditMessageText,
    SendDocument,
    SendMessage,
    SendPhoto,
    TelegramMethod,
)
from aiogram.types import (
    BufferedInputFile,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    Message,
    MessageEntity,
    ReplyParameters,
)

from bot.front import Account, Buttons, Face, Incoming, Outgoing
from bot.telegram.calling import Caller
from bot.telegram.markdown import CAPTION, Part, addressed, coded, named, parts, plain, styled, units
from bot.telegram.remembered import OfChats
from bot.telegram.removing import remove
from bot.telegram.topics import Topics
from bot.telegram.troubles import Trouble, in_words, trouble
from engine.locales import locale_of
from engine.store.records import ChatRef, DeliveryKind

log = structlog.get_logger(__name__)

#: What Telegram shows as a photo; more comes as a file.
PHOTO_BYTES = 10 * 1024 * 1024
PHOTO_SIDES = 10_000
PHOTO_RATIO = 20
ORDER_BYTES = 64
REMEMBERED = 1_000
STYLES = {"good": "success", "danger": "danger"}

Markup = InlineKeyboardMarkup | ForceReply | None


@dataclass(frozen=True)
class Spot:
    """Where a message goes: a chat, a thread in it, and the message that it answers."""

    chat: str
    thread: int | None = None
    answers: int | None = None

    @property
    def crowd(self) -> bool:
        return self.chat.startswith(("-", "@"))


class Showing:
    """Shows deliveries through one bot."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.topics = Topics(caller)
        #: Messages that hold a picture, whose words are a caption.
        self.pictured: OfChats[None] = OfChats()
        #: Who pressed, by the chat and the number of the press.
        self.pressed: OfChats[Account] = OfChats()
        #: The threads of messages: of an old one that is pressed, Telegram does not tell it.
        self.threads: OfChats[int] = OfChats(10_000)
        #: Channels, where nobody can be asked to answer.
        self._unasked: OfChats[None] = OfChats()
        self._shown: dict[int, list[str]] = {}

    async def show(self, outgoing: Outgoing) -> tuple[str, ...]:
        """All of it. Whatever Telegram refuses is raised as it is."""
        delivery = outgoing.delivery
        if delivery.kind is DeliveryKind.REMOVAL:
            await remove(self._caller, delivery.chat.chat, delivery.manner.removes, delivery.language)
            return ()
        done = self._shown.setdefault(delivery.id, [])
        while len(self._shown) > REMEMBERED:
            self._shown.pop(next(iter(self._shown)))
        await self._show(outgoing, done)
        self._shown.pop(delivery.id, None)
        return tuple(done)

    async def _show(self, outgoing: Outgoing, done: list[str]) -> None:
        delivery, spot = outgoing.delivery, spot_of(outgoing)
        whole = await self._whole(outgoing)
        markup: Markup = keyboard(delivery.manner.buttons)
        if (
            markup is None
            and delivery.manner.question
            and spot.crowd
            and (spot.chat, "") not in self._unasked
        ):
            # Whoever pressed a button is answered beside our own message, and has to be called by name. Where we
            # do not know it any more, all are asked: an answer to a message of ours is heard in any group.
            asked = self.pressed.get((spot.chat, delivery.answer_to))
            whole = addressed(asked.name, asked.platform_id, whole) if asked else whole
            markup = ForceReply(selective=asked is not None or not delivery.answer_to)
        if outgoing.image:
            await self._picture(outgoing, whole, spot, markup, done)
        else:
            await self._texts(parts(whole), spot, outgoing, markup, done)

    def under_press(self, press: Incoming) -> Incoming:
        """A press, with what is needed to answer it: who pressed, and in which thread."""
        chat = press.chat
        self.pressed.keep((chat.chat, press.answer_to), press.account)
        thread = chat.thread or str(self.threads.get((chat.chat, press.message), ""))
        return replace(press, chat=replace(chat, thread=thread))

    def forget(self, chat: str) -> None:
        """A chat that has another name now, and whose messages have other numbers."""
        for memory in (self.pictured, self.pressed, self.threads, self._unasked, self.topics):
            memory.forget(chat)

    async def _whole(self, outgoing: Outgoing) -> Part:
        delivery = outgoing.delivery
        if delivery.kind is DeliveryKind.REPLY:
            return await self.signed(styled(delivery.text), outgoing.chat, outgoing.face, arrived=True)
        if delivery.kind is DeliveryKind.POST:
            return await self.signed(plain(delivery.text), outgoing.chat, outgoing.face)
        return coded(delivery.text, outgoing.code)

    async def signed(self, words: Part, chat: ChatRef, face: Face | None, *, arrived: bool = False) -> Part:
        """A persona's words, under its name where nothing else says who speaks."""
        if face is None or await self.topics.names(face.name, chat, arrived=arrived):
            return words
        return named(face.name, words)

    # Words

    async def _texts(
        self, texts: Sequence[Part], spot: Spot, outgoing: Outgoing, markup: Markup, done: list[str]
    ) -> None:
        """The parts, in the place of older messages as far as there are any; `done` says what stands already."""
        first, replaces = len(done), outgoing.replaces
        texts = texts or [plain("…")]
        old, superfluous = list(replaces[:first]), [one for one in replaces[first:] if one not in done]
        for at in range(first, len(texts)):
            here = markup if at == len(texts) - 1 else None
            message = ""
            while superfluous and not message:
                candidate = superfluous.pop(0)
                if isinstance(here, ForceReply) or not await self.edit(spot.chat, candidate, texts[at], here):
                    old.append(candidate)  # it cannot become this: another one comes, and it goes
                else:
                    message = candidate
            if not message:
                message = await self.post(texts[at], spot if at == 0 else replace(spot, answers=None), here)
            done.append(message)
        gone = [one for one in (*old, *superfluous) if one not in done]
        if gone:
            await remove(self._caller, spot.chat, gone, outgoing.delivery.language)

    async def post(self, part: Part, spot: Spot, markup: Markup = None) -> str:
        method = SendMessage(
            chat_id=spot.chat,
            message_thread_id=spot.thread,
            text=part.text,
            entities=entities_of(part),
            parse_mode=None,
            reply_parameters=answering(spot),
            reply_markup=markup,
        )
        return await self._sent(method)

    async def edit(self, chat: str, message: str, part: Part, markup: InlineKeyboardMarkup | None) -> bool:
        """Whether an older message says this now."""
        method = EditMessageText(
            chat_id=chat,
            message_id=int(message) if message.isdecimal() else 0,
            text=part.text,
            entities=entities_of(part),
            parse_mode=None,
            reply_markup=markup,
        )
        try:
            try:
                await self._caller.post(method)
            except TelegramAPIError as error:
                if trouble(error) is not Trouble.WORDS:
                    raise
                await self._caller.post(method.model_copy(update={"entities": None}))
        except TelegramAPIError as error:
            what = trouble(error)
            if what in (Trouble.NO_MESSAGE, Trouble.NO_TEXT, Trouble.OTHER):
                return False
            if what is not Trouble.THE_SAME:
                raise
        return True

    async def _sent(self, method: SendMessage | SendPhoto | SendDocument) -> str:
        """Send it; what stands in the way of only a part of it is left away."""
        without: dict[str, None] = {}
        while True:
            try:
                sent = await self._caller.post(method.model_copy(update=without))
            except TelegramAPIError as error:
                more = _left_away(trouble(error), method)
                if more is None or more in without:
                    raise
                log.info("telegram_sent_without", without=more, cause=in_words(error))
                without[more] = None
            else:
                return self._remembered(sent, method, asked="reply_markup" not in without)

    def _remembered(
        self, sent: Message, method: SendMessage | SendPhoto | SendDocument, *, asked: bool
    ) -> str:
        chat, message = str(method.chat_id), str(sent.message_id)
        if not asked:
            self._unasked.keep((chat, ""), None)
        if sent.is_topic_message and sent.message_thread_id:
            self.threads.keep((chat, message), sent.message_thread_id)
        return message

    # Pictures

    async def _picture(
        self, outgoing: Outgoing, whole: Part, spot: Spot, markup: Markup, done: list[str]
    ) -> None:
        fits = units(whole.text) <= CAPTION
        if not done:
            under: tuple[Part, Markup] = (whole, markup) if fits else (Part(""), None)
            try:
                message = await self._pictured(outgoing, spot, *under)
            except TelegramAPIError as error:
                if trouble(error) is not Trouble.FORBIDDEN:
                    raise
                log.info("telegram_no_pictures_there", chat=spot.chat, cause=in_words(error))
                await self._texts(parts(_instead(whole, outgoing)), spot, outgoing, markup, done)
                return
            done.append(message)
            self.pictured.keep((spot.chat, message), None)
        if gone := [one for one in outgoing.replaces if one not in done]:
            await remove(self._caller, spot.chat, gone, outgoing.delivery.language)
        if not fits:
            below = replace(outgoing, replaces=())
            await self._texts([Part(""), *parts(whole)], replace(spot, answers=None), below, markup, done)

    async def _pictured(self, outgoing: Outgoing, spot: Spot, caption: Part, markup: Markup) -> str:
        """The message that shows the picture now: the first of the older ones, or a new one."""
        old = next(iter(outgoing.replaces), "")
        if (
            old
            and not isinstance(markup, ForceReply)
            and await self._repicture(spot.chat, old, outgoing.image, caption, markup)
        ):
            return old
        return await self._post_picture(outgoing.image, spot, caption, markup)

    async def _post_picture(self, image: bytes, spot: Spot, caption: Part, markup: Markup) -> str:
        if as_photo(image):
            method = SendPhoto(
                chat_id=spot.chat,
                message_thread_id=spot.thread,
                photo=_file(image),
                caption=caption.text or None,
                caption_entities=entities_of(caption),
                parse_mode=None,
                reply_parameters=answering(spot),
                reply_markup=markup,
            )
            try:
                return await self._sent(method)
            except TelegramAPIError as error:
                if trouble(error) is not Trouble.PICTURE:
                    raise
                log.info("telegram_picture_as_file", cause=in_words(error))
        return await self._sent(
            SendDocument(
                chat_id=spot.chat,
                message_thread_id=spot.thread,
                document=_file(image),
                caption=caption.text or None,
                caption_entities=entities_of(caption),
                parse_mode=None,
                reply_parameters=answering(spot),
                reply_markup=markup,
            )
        )

    async def _repicture(
        self, chat: str, message: str, image: bytes, caption: Part, markup: InlineKeyboardMarkup | None
    ) -> bool:
        """Whether an older message shows this picture now."""
        try:
            await self._caller.post(repictured(chat, message, image, caption, markup))
        except TelegramAPIError as error:
            what = trouble(error)
            if what in (Trouble.NO_MESSAGE, Trouble.NO_TEXT, Trouble.PICTURE, Trouble.WORDS, Trouble.OTHER):
                log.info("telegram_picture_sent_anew", chat=chat, cause=in_words(error))
                return False
            if what is not Trouble.THE_SAME:
                raise
        return True


def spot_of(outgoing: Outgoing) -> Spot:
    """In groups it is said whom a message answers; between two it is clear."""
    delivery = outgoing.delivery
    return spot(delivery.chat, delivery.answers_message)


def spot(chat: ChatRef, answers: str = "") -> Spot:
    where = Spot(chat.chat, int(chat.thread) if chat.thread.isdecimal() else None)
    return replace(where, answers=int(answers)) if where.crowd and answers.isdecimal() else where


def is_chat(chat: str) -> bool:
    """Whether Telegram has chats of such a name."""
    return chat.removeprefix("-").isdecimal() or chat.startswith("@")


def keyboard(buttons: Buttons) -> InlineKeyboardMarkup | None:
    """Buttons; one whose order Telegram cannot hold is not shown."""
    rows = []
    for row in buttons:
        fitting = [one for one in row if 0 < len(one.order.encode()) <= ORDER_BYTES and one.label.strip()]
        if len(fitting) < len(row):
            log.error("telegram_button_left_away", orders=[one.order for one in row if one not in fitting])
        if fitting:
            rows.append(
                [
                    InlineKeyboardButton(
                        text=one.label, callback_data=one.order.removeprefix("/"), style=STYLES.get(one.style)
                    )
                    for one in fitting
                ]
            )
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def entities_of(part: Part) -> list[MessageEntity] | None:
    return [MessageEntity(**one.to_dict()) for one in part.entities] or None


def as_photo(image: bytes) -> bool:
    """Whether Telegram shows it as a photo. What a file says of its size is read from PNG alone."""
    if len(image) > PHOTO_BYTES:
        return False
    if not image.startswith(b"\x89PNG") or len(image) < 24:
        return True
    sides: tuple[int, int] = struct.unpack(">II", image[16:24])
    return sum(sides) <= PHOTO_SIDES and max(sides) <= PHOTO_RATIO * max(1, min(sides))


def repictured(
    chat: str, message: str, image: bytes, caption: Part, markup: InlineKeyboardMarkup | None
) -> TelegramMethod[Message | bool]:
    """The call that puts a picture into a message that is there."""
    kind = InputMediaPhoto if as_photo(image) else InputMediaDocument
    return EditMessageMedia(
        chat_id=chat,
        message_id=int(message) if message.isdecimal() else 0,
        media=kind(
            media=_file(image),
            caption=caption.text or None,
            caption_entities=entities_of(caption),
            parse_mode=None,
        ),
        reply_markup=markup,
    )


def answering(spot: Spot) -> ReplyParameters | None:
    if spot.answers is None:
        return None
    return ReplyParameters(message_id=spot.answers, allow_sending_without_reply=True)


def _instead(whole: Part, outgoing: Outgoing) -> Part:
    """What is said where no picture may be shown."""
    why = locale_of(outgoing.delivery.language).say("telegram.no_pictures")
    return replace(whole, text=f"{whole.text}\n\n{why}" if whole.text else why)


def _left_away(what: Trouble, method: SendMessage | SendPhoto | SendDocument) -> str | None:
    """What a message can do without, that stands in its way."""
    if what is Trouble.WORDS:
        return "entities" if isinstance(method, SendMessage) else "caption_entities"
    return {
        Trouble.NO_TOPIC: "message_thread_id",
        Trouble.NO_ANSWERED: "reply_parameters",
        Trouble.MARKUP: "reply_markup",
    }.get(what)


def _file(image: bytes) -> BufferedInputFile:
    return BufferedInputFile(image, "picture.png" if image.startswith(b"\x89PNG") else "picture.jpg")
