"""/v1/chat/completions: a persona's next words in a talk that the program keeps, at once or piece by piece.

Whoever hangs up is written for no longer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bot.web.compatible.answers import CompletionOut
from bot.web.compatible.asked import ChatAsked, check, talk_of
from bot.web.compatible.replies import Reply, Stops
from bot.web.compatible.wording import (
    ERRORS,
    STANDS_IN,
    V1,
    HungUpError,
    Talker,
    ended,
    hung_up,
    no_such_model,
    while_there,
)
from bot.web.problems import Spoken, broken, in_openai_s_form
from bot.web.talks import account_of
from engine.engine import Engine
from engine.errors import GreenroomError, NotFound
from engine.language import Source
from engine.locales import Locale

log = structlog.get_logger(__name__)

#: The client closed the connection: nobody reads this answer.
HUNG_UP = Response(status_code=499)
_EVENTS = {"text/event-stream": {"schema": {"type": "string"}}}
_STREAMED = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True)
class Head:
    """What stands in each piece of an answer."""

    id: str
    created: int
    model: str

    def of(self, kind: str, reply: Reply) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": _fingerprint(reply),
        }


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=V1, responses=ERRORS)
    settings = engine.settings
    sees = settings.server.sees and bool(settings.server.address) and settings.language.models != "off"

    @router.post("/chat/completions", responses={200: {"model": CompletionOut, "content": _EVENTS}})
    async def complete(asked: ChatAsked, who: Talker, request: Request, words: Spoken) -> Response:
        """The persona that `model` names answers the last of `messages`. A system message is a note of the scene."""
        check(asked)
        try:
            talk = talk_of(asked, account_of(who), sees=sees)
            wanted = await engine.speaking.wanted(talk)
        except NotFound as error:
            raise no_such_model(asked.model, error.sentence) from None
        head = Head(
            f"chatcmpl-{secrets.token_hex(12)}", int(engine.clock.now().timestamp()), wanted.persona.slug
        )
        reply = Reply(engine.speaking, wanted, Stops(asked.stops))
        reply.begin()
        try:
            # Until the first word nothing is promised: what fails by then has a status of its own.
            first = await while_there(request, reply.more() if asked.stream else reply.whole())
        except HungUpError:
            await reply.close()
            log.info("answer_broken_off", answer=head.id, caller=who.name)
            return HUNG_UP
        except BaseException:
            await reply.close()
            raise
        log.info(
            "answer_begun" if asked.stream else "answer_given",
            answer=head.id,
            persona=head.model,
            source=reply.source.value,
            model=reply.model,
            caller=who.name,
        )
        if asked.stream:
            return Streamed(head, reply, first, words, counts=asked.counts_usage)
        return JSONResponse(_completion(head, reply, first), headers=_headers(head, reply))

    return router


def _completion(head: Head, reply: Reply, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.reason}
    return {**head.of("chat.completion", reply), "choices": [choice], "usage": reply.usage}


def _headers(head: Head, reply: Reply) -> dict[str, str]:
    stands_in = STANDS_IN if reply.source is Source.UNDERSTUDY else {}
    return {"X-Request-Id": head.id, **stands_in}


def _fingerprint(reply: Reply) -> str:
    """The same for as long as the same model writes; programs show that somebody stood in."""
    if reply.source is Source.UNDERSTUDY:
        return Source.UNDERSTUDY.value
    return f"fp_{hashlib.sha256(reply.model.encode()).hexdigest()[:10]}"


class Streamed(Response):
    """The answer as events, each with what came since the last one: a slow reader gets fewer, and all of it."""

    def __init__(self, head: Head, reply: Reply, first: str, words: Locale, *, counts: bool) -> None:
        super().__init__()
        self._head = head
        self._reply = reply
        self._first = first
        self._words = words
        self._counts = counts
        self._told = _STREAMED | _headers(head, reply)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = [(name.lower().encode(), value.encode()) for name, value in self._told.items()]
        telling = asyncio.ensure_future(self._tell(send, named))
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not telling.done():
                log.info("answer_broken_off", answer=self._head.id)
                return
            telling.result()
        finally:
            await ended(telling, gone)
            await self._reply.close()

    async def _tell(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for event in self._events():
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        yield self._event({"role": "assistant", "content": "", "refusal": None})
        # Of the many events only the words differ.
        before, _, behind = self._event({"content": ""}).partition(b'"content":""')
        piece = self._first
        try:
            while True:
                if piece:
                    words = json.dumps(piece, ensure_ascii=False).encode("utf-8", "replace")
                    yield b'%b"content":%b%b' % (before, words, behind)
                if self._reply.ended and not piece:
                    break
                piece = await self._reply.more()
        except Exception as error:
            if not isinstance(error, GreenroomError):
                log.exception("answer_failed", answer=self._head.id)
            told = error.sentence if isinstance(error, GreenroomError) else broken()
            yield _data(in_openai_s_form(500, self._words.says(told)))
            return
        yield self._event({}, reason=self._reply.reason)
        if self._counts:
            head = self._head.of("chat.completion.chunk", self._reply)
            yield _data({**head, "choices": [], "usage": self._reply.usage})
        yield b"data: [DONE]\n\n"

    def _event(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        head = self._head.of("chat.completion.chunk", self._reply)
        return _data({**head, "choices": [choice], **({"usage": None} if self._counts else {})})


def _data(told: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
