"""`greenroom feeds` as a person or a script meets it, with a newspaper on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot.command_line import Greenroom
from tests.servers.feeds import Entry, Paper, newspaper

pytestmark = pytest.mark.usefixtures("two_places")


@pytest.fixture
def paper(greenroom: Greenroom, two_places: None) -> Iterator[Paper]:
    """It is read by another process, so it stands on a thread of its own."""
    (Path(greenroom.home) / "greenroom.toml").write_text("[feeds]\nprivate = true\n")
    opened: list[Paper] = []
    ready, done = threading.Event(), threading.Event()

    async def open_it() -> None:
        async with newspaper() as one:
            one.entries = [Entry("Thaw \x07!", "1", hours=2), Entry("Snow", "2", hours=1)]
            opened.append(one)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(open_it(),))
    thread.start()
    assert ready.wait(20)
    yield opened[0]
    done.set()
    thread.join()


def test_a_feed_is_added_checked_paused_resumed_and_taken_away(greenroom: Greenroom, paper: Paper) -> None:
    assert "Nothing is listened to" in greenroom("feeds", "list").stdout
    added = greenroom("feeds", "add", paper.at("feed"), "--place", "1", "--only", "thaw", "--json")
    assert added.returncode == 0, added.stderr
    told = json.loads(added.stdout)
    assert (told["id"], told["title"], told["only"]) == (1, "The Daily Test", ["thaw"])
    assert "2 items, 2 of them known" in greenroom("feeds", "check", "1").stdout
    assert "is paused" in greenroom("feeds", "pause", "1").stdout
    assert "paused feed: The Daily Test" in greenroom("feeds", "list").stdout
    assert "goes on" in greenroom("feeds", "resume", "1").stdout
    (post,) = json.loads(greenroom("posts", "list", "--json").stdout)
    assert post["theme"].startswith("Thaw")
    assert "is gone" in greenroom("feeds", "remove", "1").stdout
    assert greenroom("feeds", "check", "1").returncode == 4


def test_a_feed_is_told_whose_pictures_it_has_what_waits_and_where_else_it_goes(
    greenroom: Greenroom,
    paper: Paper,
) -> None:
    how = ("--picture", "folder", "--approval", "post", "--to", "1")
    added = greenroom("feeds", "add", paper.at("feed"), "--place", "1", *how, "--json")
    assert added.returncode == 0, added.stderr
    told = json.loads(added.stdout)
    assert (told["picture"], told["approval"], told["to"]) == ("folder", "post", [1])
    hook = json.loads(greenroom("feeds", "hook", "--place", "1", "--text-only", "--json").stdout)
    assert (hook["picture"], hook["approval"], hook["to"]) == ("", "", [])


def test_a_feed_is_changed_and_what_is_not_said_stays(greenroom: Greenroom, paper: Paper) -> None:
    how = ("--only", "thaw", "--not", "football", "--approval", "post")
    greenroom("feeds", "add", paper.at("feed"), "--place", "1", *how)
    said = (
        "--only",
        "none",
        "--every",
        "2h",
        "--persona",
        "glenys-prosser",
        "--place",
        "2",
        "--style",
        "noir",
    )
    changed = greenroom("feeds", "edit", "1", *said, "--json")
    assert changed.returncode == 0, changed.stderr
    told = json.loads(changed.stdout)
    assert (told["only"], told["not"], told["every"], told["style"]) == ([], ["football"], "2h", "noir")
    assert (told["persona"], told["place"], told["approval"]) == ("Glenys Prosser", 2, "post")
    assert "1 is changed." in greenroom("feeds", "edit", "1", "--approval", "no").stdout
    (listed,) = json.loads(greenroom("feeds", "list", "--json").stdout)
    assert (listed["approval"], listed["every"]) == ("", "2h")
    nothing = greenroom("feeds", "edit", "1")
    assert (nothing.returncode, "Say what changes" in nothing.stderr) == (2, True)
    assert greenroom("feeds", "edit", "7", "--only", "snow").returncode == 4


def test_what_is_no_feed_is_a_sentence_and_an_exit_code(greenroom: Greenroom, paper: Paper) -> None:
    page = greenroom("feeds", "add", paper.at("page"), "--place", "1")
    assert (page.returncode, "web page, and no feed" in page.stderr) == (2, True)
    nowhere = greenroom("feeds", "add", paper.at("feed"), "--place", "99")
    assert nowhere.returncode == 4


def test_a_hook_shows_its_secret_once(greenroom: Greenroom) -> None:
    made = json.loads(greenroom("feeds", "hook", "--place", "1", "--json").stdout)
    assert made["address"].endswith(f"/hooks/{made['id']}")
    assert len(made["secret"]) > 40
    assert made["secret"] not in greenroom("feeds", "list", "--json").stdout
