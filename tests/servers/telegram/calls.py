"""One call of a method: its parameters as typed values, its uploads, and what every method asks of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.servers.telegram import rules, wording
from tests.servers.telegram.rules import JSON, Picture, Refusal, Rule
from tests.servers.telegram.world import Bot, Message, Person, StoredFile, World

if TYPE_CHECKING:
    from tests.servers.telegram.acting import Chat

_WHOLE = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Upload:
    """A file that came with a call; `picture` is what it decodes to, looked at only where a photo may be."""

    name: str
    mime: str
    data: bytes = field(repr=False)
    picture: Picture | None = None


@dataclass(frozen=True)
class Param:
    """A parameter of a kind: int, float, bool, str, obj, list, ints, strs, chat (or @name), file (or upload)."""

    kind: str
    required: bool


@dataclass(frozen=True)
class Method:
    """A method of the API; `meter` names the bucket that its calls come out of, if any."""

    name: str
    do: Callable[[Call], Any]
    params: Mapping[str, Param]
    meter: str | None
    writes: bool
    photos: bool


def method(
    name: str,
    do: Callable[[Call], Any],
    params: str = "",
    *,
    meter: str | None = None,
    writes: bool = False,
    photos: bool = False,
) -> Method:
    """A method from a line of `name:kind` (`name:kind!` if it must be there)."""
    table = {}
    for word in params.split():
        field_name, _, kind = word.partition(":")
        table[field_name] = Param(kind.rstrip("!"), kind.endswith("!"))
    return Method(name, do, table, meter, writes or meter is not None, photos)


def typed(name: str, kind: str, raw: object) -> Any:
    """A parameter's value from a form (always text) or from JSON; a refusal if it is of another type."""
    value: object = raw
    if kind in {"obj", "list", "ints", "strs"} and isinstance(raw, str):
        try:
            value = json.loads(raw)
        except ValueError:
            raise Refusal(f"can't parse {name} JSON object", rule=Rule.WRONG_TYPE) from None
    elif kind in {"int", "chat"} and isinstance(raw, str) and _WHOLE.fullmatch(raw):
        value = int(raw)
    elif kind == "float" and isinstance(raw, str):
        value = _number(raw)
    elif kind == "bool" and raw in ("true", "false"):
        value = raw == "true"
    fits = {
        "int": type(value) is int,
        "float": type(value) in (int, float),
        "bool": type(value) is bool,
        "str": isinstance(value, str),
        "file": isinstance(value, str),
        "obj": isinstance(value, dict),
        "list": isinstance(value, list),
        "ints": isinstance(value, list) and all(type(one) is int for one in value),
        "strs": isinstance(value, list) and all(isinstance(one, str) for one in value),
        "chat": type(value) is int or (isinstance(value, str) and value.startswith("@")),
    }
    if not fits[kind]:
        raise Refusal(f"invalid {name} specified: {kind} expected", rule=Rule.WRONG_TYPE)
    return value


def _number(raw: str) -> object:
    try:
        return float(raw)
    except ValueError:
        return raw


