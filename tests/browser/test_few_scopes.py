"""The page to whoever came in by a key with few scopes: what they see works, the rest is said in a sentence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot import passwords
from bot.house import House
from engine.store.records import Scope
from tests.bot.web.visitors import a_key
from tests.browser.tabs import Visitor, begin, has_come, message, say, stands
from tests.browser.test_pictures_seen import painted

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = {
    "gallery": "Gallery",
    "queue": "Queue",
    "backfill": "Backfill",
    "posts": "Posts",
    "personas": "Personas",
    "models": "Models",
    "health": "Health",
}


async def signed_in(house: House, visitor: Visitor, *scopes: Scope) -> Any:
    """A browser that came in by a key with these scopes, as the page stands before it."""
    word, _key = await a_key(house.engine, *scopes, name="tablet")
    # Without a password whoever sits at this machine is the operator.
    await asyncio.to_thread(passwords.keep, house.engine.home, "correct horse battery")
    page = await visitor.tab(f"{house.address.url}/sign-in")
    await page.locator("#word").fill(word)
    await page.keyboard.press("Enter")
    await page.get_by_role("navigation", name="Greenroom").wait_for()
    return page


def places(page: Any) -> Any:
    return page.get_by_role("navigation", name="Greenroom").get_by_role("link")


async def test_who_may_only_talk_talks_and_is_told_what_they_may_not_see(
    house: House, visitor: Visitor
) -> None:
    page = await signed_in(house, visitor, Scope.CHAT)
    await begin(page)
    await expect(places(page)).to_have_text(["Chat"])
    await say(page, "Who are you?")
    await expect(message(page, "Quite so.")).to_have_count(1)
    await has_come(page.locator(".message-face img").first)
    await say(page, "/imagine on the roof at dusk")
    picture = page.locator(".pictures img")
    await expect(picture).to_have_count(1)
    await has_come(picture)
    await page.locator(".thumb").click()
    await has_come(page.locator(".looked"))
    await page.keyboard.press("Escape")
    for place in (*NAMES, "prompt", "persona/glenys-prosser", "persona/glenys-prosser/edit", "picture/1"):
        await page.goto(f"{house.address.url}/#/{place}")
        here = page.locator(f".shell-at-{place.partition('/')[0]}")
        await expect(here.get_by_text("tablet may not open this.")).to_be_visible()
    await expect(page.get_by_text("this one may: chat")).to_be_visible()
    await page.get_by_role("link", name="To the page").click()
    await expect(message(page, "Quite so.")).to_have_count(1)


async def test_who_may_only_look_sees_everything_and_can_change_nothing(
    house: House, visitor: Visitor
) -> None:
    operator = await visitor.tab(house.address.url)
    await begin(operator)
    number = await painted(operator, "glenys-prosser", "on the roof")
    await operator.close()  # once there is a password, whoever sits here is asked for it
    page = await signed_in(house, visitor, Scope.READ)
    # The first place that they may see is theirs.
    await expect(page.get_by_role("heading", level=1)).to_have_text("Gallery")
    await expect(places(page)).to_have_text(list(NAMES.values()))
    for place, name in NAMES.items():
        await page.goto(f"{house.address.url}/#/{place}")
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        await stands(page)
        await expect(page.get_by_role("alert")).to_have_count(0)
        for button in ("New persona", "Import a card", "Fetch", "New schedule", "Render"):
            await expect(page.get_by_role("button", name=button)).to_have_count(0)
    await page.goto(f"{house.address.url}/#/picture/{number}")
    await page.locator(".picture-whole img").wait_for()
    for button in ("Render", "Delete", "Make it their face"):
        await expect(page.get_by_role("button", name=button)).to_have_count(0)
    for tab in ("about", "edit", "revisions"):
        await page.goto(f"{house.address.url}/#/persona/glenys-prosser/{tab}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Glenys Prosser")
        await stands(page)
        await expect(
            page.locator(".profile" if tab != "revisions" else "[data-revision]").first
        ).to_be_visible()
        for button in ("Talk", "Save", "Remove", "Roll back"):
            await expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)
    await page.goto(f"{house.address.url}/#/chat")
    await expect(page.get_by_text("tablet may not open this.")).to_be_visible()
    await expect(page.get_by_text("this one may: read")).to_be_visible()


async def test_who_may_only_make_pictures_makes_one(house: House, visitor: Visitor) -> None:
    page = await signed_in(house, visitor, Scope.MAKE)
    await expect(places(page)).to_have_text(["Gallery", "Queue", "Prompt builder"])
    await places(page).last.click()
    await page.get_by_label("Persona").select_option(label="Glenys Prosser")
    await page.get_by_label("Scene").fill("on the pier in the rain")
    await page.get_by_role("button", name="Write the prompt").click()
    await page.get_by_role("button", name="Render").click()
    await expect(page.locator(".made .thumbs img")).to_have_count(1)
    await has_come(page.locator(".made .thumbs img"))
    await page.locator(".made .thumbs a").click()
    await expect(page.get_by_role("button", name="Render")).to_be_visible()
    await expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    for place in ("Gallery", "Queue"):
        await places(page).filter(has_text=place).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(place)
    await page.goto(f"{house.address.url}/#/persona/glenys-prosser")
    await expect(page.get_by_text("tablet may not open this.")).to_be_visible()
