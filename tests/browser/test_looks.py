"""How the page looks and feels: on a phone, in the dark, by keyboard, to whoever hears it; and with hostile words."""

from __future__ import annotations

from typing import Any

import pytest

from bot.house import House
from engine.store import personas
from engine.testing import FakeLanguage
from personas.persona import Persona
from tests.browser.tabs import Visitor, axe_finds_nothing, begin, message, say

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")

#: All that a reply may hold, and a word that fits on no line.
RICH = f"""*She looks up.* **Oh.** ||the butler||

- one
- {"m" * 300}

```python
print("{"a long line " * 30}")
```

| a | b |
|---|---|
| {"wide " * 40} | {"n" * 200} |

> quoted https://example.org/{"x" * 200}
"""

HOSTILE = """<img src=x onerror="window.hit=1"><script>window.hit=1</script>
[a](javascript:window.hit=1) [b](data:text/html,<script>window.hit=1</script>) <javascript:window.hit=1>
![c](https://elsewhere.example/pixel.png) [d](https://example.org/"onmouseover="window.hit=1)
`<b>` **<i onclick=window.hit=1>x</i>** ||<svg onload=window.hit=1>||"""


async def test_nothing_goes_beyond_the_edge_of_a_phone(
    house: House, visitor: Visitor, language: FakeLanguage
) -> None:
    language.reply = RICH
    page = await visitor.tab(house.address.url, width=390, height=844)
    await begin(page)
    await say(page, "w" * 400)
    await expect(message(page, "She looks up.")).to_have_count(1)
    await say(page, "/imagine on the roof")
    await page.locator(".pictures img").wait_for()
    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        for edge in ("document.documentElement", "document.querySelector('.log')"):
            wide = await page.evaluate(f"{edge}.scrollWidth - {edge}.clientWidth")
            assert wide <= 0, f"{edge} at {width}: {wide} too wide"
        field = await page.get_by_role("textbox", name="Write to").bounding_box()
        assert field["y"] + field["height"] <= 844


