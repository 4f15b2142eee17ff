"""Files that somebody shows as pictures: a camera's, a scanner's, and such as are made to do harm."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

from engine.pictures.shown import MOST_BYTES

RED, BLUE = (200, 20, 20), (20, 20, 200)
ORIENTATION, MAKE, GPS = 0x0112, 0x010F, 0x8825
OWNER = "Mrs Brandt of 4 Harbour Lane"


def file_of(image: Image.Image, kind: str, **how: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def two_halves(width: int = 400, height: int = 200, mode: str = "RGB") -> Image.Image:
    """Red on the left, and blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    ImageDraw.Draw(image).rectangle((width // 2, 0, width, height), fill=BLUE)
    return image.quantize(8) if mode == "P" else image.convert(mode)


def of_a_camera(width: int = 3_000, height: int = 2_000) -> bytes:
    """Held sideways: upright, red is above and blue below. It says who took it, and where."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, OWNER
    exif.get_ifd(GPS).update({1: "N", 2: (54.0, 10.0, 12.0)})
    return file_of(two_halves(width, height), "JPEG", exif=exif, comment=OWNER.encode())


def moving(kind: str) -> bytes:
    rest = [Image.new("RGB", (400, 200), (0, shade, 0)) for shade in (100, 200)]
    return file_of(two_halves(), kind, save_all=True, append_images=rest, duration=100)


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""
    row = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
    chunks = [(b"IHDR", row), (b"IDAT", zlib.compress(bytes(1_000))), (b"IEND", b"")]
    told = (
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:9/x"/></svg>'

#: By what is wrong with them: bytes, and what is said of them.
HOSTILE = {
    "forty megapixels and one": (claiming(6_401, 6_250), "40 megapixels"),
    "a bomb": (claiming(20_000, 20_000), "40 megapixels"),
    "a picture without end": (claiming(2**31 - 1, 2**31 - 1), "read|megapixels"),
    "truncated": (file_of(two_halves(), "PNG")[:200], "damaged"),
    "a truncated photo": (of_a_camera()[:9_000], "damaged"),
    "svg": (SVG, "neither PNG"),
    "gif": (file_of(two_halves(), "GIF"), "neither PNG"),
    "tiff": (file_of(two_halves(), "TIFF"), "neither PNG"),
    "words": (b"no picture at all", "neither PNG"),
    "too many bytes": (file_of(two_halves(), "PNG") + bytes(MOST_BYTES), "10 MB"),
}
