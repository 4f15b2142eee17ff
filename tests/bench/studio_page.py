"""What the page weighs before any picture, and how soon somebody can write in it who opens it for the first time.

`greenroom up` by itself, and a real Chromium with nothing in its cache, started anew for each round. The time is the
browser's own: from the beginning of the navigation until there is a field to write in.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from engine.home import Home
from tests.bench.harness import Figure
from tests.bot.web.visitors import PAGE

ROOT = Path(__file__).parents[2]
GREENROOM = Path(sys.executable).with_name("greenroom")
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60
WEIGHT, SOON = "page weight before pictures, compressed, kB", "opening the page -> writing in a chat, ms"

#: Notes when there is a field that takes words: looked at whenever the page changes, on the browser's clock.
LOOKING = """
new MutationObserver((_changes, looking) => {
  const field = document.querySelector("textarea");
  if (field && !field.disabled && !field.closest("[hidden]")) {
    window.usable = performance.now();
    looking.disconnect();
  }
}).observe(document, { childList: true, subtree: true, attributes: true });
"""


@dataclass(frozen=True)
class Opened:
    """One opening of the page."""

    usable: float
    #: Bytes as they came over the line, with their headers.
    weight: int
    files: int
    slowest: str


def take_page(folder: Path, *, rounds: int) -> tuple[list[Figure], str]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        why = "there is no Chromium here"
        return [
            Figure(WEIGHT, None, "<= 150", "lower", "-", open=why),
            Figure(SOON, None, "<= 1000", "lower", "-", open=why),
        ], ""
    opened = asyncio.run(_rounds(folder / "home", path, rounds))
    times = [one.usable for one in opened]
    weight = max(one.weight for one in opened)
    notes = (
        f"usable: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms of {rounds}; "
        f"{opened[0].files} files; the slowest: {opened[0].slowest}\n"
        "A house in a process of its own; each round a new Chromium with an empty cache, and a chat that is there."
    )
    return [
        Figure(WEIGHT, weight / 1000, "<= 150", "lower", "-"),
        Figure(SOON, statistics.median(times), "<= 1000", "lower", "-"),
        Figure(f"{SOON}, worst round", max(times), "-", "lower", "-"),
    ], notes


async def _rounds(home: Path, chromium: str, rounds: int) -> list[Opened]:
    from playwright.async_api import async_playwright

    async with _house(home) as url, async_playwright() as playwright:
        await _enter(url)
        opened = []
        for _ in range(rounds):
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            try:
                opened.append(await _open(browser, url))
            finally:
                await browser.close()
        return opened


async def _open(browser: Any, url: str) -> Opened:
    context = await browser.new_context()
    page = await context.new_page()
    line = await context.new_cdp_session(page)
    kinds: dict[str, str] = {}
    bytes_of: dict[str, float] = {}
    line.on("Network.responseReceived", lambda told: kinds.update({told["requestId"]: told["type"]}))
    line.on(
        "Network.loadingFinished",
        lambda told: bytes_of.update({told["requestId"]: told["encodedDataLength"]}),
    )
    await line.send("Network.enable")
    await page.add_init_script(LOOKING)
    await page.goto(url)
    await page.locator("textarea").wait_for(timeout=PATIENCE * 1000)
    await page.wait_for_load_state("networkidle")
    entries: list[dict[str, Any]] = await page.evaluate(
        "performance.getEntriesByType('resource').map(({name, startTime, responseEnd}) =>"
        " ({name, startTime, responseEnd}))"
    )
    slowest = max(entries, key=lambda one: one["responseEnd"] - one["startTime"])
    return Opened(
        usable=await page.evaluate("window.usable"),
        weight=round(sum(size for request, size in bytes_of.items() if kinds.get(request) != "Image")),
        files=len(bytes_of),
        slowest=f"{slowest['name'].removeprefix(url)} from {slowest['startTime']:.0f}"
        f" to {slowest['responseEnd']:.0f} ms",
    )


async def _enter(url: str) -> None:
    """Somebody is in the chat already."""
    async with httpx.AsyncClient(trust_env=False, headers=PAGE, timeout=PATIENCE) as browser:
        await browser.get(f"{url}/")
        entered = {"persona": "glenys", "chat": "home"}
        (await browser.post(f"{url}/api/v1/talks", json=entered)).raise_for_status()


@asynccontextmanager
async def _house(home: Path) -> AsyncIterator[str]:
    """`greenroom up`, as somebody starts it who has no model; answers its address."""
    named = {
        "GREENROOM_HOME": str(home),
        "GREENROOM_WEB__PORT": "0",
        "GREENROOM_LANGUAGE__MODELS": "off",
        "GREENROOM_PICTURES__MODELS": "off",
    }
    house = await asyncio.create_subprocess_exec(
        str(GREENROOM),
        "up",
        cwd=ROOT,
        env=os.environ | named,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while (address := Home(home).owner()) is None:  # noqa: ASYNC110 - it is looked at from outside
                await asyncio.sleep(0.1)
        yield address.url
    finally:
        house.terminate()
        await house.wait()
