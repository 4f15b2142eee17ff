"""The gallery and a picture's page: looked through, filtered, made again, taken away."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, ask, visit

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def painted(page: Any, persona: str, scene: str, **more: Any) -> int:
    """Have a picture made, and wait for it; answers its number."""
    job = await ask(page, "POST", "/jobs", {"persona": persona, "scene": scene, "key": scene[:64], **more})
    while job["state"] in ("queued", "running"):
        await page.wait_for_timeout(50)
        job = await ask(page, "GET", f"/jobs/{job['id']}")
    assert job["state"] == "done", job
    number: int = job["pictures"][0]["id"]
    return number


async def two_personas(page: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second, *_ = (await ask(page, "GET", "/personas"))["items"]
    return first, second


async def test_the_gallery_is_looked_through_by_whom_it_shows(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/gallery")
    await expect(page.get_by_text("No picture hangs here yet.")).to_be_visible()
    one, other = await two_personas(page)
    wide = await painted(page, one["slug"], "on the roof", width=128, height=64)
    await painted(page, other["slug"], "by the sea", width=64, height=128)
    await page.reload()
    thumbs = page.locator(".thumbs img")
    await expect(thumbs).to_have_count(2)
    # The room is there before the picture is.
    sizes = await thumbs.evaluate_all("all => all.map(one => [one.width > one.height, one.loading])")
    assert sizes == [[False, "lazy"], [True, "lazy"]]
    await page.get_by_label("Persona").select_option(label=one["name"])
    await expect(thumbs).to_have_count(1)
    await expect(page).to_have_url(re.compile(rf"#/gallery\?persona={one['slug']}$"))
    await page.go_back()
    await expect(thumbs).to_have_count(2)
    await page.get_by_label("Rating").select_option("adult")
    await expect(page.get_by_text("There is no such picture.")).to_be_visible()
    await page.get_by_role("link", name="Show all").click()
    await expect(thumbs).to_have_count(2)
    await page.get_by_role("link", name=f"Picture {wide}").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Picture {wide}")


async def test_many_pictures_come_page_by_page(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    one, _ = await two_personas(page)
    made = [
        {"persona": one["slug"], "scene": "a walk", "seed": n, "count": 4, "key": str(n)} for n in range(16)
    ]
    jobs = (await ask(page, "POST", "/jobs/batch", {"items": made}))["items"]
    for job in jobs:
        while (await ask(page, "GET", f"/jobs/{job['id']}"))["state"] != "done":
            await page.wait_for_timeout(50)
    await visit(page, "gallery")
    thumbs = page.locator(".thumbs img")
    await expect(thumbs).to_have_count(60)
    await thumbs.last.scroll_into_view_if_needed()
    await expect(thumbs).to_have_count(64)
    addresses = await page.locator(".thumbs a").evaluate_all("all => all.map(one => one.href)")
    assert len(set(addresses)) == 64


async def test_a_pictures_page_tells_all_that_made_it_and_it_is_made_again(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    one, _ = await two_personas(page)
    number = await painted(page, one["slug"], "on the roof at dusk", seed=77)
    about = await ask(page, "GET", f"/pictures/{number}/about")
    await visit(page, f"picture/{number}")
    await expect(page.locator(".prompt").first).to_have_text(about["picture"]["prompt"])
    facts = page.locator(".facts")
    await expect(facts.first).to_contain_text("77")
    await expect(facts.get_by_role("link", name=one["name"])).to_have_attribute(
        "href", f"#/persona/{one['slug']}"
    )
    image = page.locator(".picture-whole img")
    assert await image.evaluate("one => one.decode().then(() => one.naturalWidth)") == 64

    await page.get_by_label("Seed").fill("78")
    await page.get_by_role("button", name="Render").click()
    fresh = page.locator(".made .thumbs a")
    await expect(fresh).to_have_count(1)
    await fresh.click()
    again = number + 1
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Picture {again}")
    await expect(page.locator(".facts").first).to_contain_text("78")
    # Its family, both ways.
    await page.get_by_role("link", name=f"Picture {number}").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Picture {number}")
    await expect(page.get_by_role("heading", name="Made of it")).to_be_visible()
    told = (await ask(page, "GET", f"/pictures/{again}/about"))["picture"]
    assert (told["parent_id"], told["seed"], told["prompt"]) == (number, 78, about["picture"]["prompt"])


async def test_a_picture_becomes_a_face_and_goes_only_when_somebody_is_sure(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    one, _ = await two_personas(page)
    number = await painted(page, one["slug"], "on the roof")
    await visit(page, f"picture/{number}")
    await page.get_by_role("button", name="Make it their face").click()
    await expect(page.get_by_text(f"This is the face of {one['name']} now.")).to_be_visible()
    assert (await ask(page, "GET", f"/personas/{one['slug']}/page"))["face_picture"] == number
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert (await ask(page, "GET", "/pictures"))["items"] != []
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No picture hangs here yet.")).to_be_visible()
    assert (await ask(page, "GET", "/pictures"))["items"] == []


async def test_a_picture_that_is_not_there_is_told_and_no_broken_page(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/picture/4711")
    await expect(page.get_by_role("alert")).to_contain_text("4711")
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    visitor.faults.clear()  # it was asked for, and is not there


async def test_words_are_looked_at_before_they_are_painted(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    one, _ = await two_personas(page)
    await visit(page, "prompt")
    await page.get_by_label("Persona").select_option(label=one["name"])
    scene = page.get_by_label("Scene")
    await scene.fill("lanterns on the roof")
    await page.get_by_role("group", name="Weight").get_by_role("button", name="1.2").click()
    await expect(page.get_by_text("Mark words first.")).to_be_visible()
    await scene.evaluate("one => one.setSelectionRange(0, 8)")
    await page.get_by_role("group", name="Weight").get_by_role("button", name="1.2").click()
    await expect(scene).to_have_value("(lanterns:1.2) on the roof")
    await page.get_by_role("button", name="Write the prompt").click()
    prompt = page.get_by_label("Prompt", exact=True)
    await expect(prompt).to_have_value(re.compile(r"\(lanterns:1\.2\)"))
    looked = page.locator(".looked-at")
    await expect(looked).to_contain_text("about")  # no model counts here: it is an estimate
    words = await looked.locator(".facts dd").first.inner_text()
    assert 100 <= int(words) <= 200
    assert (await ask(page, "GET", "/jobs"))["items"] == []
    await prompt.fill((await prompt.input_value()) + ", a very small owl")
    await expect(page.get_by_text("The words have changed since they were counted.")).to_be_visible()
    await page.get_by_role("button", name="Count again").click()
    await expect(page.get_by_text("The words have changed since they were counted.")).to_have_count(0)
    await page.get_by_role("button", name="Render").click()
    await expect(page.locator(".made .thumbs a")).to_have_count(1)
    [job] = (await ask(page, "GET", "/jobs"))["items"]
    assert "a very small owl" in job["request"]["prompt"]
