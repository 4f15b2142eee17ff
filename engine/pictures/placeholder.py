"""The picture that always succeeds: a card in the persona's colours, plainly labelled a stand-in.

It knows how a card is laid out. It needs no model and no network, and does not pretend to show anybody.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.compositions import compose
from engine.pictures.lettering import Block, Face, Lettering, cleaned, length
from engine.pictures.previews import blurred
from engine.pictures.sheet import (
    BLACK,
    WHITE,
    Colour,
    Palette,
    Sheet,
    contrast,
    grained,
    halftoned,
    legible,
    mix,
    softly_lit,
)

LABEL = "STAND-IN · not painted by a model"
SHORT_LABEL = "STAND-IN"

#: Drawing, printing, framing, lettering, grain.
STAGES = 5
#: The longer side of a card that is looked at in the making, and how much of its detail is seen at each stage.
GLIMPSE = 384
SHARPNESS = (0.04, 0.09, 0.2, 0.45, 1.0)


@dataclass(frozen=True)
class Print:
    """How a style shows in a card: the strength of its colours and what happens to the ink."""

    saturation: float = 1.0
    lift: float = 0.0
    dots: float = 0.0
    wash: float = 0.0
    grain: float = 0.06
    outlined: bool = False


PRINTS = {
    "anime": Print(saturation=1.25, lift=0.06, grain=0.03),
    "cinematic": Print(saturation=0.9, grain=0.09),
    "comic": Print(saturation=1.25, dots=0.5, grain=0.04),
    "film": Print(saturation=0.8, lift=0.05, grain=0.14),
    "line-art": Print(saturation=0.35, outlined=True),
    "noir": Print(saturation=0.0, grain=0.15),
    "oil": Print(saturation=1.1, wash=0.35, grain=0.1),
    "pastel": Print(saturation=0.85, lift=0.25, wash=0.2, grain=0.1),
    "poster": Print(saturation=1.1, dots=0.3),
    "retro": Print(saturation=0.8, lift=0.08, dots=0.4, grain=0.1),
    "storybook": Print(lift=0.08, wash=0.3, grain=0.08),
    "watercolour": Print(saturation=0.95, lift=0.2, wash=0.5, grain=0.07),
}


class Placeholder:
    """A Renderer that draws a card in a fraction of a second, the same for the same wanted."""

    def __init__(self) -> None:
        self._lettering = Lettering()

    @property
    def name(self) -> str:
        return "placeholder"

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        rendered = []
        for number, one in enumerate(wanted):

            def stage(done: int, preview: Preview, before: int = number * STAGES) -> None:
                progress(before + done, len(wanted) * STAGES, Looks({before // STAGES: preview}))

            image, facts = _card(one, self._lettering, stage)
            rendered.append(Rendered(image, "placeholder", "cpu", stand_in=True, facts=facts))
        return rendered

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        """Nobody: cards are drawn one after the other, so whoever came along would only wait for the others."""
        return [0]

    def warm(self) -> bool:
        return False

    def close(self) -> None:
        self._lettering = Lettering()


@dataclass(frozen=True)
class Layout:
    """Where things stand on a card: boxes of left, top, right, bottom."""

    art: tuple[int, int, int, int]
    words: tuple[int, int, int, int]
    #: The top of the label's strip; the height of the card where there is no strip.
    strip: int
    #: What everything else is measured by: the shorter side, a little longer on a long card.
    size: float
    align: float
    shape: str

    @classmethod
    def of(cls, width: int, height: int, rng: Random) -> Layout:
        size = min(width, height, (width * height) ** 0.5)
        margin = round(size * 0.05) if size >= 96 else max(2, round(size * 0.04))
        align = rng.choice((0.0, 0.0, 0.5))
        shape = rng.choices(("plain", "rounded", "arch"), (5, 3, 3))[0]
        strip = height - max(14, round(size * 0.052)) if height >= 40 and width >= 48 else height
        if size < 24:
            return cls((0, 0, width, strip), (0, 0, 0, 0), strip, size, 0.5, "plain")
        if size < 128:
            art = (margin, margin, width - margin, max(margin + 1, strip - margin))
            return cls(art, (0, 0, 0, 0), strip, size, 0.5, "plain")
        if width >= height * 1.3:
            right = max(round(width * 0.56), min(round(width * 0.64), strip))
            art = (margin, margin, right, strip - margin)
            words = (right + round(margin * 1.2), margin, width - round(margin * 1.2), strip - margin)
            return cls(art, words, strip, size, align, shape)
        foot = max(round(strip * 0.655), strip - round(size * 0.42))
        art = (margin, margin, width - margin, foot)
        words = (
            round(margin * 1.3),
            foot + round(margin * 0.6),
            width - round(margin * 1.3),
            strip - round(margin * 0.6),
        )
        return cls(art, words, strip, size, align, shape)


@dataclass(frozen=True)
class Inks:
    """The colours of paper and print, each to be read on what it stands on."""

    paper: Colour
    ink: Colour
    quiet: Colour
    strip: Colour
    on_strip: Colour

    @classmethod
    def of(cls, palette: Palette, *, dark: bool) -> Inks:
        paper = mix(palette.ground, BLACK, 0.12) if dark else mix(palette.light, WHITE, 0.35)
        ink = legible(palette.light if dark else palette.ground, paper, 9)
        quiet = legible(mix(ink, paper, 0.3), paper, 4.8)
        strip = palette.accent
        on_strip = max((palette.ground, palette.light), key=lambda colour: contrast(colour, strip))
        return cls(paper, ink, quiet, strip, legible(on_strip, strip, 5))


def _card(
    wanted: PictureWanted, lettering: Lettering, stage: Callable[[int, Preview], None]
) -> tuple[Image.Image, dict[str, Any]]:
    """A whole card, and what is on it."""
    persona, style = wanted.scene.persona, wanted.style
    width, height = max(1, wanted.width), max(1, wanted.height)
    rng = _dice(wanted)
    print_ = PRINTS.get(style, Print())
    palette = Palette.of(persona.picture.palette, saturation=print_.saturation)
    request = cleaned(wanted.scene.request)
    layout = Layout.of(width, height, rng)
    if not layout.align and _rightward(f"{persona.name} {request}"):
        layout = replace(layout, align=1.0)
    inks = Inks.of(palette, dark=rng.random() < 0.45)

    left, top, right, foot = layout.art
    sheet, composition = compose(right - left, foot - top, palette, request or style, rng)
    stage(1, partial(_glimpse, wanted, layout, inks, sheet.image, 1))
    art = _printed(sheet, right - left, foot - top, palette, print_, rng)
    stage(2, partial(_glimpse, wanted, layout, inks, art, 2))
    image = Image.new("RGB", (width, height), inks.paper)
    _hang(image, art, layout, inks)
    image = grained(image, rng, print_.grain)
    stage(3, partial(_blurred, image, 3))
    facts: dict[str, Any] = {"composition": composition, "shape": layout.shape}
    if layout.words[2] > layout.words[0]:
        _seal(image, persona.name, layout, inks, lettering)
        _words(image, wanted, layout, inks, lettering)
    stage(4, partial(_blurred, image, 4))
    facts["label"] = _strip(image, layout, inks, lettering)
    stage(5, partial(_blurred, image, 5))
    return image, facts


def _glimpse(wanted: PictureWanted, layout: Layout, inks: Inks, art: Image.Image, stage: int) -> Image.Image:
    """How the card will look whose art is only just drawn: there is no card yet to hang it on."""
    scale = min(1.0, GLIMPSE / max(wanted.width, wanted.height))
    left, top, right, foot = (round(side * scale) for side in layout.art)
    size = (max(1, round(wanted.width * scale)), max(1, round(wanted.height * scale)))
    card = Image.new("RGB", size, inks.paper)
    hung = (max(1, right - left), max(1, foot - top))
    card.paste(art.resize(hung, Image.Resampling.BOX, reducing_gap=1.0), (left, top))
    return _blurred(card, stage)


def _blurred(card: Image.Image, stage: int) -> Image.Image:
    return blurred(card, GLIMPSE, SHARPNESS[stage - 1])


def _dice(wanted: PictureWanted) -> Random:
    """The same throws for the same wanted, in every process and on every machine."""
    scene = wanted.scene
    said = "\0".join((str(wanted.seed), scene.persona.slug, scene.request, wanted.style))
    return Random(hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def _printed(
    sheet: Sheet, width: int, height: int, palette: Palette, print_: Print, rng: Random
) -> Image.Image:
    """The sheet at its final size, with what the style does to it."""
    if print_.outlined:
        edges = (
            sheet.image.convert("L")
            .filter(ImageFilter.FIND_EDGES)
            .point([max(0, min(255, (v - 5) * 12)) for v in range(256)])
        )
        edges = edges.filter(ImageFilter.MaxFilter(3))
        wide, high = sheet.image.size
        edges.paste(0, (0, 0, wide, 2))
        edges.paste(0, (0, high - 2, wide, high))
        edges.paste(0, (0, 0, 2, high))
        edges.paste(0, (wide - 2, 0, wide, high))
        paper = Image.blend(sheet.image, Image.new("RGB", sheet.image.size, palette.light), 0.86)
        paper.paste(palette.ground, (0, 0), edges)
        sheet.image = paper
    art = sheet.finished(width, height)
    if print_.lift:
        art = Image.blend(art, Image.new("RGB", art.size, mix(palette.light, WHITE, 0.4)), print_.lift)
    if print_.wash:
        low = Image.frombytes("L", (14, 14), rng.randbytes(196)).resize(art.size, Image.Resampling.BICUBIC)
        fine = Image.frombytes("L", (60, 60), rng.randbytes(3600)).resize(art.size, Image.Resampling.BICUBIC)
        pools = Image.blend(low, fine, 0.35).point([round(128 + (v - 128) * print_.wash) for v in range(256)])
        art = softly_lit(art, pools)
    if print_.dots:
        art = halftoned(art, max(3, round(min(width, height) / 110)), palette.ground, print_.dots)
    return art


def _hang(image: Image.Image, art: Image.Image, layout: Layout, inks: Inks) -> None:
    """The art in its frame: plain, with rounded corners, or under an arch; with a keyline around it."""
    left, top, right, foot = layout.art
    wide, high = right - left, foot - top
    gap = max(2, round(layout.size * 0.007))
    line = max(1, round(layout.size * 0.0016))
    for inset, into in ((0, image), (gap, None)):
        size = (wide - 2 * inset, high - 2 * inset)
        if min(size) < 8:
            image.paste(art, (left, top))
            return
        mask = _frame(*size, layout.shape, layout.size)
        if into is not None:
            rim = Image.new("RGB", size, inks.quiet)
            into.paste(rim, (left, top), mask)
            inner = _frame(size[0] - 2 * line, size[1] - 2 * line, layout.shape, layout.size)
            into.paste(inks.paper, (left + line, top + line), inner)
        else:
            cropped = art.crop((inset, inset, wide - inset, high - inset))
            image.paste(cropped, (left + inset, top + inset), mask)


def _frame(wide: int, high: int, shape: str, size: float) -> Image.Image:
    scale = 3
    mask = Image.new("L", (wide * scale, high * scale), 0)
    pen = ImageDraw.Draw(mask)
    box = (0, 0, wide * scale - 1, high * scale - 1)
    if shape == "arch" and high > wide * 0.55:
        rise = min(high * 0.5, wide * 0.5) * scale
        pen.ellipse((0, 0, box[2], rise * 2), fill=255)
        pen.rectangle((0, rise, box[2], box[3]), fill=255)
    elif shape == "plain":
        pen.rectangle(box, fill=255)
    else:
        pen.rounded_rectangle(box, size * 0.035 * scale, fill=255)
    return mask.resize((wide, high), Image.Resampling.BOX)


def _seal(image: Image.Image, name: str, layout: Layout, inks: Inks, lettering: Lettering) -> None:
    """The persona's initial on a round seal at the foot of the art."""
    text, face = lettering.readable(name, Face.DISPLAY)
    initial = next((c for c in text if c.isalnum()), "").upper()[:1]
    radius = layout.size * 0.052
    left, top, right, foot = layout.art
    if not initial or layout.size < 300:
        return
    x = {0.0: right - radius * 1.7, 0.5: (left + right) / 2, 1.0: left + radius * 1.7}[layout.align]
    y = foot - layout.size * 0.004
    if layout.words[1] < foot:
        x, y = (
            right - layout.size * 0.004,
            top + radius * 1.9 if layout.shape != "arch" else foot - radius * 1.9,
        )
    half = round(radius * 1.12)
    seal = Sheet(2 * half, 2 * half, inks.paper)
    centre, rim = seal.w / 2, seal.w / 2 / 1.12
    seal.disc(centre, centre, seal.w / 2 - 1, inks.paper)
    seal.disc(centre, centre, rim, inks.strip)
    seal.ring(centre, centre, rim * 0.86, inks.on_strip, max(1, rim * 0.025))
    disc = seal.finished(2 * half, 2 * half)
    mask = Sheet(2 * half, 2 * half, (0, 0, 0))
    mask.disc(mask.w / 2, mask.w / 2, mask.w / 2 - 1, (255, 255, 255))
    corner = (round(x) - half, round(y) - half)
    image.paste(disc, corner, mask.finished(2 * half, 2 * half).convert("L"))
    font = lettering.font(face, radius * 1.05)
    box = font.getbbox(initial, anchor="ls")
    pen = ImageDraw.Draw(image)
    at = (round(x) - (box[0] + box[2]) / 2, round(y) - (box[1] + box[3]) / 2)
    pen.text(at, initial, fill=inks.on_strip, font=font, anchor="ls")


