"""What a chat is owed, as messages: sent, or put in the place of those that are there. It decides nothing else.

What was shown of a delivery before its connection broke is remembered, and not shown again when it is tried again.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from aiogram.exceptions import AiogramError, TelegramAPIError
from aiogram.methods import (
    DeleteMessages,
    EditForumTopic,
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

from bot.front import Buttons, Face, Outgoing
from bot.telegram.calling import Caller
from bot.telegram.markdown import CAPTION, Part, named, parts, plain, styled, units
from bot.telegram.troubles import Trouble, trouble
from engine.store.records import ChatRef, DeliveryKind

log = structlog.get_logger(__name__)

#: What Telegram shows as a photo; more comes as a file.
PHOTO_BYTES = 10 * 1024 * 1024
PHOTO_SIDES = 10_000
PHOTO_RATIO = 20
ORDER_BYTES = 64
#: Telegram takes so many numbers at once.
REMOVED_AT_ONCE = 100
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


class Remembered(OrderedDict[tuple[str, str], str]):
    """Words about chats and messages; those that were of use longest ago go first."""

    def keep(self, key: tuple[str, str], value: str) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > REMEMBERED:
            self.popitem(last=False)


class Showing:
    """Shows deliveries through one bot."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        #: Names of topics, by chat and thread; where ours was refused, that.
        self.topics = Remembered()
        #: Messages that hold a picture, whose words are a caption.
        self.pictured = Remembered()
        self._shown: dict[int, list[str]] = {}

    async def show(self, outgoing: Outgoing) -> tuple[str, ...]:
        """All of it. Whatever Telegram refuses is raised as it is."""
        delivery = outgoing.delivery
        if delivery.kind is DeliveryKind.REMOVAL:
            await self.remove(delivery.chat.chat, delivery.manner.removes)
            return ()
        done = self._shown.setdefault(delivery.id, [])
        while len(self._shown) > REMEMBERED:
            self._shown.pop(next(iter(self._shown)))
        await self._show(outgoing, done)
        self._shown.pop(delivery.id, None)
        return tuple(done)

    async def _show(self, outgoing: Outgoing, done: list[str]) -> None:
        delivery, spot = outgoing.delivery, spot_of(outgoing)
        markup: Markup = keyboard(delivery.manner.buttons)
        if markup is None and delivery.manner.question and spot.crowd:
            markup = ForceReply(selective=True)
        if outgoing.image:
            await self._picture(outgoing, spot, markup, done)
            return
        await self._texts(parts(await self._whole(outgoing)), spot, outgoing.replaces, markup, done)

    async def _whole(self, outgoing: Outgoing) -> Part:
        delivery = outgoing.delivery
        if delivery.kind is DeliveryKind.REPLY:
            return await self.signed(styled(delivery.text), outgoing.chat, outgoing.face, arrived=True)
        if delivery.kind is DeliveryKind.POST:
            return await self.signed(plain(delivery.text), outgoing.chat, outgoing.face)
        return plain(delivery.text)

    async def signed(self, words: Part, chat: ChatRef, face: Face | None, *, arrived: bool = False) -> Part:
        """A persona's words, under its name where nothing else says who speaks."""
        if face is None or await self._is_topic_of(face.name, chat, arrived=arrived):
            return words
        return named(face.name, words)

    async def remove(self, chat: str, messages: Sequence[str]) -> None:
        """Take messages away; those that are gone already are no trouble."""
        numbers = [int(one) for one in messages if one.isdecimal()]
        for at in range(0, len(numbers), REMOVED_AT_ONCE):
            some = numbers[at : at + REMOVED_AT_ONCE]
            try:
                await self._caller.ask(DeleteMessages(chat_id=chat, message_ids=some))
            except TelegramAPIError as error:
                if trouble(error) not in (Trouble.NO_MESSAGE, Trouble.OTHER):
                    raise
                log.debug("telegram_not_removed", chat=chat, cause=str(error))

    # Words

    async def _texts(
        self, texts: Sequence[Part], spot: Spot, replaces: Sequence[str], markup: Markup, done: list[str]
    ) -> None:
        """The parts, in the place of older messages as far as there are any; `done` says what stands already."""
        first = len(done)
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
            await self.remove(spot.chat, gone)

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
                return str(sent.message_id)
            except TelegramAPIError as error:
                more = _left_away(trouble(error), method)
                if more is None or more in without:
                    raise
                log.info("telegram_sent_without", without=more, cause=str(error))
                without[more] = None

    # Pictures

    async def _picture(self, outgoing: Outgoing, spot: Spot, markup: Markup, done: list[str]) -> None:
        whole = await self._whole(outgoing)
        fits = units(whole.text) <= CAPTION
        caption = whole if fits else Part("")
        old = list(outgoing.replaces)
        if not done:
            under = markup if fits else None
            if (
                old
                and not isinstance(under, ForceReply)
                and await self._repicture(spot.chat, old[0], outgoing.image, caption, under)
            ):
                done.append(old.pop(0))
            else:
                done.append(await self._post_picture(outgoing.image, spot, caption, under))
            self.pictured.keep((spot.chat, done[0]), "")
        if gone := [one for one in old if one not in done]:
            await self.remove(spot.chat, gone)
        if not fits:
            await self._texts([Part(""), *parts(whole)], replace(spot, answers=None), (), markup, done)

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
                log.info("telegram_picture_as_file", cause=str(error))
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
                log.info("telegram_picture_sent_anew", chat=chat, cause=str(error))
                return False
            if what is not Trouble.THE_SAME:
                raise
        return True

    # Topics

    async def _is_topic_of(self, name: str, chat: ChatRef, *, arrived: bool) -> bool:
        """Whether the topic says who speaks. In a private chat it is named after the persona that came into it; in
        a group topics belong to its people.
        """
        key = chat.chat, chat.thread
        if not chat.thread:
            return False
        known = self.topics.get(key)
        if known == name or not arrived or chat.chat.startswith("-"):
            return known == name
        refused = f"not {name}"
        if known == refused:
            return False
        try:
            method = EditForumTopic(chat_id=chat.chat, message_thread_id=int(chat.thread), name=name[:128])
            await self._caller.ask(method)
        except (AiogramError, ValueError) as error:
            if not (isinstance(error, TelegramAPIError) and trouble(error) is Trouble.THE_SAME):
                log.info(
                    "telegram_topic_keeps_its_name", chat=chat.chat, thread=chat.thread, cause=str(error)
                )
                self.topics.keep(key, refused)
                return False
        self.topics.keep(key, name)
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


def _left_away(what: Trouble, method: SendMessage | SendPhoto | SendDocument) -> str | None:
    """What a message can do without, that stands in its way."""
    if what is Trouble.WORDS:
        return "entities" if isinstance(method, SendMessage) else "caption_entities"
    return {Trouble.NO_TOPIC: "message_thread_id", Trouble.NO_ANSWERED: "reply_parameters"}.get(what)


def _file(image: bytes) -> BufferedInputFile:
    return BufferedInputFile(image, "picture.png" if image.startswith(b"\x89PNG") else "picture.jpg")
