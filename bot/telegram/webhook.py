"""The door at which Telegram knocks with its news, where a proxy with a certificate stands before us.

One door for all bots: the last part of the address says whose news it is. It is answered with yes only when what
it brought was stored.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiogram.exceptions import TelegramBadRequest
from aiogram.methods import SetWebhook
from aiogram.types import User
from aiohttp import web

from bot.telegram.calling import Caller
from bot.telegram.hearing import WANTED
from bot.telegram.listening import MOST_TRIES, Reader, Take
from bot.telegram.troubles import in_words
from engine.errors import SettingsError, StoreError
from engine.locales import say

log = structlog.get_logger(__name__)

SECRET = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  (the name of a header)
LARGEST = 4 * 1024 * 1024


@dataclass
class Tenant:
    """A bot behind the door."""

    me: User
    secret: str
    take: Take
    failed: Counter[int] = field(default_factory=Counter)
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = Reader(self.me)


class Door:
    """Opens with the first bot, closes with the last one."""

    def __init__(self, listen: str) -> None:
        self._listen = listen
        self._tenants: dict[str, Tenant] = {}
        self._runner: web.AppRunner | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def open(self, tenant: Tenant) -> AsyncIterator[None]:
        account = str(tenant.me.id)
        async with self._opening:
            if self._runner is None:
                self._runner = await self._opened()
            self._tenants[account] = tenant
        try:
            yield
        finally:
            del self._tenants[account]
            if not self._tenants and self._runner is not None:
                runner, self._runner = self._runner, None
                await runner.cleanup()

    async def _opened(self) -> web.AppRunner:
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post("/{path:.*}", self._knocked)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        host, _, port = self._listen.rpartition(":")
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise SettingsError(say("telegram.door", listen=self._listen, cause=str(error))) from error
        return runner

    async def _knocked(self, request: web.Request) -> web.Response:
        tenant = self._tenants.get(request.match_info["path"].rpartition("/")[2])
        shown = request.headers.get(SECRET, "").encode("utf-8", "surrogateescape")
        # Compared in any case, so that nobody learns from the time it takes which bots live here.
        fits = hmac.compare_digest(shown, tenant.secret.encode() if tenant else b"\0")
        if tenant is None or not fits:
            return web.Response(status=403)
        try:
            update = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=400)
        return web.Response(status=await _taken(update, tenant) if isinstance(update, dict) else 200)


async def _taken(update: Mapping[str, Any], tenant: Tenant) -> int:
    number = update.get("update_id")
    number = number if isinstance(number, int) else 0
    try:
        for thing in tenant.reader.heard(update):
            await tenant.take(thing)
    except StoreError as error:
        log.warning("telegram_news_not_stored", update=number, cause=str(error))
        return 503
    except Exception:
        tenant.failed[number] += 1
        log.exception("telegram_news_failed", update=number, tries=tenant.failed[number])
        if tenant.failed[number] < MOST_TRIES:
            return 500
    tenant.failed.pop(number, None)
    return 200


async def answer_the_door(door: Door, caller: Caller, url: str, tenant: Tenant) -> None:
    """Say to Telegram where the door is, and stand there until cancelled."""
    async with door.open(tenant):
        address = f"{url.rstrip('/')}/{tenant.me.id}"
        try:
            await caller.ask(
                SetWebhook(url=address, secret_token=tenant.secret, allowed_updates=list(WANTED))
            )
        except TelegramBadRequest as error:
            raise SettingsError(say("telegram.webhook", url=address, cause=in_words(error))) from error
        await asyncio.Event().wait()
