"""The HTTP API under /api/v1: thin over the engine. Every failure of ours is a problem+json with its sentence."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from bot import commands
from bot.desk import Desk
from bot.web import chatting, files, hooks, imagining, runs
from bot.web.chatting import Came
from bot.web.lines import Lines
from engine.engine import Engine
from engine.errors import (
    BadRequest,
    GreenroomError,
    NotFound,
    OverLimit,
    Refused,
    SettingsError,
    StoreError,
    TryAgain,
)
from engine.store import personas

_STATUS: tuple[tuple[type[GreenroomError], int], ...] = (
    (OverLimit, 429),
    (Refused, 403),
    (NotFound, 404),
    (BadRequest, 400),
    (SettingsError, 500),
    (StoreError, 507),
    (TryAgain, 503),
)


def create_app(engine: Engine, desk: Desk, lines: Lines, secret: str, came: Came) -> FastAPI:
    """The API of one house. `came` tells the outbox that somebody is in a chat now."""
    app = FastAPI(title="Greenroom", docs_url=None, redoc_url=None, openapi_url=None)
    guarded = [Depends(_guard(secret))]
    api = APIRouter(prefix="/api/v1", dependencies=guarded)

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"greenroom": "up", "home": str(engine.home.path)}

    @api.get("/vocabulary")
    async def vocabulary() -> dict[str, Any]:
        """What may be typed: the commands, and the names that stand after them."""
        async with engine.database.read() as tx:
            cast = await personas.listing(tx)
        return {
            "commands": [
                {"name": command.name, "usage": command.usage, "says": command.says}
                for command in commands.COMMANDS.values()
                if command.listed
            ],
            "personas": [{"slug": entry.slug, "name": entry.name} for entry in cast],
            "styles": [
                {"slug": style.slug, "name": style.name} for style in engine.imagining.styles.values()
            ],
        }

    api.include_router(chatting.routes(engine, desk, lines, came))
    api.include_router(imagining.routes(engine))
    api.include_router(runs.routes(engine))
    signs = engine.home.link_key()
    api.include_router(files.routes(engine, signs))
    app.include_router(api)
    app.include_router(files.open_routes(engine, signs))
    app.include_router(hooks.open_routes(engine))
    app.add_exception_handler(GreenroomError, _explained)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(Exception, _broken)
    app.middleware("http")(_on_loopback_only)
    return app


def _guard(secret: str) -> Callable[[Request], Awaitable[None]]:
    async def guard(request: Request) -> None:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(shown.encode(), secret.encode()):
            raise HTTPException(401, "The secret of this Greenroom is needed.")

    return guard


async def _on_loopback_only(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """A page somewhere else may make a browser call us under its own name; we answer to ours alone."""
    host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    # Hooks are known by other names at the operator's proxy; no page can make a browser show their secret.
    if host not in ("127.0.0.1", "localhost", "::1") and not request.url.path.startswith("/hooks/"):
        return _problem(421, "This address is not mine.")
    return await answer(request)


async def _explained(_request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _problem(status, str(error))


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, StarletteHTTPException):
        return await _broken(request, error)
    problem = _problem(error.status_code, error.detail)
    problem.headers.update(error.headers or {})
    return problem


async def _broken(_request: Request, _error: Exception) -> Response:
    return _problem(500, "Something went wrong on Greenroom's side; its log says what.")


async def _not_understood(_request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    said = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in problems)
    return _problem(422, said or "That was not understood.")


def _problem(status: int, detail: str) -> Response:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
