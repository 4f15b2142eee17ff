"""The route at which others knock: an event told to a hook becomes a post. Who shows the hook's secret is let in.

What becomes of the event, and what a hook is, the engine knows.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from bot.web.problems import PROBLEMS, Mistake, come_back
from bot.web.rates import Rates
from bot.web.walls import body_of
from engine.engine import Engine
from engine.feeds import LONGEST_LINK, LONGEST_TEXT, LONGEST_TITLE, link_of, plain
from engine.locales import FromNow, Said, say
from engine.newsroom import event

#: So many bytes one event has at most.
MOST_BYTES = 64 * 1024
#: So often a minute a hook is heard, and so often all who knock with a wrong secret are answered.
MOST_KNOCKS = 30

Link = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_LINK)]


class HookEvent(BaseModel):
    """What a hook may be told."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TITLE)]
    text: Annotated[str, StringConstraints(max_length=20_000)] = ""
    link: Link = ""
    image: Link = ""
    #: What makes it the same when it is told again; without it, all that it says does.
    id: Annotated[str, Field(max_length=200)] = ""

    @field_validator("link", "image")
    @classmethod
    def _leads_somewhere(cls, told: str) -> str:
        if told and not link_of(told):
            raise PydanticCustomError("no_address", "write it as https://host/path")
        return told


class Posted(BaseModel):
    """A post comes of it."""

    post: int


class NotPosted(BaseModel):
    """It was heard, and no post comes of it: it is `known`, or is not wanted."""

    post: None
    known: bool


#: The body is read by hand, so that nobody is listened to for long before their secret is right.
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": HookEvent.model_json_schema()}},
    },
    "security": [],
}


def open_routes(engine: Engine) -> APIRouter:
    """For whoever has the secret of a hook, and nobody's else."""
    router = APIRouter()
    knocks = Rates(engine.clock)
    #: All who are wrong stand in one line, so that they take nobody's place who is right, and no memory.
    wrong = 0

    @router.post(
        "/hooks/{hook_id}",
        status_code=202,
        response_model=Posted,
        responses=PROBLEMS | {200: {"model": NotPosted}},
        openapi_extra=_BODY,
        tags=["posts"],
    )
    async def hook(hook_id: int, request: Request) -> Response:
        body = await body_of(request, MOST_BYTES, _too_large())
        feed = await engine.newsroom.knocked(
            hook_id,
            secret=request.headers.get("x-greenroom-secret", ""),
            signature=request.headers.get("x-greenroom-signature", ""),
            body=body,
        )
        if wait := knocks.wait(feed.id if feed is not None else wrong, MOST_KNOCKS):
            again = come_back(wait)
            when = FromNow(seconds=int(again["Retry-After"]))
            raise HTTPException(429, say("web.hook.too_often", n=MOST_KNOCKS, when=when), again)
        if feed is None:
            raise HTTPException(401, say("web.hook.unknown"))
        told = _told(body)
        # Nothing of a title may be left when its tags are gone.
        title = plain(told.title, LONGEST_TITLE)
        if not title:
            raise Mistake(422, say("mistakes.no_words"), param="title")
        taken = await engine.newsroom.hear(
            feed,
            event(
                title=title,
                text=plain(told.text, LONGEST_TEXT),
                link=link_of(told.link),
                picture=link_of(told.image),
                name=f"id:{told.id}" if told.id else hashlib.sha256(body).hexdigest(),
            ),
        )
        if taken.refused:
            raise HTTPException(403, say("web.hook.unwelcome"))
        if taken.posted:
            return JSONResponse({"post": taken.posted[0].id}, status_code=202)
        return JSONResponse({"post": None, "known": bool(taken.known)})

    return router


def _told(body: bytes) -> HookEvent:
    try:
        return HookEvent.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestValidationError([one | {"loc": ("body", *one["loc"])} for one in found]) from None


def _too_large() -> Said:
    return say("web.hook.too_large", kilobytes=MOST_BYTES // 1024)
