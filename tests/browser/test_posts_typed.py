"""What is typed into the forms of feeds, hooks and schedules on the page: kept until it is saved, or thrown away."""

from __future__ import annotations

from typing import Any

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, ask
from tests.browser.test_posts_seen import HERE, at_posts

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_is_typed_into_a_form_stays_until_it_is_saved(house: House, visitor: Visitor) -> None:
    page = await at_posts(house, visitor)
    for theme in ("milk", "tea"):
        await ask(page, "POST", "/schedules", {"words": "daily 09:00", "chat": HERE, "theme": theme})
    await page.reload()
    dialog = page.get_by_role("dialog")
    milk, tea = (page.locator("[data-schedule]").filter(has_text=theme) for theme in ("milk", "tea"))
    await tea.get_by_role("button", name="Edit").click()
    await dialog.get_by_label("Theme").fill("tea and <b>cake</b>")
    await dialog.get_by_label("Made ahead").fill("2h")
    await page.keyboard.press("Escape")
    await page.get_by_role("navigation", name="Greenroom").get_by_role("link", name="Gallery").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Gallery")
    await page.go_back()
    # What was typed for one row is nothing to another, nor to a new one.
    await milk.get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_label("Theme")).to_have_value("milk")
    await expect(dialog.get_by_text("It is not saved yet")).to_have_count(0)
    await dialog.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="New schedule").click()
    await expect(dialog.get_by_label("Theme")).to_have_value("")
    await dialog.get_by_label("Where").select_option("Another place")
    await dialog.get_by_label("Another place").fill("nowhere")
    await page.keyboard.press("Escape")
    await page.reload()
    await page.get_by_role("button", name="New schedule").click()
    await expect(dialog.get_by_label("Another place")).to_have_value("nowhere")
    await page.keyboard.press("Escape")
    await tea.get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_label("Theme")).to_have_value("tea and <b>cake</b>")
    await expect(dialog).to_contain_text("It is not saved yet")
    await dialog.get_by_label("Theme").press("Enter")
    await dialog.locator(".times li").first.wait_for()
    await dialog.get_by_role("button", name="Save").click()
    await expect(tea).to_contain_text("tea and <b>cake</b>")
    await tea.get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_label("Made ahead")).to_have_value("2h")
    await expect(dialog.get_by_text("It is not saved yet")).to_have_count(0)
    themes = [one["theme"] for one in (await ask(page, "GET", "/schedules"))["items"]]
    assert sorted(themes) == ["milk", "tea and <b>cake</b>"]


async def test_what_is_typed_is_thrown_away_by_whoever_says_so_twice(house: House, visitor: Visitor) -> None:
    page = await at_posts(house, visitor)
    dialog = page.get_by_role("dialog")
    sure = dialog.filter(has=page.get_by_role("heading", name="Throw away what you typed?")).last
    await page.get_by_role("button", name="New feed").click()
    await expect(dialog.get_by_label("Address")).to_be_focused()
    await page.keyboard.type("https://example.org/feed")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="New hook").click()
    await expect(dialog.get_by_label("Only with")).to_have_value("")
    await dialog.get_by_label("Only with").fill("snow")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="New feed").click()
    await expect(dialog.get_by_label("Address")).to_have_value("https://example.org/feed")
    await expect(dialog.get_by_label("Only with")).to_have_value("")
    await dialog.get_by_role("button", name="Throw away").click()
    await sure.get_by_role("button", name="Cancel").click()
    await expect(dialog.get_by_label("Address")).to_have_value("https://example.org/feed")
    await dialog.get_by_role("button", name="Throw away").click()
    await sure.get_by_role("button", name="Throw away").click()
    await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="New feed").click()
    await expect(dialog.get_by_label("Address")).to_have_value("")
    await dialog.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="New hook").click()
    await expect(dialog.get_by_label("Only with")).to_have_value("snow")


async def _lost(route: Any) -> None:
    """What is asked for is done, and its answer comes nowhere."""
    if route.request.method == "POST" and not (route.request.post_data_json or {}).get("dry"):
        assert (await route.fetch()).status == 201
        await route.abort()
    else:
        await route.continue_()


async def test_a_schedule_whose_answer_was_lost_is_one_and_a_changed_one_is_another(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    dialog = page.get_by_role("dialog")

    async def save() -> None:
        await dialog.get_by_role("button", name="Show the next times").click()
        await dialog.locator(".times li").first.wait_for()
        await dialog.get_by_role("button", name="Save").click()

    await page.get_by_role("button", name="New schedule").click()
    await dialog.get_by_label("Theme").fill("tea")
    await page.route("**/api/v1/schedules*", _lost)
    for _ in range(2):
        await save()
        await expect(dialog.get_by_role("alert")).to_contain_text("Greenroom does not answer.")
    # The same is not ordered twice; what reads otherwise by now is.
    assert [one["theme"] for one in (await ask(page, "GET", "/schedules"))["items"]] == ["tea"]
    await dialog.get_by_label("Theme").fill("milk")
    await page.unroute("**/api/v1/schedules*")
    await save()
    await expect(dialog).to_have_count(0)
    themes = [one["theme"] for one in (await ask(page, "GET", "/schedules"))["items"]]
    assert sorted(themes) == ["milk", "tea"]


async def test_a_hook_whose_secret_was_lost_on_the_way_is_not_made_twice(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    await page.route("**/api/v1/feeds*", _lost)
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="New hook").click()
    await dialog.get_by_label("Only with").fill("snow")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Greenroom does not answer.")
    await page.keyboard.press("Escape")
    await page.unroute("**/api/v1/feeds*")
    await page.get_by_role("button", name="New hook").click()
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.locator(".secret code")).to_have_count(3)
    secret = (await dialog.locator(".secret code").all_inner_texts())[1]
    [hook] = (await ask(page, "GET", "/feeds"))["items"]
    assert hook["only"] == ["snow"]
    assert await house.engine.newsroom.knocked(hook["id"], secret=secret)
    await dialog.get_by_role("button", name="I have kept them").click()
    # The next one is another one, with nothing of the first.
    await page.get_by_role("button", name="New hook").click()
    await expect(dialog.get_by_label("Only with")).to_have_value("")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.locator(".secret code")).to_have_count(3)
    assert len((await ask(page, "GET", "/feeds"))["items"]) == 2


async def test_what_is_wrong_with_a_form_comes_into_sight_on_a_small_screen(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    await page.set_viewport_size({"width": 390, "height": 600})
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="New feed").click()
    await dialog.get_by_label("Address").fill("http://127.0.0.1:1/feed")
    await dialog.get_by_role("button", name="Listen").click()
    await expect(dialog.get_by_role("alert")).to_be_in_viewport(ratio=1)
    visitor.faults.clear()  # that it is refused is what this is about
