"""Pure: a persona's Markdown as Telegram shows it: plain text, entities over it, and parts that fit into messages.

It knows Telegram's limits and nothing of chats or of sending.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from telegramify_markdown import MessageEntity, RenderConfig, convert, utf16_len

#: In UTF-16 units, as Telegram counts.
TEXT = 4096
CAPTION = 1024
ENTITIES = 100

_KINDS = frozenset(
    {"bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre", "blockquote", "text_link"}
)
_LINKS = re.compile(r"(https?://[^/\s]|tg://|mailto:\S)", re.IGNORECASE)
#: Read as markup by the parser, and as themselves by everybody else: tags, character references, formulas, and
#: the definition of a link, which would swallow its whole line.
_NO_MARKUP = re.compile(r"[<&$]|(?<=\]):")
_FENCE = re.compile(r"\s*(```|~~~)")
#: A paragraph that somebody moved to the right, unless it is an item of a list.
_INDENTED = re.compile(r"(?: {4}|\t)[ \t]*(?![-*+] |\d{1,9}[.)] |[ \t\n]|```|~~~)")
_STANDS_FOR = {"<": "\ue000", "&": "\ue001", "$": "\ue002", ":": "\ue003", " ": "\ue004", "\t": "\ue005"}
_RESTORED = {ord(stand_in): real for real, stand_in in _STANDS_FOR.items()}
_PRIVATE = re.compile("[\ue000-\ue005]")


@dataclass(frozen=True)
class Part:
    """What one message says; offsets in UTF-16 units."""

    text: str
    entities: tuple[MessageEntity, ...] = ()


def styled(markdown: str) -> Part:
    """A persona's words. Where reading them as Markdown would lose some, they are shown as they are."""
    text = _PRIVATE.sub("\N{REPLACEMENT CHARACTER}", _whole(markdown))
    told, found = convert(_held(text), latex_escape=False, config=_customs())
    told = told.translate(_RESTORED)
    if _letters(text) - _letters(told, *(f"{one.url or ''} {one.language or ''}" for one in found)):
        return Part(text)
    return Part(told, tuple(_allowed(found)))


def plain(text: str) -> Part:
    return Part(_whole(text))


def coded(text: str, code: Iterable[slice]) -> Part:
    """Words as they are; those passages of them stand in blocks that one touch copies."""
    pre = [
        MessageEntity("pre", utf16_len(_whole(text[: one.start])), utf16_len(_whole(text[one])))
        for one in code
    ]
    return Part(_whole(text), tuple(one for one in pre if one.length))


def named(name: str, part: Part) -> Part:
    """Under the bold name of whoever says it."""
    name = " ".join(_whole(name).split())
    if not name:
        return part
    ahead = utf16_len(name) + 1
    moved = [replace(one, offset=one.offset + ahead) for one in part.entities]
    return Part(f"{name}\n{part.text}", (MessageEntity("bold", 0, ahead - 1), *moved))


def addressed(name: str, user: str, part: Part) -> Part:
    """To somebody whom the platform is to tell of it."""
    name = " ".join(_whole(name).split()) or "…"
    ahead, length = utf16_len(name) + 2, utf16_len(name)
    moved = [replace(one, offset=one.offset + ahead) for one in part.entities]
    told = {"id": int(user), "is_bot": False, "first_name": name}
    return Part(f"{name},\n{part.text}", (MessageEntity("text_mention", 0, length, user=told), *moved))


def parts(whole: Part, limit: int = TEXT) -> list[Part]:
    """The same in as many messages as it takes. Formatting that a cut goes through ends and begins again there."""
    text = whole.text
    upto = [0, *accumulate(2 if char > "\uffff" else 1 for char in text)]
    entities = sorted(whole.entities, key=lambda one: (one.offset, -one.length))
    found, start = [], 0
    while start < len(text):
        end = _end(text, upto, start, limit)
        within = _within(entities, upto[start], upto[end])
        if len(within) > ENTITIES and (crowded := within[ENTITIES].offset + upto[start]) > upto[start]:
            end = min(end, upto.index(crowded))
            within = _within(entities, upto[start], upto[end])
        if text[start:end].strip():
            found.append(Part(text[start:end], tuple(within[:ENTITIES])))
        start = end
    return [_trimmed(part) for part in found]


def units(text: str) -> int:
    """How long Telegram thinks a text is."""
    return utf16_len(text)


def shortened(text: str, limit: int) -> str:
    """As much of a text as fits, with a sign where it was cut."""
    text = _whole(text).strip()
    if utf16_len(text) <= limit:
        return text
    return parts(Part(text), limit - 1)[0].text.rstrip() + "…"


def _whole(text: str) -> str:
    """Halves of characters, which nobody can send, are replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _held(text: str) -> str:
    """What looks like markup and is none, out of the parser's sight."""
    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        elif not fence and (ahead := _INDENTED.match(line)):
            line = "".join(_STANDS_FOR[char] for char in ahead[0]) + line[ahead.end() :]
        lines.append(line)
    return _NO_MARKUP.sub(lambda match: _STANDS_FOR[match[0]], "".join(lines))


def _customs() -> RenderConfig:
    customs = RenderConfig.isolated()
    symbols = customs.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.unordered_list_item = "•"
    symbols.image = ""
    return customs


def _letters(*texts: str) -> Counter[str]:
    return Counter(char for text in texts for char in text if char.isalpha())


def _allowed(entities: Iterable[MessageEntity]) -> Iterator[MessageEntity]:
    """Without what Telegram does not take: strange links, quotations inside quotations."""
    quoted = 0
    for one in sorted(entities, key=lambda one: (one.offset, -one.length)):
        if one.type not in _KINDS:
            continue
        if one.type == "blockquote":
            if one.offset < quoted:
                continue
            quoted = one.offset + one.length
        if one.url is not None:
            one = one.copy_with(url=one.url.translate(_RESTORED))
            if not _LINKS.match(one.url or ""):
                continue
        if one.language is not None:
            language = one.language.translate(_RESTORED).split()
            one = one.copy_with(language=language[0][:32] if language else None)
        yield one


def _end(text: str, upto: list[int], start: int, limit: int) -> int:
    """Where the part that begins at `start` ends: between paragraphs, lines, words, characters, as far as it goes."""
    if upto[-1] - upto[start] <= limit:
        return len(text)
    last = start + 1
    while upto[last + 1] - upto[start] <= limit:
        last += 1
    least = start + (last - start) // 2
    for border in ("\n\n", "\n", " "):
        at = text.rfind(border, least, last)
        if at > 0:
            return at + len(border)
    # A character may be several: what joins them is on either side of such a cut.
    for at in range(last, max(last - 32, start + 1), -1):
        if not (_joins(text[at]) or text[at - 1] == "\u200d"):
            return at
    return last


def _joins(char: str) -> bool:
    return char == "\u200d" or unicodedata.combining(char) > 0 or unicodedata.category(char) in ("Mn", "Me")


def _within(entities: Iterable[MessageEntity], start: int, end: int) -> list[MessageEntity]:
    found = []
    for one in entities:
        first, last = max(one.offset, start), min(one.offset + one.length, end)
        if first < last:
            found.append(one.copy_with(offset=first - start, length=last - first))
    return found


def _trimmed(part: Part) -> Part:
    """Without the blank lines at its ends, which Telegram would take away."""
    text = part.text.rstrip()
    body = text.lstrip("\n")
    ahead = len(text) - len(body)
    return Part(body, tuple(_within(part.entities, ahead, ahead + utf16_len(body))))