@dataclass
class Call:
    """What a method works with."""

    world: World
    bot: Bot
    method: Method
    params: dict[str, Any]
    uploads: Mapping[str, Upload]

    @classmethod
    def read(
        cls,
        world: World,
        bot: Bot,
        method: Method,
        fields: Mapping[str, object],
        uploads: Mapping[str, Upload],
    ) -> Call:
        """Type the parameters. Unknown ones are counted and, as in reality, passed over."""
        params: dict[str, Any] = {}
        for name, raw in fields.items():
            known = method.params.get(name)
            if known is None:
                world.breach(Rule.UNKNOWN_PARAMETER, bot, method.name, name)
            elif raw is not None:
                params[name] = typed(name, known.kind, raw)
        for name in uploads:
            if name in method.params and method.params[name].kind == "file":
                params[name] = f"attach://{name}"
        for name, param in method.params.items():
            if param.required and name not in params:
                empty = {"text": "message text is empty", "chat_id": "chat_id is empty"}
                raise Refusal(empty.get(name, f"parameter {name!r} is required"), rule=Rule.MISSING_PARAMETER)
        return cls(world, bot, method, params, uploads)

    def get(self, name: str) -> Any:
        return self.params.get(name)

    @property
    def cost(self) -> int:
        """How many messages this is."""
        album = self.params.get("media")
        return max(1, len(album)) if isinstance(album, list) else 1

    @property
    def chat(self) -> Chat:
        """The chat that is named; a refusal if this bot has none of that name."""
        named = self.params["chat_id"]
        if isinstance(named, str):
            chat = self.world.usernames.get(named[1:].lower())
            if chat is None:
                raise Refusal("chat not found")
            return chat
        if named in self.bot.moved:
            raise Refusal(
                "group chat was upgraded to a supergroup chat", migrate_to_chat_id=self.bot.moved[named]
            )
        chat = self.bot.chats.get(named)
        if chat is not None and (chat.person is None or chat.started):
            return chat
        stranger = self.world.people.get(named)
        if stranger is None:
            raise Refusal("chat not found")
        rule = Rule.STRANGER if self.method.writes else None
        if any(named in known.members for known in self.bot.chats.values() if known.person is None):
            raise Refusal("bot can't initiate conversation with a user", code=403, rule=rule)
        raise Refusal("chat not found", rule=rule)

    def words(self, source: Mapping[str, Any], field_name: str) -> tuple[str, list[JSON]]:
        """The text or caption of a message with all its entities; a refusal if it breaks a rule."""
        text = source.get(field_name) or ""
        told = source.get("entities" if field_name == "text" else "caption_entities") or []
        if not isinstance(text, str) or not isinstance(told, list):
            raise Refusal(f"invalid {field_name} specified", rule=Rule.WRONG_TYPE)
        if source.get("parse_mode"):
            text, told = wording.parsed(text, str(source["parse_mode"]))
        told = rules.check_entities(text, told)
        text, told = wording.trimmed(text, told)
        rules.check_length(text, caption=field_name == "caption")
        if len(told) > rules.ENTITIES:
            # The real one is silent and forgets the rest: worth counting, because a person sees it.
            self.world.breach(Rule.TOO_MANY_ENTITIES, self.bot, self.method.name, f"{len(told)} entities")
            told = told[: rules.ENTITIES]
        return text, wording.merged(text, told)

    def markup(self, *, inline_only: bool = False) -> JSON | None:
        markup: JSON | None = self.get("reply_markup")
        if markup is not None:
            rules.check_keyboard(markup, inline_only=inline_only)
            if "inline_keyboard" not in markup and self.chat.type == "channel":
                raise Refusal("inline keyboard expected")
            if markup.get("inline_keyboard") == []:
                return None
        return markup

    def replied(self, chat: Chat) -> Message | None:
        """The message that is replied to."""
        told: JSON = self.get("reply_parameters") or {}
        number = told.get("message_id", self.get("reply_to_message_id"))
        if number is None:
            return None
        message = chat.find(number)
        without = told.get("allow_sending_without_reply", self.get("allow_sending_without_reply"))
        if message is None and not without:
            raise Refusal("message to be replied not found")
        return message

    def file(self, value: object, kind: str) -> StoredFile:
        """A photo or document, uploaded with this call or known by its id."""
        if not isinstance(value, str) or not value:
            raise Refusal("there is no file in the request", rule=Rule.WRONG_TYPE)
        if value.startswith("attach://"):
            upload = self.uploads.get(value.removeprefix("attach://"))
            if upload is None:
                raise Refusal("attached file not found", rule=Rule.MISSING_PARAMETER)
            return self._store(upload, kind)
        if "://" in value:
            raise Refusal("failed to get HTTP URL content")
        stored = self.world.file(self.bot, value)
        if stored is None:
            raise Refusal("wrong file identifier/HTTP URL specified", rule=Rule.BAD_VALUE)
        if stored.kind != kind:
            raise Refusal(
                f"can't use file of type {stored.kind.title()} as {kind.title()}", rule=Rule.WRONG_CONTENT
            )
        return stored

    def _store(self, upload: Upload, kind: str) -> StoredFile:
        if not upload.data:
            raise Refusal("file must be non-empty", rule=Rule.WRONG_CONTENT)
        if kind == "photo":
            picture = rules.check_photo(upload.data, upload.picture)
            file = self.world.keep("photo", upload.data)
            file.width, file.height = picture.width, picture.height
        else:
            if len(upload.data) > rules.UPLOAD_BYTES:
                raise Refusal("Request Entity Too Large", code=413, rule=Rule.TOO_BIG)
            file = self.world.keep("document", upload.data)
        file.name, file.mime = upload.name, upload.mime
        return file

    def person(self, name: str = "user_id") -> Person | Bot:
        number = self.get(name)
        person = self.world.people.get(number)
        if person is not None:
            return person
        for bot in self.world.bots.values():
            if bot.id == number:
                return bot
        raise Refusal("user not found")
