"""HTTP on its way in and out: forms, JSON and uploads become fields; results and refusals become answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from aiohttp import BodyPartReader, web

from tests.servers.telegram import rules
from tests.servers.telegram.calls import Upload
from tests.servers.telegram.rules import JSON, Refusal, Rule

PAGE = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n"


async def read(request: web.Request, *, photos: bool) -> tuple[dict[str, object], dict[str, Upload]]:
    """The fields and the uploads of a call, from its address and its body."""
    fields: dict[str, object] = dict(request.query)
    uploads: dict[str, Upload] = {}
    kind = request.content_type
    if kind == "application/json":
        text = await request.text()
        body = json.loads(text) if text else {}
        if not isinstance(body, dict):
            raise Refusal("can't parse JSON object", rule=Rule.WRONG_TYPE)
        fields |= body
    elif kind == "multipart/form-data":
        size = 0
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                continue
            data = bytes(await part.read())
            size += len(data)
            if size > rules.UPLOAD_BYTES + 1024 * 1024:
                raise Refusal("Request Entity Too Large", code=413, rule=Rule.TOO_BIG)
            if part.filename is None:
                fields[part.name] = data.decode()
            else:
                mime = part.headers.get("Content-Type", "application/octet-stream")
                uploads[part.name] = Upload(part.filename, mime, data)
    elif request.can_read_body:
        fields |= {name: str(value) for name, value in (await request.post()).items()}
    if photos:
        for name, upload in uploads.items():
            # Decoding takes milliseconds: the other chats go on meanwhile.
            picture = await asyncio.to_thread(rules.look, upload.data)
            uploads[name] = replace(upload, picture=picture)
    return fields, uploads


def done(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def refused(code: int, description: str, **parameters: int) -> web.Response:
    body: JSON = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return web.json_response(body, status=code)


def limited(seconds: int) -> web.Response:
    return refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def page() -> web.Response:
    return web.Response(status=502, text=PAGE, content_type="text/html")


def hung_up(request: web.BaseRequest) -> bool:
    """Whether nobody listens on the other end any more."""
    return request.transport is None or request.transport.is_closing()


def drop(request: web.BaseRequest) -> web.Response:
    """End the connection without a word. What is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
