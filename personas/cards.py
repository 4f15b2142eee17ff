"""Character cards and persona files, in and out: which format a file is in, and what that format can carry.

A card's JSON is kept whole in `Persona.card` as `{"format": …, "json": …}`, and writing starts from it, so what
we do not know comes out as it went in. What a format cannot carry is told, never dropped in silence.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any

from personas import charx, pngchunks
from personas.carderror import CardError
from personas.cardfields import Json, clean, found
from personas.cardjson import Spec, card_of, data_of, fields_of, persona_of, spec_of, unknown_fields, whole_of
from personas.persona import Persona
from personas.personafile import persona_from_toml, toml_of

__all__ = ["CardError", "CardFormat", "CardRead", "Written", "load", "read_card", "save", "write_card"]

MAX_FILE = 16 * 1024 * 1024
MAX_JSON = 12 * 1024 * 1024
#: How many values a card's JSON may have; far beyond any book, and little enough to fit in memory.
MAX_VALUES = 500_000

#: What a persona has and no card; in V1 it is only told in the description.
_OF_ITS_OWN = (
    "age",
    "pronouns",
    "occupation",
    "home",
    "kind",
    "rating",
    "interests",
    "voice",
    "appearance",
    "picture",
)
_OTHER_PICTURES = {b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "WebP"}
_EMBEDDED = ("embeded://", "embedded://", "__asset:")


class CardFormat(StrEnum):
    JSON = "json"
    V1 = "v1"
    V3 = "v3"
    PNG = "png"
    CHARX = "charx"
    TOML = "toml"


@dataclass(frozen=True)
class CardRead:
    """What a file held: the persona, what was odd about it, and the picture that came along."""

    persona: Persona
    format: CardFormat
    notes: tuple[str, ...] = ()
    picture: bytes | None = None


@dataclass(frozen=True)
class Written:
    """A file to be: its bytes, the ending of its name, and what this format could not carry."""

    data: bytes
    suffix: str
    lost: tuple[str, ...] = ()


def load(path: Path) -> CardRead:
    """Reads a card or persona file."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise CardError(f"{_shown(path.name)}: it is larger than {MAX_FILE // 1024 // 1024} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise CardError(f"{_shown(path.name)}: it cannot be read ({error.strerror or error})") from None
    return read_card(data, path.name)


def save(path: Path, written: Written) -> None:
    """Writes a file whole or not at all: whoever looks meanwhile sees the old one."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(written.data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CardError(f"{_shown(path.name)}: it cannot be written ({error.strerror or error})") from None


def read_card(data: bytes, filename: str) -> CardRead:
    """Reads whatever kind of card the bytes are; the name is only for the messages, and for a card without one."""
    try:
        return _read(data, filename)
    except CardError as error:
        raise CardError(f"{_shown(filename)}: {error}") from None


def _read(data: bytes, filename: str) -> CardRead:
    if len(data) > MAX_FILE:
        raise CardError(f"it is larger than {MAX_FILE // 1024 // 1024} MiB")
    if not data.strip():
        raise CardError("it is empty")
    if data.startswith(pngchunks.SIGNATURE):
        return _read_png(data, filename)
    suffix = PurePath(filename).suffix.lower()
    if data.startswith(b"PK\x03\x04") or suffix == ".charx":
        return _read_charx(data, filename)
    for start, kind in _OTHER_PICTURES.items():
        if data.startswith(start):
            raise CardError(f"it is a {kind} picture; a card can only live in a PNG")
    text = _text(data)
    if suffix == ".toml" or not (suffix == ".json" or text.lstrip().startswith(("{", "["))):
        return CardRead(persona_from_toml(text), CardFormat.TOML)
    notes: list[str] = []
    card = _json(text, notes)
    file_format = CardFormat.V1 if spec_of(card) is Spec.V1 else CardFormat.JSON
    if spec_of(card) is Spec.V3:
        file_format = CardFormat.V3
    return _card_read(card, filename, file_format, notes, None)


def _read_png(data: bytes, filename: str) -> CardRead:
    words, notes = pngchunks.texts(data, frozenset({"chara", "ccv3"}))
    if not words:
        because = f" ({notes[0]})" if notes else ""
        raise CardError(f"this picture holds no character card{because}")
    problem: CardError | None = None
    for keyword in ("ccv3", "chara"):
        if keyword not in words:
            continue
        said = list(notes)
        if problem:
            said.append("the newer card in this picture is damaged; the older one beside it was read")
        try:
            return _card_read(_json(_unpacked(words[keyword]), said), filename, CardFormat.PNG, said, data)
        except CardError as error:
            problem = problem or error
    raise problem or CardError("this picture holds no character card")


def _read_charx(data: bytes, filename: str) -> CardRead:
    archive = charx.opened(data)
    notes: list[str] = []
    card = _json(_text(archive.card), notes)
    name, picture = None, None
    for asset in _assets(card):
        if asset.get("type") == "icon" and (picture is None or asset.get("name") == "main"):
            inside = _inside(asset)
            name, picture = (inside, archive.picture(inside)) if inside else (name, picture)
    others = [other for other in archive.others if other != name or picture is None]
    if others:
        shown = ", ".join(_shown(other) for other in others[:3]) + (" …" if len(others) > 3 else "")
        notes.append(f"{len(others)} further file{'s' if len(others) > 1 else ''} in it not kept: {shown}")
    return _card_read(card, filename, CardFormat.CHARX, notes, picture)


def _card_read(
    card: Json, filename: str, file_format: CardFormat, notes: list[str], picture: bytes | None
) -> CardRead:
    if card.get("spec") == "lorebook_v3":
        raise CardError("it is a lorebook by itself, without a character")
    try:
        newer = float(card.get("spec_version") or 0) > 3.0
    except (TypeError, ValueError, OverflowError):
        newer = False
    if newer:
        notes.append(
            f"the card says version {_shown(str(card['spec_version']))}, newer than we know; imported as 3.0"
        )
    known = ("name", "description", "personality", "first_mes", "scenario", "mes_example")
    if not any(isinstance(found(data_of(card), field), str | int | float | list) for field in known):
        raise CardError("it holds no character: neither name, description nor greeting")
    try:
        persona = persona_of(card, filename, notes, file_format.value)
    except RecursionError:
        raise CardError("the card is nested too deeply") from None
    return CardRead(persona, file_format, tuple(notes), picture)


def write_card(persona: Persona, format: CardFormat, picture: bytes | None = None) -> Written:  # noqa: A002 - the word people use
    """The persona in this format, with a report of what the format cannot carry."""
    if format is CardFormat.TOML:
        return Written(toml_of(persona).encode(), ".toml", _unseen(picture))
    if format is CardFormat.PNG:
        if picture is None:
            raise CardError("a PNG card needs a picture to live in; give one, or choose another format")
        words = {
            "chara": base64.b64encode(_encoded(card_of(persona, Spec.V2))),
            "ccv3": base64.b64encode(_encoded(card_of(persona, Spec.V3))),
        }
        return Written(pngchunks.with_texts(picture, words), ".png", _lost_assets(persona))
    if format is CardFormat.CHARX:
        card = card_of(persona, Spec.V3)
        if picture is not None:
            card = _with_icon(card)
        lost = _lost_assets(persona, kept=charx.ICON if picture is not None else "")
        return Written(charx.packed(_encoded(card), picture), ".charx", lost)
    spec = {CardFormat.JSON: Spec.V2, CardFormat.V1: Spec.V1, CardFormat.V3: Spec.V3}[format]
    lost = (*_lost_fields(persona, spec), *_lost_assets(persona), *_unseen(picture))
    return Written(_encoded(card_of(persona, spec)), ".json", lost)


def _lost_fields(persona: Persona, spec: Spec) -> tuple[str, ...]:
    """What has no place in this specification, in words for the person who asked."""
    if spec is Spec.V3:
        return ()
    fields = fields_of(persona)
    lost = []
    if fields["nickname"]:
        lost.append("the nickname")
    if fields["group_only_greetings"]:
        lost.append("the greetings for groups")
    if spec is Spec.V2:
        return tuple(f"{what}: only programs that know V3 will see it" for what in lost)
    names = {
        "creator_notes": "the creator's notes",
        "system_prompt": "the system prompt",
        "post_history_instructions": "the instructions after the talk",
        "alternate_greetings": "all greetings but the first",
        "tags": "the tags",
        "creator": "the creator's name",
        "character_version": "the version",
        "character_book": "the lorebook",
    }
    lost += [words for field, words in names.items() if fields[field]]
    whole: Json = whole_of(persona) or {}
    if found(data_of(whole), "extensions"):
        lost.append("the extensions of other programs")
    lost += [f"the field “{_shown(field)}”" for field in unknown_fields(whole)]
    if any(getattr(persona, field) != Persona.model_fields[field].default for field in _OF_ITS_OWN):
        lost.append("age, looks and everything else that is a field of its own here")
    return tuple(lost)


def _lost_assets(persona: Persona, kept: str = "") -> tuple[str, ...]:
    """The files that the card speaks of and that were in its archive, not in the card itself."""
    inside = [name for asset in _assets(whole_of(persona) or {}) if (name := _inside(asset)) and name != kept]
    return tuple(f"the file {_shown(name)}, which the card mentions" for name in inside)


def _unseen(picture: bytes | None) -> tuple[str, ...]:
    return ("the picture",) if picture is not None else ()


def _with_icon(card: Json) -> Json:
    icon = {"type": "icon", "uri": f"embeded://{charx.ICON}", "name": "main", "ext": "png"}
    others = [a for a in _assets(card) if (a.get("type"), a.get("name")) != ("icon", "main")]
    return card | {"data": data_of(card) | {"assets": [icon, *others]}}


def _assets(card: Json) -> list[Json]:
    assets = data_of(card).get("assets")
    return [asset for asset in assets if isinstance(asset, dict)] if isinstance(assets, list) else []


def _inside(asset: Json) -> str:
    """The name of an asset inside its archive; empty for one that lives elsewhere."""
    uri = asset.get("uri")
    if not isinstance(uri, str):
        return ""
    return next((uri[len(start) :] for start in _EMBEDDED if uri.lower().startswith(start)), "")


def _encoded(card: Json) -> bytes:
    return json.dumps(card, ensure_ascii=False, indent=1).encode()


def _text(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CardError(f"line {line} is not UTF-8 text") from None


def _unpacked(words: bytes) -> str:
    """The JSON in a picture: base64 as it should be, or plain as some programs write it."""
    if words.lstrip()[:1] == b"{":
        return _text(words)
    plain = words.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n=\0")
    try:
        return _text(base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError):
        raise CardError("the card in this picture is damaged: it is not base64") from None


def _json(text: str, notes: list[str]) -> Json:
    if len(text) > MAX_JSON or sum(map(text.count, ("{", "[", ","))) > MAX_VALUES:
        raise CardError("the card is larger than a card can be")
    try:
        card: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise CardError(
            f"line {error.lineno} cannot be read as JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        ) from None
    except (RecursionError, ValueError):
        raise CardError("the card is nested too deeply or holds too long a number") from None
    if not isinstance(card, dict):
        raise CardError("it holds no character: a card is a JSON object")
    cleaned: Json = clean(card, notes)
    return cleaned


def _shown(name: str) -> str:
    """A file's name as it may be printed: no folders, nothing unprintable, not endless."""
    plain = "".join(c for c in PurePath(name.replace("\\", "/")).name if c.isprintable())
    return plain[:80] or "the file"
