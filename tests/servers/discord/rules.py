"""What Discord accepts in a message, a form, a command. Pure: payload in, nothing or a `Refusal` out.

It does not know who asks or whether they may; `world` and `rest` know that.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from tests.servers.discord.permissions import COMPONENTS_V2

Json = dict[str, Any]

BUTTON, SELECTS, TEXT_INPUT = 2, (3, 5, 6, 7, 8), 4
LINK = 5
SUBCOMMANDS = (1, 2)


class Refusal(Exception):
    """An error as Discord words it; `rule` names what a correct client would not have done, if it is that."""

    def __init__(self, status: int, code: int, message: str, rule: str = "", at: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.rule = rule
        self.at = at

    @property
    def body(self) -> Json:
        if self.code != 50035:
            return {"code": self.code, "message": self.message}
        errors: Json = {"_errors": [{"code": "BASE_TYPE_BAD", "message": self.message}]}
        for part in reversed(self.at.split(".")):
            errors = {part: errors} if part else errors
        return {"code": 50035, "message": "Invalid Form Body", "errors": errors}


def bad_form(at: str, message: str, rule: str) -> Refusal:
    return Refusal(400, 50035, message, rule, at)


@dataclass(frozen=True)
class Upload:
    """A file that came with a call."""

    place: str
    filename: str
    content_type: str
    data: bytes


def _length(form: Json, key: str, at: str, most: int, rule: str, least: int = 0) -> None:
    value = form.get(key)
    if value is None and least == 0:
        return
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise bad_form(f"{at}.{key}".strip("."), f"Must be between {least} and {most} in length.", rule)


def _list(form: Json, key: str, at: str = "") -> list[Json]:
    value = form.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise bad_form(
            f"{at}.{key}".strip("."), "Must be a list of objects.", f"{key} is not a list of objects"
        )
    return value


def check_message(form: Json, uploads: Sequence[Upload], *, size_limit: int) -> None:
    """What may stand in a message, new or edited; that it is not empty is `check_not_empty`'s to say."""
    _length(form, "content", "", 2000, "content too long")
    _check_embeds(_list(form, "embeds"))
    _check_uploads(form, uploads, size_limit)
    nonce = form.get("nonce")
    if nonce is not None and len(str(nonce)) > 25:
        raise bad_form("nonce", "Must be 25 or fewer in length.", "nonce too long")
    mentions = form.get("allowed_mentions") or {}
    for kind in ("users", "roles"):
        if kind in (mentions.get("parse") or []) and mentions.get(kind):
            raise bad_form(
                "allowed_mentions", "Mutually exclusive.", "allowed mentions contradict themselves"
            )
    components = _list(form, "components")
    if int(form.get("flags") or 0) & COMPONENTS_V2:
        if form.get("content") or form.get("embeds"):
            raise bad_form(
                "flags", "No content or embeds with components v2.", "content beside components v2"
            )
        _check_tree(components)
    else:
        check_rows(components)


def check_not_empty(*parts: object) -> None:
    if not any(parts):
        raise Refusal(400, 50006, "Cannot send an empty message", "empty message")


def _check_embeds(embeds: list[Json]) -> None:
    if len(embeds) > 10:
        raise bad_form("embeds", "Must be 10 or fewer in length.", "too many embeds")
    total = 0
    for place, embed in enumerate(embeds):
        at = f"embeds.{place}"
        fields = _list(embed, "fields", at)
        _length(embed, "title", at, 256, "embed title too long")
        _length(embed, "description", at, 4096, "embed description too long")
        _length(embed.get("footer") or {}, "text", f"{at}.footer", 2048, "embed footer too long")
        _length(embed.get("author") or {}, "name", f"{at}.author", 256, "embed author too long")
        if len(fields) > 25:
            raise bad_form(f"{at}.fields", "Must be 25 or fewer in length.", "too many embed fields")
        for number, field in enumerate(fields):
            _length(field, "name", f"{at}.fields.{number}", 256, "embed field name not 1–256", least=1)
            _length(field, "value", f"{at}.fields.{number}", 1024, "embed field value not 1–1024", least=1)
        for key in ("image", "thumbnail"):
            if not str((embed.get(key) or {}).get("url", "https:")).startswith(
                ("http:", "https:", "attachment:")
            ):
                raise bad_form(
                    f"{at}.{key}.url", "Scheme must be http(s) or attachment.", "embed with a bad URL"
                )
        texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
        texts += [
            (embed.get("author") or {}).get("name"),
            *(f[key] for f in fields for key in ("name", "value")),
        ]
        total += sum(len(text) for text in texts if text)
    if total > 6000:
        raise bad_form("embeds", "Embed size exceeds maximum size of 6000.", "embeds over 6000 characters")