def _words(
    image: Image.Image, wanted: PictureWanted, layout: Layout, inks: Inks, lettering: Lettering
) -> None:
    """Name, scene, and the line in small capitals, as large as they can be."""
    left, top, right, foot = layout.words
    room, tall, size = right - left, foot - top, layout.size
    beside = top < layout.art[3]
    persona = wanted.scene.persona
    style, seed = wanted.style.replace("-", " "), f"seed {wanted.seed}"
    lines = (f"{style} · {wanted.width} × {wanted.height} · {seed}", f"{style} · {seed}", style)
    narrow = room if beside or layout.align == 0.5 or size < 300 else room - size * 0.13
    for scale, most in _tries(beside=beside):
        name = _name(persona.name, lettering, size * 0.098 * scale, narrow, beside=beside)
        scene = lettering.block(wanted.scene.request, Face.TEXT, max(13, size * 0.037 * scale), room, most)
        small = _capitals(lines if size >= 200 else (), lettering, max(9, size * 0.0175 * scale), room)
        blocks = [block for block in (name, scene, small) if block.lines]
        gap = size * 0.02 * scale
        if _tall(blocks, gap) <= tall:
            break
    while blocks and _tall(blocks, gap) > tall:
        blocks.pop()
    y = top + (tall - _tall(blocks, gap)) / 2
    for block in blocks:
        colour = (
            inks.ink if block is name else inks.quiet if block is small else mix(inks.ink, inks.quiet, 0.35)
        )
        block.draw(image, left, y, room, colour, layout.align)
        y += block.height + gap


