"""Fetching from the web: bounded in every way, and never from inside the house unless the operator says so."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine import fetching
from engine.errors import BadRequest, NotFound, Refused, TryAgain
from engine.fetching import MOST_BYTES, check_address, fetch, is_public
from tests.servers.feeds import Entry, Paper, newspaper


@pytest.fixture
async def paper() -> AsyncIterator[Paper]:
    async with newspaper() as opened:
        opened.entries = [Entry("Thaw", "1")]
        yield opened


async def test_a_document_comes_with_what_its_server_wants_to_be_told_next_time(paper: Paper) -> None:
    first = await fetch(paper.at("feed"), private=True)
    assert b"Thaw" in first.body
    assert (first.etag != "", first.unchanged) == (True, False)
    assert first.content_type.startswith("application/rss+xml")
    again = await fetch(paper.at("feed"), private=True, etag=first.etag)
    assert (again.unchanged, again.body) == (True, b"")


async def test_what_is_packed_is_unpacked(paper: Paper) -> None:
    assert b"Thaw" in (await fetch(paper.at("packed"), private=True)).body


@pytest.mark.parametrize("path", ["large", "endless", "packed-bomb"])
async def test_no_more_is_read_than_anybody_needs(paper: Paper, path: str) -> None:
    with pytest.raises(BadRequest, match=r"larger than 5 MB"):
        await fetch(paper.at(path), private=True)
    assert paper.sent < 10 * MOST_BYTES


async def test_who_is_slow_is_not_waited_for(paper: Paper) -> None:
    with pytest.raises(TryAgain, match=r"longer than"):
        await fetch(paper.at("slow"), private=True, patience=0.2)


async def test_what_breaks_off_is_not_used(paper: Paper) -> None:
    with pytest.raises(TryAgain, match=r"it was cut"):
        await fetch(paper.at("cut"), private=True)


async def test_a_server_says_when_to_come_back(paper: Paper) -> None:
    paper.status, paper.retry_after = 503, "120"
    with pytest.raises(TryAgain, match=r"HTTP 503") as raised:
        await fetch(paper.at("feed"), private=True)
    assert raised.value.after_s == 120
    paper.retry_after = "Sun, 06 Nov 1994 08:49:37 GMT"
    with pytest.raises(TryAgain) as raised:
        await fetch(paper.at("feed"), private=True)
    assert raised.value.after_s == 0
    paper.status = 410
    with pytest.raises(NotFound, match=r"any more"):
        await fetch(paper.at("feed"), private=True)


async def test_nobody_there_is_a_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1 could not be read"):
        await fetch(f"http://127.0.0.1:{port}/feed", private=True)


async def test_a_few_redirects_are_followed_and_no_more(paper: Paper) -> None:
    there = await fetch(paper.at(f"away?to={paper.at('feed')}"), private=True)
    assert (there.address, b"Thaw" in there.body) == (paper.at("feed"), True)
    with pytest.raises(BadRequest, match=r"5 times elsewhere"):
        await fetch(paper.at("round"), private=True)
    with pytest.raises(BadRequest, match=r"no address of the web"):
        await fetch(paper.at("away?to=file:///etc/passwd"), private=True)


# Inside the house


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0",
        "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_looked_at", [True, False], ids=["whole", "the connection alone"])
async def test_nothing_is_fetched_from_this_machine(
    paper: Paper, host: str, is_looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where the address was taken for another: what a connection goes to is looked at by itself."""
    if not is_looked_at:
        monkeypatch.setattr(fetching, "check_address", lambda address, **_how: address)
    port = paper.url.rpartition(":")[2]
    with pytest.raises((Refused, BadRequest), match=r"private network|no address of the web"):
        await fetch(f"http://{host}:{port}/feed")
    assert paper.asked == []


async def test_a_name_that_leads_inside_leads_nowhere(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name says a moment before or after: what is connected to is what was looked at."""
    port = int(paper.url.rpartition(":")[2])
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *more: Any, **named: Any) -> Any:
        if host != "rebinding.example":
            return real(host, *more, **named)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    # The first answer is one of the whole world's, so that is where it would connect: nobody is there, offline.
    with pytest.raises(TryAgain):
        await fetch(f"http://rebinding.example:{port}/feed", patience=1.0)
    assert (asked, paper.asked) == (["rebinding.example"], []), "it is looked up once for each connection"
    with pytest.raises(Refused, match=r"private network"):
        await fetch(f"http://rebinding.example:{port}/feed", patience=1.0)
    assert paper.asked == []


async def test_a_redirect_into_the_house_is_not_followed(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first server is let through as if it were anybody's; where it leads is looked at all the same."""
    port = paper.url.rpartition(":")[2]
    monkeypatch.setattr(fetching, "is_public", lambda host: host == "127.0.0.1")
    there = f"http://127.0.0.1:{port}/away?to="
    for inside in (f"http://[::1]:{port}/feed", "http://169.254.169.254/latest", "http://10.0.0.1/"):
        with pytest.raises(Refused, match=r"private network"):
            await fetch(there + inside)
    assert paper.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.9.9.9", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "ff02::1", "2001:db8::1",
        "::ffff:192.168.0.1", "2002:0a00:0001::", "64:ff9b::7f00:1", "no address",
    ],
)  # fmt: skip
def test_an_address_of_a_private_network_is_known_however_it_is_wrapped(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_an_address_of_the_whole_world_is_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "example.org/feed",
        "file:///etc/passwd",
        "ftp://example.org",
        "gopher://x",
        "http://",
        "https://[::1",
        "http://h:99999/",
    ],
)
def test_what_is_no_address_of_the_web_is_told_in_a_sentence(address: str) -> None:
    with pytest.raises(BadRequest, match=r"no address of the web"):
        check_address(address)


def test_an_address_with_a_key_in_it_is_not_kept() -> None:
    with pytest.raises(BadRequest, match=r"password") as raised:
        check_address("https://user:hunter2@example.org/feed")
    assert "hunter2" not in str(raised.value)
