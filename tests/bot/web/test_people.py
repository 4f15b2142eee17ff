"""Personas by the API: their page, edits that cannot overwrite each other, revisions, faces, cards in and out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from engine.engine import Engine
from engine.store.records import Scope
from personas.cards import CardFormat, read_card
from tests.bot.web.orders import WHO, made
from tests.bot.web.visitors import a_key, app_of, problem, with_key

pytestmark = pytest.mark.usefixtures("at_work")

AT = f"/api/v1/personas/{WHO}"
OTHER = "irfan-naqvi"


async def page(operator: httpx.AsyncClient) -> dict[str, Any]:
    answer = await operator.get(f"{AT}/page")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_page_shows_all_that_somebody_is(operator: httpx.AsyncClient) -> None:
    [one] = (await made(operator))["pictures"]
    told = await page(operator)
    assert (told["revision"], told["origin"], told["face_picture"]) == (1, "cast", None)
    assert [shot["id"] for shot in told["pictures"]] == [one["id"]]
    persona = told["persona"]
    assert isinstance(persona, dict)
    assert persona["slug"] == WHO
    assert persona["appearance"]["wardrobe"]
    assert (await operator.get(AT)).json()["name"] == "Glenys Prosser"
    problem(await operator.get("/api/v1/personas/nobody-at-all/page"), 404)


async def test_an_edit_is_a_new_revision_and_the_one_before_can_come_back(
    operator: httpx.AsyncClient,
) -> None:
    before = (await page(operator))["persona"]
    assert isinstance(before, dict)
    changed = before | {"occupation": "lighthouse keeper"}
    answer = await operator.put(AT, json={"persona": changed, "revision": 1})
    assert (answer.status_code, answer.json()["revision"]) == (200, 2), answer.text
    assert (await page(operator))["persona"] == changed
    told = (await operator.get(f"{AT}/revisions")).json()["items"]
    assert [(one["number"], one["current"]) for one in told] == [(2, True), (1, False)]
    assert (await operator.get(f"{AT}/revisions/1")).json()["persona"] == before
    back = await operator.post(f"{AT}/revisions/1/restore", json={"revision": 2})
    assert back.json()["revision"] == 3
    assert (await page(operator))["persona"] == before
    paged = (await operator.get(f"{AT}/revisions", params={"limit": 2})).json()
    assert [one["note"] for one in paged["items"]] == ["back to revision 1", "edited by the API"]
    assert paged["next"] == 2
    problem(await operator.get(f"{AT}/revisions/9"), 404)
    problem(await operator.post(f"{AT}/revisions/9/restore"), 404)


async def test_who_was_slower_changes_nothing(operator: httpx.AsyncClient) -> None:
    before = (await page(operator))["persona"]
    assert isinstance(before, dict)
    await operator.put(AT, json={"persona": before | {"home": "Tenby"}, "revision": 1})
    late = await operator.put(AT, json={"persona": before | {"home": "Rhyl"}, "revision": 1})
    assert "Glenys" in problem(late, 409)
    problem(await operator.post(f"{AT}/revisions/1/restore", json={"revision": 1}), 409)
    assert (await operator.get(AT)).json()["home"] == "Tenby"


async def test_an_edit_that_changes_nothing_is_no_revision(operator: httpx.AsyncClient) -> None:
    before = await page(operator)
    answer = await operator.put(AT, json={"persona": before["persona"], "revision": 1})
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
    operator: httpx.AsyncClient, change: dict[str, object], status: int
) -> None:
    before = (await page(operator))["persona"]
    assert isinstance(before, dict)
    assert problem(await operator.put(AT, json={"persona": before | change, "revision": 1}), status)
    assert (await page(operator))["persona"] == before


async def test_a_picture_of_somebody_becomes_their_face_and_no_other(operator: httpx.AsyncClient) -> None:
    [one] = (await made(operator))["pictures"]
    [others] = (await made(operator, persona=OTHER))["pictures"]
    drawn = (await operator.get(f"{AT}/face")).content
    assert (await operator.put(f"{AT}/face", json={"picture": one["id"]})).status_code == 200
    assert (await page(operator))["face_picture"] == one["id"]
    assert (await operator.get(f"{AT}/face")).content != drawn
    problem(await operator.put(f"{AT}/face", json={"picture": others["id"]}), 400)
    problem(await operator.put(f"{AT}/face", json={"picture": 99}), 404)
    problem(await operator.put(f"{AT}/face", json={"picture": 0}), 422)
    assert (await page(operator))["face_picture"] == one["id"]
    await operator.put(f"{AT}/face", json={"picture": None})
    assert (await operator.get(f"{AT}/face")).content == drawn
    await operator.put(f"{AT}/face", json={"picture": one["id"]})
    await operator.delete(f"/api/v1/pictures/{one['id']}")
    assert (await page(operator))["face_picture"] is None


@pytest.mark.parametrize("kind", [one.value for one in CardFormat])
async def test_a_card_goes_out_and_comes_in_again(operator: httpx.AsyncClient, kind: str) -> None:
    card = await operator.get(f"{AT}/card", params={"format": kind})
    assert card.status_code == 200, card.text
    assert f'filename="{WHO}.' in card.headers["content-disposition"]
    assert read_card(card.content, "x").persona.name == "Glenys Prosser"
    lost = json.loads(card.headers["greenroom-left-out"])
    assert bool(lost) == (kind == "v1")
    answer = await operator.post("/api/v1/personas/import", params={"name": "x"}, content=card.content)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["format"], told["origin"], told["persona"]["slug"]) == (kind, "imported", f"{WHO}-2")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\x89PNG\r\n\x1a\nno", b"PK\x03\x04no", b"\xff\xd8\xff", b"[" * 9_000]
)
async def test_what_is_no_card_is_told_in_words(operator: httpx.AsyncClient, data: bytes) -> None:
    assert problem(await operator.post("/api/v1/personas/import", content=data), 400)


async def test_somebody_new_is_written_by_type_or_at_random_and_leaves_again(
    operator: httpx.AsyncClient,
) -> None:
    hint = {"kind": "fitness", "name": "Ada Quill", "seed": 4}
    told = (await operator.post("/api/v1/personas", json=hint)).json()
    assert (told["persona"]["name"], told["persona"]["kind"], told["revision"]) == ("Ada Quill", "fitness", 1)
    assert (await operator.post("/api/v1/personas/random")).status_code == 201
    assert (await operator.post("/api/v1/personas/random", json={"seed": 5})).status_code == 201
    assert (await operator.delete("/api/v1/personas/ada-quill")).status_code == 204
    problem(await operator.get("/api/v1/personas/ada-quill"), 404)
    problem(await operator.post("/api/v1/personas", json={"seed": 2**64}), 422)


async def test_readers_look_and_change_nothing(engine: Engine, operator: httpx.AsyncClient) -> None:
    word, _ = await a_key(engine, Scope.READ)
    persona = (await page(operator))["persona"]
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
