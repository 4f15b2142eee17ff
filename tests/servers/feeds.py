"""A web server on loopback that serves feeds as the web does: well, badly, and with malice."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape

from aiohttp import web

BEGAN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
NAMESPACES = (
    'xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:creativeCommons="http://backend.userland.com/creativeCommonsRssModule"'
)
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1 if n > 1 else str()};" * 10}">' for n in range(1, 10))
    + "]><rss version='2.0'><channel><item><title>&lol9;</title></item></channel></rss>"
)


@dataclass
class Entry:
    """An item as whoever writes the feed has it."""

    title: str
    guid: str = ""
    text: str = ""
    link: str = ""
    hours: int = 0
    picture: str = ""
    licence: str = ""
    adult: bool = False

    @property
    def where(self) -> str:
        return self.link or f"https://example.org/{self.guid or 'news'}"


def rss(entries: list[Entry], *, ttl: int | None = None, title: str = "The Daily Test") -> str:
    items = "".join(
        f"<item><title>{escape(one.title)}</title><link>{escape(one.where)}</link>"
        + (f"<guid isPermaLink='false'>{escape(one.guid)}</guid>" if one.guid else "")
        + f"<description>{escape(one.text)}</description>"
        + f"<pubDate>{format_datetime(BEGAN + timedelta(hours=one.hours))}</pubDate>"
        + (f"<enclosure url='{escape(one.picture)}' type='image/png' length='1'/>" if one.picture else "")
        + ("<media:rating scheme='urn:simple'>adult</media:rating>" if one.adult else "")
        + (f"<creativeCommons:license>{escape(one.licence)}</creativeCommons:license>" if one.licence else "")
        + "</item>"
        for one in entries
    )
    told = "" if ttl is None else f"<ttl>{ttl}</ttl>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0" {NAMESPACES}>'
        f"<channel><title>{escape(title)}</title>{told}{items}</channel></rss>"
    )


def atom(entries: list[Entry]) -> str:
    items = "".join(
        f"<entry><title type='html'>{escape(one.title)}</title><id>{escape(one.guid)}</id>"
        f"<link rel='alternate' href='{escape(one.where)}'/>"
        f"<updated>{(BEGAN + timedelta(hours=one.hours)).isoformat()}</updated>"
        f"<summary type='html'>{escape(one.text)}</summary></entry>"
        for one in entries
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>Atoms</title>{items}</feed>'


@dataclass
class Paper:
    """What stands at `/feed`, and how it is served; and what else can go wrong, at addresses of its own."""

    entries: list[Entry] = field(default_factory=list)
    ttl: int | None = None
    status: int = 200
    retry_after: str = ""
    #: Who came, and with which headers.
    asked: list[dict[str, str]] = field(default_factory=list)
    #: How many of those were told that nothing is new.
    unchanged: int = 0
    url: str = ""
    #: What stands under `/pictures/`, by its name; and how often somebody asked for one.
    pictures: dict[str, bytes] = field(default_factory=dict)
    looked_at: int = 0
    #: How many bytes of the endless document went out.
    sent: int = 0

    def at(self, path: str) -> str:
        return f"{self.url}/{path}"

    async def feed(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        if self.status != 200:
            return web.Response(status=self.status, headers={"Retry-After": self.retry_after})
        body = rss(self.entries, ttl=self.ttl)
        etag = f'"{hash(body) & 0xFFFFFFFF:x}"'
        if request.headers.get("If-None-Match") == etag:
            self.unchanged += 1
            return web.Response(status=304)
        return web.Response(text=body, content_type="application/rss+xml", headers={"ETag": etag})

    async def atom(self, _request: web.Request) -> web.Response:
        return web.Response(text=atom(self.entries), content_type="application/atom+xml")

    async def packed(self, _request: web.Request) -> web.Response:
        body = gzip.compress(rss(self.entries).encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/xml"})

    async def packed_bomb(self, _request: web.Request) -> web.Response:
        body = gzip.compress(b"\0" * 200_000_000, compresslevel=9)
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/xml"})

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(text="<!DOCTYPE html><html><body>Hello</body></html>", content_type="text/html")

    async def bomb(self, _request: web.Request) -> web.Response:
        return web.Response(text=BOMB, content_type="text/xml")

    async def large(self, _request: web.Request) -> web.Response:
        """Says at once that it has 500 MB."""
        return web.Response(headers={"Content-Length": str(500 * 2**20)}, body=b"")

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """500 MB that nobody announced."""
        answer = web.StreamResponse(headers={"Content-Type": "text/xml"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        part = b"<!--" + b"x" * 65_529 + b"-->"
        try:
            for _ in range(500 * 16):
                await answer.write(part)
                self.sent += len(part)
        except (ConnectionError, asyncio.CancelledError):
            return answer
        return answer

    async def slow(self, _request: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        return web.Response()

    async def cut(self, request: web.Request) -> web.StreamResponse:
        """It breaks off in the middle of what it announced."""
        answer = web.StreamResponse(headers={"Content-Type": "text/xml", "Content-Length": "100000"})
        await answer.prepare(request)
        await answer.write(rss(self.entries).encode())
        assert request.transport is not None
        request.transport.close()
        return answer

    async def half(self, _request: web.Request) -> web.Response:
        """Half a document that claims to be a whole one."""
        return web.Response(text=rss(self.entries)[:-60], content_type="text/xml")

    async def away(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["to"])

    async def picture(self, request: web.Request) -> web.Response:
        self.looked_at += 1
        body = self.pictures.get(request.match_info["name"])
        return web.Response(body=body) if body is not None else web.Response(status=404)

    async def round_and_round(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.path)


@asynccontextmanager
async def newspaper() -> AsyncIterator[Paper]:
    paper = Paper()
    app = web.Application()
    app.router.add_get("/feed", paper.feed)
    app.router.add_get("/atom", paper.atom)
    app.router.add_get("/packed", paper.packed)
    app.router.add_get("/packed-bomb", paper.packed_bomb)
    app.router.add_get("/page", paper.page)
    app.router.add_get("/bomb", paper.bomb)
    app.router.add_get("/large", paper.large)
    app.router.add_get("/endless", paper.endless)
    app.router.add_get("/slow", paper.slow)
    app.router.add_get("/cut", paper.cut)
    app.router.add_get("/half", paper.half)
    app.router.add_get("/away", paper.away)
    app.router.add_get("/pictures/{name}", paper.picture)
    app.router.add_get("/round", paper.round_and_round)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    paper.url = f"http://{host}:{port}"
    try:
        yield paper
    finally:
        await runner.cleanup()
