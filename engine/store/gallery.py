"""A persona's picture among the files, and the styles that there are.

It knows files alone: no rows, so no ratings, and nobody's privacy. Whoever shows a picture has to know that he may.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import NotFound
from engine.store import naming
from engine.store.files import Files


@dataclass(frozen=True)
class Found:
    key: str
    data: bytes


async def find_picture(files: Files, slug: str, *, wanted: str, default: str) -> Found | None:
    """The best there is: wanted style, default style, an older file. None: a placeholder has to stand in."""
    keys = await _keys(files, slug)
    for key in naming.candidates(keys, slug, wanted=wanted, default=default):
        try:
            return Found(key, await files.get(key))
        except NotFound:
            continue  # deleted just now; the next one does
    return None


async def styles_of(files: Files, slug: str) -> list[str]:
    return naming.styles_in(await _keys(files, slug), slug)


async def _keys(files: Files, slug: str) -> list[str]:
    return [key async for key in files.keys(naming.folder_of(slug))]
