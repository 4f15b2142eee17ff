"""Pure: what a feed's document says. RSS and Atom become items of plain, bounded text, whatever somebody wrote into
them; which of them are wanted, and when to look again. It fetches nothing and asks no clock.
"""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from engine.errors import BadRequest, TryAgain
from engine.locales import say
from engine.safety import BlockList
from personas.persona import printable

LONGEST_TITLE, LONGEST_TEXT, LONGEST_LINK = 300, 1_000, 1_000
#: So much of a document is looked at: nobody has more that is new.
MOST_ITEMS = 200
#: Nobody is asked more often, and nobody less often.
LEAST_WAIT, MOST_WAIT = timedelta(minutes=5), timedelta(days=1)

#: Of a text with tags so much is read at most.
_READ = 20_000
_CLOSED = re.compile(
    rb"</(?:[\w.-]+:)?(?:rss|feed|rdf)\s*>\s*(?:<!--.*?-->\s*)*\Z", re.IGNORECASE | re.DOTALL
)
_PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """Something that happened elsewhere, in somebody else's words."""

    #: What makes it the same item when it is seen again.
    key: str
    title: str
    text: str = ""
    link: str = ""
    published: datetime | None = None
    #: A picture that comes with it, and under which licence, where that is told.
    picture: str = ""
    licence: str = ""
    #: It says itself that it is for adults.
    adult: bool = False


@dataclass(frozen=True)
class Document:
    """What a feed says at a moment: its items, the newest first."""

    title: str
    items: tuple[Item, ...]
    #: So long it says nothing new, in its own words.
    ttl: timedelta | None = None


