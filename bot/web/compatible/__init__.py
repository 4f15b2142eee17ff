"""What programs made for OpenAI's API ask of this house: a persona is a model there, and /v1 is the address."""

from __future__ import annotations

from fastapi import APIRouter

from bot.web.compatible.chat import routes as chat
from bot.web.compatible.embeddings import routes as embeddings
from bot.web.compatible.models import routes as models
from bot.web.compatible.pictures import routes as pictures
from engine.engine import Engine


def routes(engine: Engine, signs: bytes) -> APIRouter:
    """`signs` makes the addresses of pictures good for a while."""
    router = APIRouter()
    for each in (models(engine), chat(engine), embeddings(engine), pictures(engine, signs)):
        router.routes += each.routes
    return router