async def test_a_phone_shows_the_talks_or_one_of_them(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url, width=390, height=844)
    await begin(page)
    await expect(page.get_by_role("complementary", name="Talks")).not_to_be_visible()
    await page.get_by_role("link", name="Talks").click()
    await expect(page.get_by_role("complementary", name="Talks")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Write to")).not_to_be_visible()
    await page.get_by_role("complementary", name="Talks").get_by_role("link").click()
    await expect(page.get_by_role("textbox", name="Write to")).to_be_visible()


async def test_the_dark_is_the_systems_until_somebody_chooses_and_that_is_kept(
    house: House, visitor: Visitor
) -> None:
    async def lightness(page: Any) -> int:
        told = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return sum(int(one) for one in told.partition("(")[2].rstrip(")").split(",")[:3])

    profile = await visitor.profile(dark=True)
    page = await visitor.tab(house.address.url, profile=profile)
    await page.get_by_role("button", name="Theme: system").wait_for()
    assert await lightness(page) < 150
    await page.get_by_role("button", name="Theme: system").click()
    await page.get_by_role("button", name="Theme: light").wait_for()
    assert await lightness(page) > 600
    await page.reload()
    assert await lightness(page) > 600
    await page.get_by_role("button", name="Theme: light").click()
    await page.get_by_role("button", name="Theme: dark").wait_for()
    await page.emulate_media(color_scheme="light")
    assert await lightness(page) < 150


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
async def test_axe_finds_no_grave_fault(
    house: House, visitor: Visitor, language: FakeLanguage, dark: bool, width: int
) -> None:
    language.reply = RICH
    page = await visitor.tab(house.address.url, dark=dark, width=width, reduced_motion="reduce")
    await page.get_by_role("button", name="Choose a persona").wait_for()
    await axe_finds_nothing(page)
    await page.get_by_role("button", name="Choose a persona").click()
    await page.get_by_role("dialog").get_by_role("button", name="Glenys Prosser").wait_for()
    await axe_finds_nothing(page)
    await page.get_by_role("dialog").get_by_role("button", name="Glenys Prosser").click()
    await page.get_by_role("textbox", name="Write to").wait_for()
    await say(page, "Hello")
    await expect(message(page, "She looks up.")).to_have_count(1)
    await say(page, "/imagine on the roof")
    await page.locator(".pictures img").wait_for()
    await page.get_by_role("textbox", name="Write to").press_sequentially("/")
    await page.get_by_role("option").first.wait_for()
    await axe_finds_nothing(page)


async def test_everything_is_done_by_keyboard_alone(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await page.get_by_role("button", name="Choose a persona").wait_for()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="To the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="New talk")).to_be_focused()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Glenys Prosser").wait_for()
    for _ in range(30):  # round and round, and never out of it
        await page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        assert await page.evaluate(inside)
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("button", name="New talk")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_role("searchbox").press_sequentially("glenys")
    await expect(dialog.locator(".person")).to_have_count(1)
    await dialog.locator(".person").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Write to")).to_be_focused()
    await page.keyboard.type("Hello")
    await page.keyboard.press("Enter")
    await expect(message(page, "Quite so.")).to_have_count(1)


async def test_it_speaks_german_to_whoever_does(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url, language="de-AT")
    await page.get_by_role("button", name="Persona wählen").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Glenys Prosser")
    assert await page.evaluate("document.documentElement.lang") == "de"


async def test_hostile_words_are_shown_and_do_nothing(
    house: House, visitor: Visitor, language: FakeLanguage
) -> None:
    language.reply = HOSTILE
    name = '<img src=x onerror="window.hit=1">Mallory'
    async with house.engine.database.write() as tx:
        await personas.take_in(
            tx,
            Persona(
                slug="mallory", name=name, occupation="<script>window.hit=1</script>", greetings=(HOSTILE,)
            ),
            origin="imported",
            now=house.engine.clock.now(),
        )
    asked: list[str] = []
    page = await visitor.tab(house.address.url)
    page.on("request", lambda request: asked.append(request.url))
    await begin(page, name)
    await expect(page.get_by_role("heading", name=name).first).to_be_visible()
    await say(page, HOSTILE.replace("\n", " "))
    # The greeting, and the reply.
    said = page.locator(".message-persona:not(.message-draft)")
    await expect(said).to_have_count(2)
    await expect(said.last).to_contain_text("<script>window.hit=1</script>")
    await expect(page.locator(".message-person")).to_contain_text('<img src=x onerror="window.hit=1">')
    await page.get_by_role("button", name="Hidden words: show them").last.click()
    for link in await page.locator(".message a").all():
        address = await link.get_attribute("href")
        assert address.startswith("https://"), address
        assert await link.get_attribute("rel") == "noopener noreferrer"
        await link.hover()
    await page.locator(".message strong").last.click()
    assert await page.evaluate("window.hit") is None
    assert await page.locator(".message :is(script, svg:not(.icon), img:not(.face))").count() == 0
    assert [url for url in asked if not url.startswith(house.address.url) and not url.startswith("ws")] == []
    await page.goto(f"{house.address.url}/#/<img src=x onerror=window.hit=1>/%00%ff")
    await expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
    assert await page.evaluate("window.hit") is None


async def test_code_can_be_copied(house: House, visitor: Visitor, language: FakeLanguage) -> None:
    language.reply = "Here:\n\n```python\nprint('<b>tea</b>')\n```"
    profile = await visitor.profile(permissions=["clipboard-read", "clipboard-write"])
    page = await visitor.tab(house.address.url, profile=profile)
    await begin(page)
    await say(page, "Show me")
    await message(page, "print").get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == "print('<b>tea</b>')"


async def test_whoever_is_signed_out_elsewhere_is_told_so(house: House, visitor: Visitor) -> None:
    profile = await visitor.profile()
    page = await visitor.tab(house.address.url, profile=profile)
    await begin(page)
    answer = await profile.request.post(
        f"{house.address.url}/api/v1/sign-out", headers={"X-Greenroom": "page", "Origin": house.address.url}
    )
    assert answer.status == 204
    await expect(page.get_by_text("You are signed out here.")).to_be_visible(timeout=20_000)
    # It was refused, and rightly.
    visitor.faults.clear()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("textbox", name="Write to")).to_be_visible()
    visitor.faults.clear()
