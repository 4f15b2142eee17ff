"""Text as the platform reads it: what it finds by itself (commands, mentions, links), HTML, and trimming."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

from tests.servers.telegram.rules import JSON, Refusal, Rule, utf16

_FOUND = re.compile(
    r"(?P<bot_command>(?<![\w/@])/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?(?![\w/]))"
    r"|(?P<url>https?://[^\s<>]+)"
    r"|(?P<mention>(?<!\w)@[A-Za-z]\w{3,31})"
    r"|(?P<hashtag>(?<!\w)#\w*[^\W\d]\w*)"
)
_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
}


def slice16(text: str, offset: int, length: int) -> str:
    """The part of a text that an entity names."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units[offset * 2 : (offset + length) * 2].decode("utf-16-le", "surrogatepass")


def found(text: str) -> list[JSON]:
    """The entities that the platform sees in a text without being told."""
    return [
        {"type": match.lastgroup, "offset": utf16(text[: match.start()]), "length": utf16(match.group())}
        for match in _FOUND.finditer(text)
    ]


def merged(text: str, told: Iterable[JSON]) -> list[JSON]:
    """The told entities and, beside them, the found ones that touch none of those that hold words back."""
    told = list(told)
    solid = [one for one in told if one["type"] in {"code", "pre", "text_link", "text_mention"}]
    solid += [one for one in told if one["type"] in {"mention", "bot_command", "url", "hashtag"}]
    more = [one for one in found(text) if not any(_touch(one, other) for other in solid)]
    return sorted([*told, *more], key=lambda one: (one["offset"], -one["length"]))


def _touch(one: JSON, other: JSON) -> bool:
    ends = one["offset"] + one["length"], other["offset"] + other["length"]
    return bool(one["offset"] < ends[1] and other["offset"] < ends[0])


def trimmed(text: str, entities: Iterable[JSON]) -> tuple[str, list[JSON]]:
    """The text without blanks at its ends, and the entities moved and cut along."""
    lead = utf16(text[: len(text) - len(text.lstrip())])
    text = text.strip()
    length = utf16(text)
    kept = []
    for entity in entities:
        start = max(0, entity["offset"] - lead)
        end = min(length, entity["offset"] + entity["length"] - lead)
        if start < end:
            kept.append({**entity, "offset": start, "length": end - start})
    return text, kept


def commands(text: str, entities: Iterable[JSON]) -> list[str]:
    """The commands in a message, with their slash."""
    return [slice16(text, e["offset"], e["length"]) for e in entities if e["type"] == "bot_command"]


def mentions(text: str, entities: Iterable[JSON]) -> set[str]:
    """The usernames that a message mentions, small and without their @."""
    return {slice16(text, e["offset"], e["length"])[1:].lower() for e in entities if e["type"] == "mention"}


def parsed(text: str, mode: str) -> tuple[str, list[JSON]]:
    """A text written in a parse mode. HTML is read; the Markdown modes are not part of this server."""
    if mode.lower() != "html":
        raise Refusal(f"unsupported parse_mode {mode!r} (this server reads HTML only)", rule=Rule.BAD_MARKUP)
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if reader.open:
        raise _unparsable(f'can\'t find end tag corresponding to start tag "{reader.open[-1][0]}"')
    return reader.text, sorted(reader.entities, key=lambda one: (one["offset"], -one["length"]))


def _unparsable(why: str) -> Refusal:
    return Refusal(f"can't parse entities: {why}", rule=Rule.BAD_MARKUP)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.entities: list[JSON] = []
        self.open: list[tuple[str, int, JSON]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        kind = _TAGS.get(tag)
        if tag == "span" and given.get("class") == "tg-spoiler":
            kind = "spoiler"
        if kind is None:
            raise _unparsable(f'unsupported start tag "{tag}"')
        entity: JSON = {"type": kind}
        if kind == "text_link":
            entity["url"] = given.get("href") or ""
        if kind == "blockquote" and "expandable" in given:
            entity["type"] = "expandable_blockquote"
        language = (given.get("class") or "").removeprefix("language-")
        if tag == "code" and self.open and self.open[-1][0] == "pre" and language:
            self.open[-1][2]["language"] = language
        self.open.append((tag, utf16(self.text), entity))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            raise _unparsable(f'unmatched end tag "</{tag}>"')
        _, start, entity = self.open.pop()
        length = utf16(self.text) - start
        inside = bool(self.open) and self.open[-1][0] == "pre" and tag == "code"
        if length and not inside:
            self.entities.append({**entity, "offset": start, "length": length})

    def handle_data(self, data: str) -> None:
        self.text += data
