"""Pure: a model's Markdown as Discord shows it, plain words as they were typed, and both in parts that fit.

It knows what Discord's client makes of characters, and nothing of messages or who writes them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

#: Characters in one message. Counted here as UTF-16 units, the strictest way in which anybody counts them.
ROOM = 2_000

_FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)$")
_TONGUE = re.compile(r"([\w+#.-]{1,30})(?:\s+|$)")
_BLOCK = re.compile(r"^ {0,3}```([^`]+)```[ \t]*$")
_HEADING = re.compile(r"^ {0,3}(#{4,6})[ \t]+(.)(.*)$")
_RULE = re.compile(r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_TASK = re.compile(r"^(\s*)[-*+][ \t]+\[([ xX])\][ \t]+")
_DELIMITERS = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
_IMAGE = re.compile(r"!\[([^\]\n]{0,500})\]\(\s*<?(https?://[^\s<>)]+)>?(?:\s+\"[^\"\n]*\")?\s*\)")
#: What Discord would turn into a name, a channel, a picture or a moment: `<@1>`, `<:smile:1>`, `<t:1:R>`, `</x:1>`.
_CHIP = re.compile(r"<(?=(?:@[!&]?|#|a?:\w+:|t:|id:|/[\w -]+:)\S{0,40}>)")
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")

_ADDRESS = re.compile(r"https?://[^\s<>`]+")
_SPECIAL = re.compile(r"[\\*_~`|\[\]<]")
_LEADING = re.compile(r"^([^\S\n]*)(#{1,3}(?=\s)|-#(?=\s)|>|[-+](?=\s)|\d+(?=[.)]\s))", re.MULTILINE)

LINE = "─" * 12
#: Three backticks that open nothing.
BROKEN = "`\u200b``"
_THREE = re.compile(r"`(?=``)")


def shown(text: str) -> str:
    """Markdown in the dialect that Discord shows: tables in code, deep headings in bold, pictures as links."""
    return "\n".join(_lines(text.split("\n")))


def plain(text: str) -> str:
    """Words in which nothing is markup: a name like `**x**` is shown as it was typed. Addresses stay whole."""
    pieces, at = [], 0
    for address in _ADDRESS.finditer(text):
        pieces += [_SPECIAL.sub(r"\\\g<0>", text[at : address.start()]), address[0]]
        at = address.end()
    pieces.append(_SPECIAL.sub(r"\\\g<0>", text[at:]))
    return _LEADING.sub(_escaped_start, "".join(pieces))


def coded(text: str, code: Sequence[slice]) -> str:
    """Plain words; those passages of them, whole lines, stand in blocks from which they are copied as they are."""
    pieces, at = [], 0
    for passage in code:
        pieces += [plain(text[at : passage.start]), f"```\n{_broken(text[passage])}\n```"]
        at = passage.stop
    return "".join([*pieces, plain(text[at:])])


def _broken(text: str) -> str:
    """Without three backticks in a row, however many there are."""
    return _THREE.sub(BROKEN[:2], text)


def _escaped_start(found: re.Match[str]) -> str:
    # A number keeps its digits, and loses its point's meaning.
    return f"{found[1]}{found[2]}\\" if found[2].isdigit() else f"{found[1]}\\{found[2]}"


def units(text: str) -> int:
    """How long a text is for Discord at the most: characters beyond the first plane count twice."""
    return len(text) + sum(character > "\uffff" for character in text)


def _lines(lines: Sequence[str]) -> Iterator[str]:
    fence, number = "", 0
    while number < len(lines):
        line = lines[number]
        number += 1
        opened = _FENCE.match(line)
        beside = opened[2].strip(" \t") if opened else ""
        if fence:
            if opened and opened[1].startswith(fence) and not beside:
                fence = ""
                yield "```"
            else:
                # Three of them in the midst of code would end it.
                yield _broken(line)
        elif opened:
            fence = opened[1]
            tongue = _TONGUE.match(beside)
            yield f"```{tongue[1] if tongue else ''}"
            # Discord has no place for what else stands there, but it is somebody's words.
            if rest := beside[tongue.end() if tongue else 0 :]:
                yield _broken(rest)
        elif "|" in line and number < len(lines) and _heads_table(line, lines[number]):
            end = number + 1
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield from _table([line, *lines[number + 1 : end]])
            number = end
        else:
            yield _line(line)


def _line(line: str) -> str:
    if block := _BLOCK.match(line):
        return f"```\n{block[1]}\n```"
    # Only a line of their own may open code here, or a cut through the line would leave it open.
    line = _broken(line)
    if _RULE.match(line):
        return LINE
    if heading := _HEADING.match(line):
        words = heading[2] + heading[3].rstrip(" \t#")
        return f"**{_inline(words.replace('**', ''))}**"
    task = _TASK.match(line)
    if task:
        return f"{task[1]}- {'☐' if task[2] == ' ' else '☑'} {_inline(line[task.end() :])}"
    return _inline(line)


def _inline(line: str) -> str:
    """Outside of code, nothing of the model's becomes a mention, and no picture is half a link."""
    pieces, at = [], 0
    for code in _CODE.finditer(line):
        pieces += [_spoken(line[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*pieces, _spoken(line[at:])])


def _spoken(words: str) -> str:
    linked = _IMAGE.sub(lambda image: f"[{image[1] or image[2]}]({image[2]})", words)
    return _CHIP.sub(r"\\<", linked)


def _heads_table(line: str, below: str) -> bool:
    return (
        bool(_DELIMITERS.fullmatch(below.strip()))
        and "-" in below
        and len(_cells(line)) == len(_cells(below))
    )


def _cells(row: str) -> list[str]:
    row = row.strip().removeprefix("|")
    row = row.removesuffix("|") if not row.endswith("\\|") else row
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)]