def _tries(*, beside: bool) -> list[tuple[float, int]]:
    """The sizes of type and numbers of lines for the scene, best first."""
    lines = (7, 6, 5, 4) if beside else (3, 2)
    tries = [(scale, most) for scale in (1.0, 0.9, 0.8) for most in lines]
    return [*tries, (0.7, 2), (0.7, 1), (0.6, 1), (0.6, 0)]


def _tall(blocks: Sequence[Block], gap: float) -> float:
    return sum(block.height for block in blocks) + gap * max(0, len(blocks) - 1)


def _rightward(line: str) -> bool:
    """Whether a line begins at the right: its first letter is Hebrew or Arabic."""
    kinds = (unicodedata.bidirectional(c) for c in line)
    return next((kind for kind in kinds if kind in {"L", "R", "AL"}), "L") != "L"


def _name(text: str, lettering: Lettering, size: float, room: float, *, beside: bool) -> Block:
    """The name on one line, smaller if it must be; then on more lines; and cut only if nothing else helps."""
    shown, _ = lettering.readable(text, Face.DISPLAY)
    tries = [(share, 1) for share in (1.0, 0.92, 0.84, 0.76)]
    tries += [(share, 2) for share in (0.84, 0.76, 0.68, 0.6, 0.52)] + [(0.52, 3), (0.44, 3)]
    if beside:
        tries = [(1.0, 1), (1.0, 2), (0.9, 1), (0.9, 2), (0.8, 2), (0.7, 2), (0.6, 2), (0.6, 3), (0.5, 3)]
    for share, most in tries:
        block = lettering.block(shown, Face.DISPLAY, max(12, size * share), room, most, 1.04)
        if " ".join(block.lines) == shown:
            return block
    return lettering.block(shown, Face.DISPLAY, max(12, size * 0.5), room, 2, 1.04)


