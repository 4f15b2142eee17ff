"""Faces at addresses that Discord serves itself: each is uploaded once, as an emoji of the application.

Whose face it is, it does not know. A face that cannot be had is left out; a message never waits for it in vain.
"""

from __future__ import annotations

import asyncio
import hashlib

import discord
import structlog

from bot.front import Face

log = structlog.get_logger(__name__)

#: Ours among the application's emojis.
PREFIX = "face_"
MOST, LARGEST = 2_000, 256 * 1024
#: After a failure, so long nobody asks again.
REST = 300.0


def name_of(key: str) -> str:
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()[:24]


class Faces:
    """The addresses of faces, for one application."""

    def __init__(self, client: discord.Client, hurry: float) -> None:
        self._client = client
        self._hurry = hurry
        self._known: dict[str, discord.Emoji] | None = None
        self._used: set[str] = set()
        self._failed_until: dict[str, float] = {}
        self._lock = asyncio.Lock()

    async def address(self, face: Face | None) -> str:
        """Where a face is to be seen; empty where it cannot be."""
        if face is None:
            return ""
        name = name_of(face.key)
        self._used.add(name)
        if self._known is not None and name in self._known:
            return self._known[name].url
        if self._failed_until.get(name, 0.0) > asyncio.get_running_loop().time():
            return ""
        try:
            async with self._lock:
                return await self._uploaded(name, face)
        except Exception as error:
            # Whatever is wrong with a picture, the words must go out.
            self._failed_until[name] = asyncio.get_running_loop().time() + REST * self._hurry
            log.warning("face_not_shown", persona=face.name, cause=repr(error))
            return ""

    async def _uploaded(self, name: str, face: Face) -> str:
        if self._known is None:
            there = await self._client.fetch_application_emojis()
            self._known = {emoji.name: emoji for emoji in there}
        if name not in self._known:
            picture = await face.picture()
            if len(picture) > LARGEST:
                raise ValueError(f"the picture has {len(picture)} bytes, and may have {LARGEST}")
            await self._make_room(self._known)
            self._known[name] = await self._client.create_application_emoji(name=name, image=picture)
        return self._known[name].url

    async def _make_room(self, known: dict[str, discord.Emoji]) -> None:
        """The oldest of ours that nobody has used since the start give way."""
        ours = sorted((one for one in known.values() if one.name.startswith(PREFIX)), key=lambda one: one.id)
        unused = [one for one in ours if one.name not in self._used] or ours
        while len(known) >= MOST and unused:
            oldest = unused.pop(0)
            await oldest.delete()
            del known[oldest.name]
