"""The server itself: routes, rules and scripts. What it says when nothing is scripted is in `answering`."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.servers.openai.answering import answer_to, vector_of

#: Lines that real servers send between words, and that say nothing.
NOISE = (
    b": keep-alive\n\n",
    b"\n",
    b"event: ping\ndata: {}\n\n",
    b"data: {not json\n\n",
    b"data: [1, 2]\n\n",
    b'data: {"choices": []}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "x"}}]}}]}\n\n',
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}\n\n',
    b"retry: 3000\r\n\r\n",
    'data: {"choices": [{"index": 0, "delta": {"content": ""}}], "x": "\u2028\x85"}\n\n'.encode(),
)


#: A text of more letters is refused where vectors are asked for.
LONGEST_TEXT = 2_000


@dataclass(frozen=True)
class Script:
    """What one call gets."""

    #: The words, as they are streamed; None: what the server says by itself.
    pieces: tuple[str, ...] | None = None
    #: Sent before each piece.
    noise: bytes = b""
    reason: str = "stop"
    #: Bytes leave in chunks of this size, whatever they cut through; 0: an event a chunk.
    chunk: int = 0
    status: int = 200
    #: What stands in the body of a refusal: a text is its message, bytes are all of it.
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The connection breaks after so many pieces.
    breaks_after: int | None = None
    #: The stream ends after all pieces without a word of farewell.
    ends_bare: bool = False
    #: An error stands in the stream after all pieces.
    error: str = ""
    #: Nothing is said before this is set, or before each piece after so many.
    until: asyncio.Event | None = None
    silent_after: int = 0
    #: The server does not stream, whatever is asked.
    whole: bool = False


class OpenAIServer:
    """Opened with `async with` or `open`; `address` is then what goes into `server.address`."""

    def __init__(
        self,
        *,
        models: tuple[str, ...] | None = ("tiny",),
        key: str = "",
        refuses: tuple[str, ...] = (),
        roles: str = "any",
    ) -> None:
        """`refuses` are fields it does not know. `roles`: `any`, `front` (system first, then strictly in turn),
        `no-system`. `models` None: it has no list of them."""
        self.models = models
        self.key = key
        self.refuses = refuses
        self.roles = roles
        self.scripts: deque[Script] = deque()
        self.calls: list[dict[str, Any]] = []
        self.asked_models = 0
        self.left_early = 0
        self.left = asyncio.Event()
        self.called = asyncio.Event()
        self.address = ""
        self._runner: web.AppRunner | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> str:
        """Its address, which goes into `server.address`. Once it is open, nothing changes."""
        async with self._opening:
            if self._runner is None:
                app = web.Application(client_max_size=64 * 1024**2)
                app.router.add_get("/v1/models", self._list)
                app.router.add_post("/v1/chat/completions", self._complete)
                app.router.add_post("/v1/embeddings", self._embed)
                self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
                await self._runner.setup()
                await web.TCPSite(self._runner, "127.0.0.1", 0).start()
                self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self.address

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def script(self, *scripts: Script) -> None:
        """The next calls get these, in this order."""
        self.scripts.extend(scripts)

    def say(self, *pieces: str, **more: Any) -> None:
        """The next call gets these words."""
        self.script(Script(pieces=pieces, **more))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.asked_models += 1
        if refused := self._refused_key(request):
            return refused
        if self.models is None:
            return web.Response(status=404, text="404 page not found")
        listed = [{"id": name, "object": "model"} for name in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        self.calls.append(asked)
        self.called.set()
        if refused := self._refused_key(request) or self._refused(asked):
            return refused
        script = self.scripts.popleft() if self.scripts else Script()
        if script.status != 200:
            return _refusal(script.status, script.body, script.headers)
        pieces = script.pieces if script.pieces is not None else answer_to(asked["messages"])
        try:
            if script.until is not None and not script.silent_after:
                await script.until.wait()
            if script.whole or not asked.get("stream"):
                return _whole(script, pieces)
            return await self._stream(request, script, pieces)
        except (asyncio.CancelledError, ConnectionError):
            self.left_early += 1
            self.left.set()
            raise

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        self.calls.append(asked)
        self.called.set()
        if refused := self._refused_key(request):
            return refused
        if self.models and asked["model"] not in self.models:
            return _refusal(404, f"The model {asked['model']!r} does not exist")
        script = self.scripts.popleft() if self.scripts else Script()
        if script.status != 200:
            return _refusal(script.status, script.body, script.headers)
        if script.body:
            return web.Response(body=script.body, content_type="application/json")
        if long := [text for text in asked["input"] if len(text) > LONGEST_TEXT]:
            return _refusal(400, f"input is longer than the maximum context length: {len(long[0])}")
        vectors = [vector_of(text)[: asked.get("dimensions")] for text in asked["input"]]
        told = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
        read = sum(len(text.split()) for text in asked["input"])
        # The order is nobody's to rely on: there is an index.
        return web.json_response({"object": "list", "data": told[::-1], "usage": {"prompt_tokens": read}})

    async def _stream(
        self, request: web.Request, script: Script, pieces: tuple[str, ...]
    ) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", **script.headers})
        await answer.prepare(request)

        async def send(sent: bytes) -> None:
            size = script.chunk or max(1, len(sent))
            for start in range(0, len(sent), size):
                await answer.write(sent[start : start + size])
                await asyncio.sleep(0)

        for place, piece in enumerate(pieces):
            if place == script.breaks_after:
                assert request.transport is not None
                request.transport.abort()
                return answer
            if script.until is not None and 0 < script.silent_after <= place:
                await script.until.wait()
            await send(script.noise + _event({"content": piece}))
        if script.error:
            await send(f"data: {json.dumps({'error': {'message': script.error, 'code': 500}})}\n\n".encode())
        elif not script.ends_bare:
            await send(_event({}, script.reason) + script.noise + b"data: [DONE]\n\n")
        await answer.write_eof()
        return answer

    def _refused_key(self, request: web.Request) -> web.Response | None:
        told = request.headers.get("Authorization", "")
        if not self.key or told == f"Bearer {self.key}":
            return None
        return _refusal(401, f"Incorrect API key provided: {told.removeprefix('Bearer ')}")

    def _refused(self, asked: Mapping[str, Any]) -> web.Response | None:
        if unknown := [name for name in self.refuses if name in asked]:
            return _refusal(400, f"Unrecognized request argument supplied: {unknown[0]}")
        if self.models and asked.get("model") not in self.models:
            return _refusal(404, f"The model {asked.get('model')!r} does not exist")
        roles = [message["role"] for message in asked["messages"]]
        if self.roles == "no-system" and "system" in roles:
            return _refusal(400, "System role not supported")
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if self.roles != "any" and turns != [("user", "assistant")[n % 2] for n in range(len(turns))]:
            return _refusal(500, "Conversation roles must alternate user/assistant/user/assistant/...")
        return None


def _event(delta: Mapping[str, Any], reason: str | None = None) -> bytes:
    told = {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n".encode()


def _whole(script: Script, pieces: tuple[str, ...]) -> web.Response:
    if script.body:
        return web.Response(body=script.body, headers=script.headers)
    message = {"role": "assistant", "content": "".join(pieces)}
    return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": script.reason}]})


def _refusal(status: int, body: str | bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    if isinstance(body, bytes):
        return web.Response(status=status, body=body, headers=headers)
    told = {"error": {"message": body or f"scripted {status}", "type": "error", "code": status}}
    return web.json_response(told, status=status, headers=headers)
