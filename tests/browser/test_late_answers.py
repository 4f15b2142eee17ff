"""Answers that come late, or behind what was told since: nothing is lost, and nobody is thrown out of anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.house import House
from tests.browser.tabs import Visitor, ask, begin, message, say, visit
from tests.browser.test_work_seen import Held, held, held_house  # noqa: F401 - fixtures

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")


class Post:
    """Carries answers of the house to a page, and keeps some back until it may hand them over."""

    def __init__(self) -> None:
        self.kept = asyncio.Event()
        self.may = asyncio.Event()

    async def keep_back(self, page: Any, path: str, method: str = "GET") -> None:
        async def slowly(route: Any) -> None:
            if route.request.method != method:
                await route.continue_()
                return
            answer = await route.fetch()
            self.kept.set()
            await self.may.wait()
            await route.fulfill(response=answer)

        await page.route(path, slowly)


def heard(page: Any, told: str) -> asyncio.Event:
    """Set as soon as that is told on a line that is opened from now on."""
    was = asyncio.Event()

    def listen(frame: Any) -> None:
        if told in str(frame):
            was.set()

    page.on("websocket", lambda line: line.on("framereceived", listen))
    return was


async def test_whoever_chooses_before_the_talks_are_there_brings_nobody_else_into_one(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    other = next(
        one for one in (await ask(page, "GET", "/personas"))["items"] if one["slug"] != "glenys-prosser"
    )
    post = Post()
    await post.keep_back(page, "**/api/v1/talks")
    await page.goto(f"{house.address.url}/#/gallery")
    await page.goto(f"{house.address.url}/#/chat")
    await page.reload()
    await page.get_by_role("button", name="New talk").click()
    await page.get_by_role("dialog").get_by_role("button", name=other["name"]).first.click()
    await post.kept.wait()
    post.may.set()
    await page.get_by_role("textbox", name="Write to").wait_for()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    there = {one["chat"]: one["persona"]["slug"] for one in (await ask(page, "GET", "/talks"))["items"]}
    assert there == {"home": "glenys-prosser", other["slug"][:64]: other["slug"]}


async def test_tab_takes_what_is_meant_while_it_is_still_looked_up(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    field = page.get_by_role("textbox", name="Write to")
    await field.press_sequentially("/")
    await expect(page.get_by_role("option", name="/imagine")).to_be_visible()
    post = Post()
    await post.keep_back(page, "**/suggest*")
    await page.keyboard.type("promp")
    await post.kept.wait()
    await page.keyboard.press("Tab")
    await expect(field).to_have_value("/prompt ")
    post.may.set()


async def test_what_was_loaded_before_the_line_stood_is_loaded_again(
    held_house: House,  # noqa: F811
    visitor: Visitor,
) -> None:
    page = await visitor.tab(f"{held_house.address.url}/#/queue")
    may = asyncio.Event()

    async def slowly(line: Any) -> None:
        await may.wait()
        line.connect_to_server()

    await page.route_web_socket("**/live", slowly)
    await page.reload()
    await expect(page.get_by_text("Nobody waits for a picture.")).to_be_visible()
    await ask(page, "POST", "/jobs", {"persona": "glenys-prosser", "scene": "on the pier", "key": "k"})
    while (await ask(page, "GET", "/jobs"))["items"][0]["state"] != "running":
        await page.wait_for_timeout(50)
    may.set()
    await expect(page.locator("[data-job]")).to_have_count(1)


async def test_a_list_that_comes_late_takes_nothing_back_that_was_told_since(
    held_house: House,  # noqa: F811
    visitor: Visitor,
) -> None:
    page = await visitor.tab(held_house.address.url)
    stands, told = heard(page, '"is":"caught_up"'), heard(page, '"is":"run"')
    await page.reload()
    await begin(page)
    await stands.wait()
    post = Post()
    await post.keep_back(page, "**/api/v1/runs")
    await visit(page, "backfill")
    await post.kept.wait()
    await ask(page, "POST", "/runs", {"limit": 1, "key": "first"})
    await told.wait()
    post.may.set()
    await expect(page.locator("main .waiting")).to_have_count(0)
    await expect(page.locator("[data-run]")).to_have_count(1)


async def test_the_answer_to_an_order_takes_nothing_back_that_was_told_since(
    held_house: House,  # noqa: F811
    visitor: Visitor,
    held: Held,  # noqa: F811
) -> None:
    page = await visitor.tab(f"{held_house.address.url}/#/backfill")
    await page.get_by_label("At most").fill("3")
    await page.get_by_role("button", name="Plan").click()
    post = Post()
    await post.keep_back(page, "**/api/v1/runs", "POST")
    await page.get_by_role("button", name="Start: 3 pictures").click()
    await post.kept.wait()
    held.may.set()
    run = page.locator("[data-run]")
    await expect(run).to_contain_text("3 of 3 done")
    post.may.set()
    await expect(page.locator(".plan")).to_have_count(0)  # it is answered
    # Read at once: a moment later it may be told once more, which would mend it.
    assert "3 of 3 done" in await run.inner_text()


async def test_a_talk_that_is_loaded_anew_keeps_what_is_said_meanwhile(
    house: House, visitor: Visitor
) -> None:
    profile = await visitor.profile()
    page = await visitor.tab(house.address.url, profile=profile)
    lines: list[Any] = []

    def open_(line: Any) -> None:
        line.connect_to_server()
        lines.append(line)

    await page.route_web_socket("**/live", open_)
    await page.reload()
    await begin(page)
    await say(page, "Is the kettle on?")
    await expect(message(page, "Quite so.")).to_have_count(1)
    other = await visitor.tab(f"{house.address.url}/#/chat/home", profile=profile)
    post = Post()
    await post.keep_back(page, "**/api/v1/talks/home/messages*")
    lines[-1].send('{"is": "missed", "chat": "home"}')
    await post.kept.wait()
    await say(other, "Said meanwhile")
    await expect(message(page, "Quite so.")).to_have_count(2)
    async with page.expect_response("**/api/v1/talks/home/messages*"):
        post.may.set()
    # What was loaded is there now: it says of the first message that it is the newest.
    await say(page, "And now?")
    await expect(message(page, "Quite so.")).to_have_count(3)
    await expect(message(page, "Said meanwhile")).to_have_count(1)


async def test_whoever_is_in_a_list_by_keyboard_stays_there_while_it_is_looked_up(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await page.get_by_role("button", name="Choose a persona").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("searchbox").fill("glen")
    person = dialog.locator(".person")
    await expect(person).to_have_count(1)
    post = Post()
    await post.keep_back(page, "**/api/v1/personas?*")
    await dialog.get_by_role("searchbox").fill("glenys")
    await person.focus()
    await post.kept.wait()
    async with page.expect_response("**/api/v1/personas?*"):
        post.may.set()
    await expect(dialog.locator(".waiting")).to_have_count(0)
    await expect(person).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Write to")).to_be_focused()
