"""What the platform allows: rates, sizes, words, keyboards and pictures. It knows no chat, no message and no wire."""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from PIL import Image

JSON = dict[str, Any]

TEXT_UNITS = 4096
CAPTION_UNITS = 1024
ENTITIES = 100
CALLBACK_DATA_BYTES = 64
KEYBOARD_BUTTONS = 100
ALBUM = range(2, 11)
PHOTO_BYTES = 10 * 1024 * 1024
UPLOAD_BYTES = 50 * 1024 * 1024
DOWNLOAD_BYTES = 20 * 1024 * 1024
PHOTO_SIDES = 10_000
PHOTO_RATIO = 20
#: By the dates of messages, to which no scale is applied.
DELETABLE_SECONDS = 48 * 3600

#: Seconds, before the server's scale is applied.
QUERY_SECONDS = 15.0
DRAFT_SECONDS = 30.0

_CHAT_ACTIONS = (
    "typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker"
    " find_location record_video_note upload_video_note"
)
_BUTTON_DEEDS = (
    "url callback_data web_app login_url switch_inline_query switch_inline_query_current_chat"
    " switch_inline_query_chosen_chat copy_text callback_game pay disabled"
)
_REACTIONS = (
    "❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾"
    " 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡"
)
CHAT_ACTIONS = frozenset(_CHAT_ACTIONS.split())
BUTTON_DEEDS = frozenset(_BUTTON_DEEDS.split())
REACTIONS = frozenset(_REACTIONS.split())


class Rule(StrEnum):
    """What a correct client never does. The values are the keys of `TelegramServer.broken`."""

    IMPATIENT = "did not wait out retry_after"
    TEXT_TOO_LONG = "text too long"
    CAPTION_TOO_LONG = "caption too long"
    TOO_MANY_ENTITIES = "too many entities"
    BAD_ENTITIES = "entities that do not fit the text"
    BAD_MARKUP = "markup that cannot be parsed"
    BAD_KEYBOARD = "keyboard that cannot be"
    CALLBACK_DATA = "callback_data over 64 bytes"
    QUERY_UNANSWERED = "query never answered"
    QUERY_LATE = "query answered too late"
    QUERY_TWICE = "query answered twice"
    QUERY_UNKNOWN = "answered a query that nobody asked"
    NOT_ITS_MESSAGE = "edited a message that is not the bot's"
    POLLING_CONFLICT = "getUpdates conflict"
    STRANGER = "wrote to a person who never started the bot"
    WRONG_CONTENT = "upload of the wrong content type"
    PICTURE_SHAPE = "picture of impossible dimensions"
    TOO_BIG = "file too big"
    DRAFT_PLACE = "draft outside a private chat"
    DRAFT_ID = "draft with id 0"
    DRAFT_HANGING = "draft left hanging"
    UNKNOWN_METHOD = "unknown method"
    UNKNOWN_PARAMETER = "unknown parameter"
    MISSING_PARAMETER = "missing parameter"
    WRONG_TYPE = "parameter of the wrong type"
    BAD_ALBUM = "album of the wrong size"
    BAD_VALUE = "value that the method does not take"


class Refusal(Exception):
    """The server's answer is no, in the real one's words; `rule` says which rule was broken, if one was."""

    def __init__(
        self, description: str, *, code: int = 400, rule: Rule | None = None, **parameters: int
    ) -> None:
        super().__init__(description)
        self.code = code
        self.rule = rule
        self.parameters = parameters
        prefix = {400: "Bad Request: ", 403: "Forbidden: ", 409: "Conflict: "}.get(code, "")
        self.description = prefix + description


@dataclass(frozen=True)
class Breach:
    """One broken rule: which, by which bot, in which method, and what was wrong with it."""

    rule: Rule
    bot: int
    method: str
    detail: str


@dataclass(frozen=True)
class Rate:
    """`burst` at once, then one more every `every` seconds; a group's is `burst` in any `burst * every` seconds."""

    burst: int
    every: float


@dataclass(frozen=True)
class Rates:
    """The rates of one bot. Messages and edits share all but the drafts' bucket; a photo of an album counts one."""

    chat: Rate = Rate(burst=3, every=1.0)
    group: Rate = Rate(burst=20, every=3.0)
    overall: Rate = Rate(burst=30, every=1 / 30)
    draft: Rate = Rate(burst=5, every=0.5)


