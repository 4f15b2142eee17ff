"""The server itself: it listens, lets a call through limits and faults to its route, and is what a test holds.

What a route does, it does not know.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import yarl
from aiohttp import web
from PIL import Image

from tests.servers.discord import hooks, posting, rest
from tests.servers.discord.calls import Call, Route, read_body, take_body
from tests.servers.discord.channels import Channel
from tests.servers.discord.faults import Fault, Faults, Hold, Script
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.interactions import Interactions
from tests.servers.discord.ledger import Breach, Ledger
from tests.servers.discord.limits import GLOBAL, ON_THE_WIRE, Buckets, Taken
from tests.servers.discord.permissions import GUILD_MEMBERS, MESSAGE_CONTENT, PRESENCES
from tests.servers.discord.rules import Json, Refusal
from tests.servers.discord.world import Bot, Guild, Person, User, World

_log = logging.getLogger(__name__)

API = "/api/v10"
SENT_TOO_SOON = "sent again before retry_after had passed"


class Dropped(Exception):
    """The connection closes instead of an answer."""


class DiscordServer:
    """Discord on loopback. An async context manager; inside it everything is open, after it nothing is left."""

    def __init__(
        self,
        *,
        scale: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        faults: Faults | None = None,
        attachment_size_limit: int = 10 * 2**20,
        shards: int = 1,
        max_concurrency: int = 1,
    ) -> None:
        self.ledger = Ledger(monotonic)
        self.faults = faults or Faults()
        self.world = World(self.ledger, scale=scale, monotonic=monotonic)
        self.interactions = Interactions(self.world, size_limit=attachment_size_limit)
        self.gateway = Gateway(self.world, faults=lambda: self.faults, max_concurrency=max_concurrency)
        self.world.interactions = self.interactions
        self.world.dispatch = self.gateway.dispatch
        self.attachment_size_limit = attachment_size_limit
        self.shards = shards
        self.max_concurrency = max_concurrency
        self._script = Script()
        self._buckets = Buckets(scale, monotonic)
        self._routes: dict[str, Route] = {}
        self._runner: web.AppRunner | None = None
        self._by_hand = monotonic is not time.monotonic
        self.url = ""

    async def __aenter__(self) -> Self:
        # Files of the largest size must arrive to be refused.
        app = web.Application(client_max_size=12 * self.attachment_size_limit + 2**20)
        for route in (*self._own_routes(), *rest.ROUTES, *posting.ROUTES, *hooks.ROUTES):
            self._routes[route.name] = route
            app.router.add_route(route.method, API + route.path, self._door(route))
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/attachments/{channel}/{number}/{filename}", self._file)
        app.router.add_get("/{kind:avatars|embed|icons|app-icons}/{rest:.*}", self._face)
        app.router.add_route("*", "/{rest:.*}", self._nowhere)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = self.world.base = f"http://{host}:{port}"
        self.gateway.url = f"ws://{host}:{port}/gateway"
        if not self._by_hand:
            self.world.stalls.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._script.release_all()
        await self.gateway.close()
        # One turn, so that what was held ends its call before the server does.
        await asyncio.sleep(0)
        if self._runner is not None:
            await self._runner.cleanup()
        await self.world.stalls.stop()

    # Where clients are pointed.

    @property
    def api_url(self) -> str:
        return self.url + API

    @property
    def gateway_url(self) -> str:
        return self.gateway.url

    # What became of it.

    @property
    def broken(self) -> Counter[str]:
        """Rules broken so far, by name. Empty is what a bot is proved by."""
        self.interactions.sweep()
        return self.ledger.broken

    @property
    def breaches(self) -> list[Breach]:
        self.interactions.sweep()
        return self.ledger.breaches

    @property
    def limited(self) -> Counter[str]:
        return self.ledger.limited

    @property
    def pings(self) -> Counter[str]:
        return self.ledger.pings

    @property
    def excused(self) -> Counter[str]:
        self.interactions.sweep()
        return self.ledger.excused

    @property
    def calls(self) -> Counter[str]:
        return self.ledger.calls

    # Who and where.

    def bot(
        self,
        name: str = "Greenroom",
        *,
        token: str | None = None,
        message_content: bool = True,
        members: bool = False,
        presences: bool = False,
    ) -> Bot:
        wanted = ((message_content, MESSAGE_CONTENT), (members, GUILD_MEMBERS), (presences, PRESENCES))
        return self.world.bot(name, token, sum(bit for on, bit in wanted if on))

    def person(self, name: str, *, locale: str = "en-US") -> Person:
        return self.world.person(name, locale)

    def guild(
        self,
        name: str,
        *,
        bots: Iterable[Bot] = (),
        people: Iterable[User] = (),
        owner: User | None = None,
        locale: str = "en-US",
        shard: tuple[int, int] | None = None,
    ) -> Guild:
        """A new guild; `shard=(1, 2)` makes one that the second of two shards serves."""
        owner = owner or self.world.person(f"Owner of {name}", "en-US")
        number = self.world.snowflakes.next()
        while shard is not None and (number >> 22) % shard[1] != shard[0]:
            number = self.world.snowflakes.next()
        guild = Guild(self.world, name, owner, number, locale)
        for user in (*people, *bots):
            guild.joins(user)
        return guild

    def dm(self, bot: Bot, person: Person) -> Channel:
        """The direct message of the two, opened by the person."""
        channel = rest.direct(self.world.channels.values(), bot, person)
        channel.opened_by_person = True
        return channel

    def channel(self, number: int) -> Channel:
        return self.world.channels[number]

    # What goes wrong.

    def fail_next(self, route: str, fault: Fault, times: int = 1) -> None:
        """The next calls of a route fail so; the route as the table of routes names it."""
        self._script.fail_next(self._routes[route].name, fault, times)

    def hold(self, route: str, *, after: bool = False) -> Hold:
        """Stop the next call of a route just before it takes effect, or just after."""
        return self._script.hold(self._routes[route].name, after=after)

    def disconnect(self, bot: Bot, *, resumable: bool = True, code: int = 4000) -> None:
        self.gateway.disconnect(bot, resumable=resumable, code=code)

    def ask_reconnect(self, bot: Bot) -> None:
        self.gateway.ask_reconnect(bot)

    def connected(self, bot: Bot) -> bool:
        return self.gateway.connected(bot)

    def push_raw(self, bot: Bot, event: str, data: Json, *, guild: Guild | None = None) -> None:
        """Send an event as it is, right or wrong, to every session of the bot (or to the guild's shard)."""
        for session in self.gateway.sessions(bot):
            if guild is None or session.has(guild.id):
                session.put(event, data)

    def sent(self, bot: Bot) -> list[tuple[str, Json]]:
        """The events that the bot's sessions were sent lately."""
        return [(event, data) for one in self.gateway.sessions(bot) for _, event, data in one.remembered]

    def replay(self, bot: Bot, event: str) -> None:
        """Send the last event of this name again, as a gateway that lost count would."""
        for session in self.gateway.sessions(bot):
            last = next((data for _, name, data in reversed(session.remembered) if name == event), None)
            if last is not None:
                session.put(event, last)

    # One call.

    def _own_routes(self) -> tuple[Route, ...]:
        return (
            Route("GET /gateway", self._gateway_url, authorised=False),
            Route("GET /gateway/bot", self._gateway_bot),
        )

    def _gateway_url(self, call: Call) -> Json:
        return {"url": self.gateway.url}

    def _gateway_bot(self, call: Call) -> Json:
        start = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": self.max_concurrency}
        return {"url": self.gateway.url, "shards": self.shards, "session_start_limit": start}

    def _door(self, route: Route) -> Callable[[web.Request], Any]:
        async def enter(request: web.Request) -> web.StreamResponse:
            try:
                return await self._serve(route, request)
            except Dropped:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()

        return enter

    async def _serve(self, route: Route, request: web.Request) -> web.Response:
        self.ledger.calls[route.name] += 1
        token = request.headers.get("Authorization", "").removeprefix("Bot ")
        call = Call(
            world=self.world,
            interactions=self.interactions,
            route=route,
            params=dict(request.match_info),
            query=request.query,
            caller=self.world.bots.get(token),
            size_limit=self.attachment_size_limit,
        )
        try:
            body, call.uploads, mark = await read_body(request)
            take_body(call, body)
            if route.authorised and call.caller is None:
                raise Refusal(401, 0, "401: Unauthorized")
        except Refusal as refusal:
            return self._refused(call, refusal, {})
        fault = self._script.next_fault(route.name) or self.faults.draw(route.name)
        taken, refused = self._pace(call, fault, f"{request.method} {request.path_qs} {mark}")
        if refused is not None:
            return refused
        if fault in (Fault.ERROR_500, Fault.ERROR_502):
            self._excuse(call)
            return _json(int(fault.value), {"message": f"{fault.value}: Server Error", "code": 0}, {})
        if fault is Fault.DROP_BEFORE:
            self._excuse(call)
            raise Dropped
        held = self._script.next_hold(route.name)
        if held is not None and not held.after:
            await self._pause(held, call)
        response = self._answer(call, _headers(route, taken))
        if held is not None and held.after:
            await self._pause(held, call)
        if fault is Fault.DROP_AFTER:
            self._excuse(call)
            raise Dropped
        if fault is Fault.ERROR_AFTER:
            self._excuse(call)
            return _json(502, {"message": "502: Server Error", "code": 0}, {})
        return response

    def _answer(self, call: Call, headers: dict[str, str]) -> web.Response:
        try:
            answer = call.route.handler(call)
        except Refusal as refusal:
            return self._refused(call, refusal, headers)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # What a form holds that nothing above looked at: malformed, whatever it is.
            _log.warning("malformed call", exc_info=error)
            return self._refused(call, Refusal(400, 50035, repr(error), "malformed form"), headers)
        if answer is None:
            return web.Response(status=204, headers=headers)
        return _json(200, answer, headers)

    def _refused(self, call: Call, refusal: Refusal, headers: dict[str, str]) -> web.Response:
        self.ledger.refused[refusal.code] += 1
        if refusal.rule:
            self.ledger.breach(refusal.rule, f"{call.route.name}: {refusal.message}")
        return _json(refusal.status, refusal.body, headers)

    async def _pause(self, held: Hold, call: Call) -> None:
        self._excuse(call)
        await held.pause()
        if held.dropped:
            raise Dropped

    @staticmethod
    def _excuse(call: Call) -> None:
        one = call.interaction()
        if one is not None:
            one.excused = True

    # How often.

    def _pace(self, call: Call, fault: Fault | None, mark: str) -> tuple[Taken, web.Response | None]:
        route, who = call.route, str(call.caller.id) if call.caller else "anyone"
        major = f"{who if route.authorised else ''}+{route.major_of(call.params)}"
        if not self._buckets.waited("call", mark):
            self.ledger.breach(SENT_TOO_SOON, mark[:120])
        elif not self._buckets.waited("bucket", f"{route.bucket}+{major}", grace=ON_THE_WIRE):
            self.ledger.breach(SENT_TOO_SOON, f"{route.name}, bucket {major}")
        # What is signed counts, also where it need not be: discord.py signs calls to webhooks as well.
        counts = call.caller is not None and call.interaction() is None
        everything = self._buckets.take(GLOBAL, who) if counts else None
        if everything is not None and everything.retry_after is not None:
            return everything, self._limited(call, everything, mark, "global")
        taken = self._buckets.take(replace(route.limit, name=route.bucket), major)
        if taken.retry_after is not None:
            self._buckets.tell_to_wait("bucket", f"{route.bucket}+{major}", taken.retry_after)
            return taken, self._limited(call, taken, mark, "user")
        if fault is Fault.RATE_LIMIT:
            wait = max(0.05, round(self.world.scale, 3))
            refused = Taken(taken.limit, taken.remaining, taken.reset_after, wait)
            return taken, self._limited(call, refused, mark, "shared")
        return taken, None

    def _limited(self, call: Call, taken: Taken, mark: str, scope: str) -> web.Response:
        self._excuse(call)
        self.ledger.limited[call.route.name] += 1
        wait = taken.retry_after or 0.0
        self._buckets.tell_to_wait("call", mark, wait)
        headers = {
            **_headers(call.route, taken),
            "Via": "1.1 loopback",
            "Retry-After": str(max(1, round(wait))),
            "X-RateLimit-Scope": scope,
            **({"X-RateLimit-Global": "true"} if scope == "global" else {}),
        }
        body = {"message": "You are being rate limited.", "retry_after": wait, "global": scope == "global"}
        return _json(429, body, headers)

    # What is not the API.

    async def _file(self, request: web.Request) -> web.Response:
        one = self.world.files.get(int(request.match_info["number"]))
        if one is None:
            return web.Response(status=404)
        return web.Response(body=one.data, content_type=one.content_type.partition(";")[0])

    async def _face(self, request: web.Request) -> web.Response:
        buffer = io.BytesIO()
        shade = hashlib.md5(request.path.encode()).digest()
        Image.new("RGB", (16, 16), (shade[0], shade[1], shade[2])).save(buffer, "PNG")
        return web.Response(body=buffer.getvalue(), content_type="image/png")

    async def _nowhere(self, request: web.Request) -> web.Response:
        # Not a broken rule: Discord has routes that are not here.
        self.ledger.refused[404] += 1
        return _json(404, {"message": f"no such route here: {request.method} {request.path}", "code": 0}, {})


def _headers(route: Route, taken: Taken) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(taken.limit.count),
        "X-RateLimit-Remaining": str(taken.remaining),
        "X-RateLimit-Reset": f"{time.time() + taken.reset_after:.3f}",
        "X-RateLimit-Reset-After": f"{taken.reset_after:.3f}",
        "X-RateLimit-Bucket": hashlib.md5(route.bucket.encode()).hexdigest(),
    }


def _json(status: int, body: object, headers: dict[str, str]) -> web.Response:
    response = web.json_response(body, status=status, headers=headers)
    # The client looks for exactly this, without a charset.
    response.headers["Content-Type"] = "application/json"
    return response


@contextmanager
def pointed_at(server: DiscordServer) -> Iterator[None]:
    """discord.py in this process talks to the server instead of to Discord, until the block ends."""
    with warnings.catch_warnings():
        # Its voice part still wants a module that Python is giving up.
        warnings.simplefilter("ignore", DeprecationWarning)
        import discord
        from discord.gateway import DiscordWebSocket
        from discord.http import Route as ClientRoute

    before = ClientRoute.BASE, DiscordWebSocket.DEFAULT_GATEWAY, discord.Asset.BASE
    ClientRoute.BASE = server.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway_url)
    discord.Asset.BASE = server.url
    try:
        yield
    finally:
        ClientRoute.BASE, DiscordWebSocket.DEFAULT_GATEWAY, discord.Asset.BASE = before
