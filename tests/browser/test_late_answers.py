"""Answers that come late, or behind what was told since: nothing is lost, and nobody is thrown out of anything."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from bot.house import House
from bot.web import happenings
from engine.store import posts
from engine.store.records import PostState
from tests.browser.held import Held
from tests.browser.tabs import Visitor, ask, begin, message, say, visit
from tests.browser.test_work_seen import some_post

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


async def test_what_could_not_be_looked_up_holds_nobody_in_the_field(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    field = page.get_by_role("textbox", name="Write to")
    await field.press_sequentially("/")
    await expect(page.get_by_role("option", name="/imagine")).to_be_visible()
    await page.route("**/suggest*", lambda route: route.abort())
    await page.keyboard.type("shrug")
    await expect(page.get_by_role("option")).to_have_count(0)
    await page.keyboard.press("Tab")
    await expect(field).not_to_be_focused()


async def test_the_times_of_what_stands_there_no_more_are_not_shown(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await visit(page, "posts")
    await page.get_by_role("button", name="New schedule").click()
    dialog = page.get_by_role("dialog")
    post = Post()
    await post.keep_back(page, "**/api/v1/schedules*", "POST")
    show = dialog.get_by_role("button", name="Show the next times")
    await show.click()
    await post.kept.wait()
    await dialog.get_by_label("When").fill("daily 10:00")
    async with page.expect_response("**/api/v1/schedules*"):
        post.may.set()
    await expect(show).not_to_have_attribute("aria-busy", "true")
    await expect(dialog.locator(".times li")).to_have_count(0)
    await expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    await show.click()
    await expect(dialog.locator(".times li")).not_to_have_count(0)
    await expect(dialog.get_by_role("button", name="Save")).to_be_enabled()


async def test_what_was_loaded_before_the_line_stood_is_loaded_again(
    held_house: House,
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
    held_house: House,
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


async def test_a_post_that_waits_no_more_before_the_list_comes_is_not_in_it(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    stands, told = heard(page, '"is":"caught_up"'), heard(page, '"is":"post"')
    await page.reload()
    await begin(page)
    await stands.wait()
    schedule = await ask(page, "POST", "/schedules", {"words": "daily 09:00", "chat": "web:home:home"})
    soon = datetime.now(UTC) + timedelta(days=90)
    number = await some_post(house, schedule, state=PostState.WAITING, due_at=soon)
    post = Post()
    await post.keep_back(page, "**/api/v1/posts?state=waiting*")
    await visit(page, "posts")
    await post.kept.wait()
    change = partial(posts.change, post_id=number, was=(PostState.WAITING,), state=PostState.SKIPPED)
    await house.engine.database.change(change)
    while not told.is_set():  # it may not listen yet
        house.engine.events.publish("post.changed", post=number)
        await asyncio.sleep(0.1)
    post.may.set()
    await expect(page.get_by_text("No post waits for anybody.")).to_be_visible()


async def test_the_answer_to_an_order_takes_nothing_back_that_was_told_since(
    held_house: House,
    visitor: Visitor,
    held: Held,
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


async def with_pages_of(page: Any, path: str, most: int) -> None:
    """The page is told so many at once, and no more, whatever it asks for."""

    async def shortened(route: Any) -> None:
        if route.request.method != "GET":
            await route.continue_()
            return
        address = urlsplit(route.request.url)
        asked = [(name, value) for name, value in parse_qsl(address.query) if name != "limit"]
        asked.append(("limit", str(most)))
        await route.continue_(url=urlunsplit(address._replace(query=urlencode(asked))))

    await page.route(path, shortened)


async def a_long_talk(page: Any, exchanges: int) -> list[dict[str, Any]]:
    """The oldest message first. It is so long that what is older is asked for only by whoever looks for it."""
    await begin(page)
    for number in range(exchanges):
        await say(page, f"Number {number}. " + "So it went on. " * 400)
        await expect(message(page, "Quite so.")).to_have_count(number + 1)
    there = (await ask(page, "GET", "/talks/home/messages?limit=100"))["items"]
    await with_pages_of(page, "**/api/v1/talks/home/messages*", 2)
    return sorted(there, key=lambda one: int(one["id"]))


async def look_for_older(page: Any) -> None:
    await page.locator(".log").evaluate(
        "log => { log.scrollTop = 0; log.dispatchEvent(new Event('scroll')); }"
    )


async def test_an_old_message_that_changes_hides_none_of_those_between(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    there = await a_long_talk(page, 4)
    reply = next(one["id"] for one in there if one["text"] == "Quite so.")
    stands, told = heard(page, '"is":"caught_up"'), heard(page, '"emoji"')
    await page.reload()
    await expect(message(page, "Number 3.")).to_have_count(1)
    await stands.wait()
    await ask(page, "POST", "/talks/home/react", {"message": reply, "emoji": "❤", "added": True})
    await told.wait()
    shown = page.locator("[data-message]")
    for _ in range(200):
        if await shown.count() >= len(there):
            break
        await look_for_older(page)
        await asyncio.sleep(0.05)
    numbers = [await one.get_attribute("data-message") for one in await shown.all()]
    assert numbers == [str(one["id"]) for one in there]


async def test_older_messages_that_come_late_take_nothing_back_that_was_told_since(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    there = await a_long_talk(page, 2)
    reply = next(one["id"] for one in there if one["text"] == "Quite so.")
    stands, told = heard(page, '"is":"caught_up"'), heard(page, '"emoji"')
    await page.reload()
    await expect(message(page, "Number 1.")).to_have_count(1)
    await stands.wait()
    post = Post()
    await post.keep_back(page, "**/api/v1/talks/home/messages*")
    await look_for_older(page)
    await post.kept.wait()
    await ask(page, "POST", "/talks/home/react", {"message": reply, "emoji": "❤", "added": True})
    await told.wait()
    post.may.set()
    await expect(message(page, "Number 0.")).to_have_count(1)
    await expect(page.locator(f"[data-message='{reply}'] .reaction-there")).to_have_count(1)


async def test_a_page_that_comes_behind_takes_nothing_back_that_was_told_since(
    held_house: House,
    visitor: Visitor,
    held: Held,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(happenings, "RUN_EVERY", 3600.0)  # told once more, it would be mended
    page = await visitor.tab(held_house.address.url, height=100)
    for key in ("a", "b", "c"):
        await ask(page, "POST", "/runs", {"limit": 1, "key": key})
    await with_pages_of(page, "**/api/v1/runs*", 1)
    await visit(page, "backfill")
    runs = page.locator("[data-run]")
    await expect(runs.locator(".mark")).to_have_text(["under way"])
    held.may.set()
    # The others are over before it: they are not listed yet, and come with their pages.
    await expect(runs.locator(".mark")).to_have_text(["done"])
    for listed in (2, 3):
        await page.locator("main .pager").last.scroll_into_view_if_needed()
        await expect(runs).to_have_count(listed)
    await expect(runs.locator(".mark")).to_have_text(["done", "done", "done"])
