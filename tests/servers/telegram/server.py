"""The server: HTTP on loopback, rates, faults, long polling, and the handles by which a test makes its world."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from aiohttp import web

from tests.servers.telegram import wire
from tests.servers.telegram.acting import Chat
from tests.servers.telegram.calls import Call, Method
from tests.servers.telegram.faults import Fault, Faults, Hold, Match, Orders
from tests.servers.telegram.mailbox import Mailbox
from tests.servers.telegram.rules import JSON, Breach, Flood, Rates, Refusal, Rule, look
from tests.servers.telegram.table import METHODS
from tests.servers.telegram.webhooks import Postman
from tests.servers.telegram.world import Bot, Member, Person, World, look_for_query

Seen = TypeVar("Seen")
_TOKEN = re.compile(r"\d+:[\w-]+")
LONGEST_POLL = 50


class _Limited(Exception):
    def __init__(self, seconds: int) -> None:
        self.seconds = seconds


class TelegramServer:
    """A Telegram Bot API on loopback. `async with TelegramServer() as server:` starts and ends it."""

    def __init__(
        self,
        *,
        scale: float = 1.0,
        rates: Rates | None = None,
        faults: Faults | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = World(monotonic, scale)
        self.faults = faults or Faults()
        #: Every 429, by method.
        self.limited: Counter[str] = Counter()
        #: Every other refusal, by its description.
        self.refused: Counter[str] = Counter()
        #: Every call that reached a method, by its name.
        self.calls: Counter[str] = Counter()
        self.url = ""
        self._flood = Flood(rates or Rates(), scale)
        self._orders = Orders()
        self._postman = Postman(self.world)
        self._polls: dict[int, web.Request] = {}
        self._closing = False
        self._runner: web.AppRunner | None = None
        self._by_hand = monotonic is not time.monotonic

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._api)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        if not self._by_hand:
            self.world.stalls.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._orders.release_all()
        for bot in self.world.bots.values():
            bot.mailbox.bell.ring()
        await self._postman.close()
        assert self._runner is not None
        await self._runner.cleanup()
        self.settle()
        await self.world.stalls.stop()

    # What a test makes.

    def bot(
        self,
        username: str = "green_bot",
        *,
        name: str = "",
        token: str = "",
        can_read_all_group_messages: bool = False,
        has_topics_enabled: bool = False,
        allows_users_to_create_topics: bool = False,
    ) -> Bot:
        """A new bot with its token."""
        number = int(token.partition(":")[0]) if token else self.world.number("bot", 7_000_000_001)
        token = token or f"{number}:AAG{number:x}-greenroom"
        bot = Bot(
            number,
            token,
            name or username,
            username,
            Mailbox(last_id=number % 1000 * 100_000),
            can_read_all_group_messages=can_read_all_group_messages,
            has_topics_enabled=has_topics_enabled,
            allows_users_to_create_topics=allows_users_to_create_topics,
        )
        self.world.bots[token] = bot
        return bot

    def person(
        self,
        name: str,
        *,
        language: str | None = "en",
        last_name: str | None = None,
        username: str | None = None,
        face: bytes | None = None,
    ) -> Person:
        """Somebody with the app, and with a profile photo if there is a `face`."""
        number = self.world.number("person", 500_000_001)
        person = Person(number, name, last_name, username, language)
        if face is not None:
            picture = look(face)
            assert picture is not None, "a face is a picture"
            file = self.world.keep("photo", face)
            file.width, file.height = picture.width, picture.height
            person.faces.append(file)
        self.world.people[number] = person
        return person

    def private(self, bot: Bot, person: Person, *, started: bool = False) -> Chat:
        """The chat of a person with a bot; `started` if they talked before."""
        known = bot.chats.get(person.id)
        if known is not None:
            return known
        chat = Chat(self.world, person.id, "private", None)
        chat.person, chat.started = person, started
        chat.members = {person.id: Member(person), bot.id: Member(bot)}
        bot.chats[person.id] = chat
        return chat

    def group(
        self,
        title: str,
        bots: Iterable[Bot],
        people: Iterable[Person],
        *,
        forum: bool = False,
        supergroup: bool = False,
        admins: Iterable[Bot | Person] = (),
    ) -> Chat:
        """A group that has long been there; its first person owns it. A forum is a supergroup."""
        if forum or supergroup:
            number, kind = -1_001_000_000_000 - self.world.number("supergroup", 1), "supergroup"
        else:
            number, kind = -self.world.number("group", 4_000_001), "group"
        chat = Chat(self.world, number, "supergroup" if kind == "supergroup" else "group", title, forum=forum)
        self._fill(chat, bots, people, admins)
        return chat

    def channel(
        self, title: str, bots: Iterable[Bot], people: Iterable[Person], *, username: str | None = None
    ) -> Chat:
        """A channel; its bots are admins, its first person owns it."""
        bots = list(bots)
        chat = Chat(self.world, -1_001_000_000_000 - self.world.number("supergroup", 1), "channel", title)
        self._fill(chat, bots, people, bots)
        if username is not None:
            chat.username = username
            self.world.usernames[username.lower()] = chat
        return chat

    def _fill(
        self, chat: Chat, bots: Iterable[Bot], people: Iterable[Person], admins: Iterable[Bot | Person]
    ) -> None:
        ruling = {one.id for one in admins}
        for at, person in enumerate(people):
            status: Literal["creator", "member"] = "creator" if at == 0 else "member"
            chat.members[person.id] = Member(
                person, "administrator" if person.id in ruling and at else status
            )
        for bot in bots:
            chat.members[bot.id] = Member(bot, "administrator" if bot.id in ruling else "member")
            bot.chats[chat.id] = chat

    # What a test asks and orders.

    @property
    def broken(self) -> Counter[str]:
        """How often each rule was broken, by `Rule`. Queries and drafts are judged by `settle()` and at the end."""
        return self.world.broken

    @property
    def breaches(self) -> list[Breach]:
        return self.world.breaches

    def settle(self) -> None:
        """Judge now: what was not answered or finished in time counts as broken."""
        self.world.settle()

    def forgive_drafts(self) -> None:
        """The bot's process died: the drafts it left on screens are not held against it."""
        self.world.settle()
        for _, draft in self.world.drafts:
            draft.over = True

    def forgive_queries(self) -> None:
        """The bot's process died: presses it knew of may stay unanswered, or be answered again."""
        self.world.settle()
        for press in self.world.presses.values():
            press.forgiven = True

    async def until(self, seen: Callable[[TelegramServer], Seen], within: float = 30.0) -> Seen:
        """Wait until `seen(server)` is true and answer what it said."""
        async with asyncio.timeout(within):
            while not (value := seen(self)):
                await self.world.bell.wait()
            return value

    def fail_next(self, method: str, fault: Fault, *, times: int = 1, match: Match | None = None) -> None:
        """The next call of this method (whose parameters match) fails in this way."""
        self._orders.fail_next(method, fault, times, match)

    def hold(
        self, method: str, when: Literal["before", "after"] = "before", *, match: Match | None = None
    ) -> Hold:
        """Hold the next call of this method just before or just after it takes effect."""
        return self._orders.hold(method, when, match)

    def is_polled(self, bot: Bot) -> bool:
        """Whether a getUpdates of this bot waits right now."""
        poll = self._polls.get(bot.id)
        return poll is not None and not wire.hung_up(poll)

    def updates(self, bot: Bot) -> list[JSON]:
        """Every update that was made for a bot."""
        return bot.mailbox.log

    def replay(self, bot: Bot, update: JSON) -> None:
        """Tell a bot an update again, under the same number."""
        bot.mailbox.put_again(update)

    def push_raw(self, bot: Bot, fields: JSON, *, once: bool = True) -> JSON:
        """Tell a bot any update at all; `once`, confirmed or not, so that one which cannot be read blocks nothing.

        Answering a query in it is never held against the bot.
        """
        query = look_for_query(fields)
        if query is not None:
            self.world.raw_queries.add(query)
        return bot.mailbox.put_raw(fields, once=once)

    # What a client asks.

    async def _api(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]
        bot = self.world.bots.get(token)
        if bot is None:
            known = _TOKEN.fullmatch(token)
            return wire.refused(401, "Unauthorized") if known else wire.refused(404, "Not Found")
        name = request.match_info["method"]
        method = METHODS.get(name.lower())
        if method is None:
            self.world.breach(Rule.UNKNOWN_METHOD, bot, name, name)
            return wire.refused(404, "Not Found: method not found")
        self.calls[method.name] += 1
        self.world.bell.ring()
        try:
            fields, uploads = await wire.read(request, photos=method.photos)
        except (ConnectionError, asyncio.IncompleteReadError):
            return wire.drop(request)
        except web.HTTPRequestEntityTooLarge:
            return self._no(Refusal("Request Entity Too Large", code=413, rule=Rule.TOO_BIG), bot, method)
        except ValueError as error:
            return self._no(Refusal(f"can't parse request: {error}", rule=Rule.WRONG_TYPE), bot, method)
        except Refusal as no:
            return self._no(no, bot, method)
        fault = self._orders.fault(method.name, fields) or self.faults.draw(method.name)
        hold = self._orders.held(method.name, fields)
        if hold is not None and hold.when == "before":
            await hold.stand(fields)
            if hold.drops:
                return wire.drop(request)
        if fault is Fault.DROP_BEFORE:
            return wire.drop(request)
        if fault in {Fault.SERVER_ERROR, Fault.BAD_GATEWAY}:
            at_fault = fault is Fault.SERVER_ERROR
            return (
                wire.refused(500, "Internal Server Error") if at_fault else wire.refused(502, "Bad Gateway")
            )
        if fault is Fault.GATEWAY_PAGE:
            return wire.page()
        answer = await self._answer(request, bot, method, fields, uploads, limit=fault is Fault.LIMITED)
        if hold is not None and hold.when == "after":
            await hold.stand(fields)
        drops = fault is Fault.DROP_AFTER or (hold is not None and hold.drops)
        if drops or wire.hung_up(request):
            self._unheard(method, fields)
            return wire.drop(request)
        return answer

    async def _answer(
        self,
        request: web.Request,
        bot: Bot,
        method: Method,
        fields: dict[str, object],
        uploads: dict[str, Any],
        *,
        limit: bool,
    ) -> web.Response:
        try:
            call = Call.read(self.world, bot, method, fields, uploads)
            self._meter(call, limit=limit)
            if method.name == "getUpdates":
                return wire.done(await self._poll(request, call))
            result = method.do(call)
            if method.name in {"setWebhook", "deleteWebhook"}:
                await self._postman.follow(bot)
            return wire.done(result)
        except _Limited as wait:
            return wire.limited(wait.seconds)
        except Refusal as no:
            return self._no(no, bot, method)
        finally:
            self.world.bell.ring()

    def _no(self, no: Refusal, bot: Bot, method: Method) -> web.Response:
        self.refused[no.description] += 1
        if no.rule is not None:
            self.world.breach(no.rule, bot, method.name, no.description)
        return wire.refused(no.code, no.description, **no.parameters)

    def _meter(self, call: Call, *, limit: bool) -> None:
        """429 for who sends too fast, for who was told to wait and did not, and for whom a fault chose."""
        now, bot, method = self.world.now(), call.bot, call.method
        named = call.get("chat_id")
        by_name = isinstance(named, str)
        chat = self.world.usernames.get(named[1:].lower()) if by_name else bot.chats.get(named)
        kind = method.meter or method.name
        if "chat_id" in call.params:
            key: tuple[object, ...] = (bot.id, call.params["chat_id"], kind)
        else:
            key = (bot.id, kind, json.dumps(call.params, sort_keys=True))
        wait = self._flood.left(now, key)
        if wait:
            self.world.breach(Rule.IMPATIENT, bot, method.name, f"{wait} s too early, or nearly")
        else:
            if limit:
                wait = self.faults.seconds()
            elif method.meter is not None and chat is not None:
                crowd = chat.type != "private"
                wait = self._flood.wait(now, bot.id, chat.id, method.meter, crowd=crowd, cost=call.cost)
            if wait:
                self._flood.tell(now, key, wait)
        if wait:
            self.limited[method.name] += 1
            raise _Limited(wait)

    def _unheard(self, method: Method, fields: dict[str, object]) -> None:
        """The answer did not arrive: to ask the same again is what a correct client does."""
        if method.name == "answerCallbackQuery":
            press = self.world.presses.get(str(fields.get("callback_query_id")))
            if press is not None:
                press.forgiven = True

    async def _poll(self, request: web.Request, call: Call) -> list[JSON]:
        box = call.bot.mailbox
        if box.webhook is not None:
            raise Refusal(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
                code=409,
                rule=Rule.POLLING_CONFLICT,
            )
        box.allow(call.get("allowed_updates"))
        box.confirm(call.get("offset") or 0)
        limit = call.get("limit") or 100
        seconds = max(0, min(call.get("timeout") or 0, LONGEST_POLL))
        other = self._polls.get(call.bot.id)
        if other is not None and not wire.hung_up(other):
            self.world.breach(
                Rule.POLLING_CONFLICT, call.bot, "getUpdates", "another getUpdates was under way"
            )
        self._polls[call.bot.id] = request
        box.bell.ring()
        self.world.bell.ring()
        try:
            async with asyncio.timeout(seconds):
                while not (box.pending or self._closing or self._polls.get(call.bot.id) is not request):
                    await box.bell.wait()
        except TimeoutError:
            return []
        else:
            if self._polls.get(call.bot.id) is not request:
                raise Refusal(
                    "terminated by other getUpdates request; make sure that only one bot instance is running",
                    code=409,
                )
            return [] if wire.hung_up(request) else box.batch(limit)
        finally:
            if self._polls.get(call.bot.id) is request:
                del self._polls[call.bot.id]

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] not in self.world.bots:
            return wire.refused(401, "Unauthorized")
        path = request.match_info["path"]
        match = re.search(r"/file_(\d+)\.\w+$", path)
        file = self.world.files.get(int(match[1])) if match else None
        if file is None or file.path != path:
            return wire.refused(404, "Not Found")
        return web.Response(body=file.data, content_type="application/octet-stream")
