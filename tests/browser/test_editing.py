"""Somebody's editor: lists by rows, colours, LoRAs, a lorebook, how words are drawn; and what is not saved yet."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, ask, axe_finds_nothing, visit

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

WHO = "/personas/glenys-prosser"


async def glenys(page: Any) -> dict[str, Any]:
    return dict((await ask(page, "GET", f"{WHO}/page"))["persona"])


async def saved(page: Any) -> dict[str, Any]:
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved", exact=True).last).to_be_visible()
    await expect(page.get_by_role("button", name="Save")).to_be_disabled()
    return await glenys(page)


async def test_lists_are_added_to_changed_and_taken_from_by_keyboard(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    before = await glenys(page)
    outfits = page.get_by_role("group", name="Outfits")
    there = len(before["appearance"]["wardrobe"])
    await expect(outfits.get_by_role("listitem")).to_have_count(there)
    await outfits.get_by_role("button", name="Add one").press("Enter")
    # One goes on where the new row is, and where a removed one was.
    await expect(outfits.get_by_label("Name").last).to_be_focused()
    await page.keyboard.type("Sunday best")
    await page.keyboard.press("Tab")
    await page.keyboard.type("a <b>blue</b> suit with brass buttons")
    examples = page.get_by_role("group", name="Examples of talk")
    had = len(before["examples"])
    await examples.get_by_role("button", name="Add an example").click()
    await expect(examples.get_by_label(f"Example {had + 1}")).to_be_focused()
    await page.keyboard.type("{{user}}: Hello")
    await page.keyboard.press("Enter")
    await page.keyboard.type("{{char}}: Well, well.")
    palette = page.get_by_role("group", name="Palette")
    await palette.get_by_label("Colour 1", exact=True).fill("#aa3311")
    await palette.get_by_role("button", name="Palette: remove").last.click()
    after = await saved(page)
    assert after["appearance"]["wardrobe"] == [
        *before["appearance"]["wardrobe"],
        {"name": "Sunday best", "description": "a <b>blue</b> suit with brass buttons"},
    ]
    assert after["examples"] == [*before["examples"], "{{user}}: Hello\n{{char}}: Well, well."]
    assert after["picture"]["palette"] == ["#aa3311", *before["picture"]["palette"][1:-1]]
    same = before.keys() - {"appearance", "examples", "picture"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    await outfits.get_by_role("button", name="Outfits: remove Sunday best").click()
    await expect(outfits.get_by_role("listitem")).to_have_count(there)
    assert (await saved(page))["appearance"] == before["appearance"]
    await visit(page, "persona/glenys-prosser")
    await expect(page.locator(".swatches")).to_contain_text("#aa3311")


async def test_a_lorebook_is_written_and_what_another_program_wrote_in_it_stays(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    told = await ask(page, "GET", f"{WHO}/page")
    book = {
        "extensions": {"other": 1},
        "entries": [{"keys": [f"key {n}"], "content": f"Told {n}.", "theirs": n} for n in range(12)],
    }
    await ask(
        page, "PUT", WHO, {"persona": told["persona"] | {"lorebook": book}, "revision": told["revision"]}
    )
    await visit(page, "persona/glenys-prosser/edit")
    entries = page.get_by_role("group", name="Lorebook")
    await expect(entries.get_by_role("listitem")).to_have_count(12)
    await page.get_by_label("Find an entry").fill("KEY 7")
    await expect(entries.get_by_role("listitem")).to_have_count(1)
    await entries.get_by_role("button", name="key 7", exact=True).click()
    await entries.get_by_label("What is told").fill("Told otherwise.")
    await entries.get_by_label("Always told").check()
    await page.get_by_label("Find an entry").fill("")
    await entries.get_by_role("button", name="Add an entry").click()
    new = entries.get_by_role("listitem").last
    await new.get_by_label("Keys", exact=True).fill("pier\nthe pier ")
    await new.get_by_label("What is told").fill("It burned in 1987.")
    await page.get_by_label("Tokens at most").fill("300")
    kept = (await saved(page))["lorebook"]
    assert kept["extensions"] == {"other": 1}
    assert kept["token_budget"] == 300
    assert [one.get("theirs") for one in kept["entries"]] == [*range(12), None]
    assert (kept["entries"][7]["content"], kept["entries"][7]["constant"]) == ("Told otherwise.", True)
    assert (kept["entries"][12]["keys"], kept["entries"][12]["content"]) == (
        ["pier", "the pier"],
        "It burned in 1987.",
    )
    assert kept["entries"][3]["content"] == "Told 3."


async def test_how_words_are_drawn_is_set_by_numbers_and_left_to_the_house_by_nothing(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    for name, number in (("Temperature", "1.15"), ("Top-p", "0.9"), ("DRY", "0.7"), ("XTC", "0.2")):
        await page.get_by_label(name, exact=True).fill(number)
    await page.get_by_label("Presence penalty").fill("-0.5")
    await page.get_by_role("group", name="LoRAs").get_by_role("button", name="Add a LoRA").click()
    await page.get_by_label("LoRA", exact=True).fill("film-grain")
    await page.get_by_label("Weight", exact=True).fill("0.6")
    after = await saved(page)
    told = {name: value for name, value in after["sampling"].items() if value is not None}
    assert told == {"temperature": 1.15, "top_p": 0.9, "dry": 0.7, "xtc": 0.2, "presence_penalty": -0.5}
    assert after["picture"]["loras"] == {"film-grain": 0.6}
    await page.get_by_label("Temperature").fill("")
    assert (await saved(page))["sampling"]["temperature"] is None


async def test_what_the_house_finds_wrong_stands_at_its_field(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    await page.get_by_label("Top-p").fill("0")
    await page.get_by_label("Name", exact=True).first.fill("  ")
    await page.get_by_role("group", name="LoRAs").get_by_role("button", name="Add a LoRA").click()
    await page.get_by_label("LoRA", exact=True).fill("../secret")
    await page.get_by_role("button", name="Save").click()
    name = page.get_by_label("Name", exact=True).first
    await expect(name).to_have_attribute("aria-invalid", "true")
    await expect(name).to_be_focused()
    await expect(name).to_have_accessible_description(re.compile("should not be empty"))
    await expect(page.get_by_label("Top-p")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("group", name="LoRAs")).to_contain_text("../secret: ")
    await expect(page.get_by_role("alert")).to_contain_text("look at the marked fields")
    visitor.faults.clear()  # a 422 is what this is about
    await axe_finds_nothing(page)
    await name.fill("Glenys P.")
    await expect(name).not_to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Top-p").fill("")
    await page.get_by_role("button", name="LoRAs: remove ../secret").click()
    assert (await saved(page))["name"] == "Glenys P."


async def test_of_two_loras_of_one_name_nothing_is_saved(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    loras = page.get_by_role("group", name="LoRAs")
    for name, weight in (("Inks", "0.5"), ("Inks ", "0.9")):
        await loras.get_by_role("button", name="Add a LoRA").click()
        await loras.get_by_label("LoRA", exact=True).last.fill(name)
        await loras.get_by_label("Weight").last.fill(weight)
    first, second = loras.get_by_label("LoRA", exact=True).first, loras.get_by_label("LoRA", exact=True).last
    await expect(second).to_have_accessible_description("It stands here already: each LoRA has one weight.")
    await expect(first).not_to_have_attribute("aria-invalid", "true")
    await page.get_by_role("button", name="Save").click()
    await expect(second).to_be_focused()
    assert (await glenys(page))["picture"]["loras"] == {}
    await axe_finds_nothing(page)
    await second.fill("Pastels")
    await expect(second).not_to_have_attribute("aria-invalid", "true")
    assert (await saved(page))["picture"]["loras"] == {"Inks": 0.5, "Pastels": 0.9}


async def test_whoever_mends_one_marked_field_stays_in_it(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    name, top_p = page.get_by_label("Name", exact=True).first, page.get_by_label("Top-p")
    await name.fill("  ")
    await top_p.fill("0")
    await page.get_by_role("button", name="Save").click()
    await expect(name).to_be_focused()
    visitor.faults.clear()  # a 422 is what this is about
    await top_p.focus()
    await page.keyboard.press("Control+a")
    await page.keyboard.type("0.95")
    await expect(top_p).to_have_value("0.95")
    await expect(name).to_have_value("  ")
    await expect(name).to_have_attribute("aria-invalid", "true")


async def test_what_is_typed_while_something_is_saved_stays(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    sent, may = asyncio.Event(), asyncio.Event()

    async def slowly(route: Any) -> None:
        sent.set()
        await may.wait()
        await route.continue_()

    await page.route("**/api/v1/personas/glenys-prosser", slowly)
    scenario, home = page.get_by_label("Scenario", exact=True), page.get_by_label("Home", exact=True)
    await scenario.fill("On the pier.")
    await home.fill("A caravan")
    await page.get_by_role("button", name="Save").click()
    await sent.wait()
    await home.fill("A caravan by the sea")
    may.set()
    await expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    await expect(home).to_have_value("A caravan by the sea")
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    after = await glenys(page)
    assert (after["scenario"], after["home"]) == ("On the pier.", "A caravan")
    assert (await saved(page))["home"] == "A caravan by the sea"


async def test_what_is_not_saved_is_kept_and_let_go_only_when_somebody_is_sure(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await visit(page, "persona/glenys-prosser/edit")
    poses = page.get_by_role("group", name="Poses")
    await poses.get_by_role("button", name="Add one").click()
    await poses.get_by_label("Name").last.fill("At the rail")
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await page.get_by_role("navigation", name="Greenroom").get_by_role("link", name="Gallery").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Gallery")
    await page.go_back()
    await expect(poses.get_by_label("Name").last).to_have_value("At the rail")

    # Who closes the tab is asked by the browser, and may stay.
    async with page.expect_event("dialog") as coming:
        await page.close(run_before_unload=True)
    dialog = await coming.value
    assert dialog.type == "beforeunload"
    await dialog.dismiss()
    assert not page.is_closed()
    await page.get_by_role("button", name="Leave as it was").click()
    sure = page.get_by_role("dialog")
    await sure.get_by_role("button", name="Cancel").click()
    await expect(poses.get_by_label("Name").last).to_have_value("At the rail")
    await page.get_by_role("button", name="Leave as it was").click()
    await sure.get_by_role("button", name="Leave as it was").click()
    await expect(page.get_by_role("button", name="Save")).to_be_disabled()
    await expect(page.get_by_text("Not saved yet")).to_have_count(0)


async def test_the_editor_fits_on_a_phone_and_is_heard_in_german(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(
        house.address.url, width=390, height=844, dark=True, language="de", reduced_motion="reduce"
    )
    await visit(page, "persona/glenys-prosser/edit")
    await page.get_by_role("button", name="Eintrag hinzufügen").click()
    await page.get_by_role("button", name="LoRA hinzufügen").click()
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    await page.get_by_role("textbox", name="Schreib Glenys").wait_for()
    await axe_finds_nothing(page)
