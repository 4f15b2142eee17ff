"""A sheet of paper to draw on: shapes, light and grain, antialiased, in Pillow alone.

It knows colours and geometry. It does not know what is drawn, or for whom.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageColor, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

#: Rows of a picture that are worked on in one go.
BAND = 64


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with a share of `other` in it, from 0 to 1."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, other, strict=True))
    return (r, g, b)


def luminance(colour: Colour) -> float:
    """Relative luminance as WCAG defines it: 0 for black, 1 for white."""
    parts = (c / 255 for c in colour)
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: Colour, other: Colour) -> float:
    """From 1 (the same) to 21 (black on white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def legible(ink: Colour, ground: Colour, least: float = 4.5) -> Colour:
    """The ink, taken towards black or white just as far as it must go to be read on this ground."""
    end = max((BLACK, WHITE), key=lambda end: contrast(end, ground))
    steps = (mix(ink, end, step / 10) for step in range(11))
    return next((colour for colour in steps if contrast(colour, ground) >= least), end)


def turned(colour: Colour, hue: float = 0.0, saturation: float = 1.0) -> Colour:
    """A neighbour of the colour: its hue moved by a share of the circle, its saturation multiplied."""
    h, lightness, s = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    r, g, b = (round(c * 255) for c in colorsys.hls_to_rgb((h + hue) % 1, lightness, min(1, s * saturation)))
    return (r, g, b)


@dataclass(frozen=True)
class Fade:
    """From one colour at the top of a shape to another at its foot."""

    top: Colour
    foot: Colour


Fill = Colour | Fade


@dataclass(frozen=True)
class Palette:
    """Three colours that can be told apart, whatever a persona named, and a fourth beside the accent."""

    ground: Colour
    accent: Colour
    light: Colour
    spark: Colour

    @classmethod
    def of(cls, colours: Sequence[str], *, lean: float = 0.06, saturation: float = 1.0) -> Palette:
        """From `#rrggbb`, in any order and number: the darkest becomes the ground, the lightest the light."""
        named: list[Colour] = []
        for colour in colours:
            r, g, b = ImageColor.getrgb(colour)[:3]
            named.append(turned((r, g, b), saturation=saturation))
        named.sort(key=luminance)
        if not named:
            named = [(34, 51, 59), (198, 172, 143), (234, 224, 213)]
        ground, light = named[0], named[-1]
        middle = named[1:-1] or [mix(ground, light, 0.55)]
        accent = max(middle, key=lambda c: max(c) - min(c))
        while luminance(ground) > 0.09:
            ground = mix(ground, BLACK, 0.15)
        while luminance(light) < 0.62:
            light = mix(light, WHITE, 0.15)
        if contrast(accent, ground) < 2:
            accent = mix(accent, light, 0.35)
        if contrast(accent, light) < 1.5:
            accent = mix(accent, ground, 0.3)
        # Yellows lean towards orange, everything else onwards: acid greens flatter nobody.
        hue = colorsys.rgb_to_hls(*(c / 255 for c in accent))[0]
        return cls(ground, accent, light, turned(accent, -lean if 0.04 < hue < 0.3 else lean, 1.1))


class Sheet:
    """Drawn larger than it is wanted, and reduced at the end; that is what smooths its edges.

    `u` is a hundredth of its size, by which strokes and ornaments are measured.
    """

    def __init__(self, width: int, height: int, colour: Colour) -> None:
        self.scale = 3 if width * height < 300_000 else 2
        self.w = width * self.scale
        self.h = height * self.scale
        self.u = math.sqrt(self.w * self.h) / 100
        self.image = Image.new("RGB", (self.w, self.h), colour)
        self._draw = ImageDraw.Draw(self.image)

    def sky(self, *stops: Colour) -> None:
        """The whole sheet in a gradient, top to bottom."""
        self.image.paste(_gradient(stops, self.w, self.h))

    def shape(self, points: Sequence[Point], fill: Fill, alpha: float = 1.0) -> None:
        """A polygon, plain or in a gradient, opaque or not."""
        if alpha >= 1 and not isinstance(fill, Fade):
            self._draw.polygon(list(points), fill=fill)
            return
        left, top = (max(0, math.floor(min(p[i] for p in points))) for i in (0, 1))
        right = min(self.w, math.ceil(max(p[0] for p in points)) + 1)
        bottom = min(self.h, math.ceil(max(p[1] for p in points)) + 1)
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", (right - left, bottom - top), 0)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], fill=round(255 * alpha))
        self._paste(fill, (left, top), mask)

    def disc(self, x: float, y: float, radius: float, fill: Fill, alpha: float = 1.0) -> None:
        if radius < 0.5:
            return
        if alpha >= 1 and not isinstance(fill, Fade):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
            return
        self.shape(oval(x, y, radius, radius), fill, alpha)

    def ring(self, x: float, y: float, radius: float, colour: Colour, width: float) -> None:
        if radius >= 1:
            box = (x - radius, y - radius, x + radius, y + radius)
            self._draw.ellipse(box, outline=colour, width=max(1, round(width)))

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        self._draw.line(list(points), fill=colour, width=max(1, round(width)), joint="curve")

    def box(
        self, left: float, top: float, right: float, bottom: float, fill: Fill, alpha: float = 1.0
    ) -> None:
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], fill, alpha)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float = 0.6) -> None:
        """Light that falls off softly around a point."""
        size = max(2, round(radius * 2))
        curve = [round(255 * strength * max(0.0, 1 - distance / 181) ** 2) for distance in range(256)]
        halo = Image.radial_gradient("L").point(curve).resize((size, size))
        self._paste(colour, (round(x - radius), round(y - radius)), halo)

    def finished(self, width: int, height: int) -> Image.Image:
        """The sheet at the size that was wanted."""
        return self.image.resize((width, height), Image.Resampling.BOX)

    def _paste(self, fill: Fill, corner: tuple[int, int], mask: Image.Image) -> None:
        if isinstance(fill, Fade):
            self.image.paste(_gradient((fill.top, fill.foot), *mask.size), corner, mask)
        else:
            self.image.paste(fill, corner, mask)


