"""Requests as no client should send them: broken JSON, bytes that are no text, numbers that fit nowhere."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.bot.web.asking import THERE, Fault, Target

JSON = "application/json"
#: Words that a store, a log line or an answer may stumble over, as JSON has them.
WORDS = (
    r"\u0000",
    r"\ud800",
    r"\udfff\ud800",
    r"\u202e",
    r"\ufffe",
    "",
    " ",
    "a" * 100_001,
    "../../etc/passwd",
)
NUMBERS = (
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "1" * 5_000,
    "1e-400",
)
#: What may stand in the place of an id or a name.
IN_PATHS = (
    "%00",
    "%ff",
    "%ed%a0%80",
    "%F0%9F%98%80",
    "%2e%2e%2f",
    "0",
    "-1",
    "9" * 19,
    "9" * 5_000,
    "1e9",
    "%20",
    "a" * 3_000,
)
BROKEN = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"words"',
    b"\xff\xfe",
    b'{"a": "\xff"}',
    b"\x00",
    b"{" + b'"a":{' * 5_000,
    b"[" * 100_000,
    rb'{"\ud800": 1, "\u0000": 2}',
)
KINDS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense", "")


@dataclass(frozen=True)
class Unfit:
    method: str
    path: str
    body: bytes | None = None
    kind: str = JSON


def requests_of(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Unfit]]:
    """Each with the operation that it is meant for."""
    for template, operations in document["paths"].items():
        for name, operation in operations.items():
            method, path = name.upper(), _filled(template)
            for one in _paths(template, operation, path):
                yield operation, Unfit(method, one, b"{}" if "requestBody" in operation else None)
            if "requestBody" in operation:
                for body in (*BROKEN, *_bodies(operation, document)):
                    yield operation, Unfit(method, path, body)
                for kind in KINDS:
                    yield operation, Unfit(method, path, b"a=b", kind)
            else:
                yield operation, Unfit(method, path, b"{", JSON)


def send(target: Target, operation: dict[str, Any], wanted: Unfit) -> None:
    """Ask it as it stands, byte by byte, and look whether the document knows such an answer."""
    where = urlsplit(target.url)
    line = http.client.HTTPConnection(str(where.hostname), where.port, timeout=20)
    headers = {"Authorization": str(target.callers["key"].headers["Authorization"])}
    if wanted.body is not None and wanted.kind:
        headers["Content-Type"] = wanted.kind
    try:
        line.request(wanted.method, wanted.path, wanted.body, headers)
        answer = line.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        target.faults.append(Fault(_named(wanted), None, repr(error)))
        return
    finally:
        line.close()
    target.statuses[answer.status] += 1
    kind = answer.headers.get_content_type()
    if (says := _wrong(target.document, operation, answer.status, kind, body)) is not None:
        target.faults.append(Fault(_named(wanted), answer.status, says))


def _wrong(
    document: dict[str, Any], operation: dict[str, Any], status: int, kind: str, body: bytes
) -> str | None:
    known = _resolved(operation["responses"].get(str(status), {}), document)
    # A name with a slash in it, or with none, is another address: there is nothing there, or it is asked otherwise.
    if not known and status != 405:
        return f"This status is not documented: {body[:200]!r}"
    if status < 400:
        return None
    if kind not in (known or _resolved(operation["responses"]["404"], document)).get("content", ()):
        return f"It is {kind}: {body[:200]!r}"
    told = json.loads(body)
    said = told["error"]["message"] if "error" in told else told["detail"]
    return None if said else f"It says nothing: {told}"


def _named(wanted: Unfit) -> str:
    return f"{wanted.method} {wanted.path[:200]} {wanted.kind} {(wanted.body or b'')[:120]!r}"


def _filled(template: str, **otherwise: str) -> str:
    def there(found: re.Match[str]) -> str:
        name = found[1].partition(":")[0]
        if name in otherwise:
            return otherwise[name]
        if name.endswith("_id") or name == "number":
            return "1"
        return str(THERE[name][0]) if name in THERE else "home"

    return re.sub(r"{([^}]+)}", there, template)


def _paths(template: str, operation: dict[str, Any], path: str) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        for value in IN_PATHS:
            if parameter["in"] == "path":
                yield _filled(template, **{parameter["name"]: value})
            elif parameter["in"] == "query":
                yield f"{path}?{parameter['name']}={value}"
    yield f"{path}?%ff=%00&=&&a"


def _bodies(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[bytes]:
    """Bodies in which one field each is as it should not be, and all others are left out or right."""
    for content in operation["requestBody"]["content"].values():
        fields = _resolved(content["schema"], document).get("properties", {})
        right = {name: json.dumps(THERE[name][0]) for name in fields if name in THERE}
        right |= {name: '"home"' for name in fields if name == "chat"}
        right |= {name: '"k"' for name in fields if name in ("key", "scene", "text")}
        for name in fields:
            for value in (*(f'"{words}"' for words in WORDS), *NUMBERS, "null", "[[[]]]", "{}", "true"):
                told = right | {name: value}
                yield ("{" + ",".join(f'"{one}":{value}' for one, value in told.items()) + "}").encode()


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        _, _, part, name = schema["$ref"].split("/")
        schema = document["components"][part][name]
    return schema
