"""Talking with a persona in a real browser: what one sees while it answers, after a reload, and in another tab."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from bot.house import House, open_house
from engine.pictures import PictureWanted, Preview, Progress, Rendered
from engine.settings import LimitSettings, PictureSettings, Settings, WebSettings
from engine.testing import FakeLanguage, FakeRenderer
from tests.browser.tabs import Visitor, begin, message, say

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = " ".join(f"word{number}" for number in range(400))


class GatedLanguage(FakeLanguage):
    """Writes up to a word, and goes on when it may."""

    def __init__(self) -> None:
        super().__init__("The kettle is on, and the scones are out.")
        self.may = asyncio.Event()

    async def write(self, wanted: Any) -> Any:
        async for word in super().write(wanted):
            if word.startswith("scones"):
                await self.may.wait()
            yield word


class GatedRenderer(FakeRenderer):
    """Draws half of a picture, and the rest when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        def step(done: int, of: int, preview: Preview | None = None, /) -> None:
            progress(done, of, preview)
            # Steps that come faster than one can see are not all told, and a look is taken of the next one only.
            self.may.wait(None if done * 2 > of else 0.2)

        return super().render(wanted, step)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    changed = {
        "pictures": PictureSettings(width=64, height=64, steps=8),
        "limits": LimitSettings(messages_per_minute=1_000),
    }
    return settings.model_copy(update=changed)


@pytest.fixture
def renderer() -> Iterator[GatedRenderer]:
    made = GatedRenderer()
    yield made
    made.may.set()


@pytest_asyncio.fixture(loop_scope="session")
async def house(settings: Settings, language: GatedLanguage, renderer: GatedRenderer) -> AsyncIterator[House]:
    async with open_house(settings, models=[language], renderer=renderer) as opened:
        yield opened
        renderer.may.set()  # whoever still draws would be waited for


@pytest.fixture
def language() -> GatedLanguage:
    return GatedLanguage()


