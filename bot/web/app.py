"""The HTTP API and the page: wiring only. Around the routes stand `walls.py`, `doors.py` and `problems.py`."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Depends, FastAPI

from bot.desk import Desk
from bot.front import Front
from bot.parts import Parts
from bot.web import (
    callbacks,
    cast,
    chatting,
    compatible,
    described,
    feeds,
    files,
    gallery,
    health,
    hooks,
    imagining,
    live,
    metrics,
    models,
    people,
    posts,
    problems,
    prompts,
    readiness,
    runs,
    signing_in,
    statics,
    talks,
    telling,
    timetable,
)
from bot.web.chatting import Came
from bot.web.doors import Doors, Guard, Scope, needs
from bot.web.lines import Lines
from bot.web.origins import Names, security_headers
from bot.web.pages import Pages
from bot.web.walls import Walls
from engine.engine import Engine


def create_app(
    engine: Engine,
    desk: Desk,
    lines: Lines,
    pages: Pages,
    secret: str,
    came: Came,
    *,
    parts: Parts | None = None,
    fronts: Sequence[Front] = (),
) -> FastAPI:
    """The API of one house. `came` tells the outbox that somebody is in a chat now; `parts` says what runs."""
    parts = parts or Parts()
    app = FastAPI(title="Greenroom", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    doors = Doors(engine, secret)
    app.state.doors = doors
    signs = engine.home.link_key()

    api = APIRouter(prefix="/api/v1", responses=problems.PROBLEMS)
    api.include_router(signing_in.routes(doors))
    # The operator's own chats, at a terminal.
    api.include_router(
        chatting.routes(engine, desk, lines, came), dependencies=[Depends(needs(Scope.MANAGE))]
    )
    api.include_router(chatting.words(engine))
    api.include_router(talks.routes(engine, desk, pages))
    api.include_router(live.routes(pages))
    api.include_router(cast.routes(engine, desk.faces))
    api.include_router(people.routes(engine))
    api.include_router(gallery.routes(engine))
    api.include_router(imagining.routes(engine))
    api.include_router(callbacks.routes(engine))
    api.include_router(prompts.routes(engine))
    api.include_router(runs.routes(engine))
    api.include_router(timetable.routes(engine))
    api.include_router(posts.routes(engine))
    api.include_router(feeds.routes(engine))
    api.include_router(models.routes(engine))
    api.include_router(health.routes(engine, parts, secret))
    api.include_router(telling.routes(engine))
    api.include_router(files.routes(engine, signs))
    page = statics.Statics()
    api.include_router(described.routes(page))
    # First, because a page asks for dozens of them at once.
    app.include_router(statics.open_routes(page))
    app.include_router(api)
    app.include_router(compatible.routes(engine, signs))
    app.include_router(signing_in.open_routes(doors))
    app.include_router(files.open_routes(engine, signs))
    app.include_router(hooks.open_routes(engine))
    app.include_router(readiness.open_routes(engine, parts, tuple(fronts)))
    app.include_router(metrics.open_routes(engine, pages, parts))

    problems.install(app, engine.clock)
    # From the inside out.
    app.add_middleware(signing_in.Entrance, doors=doors)
    app.add_middleware(Guard, doors=doors)
    app.add_middleware(
        Walls, names=Names.of(engine.settings.web), headers=security_headers(engine.settings.files)
    )
    return app
