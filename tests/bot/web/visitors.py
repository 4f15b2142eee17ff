"""The real app on a real engine, without the rest of a house, and those who come to its doors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from bot.desk import Desk
from bot.house import Server
from bot.web.app import create_app
from bot.web.lines import Lines
from bot.web.pages import Pages
from engine.engine import Engine
from engine.store import keys
from engine.store.records import Key, Place, Scope

SECRET = "s" * 43
#: What a page of ours sends along.
PAGE = {"X-Greenroom": "page", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}


def app_of(engine: Engine) -> FastAPI:
    async def came(_place: Place) -> None:
        """Nothing is owed to anybody here."""

    lines, pages = Lines(), Pages(engine.database, engine.clock)
    return create_app(engine, Desk(engine, [lines, pages]), lines, pages, SECRET, came)


def visitor(
    app: FastAPI, *, at: str = "http://127.0.0.1:8321", address: str = "127.0.0.1", **headers: str
) -> httpx.AsyncClient:
    """A browser or a program, at an address of its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    way = httpx.ASGITransport(app, client=(address, 50_000), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=way, base_url=at, headers=named)


def with_key(app: FastAPI, key: str) -> httpx.AsyncClient:
    return visitor(app, Authorization=f"Bearer {key}")


async def a_key(engine: Engine, *scopes: Scope, name: str = "", rate: int = 0) -> tuple[str, Key]:
    """A new key: its word, and what is known of it."""
    word = keys.new_key()
    adding = partial(
        keys.add,
        name=name or f"key {word[-6:]}",
        kept=keys.kept_of(word),
        scopes=frozenset(scopes),
        rate=rate,
        now=engine.clock.now(),
    )
    return word, await engine.database.change(adding)


async def revoked(engine: Engine, key: Key) -> None:
    await engine.database.change(partial(keys.revoke, wanted=key.name, now=engine.clock.now()))


@asynccontextmanager
async def served(app: Callable[..., Any], **how: Any) -> AsyncIterator[int]:
    """The app on a real server on loopback; answers its port."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(16)
        server = Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", **how))
        serving = asyncio.create_task(server.serve([door]))
        try:
            yield int(door.getsockname()[1])
        finally:
            server.should_exit = True
            server.force_exit = True
            await asyncio.wait([serving], timeout=5)
            serving.cancel()


def cookie_of(browser: httpx.AsyncClient) -> str:
    """What a browser shows of its session."""
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def problem(answer: httpx.Response, status: int) -> str:
    """The sentence of a refusal, in the form that all of them have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    return str(told["detail"])


def _dripping(app: FastAPI) -> asyncio.Event:
    """A stream of the app's, `/api/v1/drips`: one drop at once, and one more each time this is set."""
    more = asyncio.Event()

    @app.get("/api/v1/drips")
    async def drips() -> StreamingResponse:
        async def drops() -> AsyncIterator[str]:
            while True:
                yield "drop\n"
                await more.wait()
                more.clear()

        return StreamingResponse(drops())

    return more


@asynccontextmanager
async def dripping(app: FastAPI, word: str) -> AsyncIterator[tuple[AsyncIterator[str], asyncio.Event]]:
    """The lines of such a stream that somebody with a key has begun to read, and what lets the next one come."""
    more = _dripping(app)
    async with (
        served(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as program,
        program.stream("GET", "/api/v1/drips", headers={"Authorization": f"Bearer {word}"}) as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "drop"
        yield lines, more
