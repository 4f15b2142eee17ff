"""What stands around all routes: names and pages that are ours, what a browser is told, and how much is taken in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from bot.web.origins import Names, bucket_origin, security_headers
from bot.web.walls import MOST_BYTES
from engine.settings import FileSettings, WebSettings
from tests.bot.web.visitors import SECRET, problem, visitor


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8321", True),
        ("LOCALHOST:8321", True),
        ("localhost.:8321", True),
        ("[::1]:8321", True),
        ("127.9.9.9", True),
        ("", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example@127.0.0.1", False),
        ("127.0.0.1:8321:1", False),
        ("127.0.0.1:", False),
        ("127.0.0.1/", False),
        ("127.0.0.1, evil.example", False),
        ("192.168.7.20:8321", False),
        ("0.0.0.0:8321", False),
        ("[::ffff:127.0.0.1]", True),
        ("\u0131ocalhost", False),
    ],
)
def test_on_loopback_only_its_names_are_ours(host: str, ours: bool) -> None:
    assert Names.of(WebSettings()).are_ours(host) is ours


def test_beyond_loopback_so_are_plain_addresses_and_the_operator_s_names() -> None:
    web = WebSettings(host="0.0.0.0", allowed_hosts=("Greenroom.example", "tea.example:8443"))
    names = Names.of(web)
    for host in (
        "192.168.7.20:8321",
        "[fe80::1]",
        "greenroom.example",
        "GREENROOM.example:1",
        "tea.example:8443",
    ):
        assert names.are_ours(host), host
    for host in ("tea.example", "tea.example:1", "evil.greenroom.example", "evil.example", "greenroom"):
        assert not names.are_ours(host), host


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        ("http://127.0.0.1:8321", "127.0.0.1:8321", True),
        ("http://127.0.0.1", "127.0.0.1:80", True),
        ("https://greenroom.example", "greenroom.example", True),
        ("https://greenroom.example", "127.0.0.1:8321", True),  # a proxy that calls us by our own name
        ("http://127.0.0.1:3000", "127.0.0.1:8321", False),
        ("http://localhost:8321", "127.0.0.1:8321", False),
        ("https://greenroom.example:3000", "127.0.0.1:8321", False),
        ("http://evil.example", "127.0.0.1:8321", False),
        ("null", "127.0.0.1:8321", False),
        ("", "127.0.0.1:8321", False),
        ("file://", "127.0.0.1:8321", False),
        ("http://127.0.0.1:8321/", "127.0.0.1:8321", False),
        ("http://evil@127.0.0.1:8321", "127.0.0.1:8321", False),
        ("chrome-extension://127.0.0.1:8321", "127.0.0.1:8321", False),
    ],
)
def test_our_own_pages_are_those_under_the_name_that_was_asked(origin: str, host: str, ours: bool) -> None:
    names = Names.of(WebSettings(allowed_hosts=("greenroom.example",)))
    assert names.is_our_page(origin, host) is ours


async def test_foreign_names_and_pages_are_refused_everywhere(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    for path in ("/", "/sign-in", "/page/app.js", "/api/v1/health", "/nothing", "/files/x"):
        problem(await operator.get(path, headers={"Host": "evil.example"}), 421)
        problem(await operator.get(path, headers={"Origin": "http://evil.example"}), 403)
    own = {"Origin": "http://127.0.0.1:8321"}
    assert (await operator.get("/api/v1/health", headers=own)).status_code == 200
    two = [("Host", "127.0.0.1:8321"), ("Host", "evil.example"), ("Authorization", f"Bearer {SECRET}")]
    problem(await operator.get("/api/v1/health", headers=two), 421)


async def test_a_hook_is_known_by_other_names(operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/hooks/1", headers={"Host": "greenroom.example"}, json={"title": "x"})
    assert "no such webhook" in problem(answer, 401)


async def test_every_answer_says_what_a_browser_may_do_with_it(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    @app.get("/api/v1/breaks")
    async def breaks() -> None:
        raise RuntimeError("as asked")

    statuses = set()
    for path in ("/", "/sign-in", "/api/v1/me", "/api/v1/nothing", "/api/v1/jobs/x", "/api/v1/breaks"):
        answer = await operator.get(path)
        statuses.add(answer.status_code)
        policy = answer.headers["content-security-policy"]
        assert (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;" in policy
        )
        assert "frame-ancestors 'none'; base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
    assert {303, 200, 404, 422, 500} >= statuses >= {200, 404, 422, 500}
    assert "log" in problem(await operator.get("/api/v1/breaks"), 500)
    assert (await operator.get("/api/v1/me")).headers["cache-control"] == "no-store"
    async with visitor(app) as stranger:
        assert "default-src" in (await stranger.get("/api/v1/me")).headers["content-security-policy"]
        refused = await stranger.get("/api/v1/me", headers={"Host": "evil.example"})
        assert "default-src" in refused.headers["content-security-policy"]


async def test_a_route_may_be_stricter(operator: httpx.AsyncClient) -> None:
    answer = await operator.get("/api/v1/personas/glenys/picture")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("told", "origins"),
    [
        ({}, ()),
        ({"public": "https://pictures.example/folder"}, ("https://pictures.example",)),
        ({"store": "s3://bucket", "endpoint": "http://127.0.0.1:9000"}, ("http://127.0.0.1:9000",)),
        ({"store": "s3://bucket", "region": "eu-central-1"}, ("https://s3.eu-central-1.amazonaws.com",)),
        (
            {"store": "s3://b", "endpoint": "https://m\u00fcnchen.example"},
            ("https://xn--mnchen-3ya.example",),
        ),
    ],
)
def test_pictures_may_come_from_the_bucket_that_keeps_them(
    told: dict[str, Any], origins: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if told.get("store"):
        told = told | {"store": "s3://bucket"}
    files = FileSettings(**told)
    assert bucket_origin(files) == origins
    policy = security_headers(files)["Content-Security-Policy"]
    assert " ".join(["img-src 'self' data: blob:", *origins]) + ";" in policy
    policy.encode("latin-1")


async def test_more_than_is_taken_at_once_is_refused_while_it_comes(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    taken = 0

    @app.post("/api/v1/takes")
    async def takes(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 2 * MOST_BYTES:
            taken += 1 << 20
            yield bytes(1 << 20)

    assert (await operator.post("/api/v1/takes", content=b"tea")).json() == {"bytes": 3}
    declared = {"Content-Length": str(MOST_BYTES + 1)}
    problem(await operator.post("/api/v1/takes", headers=declared), 413)
    problem(await operator.post("/api/v1/takes", content=endless()), 413)
    assert taken <= MOST_BYTES + (2 << 20)
