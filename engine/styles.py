"""The styles a picture can have: their words, what they must not look like, and which one a request asks for. And the
poses that somebody can take in it.

It reads data/styles.toml and data/poses.toml, and a person's own files over them. It does not know how a prompt is
written.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import NotFound
from engine.locales import say
from personas.persona import Outfit, Pose, printable

Called = TypeVar("Called", Outfit, Pose)

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_FIELDS = ("name", "words", "negative", "detect")
#: Nobody needs more characters to say how somebody stands, or what that is called.
LONGEST_POSE = 200
LONGEST_NAME = 48


@dataclass(frozen=True)
class Style:
    slug: str
    name: str
    #: What stands at the end of a positive prompt.
    words: str
    #: What such a picture must not look like, with what no picture should.
    negative: str = ""
    #: Words and phrases of a request that ask for this style; so does its name with "style" beside it.
    detect: tuple[str, ...] = ()


def load_styles(extra: Path | None = None) -> dict[str, Style]:
    """The styles that ship, and over them those of a person's own file, field by field.

    Raises ValueError, with a sentence that names the file and the key, for anything that cannot be used.
    """
    tables = _tables(files("data").joinpath("styles.toml").read_bytes(), "data/styles.toml")
    if extra is not None:
        for slug, table in _tables(_bytes_of(extra), str(extra)).items():
            tables[slug] = tables.get(slug, {}) | table
    base = str(tables.pop("base", {}).get("negative", ""))
    where = str(extra) if extra is not None else "data/styles.toml"
    styles = {}
    for slug, table in tables.items():
        for key in ("name", "words"):
            if not table.get(key, "").strip():
                raise ValueError(f"{where}: [{slug}] lacks `{key}`.")
        negative = joined(table.get("negative", ""), base)
        styles[slug] = Style(slug, table["name"], table["words"], negative, tuple(table.get("detect", ())))
    return styles


def detect(request: str, styles: Mapping[str, Style], default: str) -> Style:
    """The style that a request names, else the default.

    Whole words count, the longest phrase wins, and of two of the same length the one that comes first.
    A default that is not there falls back to photorealistic, or to any.
    """
    said = _plain(request)
    found: list[tuple[int, int, str]] = []
    for slug, style in styles.items():
        for phrase in _phrases(style):
            at = _position(_plain(phrase), said)
            if at is not None:
                found.append((-len(_plain(phrase)), at, slug))
    if found:
        return styles[min(found)[2]]
    for slug in (default, "photorealistic"):
        if slug in styles:
            return styles[slug]
    return next(iter(styles.values()), Style("plain", "Plain", ""))


def negative_for(style: Style, extra: str = "", avoid: str = "") -> str:
    """The negative prompt: the style's, a persona's and a request's, each word of them once."""
    return joined(style.negative, avoid, extra)


def joined(*lists: str) -> str:
    """Comma lists made into one, without repeats; the first spelling of each stays."""
    entries: dict[str, str] = {}
    for entry in ",".join(lists).replace("\n", ",").split(","):
        entry = " ".join(entry.split())
        if entry:
            entries.setdefault(entry.casefold(), entry)
    return ", ".join(entries.values())


def named(styles: Mapping[str, Style], name: str) -> Style | None:
    """The style that goes by this slug or name, however it is written."""
    wanted = _plain(name)
    return next((s for s in styles.values() if wanted in {_plain(s.slug), _plain(s.name)}), None)


def style_named(styles: Mapping[str, Style], name: str) -> Style:
    """The one that somebody asks for by name; it must be there."""
    found = named(styles, name)
    if found is None:
        raise NotFound(say("pictures.no_style", style=name[:40], styles=sorted(styles)))
    return found


def load_poses(extra: Path | None = None) -> tuple[Pose, ...]:
    """The poses of the house, for every persona that has none of its own: those that ship, and over them those of a
    person's own file. A pose without words is one that the house does not have.

    Raises ValueError, with a sentence that names the file and the pose, for anything that cannot be used.
    """
    poses = _poses(files("data").joinpath("poses.toml").read_bytes(), "data/poses.toml")
    if extra is not None:
        poses |= _poses(_bytes_of(extra), str(extra))
    return tuple(pose for pose in poses.values() if pose.description)


def called(name: str, there: Iterable[Called]) -> Called | None:
    """The pose or the outfit that goes by this name, however it is written."""
    wanted = _plain(name)
    return next((one for one in there if wanted and wanted == _plain(one.name)), None)


def _plain(text: str) -> str:
    """Small letters, and one space for whatever is neither letter, digit, & nor apostrophe."""
    text = unicodedata.normalize("NFKC", text[:20_000]).casefold().replace("’", "'")
    return re.sub(r"[^\w&']+|_+", " ", text).strip()


def _phrases(style: Style) -> set[str]:
    """What asks for a style. A bare slug does not: a street, a studio and an oil lamp are also things."""
    named = {style.slug, style.name}
    return {*style.detect, *(f"{n} style" for n in named), *(f"style {n}" for n in named)}


def _position(phrase: str, said: str) -> int | None:
    if not phrase:
        return None
    at = f" {said} ".find(f" {phrase} ")
    return at if at >= 0 else None


def _poses(data: bytes, where: str) -> dict[str, Pose]:
    """Poses by what their names are read as."""
    poses = {}
    for name, words in _read(data, where).items():
        if not _plain(name) or len(name) > LONGEST_NAME:
            raise ValueError(
                f"{where}: `{name[:LONGEST_NAME]}` is no name of 1 to {LONGEST_NAME} characters."
            )
        if not isinstance(words, str):
            text = f'{where}: `{name}` must be text: {name} = "how somebody stands or sits".'
            raise ValueError(text)  # noqa: TRY004 - it is what a person wrote, and no type of ours
        words = " ".join(printable(words).split())
        if len(words) > LONGEST_POSE:
            told = f"{len(words)} characters long, and {LONGEST_POSE} is the most"
            raise ValueError(f"{where}: `{name}` is {told}. Say only what the body does.")
        poses[_plain(name)] = Pose(name=printable(name), description=words)
    return poses


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}.") from error


def _read(data: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where} is not valid TOML: {error}.") from error
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{where} is nested too deeply or holds too long a number.") from error


def _tables(data: bytes, where: str) -> dict[str, dict[str, Any]]:
    read = _read(data, where)
    tables = {slug: table for slug, table in read.items() if isinstance(table, dict)}
    for slug in read.keys() - tables.keys():
        raise ValueError(f"{where}: `{slug}` must be a table, [{slug}], with `name` and `words` in it.")
    for slug, table in tables.items():
        if not _SLUG.fullmatch(slug):
            raise ValueError(f"{where}: [{slug}] is not a slug of small letters, digits and dashes.")
        for key, value in table.items():
            if key not in _FIELDS:
                raise ValueError(f"{where}: [{slug}] has no key `{key}`; there are {', '.join(_FIELDS)}.")
            if key == "detect":
                if not isinstance(value, list) or not all(isinstance(phrase, str) for phrase in value):
                    raise ValueError(f"{where}: [{slug}] `detect` must be a list of words.")
            elif not isinstance(value, str):
                raise ValueError(f"{where}: [{slug}] `{key}` must be text.")
    return tables
