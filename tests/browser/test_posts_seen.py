"""Posts, schedules, feeds and hooks: made, changed and taken back by hand on the page; and lists that go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from bot.house import House
from engine.settings import FeedSettings, Settings
from engine.store import posts
from engine.store.records import JobState, PostState
from engine.store.tables import jobs
from tests.browser.tabs import Visitor, ask, axe_finds_nothing, begin, message, visit
from tests.servers.feeds import Entry, Paper, newspaper

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = "web:home:home"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The newspaper stands on this machine."""
    return settings.model_copy(update={"feeds": FeedSettings(private=True)})


@pytest_asyncio.fixture(loop_scope="session")
async def paper() -> AsyncIterator[Paper]:
    async with newspaper() as opened:
        opened.entries = [Entry("Thaw", "1", hours=2), Entry("Snow", "2", hours=1)]
        yield opened


async def at_posts(house: House, visitor: Visitor, **how: Any) -> Any:
    page = await visitor.tab(house.address.url, **how)
    await begin(page)
    await visit(page, "posts")
    return page


async def test_a_schedule_is_changed_once_its_next_times_were_seen(house: House, visitor: Visitor) -> None:
    page = await at_posts(house, visitor)
    wanted = {"words": "daily 09:00", "chat": HERE, "theme": "a | b", "zone": "Europe/Berlin", "ahead": "2h"}
    kept = await ask(page, "POST", "/schedules", wanted | {"approval": "skip", "style": "noir"})
    await page.reload()
    row = page.locator("[data-schedule]")
    await expect(row).to_contain_text("a · b")
    await row.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Theme")).to_have_value("a | b")
    await expect(dialog.get_by_label("Made ahead")).to_have_value("2h")
    await expect(dialog.get_by_label("Approval")).to_have_value("skip")
    await expect(dialog.get_by_label("Style")).to_have_value("noir")
    await expect(dialog.get_by_role("button", name="Show the next times")).to_be_disabled()
    await dialog.get_by_label("When").fill("weekly mon,thu 20:00")
    await dialog.get_by_label("What is posted").select_option("text-only")
    await expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    await dialog.get_by_role("button", name="Show the next times").click()
    await expect(dialog.locator(".times li")).to_have_count(5)
    for told in await dialog.locator(".times li").all_inner_texts():
        assert "8:00" in told, "a time is told as it is in the place"
    assert (await ask(page, "GET", f"/schedules/{kept['id']}")) == kept, "nothing is changed by looking"
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)  # it stands in the row, and its own words are no answer
    await expect(row).to_contain_text("weekly mon,thu 20:00")
    await expect(row).to_contain_text("Words only")
    now = await ask(page, "GET", f"/schedules/{kept['id']}")
    stays = {**kept["options"], "picture": False, "text": True}
    assert (now["zone"], now["options"]) == ("Europe/Berlin", stays), "what nobody touched stays"


async def test_a_feed_is_listened_to_and_changed(house: House, visitor: Visitor, paper: Paper) -> None:
    page = await at_posts(house, visitor)
    await page.get_by_role("button", name="New feed").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Listen to it")).to_be_disabled()
    await dialog.get_by_label("Address").fill(paper.at("page"))
    await dialog.get_by_role("button", name="Listen to it").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("web page, and no feed")
    visitor.faults.clear()  # that is what stood there
    await dialog.get_by_label("Address").fill(paper.at("feed"))
    await dialog.get_by_label("Only with").fill("thaw, <b>ice</b>")
    await dialog.get_by_label("Its pictures").select_option("item")
    await dialog.get_by_label("Approval").select_option("skip")
    await dialog.get_by_label("Also posts to").fill("here")
    await dialog.get_by_role("button", name="Listen to it").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("“here” has none")
    await dialog.get_by_label("Also posts to").fill("")
    await dialog.get_by_role("button", name="Listen to it").click()
    row = page.locator("[data-feed]")
    await expect(row).to_contain_text("The Daily Test")
    await expect(row).to_contain_text("only with: thaw, <b>ice</b>")
    await row.get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    await expect(dialog.get_by_label("Address")).to_have_value(paper.at("feed"))
    await dialog.get_by_label("Only with").fill("")
    await dialog.get_by_label("Not with").fill("football")
    await dialog.get_by_label("Its pictures").select_option("none")
    await dialog.get_by_label("Looked at every").fill("2h")
    await dialog.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text(
        "not with: football · Words only · Approval: Needed; else it is skipped"
    )
    await expect(row).not_to_contain_text("only with")
    [feed] = (await ask(page, "GET", "/feeds"))["items"]
    assert (feed["every"], feed["chat"], feed["address"]) == ("2h", HERE, paper.at("feed"))


