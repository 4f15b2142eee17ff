"""/v1/embeddings: texts as vectors, from a model that was made for that. Nothing is cut, and nobody stands in."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from array import array
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from bot.web.compatible.chat import HUNG_UP
from bot.web.compatible.wording import ERRORS, MOST_USER, V1, HungUpError, Talker, no_such_model, while_there
from bot.web.problems import Mistake, sentence_of
from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.language.embeddings import Embedded, Vector
from engine.locales import say

#: As many as OpenAI takes.
MOST_TEXTS = 2_048
_FORMS = ("float", "base64")


class EmbeddingsAsked(BaseModel):
    model: Annotated[str, Field(min_length=1, max_length=200)]
    #: A text, or a list of them.
    input: str | list[Any]
    encoding_format: str | None = None
    dimensions: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    user: Annotated[str, Field(max_length=MOST_USER)] | None = None


class EmbeddingOut(BaseModel):
    object: str
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(BaseModel):
    object: str
    data: list[EmbeddingOut]
    model: str
    usage: EmbeddingUsage


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=V1, responses=ERRORS)

    @router.post("/embeddings", responses={200: {"model": EmbeddingsOut}})
    async def embed(asked: EmbeddingsAsked, _who: Talker, request: Request) -> Response:
        """Each of `input` as a vector of length 1. What is longer than the model reads is refused, and not cut."""
        texts, form = _texts(asked.input), asked.encoding_format or "float"
        if form not in _FORMS:
            raise Mistake(400, say("embeddings.form"), param="encoding_format")
        try:
            embedder = await engine.embedders.named(asked.model)
        except NotFound as error:
            raise no_such_model(asked.model, sentence_of(error)) from None
        try:
            made = await while_there(request, embedder.embed(texts, dimensions=asked.dimensions))
        except HungUpError:
            return HUNG_UP
        except BadRequest as error:
            raise Mistake(400, sentence_of(error), param="input") from None
        body = await asyncio.to_thread(_body, embedder.name, made, form)
        return Response(body, media_type="application/json")

    return router


def _texts(told: str | list[Any]) -> list[str]:
    texts = [told] if isinstance(told, str) else told
    if not texts:
        raise Mistake(400, say("embeddings.nothing"), param="input")
    if any(_is_token(one) or (isinstance(one, list) and all(map(_is_token, one))) for one in texts):
        raise Mistake(400, say("embeddings.tokens"), param="input")
    if not all(isinstance(one, str) for one in texts):
        raise Mistake(400, say("embeddings.texts"), param="input")
    if len(texts) > MOST_TEXTS:
        raise Mistake(400, say("embeddings.too_many", most=MOST_TEXTS), param="input")
    for place, text in enumerate(texts, 1):
        if not text:
            raise Mistake(400, say("embeddings.empty", place=place), param="input")
    return texts


def _is_token(told: Any) -> bool:
    return isinstance(told, int) and not isinstance(told, bool)


def _body(name: str, made: Embedded, form: str) -> bytes:
    """On a thread: thousands of vectors are many numbers."""
    told = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _shown(vector, form)}
            for place, vector in enumerate(made.vectors)
        ],
        "model": name,
        "usage": {"prompt_tokens": made.tokens, "total_tokens": made.tokens},
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _shown(vector: Vector, form: str) -> list[float] | str:
    if form == "float":
        return vector.tolist()
    numbers = vector
    if sys.byteorder == "big":  # programs read it as little machines write it
        numbers = array("f", vector)
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