@dataclass
class Bucket:
    """A token bucket that starts full."""

    rate: Rate
    scale: float
    tokens: float = field(init=False)
    at: float = -math.inf

    def __post_init__(self) -> None:
        self.tokens = float(self.rate.burst)

    def missing(self, now: float, cost: int) -> float:
        """Seconds until `cost` more may go; 0 if they may now."""
        if self.at > -math.inf:
            gained = (now - self.at) / (self.rate.every * self.scale)
            self.tokens = min(float(self.rate.burst), self.tokens + gained)
        self.at = now
        # An album may be larger than the burst: it goes when the bucket is full, and leaves a debt.
        short = min(cost, self.rate.burst) - self.tokens
        return max(0.0, short * self.rate.every * self.scale) if short > 1e-9 else 0.0

    def take(self, cost: int) -> None:
        self.tokens -= cost


@dataclass
class Window:
    """At most `burst` in any stretch of `burst * every` seconds: what "20 a minute" means to a group."""

    rate: Rate
    scale: float
    times: deque[float] = field(default_factory=deque)
    at: float = -math.inf

    def missing(self, now: float, cost: int) -> float:
        """Seconds until `cost` more may go; 0 if they may now."""
        self.at = now
        length = self.rate.burst * self.rate.every * self.scale
        while self.times and self.times[0] <= now - length + 1e-9:
            self.times.popleft()
        surplus = len(self.times) + min(cost, self.rate.burst) - self.rate.burst
        return max(0.0, self.times[surplus - 1] + length - now) if surplus > 0 else 0.0

    def take(self, cost: int) -> None:
        self.times.extend([self.at] * cost)


@dataclass
class Flood:
    """All buckets of a server, and who was told to wait until when."""

    rates: Rates
    scale: float
    _buckets: dict[tuple[object, ...], Bucket] = field(default_factory=dict)
    _windows: dict[tuple[object, ...], Window] = field(default_factory=dict)
    _told: dict[tuple[object, ...], float] = field(default_factory=dict)

    def _bucket(self, rate: Rate, *key: object) -> Bucket:
        return self._buckets.setdefault(key, Bucket(rate, self.scale))

    def wait(self, now: float, bot: int, chat: int, kind: str, *, crowd: bool, cost: int) -> int:
        """Whole unscaled seconds to wait before this may be sent; 0 if it was let through."""
        if kind == "draft":
            buckets: list[Bucket | Window] = [self._bucket(self.rates.draft, "draft", bot, chat)]
        else:
            buckets = [
                self._bucket(self.rates.chat, "chat", bot, chat),
                self._bucket(self.rates.overall, "overall", bot),
            ]
            if crowd:
                buckets.append(self._windows.setdefault((bot, chat), Window(self.rates.group, self.scale)))
        missing = max(bucket.missing(now, cost) for bucket in buckets)
        if missing:
            return max(1, math.ceil(missing / self.scale - 1e-6))
        for bucket in buckets:
            bucket.take(cost)
        return 0

    def tell(self, now: float, key: tuple[object, ...], seconds: int) -> None:
        """Whoever asks under this key was told to wait `seconds`."""
        self._told[key] = now + seconds * self.scale

    def left(self, now: float, key: tuple[object, ...]) -> int:
        """Whole unscaled seconds of an unfinished wait under this key."""
        until = self._told.get(key)
        if until is None:
            return 0
        if until <= now:
            del self._told[key]
            return 0
        return max(1, math.ceil((until - now) / self.scale - 1e-6))


