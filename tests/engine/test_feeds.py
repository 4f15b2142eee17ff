"""What a feed's document says: plain, bounded words, whoever wrote it, and never more than words."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest, GreenroomError, TryAgain
from engine.feeds import (
    LONGEST_LINK,
    LONGEST_TEXT,
    LONGEST_TITLE,
    MOST_ITEMS,
    Filter,
    Item,
    key_of,
    link_of,
    next_wait,
    plain,
    read_document,
    words_in,
)
from tests.servers.feeds import BOMB, Entry, atom, rss

SNOW = Entry("Snow & ice", "guid-1", "<p>It <b>snowed</b>.</p><p>A lot.</p>", hours=1)
THAW = Entry("Thaw", "guid-2", hours=5)


@pytest.mark.parametrize("write", [rss, atom])
def test_rss_and_atom_say_the_same(write: object) -> None:
    document = read_document((rss if write is rss else atom)([SNOW, THAW]).encode())
    assert [item.title for item in document.items] == ["Thaw", "Snow & ice"], "the newest first"
    snow = document.items[1]
    assert (snow.text, snow.link) == ("It snowed. A lot.", "https://example.org/guid-1")
    assert snow.published == datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
    assert snow.key == key_of("guid-1")


def test_an_old_feed_in_rdf_is_read_too() -> None:
    told = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">'
        '<channel rdf:about="x"><title>Old</title></channel>'
        '<item rdf:about="https://example.org/a"><title>First</title><link>https://example.org/a</link></item>'
        "</rdf:RDF>"
    )
    document = read_document(told.encode())
    assert (document.title, [item.title for item in document.items]) == ("Old", ["First"])


def test_an_item_is_the_same_while_its_own_name_is() -> None:
    first = read_document(rss([SNOW]).encode()).items[0]
    changed = Entry("Another title", "guid-1", "Another text", "https://example.org/elsewhere")
    assert read_document(rss([changed]).encode()).items[0].key == first.key
    nameless = Entry("Same", "", link="https://example.org/x")
    assert read_document(rss([nameless]).encode()).items[0].key == key_of("https://example.org/x")


def test_what_stands_there_twice_is_one_item() -> None:
    assert len(read_document(rss([SNOW, SNOW, THAW]).encode()).items) == 2


def test_no_more_is_looked_at_than_anybody_has_news() -> None:
    many = [Entry(f"News {n}", f"n{n}") for n in range(MOST_ITEMS + 50)]
    assert len(read_document(rss(many).encode()).items) == MOST_ITEMS


def test_scripts_tags_and_control_characters_are_left_out_and_the_rest_is_bounded() -> None:
    bad = Entry("<script>alert(1)</script>News\x1b \u202eevil", "b", "<style>x</style>word " * 5_000)
    item = read_document(rss([bad]).replace("\x1b", "&#27;").encode()).items[0]
    assert item.title.startswith("News")
    assert "alert" not in item.title
    assert not any(unicodedata.category(c) == "Cc" or c == "\u202e" for c in item.title)
    assert len(item.text) <= LONGEST_TEXT
    assert "x" not in item.text
    long = read_document(rss([Entry("word " * 200, "l")]).encode()).items[0]
    assert len(long.title) <= LONGEST_TITLE
    assert long.title.endswith("word …")


def test_an_item_without_a_title_goes_by_its_text_and_one_without_words_by_nothing() -> None:
    document = read_document(rss([Entry("", "a", "Only a text."), Entry("", "b", "<img src='x'>")]).encode())
    assert [item.title for item in document.items] == ["Only a text."]


def test_a_picture_that_comes_with_an_item_is_told() -> None:
    with_picture = Entry("Seen", "p", picture="https://example.org/p.png")
    assert read_document(rss([with_picture]).encode()).items[0].picture == "https://example.org/p.png"


def test_links_may_be_relative_to_where_the_feed_is() -> None:
    item = read_document(
        rss([Entry("A", "a", link="/here")]).encode(), address="https://example.org/feed"
    ).items[0]
    assert item.link == "https://example.org/here"


def test_how_long_a_feed_says_nothing_new_is_read() -> None:
    assert read_document(rss([SNOW], ttl=90).encode()).ttl == timedelta(minutes=90)
    assert read_document(rss([SNOW]).replace("<channel>", "<channel><ttl>soon</ttl>").encode()).ttl is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_bomb_is_told_in_a_sentence(encoding: str) -> None:
    with pytest.raises(BadRequest, match=r"names of its own"):
        read_document(BOMB.encode(encoding))


def test_a_web_page_is_told_in_a_sentence() -> None:
    with pytest.raises(BadRequest, match=r"web page, and no feed"):
        read_document(
            b"<!DOCTYPE html><html><head></head><body><p>Hi</p></body></html>", content_type="text/html"
        )


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"{}", b"/etc/passwd", b"http://127.0.0.1:1/", b"\x00\xff" * 50]
)
def test_what_is_no_feed_is_told_in_a_sentence_and_never_taken_for_a_name(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"no RSS or Atom feed"):
        read_document(body)


def test_half_a_document_is_not_taken_for_a_whole_one() -> None:
    whole = rss([SNOW, THAW]).encode()
    for length in range(60, len(whole) - 8, 37):
        with pytest.raises((TryAgain, BadRequest)):
            read_document(whole[:length])
    assert len(read_document(whole + b"\n<!-- served in 3 ms -->\n").items) == 2


def test_a_feed_with_a_slip_in_it_is_read_all_the_same() -> None:
    sloppy = rss([SNOW, THAW]).replace("Snow &amp; ice", "Snow & ice")
    assert len(read_document(sloppy.encode()).items) == 2


@given(st.binary(max_size=400))
def test_any_bytes_end_in_items_or_a_sentence(body: bytes) -> None:
    for told in (
        body,
        b"<rss version='2.0'><channel><item><title>" + body + b"</title></item></channel></rss>",
    ):
        try:
            document = read_document(told)
        except GreenroomError:
            continue
        for item in document.items:
            assert item.title.strip()
            assert len(item.title) <= LONGEST_TITLE
            assert "\n" not in item.title


@given(st.text(max_size=300))
def test_plain_words_have_no_lines_and_no_control_characters(text: str) -> None:
    told = plain(text, 100)
    assert len(told) <= 100
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in told)


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.org/x",
        "https://user:secret@example.org/",
        "https://example.org/a b",
        'https://example.org/"onclick=',
        "https://[bad",
        "https://example.org/\u202e",
        "/relative",
        "https://example.org/" + "x" * LONGEST_LINK,
        "",
    ],
)
def test_an_address_that_nobody_should_follow_is_none(link: str) -> None:
    assert link_of(link) == ""


def test_words_are_found_whole_and_whatever_their_case_and_accents() -> None:
    item = Item("k", "Élan vital in the Alps", "Snow storm ahead")
    assert Filter().wants(item)
    assert Filter(only=("elan",)).wants(item)
    assert Filter(only=("rain", "snow  STORM")).wants(item)
    assert not Filter(only=("now",)).wants(item), "not inside another word"
    assert not Filter(only=("snow",), without=("alps",)).wants(item)
    assert Filter.of({"only": ["snow"], "not": ["sea"]}) == Filter(("snow",), ("sea",))
    assert words_in(" snow, ice  storm,,snow") == ("snow", "ice storm")


def test_the_wait_grows_with_failures_and_has_an_end() -> None:
    half = timedelta(minutes=30)
    assert next_wait(half) == half
    assert next_wait(timedelta(seconds=1)) == timedelta(minutes=5)
    assert next_wait(half, ttl=timedelta(hours=3)) == timedelta(hours=3)
    assert next_wait(half, ttl=timedelta(days=900)) == timedelta(days=1)
    assert [next_wait(half, failures=n) for n in (1, 2, 3)] == [half, 2 * half, 4 * half]
    assert next_wait(half, failures=10_000) == timedelta(days=1)
    assert next_wait(half, failures=1, after=timedelta(hours=5)) == timedelta(hours=5)
    assert next_wait(timedelta(days=7), failures=5) == timedelta(days=7), "nobody is asked sooner for failing"
