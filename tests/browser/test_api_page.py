"""The API's own page: every route is there, is found, says what it takes, and can be tried."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, axe_finds_nothing

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Where pictures of the page are left to be looked at, if somebody says so.
LOOKS = os.environ.get("GREENROOM_LOOKS")


async def opened(house: House, visitor: Visitor, **how: Any) -> Any:
    page = await visitor.tab(house.address.url, **how)
    await page.goto(f"{house.address.url}/api/v1/docs")
    await page.locator("#operations details").first.wait_for()
    return page


def route(page: Any, name: str) -> Any:
    return page.locator(f'details[id="{name}"]')


async def looked_at(page: Any, name: str) -> None:
    if LOOKS:
        await page.screenshot(path=Path(LOOKS) / f"{name}.png", full_page=False)


async def test_every_route_of_the_document_is_on_the_page_and_is_found(
    house: House, visitor: Visitor
) -> None:
    page = await opened(house, visitor)
    document = await (await page.request.get(f"{house.address.url}/api/v1/openapi.json")).json()
    count = sum(
        len(set(told) & {"get", "post", "put", "patch", "delete"}) for told in document["paths"].values()
    )
    await expect(page.locator("#operations details")).to_have_count(count)
    await page.get_by_label("Find a route").fill("restore revisions")
    await expect(page.locator("#operations details:visible")).to_have_count(1)
    await expect(page.locator("#operations details:visible")).to_contain_text("/restore")


async def test_a_route_says_its_scope_and_is_tried(house: House, visitor: Visitor) -> None:
    page = await opened(house, visitor)
    styles = route(page, "get /api/v1/styles")
    await expect(styles.locator(".docs-scope")).to_have_text("read or make")
    await styles.locator("summary").click()
    await styles.get_by_role("button", name="Try it").click()
    await expect(styles.locator(".docs-answer")).to_contain_text("200")
    await expect(styles.locator("pre")).to_contain_text('"photorealistic"')
    build = route(page, "post /api/v1/prompts")
    await build.locator("summary").click()
    words = build.get_by_label("The body, in JSON")
    body = json.loads(await words.input_value())
    assert set(body) == {"persona", "scene"}, "what has to be there, and no more"
    await words.fill(json.dumps({"persona": "glenys-prosser", "scene": "<b>at</b> sea"}))
    await build.get_by_role("button", name="Try it").click()
    await expect(build.locator("pre")).to_contain_text('"positive"')
    face = route(page, "get /api/v1/personas/{slug}/face")
    await face.locator("summary").click()
    await face.get_by_label("slug").fill("glenys-prosser")
    await face.get_by_role("button", name="Try it").click()
    await expect(face.get_by_alt_text("What came back")).to_be_visible()
    await looked_at(page, "api-tried")


@pytest.mark.parametrize("dark", [False, True])
async def test_it_can_be_heard_and_read_in_both_lights_and_on_a_phone(
    house: House, visitor: Visitor, dark: bool
) -> None:
    page = await opened(house, visitor, dark=dark)
    await route(page, "post /api/v1/jobs").locator("summary").click()
    await axe_finds_nothing(page)
    await route(page, "post /api/v1/jobs").scroll_into_view_if_needed()
    await looked_at(page, f"api-{'dark' if dark else 'light'}")
    await page.set_viewport_size({"width": 390, "height": 844})
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    await looked_at(page, f"api-phone-{'dark' if dark else 'light'}")