async def test_a_reply_is_seen_while_it_is_written_and_stands_once_when_it_is(
    house: House, visitor: Visitor, language: GatedLanguage
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await say(page, "Is the kettle on?")
    await expect(page.locator(".message-draft")).to_contain_text("The kettle is on, and the")
    await expect(message(page, "Is the kettle on?")).to_have_count(1)
    await expect(page.get_by_role("textbox", name="Write to")).to_be_focused()
    language.may.set()
    await expect(message(page, "the scones are out")).to_have_count(1)
    await expect(page.locator(".message-draft")).to_have_count(0)
    await expect(page.locator("[aria-live=polite].unseen")).to_contain_text("the scones are out")


async def test_a_reload_in_mid_reply_loses_nothing_of_it(
    house: House, visitor: Visitor, language: GatedLanguage
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await say(page, "Is the kettle on?")
    await expect(page.locator(".message-draft")).to_contain_text("and the")
    await page.reload()
    await expect(page.locator(".message-draft")).to_contain_text("The kettle is on, and the")
    await expect(message(page, "Is the kettle on?")).to_have_count(1)
    language.may.set()
    await expect(message(page, "the scones are out")).to_have_count(1)
    await page.reload()
    await expect(message(page, "the scones are out")).to_have_count(1)


async def test_two_tabs_are_one_chat(house: House, visitor: Visitor, language: GatedLanguage) -> None:
    profile = await visitor.profile()
    one = await visitor.tab(house.address.url, profile=profile)
    await begin(one)
    other = await visitor.tab(one.url, profile=profile)
    await other.get_by_role("textbox", name="Write to").wait_for()
    await say(one, "Hello from the left")
    await expect(message(other, "Hello from the left")).to_have_count(1)
    await expect(other.locator(".message-draft")).to_contain_text("The kettle is on, and the")
    language.may.set()
    await say(other, "Hello from the right")
    for page in (one, other):
        await expect(message(page, "Hello from the right")).to_have_count(1)
        await expect(message(page, "the scones are out")).to_have_count(2)
        await expect(page.locator(".message-person")).to_have_count(2)


async def test_a_reply_can_be_stopped_and_asked_for_again(
    house: House, visitor: Visitor, language: GatedLanguage
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await say(page, "Is the kettle on?")
    await expect(page.locator(".message-draft")).to_contain_text("and the")
    async with page.expect_response("**/stop"):
        await page.get_by_role("button", name="Stop").click()
    language.may.set()
    stopped = message(page, "The kettle is on")
    await expect(stopped).to_have_count(1)
    await expect(page.locator(".message-draft")).to_have_count(0)
    await expect(stopped).not_to_contain_text("scones")
    language.reply = "Another answer."
    await page.get_by_role("button", name="Another answer").click()
    await expect(message(page, "Another answer.")).to_have_count(1)
    await expect(message(page, "The kettle is on")).to_have_count(0)


async def test_an_order_goes_from_the_line_over_its_steps_to_the_picture(
    house: House, visitor: Visitor, renderer: GatedRenderer
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await page.get_by_role("textbox", name="Write to").press_sequentially("/ima")
    await expect(page.get_by_role("option", name="/imagine")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("textbox", name="Write to")).to_have_value("/imagine ")
    await page.keyboard.type("on the roof at dusk")
    await page.keyboard.press("Enter")
    card = page.locator(".message-job")
    bar = card.get_by_role("progressbar")
    await expect(bar).to_have_attribute("max", "8")
    await expect(bar).to_have_attribute("value", "5")
    await expect(card).to_contain_text("Step 5 of 8")
    await expect(card.get_by_role("img", name="The picture as far as it is")).to_be_visible()
    await expect(card.get_by_role("button", name="Stop")).to_be_visible()
    renderer.may.set()
    picture = card.locator(".pictures img")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 64)
    await expect(card).to_have_count(1)
    await expect(card.get_by_role("progressbar")).to_have_count(0)
    await card.locator(".pictures button").click()
    await expect(page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(card.locator(".pictures button")).to_be_focused()


async def test_a_picture_is_deleted_only_when_somebody_is_sure(
    house: House, visitor: Visitor, renderer: GatedRenderer
) -> None:
    renderer.may.set()
    page = await visitor.tab(house.address.url)
    await begin(page)
    await say(page, "/imagine on the roof")
    await page.locator(".pictures img").wait_for()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.locator(".pictures img")).to_be_visible()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator(".pictures img")).to_have_count(0)


async def test_a_question_is_answered_by_the_next_words(
    house: House, visitor: Visitor, renderer: GatedRenderer
) -> None:
    renderer.may.set()
    page = await visitor.tab(house.address.url)
    await begin(page)
    await say(page, "/imagine")
    await expect(message(page, "What should the picture show?")).to_have_count(1)
    await say(page, "on the roof at dusk")
    await expect(page.locator(".pictures img")).to_be_visible()


async def test_what_is_not_heard_stands_there_with_its_reason_and_can_be_taken_back(
    settings: Settings, language: GatedLanguage, visitor: Visitor
) -> None:
    strict = settings.model_copy(update={"limits": LimitSettings(message_length=20)})
    async with open_house(strict, models=[language], renderer=FakeRenderer()) as house:
        page = await visitor.tab(house.address.url)
        await begin(page)
        await say(page, "This is longer than anybody here will read.")
        own = page.locator(".message-own")
        await expect(own).to_contain_text("longer than anybody here will read")
        await expect(own.get_by_role("alert")).to_contain_text("20")
        await expect(page.locator(".told")).to_have_count(0)
        await own.get_by_role("button", name="Do not send").click()
        await expect(own).to_have_count(0)
        await page.close()  # it would say that the house is gone
        visitor.faults.clear()  # that it was refused is what this is about


async def test_enter_sends_and_with_shift_it_breaks_the_line_and_an_open_input_method_keeps_it(
    house: House, visitor: Visitor, language: GatedLanguage
) -> None:
    language.may.set()
    page = await visitor.tab(house.address.url)
    await begin(page)
    field = page.get_by_role("textbox", name="Write to")
    await field.fill("kettle")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("lantern")
    await expect(field).to_have_value("kettle\nlantern")
    await field.evaluate(
        "field => field.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    await expect(field).to_have_value("kettle\nlantern")
    await page.keyboard.press("Enter")
    await expect(field).to_have_value("")
    said = message(page, "lantern")
    await expect(said).to_have_count(1)
    assert "kettle\nlantern" in await said.inner_text()


async def test_what_was_begun_is_still_there_after_a_reload(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await page.get_by_role("textbox", name="Write to").fill("Half a thou")
    await page.reload()
    await expect(page.get_by_role("textbox", name="Write to")).to_have_value("Half a thou")


async def stays_at_the_bottom(log: Any) -> None:
    """What comes last may still grow: it is given a moment."""
    for _ in range(100):
        if await log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 5:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it is not at the bottom")


async def test_the_chat_stays_at_the_bottom_only_if_somebody_is_there(
    house: House, visitor: Visitor, language: GatedLanguage
) -> None:
    language.may.set()
    language.reply = LONG
    page = await visitor.tab(house.address.url)
    await begin(page)
    log = page.locator(".log")
    for number in range(2):
        await say(page, f"Number {number}")
        await expect(message(page, "word399")).to_have_count(number + 1)
    await stays_at_the_bottom(log)
    other = await visitor.tab(page.url, profile=page.context)
    await log.evaluate("log => { log.scrollTop = 100; }")
    await say(other, "From elsewhere")
    await expect(page.get_by_role("button", name="New messages")).to_be_visible()
    await expect(message(page, "word399")).to_have_count(3)
    assert await log.evaluate("log => log.scrollTop") == 100
    await page.get_by_role("button", name="New messages").click()
    await expect(page.get_by_role("button", name="New messages")).to_have_count(0)
    await stays_at_the_bottom(log)


async def test_older_messages_come_when_one_looks_for_them_and_nothing_jumps(
    house: House, visitor: Visitor, language: GatedLanguage
) -> None:
    language.may.set()
    page = await visitor.tab(house.address.url)
    await begin(page)
    for number in range(25):
        await say(page, f"Number {number}.")
        await expect(message(page, "the scones are out")).to_have_count(number + 1)
    await page.reload()
    await expect(message(page, "Number 24.")).to_have_count(1)
    await expect(message(page, "Number 0.")).to_have_count(0)
    log = page.locator(".log")
    oldest = page.locator(".message").first
    number = await oldest.get_attribute("data-message")
    await log.evaluate("log => { log.scrollTop = 0; }")
    await expect(message(page, "Number 0.")).to_have_count(1)
    kept = page.locator(f"[data-message='{number}']")
    await expect(kept).to_be_in_viewport()
    await expect(message(page, "Number")).to_have_count(25)


async def test_while_the_house_is_away_it_says_so_and_what_is_said_meanwhile_is_said_once(
    settings: Settings, visitor: Visitor, language: GatedLanguage, renderer: GatedRenderer
) -> None:
    language.may.set()
    async with open_house(settings, models=[language], renderer=renderer) as house:
        port = int(house.address.url.rpartition(":")[2])
        page = await visitor.tab(house.address.url)
        await begin(page)
        await say(page, "Before")
        await expect(message(page, "the scones are out")).to_have_count(1)
    bar = page.get_by_text("Greenroom does not answer; it is tried again.")
    await expect(bar).to_be_visible()
    await say(page, "Meanwhile")
    await expect(page.locator(".own-trouble")).to_contain_text("Greenroom does not answer")
    visitor.faults.clear()  # that nobody answers is what this is about
    settings = settings.model_copy(update={"web": WebSettings(port=port)})
    async with open_house(settings, models=[FakeLanguage("Back again.")], renderer=renderer):
        await expect(message(page, "Back again.")).to_have_count(1)
        await expect(bar).to_have_count(0)
        await expect(page.locator(".own-trouble")).to_have_count(0)
        await expect(page.locator(".message-person").filter(has_text="Meanwhile")).to_have_count(1)
        await page.close()  # it would say that the house is gone
        visitor.faults.clear()


async def test_a_word_typed_in_the_last_moment_is_there_when_one_comes_back(
    house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    field = page.get_by_role("textbox", name="Write to")
    await field.evaluate(
        """(field) => {
            field.value = "half a thou";
            field.dispatchEvent(new Event("input", { bubbles: true }));
            location.hash = "#/gallery";
        }"""
    )
    await page.locator(".page h1").wait_for()
    await expect(field).to_have_count(0)
    await page.go_back()
    await expect(field).to_have_value("half a thou")
