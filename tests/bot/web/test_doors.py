"""The doors: nothing opens to nobody, a scope is what it says, and who is sent out is out at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from fastapi import FastAPI, WebSocket
from fastapi.routing import iter_route_contexts
from websockets.typing import Origin

from bot.logs import start_logging
from bot.web import doors
from bot.web.doors import OPEN, OPEN_AT_HOME, OPEN_UNDER, Caller, caller, needs, scope_of
from bot.web.insiders import LOOK_AGAIN
from engine.engine import Engine
from engine.settings import LogSettings
from engine.store import keys
from engine.store.records import Scope
from engine.testing import ManualClock
from tests.bot.logged import own_log
from tests.bot.web.visitors import (
    PAGE,
    SECRET,
    a_key,
    cookie_of,
    dripping,
    problem,
    revoked,
    served,
    visitor,
    with_key,
)

#: All that may answer somebody who has shown nothing. A new one is a decision: write it down here and in `doors.py`.
OPEN_ROUTES = {"/", "/sign-in", "/favicon.ico", "/healthz", "/readyz", "/metrics"}
OPEN_FOLDERS = {"/page/", "/hooks/", "/files/"}


@pytest.fixture
async def page(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at this machine, that opened the page."""
    async with visitor(app, **{name.replace("-", "_"): value for name, value in PAGE.items()}) as browser:
        await browser.get("/")
        yield browser


