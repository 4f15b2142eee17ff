"""What is the same for all that is asked in OpenAI's words: refusals, who may ask, and whether they still listen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from starlette.requests import Request
from starlette.types import Receive

from bot.web.doors import Caller, Scope, needs
from bot.web.owners import either
from bot.web.problems import NOT_NOW, Mistake
from engine.locales import say

Talker = Annotated[Caller, Depends(needs(Scope.CHAT))]
Maker = Annotated[Caller, Depends(needs(Scope.MAKE))]
#: Whoever may talk, make or read may know who is there.
Anybody = Annotated[Caller, Depends(either(Scope.CHAT, Scope.MAKE, Scope.READ))]

Answer = TypeVar("Answer")

#: What OpenAI's programs call whoever asks: a word of theirs, of this length at most.
MOST_USER = 512
#: Told where somebody stood in: no model could write, or none could paint.
STANDS_IN = {"Greenroom-Stands-In": "yes"}

_NULLABLE = {"type": ["string", "null"]}
_SCHEMA = {
    "title": "OpenAIError",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "A sentence for a person."},
                "type": {"type": "string"},
                "param": _NULLABLE,
                "code": _NULLABLE,
            },
        }
    },
}
#: Where they ask.
V1 = "/v1"
#: What every route here documents, as `responses=`.
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": told, "content": {"application/json": {"schema": _SCHEMA}}}
    for status, told in (
        (400, "Not understood, or nothing that can be had here."),
        (401, "A key is needed."),
        (403, "Understood, and not allowed."),
        (404, "No such model."),
        (413, "More was sent than is taken."),
        (421, "This Greenroom is not called so."),
        (429, "Too often, or a quota is used up; Retry-After says when to come back."),
        (500, "It failed; the sentence says why."),
        (503, NOT_NOW),
        (507, "The store cannot be used as it is."),
    )
}


class HungUpError(Exception):
    """Whoever asked does not wait for the answer any more."""


def no_such_model(name: str, detail: str) -> Mistake:
    detail = detail or say("compatible.no_model", model=name[:40])
    return Mistake(404, detail, param="model", code="model_not_found")


def unsupported(param: str, detail: str) -> Mistake:
    return Mistake(400, detail, param=param, code="unsupported_parameter")


async def while_there(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """What `work` answers. It is broken off where whoever asked hangs up."""
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(hung_up(request.receive))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise HungUpError
        return doing.result()
    finally:
        await ended(doing, gone)


async def hung_up(receive: Receive) -> None:
    """Returns when the other end has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """All of them, now: nothing goes on behind our back."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
