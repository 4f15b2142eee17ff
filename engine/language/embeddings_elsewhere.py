"""Vectors from another server that speaks OpenAI's language: `/embeddings` of llama-server, vLLM, Ollama, a host."""

from __future__ import annotations

import asyncio
import base64
import json
from array import array
from collections.abc import Sequence
from typing import Any

from engine.clock import Clock, SystemClock
from engine.errors import BadRequest, ModelUnavailable
from engine.language.connection import Connection
from engine.language.embeddings import Embedded, Vector, unit
from engine.language.refusals import PassingError, complaint
from engine.locales import say
from engine.settings import ServerSettings
from personas.lorebook import CHARS_PER_TOKEN

#: So many texts are sent at once.
MOST_SENT = 256
#: Whoever asked is to blame, says the server.
_THEIRS = frozenset({400, 413, 422})


class Elsewhere:
    """An `Embedder` at `server.address`."""

    def __init__(self, server: ServerSettings, clock: Clock | None = None) -> None:
        self._model = server.embeddings
        self._clock = clock or SystemClock()
        self._there = Connection(server, self._clock)

    @property
    def name(self) -> str:
        return self._model

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        for place, text in enumerate(texts, 1):
            if not text:
                raise BadRequest(say("embeddings.empty", place=place))
        parts = [
            await self._part(texts[start : start + MOST_SENT], dimensions)
            for start in range(0, len(texts), MOST_SENT)
        ]
        vectors = tuple(vector for part in parts for vector in part.vectors)
        if len({len(vector) for vector in vectors}) > 1 or dimensions not in (None, len(vectors[0])):
            raise ModelUnavailable(
                f"{self._where} answered with vectors of another length than was asked for."
            )
        return Embedded(vectors, sum(part.tokens for part in parts))

    async def close(self) -> None:
        await self._there.close()

    async def _part(self, texts: Sequence[str], dimensions: int | None) -> Embedded:
        """Asked for again after passing trouble."""
        again = 0
        while True:
            try:
                return await self._once(texts, dimensions)
            except PassingError as trouble:
                again += 1
                pause = self._there.pause(trouble, again)
                if pause is None:
                    raise ModelUnavailable(str(trouble)) from None
            await self._clock.sleep(pause)

    async def _once(self, texts: Sequence[str], dimensions: int | None) -> Embedded:
        payload: dict[str, Any] = {"model": self._model, "input": list(texts)}
        if dimensions is not None:
            payload["dimensions"] = dimensions
        answer = await self._there.send("POST", "/embeddings", payload)
        try:
            body = await self._there.body(answer)
        finally:
            await answer.aclose()
        if answer.is_success:
            # Hundreds of vectors are many numbers, and others' words stream on the loop meanwhile.
            return await asyncio.to_thread(self._understood, body, texts)
        told = self._there.scrubbed(complaint(body))
        if answer.status_code in _THEIRS:
            raise BadRequest(say("embeddings.not_taken", where=self._there.shown, told=told[:300]))
        if answer.status_code in {404, 405, 501}:
            raise ModelUnavailable(
                f"{self._where} makes no vectors, or has no model {self._model!r} ({answer.status_code}): "
                "server.embeddings must be a name from its list of models."
            )
        raise self._there.refusal(answer, told, self._model)

    def _understood(self, body: bytes, texts: Sequence[str]) -> Embedded:
        try:
            told = json.loads(body)
            found = {int(one.get("index", place)): one for place, one in enumerate(told["data"])}
            vectors = tuple(_vector(found[place]["embedding"]) for place in range(len(texts)))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ModelUnavailable(
                f"{self._where} answered with something else than a vector for each text."
            ) from None
        return Embedded(vectors, _tokens(told, texts))

    @property
    def _where(self) -> str:
        return f"The server at {self._there.shown}"


def _vector(told: Any) -> Vector:
    if not isinstance(told, str):
        return unit(map(float, told))
    numbers = array("f")
    numbers.frombytes(base64.b64decode(told, validate=True))
    return unit(numbers)


def _tokens(told: dict[str, Any], texts: Sequence[str]) -> int:
    usage = told.get("usage")
    read = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if isinstance(read, int) and read > 0:
        return read
    return -(-sum(map(len, texts)) // CHARS_PER_TOKEN)
