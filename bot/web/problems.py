"""How the API says that something went wrong: problem+json with a sentence for a person, and its status.

Under /v1, where programs made for OpenAI's API ask, the same is said in OpenAI's form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketState

from bot.web import mistakes
from engine.clock import Clock
from engine.errors import (
    BadRequest,
    Conflict,
    GreenroomError,
    ModelUnavailable,
    NotFound,
    OverLimit,
    Refused,
    SettingsError,
    StoreError,
    TryAgain,
)
from engine.locales import Locale, Said, languages, locale_of, say

STATUS: tuple[tuple[type[GreenroomError], int], ...] = (
    (OverLimit, 429),
    (Refused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (BadRequest, 400),
    (SettingsError, 500),
    (StoreError, 507),
    (ModelUnavailable, 503),
    (TryAgain, 503),
)

#: What 503 means, in the document.
NOT_NOW = (
    "Passing trouble, or no model can answer now. Where it is known, Retry-After says when to come back."
)

_SCHEMA = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for a person."},
        "errors": {
            "type": "array",
            "description": "What each of it is about, where that is known.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "A JSON pointer into what was sent."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

#: Where the API stands.
API = "/api/v1"
#: What every route documents, as `responses=`.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": told, "content": {"application/problem+json": {"schema": _SCHEMA}}}
    for status, told in (
        (400, "Not understood: out of range, or not a thing that is known."),
        (401, "Nobody who is known: a key or a session is needed."),
        (403, "Understood, and not allowed."),
        (404, "What was named is not there."),
        (409, "Somebody was quicker, it is in no state for this, or its key stands for something else."),
        (413, "More was sent than is taken."),
        (421, "This Greenroom is not called so."),
        (422, "What was sent does not have the right form."),
        (429, "Too often, or a quota is used up; Retry-After says when to come back."),
        (503, NOT_NOW),
        (507, "The store cannot be used as it is."),
    )
}

#: Of so many wrong fields it is told. Nobody reads about more, and each holds up the loop.
MOST_TOLD = 100
#: OpenAI's words for what went wrong.
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
#: What Starlette and FastAPI say by themselves, and what it means here.
_THEIRS = {
    (404, HTTPStatus.NOT_FOUND.phrase): "web.nothing_here",
    (405, HTTPStatus.METHOD_NOT_ALLOWED.phrase): "web.not_so",
    # Bytes that are no text, as a rule.
    (400, "There was an error parsing the body"): "web.not_understood",
}


def broken() -> Said:
    """Nobody expected that."""
    return say("web.broken")


def spoken(connection: HTTPConnection) -> Locale:
    """The first language of whoever asks that the house speaks; English for programs that say nothing of it."""
    for told in connection.headers.get("accept-language", "")[:200].split(","):
        code = told.partition(";")[0].strip().lower()
        if code.partition("-")[0] in languages():
            return locale_of(code)
    return locale_of("")


async def _spoken(connection: HTTPConnection) -> Locale:
    return spoken(connection)


#: For a route whose answer holds sentences of the house.
Spoken = Annotated[Locale, Depends(_spoken)]


class Mistake(StarletteHTTPException):
    """A refusal that names what it is about: a field of the request, and a word that programs know it by."""

    def __init__(
        self, status: int, detail: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(status, detail)
        self.param = param
        self.code = code


def answered(
    connection: HTTPConnection,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    param: str | None = None,
    code: str | None = None,
    errors: Sequence[tuple[Sequence[str | int], str]] = (),
) -> Response:
    """The problem, in the form that whoever asked there understands, and in their language.

    `errors`: places, and what is wrong in each.
    """
    words = spoken(connection)
    detail = words.says(detail)
    headers = {"Content-Language": words.code} | dict(headers or {})
    if _is_openai_s(connection):
        return JSONResponse(in_openai_s_form(status, detail, param=param, code=code), status, headers)
    body: dict[str, Any] = {"type": "about:blank", "status": status, "detail": detail}
    if param and not errors:
        errors = ((param.split("."), detail),)
    if errors:
        body["errors"] = [{"pointer": _pointer(place), "detail": words.says(said)} for place, said in errors]
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def _pointer(place: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def in_openai_s_form(
    status: int, detail: str, *, param: str | None = None, code: str | None = None
) -> dict[str, dict[str, str | None]]:
    usual = "server_error" if status >= 500 else "invalid_request_error"
    kind, code = _KINDS.get(status, usual), code or _CODES.get(status)
    return {"error": {"message": detail, "type": kind, "param": param, "code": code}}


def _is_openai_s(connection: HTTPConnection) -> bool:
    return connection.url.path.startswith("/v1/")


def explained(connection: HTTPConnection, error: GreenroomError, clock: Clock) -> Response:
    """An error of ours."""
    status = status_of(error)
    wait = None
    if isinstance(error, OverLimit):
        wait = (error.free_at - clock.now()).total_seconds()
    elif isinstance(error, TryAgain):
        wait = error.after_s
    return answered(connection, status, sentence_of(error), None if wait is None else come_back(wait))


def sentence_of(error: GreenroomError) -> str:
    """What an error says, as a sentence that can be said in other languages where it is one of the house's."""
    return error.sentence


