"""/v1/models: the cast, each a model by its slug; and what turns texts into vectors, where there is such a model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter

from bot.web.compatible.answers import ModelOut, ModelsOut
from bot.web.compatible.wording import ERRORS, V1, Anybody, no_such_model
from bot.web.talks import account_of
from engine.engine import Engine
from engine.errors import NotFound
from engine.store.personas import Entry

OWNER = "greenroom"


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=V1, responses=ERRORS)

    @router.get("/models", response_model=ModelsOut)
    async def listing(who: Anybody) -> dict[str, Any]:
        """Everybody of the cast whom the caller may meet, and what makes embeddings."""
        cast = [_shown(*one) for one in await engine.speaking.cast(account_of(who))]
        return {"object": "list", "data": [*cast, *map(_measure, await engine.embedders.names())]}

    @router.get("/models/{model}", response_model=ModelOut)
    async def model(model: str, who: Anybody) -> dict[str, Any]:
        account = account_of(who)
        if model in await engine.embedders.names():
            return _measure(model)
        try:
            record = await engine.speaking.persona(model, account)
        except NotFound as error:
            raise no_such_model(model, error.sentence) from None
        cast = await engine.speaking.cast(account)
        found = next((one for one in cast if one[0].id == record.id), None)
        if found is None:  # they have left this moment
            raise no_such_model(model, "")
        return _shown(*found)

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


def _measure(name: str) -> dict[str, Any]:
    """Nobody knows when it was made."""
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER, "name": name}
