"""The cast as the page lists it, page by page, and everybody's face."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image

from bot.house import House
from engine.store import personas
from tests.bot.web.visitors import PAGE


@pytest.fixture
async def page(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has opened the page."""
    async with httpx.AsyncClient(
        base_url=house.address.url, headers=PAGE, trust_env=False, timeout=30
    ) as browser:
        await browser.get("/")
        yield browser


async def slugs(page: httpx.AsyncClient, **asked: str | int) -> list[str]:
    answer = await page.get("/api/v1/personas", params=asked)
    assert answer.status_code == 200, answer.text
    return [item["slug"] for item in answer.json()["items"]]


async def test_everybody_comes_page_by_page_each_once(page: httpx.AsyncClient) -> None:
    everybody = await slugs(page)
    assert len(everybody) == 10
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        told = (await page.get("/api/v1/personas", params={"limit": 4, "before": cursor})).json()
        found += [item["slug"] for item in told["items"]]
        cursor = told["next"]
    assert found == everybody


async def test_somebody_is_found_by_name_by_what_they_do_and_by_tag(page: httpx.AsyncClient) -> None:
    (glenys,) = (await page.get("/api/v1/personas", params={"q": "GLENYS coach"})).json()["items"]
    assert (glenys["name"], glenys["occupation"]) == (
        "Glenys Prosser",
        "strength coach for people over sixty",
    )
    assert await slugs(page, q="glenys baker") == []
    assert await slugs(page, tag=glenys["tags"][0]) != []
    assert await slugs(page, tag="no such tag") == []


async def test_a_face_is_sent_once_and_again_when_it_has_changed(
    house: House, page: httpx.AsyncClient
) -> None:
    first = await page.get("/api/v1/personas/glenys-prosser/face")
    with Image.open(io.BytesIO(first.content)) as picture:
        assert (picture.format, picture.width) == ("PNG", picture.height)
    known = {"If-None-Match": first.headers["etag"]}
    assert (await page.get("/api/v1/personas/glenys-prosser/face", headers=known)).status_code == 304
    async with house.engine.database.write() as tx:
        record = await personas.find(tx, "glenys-prosser")
        changed = record.persona.model_copy(update={"occupation": "lighthouse keeper"})
        await personas.revise(tx, record, changed, note="", now=house.engine.clock.now())
    again = await page.get("/api/v1/personas/glenys-prosser/face", headers=known)
    assert (again.status_code, again.headers["etag"] != first.headers["etag"]) == (200, True)
    assert (await page.get("/api/v1/personas/nobody-at-all/face")).status_code == 404