def _check_uploads(form: Json, uploads: Sequence[Upload], size_limit: int) -> None:
    if max(len(uploads), len(form.get("attachments") or [])) > 10:
        raise bad_form("attachments", "Must be 10 or fewer in length.", "too many attachments")
    for upload in uploads:
        if len(upload.data) > size_limit:
            raise Refusal(413, 40005, "Request entity too large", "file too large")
        claims = claims_image(upload.filename) or upload.content_type.startswith("image/")
        if claims and image_size(upload.data) is None:
            # Discord takes it and shows a broken file: nothing a person should see.
            raise Refusal(400, 50046, "Invalid Asset", "upload is not the image it claims to be")


def claims_image(filename: str) -> bool:
    return filename.lower().rpartition(".")[2] in ("png", "jpg", "jpeg", "gif", "webp")


def image_size(data: bytes) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError):
        return None


def check_rows(rows: list[Json]) -> None:
    """The classic layout: up to five rows, each of up to five buttons or one select."""
    if len(rows) > 5:
        raise bad_form("components", "Must be 5 or fewer in length.", "more than 5 action rows")
    for place, row in enumerate(rows):
        at = f"components.{place}"
        inside = _list(row, "components", at)
        if row.get("type") != 1 or not inside:
            raise bad_form(at, "Must be an action row with something in it.", "not an action row")
        if any(one.get("type") in SELECTS for one in inside) and len(inside) > 1:
            raise bad_form(at, "A select fills its row.", "a select beside something else")
        _check_row(inside, at)
    _check_ids_apart(list(parts(rows)))


def _check_row(inside: list[Json], at: str) -> None:
    if len(inside) > 5:
        raise bad_form(at, "Must be 5 or fewer in length.", "more than 5 buttons in a row")
    for number, component in enumerate(inside):
        _check_part(component, f"{at}.components.{number}")


def _check_tree(components: list[Json]) -> None:
    every = list(parts(components))
    if len(every) > 40:
        raise bad_form("components", "At most 40 components.", "more than 40 components")
    if sum(len(str(one.get("content", ""))) for one in every if one.get("type") == 10) > 4000:
        raise bad_form("components", "At most 4000 characters.", "text of components over 4000 characters")
    for number, one in enumerate(every):
        if one.get("type") == 1:
            _check_row(_list(one, "components"), f"components.{number}")
        elif isinstance(one.get("accessory"), dict) and one["accessory"].get("type") == BUTTON:
            _check_part(one["accessory"], f"components.{number}.accessory")
    _check_ids_apart(every)


def _check_part(component: Json, at: str) -> None:
    kind = component.get("type")
    if kind == BUTTON:
        _check_button(component, at)
    elif kind in SELECTS:
        _length(component, "custom_id", at, 100, "custom_id not 1–100", least=1)
        _length(component, "placeholder", at, 150, "select placeholder too long")
        options = _list(component, "options", at)
        if len(options) > 25 or (kind == 3 and not options):
            raise bad_form(f"{at}.options", "Must be between 1 and 25 in length.", "select options not 1–25")
        for number, option in enumerate(options):
            _length(option, "label", f"{at}.options.{number}", 100, "select option label not 1–100", least=1)
            _length(option, "value", f"{at}.options.{number}", 100, "select option value not 1–100", least=1)
            _length(
                option, "description", f"{at}.options.{number}", 100, "select option description too long"
            )
    else:
        raise bad_form(f"{at}.type", "Not a component of a message.", "unknown component")


def _check_button(button: Json, at: str) -> None:
    _length(button, "label", at, 80, "button label too long")
    style = button.get("style")
    if style == LINK:
        if not str(button.get("url", "")).startswith(("http:", "https:", "discord:")) or button.get(
            "custom_id"
        ):
            raise bad_form(
                f"{at}.url", "A link button has a URL and no custom_id.", "link button without a URL"
            )
    elif style in (1, 2, 3, 4):
        if button.get("url") or not button.get("custom_id"):
            raise bad_form(f"{at}.custom_id", "This field is required.", "button without custom_id")
        _length(button, "custom_id", at, 100, "custom_id not 1–100", least=1)
    else:
        raise bad_form(f"{at}.style", "Value must be one of 1–5.", "unknown button style")
    if not button.get("label") and not button.get("emoji"):
        raise bad_form(at, "A button needs a label or an emoji.", "button without label or emoji")


def parts(components: Sequence[Json]) -> Iterator[Json]:
    """Every component, those inside others too."""
    for component in components:
        yield component
        inside = component.get("components") or component.get("component") or component.get("accessory") or []
        yield from parts([inside] if isinstance(inside, dict) else inside)
        if component.get("components") and isinstance(component.get("accessory"), dict):
            yield component["accessory"]


