"""/v1/models: the cast, each a model by its slug; and what no model here can do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from bot.web.compatible.wording import Anybody, Talker, no_such_model
from bot.web.problems import Mistake
from bot.web.talks import account_of
from engine.engine import Engine
from engine.errors import NotFound
from engine.store.personas import Entry

OWNER = "greenroom"
NO_EMBEDDINGS = "The models of this house talk; none of them makes embeddings."


class EmbeddingsAsked(BaseModel):
    model: str
    input: str | list[Any]


def routes(engine: Engine) -> APIRouter:
    router = APIRouter()

    @router.get("/models")
    async def listing(who: Anybody) -> dict[str, Any]:
        """Everybody of the cast whom the caller may meet."""
        return {
            "object": "list",
            "data": [_shown(*one) for one in await engine.speaking.cast(account_of(who))],
        }

    @router.get("/models/{model}")
    async def model(model: str, who: Anybody) -> dict[str, Any]:
        account = account_of(who)
        try:
            record = await engine.speaking.persona(model, account)
        except NotFound as error:
            raise no_such_model(model, str(error)) from None
        cast = await engine.speaking.cast(account)
        found = next((one for one in cast if one[0].id == record.id), None)
        if found is None:  # they have left this moment
            raise no_such_model(model, "")
        return _shown(*found)

    @router.post("/embeddings")
    async def embeddings(_asked: EmbeddingsAsked, _who: Talker) -> None:
        """Refused: what a model that talks has in its layers is no measure of what a text means."""
        raise Mistake(404, NO_EMBEDDINGS, param="model", code="model_not_found")

    return router


def _shown(entry: Entry, born: datetime) -> dict[str, Any]:
    return {
        "id": entry.slug,
        "object": "model",
        "created": int(born.timestamp()),
        "owned_by": OWNER,
        # Programs that know more than OpenAI's form show this one.
        "name": entry.name,
    }
