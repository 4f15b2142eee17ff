"""Personas by the API: their page, edits that cannot overwrite each other, revisions, faces, cards in and out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from engine.engine import Engine
from engine.store.records import Scope
from personas.cards import CardFormat, read_card
from tests.bot.web.orders import WHO, made
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, with_key
from tests.working import working

AT = f"/api/v1/personas/{WHO}"
OTHER = "irfan-naqvi"


@pytest.fixture
async def house(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with working(engine), with_key(app_of(engine), SECRET) as operator:
        yield operator


async def page(house: httpx.AsyncClient) -> dict[str, Any]:
    answer = await house.get(f"{AT}/page")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_page_shows_all_that_somebody_is(house: httpx.AsyncClient) -> None:
    [one] = (await made(house))["pictures"]
    told = await page(house)
    assert (told["revision"], told["origin"], told["face_picture"]) == (1, "cast", None)
    assert [shot["id"] for shot in told["pictures"]] == [one["id"]]
    persona = told["persona"]
    assert isinstance(persona, dict)
    assert persona["slug"] == WHO
    assert persona["appearance"]["wardrobe"]
    assert (await house.get(AT)).json()["name"] == "Glenys Prosser"
    problem(await house.get("/api/v1/personas/nobody-at-all/page"), 404)


async def test_an_edit_is_a_new_revision_and_the_one_before_can_come_back(house: httpx.AsyncClient) -> None:
    before = (await page(house))["persona"]
    assert isinstance(before, dict)
    changed = before | {"occupation": "lighthouse keeper"}
    answer = await house.put(AT, json={"persona": changed, "revision": 1})
    assert (answer.status_code, answer.json()["revision"]) == (200, 2), answer.text
    assert (await page(house))["persona"] == changed
    told = (await house.get(f"{AT}/revisions")).json()["items"]
    assert [(one["number"], one["current"]) for one in told] == [(2, True), (1, False)]
    assert (await house.get(f"{AT}/revisions/1")).json()["persona"] == before
    back = await house.post(f"{AT}/revisions/1/restore", json={"revision": 2})
    assert back.json()["revision"] == 3
    assert (await page(house))["persona"] == before
    paged = (await house.get(f"{AT}/revisions", params={"limit": 2})).json()
    assert [one["note"] for one in paged["items"]] == ["back to revision 1", "edited by the API"]
    assert paged["next"] == 2
    problem(await house.get(f"{AT}/revisions/9"), 404)
    problem(await house.post(f"{AT}/revisions/9/restore"), 404)


async def test_who_was_slower_changes_nothing(house: httpx.AsyncClient) -> None:
    before = (await page(house))["persona"]
    assert isinstance(before, dict)
    await house.put(AT, json={"persona": before | {"home": "Tenby"}, "revision": 1})
    late = await house.put(AT, json={"persona": before | {"home": "Rhyl"}, "revision": 1})
    assert "Glenys" in problem(late, 409)
    problem(await house.post(f"{AT}/revisions/1/restore", json={"revision": 1}), 409)
    assert (await house.get(AT)).json()["home"] == "Tenby"


async def test_an_edit_that_changes_nothing_is_no_revision(house: httpx.AsyncClient) -> None:
    before = await page(house)
    answer = await house.put(AT, json={"persona": before["persona"], "revision": 1})
    assert (answer.status_code, answer.json()["revision"]) == (200, 1)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"age": -1}, 422),
        ({"nmae": "Glenys"}, 422),
        ({"rating": "anything"}, 422),
        ({"slug": "somebody-else"}, 400),
        ({"picture": {"style": "none-such"}}, 404),
        ({"name": ""}, 422),
    ],
)
async def test_what_no_persona_can_be_is_refused_in_words(
    house: httpx.AsyncClient, change: dict[str, object], status: int
) -> None:
    before = (await page(house))["persona"]
    assert isinstance(before, dict)
    assert problem(await house.put(AT, json={"persona": before | change, "revision": 1}), status)
    assert (await page(house))["persona"] == before


async def test_a_picture_of_somebody_becomes_their_face_and_no_other(house: httpx.AsyncClient) -> None:
    [one] = (await made(house))["pictures"]
    [others] = (await made(house, persona=OTHER))["pictures"]
    drawn = (await house.get(f"{AT}/face")).content
    assert (await house.put(f"{AT}/face", json={"picture": one["id"]})).status_code == 200
    assert (await page(house))["face_picture"] == one["id"]
    assert (await house.get(f"{AT}/face")).content != drawn
    problem(await house.put(f"{AT}/face", json={"picture": others["id"]}), 400)
    problem(await house.put(f"{AT}/face", json={"picture": 99}), 404)
    problem(await house.put(f"{AT}/face", json={"picture": 0}), 422)
    assert (await page(house))["face_picture"] == one["id"]
    await house.put(f"{AT}/face", json={"picture": None})
    assert (await house.get(f"{AT}/face")).content == drawn
    await house.put(f"{AT}/face", json={"picture": one["id"]})
    await house.delete(f"/api/v1/pictures/{one['id']}")
    assert (await page(house))["face_picture"] is None


@pytest.mark.parametrize("kind", [one.value for one in CardFormat])
async def test_a_card_goes_out_and_comes_in_again(house: httpx.AsyncClient, kind: str) -> None:
    card = await house.get(f"{AT}/card", params={"format": kind})
    assert card.status_code == 200, card.text
    assert f'filename="{WHO}.' in card.headers["content-disposition"]
    assert read_card(card.content, "x").persona.name == "Glenys Prosser"
    lost = json.loads(card.headers["greenroom-left-out"])
    assert bool(lost) == (kind == "v1")
    answer = await house.post("/api/v1/personas/import", params={"name": "x"}, content=card.content)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["format"], told["origin"], told["persona"]["slug"]) == (kind, "imported", f"{WHO}-2")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\x89PNG\r\n\x1a\nno", b"PK\x03\x04no", b"\xff\xd8\xff", b"[" * 9_000]
)
async def test_what_is_no_card_is_told_in_words(house: httpx.AsyncClient, data: bytes) -> None:
    assert problem(await house.post("/api/v1/personas/import", content=data), 400)


async def test_somebody_new_is_written_by_type_or_at_random_and_leaves_again(
    house: httpx.AsyncClient,
) -> None:
    hint = {"kind": "fitness", "name": "Ada Quill", "seed": 4}
    told = (await house.post("/api/v1/personas", json=hint)).json()
    assert (told["persona"]["name"], told["persona"]["kind"], told["revision"]) == ("Ada Quill", "fitness", 1)
    assert (await house.post("/api/v1/personas/random")).status_code == 201
    assert (await house.post("/api/v1/personas/random", json={"seed": 5})).status_code == 201
    assert (await house.delete("/api/v1/personas/ada-quill")).status_code == 204
    problem(await house.get("/api/v1/personas/ada-quill"), 404)
    problem(await house.post("/api/v1/personas", json={"seed": 2**64}), 422)


async def test_readers_look_and_change_nothing(engine: Engine, house: httpx.AsyncClient) -> None:
    word, _ = await a_key(engine, Scope.READ)
    persona = (await page(house))["persona"]
    async with with_key(app_of(engine), word) as reader:
        for path in ("", "/page", "/revisions", "/revisions/1", "/card", "/face"):
            assert (await reader.get(f"{AT}{path}")).status_code == 200
        for method, path, body in (
            ("PUT", "", {"persona": persona, "revision": 1}),
            ("PUT", "/face", {"picture": None}),
            ("DELETE", "", None),
            ("POST", "/revisions/1/restore", None),
        ):
            problem(await reader.request(method, f"{AT}{path}", json=body), 403)
        problem(await reader.post("/api/v1/personas/import", content=b"{}"), 403)
        problem(await reader.post("/api/v1/personas/random"), 403)
