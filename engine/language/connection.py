"""The connection to another server that speaks OpenAI's language: its head and its body, and its trouble in words.

What is asked there, and what an answer means, it does not know.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from engine.clock import Clock
from engine.errors import ModelUnavailable
from engine.language.refusals import PassingError, complaint, refusal
from engine.settings import ServerSettings

if TYPE_CHECKING:
    import httpx

#: Nobody waits longer between two tries: if a server wants more time, the next in line answers.
MOST_PAUSE = 30.0
_FIRST_PAUSE = 0.5
_CONNECT_SECONDS = 10.0
#: An answer has so many bytes at most.
_MOST_BYTES = 64 * 1024 * 1024


class Connection:
    """To `server.address`; opened by its first use."""

    def __init__(self, server: ServerSettings, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._address = server.address.strip().rstrip("/")
        self._known: tuple[str, ...] | None = None
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def pause(self, trouble: PassingError, again: int) -> float | None:
        """Before it is asked for the so-manieth time again; None: it is not asked any more."""
        pause = min(_FIRST_PAUSE * 2 ** (again - 1), MOST_PAUSE) if trouble.pause is None else trouble.pause
        return None if again > self._server.tries or pause > MOST_PAUSE else pause

    def forget(self) -> None:
        """What it said of its models may not be so any more."""
        self._known = None

    async def models(self) -> tuple[str, ...]:
        if self._known is not None:
            return self._known
        answer = await self.send("GET", "/models")
        try:
            body = await self.body(answer)
        finally:
            await answer.aclose()
        if answer.status_code in {404, 405, 501}:
            return ()  # not every server has a list; then it has one model, and needs no name
        if not answer.is_success:
            raise self.refusal(answer, self.scrubbed(complaint(body)), "")
        try:
            told = json.loads(body)
            self._known = tuple(str(one["id"]) for one in told["data"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ModelUnavailable(f"What answers at {self.shown} is no OpenAI-compatible server.") from None
        return self._known

    async def send(self, method: str, path: str, payload: Mapping[str, Any] | None = None) -> httpx.Response:
        """The head of an answer, within the patience of the settings; whoever gets it closes it."""
        try:
            client = self._opened()
            request = client.build_request(
                method,
                self._address + path,
                # A lone surrogate in a talk is nothing that UTF-8 can carry.
                content=None
                if payload is None
                else json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace"),
                headers={"Content-Type": "application/json"} if payload is not None else None,
            )
            async with asyncio.timeout(self._server.patience):
                return await client.send(request, stream=True)
        except Exception as error:
            self.failed(error)

    async def body(self, answer: httpx.Response) -> bytes:
        try:
            async with asyncio.timeout(self._server.patience):
                parts, size = [], 0
                async for part in answer.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > _MOST_BYTES:
                        raise ModelUnavailable(f"The server at {self.shown} does not stop talking.")
                return b"".join(parts)
        except Exception as error:
            self.failed(error)

    def _opened(self) -> httpx.AsyncClient:
        import httpx

        if self._closed:
            raise ModelUnavailable("The connection to the model's server is closed.")
        if self._client is None:
            key = self._server.key.get_secret_value().strip()
            if not (key.isascii() and key.isprintable()):
                raise ModelUnavailable("server.key holds characters that no key has: copy it again.")
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {key}"} if key else None,
                # How long words may take is measured by whoever hears them.
                timeout=httpx.Timeout(None, connect=min(_CONNECT_SECONDS, self._server.patience)),
                trust_env=not _is_near(httpx.URL(self._address).host),
            )
        return self._client

    def failed(self, error: Exception) -> NoReturn:
        """Trouble of the connection, in words; nothing of the request in it, for that holds the key."""
        import httpx

        if isinstance(error, ModelUnavailable):
            raise error
        if isinstance(error, TimeoutError):
            raise ModelUnavailable(
                f"The server at {self.shown} said nothing for {self._server.patience:g} seconds; server.patience "
                "sets how long that may be."
            ) from None
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            raise ModelUnavailable(
                f"server.address is {self.shown!r}, and should look like http://127.0.0.1:8080/v1."
            ) from None
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            raise PassingError(
                f"Nobody answers at {self.shown}: is the server running, and is server.address right?"
            ) from None
        if isinstance(error, httpx.HTTPError | httpx.StreamError):
            raise PassingError(
                f"The connection to {self.shown} broke off ({type(error).__name__})."
            ) from None
        if isinstance(error, ValueError):
            raise ModelUnavailable(f"What answers at {self.shown} is no OpenAI-compatible server.") from None
        raise error

    def refusal(self, answer: httpx.Response, told: str, model: str) -> ModelUnavailable:
        return refusal(
            answer.status_code,
            told,
            where=f"The server at {self.shown}",
            model=model,
            retry_after=answer.headers.get("retry-after", ""),
            now=self._clock.now(),
        )

    @property
    def shown(self) -> str:
        """The address without what is secret in it."""
        scheme, slashes, rest = self._address.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"

    def scrubbed(self, told: str) -> str:
        key = self._server.key.get_secret_value().strip()
        return told.replace(key, "…") if key else told


def _is_near(host: str) -> bool:
    """Whether a host is this machine, to which no proxy leads."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