def utf16(text: str) -> int:
    """How long the platform thinks a text is."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_length(text: str, *, caption: bool) -> None:
    if caption and utf16(text) > CAPTION_UNITS:
        raise Refusal("MEDIA_CAPTION_TOO_LONG", rule=Rule.CAPTION_TOO_LONG)
    if not caption and utf16(text) > TEXT_UNITS:
        raise Refusal("message is too long", rule=Rule.TEXT_TOO_LONG)


def check_entities(text: str, entities: Sequence[object]) -> list[JSON]:
    """The entities as they may stand; a refusal if one of them does not fit the text."""
    units = text.encode("utf-16-le", "surrogatepass")
    length = len(units) // 2
    fitting = []
    for entity in entities:
        if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
            raise Refusal("can't parse entities: expected an Object", rule=Rule.BAD_ENTITIES)
        start, size = entity.get("offset"), entity.get("length")
        if type(start) is not int or type(size) is not int:
            raise Refusal("can't parse entities: can't parse offset and length", rule=Rule.BAD_ENTITIES)
        if start < 0 or size <= 0 or start + size > length:
            raise Refusal(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset {length}",
                rule=Rule.BAD_ENTITIES,
            )
        for edge in (start, start + size):
            if _splits(units, edge):
                raise Refusal(
                    f"entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol"
                    f" at UTF-16 offset {edge}",
                    rule=Rule.BAD_ENTITIES,
                )
        if entity["type"] == "text_link" and not isinstance(entity.get("url"), str):
            raise Refusal('can\'t parse entities: field "url" must be of type String', rule=Rule.BAD_ENTITIES)
        if entity["type"] == "text_mention" and not isinstance(entity.get("user"), dict):
            raise Refusal(
                'can\'t parse entities: field "user" must be of type Object', rule=Rule.BAD_ENTITIES
            )
        fitting.append(entity)
    return fitting


def _splits(units: bytes, edge: int) -> bool:
    if not 0 < edge < len(units) // 2:
        return False
    return 0xDC <= units[edge * 2 + 1] <= 0xDF and 0xD8 <= units[edge * 2 - 1] <= 0xDB


def check_keyboard(markup: JSON, *, inline_only: bool) -> None:
    """A refusal unless this is a keyboard that the platform shows."""
    rows = markup.get("inline_keyboard")
    if rows is None:
        known = {"keyboard", "remove_keyboard", "force_reply"} & markup.keys()
        if inline_only or not known:
            raise Refusal("object expected as reply markup", rule=Rule.BAD_KEYBOARD)
        return
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise Refusal('field "inline_keyboard" must be of type Array of Arrays', rule=Rule.BAD_KEYBOARD)
    buttons = [button for row in rows for button in row]
    if len(buttons) > KEYBOARD_BUTTONS:
        raise Refusal("reply markup is too long", rule=Rule.BAD_KEYBOARD)
    for button in buttons:
        if (
            not isinstance(button, dict)
            or not isinstance(button.get("text"), str)
            or not button["text"].strip()
        ):
            raise Refusal("inline keyboard button text must be non-empty", rule=Rule.BAD_KEYBOARD)
        if len(BUTTON_DEEDS & button.keys()) != 1:
            raise Refusal("text buttons are unallowed in the inline keyboard", rule=Rule.BAD_KEYBOARD)
        data = button.get("callback_data")
        if data is not None and (
            not isinstance(data, str) or not 0 < len(data.encode()) <= CALLBACK_DATA_BYTES
        ):
            raise Refusal("BUTTON_DATA_INVALID", rule=Rule.CALLBACK_DATA)


@dataclass(frozen=True)
class Picture:
    """What a picture file turned out to be."""

    width: int
    height: int
    format: str


def look(data: bytes) -> Picture | None:
    """Decode a picture to the last pixel; None if these bytes are none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return Picture(*image.size, format=(image.format or "").lower())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def check_photo(data: bytes, picture: Picture | None) -> Picture:
    """A refusal unless this may be sent as a photo."""
    if len(data) > PHOTO_BYTES:
        raise Refusal(
            f"file of size {len(data)} bytes is too big for a photo; the maximum size is {PHOTO_BYTES} bytes",
            rule=Rule.TOO_BIG,
        )
    if picture is None:
        raise Refusal("IMAGE_PROCESS_FAILED", rule=Rule.WRONG_CONTENT)
    sides = picture.width, picture.height
    if sum(sides) > PHOTO_SIDES or max(sides) > PHOTO_RATIO * min(sides):
        raise Refusal("PHOTO_INVALID_DIMENSIONS", rule=Rule.PICTURE_SHAPE)
    return picture