@dataclass(frozen=True)
class Filter:
    """Which items are wanted: those with one of some words in them, and those without others."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Filter:
        return cls(*(tuple(map(str, options.get(name, ()))) for name in ("only", "not")))

    def wants(self, item: Item) -> bool:
        """Words are found as the block list finds them: whatever their case and accents, and whole."""
        text = f"{item.title}\n{item.text}"
        return not (self.only and BlockList(self.only).allows(text)) and BlockList(self.without).allows(text)


def key_of(*identity: str) -> str:
    """What an item is known by, of whatever length its own name is."""
    return hashlib.sha256("\n".join(identity).encode("utf-8", "replace")).hexdigest()[:40]


def next_wait(
    every: timedelta, *, ttl: timedelta | None = None, failures: int = 0, after: timedelta | None = None
) -> timedelta:
    """How long to leave a feed alone; `after`: what its server asked for. Each failure in a row doubles it.

    >>> next_wait(timedelta(minutes=30), failures=3)
    datetime.timedelta(seconds=7200)
    """
    wait = max(LEAST_WAIT, every, min(MOST_WAIT, ttl or timedelta()))
    if failures:
        wait = max(wait, min(MOST_WAIT, wait * 2 ** min(failures - 1, 12)))
    return max(wait, min(MOST_WAIT, after or timedelta()))


def read_document(body: bytes, *, address: str = "", content_type: str = "") -> Document:
    """What a document says. Slow with a large one, so not on a loop. Raises `BadRequest` for what is no feed."""
    import feedparser

    bare = body.replace(b"\x00", b"")  # of two bytes a letter, one is nothing
    if b"<!entity" in bare[:100_000].lower():
        raise BadRequest(say("feeds.entities"))
    # Bytes by themselves would be taken for the name of a file.
    headers = {"content-type": content_type, "content-location": address}
    told = feedparser.parse(io.BytesIO(body), response_headers={k: v for k, v in headers.items() if v})
    if not told.get("version") and not told.get("entries"):
        raise BadRequest(say("feeds.is_page" if _PAGE.search(bare[:5_000]) else "feeds.no_feed_there"))
    if told.get("bozo") and not _CLOSED.search(bare[-2_000:]):
        raise TryAgain(say("feeds.cut"))
    found = [_item(entry, address) for entry in told.entries[:MOST_ITEMS]]
    items = list({item.key: item for item in found if item is not None}.values())
    if all(item.published for item in items):
        items.sort(key=lambda item: item.published or datetime.min.replace(tzinfo=UTC), reverse=True)
    return Document(plain(told.feed.get("title", ""), LONGEST_TITLE), tuple(items), _ttl(told.feed))


def _item(entry: Any, address: str) -> Item | None:
    link = link_of(entry.get("link", ""), address)
    text = str(entry.get("summary") or "")
    if not text:
        text = str(next((part.get("value", "") for part in entry.get("content", ())), ""))
    text = plain(text, LONGEST_TEXT)
    title = plain(entry.get("title", ""), LONGEST_TITLE) or _shortened(text, 80)
    if not title:
        return None
    told = entry.get("published_parsed") or entry.get("updated_parsed")
    # What it is called by whoever made it; else where it is; else what it says.
    name = str(entry.get("id") or "") or link or f"{title}\n{text}"
    picture, licence = _picture_of(entry, address)
    return Item(key_of(name), title, text, link, _moment(told), picture, licence, _is_adult(entry))


def _picture_of(entry: Any, address: str) -> tuple[str, str]:
    offered = [
        *((one.get("url", ""), one) for one in entry.get("media_content", ())),
        *((one.get("href", ""), one) for one in entry.get("enclosures", ())),
    ]
    for where, one in offered:
        kind = f"{one.get('type', '')}/{one.get('medium', '')}"
        if "image" in kind and (link := link_of(where, address)):
            licence = entry.get("license") or entry.get("media_license") or entry.get("rights") or ""
            told = licence.get("href", "") if isinstance(licence, Mapping) else licence
            return link, plain(str(told), LONGEST_TITLE)
    return "", ""


def _is_adult(entry: Any) -> bool:
    told = entry.get("media_rating") or entry.get("rating") or ""
    told = told.get("content", "") if isinstance(told, Mapping) else told
    return str(told).strip().lower() == "adult"


def _moment(told: Any) -> datetime | None:
    try:
        year, month, day, hour, minute, second = told[:6] if told else (0,) * 6
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) if told else None
    except (TypeError, ValueError, OverflowError):
        return None


def _ttl(feed: Any) -> timedelta | None:
    told = str(feed.get("ttl", "")).strip()
    if not (told.isascii() and told.isdecimal() and len(told) < 8):
        return None
    return timedelta(minutes=int(told))


def link_of(told: object, address: str = "") -> str:
    """Where an item can be read; empty for what is no address that a person should follow, or one without an end."""
    text = str(told).strip()
    try:
        link = urljoin(address, text) if text else ""
        parts = urlsplit(link)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return ""
    odd = any(c.isspace() or unicodedata.category(c)[0] == "C" or c in '<>"' for c in link)
    return link if right and not odd and len(link) <= LONGEST_LINK else ""


def plain(text: object, most: int) -> str:
    """Somebody's words without their tags, scripts and control characters, in one line, and not too long."""
    told = str(text)[:_READ]
    if "<" in told or "&" in told:
        reader = _Words()
        reader.feed(told)
        reader.close()
        told = "".join(reader.said)
    told = printable(unicodedata.normalize("NFC", told.encode("utf-8", "replace").decode("utf-8")))
    return _shortened(" ".join(told.split()), most)


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    cut = text[: most - 2]
    return f"{cut.rpartition(' ')[0] or cut} …"


class _Words(HTMLParser):
    """What a browser would show of a text, as words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._unsaid = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSAID:
            self._unsaid += 1
        elif tag not in _INSIDE_WORDS:
            self.said.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSAID:
            self._unsaid = max(0, self._unsaid - 1)
        elif tag not in _INSIDE_WORDS:
            self.said.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._unsaid:
            self.said.append(data)


_UNSAID = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "math"})
_INSIDE_WORDS = frozenset(
    {"a", "abbr", "b", "code", "em", "i", "mark", "small", "span", "strong", "sub", "sup", "u"}
)


def words_in(told: str) -> tuple[str, ...]:
    """`rain, snow storm` as words and phrases."""
    return tuple(dict.fromkeys(_phrases(told.split(","))))


def _phrases(several: Iterable[str]) -> Iterable[str]:
    return (" ".join(printable(one).split()) for one in several if one.strip())