async def test_a_hook_shows_its_secret_once_and_not_away_by_a_slip(house: House, visitor: Visitor) -> None:
    page = await at_posts(house, visitor)
    await page.get_by_role("button", name="New hook").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.locator(".secret code")).to_have_count(3)
    address, secret, key = await dialog.locator(".secret code").all_inner_texts()
    [hook] = (await ask(page, "GET", "/feeds"))["items"]
    assert address == hook["address"]
    assert await house.engine.newsroom.knocked(hook["id"], secret=secret)
    assert key not in ("", secret)
    await page.keyboard.press("Escape")
    await expect(dialog.get_by_role("alert")).to_contain_text("Nobody can be told them again")
    await expect(dialog).to_contain_text(secret)
    await dialog.get_by_role("button", name="I have kept them").click()
    await expect(page.locator("[data-feed]")).to_contain_text(f"Hook {hook['id']}")
    await page.locator("[data-feed]").get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_label("Address")).to_have_count(0)
    await dialog.get_by_label("Only with").fill("snow")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.locator("[data-feed]")).to_contain_text("only with: snow")
    assert secret not in await page.content()
    assert await house.engine.newsroom.knocked(hook["id"], secret=secret), "it is the same one"


async def test_the_secret_of_a_hook_is_shown_to_whoever_is_in_a_hurry(house: House, visitor: Visitor) -> None:
    page = await at_posts(house, visitor)
    sent, may = asyncio.Event(), asyncio.Event()

    async def slowly(route: Any) -> None:
        if route.request.method == "POST":
            sent.set()
            await may.wait()
        await route.continue_()

    await page.route("**/api/v1/feeds*", slowly)
    await page.get_by_role("button", name="New hook").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Make it").click()
    await sent.wait()
    # What is being made has a secret that nobody can be told again: the window stays until it is there.
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    may.set()
    await expect(dialog.locator(".secret code")).to_have_count(3)