def oval(x: float, y: float, across: float, down: float, start: float = 0, end: float = 360) -> list[Point]:
    """Points along an ellipse, clockwise from the right, in degrees."""
    steps = max(8, round(abs(end - start) / 4))
    angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]


def leaf(base: Point, angle: float, length: float, width: float) -> list[Point]:
    """A pointed leaf that grows from `base` in the direction of `angle` (radians)."""
    cos, sin = math.cos(angle), math.sin(angle)
    side = [(t / 12, math.sin(math.pi * (t / 12) ** 0.8) * width / 2) for t in range(13)]
    around = side + [(t, -d) for t, d in reversed(side)]
    return [(base[0] + t * length * cos - d * sin, base[1] + t * length * sin + d * cos) for t, d in around]


def grained(image: Image.Image, rng: Random, strength: float = 0.06) -> Image.Image:
    """Paper grain over a finished picture, the same for the same `rng`."""
    side = 192
    tile = Image.frombytes("L", (side, side), rng.randbytes(side * side))
    soft = Image.frombytes("L", (side, side), rng.randbytes(side * side))
    tile = Image.blend(tile, soft, 0.5).point([round(128 + (v - 128) * strength * 4) for v in range(256)])
    sheet = Image.new("L", image.size, 128)
    for x in range(0, image.width, side):
        for y in range(0, image.height, side):
            sheet.paste(tile, (x, y))
    return softly_lit(image, sheet)


def softly_lit(image: Image.Image, light: Image.Image) -> Image.Image:
    """The picture under a light of greys: darker where it is below the middle, lighter above.

    Band by band, because Pillow keeps Python's lock while it does this: the whole of a large picture at once would
    hold up everybody whom the house answers meanwhile.
    """
    lit = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND):
        box = (0, top, image.width, min(top + BAND, image.height))
        band = light.crop(box)
        lit.paste(ImageChops.soft_light(image.crop(box), Image.merge("RGB", (band, band, band))), (0, top))
    return lit


def halftoned(image: Image.Image, pitch: int, ink: Colour, strength: float = 0.35) -> Image.Image:
    """Printer's dots in the darker parts, as on a cheap poster."""
    side = pitch * 4
    dots = Image.new("L", (side * 4, side * 4), 255)
    draw = ImageDraw.Draw(dots)
    for row in range(-1, 5):
        for column in range(-1, 5):
            x, y = (column + 0.5 * (row % 2)) * side, row * side
            for step in range(12):
                reach = side * 0.62 * (1 - step / 12)
                draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=round(255 * (1 - step / 12)))
    tile = dots.resize((pitch * 4, pitch * 4), Image.Resampling.BOX)
    screen = Image.new("L", image.size)
    for x in range(0, image.width, tile.width):
        for y in range(0, image.height, tile.height):
            screen.paste(tile, (x, y))
    dark = image.convert("L").point([round(max(0, 200 - v) * 1.1) for v in range(256)])
    mask = ImageChops.subtract(dark, ImageChops.invert(screen)).point([min(255, v * 6) for v in range(256)])
    printed = Image.new("RGB", image.size, ink)
    return Image.composite(printed, image, mask.point([round(v * strength) for v in range(256)]))


def _gradient(stops: Sequence[Colour], width: int, height: int) -> Image.Image:
    strip = Image.new("RGB", (1, 256))
    spans = max(1, len(stops) - 1)
    for y in range(256):
        place = y / 255 * spans
        index = min(int(place), spans - 1)
        strip.putpixel((0, y), mix(stops[index], stops[min(index + 1, len(stops) - 1)], place - index))
    return strip.resize((width, height), Image.Resampling.BILINEAR)
