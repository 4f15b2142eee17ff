"""How lines end: who is sent out hears it at once, who dies unheard is forgotten, and one look serves all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets
from fastapi import FastAPI, WebSocket

from bot.front import Draft
from bot.house import House, open_house
from bot.web import doors, pages
from bot.web.insiders import LOOK_AGAIN
from bot.web.messages_shown import stamp
from bot.web.watchers import ROOM, Watcher
from engine.engine import Engine
from engine.errors import StoreError
from engine.settings import Settings
from engine.store.records import ChatRef, Scope
from engine.testing import ManualClock
from tests.bot.web.tabs import Visitor, page_of, program_of
from tests.bot.web.visitors import PAGE, a_key, cookie_of, dripping, revoked, served, visitor

HOME = ChatRef("web", "home", "home")


@pytest.fixture
async def line(app: FastAPI) -> AsyncIterator[str]:
    @app.websocket("/api/v1/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    async with served(app) as port:
        yield f"ws://127.0.0.1:{port}/api/v1/echo"


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was")


def front_of(house: House) -> pages.Pages:
    front = house.desk._front(HOME)
    assert isinstance(front, pages.Pages)
    return front


async def fills_up(house: House, messages: int, letters: int) -> int:
    """A chat with so much in it; answers the chat's number."""
    await house.engine.presence.enter(HOME, most=1, wanted="glenys-prosser", tell=False)
    async with house.engine.database.write() as tx:
        chat_id = int((await tx.exec_driver_sql("SELECT id FROM chats WHERE chat = 'home'")).scalar_one())
        for number in range(1, messages + 1):
            await tx.exec_driver_sql(
                "INSERT INTO messages (chat_id, by, name, slug, text, pictures, buttons, revision, gone, created_at)"
                " VALUES (?, 'house', '', '', ?, '[]', '[]', ?, 0, '2026-01-01 00:00:00')",
                (chat_id, "x" * letters, 1_000 + number),
            )
    return chat_id


async def test_who_asked_for_more_than_they_read_and_died_is_forgotten(house: House) -> None:
    chat_id = await fills_up(house, 300, 50_000)
    front = front_of(house)
    async with page_of(house) as page:
        address = page.url.replace("http", "ws", 1) + "/api/v1/live"
        socket = await websockets.connect(address, additional_headers=page._headers, proxy=None, max_queue=1)
        await socket.send(json.dumps({"watch": "chat", "chat": "home", "after": stamp(chat_id, 1)}))
        await until(lambda: front.watchers.are_there(("chat", "home", "home")))
        await asyncio.sleep(0.3)
        socket.transport.abort()
        await until(lambda: not front.watchers.are_there())


async def test_whoever_waits_for_a_watcher_that_is_gone_waits_no_more() -> None:
    watcher = Watcher()
    watcher.fill(str(number) for number in range(ROOM))
    waiting = asyncio.create_task(watcher.not_behind())
    await asyncio.sleep(0)
    assert not waiting.done()
    watcher.close()
    async with asyncio.timeout(30):
        await waiting


async def test_half_a_sign_in_a_draft_leaves_no_tab_deaf(house: House) -> None:
    """A server that streams may cut a sign of two halves in the middle."""
    front = front_of(house)
    async with page_of(house) as page, page.tab() as tab:
        await page.enter("glenys-prosser")
        await tab.watch()
        await front.draft(Draft(HOME, 7, "Look \ud83d"))
        await tab.until("draft", lambda one: one["turn"] == 7)
        await front.draft(Draft(HOME, 7, "Look \U0001f600"))
        await tab.until("draft", lambda one: one["text"] == "Look \U0001f600")


