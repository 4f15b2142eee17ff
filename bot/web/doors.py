"""Who is calling, and what they may do: the house's own command line, a page that is signed in, or a key's program.

Everything but a few named paths needs a caller, whatever a route says of itself; a route says which scope it needs
besides. How a page signs in: see `signing_in.py`. Which names and pages are ours: see `origins.py`.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import structlog
from fastapi import Depends
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from bot import passwords
from bot.web.insiders import LOOK_AGAIN, Insiders, SentOutError
from bot.web.neighbours import is_somebody_else
from bot.web.problems import come_back, explained, of_http
from bot.web.rates import Rates
from engine.engine import Engine
from engine.errors import GreenroomError, SettingsError, StoreError
from engine.locales import FromNow, say
from engine.rights import HOUSE
from engine.settings import is_loopback, split_host
from engine.store import keys, sessions
from engine.store.records import Account, Key, Scope, Session

__all__ = ["Caller", "Doors", "Guard", "Scope", "caller", "check_bind", "needs", "scope_of"]

log = structlog.get_logger(__name__)

#: How a session's cookie is called; each house adds a mark of its own. A browser keeps cookies by the name of a host,
#: whatever the port, and two houses on one machine are not to sign anybody out of each other.
COOKIE = "greenroom"
#: A page of ours says so; a form of somebody else's cannot.
PAGE_SAYS = ("x-greenroom", "page")

#: What answers whoever comes. Everything else needs a caller.
OPEN = frozenset({"/", "/sign-in", "/favicon.ico", "/healthz", "/readyz"})
OPEN_UNDER = ("/page/", "/hooks/", "/files/")
#: What answers programs of this machine, where nobody else can come; others need to be allowed to read.
OPEN_AT_HOME = frozenset({"/metrics"})

#: A key's last use is noted no more often, in seconds.
NOTE_AGAIN = 60.0
#: So many sockets one key keeps open.
MOST_LINES = 64
GOOD_BYE = 4401

_TOKEN = re.compile(r"[\w-]{20,100}", re.ASCII)
#: What proxies add, each in its way; no browser sends any of it.
_FORWARDED = (
    "forwarded",
    "x-forwarded",
    "x-real-",
    "x-client-",
    "x-original-",
    "x-proxy",
    "true-client-",
    "cf-",
    "via",
)


@dataclass(frozen=True)
class Caller:
    """Who asks. Whoever came in by a key, with a page too, is that key's."""

    kind: Literal["house", "page", "key"]
    account: Account
    #: All that they may do: whoever may manage may everything.
    scopes: frozenset[Scope]
    name: str
    key_id: int | None = None
    #: The browser that is signed in, where it is one.
    session_id: int | None = None
    #: So many requests a minute; 0: as many as they like.
    rate: int = 0

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


async def caller(connection: HTTPConnection) -> Caller:
    """Who asks, for a route: `Annotated[Caller, Depends(caller)]`. Of sockets too."""
    known = connection.scope.get("greenroom.caller")
    if isinstance(known, Caller):
        return known
    doors: Doors = connection.app.state.doors
    return await doors.recognise(connection)


