"""Every view beside the chat: on a phone, in the dark, to whoever hears it, with hostile words; models and health."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.house import House
from engine.store import personas
from engine.testing import FakeLanguage
from personas.persona import Persona
from tests.browser.tabs import Visitor, ask, axe_finds_nothing, begin, stands, visit
from tests.browser.test_pictures_seen import painted
from tests.servers.hub import Hub
from tests.servers.hub.tiny import tiny_hub

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = '<img src=x onerror="window.hit=1">Mallory'
WORDS = f'<script>window.hit=1</script><svg onload="window.hit=1"> {"w" * 300} javascript:window.hit=1'


#: In bytes: enough that half of it is something.
SIZE = 200_000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with tiny_hub(monkeypatch, tmp_path, SIZE) as opened:
        yield opened


async def a_full_house(house: House, page: Any) -> list[str]:
    """Somebody hostile, with pictures, a revision, schedules and a run; answers the addresses of all views."""
    async with house.engine.database.write() as tx:
        mallory = Persona(slug="mallory", name=NAME, occupation=WORDS[:200], description=WORDS, tags=(NAME,))
        await personas.take_in(tx, mallory, origin="imported", now=house.engine.clock.now())
    await page.reload()
    await begin(page, NAME)
    number = await painted(page, "mallory", WORDS[:400], negative=WORDS)
    await ask(page, "POST", f"/pictures/{number}/again", {"changes": {"seed": 5}, "key": "again"})
    told = await ask(page, "GET", "/personas/mallory/page")
    changed = told["persona"] | {"scenario": WORDS}
    await ask(page, "PUT", "/personas/mallory", {"persona": changed, "revision": told["revision"]})
    wanted = {"words": "daily 09:00", "chat": "web:home:home", "theme": WORDS, "approval": "skip"}
    await ask(page, "POST", "/schedules", wanted)
    await ask(page, "POST", "/runs", {"limit": 1, "key": "fill", "notes": WORDS})
    who = "persona/mallory"
    return [
        *("gallery", f"picture/{number}", "queue", "backfill", "posts", "prompt", "personas"),
        *(who, f"{who}/edit", f"{who}/revisions", "models", "health"),
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
async def test_in_no_view_is_anything_grave_too_wide_or_run(
    house: House, visitor: Visitor, language: FakeLanguage, dark: bool, width: int
) -> None:
    language.reply = WORDS
    page = await visitor.tab(house.address.url, dark=dark, width=width, reduced_motion="reduce")
    for where in await a_full_house(house, page):
        await visit(page, where)
        await stands(page)
        for edge in ("document.documentElement", "document.querySelector('main')"):
            wide = await page.evaluate(f"{edge}.scrollWidth - {edge}.clientWidth")
            assert wide <= 0, f"{where}: {edge} is {wide} too wide"
        await axe_finds_nothing(page)
        assert await page.locator("main :is(script, svg:not(.icon, .chart svg))").count() == 0, where
        assert await page.evaluate("window.hit") is None, where


async def test_each_view_is_in_the_navigation_and_speaks_german_too(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url, language="de-AT")
    names = ("Galerie", "Warteschlange", "Auffüllen", "Beiträge", "Prompt-Werkstatt", "Personas", "Modelle")
    for name in (*names, "Zustand"):
        await page.get_by_role("navigation").get_by_role("link", name=name).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        await expect(page.get_by_role("main")).to_be_focused()


async def test_the_models_stand_there_with_what_fits_this_machine(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/models")
    rows = page.locator("[data-model]")
    there = (await ask(page, "GET", "/models"))["items"]
    await expect(rows).to_have_count(len(there))
    first = page.locator(f"[data-model='{there[0]['id']}']")
    await expect(first).to_contain_text(there[0]["licence"])
    await expect(first.get_by_role("button", name="Fetch")).to_be_visible()
    await page.get_by_label("Kind").select_option("picture")
    await expect(rows).to_have_count(len([one for one in there if one["kind"] == "picture"]))


async def test_a_model_is_fetched_before_ones_eyes_stopped_and_removed(
    hub: Hub, house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(f"{house.address.url}/#/models")
    name = page.get_by_label("Another model")
    row = page.locator("[data-model='tiny']")
    with hub.holding(SIZE // 2):
        await name.fill("owner/tiny:tiny.gguf")
        await page.locator(".another").get_by_role("button", name="Fetch").click()
        await expect(row.get_by_role("progressbar")).to_be_visible()
        await row.get_by_role("button", name="Stop").click()
        await expect(row.get_by_role("progressbar")).to_have_count(0)
    await row.get_by_role("button", name="Fetch").click()
    await row.get_by_role("button", name="Remove").click()
    assert [one["id"] for one in (await ask(page, "GET", "/models"))["items"] if one["installed"]] == ["tiny"]
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(row).to_have_count(0)
    assert not any(one["installed"] for one in (await ask(page, "GET", "/models"))["items"])


async def test_health_tells_the_hour_in_words_too(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/health")
    await expect(page.get_by_role("heading", name="How it stands")).to_be_visible()
    chart = page.get_by_role("img", name="Memory:")
    await expect(chart).to_be_visible()
    now = await ask(page, "GET", "/health/now")
    for part in now["parts"]:
        await expect(page.get_by_role("cell", name=part["name"], exact=True).first).to_be_visible()
    await expect(page.get_by_role("heading", name="Log")).to_be_visible()
