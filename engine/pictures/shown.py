"""A picture that somebody shows, as a model may look at it: no larger than need be, and without a word of what its
file said. Who shows it, and to whom, it does not know.
"""

from __future__ import annotations

from io import BytesIO

from engine.errors import BadRequest
from engine.locales import Said, say
from engine.pictures.foreign import Terms, decoded

#: A file of more bytes is opened by nobody.
MOST_BYTES = 10_000_000
#: A picture that says it has more would fill the memory.
MOST_PIXELS = 40_000_000
#: Models that see look at no more on a side.
MOST_SIDE = 1_568
KINDS = ("PNG", "JPEG", "WEBP")

#: Sharp enough for a page of print.
_QUALITY = 92


def as_shown(data: bytes) -> bytes:
    """The picture in these bytes as a JPEG; the first one, where it moves. `BadRequest` says why it cannot be shown.

    It takes long, and the bytes are a stranger's: not on a loop, and better in a process of its own.
    """
    if len(data) > MOST_BYTES:
        raise BadRequest(heavy())
    seen = decoded(data, _terms())
    # A comment in the file would be written again.
    seen.info.clear()
    out = BytesIO()
    seen.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def heavy() -> Said:
    return say("shown.heavy", most=MOST_BYTES // 1_000_000)


def _terms() -> Terms:
    return Terms(
        kinds=KINDS,
        most_pixels=MOST_PIXELS,
        most_side=MOST_SIDE,
        unreadable=say("shown.unreadable"),
        large=say("shown.large", most=MOST_PIXELS // 1_000_000),
    )
