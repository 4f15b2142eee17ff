"""Words on a picture: the faces that ship with Greenroom, and text made to fit the room it has.

It knows nothing of cards or personas. Whatever text it is given, it draws what its faces can draw, and no more.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from engine.pictures.sheet import Colour

#: More than this of a text is never on a card; what follows need not be looked at.
LONGEST = 600


class Face(StrEnum):
    """The files in data/fonts/."""

    DISPLAY = "Vollkorn-Bold.ttf"
    TEXT = "Vollkorn-Italic.ttf"
    SANS = "Manrope-SemiBold.ttf"
    #: Hebrew, Arabic, Armenian and Georgian, which the others lack.
    EASTERN = "DejaVuSans.ttf"


@dataclass(frozen=True)
class Block:
    """Lines of one face and size, ready to be drawn."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont
    leading: float
    tracking: float = 0.0

    @property
    def height(self) -> float:
        return self.leading * len(self.lines)

    @property
    def width(self) -> float:
        return max((length(line, self.font, self.tracking) for line in self.lines), default=0.0)

    def draw(
        self, image: Image.Image, left: float, top: float, room: float, colour: Colour, align: float
    ) -> None:
        """Into `room` pixels from `left`; `align` is 0 for flush left, 0.5 for centred, 1 for flush right."""
        pen = ImageDraw.Draw(image)
        ascent, descent = self.font.getmetrics()
        for number, line in enumerate(self.lines):
            x = left + (room - length(line, self.font, self.tracking)) * align
            y = top + self.leading * (number + 0.5) + (ascent - descent) / 2 * 0.98
            if not self.tracking:
                pen.text((x, y), line, fill=colour, font=self.font, anchor="ls")
                continue
            for character in line:
                pen.text((x, y), character, fill=colour, font=self.font, anchor="ls")
                x += self.font.getlength(character) + self.tracking


class Lettering:
    """The faces, read once, and what was learnt of the characters they can draw."""

    def __init__(self) -> None:
        self._bytes: dict[Face, bytes] = {}
        self._fonts: dict[tuple[Face, int], ImageFont.FreeTypeFont] = {}
        self._drawn: dict[tuple[Face, str], bytes] = {}

    def font(self, face: Face, size: float) -> ImageFont.FreeTypeFont:
        key = (face, max(1, round(size)))
        if key not in self._fonts:
            if len(self._fonts) > 60:
                self._fonts.clear()
            self._fonts[key] = ImageFont.truetype(BytesIO(self._read(face)), key[1])
        return self._fonts[key]

    def readable(self, text: str, face: Face) -> tuple[str, Face]:
        """The text without what cannot be drawn, and the face that draws the most of it."""
        text = cleaned(text)
        kept = {f: "".join(c for c in text if self._draws(f, c)) for f in (face, Face.EASTERN)}
        best = max(kept, key=lambda f: sum(c.isalnum() for c in kept[f]))
        return " ".join(kept[best].split()), best

    def block(
        self, text: str, face: Face, size: float, room: float, most: int, leading: float = 1.3
    ) -> Block:
        """At most so many lines of the text, no wider than `room`; what does not fit becomes an ellipsis."""
        text, face = self.readable(text, face)
        font = self.font(face, size if face is not Face.EASTERN else size * 0.84)
        lines = wrapped(text, font, room, most)
        return Block(tuple(lines), font, size * leading)

    def _read(self, face: Face) -> bytes:
        if face not in self._bytes:
            self._bytes[face] = files("data").joinpath("fonts", face.value).read_bytes()
        return self._bytes[face]

    def _draws(self, face: Face, character: str) -> bool:
        if character.isspace() or character == "\u200c":
            return True
        return self._look(face, character) != self._look(face, "\U0010fffe")

    def _look(self, face: Face, character: str) -> bytes:
        """How a character looks in a face: what a face lacks looks like what no face has."""
        key = (face, character)
        if key not in self._drawn:
            if len(self._drawn) > 4_000:
                self._drawn.clear()
            basic = ImageFont.truetype(BytesIO(self._read(face)), 16, layout_engine=ImageFont.Layout.BASIC)
            image = Image.new("L", (24, 32))
            ImageDraw.Draw(image).text((4, 20), character, fill=255, font=basic, anchor="ls")
            self._drawn[key] = image.tobytes()
        return self._drawn[key]


def cleaned(text: str) -> str:
    """One line without control characters, lone surrogates, or marks that only steer direction."""
    text = text[: LONGEST * 4]
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text)
    kept = (c for c in text if unicodedata.category(c) not in {"Cs", "Cf", "Co", "Cn"} or c == "\u200c")
    return unicodedata.normalize("NFC", " ".join("".join(kept).split())[:LONGEST])


def length(text: str, font: ImageFont.FreeTypeFont, tracking: float = 0.0) -> float:
    if not tracking:
        return font.getlength(text)
    return sum(font.getlength(c) for c in text) + tracking * max(0, len(text) - 1)


def elided(text: str, font: ImageFont.FreeTypeFont, room: float, *, cut: bool = False) -> str:
    """The text, or as much of it as fits with an ellipsis behind it; empty where not even that fits."""
    if not cut and font.getlength(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(_ended(text[:middle])) <= room:
            low = middle
        else:
            high = middle - 1
    return _ended(text[:low]) if low else ""


def wrapped(text: str, font: ImageFont.FreeTypeFont, room: float, most: int) -> list[str]:
    """The text in at most so many lines of even length, the last one elided where it must be."""
    lines, whole = _filled(text, font, room, most)
    if whole and len(lines) > 1:
        narrow = room
        while narrow > room * 0.55:
            narrow *= 0.95
            evener, fits = _filled(text, font, narrow, len(lines))
            if not fits or any(word not in text.split() for line in evener for word in line.split()):
                break
            lines = evener
    return lines


def _filled(text: str, font: ImageFont.FreeTypeFont, room: float, most: int) -> tuple[list[str], bool]:
    """Lines filled one after the other, and whether the whole text went in."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most:
        line = words.pop(0)
        while words and font.getlength(f"{line} {words[0]}") <= room:
            line = f"{line} {words.pop(0)}"
        if font.getlength(line) > room:
            fits = elided(line, font, room, cut=True)[:-1]
            if not fits:
                return [], False
            words.insert(0, line[len(fits) :].lstrip())
            line = fits
        lines.append(line)
    if words and lines:
        last = elided(" ".join([lines[-1], *words]), font, room, cut=True)
        lines[-1] = last or lines[-1]
    return lines, not words


def _ended(text: str) -> str:
    return text.rstrip(" ,;:.–—-") + "…"
