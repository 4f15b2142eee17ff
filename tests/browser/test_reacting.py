"""What one thinks of a persona's words, what the house asks back, words to copy, and a picture made otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, ask, axe_finds_nothing, begin, message, say, visit
from tests.browser.test_pictures_seen import painted

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

LIKE = "I like it"


async def test_a_reaction_is_there_after_a_reload_and_in_another_tab(house: House, visitor: Visitor) -> None:
    profile = await visitor.profile()
    page = await visitor.tab(house.address.url, profile=profile)
    await begin(page)
    other = await visitor.tab(f"{house.address.url}/#/chat/home", profile=profile)
    await say(page, "Is the kettle on?")
    for one in (page, other):
        await expect(message(one, "Quite so.")).to_have_count(1)
    reply = message(page, "Quite so.")
    like = reply.get_by_role("button", name=LIKE)
    await page.mouse.move(0, 0)  # wherever somebody was chosen, it is not over the reply
    await expect(like).to_have_css("opacity", "0")
    await reply.hover()
    await expect(like).to_have_css("opacity", "1")
    await like.click()
    for one in (page, other):
        marked = message(one, "Quite so.").get_by_role("button", name=LIKE)
        await expect(marked).to_have_attribute("aria-pressed", "true")
    # Nothing is read out again that was read out before.
    await expect(page.locator(".conversation > [aria-live]")).not_to_contain_text("I like it")
    await page.reload()
    await expect(like).to_have_attribute("aria-pressed", "true")
    await page.mouse.move(0, 0)
    await expect(like).to_have_css("opacity", "1")
    await axe_finds_nothing(page)
    # By keyboard it is taken away again, in the other tab.
    mark = message(other, "Quite so.").get_by_role("button", name=LIKE)
    await mark.focus()
    await other.keyboard.press("Space")
    await expect(like).to_have_attribute("aria-pressed", "false")
    mine = message(page, "Is the kettle on?")
    await expect(mine.get_by_role("button", name=LIKE)).to_have_count(0)


async def test_a_prompt_to_be_edited_stands_where_one_writes(house: House, visitor: Visitor) -> None:
    profile = await visitor.profile()
    page = await visitor.tab(house.address.url, profile=profile)
    await begin(page)
    other = await visitor.tab(f"{house.address.url}/#/chat/home", profile=profile)
    await say(page, "/imagine on the roof at dusk")
    await page.locator(".pictures img").wait_for()
    await expect(other.locator(".pictures img")).to_have_count(1)
    [job] = (await ask(page, "GET", "/jobs"))["items"]
    field = page.get_by_role("textbox", name="Write to")
    await field.fill("half a sentence")
    await page.get_by_role("button", name="Edit prompt").click()
    await expect(field).to_have_value(job["request"]["prompt"])
    await expect(field).to_be_focused()
    # Nothing that stood there is lost, and nobody else is disturbed.
    await page.keyboard.press("Control+z")
    await expect(field).to_have_value("half a sentence")
    await expect(other.get_by_role("textbox", name="Write to")).to_have_value("")
    await other.reload()
    edit = other.get_by_role("button", name="Change it below")
    await edit.click()
    writing = other.get_by_role("textbox", name="Write to")
    await expect(writing).to_have_value(job["request"]["prompt"])
    await other.keyboard.type(", a red kite")
    await other.keyboard.press("Enter")
    await expect(other.locator(".pictures img")).to_have_count(2)
    await expect(edit).to_have_count(0)
    newest = (await ask(page, "GET", "/jobs"))["items"][0]
    assert newest["request"]["prompt"].endswith("a red kite")


async def test_what_was_offered_once_does_not_take_the_place_of_what_is_typed_later(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    lines: list[Any] = []

    def heard(line: Any) -> None:
        line.connect_to_server()
        lines.append(line)

    await page.route_web_socket("**/live", heard)
    await page.reload()
    await begin(page)
    await say(page, "/imagine on the roof at dusk")
    await page.locator(".pictures img").wait_for()
    await page.get_by_role("button", name="Edit prompt").click()
    field = page.get_by_role("textbox", name="Write to")
    await expect(field).not_to_have_value("")
    await field.fill("something else")
    # The page has missed something, and cannot load it at once.
    await page.route("**/api/v1/talks/home", lambda route: route.abort())
    lines[-1].send('{"is": "missed", "chat": "home"}')
    again = page.get_by_role("button", name="Try again")
    await again.wait_for()
    await page.unroute("**/api/v1/talks/home")
    await again.click()
    await message(page, "on the roof").first.wait_for()
    await expect(field).to_have_value("something else")


async def test_a_reaction_hides_nothing_that_came_before_it(house: House, visitor: Visitor) -> None:
    profile = await visitor.profile()
    page = await visitor.tab(house.address.url, profile=profile)
    lines: list[Any] = []
    deaf = False

    def heard(line: Any) -> None:
        house_side = line.connect_to_server()
        house_side.on_message(lambda told: None if deaf else line.send(told))
        lines.append(line)

    await page.route_web_socket("**/live", heard)
    await page.reload()
    await begin(page)
    await say(page, "Is the kettle on?")
    reply = message(page, "Quite so.")
    await expect(reply).to_have_count(1)
    other = await visitor.tab(f"{house.address.url}/#/chat/home", profile=profile)
    deaf = True
    await say(other, "Said meanwhile")
    await expect(message(other, "Quite so.")).to_have_count(2)
    await reply.hover()
    await reply.get_by_role("button", name=LIKE).click()
    await expect(reply.get_by_role("button", name=LIKE)).to_have_attribute("aria-pressed", "true")
    deaf = False
    await lines[-1].close()
    await expect(message(page, "Said meanwhile")).to_have_count(1)


async def test_words_to_be_copied_stand_in_a_block_of_their_own(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await say(page, "/prompt make <b>a lantern</b> in the rain")
    block = page.locator(".message-house .code")
    await expect(block).to_have_count(1)
    prompt = await block.locator("pre").inner_text()
    assert len(prompt.split()) >= 100
    assert "\n" not in prompt
    await expect(block.get_by_role("button", name="Copy")).to_be_visible()
    around = await page.locator(".message-house .words-plain").all_inner_texts()
    assert prompt not in "".join(around)


async def test_a_picture_is_made_again_in_another_size_style_and_number(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    number = await painted(page, "glenys-prosser", "on the roof", width=128, height=128, style="noir")
    await visit(page, f"picture/{number}")
    await page.get_by_label("Size").select_option("16:9")
    await page.get_by_label("How many").select_option("3")
    style = page.get_by_label("Style")
    await expect(style).to_have_value("noir")
    await style.select_option("poster")
    await expect(page.get_by_text("the prompt is written anew")).to_be_visible()
    await page.get_by_role("button", name="Render").click()
    await expect(page.locator(".made .thumbs a")).to_have_count(3)
    [one, *_] = (await ask(page, "GET", "/pictures"))["items"]
    assert (one["style"], one["width"] > one["height"]) == ("poster", True)
    # Sides of one's own, and nothing else otherwise.
    await style.select_option("noir")
    await page.get_by_label("How many").select_option("1")
    await page.get_by_label("Size").select_option("own")
    await page.get_by_label("Height").fill("72")
    await page.get_by_role("button", name="Render").click()
    await expect(page.locator(".made .thumbs a")).to_have_count(1)
    [one, *_] = (await ask(page, "GET", "/pictures"))["items"]
    assert (one["style"], one["width"], one["height"]) == ("noir", 128, 72)
