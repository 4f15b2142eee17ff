"""A browser with its tabs, and programs with keys, at a house that is really open: HTTP and sockets over loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bot.house import House
from engine.store.records import Scope
from tests.bot.web.visitors import PAGE, a_key

Happening = dict[str, Any]

_numbers = count(1)


class Tab:
    """One socket, and all that it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[Happening] = []
        #: What stands in its chats, as the page keeps it: by id, changed in place.
        self.messages: dict[int, Happening] = {}
        self.revision = 0
        self.closed: int | None = None
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def texts(self) -> list[str]:
        return [message["text"] for _id, message in sorted(self.messages.items())]

    async def say(self, **said: Any) -> None:
        await self.socket.send(json.dumps(said))

    async def watch(self, chat: str = "home", after: int = 0) -> None:
        await self.say(watch="chat", chat=chat, after=after)
        await self.until("caught_up")

    async def until(
        self, kind: str, wanted: Callable[[Happening], bool] = lambda _one: True, *, start: int = 0
    ) -> Happening:
        """The first of its kind that was told, or will be; `start` passes over what was told before."""
        async with asyncio.timeout(20):
            seen = start
            while True:
                while seen < len(self.told):
                    one = self.told[seen]
                    seen += 1
                    if one["is"] == kind and wanted(one):
                        return one
                if self.closed is not None:
                    raise AssertionError(f"closed with {self.closed} before any {kind}: {self.told}")
                self._news.clear()
                await self._news.wait()

    async def message(self, wanted: Callable[[Happening], bool], *, start: int = 0) -> Happening:
        found = await self.until("message", lambda one: wanted(one["message"]), start=start)
        message: Happening = found["message"]
        return message

    async def ends(self) -> int:
        """How the other end closed it."""
        async with asyncio.timeout(20):
            await asyncio.wait([self._reading])
        assert self.closed is not None
        return self.closed

    async def close(self) -> None:
        await self.socket.close()
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def looks_away(self) -> None:
        """It reads nothing any more."""
        self._reading.cancel()

    def looks_again(self) -> None:
        self.closed = None
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                one = json.loads(text)
                self.told.append(one)
                if one["is"] == "message":
                    self.messages[one["message"]["id"]] = one["message"]
                elif one["is"] == "gone":
                    self.messages.pop(one["id"], None)
                if revision := one.get("revision", one.get("message", {}).get("revision", 0)):
                    self.revision = max(self.revision, revision)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self.closed = self.socket.close_code or 0
            self._news.set()


class Visitor:
    """Somebody with the means to ask, and to open tabs."""

    def __init__(self, url: str, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.url = url
        self.http = http
        self._headers = headers

    @asynccontextmanager
    async def tab(self, **more: Any) -> AsyncIterator[Tab]:
        address = self.url.replace("http", "ws", 1) + "/api/v1/live"
        async with connect(address, additional_headers=self._headers, proxy=None, **more) as socket:
            opened = Tab(socket)
            try:
                yield opened
            finally:
                await opened.close()

    async def enter(self, persona: str = "", chat: str = "home") -> Happening:
        return told(await self.http.post("/talks", json={"persona": persona, "chat": chat}), 200)

    async def says(self, text: str, *, chat: str = "home", key: str = "") -> Happening:
        said = {"text": text, "key": key or f"k{next(_numbers)}"}
        return told(await self.http.post(f"/talks/{chat}/messages", json=said), 202)

    async def presses(
        self, message: Happening, button: str, *, chat: str = "home", words: str = "", status: int = 202
    ) -> Happening:
        pressed = {"message": message["id"], "button": button, "key": f"k{next(_numbers)}", "words": words}
        return told(await self.http.post(f"/talks/{chat}/press", json=pressed), status)

    async def stands(self, chat: str = "home", **asked: Any) -> Happening:
        return told(await self.http.get(f"/talks/{chat}/messages", params=asked), 200)


def told(answer: httpx.Response, status: int) -> Happening:
    assert answer.status_code == status, answer.text
    found: Happening = answer.json()
    return found


@asynccontextmanager
async def page_of(house: House) -> AsyncIterator[Visitor]:
    """A browser at this machine that opened the page, and is let in by that."""
    url = house.address.url
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=PAGE, trust_env=False, timeout=20) as http:
        await http.get(f"{url}/")
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
        yield Visitor(url, http, {"Cookie": cookie, "Origin": url})


@asynccontextmanager
async def program_of(house: House, *scopes: Scope) -> AsyncIterator[tuple[Visitor, int]]:
    """A program with a new key; and the key's number."""
    word, key = await a_key(house.engine, *scopes)
    shown = {"Authorization": f"Bearer {word}"}
    url = house.address.url
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1", headers=shown, trust_env=False, timeout=20
    ) as http:
        yield Visitor(url, http, shown), key.id


async def answered(tab: Tab, heard: Happening) -> Happening:
    """A persona's words behind those that were heard."""
    return await tab.message(lambda one: one["by"] == "persona" and one["id"] > heard["message"]["id"])


def buttons(message: Happening) -> dict[str, str]:
    """The labels of a message's buttons by their ids."""
    return {one["id"]: one["label"] for row in message["buttons"] for one in row}
