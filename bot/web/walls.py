"""What stands around all routes: our names, our own pages, how much is taken in, and what a browser is told.

Plain ASGI, so that streams and sockets pass through it unchanged. Who calls is asked further in: see `doors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.web.origins import Names
from bot.web.problems import answered, broken
from engine.locales import Said, say

#: So much one request may bring: a character card with its pictures is the largest that we know.
MOST_BYTES = 32 * 1024 * 1024
_STARTS = ("http.response.start", "websocket.http.response.start")


class Walls:
    def __init__(self, app: ASGIApp, names: Names, headers: Mapping[str, str]) -> None:
        self._app = app
        self._names = names
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = False

        async def sent(message: Message) -> None:
            nonlocal began
            if message["type"] in _STARTS:
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            began = began or message["type"] in _STARTS or message["type"].startswith("websocket.")
            await send(message)

        if (refused := self._refused(HTTPConnection(scope))) is not None:
            await refused(scope, receive, sent)
            return
        try:
            await self._app(scope, _bounded(receive) if scope["type"] == "http" else receive, sent)
        except Exception:
            if not began:
                await answered(HTTPConnection(scope), 500, broken())(scope, receive, sent)
            raise

    def _refused(self, connection: HTTPConnection) -> Response | None:
        # Hooks are known by other names at the operator's proxy; no page can make a browser show their secret.
        if not connection.scope["path"].startswith("/hooks/"):
            hosts, origins = connection.headers.getlist("host"), connection.headers.getlist("origin")
            if len(hosts) != 1 or not self._names.are_ours(hosts[0]):
                return answered(connection, 421, say("web.not_mine"))
            if any(not self._names.is_our_page(origin, hosts[0]) for origin in origins):
                return answered(connection, 403, say("web.not_my_page"))
        if _brings_more(connection, MOST_BYTES):
            return answered(connection, 413, _too_large())
        return None


async def body_of(request: Request, most: int, too_large: Said) -> bytes:
    """What was sent, where less is taken than from others, and no more of it than that."""
    body = b""
    if not _brings_more(request, most):
        async for part in request.stream():
            body += part
            if len(body) > most:
                break
        else:
            return body
    raise HTTPException(413, too_large)


def _brings_more(connection: HTTPConnection, most: int) -> bool:
    """As far as it says so before."""
    length = connection.headers.get("content-length", "")
    return length.isascii() and length.isdecimal() and int(length[:20]) > most


def _too_large() -> Said:
    return say("web.too_large", megabytes=MOST_BYTES // 1024 // 1024)


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise HTTPException(413, _too_large())
        return message

    return bounded
