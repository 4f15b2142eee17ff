"""The API's document and its page: true of every route, behind a door, and nothing of it from elsewhere."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from bot.web import described
from engine.engine import Engine
from engine.store.records import Scope
from tests.bot.web.visitors import PAGE, a_key, app_of, problem, visitor, with_key

AT = "/api/v1/openapi.json"


@pytest.fixture
async def document(operator: httpx.AsyncClient) -> dict[str, Any]:
    answer = await operator.get(AT)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, told)
        for path, all_of_it in document["paths"].items()
        for method, told in all_of_it.items()
        if method in described.METHODS
    ]


async def test_every_route_says_its_scope_and_its_problems(document: dict[str, Any]) -> None:
    by_name = {(method, path): told for method, path, told in operations(document)}
    assert by_name["get", "/api/v1/pictures"]["x-scope"] == ["read", "make"]
    assert by_name["put", "/api/v1/personas/{slug}"]["x-scope"] == ["manage"]
    assert by_name["get", "/api/v1/personas"]["x-scope"] == ["read", "make", "chat"]
    # Who one is, and that one goes, is nobody's to allow.
    free = {"/api/v1/me", "/api/v1/sign-out"}
    for method, path, told in operations(document):
        if path.startswith("/api/v1/") and path not in free:
            assert told.get("x-scope"), (method, path)
            assert {"401", "403", "404", "503"} <= set(told["responses"]), (method, path)


async def test_openai_s_addresses_say_their_scopes_and_what_they_answer(document: dict[str, Any]) -> None:
    ways = {(method, path): told for method, path, told in operations(document) if path.startswith("/v1/")}
    assert ways["get", "/v1/models"]["x-scope"] == ["chat", "make", "read"]
    assert ways["get", "/v1/models/{model}"]["x-scope"] == ["chat", "make", "read"]
    assert ways["post", "/v1/chat/completions"]["x-scope"] == ["chat"]
    assert ways["post", "/v1/images/generations"]["x-scope"] == ["make"]
    for (method, path), told in ways.items():
        assert told["security"], (method, path)
        assert "422" not in told["responses"], "it is 400 there"
        assert "no model can answer" in told["responses"]["503"]["description"], (method, path)
        answered = told["responses"]["200"]["content"]["application/json"]["schema"]
        assert answered.get("$ref") or path == "/v1/embeddings", (method, path)
    assert "text/event-stream" in ways["post", "/v1/chat/completions"]["responses"]["200"]["content"]


async def test_what_whoever_is_called_back_hears_stands_in_the_document(document: dict[str, Any]) -> None:
    told = document["webhooks"]["job.ended"]["post"]
    assert {one["name"] for one in told["parameters"]} == {
        "x-greenroom-event",
        "x-greenroom-delivery",
        "x-greenroom-signature",
    }
    assert "same X-Greenroom-Delivery" in told["description"]
    assert "X-Greenroom-Delivery" in document["info"]["description"]
    body = told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][body]["properties"]["job"]["$ref"].endswith("/JobOut")
    # What is only ever answered has one form.
    assert not [
        name for name in document["components"]["schemas"] if name.endswith(("Out-Input", "Out-Output"))
    ]
    assert set(told["responses"]) == {"2XX", "410", "default"}


async def test_what_the_document_points_to_is_there(document: dict[str, Any]) -> None:
    pointed = set(re.findall(r"'\$ref': '(#/[^']+)'", str(document)))
    assert "#/components/responses/Problem404" in pointed
    for reference in pointed:
        at: Any = document
        for part in reference.split("/")[1:]:
            at = at[part]


async def test_numbers_have_bounds_and_words_a_length(document: dict[str, Any]) -> None:
    ours = ("/pictures", "/personas", "/jobs", "/line", "/callbacks", "/prompts", "/styles")
    loose = []
    for method, path, told in operations(document):
        if not path.removeprefix("/api/v1").startswith(ours) or "/replay" in path or "/against" in path:
            continue
        for one in told.get("parameters", []):
            schemas = one["schema"].get("anyOf", [one["schema"]])
            for schema in schemas:
                if schema.get("type") == "integer" and not {"minimum", "maximum"} <= set(schema):
                    loose.append((method, path, one["name"]))
                known = {"enum", "maxLength", "pattern", "const"} & set(schema)
                if schema.get("type") == "string" and not known:
                    loose.append((method, path, one["name"]))
    # Those of other files of the house.
    others = {"/styles", "/picture", "/link", "/face"}
    assert [one for one in loose if not one[1].endswith(tuple(others))] == []


async def test_the_page_is_ours_and_stands_under_the_policy(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    page = await operator.get("/api/v1/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
    for path in (*loaded, "/page/docs/drawing.js", "/page/docs/schemas.js", "/page/docs/trying.js"):
        async with visitor(app_of(engine), **{"X_Greenroom": "page"}) as browser:
            assert (await browser.get(path, follow_redirects=True)).status_code in (200, 401), path
    scripts = [(await operator.get(path)).status_code for path in loaded if path.startswith("/page/")]
    assert set(scripts) == {200}


async def test_both_are_for_whoever_may_read(engine: Engine) -> None:
    app = app_of(engine)
    async with visitor(app, address="192.0.2.7") as stranger:
        problem(await stranger.get(AT), 401)
        problem(await stranger.get("/api/v1/docs"), 401)
    for scope, status in ((Scope.READ, 200), (Scope.CHAT, 403)):
        word, _ = await a_key(engine, scope)
        async with with_key(app, word) as program:
            assert (await program.get(AT)).status_code == status
            assert (await program.get("/api/v1/docs")).status_code == status


async def test_a_browser_that_opened_the_page_reads_it_too(engine: Engine) -> None:
    headers = {name.replace("-", "_"): value for name, value in PAGE.items()}
    async with visitor(app_of(engine), **headers) as browser:
        await browser.get("/")
        assert (await browser.get(AT)).json()["info"]["title"] == "Greenroom"
