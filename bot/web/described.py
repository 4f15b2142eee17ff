"""The API's own document, and a page that shows it: each route with the scope it takes, for programs and for people.

What the routes do, it reads off them. Its page is one of ours: nothing of it comes from elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts

from bot.web.callbacks import told
from bot.web.doors import Scope, needs
from bot.web.owners import scopes_of
from bot.web.problems import API
from bot.web.statics import Statics

SAYS = (
    "Everything that this Greenroom can do, for other programs. A key is made by `greenroom keys new NAME --scope …` "
    "and sent as `Authorization: Bearer grk_…`. Lists come page by page: `next` is the `before` of the next page. "
    "What goes wrong is a problem in JSON with a sentence for a person, in the language that `Accept-Language` asks "
    "for where the house speaks it, and so is why nothing came of a job, a post or a feed.\n\n"
    "An order may name a `callback`, an address that is posted to once the job has ended: see `job.ended` in this "
    "document's webhooks. It may be told twice: if this house goes down after it was heard and before it has noted "
    "that, it tells again after the next start, under the same number in X-Greenroom-Delivery. Whoever keeps the "
    "numbers that it has heard does nothing twice."
)
OPENAI_S = "/v1/"
#: What a program answers that is called back.
HEARD = {
    "2XX": {"description": "It was heard."},
    "410": {"description": "Nobody is there any more: it is not told again."},
    "default": {
        "description": "It was not heard, and is told again after growing pauses for nearly a day; no sooner than "
        "Retry-After says. Nobody is followed elsewhere."
    },
}
METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def routes(statics: Statics) -> APIRouter:
    router = APIRouter(prefix=API, include_in_schema=False, dependencies=[Depends(needs(Scope.READ))])
    reading = asyncio.Lock()

    @router.get("/openapi.json")
    async def document(request: Request) -> Response:
        app: FastAPI = request.app
        async with reading:
            if app.openapi_schema is None:
                app.openapi_schema = await asyncio.to_thread(described, app)
        return JSONResponse(app.openapi_schema)

    @router.get("/docs")
    async def page(request: Request) -> Response:
        return await statics.answer(request, "docs.html")

    return router


def described(app: FastAPI) -> dict[str, Any]:
    """The document: as FastAPI writes it, and for each route the scopes of which one is needed."""
    document = get_openapi(
        title="Greenroom",
        version=metadata.version("greenroom"),
        description=SAYS,
        routes=app.routes,
        webhooks=told().routes,
    )
    document.setdefault("components", {})["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key, as `grk_…`."},
        "page": {
            "type": "apiKey",
            "in": "cookie",
            "name": app.state.doors.cookie,
            "description": "A page that is signed in. What changes something takes `X-Greenroom: page` besides.",
        },
    }
    _say_problems_once(document)
    scopes = {
        (method.lower(), route.path_format): list(dict.fromkeys(_scopes(route.dependant)))
        for route in iter_route_contexts(app.routes)
        if isinstance(getattr(route, "dependant", None), Dependant)
        for method in route.methods or ()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in METHODS:
                _say_scope(operation, scopes.get((method, path), []))
                if path.startswith(OPENAI_S):
                    # What does not have the right form is 400 there, as their programs know it.
                    operation["responses"].pop("422", None)
    for operations in document["webhooks"].values():
        for operation in operations.values():
            operation["requestBody"] = {"required": True, "content": operation["responses"]["200"]["content"]}
            operation["responses"] = HEARD
    return document


def _say_problems_once(document: dict[str, Any]) -> None:
    """Each route has the same ones: said at each of them, they are most of the document."""
    once = document["components"].setdefault("responses", {})
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            for status, answer in operation["responses"].items():
                if list(answer.get("content", {})) == ["application/problem+json"]:
                    kept = once.setdefault(f"Problem{status}", answer)
                    if kept == answer:
                        operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}


def _say_scope(operation: dict[str, Any], scopes: list[Scope]) -> None:
    if not scopes:
        return
    operation["security"] = [{"key": []}, {"page": []}]
    operation["x-scope"] = [scope.value for scope in scopes]
    told = f"Scope: {' or '.join(scopes)}."
    operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()


def _scopes(dependant: Dependant) -> Iterator[Scope]:
    for inner in dependant.dependencies:
        yield from scopes_of(inner.call)
        yield from _scopes(inner)
