"""The HTTP API and the page: wiring only. Around the routes stand `walls.py`, `doors.py` and `problems.py`."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

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
from bot.web.doors import Doors, Guard
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

    page = statics.Statics()
    for router in (
        # First, because a page asks for dozens of them at once.
        statics.open_routes(page),
        signing_in.routes(doors),
        chatting.routes(engine, desk, lines, came),
        chatting.words(engine),
        talks.routes(engine, desk, pages),
        live.routes(pages),
        cast.routes(engine, desk.faces),
        people.routes(engine),
        gallery.routes(engine),
        imagining.routes(engine),
        callbacks.routes(engine),
        prompts.routes(engine),
        runs.routes(engine),
        timetable.routes(engine),
        posts.routes(engine),
        feeds.routes(engine),
        models.routes(engine),
        health.routes(engine, parts, secret),
        telling.routes(engine),
        files.routes(engine, signs),
        described.routes(page),
        compatible.routes(engine, signs),
        signing_in.open_routes(doors),
        files.open_routes(engine, signs),
        hooks.open_routes(engine),
        readiness.open_routes(engine, parts, tuple(fronts)),
        metrics.open_routes(engine, pages, parts),
    ):
        # Not included: FastAPI then makes each route three times, and looks through them twice for each request.
        app.router.routes += router.routes

    problems.install(app, engine.clock)
    # From the inside out.
    app.add_middleware(signing_in.Entrance, doors=doors)
    app.add_middleware(Guard, doors=doors)
    app.add_middleware(
        Walls, names=Names.of(engine.settings.web), headers=security_headers(engine.settings.files)
    )
    return app