def paths(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of everything that can be asked, with a 1 in each gap."""
    told = set()
    for route in iter_route_contexts(app.routes):
        for method in (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}:
            told.add((method, re.sub(r"{[^}]*}", "1", str(getattr(route, "path", "")))))
    return told


async def test_every_route_needs_a_caller_but_those_that_are_named(app: FastAPI) -> None:
    asked = paths(app)
    assert ("GET", "/api/v1/health") in asked
    assert len(asked) > 25
    async with visitor(app, address="192.0.2.7") as stranger:
        answers = {(method, path): await stranger.request(method, path) for method, path in asked}
    answering = {path for (_, path), answer in answers.items() if answer.status_code != 401}
    unnamed = {path for path in answering - OPEN_ROUTES if not path.startswith(tuple(OPEN_FOLDERS))}
    assert unnamed == set()
    assert {"/sign-in"} <= answering
    assert OPEN | OPEN_AT_HOME == OPEN_ROUTES
    assert set(OPEN_UNDER) == OPEN_FOLDERS


async def test_what_is_not_there_says_so_only_to_whoever_is_in(app: FastAPI) -> None:
    async with visitor(app) as stranger, with_key(app, SECRET) as house:
        for path in ("/api/v1/nothing", "/nothing", "/PAGE/x", "/sign-in/", "/v2/page/x"):
            problem(await stranger.get(path), 401)
            problem(await house.get(path), 404)


async def test_the_house_s_secret_opens_everything(app: FastAPI) -> None:
    async with with_key(app, SECRET) as house:
        told = (await house.get("/api/v1/me")).json()
    assert (told["kind"], told["scopes"]) == ("house", ["chat", "make", "manage", "read"])


async def test_a_refusal_says_how_to_come_in(app: FastAPI) -> None:
    async with visitor(app) as stranger:
        answer = await stranger.get("/api/v1/health")
    assert "key" in problem(answer, 401)
    assert answer.headers["www-authenticate"] == 'Bearer realm="Greenroom"'


async def test_openai_s_programs_are_refused_in_their_own_form(app: FastAPI) -> None:
    async with visitor(app) as stranger:
        answer = await stranger.post("/v1/chat/completions", json={})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


async def test_what_a_key_may_is_its_scopes_and_no_more(engine: Engine, app: FastAPI) -> None:
    wants = {
        ("GET", "/api/v1/health"): Scope.READ,
        ("GET", "/api/v1/pictured"): Scope.READ,
        ("POST", "/api/v1/jobs"): Scope.MAKE,
        ("POST", "/api/v1/personas"): Scope.MANAGE,
        ("POST", "/api/v1/chats/home/enter"): Scope.MANAGE,
        ("POST", "/api/v1/runs"): Scope.MANAGE,
    }
    for scope in Scope:
        word, _ = await a_key(engine, scope)
        async with with_key(app, word) as program:
            told = (await program.get("/api/v1/me")).json()
            for (method, path), wanted in wants.items():
                # No persona of that name, nothing understood: whoever gets as far as that was let in.
                body = (
                    {"persona": "nobody", "scene": "x", "key": "1", "kind": "?"} if method == "POST" else None
                )
                answer = await program.request(method, path, json=body)
                if scope in (wanted, Scope.MANAGE):
                    assert answer.status_code not in (401, 403), (scope, path, answer.text)
                else:
                    assert f"scope {wanted}" in problem(answer, 403)
        assert told["scopes"] == (sorted(Scope) if scope is Scope.MANAGE else [scope])


async def test_a_route_s_scope_can_be_told_of_it() -> None:
    assert {scope_of(needs(scope)) for scope in Scope} == set(Scope)
    assert scope_of(caller) is None


@pytest.mark.parametrize(
    "shown",
    [
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer grk_wrong"],
        [b"Bearer grk_\xff\xfe"],
        [b"Basic c2VjcmV0"],
        [SECRET.encode()],
        [b"Bearer wrong", f"Bearer {SECRET}".encode()],
        [f"Bearer {SECRET}".encode()] * 50,
        [f"Bearer {SECRET}, Bearer {SECRET}".encode()],
        ["Bearer \u00fc\u00fc".encode("latin-1")],
    ],
)
async def test_what_is_no_key_opens_nothing(app: FastAPI, shown: list[bytes]) -> None:
    async with visitor(app) as stranger:
        answer = await stranger.get("/api/v1/health", headers=[(b"Authorization", one) for one in shown])
    problem(answer, 401)


async def test_a_cookie_does_not_help_a_wrong_key(page: httpx.AsyncClient) -> None:
    assert (await page.get("/api/v1/health")).status_code == 200
    problem(await page.get("/api/v1/health", headers={"Authorization": "Bearer grk_wrong"}), 401)


async def test_a_revoked_key_is_out_at_once(engine: Engine, app: FastAPI) -> None:
    word, key = await a_key(engine, Scope.READ)
    async with with_key(app, word) as program:
        assert (await program.get("/api/v1/health")).status_code == 200
        await revoked(engine, key)
        problem(await program.get("/api/v1/health"), 401)


async def test_a_key_s_last_use_is_noted_now_and_then(engine: Engine, app: FastAPI) -> None:
    assert isinstance(engine.clock, ManualClock)
    word, _ = await a_key(engine, Scope.READ)

    async def noted() -> Any:
        return (await engine.database.look(keys.listing))[0].used_at

    assert await noted() is None
    async with with_key(app, word) as program:
        await program.get("/api/v1/health")
        first = await noted()
        assert first == engine.clock.now()
        await engine.clock.advance(30)
        await program.get("/api/v1/health")
        assert await noted() == first
        await engine.clock.advance(31)
        await program.get("/api/v1/health")
        assert await noted() == engine.clock.now()


async def test_a_key_is_heard_so_often_and_told_when_to_come_back(engine: Engine, app: FastAPI) -> None:
    assert isinstance(engine.clock, ManualClock)
    word, _ = await a_key(engine, Scope.READ, rate=3)
    other, _ = await a_key(engine, Scope.READ, rate=3)
    async with with_key(app, word) as program, with_key(app, other) as beside:
        early = [await program.get("/api/v1/health") for _ in range(3)]
        assert {one.status_code for one in early} == {200}
        late = await program.get("/api/v1/health")
        assert "3 times a minute" in problem(late, 429)
        assert late.headers["retry-after"] == "20"
        assert [one.headers["x-ratelimit-remaining-requests"] for one in early] == ["2", "1", "0"]
        assert early[0].headers["x-ratelimit-limit-requests"] == "3"
        assert (await beside.get("/api/v1/health")).status_code == 200
        await engine.clock.advance(20)
        assert (await program.get("/api/v1/health")).status_code == 200
        assert (await program.get("/api/v1/health")).status_code == 429


def all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_keys_and_sessions_are_nowhere_in_clear(engine: Engine, app: FastAPI) -> None:
    log = engine.home.log
    word, _ = await a_key(engine, Scope.READ)
    with own_log():
        start_logging(log, LogSettings(level="debug"), console=False)
        async with with_key(app, word) as program, visitor(app) as browser:
            await program.get("/api/v1/health")
            await program.get(f"/api/v1/{word}")
            await browser.post("/sign-in", content=f"word={word}")
            await browser.post("/sign-in", content=f"word={word}x")
            token = browser.cookies[app.state.doors.cookie]
            assert (await browser.get("/api/v1/health")).status_code == 200
    files = all_files(engine.home.path)
    assert log in files
    assert any(path.name.startswith("greenroom.db") for path in files)
    for path in files:
        held = path.read_bytes()
        assert word.encode() not in held, path
        assert token.encode() not in held, path
    assert "sign_in_failed" in log.read_text()


# What pages may


async def test_a_page_changes_something_only_when_it_means_it(page: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"json": {"persona": "nobody", "scene": "x", "key": "1"}}
    assert (await page.post("/api/v1/jobs", **asked)).status_code == 404
    for headers in (
        {"X-Greenroom": ""},
        {"X-Greenroom": "other"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
    ):
        answer = await page.post("/api/v1/jobs", headers=headers, **asked)
        assert problem(answer, 403), headers
    assert (
        await page.post("/api/v1/jobs", headers={"Origin": "http://127.0.0.1:8321"}, **asked)
    ).status_code == 404


async def test_another_page_does_not_read_with_this_browser_s_cookie(page: httpx.AsyncClient) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        problem(await page.get("/api/v1/health", headers=headers), 403)
    linked = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}
    assert (await page.get("/api/v1/health", headers=linked)).status_code == 200


async def test_a_program_with_a_key_needs_no_header_of_a_page(app: FastAPI) -> None:
    async with with_key(app, SECRET) as house:
        answer = await house.post("/api/v1/jobs", json={"persona": "nobody", "scene": "x", "key": "1"})
    assert answer.status_code == 404


# Sockets


@pytest.fixture
async def line(app: FastAPI) -> AsyncIterator[str]:
    """A socket behind the doors, on a real server; it says who it thinks is there."""

    @app.websocket("/api/v1/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        who: Caller = await caller(socket)
        await socket.send_text(f"{who.kind} {who.name}")
        while True:
            await socket.send_text(await socket.receive_text())

    async with served(app) as port:
        yield f"ws://127.0.0.1:{port}/api/v1/echo"


def own(line: str) -> Origin:
    return Origin("http://" + line.removeprefix("ws://").partition("/")[0])


async def refusal(line: str, **how: Any) -> int:
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        async with websockets.connect(line, proxy=None, **how):
            pass
    return refused.value.response.status_code


async def test_a_socket_needs_a_caller_too(line: str) -> None:
    assert await refusal(line) == 401
    assert await refusal(line, additional_headers={"Authorization": "Bearer grk_wrong"}) == 401
    shown = {"Authorization": f"Bearer {SECRET}"}
    async with websockets.connect(line, proxy=None, additional_headers=shown) as socket:
        assert await socket.recv() == "house the house"


async def test_a_socket_from_another_page_is_refused_before_it_opens(
    line: str, page: httpx.AsyncClient
) -> None:
    cookie = {"Cookie": cookie_of(page)}
    for origin in ("http://evil.example", "http://127.0.0.1:1", "http://localhost:8321", "null"):
        assert await refusal(line, additional_headers=cookie, origin=origin) == 403
    assert await refusal(line, additional_headers=cookie) == 403, "a browser says from which page"
    for shown in (cookie, {"Authorization": f"Bearer {SECRET}"}):
        assert await refusal(line, additional_headers=shown | {"Origin": "http://evil.example"}) == 403
    async with websockets.connect(line, proxy=None, additional_headers=cookie, origin=own(line)) as socket:
        assert await socket.recv() == "page the page"


async def test_a_socket_under_a_foreign_name_is_refused(line: str, engine: Engine) -> None:
    port = line.split(":")[2].partition("/")[0]
    shown = f"Authorization: Bearer {SECRET}"
    for host in (f"evil.example:{port}", "", f"127.0.0.1.evil.example:{port}"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(
            f"GET /api/v1/echo HTTP/1.1\r\nHost: {host}\r\n{shown}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 421 " in await reader.readline(), host
        writer.close()
        await writer.wait_closed()


async def test_an_open_socket_is_closed_when_its_caller_is_sent_out(
    line: str, engine: Engine, page: httpx.AsyncClient
) -> None:
    assert isinstance(engine.clock, ManualClock)
    word, key = await a_key(engine, Scope.CHAT)
    by_key = websockets.connect(line, proxy=None, additional_headers={"Authorization": f"Bearer {word}"})
    cookie = {"Cookie": cookie_of(page)}
    by_page = websockets.connect(line, proxy=None, additional_headers=cookie, origin=own(line))
    async with by_key as program, by_page as browser:
        for socket in (program, browser):
            await socket.recv()
        await engine.clock.advance(LOOK_AGAIN)
        for socket in (program, browser):
            await socket.send("still here")
            assert await socket.recv() == "still here"
        await revoked(engine, key)
        await page.post("/api/v1/sign-out")
        await engine.clock.advance(LOOK_AGAIN)
        for socket in (program, browser):
            async with asyncio.timeout(30):
                await socket.wait_closed()
            assert socket.close_code == doors.GOOD_BYE


async def test_a_stream_ends_when_its_caller_is_sent_out(engine: Engine, app: FastAPI) -> None:
    clock = engine.clock
    assert isinstance(clock, ManualClock)
    word, key = await a_key(engine, Scope.READ)
    async with dripping(app, word) as (lines, more):
        await clock.advance(LOOK_AGAIN)
        more.set()
        assert await anext(lines) == "drop"
        await revoked(engine, key)
        await clock.advance(LOOK_AGAIN)
        more.set()
        async with asyncio.timeout(30):
            assert [line async for line in lines] == []


# What no program of good will sends


async def test_hostile_headers_break_nothing(engine: Engine, app: FastAPI) -> None:
    async with served(app) as port:

        async def said(*headers: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            host = b"Host: 127.0.0.1:%d" % port
            writer.write(
                b"\r\n".join([b"GET /api/v1/me HTTP/1.1", host, *headers, b"Connection: close", b"", b""])
            )
            answer = b" 4xx "
            # Who sends far too much is hung up on in the middle of it.
            with suppress(ConnectionResetError, BrokenPipeError):
                async with asyncio.timeout(30):
                    answer = await reader.read()
            writer.close()
            return answer.partition(b"\r\n")[0]

        ours = app.state.doors.cookie.encode()
        for header in (
            b"Cookie: " + ours + b"=" + b"x" * 60_000,
            b"Cookie: " + b"; ".join(ours + b"=%d" % n for n in range(1_500)),
            b"Cookie: " + b";=" * 5_000,
            b"Cookie: " + ours + b"=\xff\xfe\xc3(",
            b"Cookie: " + ours + b'="\\000\\012"',
            b"Authorization: Bearer \xff\xfe",
            b"Authorization: Bearer grk_" + b"A" * 60_000,
            b"Content-Length: 5\r\nAuthorization: Bearer x",
        ):
            assert b" 401 " in await said(header), header[:40]
        many = [b"Authorization: Bearer " + SECRET.encode()] * 200
        assert b" 401 " in await said(*many)
        assert b" 421 " in await said(b"Host: evil.example") or b" 400 " in await said(b"Host: evil.example")
        assert b" 403 " in await said(b"Origin: http://evil.example", *many[:1])
        assert b" 403 " in await said(b"Origin: \xff\xfe", *many[:1])
        assert b" 4" in await said(b"Cookie: " + ours + b"=" + b"x" * 200_000)
        assert b" 200 " in await said(*many[:1])


async def test_who_asks_is_looked_for_once(engine: Engine, app: FastAPI, page: httpx.AsyncClient) -> None:
    """A limit of one a minute would tell if the guard and the route both counted."""
    word, _ = await a_key(engine, Scope.READ, rate=1)
    async with with_key(app, word) as program:
        assert (await program.get("/api/v1/health")).status_code == 200


async def test_a_revoked_key_keeps_its_name(engine: Engine) -> None:
    _, key = await a_key(engine, Scope.READ, name="mine")
    await revoked(engine, key)
    with pytest.raises(Exception, match="was a key called mine"):
        await a_key(engine, Scope.READ, name="mine")
    again = await engine.database.change(partial(keys.revoke, wanted="mine", now=engine.clock.now()))
    assert again.revoked_at is not None
