"""The page's own files: read and compressed once, then served from memory. It knows nothing of whoever asks.

A name is looked up among the files that were there, so that no path leads anywhere else. A browser asks each time
whether a file is still the same one, and is told so in a few bytes: after an update nobody is left with half of it.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from engine.locales import say

INDEX = "index.html"
#: What the page is made of, by the end of a name. Whatever ends otherwise is no part of it.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class File:
    body: bytes
    squeezed: bytes
    type: str
    etag: str


class Statics:
    """The page's files, from the first time that somebody asks for one."""

    def __init__(self) -> None:
        self._files: Mapping[str, File] = {}
        self._reading = asyncio.Lock()

    async def answer(self, request: Request, name: str) -> Response:
        async with self._reading:
            if not self._files:
                self._files = await asyncio.to_thread(read_page)
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404, say("web.nothing_here"))
        headers = {
            "Cache-Control": "no-cache",
            "ETag": file.etag,
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if _knows(request.headers.get("if-none-match", ""), file.etag):
            return Response(status_code=304, headers=headers)
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            squeezed = {**headers, "Content-Encoding": "gzip"}
            return Response(file.squeezed, media_type=file.type, headers=squeezed)
        return Response(file.body, media_type=file.type, headers=headers)


def open_routes(statics: Statics) -> APIRouter:
    """For everybody: what is secret stands in no file."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        return await statics.answer(request, INDEX)

    @router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        return await statics.answer(request, name)

    return router


def read_page() -> dict[str, File]:
    """Every file of the page by its path, as it travels."""
    return dict(_files(resources.files("bot.web").joinpath("page"), ""))


def _files(folder: Traversable, where: str) -> list[tuple[str, File]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            found += _files(entry, f"{where}{entry.name}/")
        elif kind := TYPES.get("." + entry.name.rpartition(".")[2]):
            body = entry.read_bytes()
            # The same bytes give the same answer, whenever they were read: no time stands in them.
            squeezed = gzip.compress(body, 9, mtime=0)
            etag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
            found.append((where + entry.name, File(body, squeezed, kind, etag)))
    return found


def _knows(told: str, etag: str) -> bool:
    """Whether a browser that says what it has has this. Weakly compared: only the words count, however packed."""
    plain = etag.removeprefix("W/")
    return any(one.strip() == "*" or one.strip().removeprefix("W/") == plain for one in told.split(","))


def _takes_gzip(told: str) -> bool:
    for one in told.lower().split(","):
        coding, _, wish = one.partition(";")
        if coding.strip() in ("gzip", "*"):
            return wish.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