async def test_one_look_serves_all_who_are_in(
    line: str, engine: Engine, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = engine.clock
    assert isinstance(clock, ManualClock)
    word, _ = await a_key(engine, Scope.CHAT)
    other, gone = await a_key(engine, Scope.CHAT)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                websockets.connect(line, proxy=None, additional_headers={"Authorization": f"Bearer {one}"})
            )
            for one in [word] * 8 + [other]
        ]
        for socket in opened:
            await socket.send("here")
            assert await socket.recv() == "here"
        looks = 0
        look = engine.database.look

        async def counted(work: Any) -> Any:
            nonlocal looks
            looks += 1
            return await look(work)

        monkeypatch.setattr(engine.database, "look", counted)
        await clock.advance(LOOK_AGAIN)
        await asyncio.sleep(0.2)
        assert looks == 1
        await revoked(engine, gone)
        await clock.advance(LOOK_AGAIN)
        async with asyncio.timeout(30):
            await opened[-1].wait_closed()
        assert opened[-1].close_code == doors.GOOD_BYE
        for socket in opened[:-1]:
            await socket.send("still here")
            assert await socket.recv() == "still here"
        assert looks == 2


async def test_signing_out_in_one_tab_ends_the_lines_of_the_others_at_once(
    line: str, engine: Engine, app: FastAPI
) -> None:
    """The clock stands still: nobody waits for the next look."""
    async with visitor(app, **{name.replace("-", "_"): value for name, value in PAGE.items()}) as page:
        await page.get("/")
        origin: Any = "http://" + line.removeprefix("ws://").partition("/")[0]
        shown = {"Cookie": cookie_of(page)}
        async with websockets.connect(line, proxy=None, additional_headers=shown, origin=origin) as socket:
            await socket.send("here")
            assert await socket.recv() == "here"
            assert (await page.post("/api/v1/sign-out")).status_code == 204
            async with asyncio.timeout(30):
                await socket.wait_closed()
            assert socket.close_code == doors.GOOD_BYE


async def test_a_store_that_is_silent_for_a_moment_ends_no_stream(
    engine: Engine, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = engine.clock
    assert isinstance(clock, ManualClock)
    word, _ = await a_key(engine, Scope.READ)
    async with dripping(app, word) as (lines, more):

        async def silent(_work: Any) -> Any:
            raise StoreError("The disk says nothing.")

        monkeypatch.setattr(engine.database, "look", silent)
        await clock.advance(LOOK_AGAIN)
        more.set()
        async with asyncio.timeout(30):
            assert await anext(lines) == "drop"


async def test_whoever_asks_or_listens_still_when_the_house_closes_is_hung_up_on(settings: Settings) -> None:
    """What went on behind its end would find a store that is closed."""
    before = asyncio.all_tasks()
    async with open_house(settings) as house, page_of(house) as page:
        chat_id = await fills_up(house, 300, 50_000)
        socket = await connect(page)
        await socket.send(json.dumps({"watch": "chat", "chat": "home", "after": stamp(chat_id, 1)}))
        await until(lambda: front_of(house).watchers.are_there(("chat", "home", "home")))
        port = int(house.address.url.rpartition(":")[2])
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nword=")
        await until(lambda: len(served_now(before)) == 2)
        served_last = served_now(before)
    assert [task for task in served_last if not task.done()] == []
    socket.transport.abort()
    writer.close()


def served_now(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Whoever a server answers just now."""
    return {one for one in asyncio.all_tasks() - before if "run_asgi" in repr(one)}


async def connect(page: Visitor) -> websockets.ClientConnection:
    """A socket that takes little until somebody reads of it."""
    address = page.url.replace("http", "ws", 1) + "/api/v1/live"
    return await websockets.connect(address, additional_headers=page._headers, proxy=None, max_queue=1)


async def test_a_program_opens_so_many_lines_and_no_more(house: House) -> None:
    async with program_of(house, Scope.CHAT) as (ada, _number), AsyncExitStack() as stack:
        for _ in range(doors.MOST_LINES):
            await stack.enter_async_context(ada.tab())
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            await stack.enter_async_context(ada.tab())
        assert refused.value.response.status_code == 429
        async with program_of(house, Scope.CHAT) as (ben, _other), ben.tab() as tab:
            await tab.watch()