async def test_a_window_that_has_to_stay_is_still_there_after_escape_was_pressed_twice(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    sent, may = asyncio.Event(), asyncio.Event()

    async def refused(route: Any) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        sent.set()
        await may.wait()
        await route.fulfill(status=400, json={"detail": "Not now."})

    await page.route("**/api/v1/feeds*", refused)
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="New hook").click()
    await dialog.get_by_label("Only with").fill("snow")
    await dialog.get_by_role("button", name="Make it").click()
    await sent.wait()
    # At the second time a browser closes it by itself.
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    may.set()
    await expect(dialog).to_contain_text("Not now.")
    await expect(dialog.get_by_label("Only with")).to_have_value("snow")
    visitor.faults.clear()  # a 400 is what this is about
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def test_what_was_published_is_taken_back_by_whoever_says_so_twice(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    when = f"once {datetime.now(UTC) + timedelta(days=60):%Y-%m-%d} 09:00"
    wanted = {"words": when, "chat": HERE, "theme": "tea", "posts": "text-only"}
    await ask(page, "POST", "/schedules", wanted)
    await page.reload()
    await page.locator("[data-schedule]").get_by_role("button", name="Post now").click()
    entry = page.locator(".entry-published")
    await expect(entry).to_have_count(1, timeout=60_000)
    [post] = (await ask(page, "GET", "/posts"))["items"]
    await entry.get_by_role("button", name="Take back").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(HERE)
    await dialog.get_by_role("button", name="Cancel").click()
    assert (await ask(page, "GET", f"/posts/{post['id']}"))["state"] == "published"
    await entry.get_by_role("button", name="Take back").click()
    await dialog.get_by_role("button", name="Take back").click()
    await expect(page.get_by_text("One message is taken back.")).to_be_visible()
    await expect(page.locator(".entry-recalled")).to_have_count(1)
    await page.goto(f"{house.address.url}/#/chat/home")
    await page.get_by_role("textbox", name="Write to").wait_for()
    await expect(message(page, post["caption"])).to_have_count(0)


async def test_all_that_waits_can_be_seen_and_stays_where_it_is_while_it_changes(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    schedule = await ask(page, "POST", "/schedules", {"words": "daily 09:00", "chat": HERE})
    now = datetime.now(UTC)
    for number in range(45):
        adding = partial(
            posts.add,
            key=f"some:{number}",
            due_at=now + timedelta(hours=1, minutes=number),
            chat_id=schedule["place"],
            persona_id=schedule["persona_id"],
            theme=f"the {number}th theme",
            state=PostState.WAITING,
            now=now,
        )
        await house.engine.database.change(adding)
    await page.reload()
    await page.get_by_role("heading", name="Waiting for your word (20+)").wait_for()
    waiting = page.locator("[data-post]")
    for count in (40, 45):
        await waiting.last.scroll_into_view_if_needed()
        await expect(waiting).to_have_count(count)
    await expect(page.get_by_role("heading", name="Waiting for your word (45)")).to_be_visible()
    last = waiting.last
    await last.get_by_role("button", name="Edit").click()
    await last.get_by_label("Caption").fill("Half a sen")
    await waiting.nth(40).get_by_role("button", name="Skip").click()
    await expect(waiting).to_have_count(44)
    await expect(last.get_by_label("Caption")).to_have_value("Half a sen")


async def test_of_what_failed_and_of_schedules_there_is_more_than_the_first_page(
    house: House, visitor: Visitor
) -> None:
    page = await at_posts(house, visitor)
    for number in range(60):
        wanted = {"words": "daily 09:00", "chat": HERE, "theme": f"theme {number}"}
        await ask(page, "POST", "/schedules", wanted)
    asked = [{"persona": "glenys", "scene": "the sea", "key": f"{number}"} for number in range(25)]
    await ask(page, "POST", "/jobs/batch", {"items": asked})
    async with house.engine.database.write() as tx:
        await tx.execute(update(jobs).values(state=JobState.FAILED.value, error="There is no paint."))
    await page.reload()
    schedules = page.locator("[data-schedule]")
    await expect(schedules).to_have_count(50)
    await schedules.last.scroll_into_view_if_needed()
    await expect(schedules).to_have_count(60)
    await visit(page, "queue")
    await page.get_by_role("heading", name="Failed of late (20+)").wait_for()
    await page.locator("[data-job]").last.scroll_into_view_if_needed()
    await expect(page.locator("[data-job]")).to_have_count(25)
    await expect(page.get_by_role("heading", name="Failed of late (25)")).to_be_visible()


async def test_the_week_holds_long_german_words(house: House, visitor: Visitor) -> None:
    page = await at_posts(house, visitor)
    schedule = await ask(page, "POST", "/schedules", {"words": "daily 09:00", "chat": HERE})
    now = datetime.now(UTC)
    for state in (PostState.PUBLISHED, PostState.RECALLED):
        adding = partial(
            posts.add,
            key=state.value,
            due_at=now,
            chat_id=schedule["place"],
            persona_id=schedule["persona_id"],
            theme="Donaudampfschifffahrt" * 20,
            state=state,
            now=now,
        )
        await house.engine.database.change(adding)
    german = await visitor.tab(f"{house.address.url}/#/posts", language="de")
    await expect(german.locator(".entry-recalled")).to_contain_text("genommen")
    await expect(german.get_by_role("button", name="nehmen")).to_be_visible()
    over = "one.clientWidth && one.scrollWidth > one.clientWidth"
    wide = f"(all) => all.filter((one) => {over}).map((one) => one.outerHTML)"
    assert await german.locator(".entry, .entry *").evaluate_all(wide) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
async def test_what_is_filled_in_is_neither_too_wide_nor_grave(
    house: House, visitor: Visitor, paper: Paper, dark: bool, width: int
) -> None:
    page = await at_posts(house, visitor, dark=dark, width=width, reduced_motion="reduce")
    await ask(page, "POST", "/schedules", {"words": "daily 09:00", "chat": HERE, "theme": "w" * 300})
    feed = {"address": f"{paper.at('feed')}?{'x' * 300}", "chat": HERE, "only": "snow, ice"}
    await ask(page, "POST", "/feeds", feed)
    await page.reload()
    dialog = page.get_by_role("dialog")

    async def looks() -> None:
        for edge in ("document.documentElement", "document.querySelector('.dialog-body')"):
            wide = await page.evaluate(f"{edge}.scrollWidth - {edge}.clientWidth")
            assert wide <= 0, f"{edge} is {wide} too wide"
        await axe_finds_nothing(page)

    await page.locator("[data-schedule]").get_by_role("button", name="Edit").click()
    await dialog.get_by_label("When").fill("daily 10:00")
    await dialog.get_by_role("button", name="Show the next times").click()
    await dialog.locator(".times li").first.wait_for()
    await looks()
    await page.keyboard.press("Escape")
    await page.locator("[data-feed]").get_by_role("button", name="Edit").click()
    await dialog.get_by_label("Address").wait_for()
    await looks()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="New hook").click()
    await dialog.get_by_role("button", name="Make it").click()
    await dialog.locator(".secret code").first.wait_for()
    await looks()
