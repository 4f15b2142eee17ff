"""A picture file that nobody here made, decoded with care: upright, in plain colours, and no larger than need be.

What it is for, and what is made of it, it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageOps

from engine.errors import BadRequest
from engine.locales import Said

#: Kinds of pixels that become plain colours without a loss that anybody sees.
_MODES = frozenset({"1", "L", "LA", "P", "PA", "I;16", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_BEHIND = (255, 255, 255, 255)


@dataclass(frozen=True)
class Terms:
    """What may come in, and what is said of all else."""

    kinds: tuple[str, ...]
    #: A picture that says it has more pixels would fill the memory.
    most_pixels: int
    #: It is made no longer than this on a side.
    most_side: int
    unreadable: Said
    large: Said
    #: What is shorter on a side is not taken, and that is said of it.
    least_side: int = 0
    small: str = ""


def decoded(data: bytes, terms: Terms) -> Image.Image:
    """The picture in these bytes, without transparency; the first one, where it moves. `BadRequest` says why not.

    It takes long, and the bytes are a stranger's: not on a loop, and better in a process of its own.
    """
    try:
        with Image.open(BytesIO(data), formats=terms.kinds) as image:
            _check(image, terms)
            return _plain(_upright(_smaller(image, terms.most_side)))
    except BadRequest:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadRequest(terms.large) from None
    except Exception as error:  # Pillow knows a dozen ways to say that it cannot read something
        raise BadRequest(terms.unreadable) from error


def _check(image: Image.Image, terms: Terms) -> None:
    """Before anything of it is decoded."""
    if min(image.size) < terms.least_side:
        raise BadRequest(terms.small)
    if image.width * image.height > terms.most_pixels:
        raise BadRequest(terms.large)
    if image.mode not in _MODES:
        raise BadRequest(terms.unreadable)


def _smaller(image: Image.Image, most_side: int) -> Image.Image:
    """Scaled down, in a mode that can be scaled well. A JPEG is decoded at no more than it takes."""
    if image.mode == "I;16":
        image = image.point(lambda value: value * (1 / 256)).convert("L")
        # A grey that is told to be clear would stand for others in eight bits: none is.
        image.info.pop("transparency", None)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode in {"1", "P", "PA"}:
        image = image.convert("RGB")
    image.thumbnail((most_side, most_side), Image.Resampling.LANCZOS)
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