@functools.cache
def needs(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    """For a route that only some may use: `Depends(needs(Scope.MAKE))`. It answers the caller."""

    async def allowed(who: Annotated[Caller, Depends(caller)]) -> Caller:
        if not who.may(scope):
            raise HTTPException(403, say("web.scope", scope=scope, name=who.name))
        return who

    return allowed


def scope_of(dependency: object) -> Scope | None:
    """The scope that a route's dependency stands for."""
    return next((scope for scope in Scope if needs(scope) is dependency), None)


class Doors:
    """The doors of one house. It remembers how often keys were used lately, and no more: rows are the truth."""

    def __init__(self, engine: Engine, secret: str) -> None:
        self.engine = engine
        self._secret = secret.encode()
        self.cookie = f"{COOKIE}-{engine.home.mark()}"
        self.insiders = Insiders(engine.database, engine.clock)
        self._rates = Rates(engine.clock)
        #: When the last use of a key was noted.
        self._noted: dict[int, float] = {}

    async def recognise(self, connection: HTTPConnection) -> Caller:
        """Whoever asks; or a refusal, as it is told."""
        if shown := connection.headers.getlist("authorization"):
            kind, _, word = shown[0].partition(" ")
            if len(shown) == 1 and kind.lower() == "bearer":
                return await self._by_word(word.strip())
        elif (session := await self.session_of(connection)) is not None:
            _check_meant(connection)
            who = await self._of_session(session)
            connection.scope["greenroom.caller"] = who
            return who
        raise _nobody()

    async def session_of(self, connection: HTTPConnection) -> Session | None:
        """The good session whose cookie is shown. It opens nothing by itself: see `recognise`."""
        token = connection.cookies.get(self.cookie, "")
        if not _TOKEN.fullmatch(token):
            return None
        found = partial(sessions.find, kept=keys.kept_of(token), now=self.engine.clock.now())
        return await self.engine.database.look(found)

    async def key_of(self, word: str) -> Key | None:
        if not word.startswith(keys.PREFIX):
            return None
        return await self.engine.database.look(partial(keys.find, kept=keys.kept_of(word)))

    def is_at_home(self, connection: HTTPConnection) -> bool:
        """Whether this comes from whoever runs this house, at this very machine, and nobody else's request can look
        as if it did.
        """
        web, headers = self.engine.settings.web, connection.headers
        if web.beyond_loopback or web.trusted_proxies or any(_is_of_a_proxy(name) for name in headers):
            return False
        peer, here = connection.client, connection.scope.get("server")
        if peer is None or not is_loopback(peer.host):
            return False
        if not is_loopback(split_host(headers.get("host", ""))[0]):
            return False
        # A proxy that changes names and says nothing of it runs as somebody else, as a rule.
        return here is None or not is_somebody_else(here, (peer.host, peer.port))

    def check_lines(self, who: Caller) -> None:
        """A program that opens one socket after the other takes memory from all."""
        if who.key_id is not None and self.insiders.count(who.key_id) >= MOST_LINES:
            said = say("web.too_many_lines", name=who.name, most=MOST_LINES)
            raise HTTPException(429, said, come_back(NOTE_AGAIN))

    async def is_still_in(self, who: Caller) -> bool:
        """Whether somebody who was let in would be again; where the store does not say, they are."""
        try:
            if who.session_id is not None:
                asked = partial(sessions.good, ids=[who.session_id], now=self.engine.clock.now())
                return bool(await self.engine.database.look(asked))
            if who.key_id is not None:
                return bool(await self.engine.database.look(partial(keys.good, ids=[who.key_id])))
        except StoreError as error:
            log.warning("caller_not_looked_after", cause=str(error))
        return True

    async def _by_word(self, word: str) -> Caller:
        if secrets.compare_digest(word.encode("utf-8", "surrogateescape"), self._secret):
            return Caller("house", Account(HOUSE, "operator"), frozenset(Scope), "the house")
        if (key := await self.key_of(word)) is None:
            raise _nobody()
        return await self._of_key(key)

    async def _of_session(self, session: Session) -> Caller:
        if session.key is not None:
            return await self._of_key(session.key, session.id)
        return Caller("page", Account("web", "home"), frozenset(Scope), "the page", session_id=session.id)

    async def _of_key(self, key: Key, session_id: int | None = None) -> Caller:
        if wait := self._rates.wait(key.id, key.rate):
            told = come_back(wait)
            when = FromNow(seconds=int(told["Retry-After"]))
            said = say("web.too_often", name=key.name, times=key.rate, when=when)
            raise HTTPException(429, said, told)
        await self._note(key)
        scopes = frozenset(Scope) if Scope.MANAGE in key.scopes else key.scopes
        account = Account("web", f"key:{key.id}", key.name)
        return Caller("key", account, scopes, key.name, key.id, session_id, key.rate)

    def left(self, who: Caller) -> dict[str, str]:
        """What a key's program is told of its limit, in the words that programs know from OpenAI."""
        if who.key_id is None or not who.rate:
            return {}
        left = self._rates.left(who.key_id, who.rate)
        return {
            "X-RateLimit-Limit-Requests": str(who.rate),
            "X-RateLimit-Remaining-Requests": str(left),
        }

    async def _note(self, key: Key) -> None:
        now = self.engine.clock.monotonic()
        if now - self._noted.get(key.id, -NOTE_AGAIN) < NOTE_AGAIN:
            return
        self._noted[key.id] = now
        try:
            used = partial(keys.used, key_id=key.id, now=self.engine.clock.now())
            await self.engine.database.change(used)
        except StoreError as error:
            # A full disk keeps nobody from reading.
            log.warning("use_of_key_not_noted", key=key.id, cause=str(error))


class Guard:
    """Stands before all routes. Who is not welcome any more is told no more, in an open stream or socket too."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or path in OPEN or path.startswith(OPEN_UNDER):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if path in OPEN_AT_HOME and self._doors.is_at_home(connection):
            await self._app(scope, receive, send)
            return
        try:
            who = await self._doors.recognise(connection)
            if path in OPEN_AT_HOME:
                await needs(Scope.READ)(who)
            if scope["type"] == "websocket":
                self._doors.check_lines(who)
        except HTTPException as refused:
            await of_http(connection, refused)(scope, receive, send)
        except GreenroomError as error:
            await explained(connection, error, self._doors.engine.clock)(scope, receive, send)
        else:
            scope["greenroom.caller"] = who
            if who.kind == "house":
                await self._app(scope, receive, send)
            elif scope["type"] == "http":
                await self._told(who, scope, receive, send)
            else:
                await self._looked_after(who, scope, receive, send)

    async def _told(self, who: Caller, scope: Connection, receive: Receive, send: Send) -> None:
        clock = self._doors.engine.clock
        looked = clock.monotonic()

        async def sent(message: Message) -> None:
            nonlocal looked
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._doors.left(who))
            # What streams for long goes on while its caller is one; nothing else takes so long.
            elif (now := clock.monotonic()) - looked >= LOOK_AGAIN:
                looked = now
                if not await self._doors.is_still_in(who):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    raise SentOutError
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except SentOutError:
            log.info("stream_ended", caller=who.name)

    async def _looked_after(self, who: Caller, scope: Connection, receive: Receive, send: Send) -> None:
        try:
            async with self._doors.insiders.staying(who.session_id, who.key_id):
                await self._app(scope, receive, send)
        except SentOutError:
            # It may be closing by itself just now.
            with suppress(RuntimeError):
                await send({"type": "websocket.close", "code": GOOD_BYE, "reason": "signed out"})


def _is_of_a_proxy(header: str) -> bool:
    return header.startswith(_FORWARDED)


def _check_meant(connection: HTTPConnection) -> None:
    """A browser sends the cookie along with what other pages make it ask. Only our own page means it."""
    headers = connection.headers
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
    if site not in ("same-origin", "none") and mode != "navigate":
        raise HTTPException(403, say("web.other_page"))
    if connection.scope["type"] == "websocket":
        if "origin" not in headers:
            raise HTTPException(403, say("web.no_origin"))
    elif connection.scope["method"] not in ("GET", "HEAD", "OPTIONS"):
        name, value = PAGE_SAYS
        if headers.get(name) != value:
            raise HTTPException(403, say("web.not_meant"))


def _nobody() -> HTTPException:
    return HTTPException(401, say("web.nobody"), {"WWW-Authenticate": 'Bearer realm="Greenroom"'})


async def check_bind(engine: Engine) -> None:
    """Refuse to open to others what anybody could walk into."""
    web = engine.settings.web
    if not web.beyond_loopback or passwords.is_set(engine.home):
        return
    if not await engine.database.look(keys.are_there):
        where = web.host if not is_loopback(web.host) else ", ".join(web.allowed_hosts)
        raise SettingsError(
            f"[web] opens this Greenroom to others ({where}), and it has neither a password nor a key. "
            "Set a password with `greenroom password`, or make a key with `greenroom keys new NAME --scope chat`; "
            "or leave web.host at 127.0.0.1 and web.allowed_hosts empty."
        )