def _capitals(texts: Sequence[str], lettering: Lettering, size: float, room: float) -> Block:
    """The first of the texts that fits on one line in spaced capitals; or the last of them, cut."""
    for text in texts:
        block = lettering.block(text.upper(), Face.SANS, size, 10_000, 1, 1.5)
        for share in (0.12, 0.06, 0.0):
            spaced = Block(block.lines, block.font, block.leading, size * share)
            if spaced.width <= room:
                return spaced
    return lettering.block(texts[-1].upper() if texts else "", Face.SANS, size, room, 1, 1.5)


def _strip(image: Image.Image, layout: Layout, inks: Inks, lettering: Lettering) -> str:
    """The label that says what this is, across the foot of the card; and the words that fitted."""
    width, height = image.size
    tall = height - layout.strip
    if not tall:
        return ""
    ImageDraw.Draw(image).rectangle((0, layout.strip, width, height), fill=inks.strip)
    for label in (LABEL, SHORT_LABEL):
        for size in (max(9.0, tall * 0.4), 9.0, 8.0):
            font = lettering.font(Face.SANS, size)
            for spacing in (0.14, 0.06, 0.0):
                if length(label, font, size * spacing) <= width - max(6, tall * 0.7):
                    block = Block((label,), font, tall, size * spacing)
                    block.draw(image, 0, layout.strip, width, inks.on_strip, 0.5)
                    return label
    return ""
