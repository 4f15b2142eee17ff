"""What programs made for OpenAI's API ask of this house: a persona is a model there, and /v1 is the address."""

from __future__ import annotations

from fastapi import APIRouter

from bot.web.compatible.chat import routes as chat
from bot.web.compatible.embeddings import routes as embeddings
from bot.web.compatible.models import routes as models
from bot.web.compatible.pictures import routes as pictures
from bot.web.compatible.wording import ERRORS
from engine.engine import Engine


def routes(engine: Engine, signs: bytes) -> APIRouter:
    """`signs` makes the addresses of pictures good for a while."""
    router = APIRouter(prefix="/v1", responses=ERRORS)
    router.include_router(models(engine))
    router.include_router(chat(engine))
    router.include_router(embeddings(engine))
    router.include_router(pictures(engine, signs))
    return router