def _check_ids_apart(every: list[Json]) -> None:
    ids = [one["custom_id"] for one in every if one.get("custom_id")]
    if len(ids) != len(set(ids)):
        raise bad_form("components", "Component custom id cannot be duplicated.", "custom_id used twice")


def check_modal(form: Json) -> None:
    _length(form, "custom_id", "data", 100, "custom_id not 1–100", least=1)
    _length(form, "title", "data", 45, "modal title not 1–45", least=1)
    rows = _list(form, "components", "data")
    if not 1 <= len(rows) <= 5:
        raise bad_form("data.components", "Must be between 1 and 5 in length.", "modal inputs not 1–5")
    for number, row in enumerate(rows):
        at = f"data.components.{number}"
        if row.get("type") == 18:
            _length(row, "label", at, 45, "modal label not 1–45", least=1)
        inside = list(parts([row]))[1:]
        for one in inside:
            _length(one, "custom_id", at, 100, "custom_id not 1–100", least=1)
            if one.get("type") == TEXT_INPUT:
                if row.get("type") == 1:
                    _length(one, "label", at, 45, "modal label not 1–45", least=1)
                _length(one, "value", at, 4000, "modal value too long")
                _length(one, "placeholder", at, 100, "modal placeholder too long")
        if row.get("type") not in (1, 10, 18) or (row.get("type") != 10 and len(inside) != 1):
            raise bad_form(at, "A row or label with one input.", "modal row without exactly one input")
    _check_ids_apart(list(parts(rows)))


def check_choices(choices: object, at: str = "choices") -> None:
    if not isinstance(choices, list) or len(choices) > 25:
        raise bad_form(at, "Must be 25 or fewer in length.", "more than 25 choices")
    for number, choice in enumerate(choices):
        _length(choice, "name", f"{at}.{number}", 100, "choice name not 1–100", least=1)
        if isinstance(choice.get("value"), str):
            _length(choice, "value", f"{at}.{number}", 100, "choice value too long")


_NAME = re.compile(r"^[-_'\w]{1,32}$")


def check_commands(commands: object) -> None:
    if not isinstance(commands, list) or not all(isinstance(one, dict) for one in commands):
        raise bad_form("", "Must be a list.", "commands are not a list")
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        names = [one.get("name") for one in commands if one.get("type", 1) == kind]
        if len(names) > most:
            raise Refusal(400, 30032, "Maximum number of application commands reached", "too many commands")
        if len(names) != len(set(names)):
            raise bad_form("", "Application command names must be unique.", "command name used twice")
    for number, command in enumerate(commands):
        check_command(command, str(number))


def check_command(command: Json, at: str = "") -> None:
    if command.get("type", 1) != 1:
        _length(command, "name", at, 32, "command name not allowed", least=1)
        return
    _check_named(command, at)
    if len(json.dumps(command.get("options") or [])) > 8000 * 4:
        raise bad_form(at, "Command exceeds maximum size.", "command too large")


def _check_named(form: Json, at: str) -> None:
    name = form.get("name")
    if not isinstance(name, str) or not _NAME.match(name) or name != name.lower():
        raise bad_form(f"{at}.name".strip("."), "Command name is invalid.", "command name not allowed")
    _length(form, "description", at, 100, "command description not 1–100", least=1)
    options = _list(form, "options", at)
    if len(options) > 25:
        raise bad_form(f"{at}.options".strip("."), "Must be 25 or fewer in length.", "more than 25 options")
    names = [option.get("name") for option in options]
    if len(names) != len(set(names)):
        raise bad_form(f"{at}.options".strip("."), "Option names must be unique.", "option name used twice")
    optional = False
    for number, option in enumerate(options):
        place = f"{at}.options.{number}".strip(".")
        _check_named(option, place)
        if option.get("type") in SUBCOMMANDS:
            continue
        if option.get("required") and optional:
            raise bad_form(place, "Required options first.", "required option after an optional one")
        optional = optional or not option.get("required")
        check_choices(option.get("choices") or [], f"{place}.choices")
        if option.get("choices") and option.get("autocomplete"):
            raise bad_form(
                place, "Choices and autocomplete exclude each other.", "choices beside autocomplete"
            )


def check_webhook_name(name: object, at: str = "username") -> None:
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 80:
        raise bad_form(at, "Must be between 1 and 80 in length.", "webhook name not 1–80")
    if name.strip().lower() in ("everyone", "here"):
        raise bad_form(at, f'Username cannot be "{name.strip().lower()}"', "")
    for word in ("discord", "clyde"):
        if word in name.lower():
            raise bad_form(at, f'Username cannot contain "{word}"', "webhook name not allowed")
