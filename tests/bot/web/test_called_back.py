"""A program that is called back by a real house, in a process that is really killed: heard at least once, under one
number, signed with what the API tells.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bot.client import Client, GoneError
from engine.home import Home
from tests.servers.listeners import Heard, Listener, listening
from tests.surroundings import bare

ORDER = {"persona": "glenys-prosser", "scene": "at the harbour", "count": 2}
PATIENCE = 40.0


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@asynccontextmanager
async def life(
    home: Home, point: str = "", nth: int = 1
) -> AsyncIterator[tuple[Client, asyncio.subprocess.Process]]:
    """One life of the house. With a point it is over when that is reached; else it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bot.web.calling_house", point, str(nth)),
        cwd=Path(__file__).parents[3],
        env=bare()
        | {
            "GREENROOM_HOME": str(home.path),
            "GREENROOM_WEB__PORT": "0",
            "GREENROOM_WEB__PRIVATE_CALLBACKS": "true",
            "GREENROOM_PICTURES__STEPS": "3",
            "GREENROOM_PICTURES__WIDTH": "64",
            "GREENROOM_PICTURES__HEIGHT": "64",
        },
    )
    client = None
    try:
        async with asyncio.timeout(PATIENCE):
            while (address := home.owner()) is None or address.pid != process.pid:
                assert process.returncode is None, "it ended before it was open"
                await asyncio.sleep(0.02)
            client = Client(address)
            yield client, process
            if point:
                assert await process.wait() == -signal.SIGKILL, "it reached its point"
    finally:
        if client is not None:
            await client.close()
        if process.returncode is None:
            process.kill()
            await process.wait()


def check_signed(heard: Heard, secret: str) -> None:
    """As a program does that has read the document and nothing of ours."""
    right = hmac.new(secret.encode(), heard.body, hashlib.sha256).hexdigest()
    assert heard.headers["x-greenroom-signature"] == f"sha256={right}"


async def ordered(client: Client, listener: Listener) -> None:
    # The house may be quicker to reach its point than to answer.
    with suppress(GoneError):
        await client.post("/jobs", **ORDER, key="one", callback=listener.at())


async def told(client: Client, state: str) -> dict[str, Any]:
    """The only callback, once it is so."""
    while True:
        [one] = (await client.get("/callbacks"))["items"]
        if one["state"] == state:
            return dict(one)
        await asyncio.sleep(0.02)


@pytest.mark.timeout(120)
async def test_what_was_heard_and_not_noted_is_told_again_under_the_same_number(
    home: Home, listener: Listener
) -> None:
    listener.answers = [500, 204]
    # It dies between the second answer and the row that would have said so.
    async with life(home, "what became of a callback is noted", 2) as (client, _):
        secret = (await client.get("/callbacks/secret"))["secret"]
        await ordered(client, listener)
        await listener.until(2)
    async with life(home) as (client, _):
        await listener.until(3)
        row = await told(client, "sent")
        assert (await client.get("/callbacks/secret"))["secret"] == secret
        job = await client.post("/jobs", **ORDER, key="one", callback=listener.at())
        [same] = (await client.get("/callbacks"))["items"]
        assert same == row, "an order that was known is no second callback"
    refused, heard, heard_again = listener.heard
    assert {one.headers["x-greenroom-delivery"] for one in listener.heard} == {str(row["id"])}
    assert {one.headers["x-greenroom-event"] for one in listener.heard} == {"job.ended"}
    for one in listener.heard:
        check_signed(one, secret)
    assert refused.body == heard.body == heard_again.body
    said = heard.told
    assert (said["event"], said["id"], said["job"]["id"]) == ("job.ended", row["id"], job["id"])
    assert (said["job"]["state"], len(said["job"]["pictures"])) == ("done", 2)
    assert row["attempts"] == 2, "the one that could not be noted is not counted"


@pytest.mark.timeout(120)
async def test_a_house_that_is_killed_over_a_picture_calls_back_once_that_is_made(
    home: Home, listener: Listener
) -> None:
    async with life(home, "a picture is made") as (client, _):
        await ordered(client, listener)
    assert listener.heard == []
    async with life(home) as (client, _):
        row = await told(client, "sent")
        check_signed(listener.heard[0], (await client.get("/callbacks/secret"))["secret"])
    [heard] = listener.heard
    assert heard.told["job"]["state"] == "done"
    assert heard.headers["x-greenroom-delivery"] == str(row["id"])


@pytest.mark.timeout(120)
async def test_what_was_heard_and_noted_is_told_no_more_after_a_kill(home: Home, listener: Listener) -> None:
    async with life(home) as (client, process):
        await client.post("/jobs", **ORDER, key="one", callback=listener.at("first"))
        await told(client, "sent")
        process.kill()
        await process.wait()
    async with life(home) as (client, _):
        await client.post("/jobs", **ORDER, key="two", callback=listener.at("second"))
        await listener.until(2)
        while [one for one in (await client.get("/callbacks"))["items"] if one["state"] != "sent"]:  # noqa: ASYNC110 - another process notes it
            await asyncio.sleep(0.02)
    assert [one.path for one in listener.heard] == ["/first", "/second"]
    assert len({one.headers["x-greenroom-delivery"] for one in listener.heard}) == 2