def _table(rows: Sequence[str]) -> Iterator[str]:
    cells = [_cells(_broken(row)) for row in rows]
    columns = max(len(row) for row in cells)
    filled = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(_width(row[column]) for row in filled) for column in range(columns)]
    yield "```"
    for number, row in enumerate(filled):
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(padded).rstrip()
        if number == 0:
            yield "  ".join("─" * max(1, width) for width in widths)
    yield "```"


def _width(text: str) -> int:
    """Columns on the screen, as far as one can know."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


# Parts that fit.

_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
#: Left free in each part for what is put around a piece: who speaks, a fence's opening and its end.
_MARGIN = 160
#: A line this short above a block goes where the block goes.
_ANNOUNCES = 120
_TOGGLE = re.compile(r"```([\w+#.-]{0,30})$")


def parts(text: str, *, before: str = "", room: int = ROOM) -> list[str]:
    """A text in Discord's dialect as messages that fit: no code block is left open, no character cut in two.

    `before`, a short line, stands before the first. Of a text that is all white nothing is left.
    """
    pages = _Pages(room, before)
    for line in text.split("\n"):
        pages.add(line)
    return pages.all()


def clipped(text: str, *, before: str = "", room: int = ROOM) -> str:
    """A text that is still growing, as one message: its last part, once it is too long for one."""
    pages = parts(text, before=before, room=room)
    if len(pages) > 1:
        start = f"{before}\n…\n" if before else "…\n"
        return start + parts(text, room=room - units(start))[-1]
    return pages[0] if pages else before


class _Pages:
    """Fills one page after the other."""

    def __init__(self, room: int, before: str) -> None:
        self._room = room
        self._done: list[str] = []
        self._lines = [before] if before else []
        self._fence: str | None = None
        #: Whether the page holds more than what every page starts with.
        self._begun = False

    def add(self, line: str) -> None:
        for number, piece in enumerate(_pieces(line, self._room - _MARGIN)):
            if number or (self._begun and not self._fits(piece)):
                self._turn()
            self._lines.append(piece)
            self._begun = True
            if toggle := _TOGGLE.match(line):
                self._fence = toggle[1] if self._fence is None else None

    def all(self) -> list[str]:
        self._turn(last=True)
        return [page for page in self._done if page.strip()]

    def _fits(self, piece: str) -> bool:
        toggles = _TOGGLE.match(piece) is not None
        opens, closes = toggles and self._fence is None, toggles and self._fence is not None
        # A block that could show no line of its code here is better begun on the next page; its end finds room.
        after = 4 + (60 if opens else 0) if opens or (self._fence is not None and not closes) else 0
        return units("\n".join([*self._lines, piece])) + after <= self._room

    def _turn(self, *, last: bool = False) -> None:
        opening = [] if self._fence is None else [f"```{self._fence}"]
        lines, head = self._lines, list[str]()
        if opening and lines[-1:] != opening:
            lines = [*lines, "```"]
        elif opening:
            # A block that shows no line yet begins on the next page, under the line that announces it.
            lines = lines[:-1]
            alone = bool(lines) and not "".join(lines[-2:-1]).strip()
            if not last and alone:
                head = [lines[-1]] if units(lines[-1]) <= _ANNOUNCES else []
                lines = lines[: len(lines) - len(head)]
        if self._begun:
            self._done.append("\n".join(lines))
        self._lines = [*head, *opening]
        self._begun = False


def _pieces(line: str, room: int) -> Iterator[str]:
    """A line in pieces of at most so many units, cut at white space where there is some near the end."""
    while units(line) > room:
        cut = room
        while units(line[:cut]) > room:
            cut -= (units(line[:cut]) - room + 1) // 2
        cut = max(1, _cut(line, cut))
        yield line[:cut]
        line = line[cut:]
    yield line


def _cut(line: str, most: int) -> int:
    near = max(line.rfind(" ", most - 200, most), line.rfind("\t", most - 200, most))
    if near > 0:
        return near + 1
    cut = most
    while cut > max(1, most - 40) and _inside(line, cut):
        cut -= 1
    return cut


def _inside(line: str, cut: int) -> bool:
    """Whether a cut would part a character from what belongs to it: an accent, a family's next member, its escape."""
    after = line[cut]
    joined = bool(unicodedata.combining(after)) or after in "\u200d\ufe0f\ufe0e\u20e3"
    joined = joined or line[cut - 1] == "\u200d"
    skin = "\U0001f3fb" <= after <= "\U0001f3ff"
    # A flag is two letters of its own kind; where flags stand side by side, every other letter begins one.
    letters = len(line[:cut]) - len(line[:cut].rstrip(_FLAG_LETTERS))
    flags = letters % 2 == 1 and after in _FLAG_LETTERS
    escaped = (len(line[:cut]) - len(line[:cut].rstrip("\\"))) % 2 == 1
    return joined or skin or flags or escaped
