"""How a browser comes in: by a password or a key, or by itself where nobody but this machine can come; and goes.

What it may do then, `doors.py` says. The form is plain HTML: it works before any script is trusted.
"""

from __future__ import annotations

import asyncio
import html
import math
import secrets
from datetime import timedelta
from functools import partial
from importlib import resources
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from bot import passwords
from bot.web.doors import Caller, Doors, caller
from bot.web.problems import API, PROBLEMS, come_back, explained, spoken
from bot.web.rates import Attempts
from bot.web.walls import body_of
from engine.errors import GreenroomError
from engine.locales import FromNow, Locale, say
from engine.rights import OPERATOR
from engine.store import keys, sessions
from engine.store.records import Key, Scope

log = structlog.get_logger(__name__)

GOOD_FOR = timedelta(days=30)
#: More than that is no password.
MOST_BYTES = 8 * 1024
#: A browser that follows a link from elsewhere does not show its cookie yet; asked by a page of ours, it does.
KNOCK_AGAIN = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">'
    '<title>Greenroom</title><p><a href="/">Greenroom</a></p>'
)


class Me(BaseModel):
    kind: Literal["house", "page", "key"]
    name: str
    scopes: list[Scope]
    #: Whether this is a browser, which can sign out.
    signed_in: bool
    #: Whether the page has a password.
    password: bool
    #: As who they talk on the page.
    account: str


class Entrance:
    """Stands at `GET /`: whoever is in gets the page, the others a session or the form."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        cookie = ""
        answer: Response | None = None
        try:
            if await self._doors.session_of(connection) is None:
                if connection.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
                    answer = HTMLResponse(KNOCK_AGAIN)
                elif lets_itself_in(self._doors, connection):
                    cookie = await begun(self._doors, connection)
                else:
                    answer = RedirectResponse("/sign-in", 303)
        except GreenroomError as error:
            answer = explained(connection, error, self._doors.engine.clock)

        async def sent(message: Message) -> None:
            if cookie and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await (answer or self._app)(scope, receive, sent)


def lets_itself_in(doors: Doors, connection: HTTPConnection) -> bool:
    """Whoever sits at this machine needs no password, unless there is one."""
    return doors.is_at_home(connection) and not passwords.is_set(doors.engine.home)


async def begun(doors: Doors, connection: HTTPConnection, key: Key | None = None) -> str:
    """Begin a session, instead of the one that there may have been; answers its cookie."""
    engine = doors.engine
    now, token = engine.clock.now(), secrets.token_urlsafe(32)
    before = await doors.session_of(connection)

    async def change(tx: Any) -> None:
        if before is not None:
            await sessions.end(tx, before.id)
        await sessions.begin(tx, kept=keys.kept_of(token), now=now, ends_at=now + GOOD_FOR, key=key)

    await engine.database.change(change, hurried=True)
    if before is not None:
        doors.insiders.out(before.id)
    return _cookie(doors, connection, token, int(GOOD_FOR.total_seconds()))


def _cookie(doors: Doors, connection: HTTPConnection, token: str, seconds: int) -> str:
    cookie = f"{doors.cookie}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    return f"{cookie}; Secure" if connection.url.scheme in ("https", "wss") else cookie


def open_routes(doors: Doors) -> APIRouter:
    """For whoever is still outside."""
    router = APIRouter(include_in_schema=False)
    attempts = Attempts(doors.engine.clock)
    #: One look at a password takes 64 MB and a moment: more than two at once would be felt.
    looking = asyncio.Semaphore(2)
    form = _page("sign-in.html")

    def shown(
        words: Locale, status: int = 200, problem: str = "", headers: dict[str, str] | None = None
    ) -> Response:
        what = [words.say("doors.what")]
        if not passwords.is_set(doors.engine.home):
            what.append(words.say("doors.unset"))
        body = form.format(
            lang=words.code,
            what=html.escape(" ".join(what)),
            label=html.escape(words.say("doors.label")),
            button=html.escape(words.say("doors.button")),
            problem=f'<p class="problem" id="problem" role="alert">{html.escape(problem)}</p>'
            if problem
            else "",
            wrong='aria-invalid="true" aria-describedby="problem"' if problem else "",
        )
        return HTMLResponse(body, status, {"Vary": "Accept-Language", **(headers or {})})

    @router.get("/sign-in")
    async def asked(request: Request) -> Response:
        if await doors.session_of(request) is not None or lets_itself_in(doors, request):
            return RedirectResponse("/", 303)
        return shown(spoken(request))

    @router.post("/sign-in")
    async def tried(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise HTTPException(403, say("doors.other_page"))
        word, words = await _word(request), spoken(request)
        address = request.client.host if request.client else ""
        # Nobody guesses a key, so it is no try; and whoever has one is to get no more tries at the password by it.
        if (key := await doors.key_of(word)) is None:
            if wait := attempts.begin(address):
                said = words.say("doors.wait", when=FromNow(seconds=math.ceil(wait)))
                return shown(words, 429, said, come_back(wait))
            if not await _fits(word):
                log.warning("sign_in_failed", address=address)
                return shown(words, 401, words.say("doors.wrong"), _CHALLENGE)
            attempts.succeeded(address)
        log.info("signed_in", address=address, by="key" if key else "password", key=key.id if key else None)
        entered = RedirectResponse("/", 303)
        entered.headers["Set-Cookie"] = await begun(doors, request, key)
        return entered

    async def _fits(word: str) -> bool:
        async with looking:
            return await asyncio.to_thread(passwords.fits, doors.engine.home, word)

    return router


def routes(doors: Doors) -> APIRouter:
    """For whoever is in."""
    router = APIRouter(prefix=API, responses=PROBLEMS)

    @router.get("/me")
    async def me(who: Annotated[Caller, Depends(caller)]) -> Me:
        """Who asks, and what they may do."""
        return Me(
            kind=who.kind,
            name=who.name,
            scopes=sorted(who.scopes),
            signed_in=who.session_id is not None,
            account=OPERATOR if who.key_id is None else who.account.platform_id,
            password=passwords.is_set(doors.engine.home),
        )

    @router.post("/sign-out", status_code=204)
    async def sign_out(request: Request, who: Annotated[Caller, Depends(caller)]) -> Response:
        """End the session of this browser. A key stays as it is."""
        if who.session_id is not None:
            await doors.engine.database.change(partial(sessions.end, session_id=who.session_id))
            doors.insiders.out(who.session_id)
        return Response(status_code=204, headers={"Set-Cookie": _cookie(doors, request, "", 0)})

    return router


async def _word(request: Request) -> str:
    """What was written into the form."""
    body = await body_of(request, MOST_BYTES, say("doors.too_long"))
    try:
        told = parse_qs(body.decode("ascii"), max_num_fields=8, errors="strict")
    except ValueError:  # what is no UTF-8 too
        raise HTTPException(422, say("doors.no_form")) from None
    return told.get("word", [""])[0]


def _page(name: str) -> str:
    return resources.files("bot.web").joinpath("page", *name.split("/")).read_text(encoding="utf-8")


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Greenroom"'}
