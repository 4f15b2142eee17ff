"""A picture that somebody shows, as a model may look at it: decoded with care, upright, no larger than need be, and
without a word of what its file said. Who shows it, and to whom, it does not know.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageOps

from engine.errors import BadRequest
from engine.locales import Said, say

#: A file of more bytes is opened by nobody.
MOST_BYTES = 10_000_000
#: A picture that says it has more would fill the memory.
MOST_PIXELS = 40_000_000
#: Models that see look at no more on a side.
MOST_SIDE = 1_568
KINDS = ("PNG", "JPEG", "WEBP")

_MODES = frozenset({"1", "L", "LA", "P", "PA", "I;16", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_BEHIND = (255, 255, 255, 255)
#: Sharp enough for a page of print.
_QUALITY = 92


def as_shown(data: bytes) -> bytes:
    """The picture in these bytes as a JPEG; the first one, where it moves. `BadRequest` says why it cannot be shown.

    It takes long, and the bytes are a stranger's: not on a loop, and better in a process of its own.
    """
    if len(data) > MOST_BYTES:
        raise BadRequest(heavy())
    try:
        with Image.open(BytesIO(data), formats=KINDS) as image:
            _check(image)
            seen = _plain(_upright(_smaller(image)))
    except BadRequest:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    except Exception as error:  # Pillow knows a dozen ways to say that it cannot read something
        raise _unreadable() from error
    # A comment in the file would be written again.
    seen.info.clear()
    out = BytesIO()
    seen.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def heavy() -> Said:
    return say("shown.heavy", most=MOST_BYTES // 1_000_000)


def _check(image: Image.Image) -> None:
    """Before anything of it is decoded."""
    if image.width * image.height > MOST_PIXELS:
        raise _too_large()
    if image.mode not in _MODES:
        raise _unreadable()


def _smaller(image: Image.Image) -> Image.Image:
    """Scaled down, in a mode that can be scaled well. A JPEG is decoded at no more than it takes."""
    if image.mode == "I;16":
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode in {"1", "P", "PA"}:
        image = image.convert("RGB")
    image.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return image


def _upright(image: Image.Image) -> Image.Image:
    """A camera writes down how it was held. Where that cannot be read, the picture stays as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _plain(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, _BEHIND), image).convert("RGB")


def _too_large() -> BadRequest:
    return BadRequest(say("shown.large", most=MOST_PIXELS // 1_000_000))


def _unreadable() -> BadRequest:
    return BadRequest(say("shown.unreadable"))
