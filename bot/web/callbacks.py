"""The routes of callbacks: what became of those that somebody asked for with a job, and what signs them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel

from bot.web.doors import Scope
from bot.web.owners import Maker
from bot.web.problems import API, PROBLEMS, Spoken
from bot.web.shapes import Before, JobOut, Limit, Page, page_of
from engine.engine import Engine
from engine.locales import Locale
from engine.store import callbacks
from engine.store.records import Callback, CallbackState


class CallbackOut(BaseModel):
    id: int
    job: int
    address: str
    state: CallbackState
    attempts: int
    #: Why it was not heard last.
    error: str
    created_at: str
    #: When it is tried again.
    again_at: str | None


class SecretOut(BaseModel):
    #: X-Greenroom-Signature is `sha256=` and, in hex, the HMAC-SHA256 of the body with this.
    secret: str


class JobEnded(BaseModel):
    """What is posted to a callback's address."""

    event: Literal["job.ended"]
    #: The same as in X-Greenroom-Delivery.
    id: int
    job: JobOut


def told() -> APIRouter:
    """What this house tells others, for the API's document: nobody comes in here.

    The body is written down as an answer, for it is we who write it; the document turns that round.
    """
    router = APIRouter(tags=["jobs"])

    @router.post("job.ended", response_model=JobEnded)
    async def job_ended(
        x_greenroom_event: Annotated[Literal["job.ended"], Header()],
        x_greenroom_delivery: Annotated[int, Header(description="The same however often it is told.")],
        x_greenroom_signature: Annotated[
            str,
            Header(
                description="`sha256=` and the HMAC-SHA256 of the body, as `/api/v1/callbacks/secret` says."
            ),
        ],
    ) -> None:
        """A job has ended that was ordered with a `callback`: done, failed or cancelled.

        It is told at least once. Told again after no answer, after one that is not 2xx, or after this house went down
        between the answer and its note of it, it has the same X-Greenroom-Delivery: a number that was heard before
        is answered 2xx, and nothing is done. What is signed is the body as it came, byte by byte.
        """

    return router


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=f"{API}/callbacks", responses=PROBLEMS, tags=["jobs"])

    @router.get("", response_model=Page[CallbackOut])
    async def listing(who: Maker, words: Spoken, before: Before = None, limit: Limit = 50) -> dict[str, Any]:
        """The newest first: a key's own, or for whoever may manage all of them.

        `id` is the number that X-Greenroom-Delivery shows. One that is `owed` may have been heard already: see
        `job.ended`.
        """
        found = await engine.database.look(
            partial(
                callbacks.listing,
                key_id=who.key_id,
                every=who.may(Scope.MANAGE),
                before=before,
                most=limit + 1,
            )
        )
        return page_of(found, limit, [_shown(one, words) for one in found])

    @router.get("/secret", response_model=SecretOut)
    async def secret(who: Maker) -> dict[str, str]:
        """What signs whatever this caller is told at an address of theirs."""
        return {"secret": engine.callbacks.secret(who.key_id)}

    return router


def _shown(one: Callback, words: Locale) -> dict[str, Any]:
    return {
        "id": one.id,
        "job": one.job_id,
        "address": one.address,
        "state": one.state,
        "attempts": one.attempts,
        "error": words.says(one.error),
        "created_at": one.created_at.isoformat(),
        "again_at": one.available_at.isoformat() if one.available_at else None,
    }
