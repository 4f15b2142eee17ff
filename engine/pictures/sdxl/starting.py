"""The picture that another one begins from: turned upright, in plain colours, and cut to the size that is wanted.

It knows Pillow's pictures, whatever file they came from. What becomes of them it does not know.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from engine.errors import BadRequest
from engine.locales import say

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SIDE = 16
MOST_SIDE = 16_384
MOST_PIXELS = 64_000_000
#: What shows through where a picture is transparent: of all colours the one that says least.
BEHIND = (128, 128, 128, 255)
#: What Pillow and its readers raise over a file that is not what it says.
_DAMAGED = (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error, MemoryError)


def fitted(start: Image, size: tuple[int, int]) -> Image:
    """As much of its middle as fills `size`, in red, green and blue. `BadRequest` says why it cannot be used."""
    from PIL import Image, ImageOps

    _check(start.size)
    try:
        if getattr(start, "n_frames", 1) > 1:
            start.seek(0)
        upright = ImageOps.exif_transpose(start)
        plain = _plain(upright)
        # Resized with its transparency, so that hidden colours do not bleed into what is seen.
        seen = ImageOps.fit(plain, size, Image.Resampling.LANCZOS)
        if seen.mode == "RGBA":
            seen = Image.alpha_composite(Image.new("RGBA", size, BEHIND), seen)
        return seen.convert("RGB")
    except _DAMAGED as error:
        raise BadRequest(say("pictures.start.unreadable")) from error


def filled_up(image: Image, size: tuple[int, int]) -> Image:
    """With its last column and row drawn on, up to whole squares. What is drawn on is cut off in the end."""
    from PIL import Image

    (width, height), (wide, high) = image.size, size
    if (width, height) == (wide, high):
        return image
    grown = Image.new("RGB", size)
    grown.paste(image, (0, 0))
    if wide > width:
        column = grown.crop((width - 1, 0, width, height))
        grown.paste(column.resize((wide - width, height), Image.Resampling.NEAREST), (width, 0))
    if high > height:
        row = grown.crop((0, height - 1, wide, height))
        grown.paste(row.resize((wide, high - height), Image.Resampling.NEAREST), (0, height))
    return grown


def enlarged(image: Image, size: tuple[int, int]) -> Image:
    from PIL import Image

    return image.resize(size, Image.Resampling.LANCZOS)


def _check(size: tuple[int, int]) -> None:
    """Before anything of it is decoded."""
    width, height = size
    sides = {"width": str(width), "height": str(height)}
    if min(size) < LEAST_SIDE:
        raise BadRequest(say("pictures.start.small", least=str(LEAST_SIDE), **sides))
    if max(size) > MOST_SIDE or width * height > MOST_PIXELS:
        pixels = str(MOST_PIXELS // 1_000_000)
        raise BadRequest(say("pictures.start.large", most=str(MOST_SIDE), pixels=pixels, **sides))


def _plain(image: Image) -> Image:
    """In eight bits a colour, and with its transparency if it has some."""
    mode = image.mode
    if mode in ("RGB", "RGBA"):
        return image.convert("RGBA") if "transparency" in image.info else image
    if mode.startswith("I") or mode == "F":
        return _in_eight_bits(image)
    if mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")


def _in_eight_bits(image: Image) -> Image:
    """Greys of 16 bits and more, and broken numbers: Pillow alone would make all of them white that is above 255."""
    numbers = image.convert("F")
    high = numbers.getextrema()[1]
    if not isinstance(high, float) or not math.isfinite(high):
        raise ValueError("a picture of numbers that are none")
    white = 65_535.0
    if not image.mode.startswith("I;16"):
        # Its brightest says how many bits its maker had in mind.
        ranges = (1.0, 255.0, 65_535.0) if image.mode == "F" else (255.0, 65_535.0)
        white = next((most for most in ranges if high <= most), high)
    return numbers.point(lambda number: number * (255.0 / white) + 0.0).convert("L").convert("RGB")
