"""Whether two pictures show the same, pixel by pixel. How they were encoded is no matter."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageChops


def differing(one: bytes, other: bytes) -> float | None:
    """Which share of the pixels is not the same; None where their sizes are not."""
    with Image.open(BytesIO(one)) as first, Image.open(BytesIO(other)) as second:
        if first.size != second.size:
            return None
        apart = ImageChops.difference(first.convert("RGB"), second.convert("RGB"))
    red, green, blue = apart.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return 1.0 - most.histogram()[0] / (most.width * most.height)
