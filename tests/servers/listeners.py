"""A program on loopback that is called back: it hears, refuses, waits or leads elsewhere, as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Heard:
    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Listener:
    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    #: What it answers the next ones, and what from then on.
    answers: list[int] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    #: Nothing is answered before this is set.
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def at(self, path: str = "done") -> str:
        return f"{self.url}/{path}"

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.heard) < count:  # noqa: ASYNC110 - it is told by another task, whenever that comes
                await asyncio.sleep(0.01)

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(request.path, await request.read(), headers))
        await self.open.wait()
        status = self.answers.pop(0) if self.answers else self.status
        return web.Response(status=status, headers=self.headers)


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    listener.open.set()
    app = web.Application()
    app.router.add_post("/{path:.*}", listener.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listener.url = runner.addresses[0] and f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield listener
    finally:
        listener.open.set()
        await runner.cleanup()
