"""What picture files are called, and in what order a persona's picture is looked for. Pure: it opens none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

FOLDER = "pictures"

#: `12-1` is the first picture of job 12; a plain `7` is somebody's own, laid there by hand.
_ID = re.compile(r"(\d{1,18})(?:-(\d{1,9}))?_")


@dataclass(frozen=True)
class Named:
    """What a name says. `older`: as an earlier program wrote it, without the persona in it."""

    key: str
    id: tuple[int, int]
    style: str
    older: bool


def key_of(slug: str, picture: str, style: str) -> str:
    """The name of a picture; `picture` is its id among all of the house, as `12-1`."""
    return f"{folder_of(slug)}/{picture}_{slug}_{style}.png"


def folder_of(slug: str) -> str:
    return f"{FOLDER}/{slug}"


def read(key: str, slug: str) -> Named | None:
    """What a file in the persona's folder is; None where its name is none of ours."""
    name = key.removeprefix(f"{folder_of(slug)}/")
    found = _ID.match(name)
    if name == key or "/" in name or found is None:
        return None
    picture, rest = (int(found[1]), int(found[2] or 0)), name[found.end() :]
    stem, _, ending = rest.rpartition(".")
    if ending == "png" and (style := stem.removeprefix(f"{slug}_")) != stem and style:
        return Named(key, picture, style, older=False)
    if ending == "jpg" and stem:
        return Named(key, picture, stem, older=True)
    return None


def candidates(keys: Iterable[str], slug: str, *, wanted: str, default: str) -> list[str]:
    """The keys that may stand for a persona, the best first: wanted style, default style, the older files of either.

    Among equals the newest comes first.
    """
    styles = list(dict.fromkeys((wanted or default, default)))
    named = [one for key in keys if (one := read(key, slug)) is not None and one.style in styles]
    named.sort(key=lambda one: one.id, reverse=True)
    named.sort(key=lambda one: (one.older, styles.index(one.style)))
    return [one.key for one in named]


def styles_in(keys: Iterable[str], slug: str) -> list[str]:
    """The styles in which there are pictures of a persona, the older files' too."""
    return sorted({one.style for key in keys if (one := read(key, slug)) is not None})
