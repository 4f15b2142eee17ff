"""The cast on the page: somebody is found, edited with a talk beside it, and is again who they were."""

from __future__ import annotations

import json

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, ask, message, say, visit

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_somebody_is_found_edited_tried_out_and_is_again_who_they_were(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(f"{house.address.url}/#/personas")
    await page.get_by_label("Name or occupation").fill("glenys")
    await expect(page.locator(".cast-one")).to_have_count(1)
    await page.locator(".cast-one").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Glenys Prosser")
    before = await ask(page, "GET", "/personas/glenys-prosser/page")

    await page.get_by_role("link", name="Edit").click()
    save = page.get_by_role("button", name="Save")
    await expect(save).to_be_disabled()
    await page.get_by_label("Occupation").fill("Keeper of the <b>pier</b>")
    await page.get_by_label("Likes", exact=True).fill("tea\n\n  rain ")
    # Who looks at something else meanwhile, finds it as they left it.
    await page.get_by_role("link", name="About").click()
    await page.get_by_role("link", name="Edit").click()
    await save.click()
    await expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    after = await ask(page, "GET", "/personas/glenys-prosser/page")
    assert after["persona"]["occupation"] == "Keeper of the <b>pier</b>"
    assert after["persona"]["personality"]["likes"] == ["tea", "rain"]
    same = {"occupation", "personality"}
    for name in before["persona"].keys() - same:
        assert after["persona"][name] == before["persona"][name], name

    talk = page.get_by_role("complementary", name="Try it out")
    await talk.get_by_role("textbox", name="Write to").wait_for()
    await say(page, "Who are you?")
    await expect(message(page, "Quite so.")).to_have_count(1)
    assert "test-glenys-prosser" in [one["chat"] for one in (await ask(page, "GET", "/talks"))["items"]]

    await page.get_by_role("navigation", name="Greenroom").get_by_role("link", name="Chat").click()
    await expect(page.get_by_role("button", name="Choose a persona")).to_be_visible()
    await page.go_back()
    await page.get_by_role("link", name="Revisions").click()
    old = page.locator(f"[data-revision='{before['revision']}']")
    await old.get_by_role("button", name="Differences").click()
    await expect(old.locator(".differences ins").first).to_contain_text("Keeper of the <b>pier</b>")
    await expect(old.locator(".differences dt")).to_have_text(["occupation", "personality.likes"])
    await old.get_by_role("button", name="Roll back").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    await expect(page.locator("[data-revision]").first).to_contain_text("now")
    await expect(page.locator("[data-revision]")).to_have_count(3)
    again = await ask(page, "GET", "/personas/glenys-prosser/page")
    assert again["persona"] == before["persona"]
    assert again["revision"] == 3


async def test_whoever_was_slower_is_told_and_overwrites_nothing(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    await page.get_by_label("Occupation").fill("Late to everything")
    told = await ask(page, "GET", "/personas/glenys-prosser/page")
    quicker = told["persona"] | {"home": "Elsewhere"}
    await ask(page, "PUT", "/personas/glenys-prosser", {"persona": quicker, "revision": told["revision"]})
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).not_to_be_empty()
    visitor.faults.clear()  # a 409 is what this is about
    # What was typed is still there, and goes on top of what the other one wrote.
    await page.get_by_role("alert").get_by_role("button", name="Try again").click()
    await expect(page.get_by_label("Home")).to_have_value("Elsewhere")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    kept = (await ask(page, "GET", "/personas/glenys-prosser/page"))["persona"]
    assert (kept["home"], kept["occupation"]) == ("Elsewhere", "Late to everything")


async def test_somebody_comes_in_by_a_card_and_goes_out_by_one(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/personas")
    card = {
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": {"name": "Mallory <script>", "description": "Brings rain.", "first_mes": "Hello."},
    }
    file = {"name": "mallory.json", "mimeType": "application/json", "buffer": json.dumps(card).encode()}
    await page.locator("input[type=file]").set_input_files(file)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mallory <script>")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Card as JSON").click()
    download = await coming.value
    assert json.loads((await download.path()).read_text())["data"]["description"] == "Brings rain."
    await page.get_by_role("button", name="Remove").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Mallory <script> has left the cast.")).to_be_visible()
    assert "mallory" not in str((await ask(page, "GET", "/personas"))["items"])


async def test_somebody_new_is_written_from_a_few_words(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/personas")
    there = len((await ask(page, "GET", "/personas"))["items"])
    await page.get_by_role("button", name="New persona").click()
    await page.get_by_label("What kind of persona").fill("a ship's cook")
    await page.get_by_label("Name, if it matters").fill("Ottilie Brandt")
    await page.get_by_role("button", name="Have them written").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ottilie Brandt")
    assert len((await ask(page, "GET", "/personas"))["items"]) == there + 1