def status_of(error: GreenroomError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def come_back(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def install(app: FastAPI, clock: Clock) -> None:
    """Whatever goes wrong in a route of this app is a problem from now on."""

    async def ours(connection: Request | WebSocket, error: Exception) -> Response | None:
        assert isinstance(error, GreenroomError)  # noqa: S101 - it is registered for these
        return await _shown(connection, explained(connection, error, clock), sentence_of(error))

    async def refused(connection: Request | WebSocket, error: Exception) -> Response | None:
        assert isinstance(error, StarletteHTTPException)  # noqa: S101 - the same
        return await _shown(connection, of_http(connection, error), error.detail)

    async def not_understood(connection: Request | WebSocket, error: Exception) -> Response | None:
        problems = error.errors()[:MOST_TOLD] if isinstance(error, RequestValidationError) else []
        if _is_openai_s(connection):
            return _mistaken(connection, problems)
        detail = mistakes.told(spoken(connection), problems, within=1) or say("web.not_understood")
        # Where something is no JSON, its place is a number of letters, and points nowhere.
        inside = [one for one in problems if one["loc"][:1] == ("body",) and one["type"] != "json_invalid"]
        places = [(one["loc"][1:], mistakes.sentence(one)) for one in inside]
        return await _shown(connection, answered(connection, 422, detail, errors=places), detail)

    # Starlette's types know no handler that a socket has too.
    handlers: Any = (
        (GreenroomError, ours),
        (StarletteHTTPException, refused),
        (RequestValidationError, not_understood),
    )
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


def of_http(connection: HTTPConnection, error: StarletteHTTPException) -> Response:
    param, code = (error.param, error.code) if isinstance(error, Mistake) else (None, None)
    status, detail = error.status_code, error.detail
    if (key := _THEIRS.get((status, detail))) is not None:
        detail = say(key)
    return answered(connection, status, detail, error.headers, param=param, code=code)


def _mistaken(connection: HTTPConnection, problems: Sequence[Any]) -> Response:
    """OpenAI's programs are told of the first thing only, and by 400."""
    if not problems:
        return answered(connection, 400, say("web.not_understood"))
    first = problems[0]
    told = mistakes.told(spoken(connection), [first], within=1)
    return answered(connection, 400, told, param=str(first["loc"][1]) if first["loc"][1:] else None)


async def _shown(connection: Request | WebSocket, answer: Response, detail: str) -> Response | None:
    if isinstance(connection, WebSocket) and connection.application_state is not WebSocketState.CONNECTING:
        # It was let in already: all that can be said is good-bye. A close frame has room for 123 bytes.
        if connection.application_state is WebSocketState.CONNECTED:
            told = spoken(connection).says(detail)
            await connection.close(1011, told.encode()[:120].decode(errors="ignore"))
        return None
    return answer
