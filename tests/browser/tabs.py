"""Somebody with a browser, and the tabs that they have open. Everything that goes wrong in one is written down."""

from __future__ import annotations

from typing import Any

import pytest

#: A picture is shown whole where there is no small one of it yet.
HARMLESS = ("/thumb",)


class Visitor:
    """A browser's profile: its tabs share cookies. `faults` holds all that went wrong in them."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self._contexts: list[Any] = []
        self.faults: list[str] = []

    async def profile(
        self, *, width: int = 1280, height: int = 800, dark: bool = False, language: str = "en", **more: Any
    ) -> Any:
        context = await self._chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=language,
            **more,
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        return context

    async def tab(self, address: str, *, profile: Any = None, **how: Any) -> Any:
        """A new tab at an address. In a profile, or in one of its own."""
        page = await (profile or await self.profile(**how)).new_page()
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("response", self._answered)
        await page.goto(address)
        return page

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    def _said(self, message: Any) -> None:
        # What could not be loaded is told by its address below.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400 and not response.url.endswith(HARMLESS):
            self.faults.append(f"{response.status}: {response.url}")


async def ask(page: Any, method: str, path: str, body: Any = None) -> Any:
    """Ask the house what a page asks it, with its cookie; answers the JSON."""
    home = page.url.partition("/#")[0].rstrip("/")
    answer = await page.request.fetch(
        f"{home}/api/v1{path}",
        method=method,
        headers={"X-Greenroom": "page", "Origin": home},
        **({} if body is None else {"data": body}),
    )
    assert answer.ok, f"{method} {path}: {answer.status} {await answer.text()}"
    return None if answer.status == 204 else await answer.json()


async def visit(page: Any, where: str) -> None:
    """Go to a view by its address, and wait until it stands there: not the one before it, which has a title too."""
    home = page.url.partition("/#")[0].rstrip("/")
    await page.goto(f"{home}/#/{where}")
    await page.locator(f".shell-at-{where.partition('/')[0]} .page h1").wait_for()


async def stands(page: Any) -> None:
    """All that a view has asked for is there."""
    expect = pytest.importorskip("playwright.async_api").expect
    await expect(page.locator("main .waiting:not(.draft-waiting)")).to_have_count(0)


async def has_come(image: Any) -> None:
    """A picture is there to be seen: at its small address, or where there is nothing small, at its own."""
    expect = pytest.importorskip("playwright.async_api").expect
    await expect(image).not_to_have_js_property("naturalWidth", 0)


async def axe_finds_nothing(page: Any) -> None:
    """Whoever hears the page, or cannot use a mouse, meets nothing grave."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    found = (await axe.run(page)).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    told = {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in grave}
    assert told == {}


async def begin(page: Any, who: str = "Glenys Prosser") -> None:
    """Choose a persona, as somebody does who is here for the first time."""
    await page.get_by_role("button", name="Choose a persona").click()
    await page.get_by_role("dialog").get_by_role("button", name=who).click()
    await page.get_by_role("textbox", name="Write to").wait_for()


async def say(page: Any, text: str) -> None:
    await page.get_by_role("textbox", name="Write to").fill(text)
    await page.keyboard.press("Enter")


def message(page: Any, text: str) -> Any:
    """The messages that say this, as they stand for good."""
    return page.locator(".message:not(.message-draft, .message-own)").filter(has_text=text)
