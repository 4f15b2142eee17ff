"""The other end of the house's API: what the command line speaks to the owner of the home.

`reach` finds the owner, or becomes it: whoever calls it need not know which.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from engine.errors import (
    BadRequest,
    GreenroomError,
    HomeInUse,
    NotFound,
    Refused,
    StoreError,
)
from engine.home import Address, Home
from engine.settings import Settings

Message = dict[str, Any]

#: How long another process may take from owning the home to listening.
OPENING_SECONDS = 10.0


class GoneError(GreenroomError):
    """The owner of the home stopped, or does not answer."""


_KINDS: dict[int, type[GreenroomError]] = {
    400: BadRequest,
    401: GoneError,  # somebody else listens there now: its secret is another
    403: Refused,
    404: NotFound,
    409: BadRequest,
    422: BadRequest,
    429: Refused,
    507: StoreError,
}


class Client:
    """A caller at the house's door."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._http = httpx.AsyncClient(
            base_url=f"{address.url}/api/v1",
            headers={"Authorization": f"Bearer {address.secret}"},
            timeout=httpx.Timeout(30.0, read=None),
            trust_env=False,  # no proxy stands between a machine and itself
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, **body: Any) -> Any:
        # What a terminal could not decode is a lone surrogate here, which no UTF-8 can carry.
        told = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return await self._ask("POST", path, content=told, headers={"Content-Type": "application/json"})

    async def picture(self, picture_id: int) -> bytes:
        answer = await self._send("GET", f"/pictures/{picture_id}")
        return answer.content

    async def enter(self, chat: str, persona: str = "") -> Message:
        entered: Message = await self.post(f"/chats/{quote(chat)}/enter", persona=persona)
        return entered

    async def live(self, path: str) -> AsyncIterator[Message]:
        """One message a line, for as long as the house sends them."""
        try:
            async with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _worded(answer)
                async for line in answer.aiter_lines():
                    yield json.loads(line)
        except (httpx.TransportError, json.JSONDecodeError) as error:
            raise GoneError("Greenroom has stopped.") from error

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await self._send(method, path, **more)
        return answer.json() if answer.content else None

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise GoneError(f"Greenroom at {self.address.url} does not answer.") from error
        if answer.is_error:
            raise _worded(answer)
        return answer


def _worded(answer: httpx.Response) -> GreenroomError:
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"Greenroom answered {answer.status_code}."
    return _KINDS.get(answer.status_code, GreenroomError)(detail)


@asynccontextmanager
async def reach(settings: Settings) -> AsyncIterator[Client]:
    """The owner of the home, wherever it is; where there is none, this process is it for as long as it takes."""
    async with AsyncExitStack() as stack:
        address = Home(settings.home).owner() or await _own_or_wait(settings, stack)
        client = Client(address)
        stack.push_async_callback(client.close)
        yield client


async def _own_or_wait(settings: Settings, stack: AsyncExitStack) -> Address:
    """Become the owner; or, where another just becomes it, wait until it says where it listens."""
    from bot.house import open_house

    home = Home(settings.home)
    until = time.monotonic() + OPENING_SECONDS
    while True:
        try:
            return (await stack.enter_async_context(open_house(settings))).address
        except HomeInUse:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)
        if (owner := home.owner()) is not None:
            return owner
