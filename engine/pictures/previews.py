"""A look at pictures in the making: taken only when somebody asked for one, small, and gone when the work is over.

It knows jobs by their numbers and pictures by their pixels. Who looks, it does not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import structlog
from PIL import Image

from engine.clock import Clock
from engine.pictures import Preview

log = structlog.get_logger(__name__)

#: Nobody sees more of one job than a look in this time.
EVERY_SECONDS = 2.0
#: The longer side of what is shown.
SIDE = 512
QUALITY = 70


@dataclass
class _Look:
    """What is to be seen of one job that is worked on."""

    #: The next step is to be looked at.
    wanted: bool = False
    wanted_at: float | None = None
    jpeg: bytes = b""
    encoding: set[asyncio.Task[None]] = field(default_factory=set)


class Previews:
    """The latest look at each job in work. `told` hears of every new one."""

    def __init__(self, clock: Clock, told: Callable[[int], None]) -> None:
        self._clock = clock
        self._told = told
        self._looks: dict[int, _Look] = {}

    def begin(self, job_id: int) -> None:
        self._looks[job_id] = _Look()

    def end(self, job_id: int) -> None:
        look = self._looks.pop(job_id, None)
        for task in look.encoding if look else ():
            task.cancel()

    def latest(self, job_id: int) -> bytes:
        """A small JPEG, or nothing yet. Asking is what makes the next one be taken."""
        look = self._looks.get(job_id)
        if look is None:
            return b""
        now = self._clock.monotonic()
        if not look.wanted and (look.wanted_at is None or now - look.wanted_at >= EVERY_SECONDS):
            look.wanted, look.wanted_at = True, now
        return look.jpeg

    def take(self, job_id: int, preview: Preview) -> Image.Image | None:
        """On the picture thread, after a step: the picture as it stands, if somebody waits for it."""
        look = self._looks.get(job_id)
        if look is None or not look.wanted:
            return None
        look.wanted = False
        try:
            return preview()
        except Exception as error:  # a look that fails is no reason to fail the picture
            log.debug("preview_failed", job=job_id, cause=repr(error))
            return None

    def keep(self, job_id: int, image: Image.Image) -> None:
        """On the loop: what was taken becomes what is shown, as soon as it is encoded elsewhere."""
        if look := self._looks.get(job_id):
            task = asyncio.ensure_future(self._encode(job_id, look, image))
            look.encoding.add(task)
            task.add_done_callback(look.encoding.discard)

    async def _encode(self, job_id: int, look: _Look, image: Image.Image) -> None:
        look.jpeg = await asyncio.to_thread(as_jpeg, image)
        self._told(job_id)


def as_jpeg(image: Image.Image) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    out = BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def blurred(image: Image.Image, side: int, sharpness: float) -> Image.Image:
    """The picture, no longer than `side`; of its detail only a share is to be seen."""
    scale = min(1.0, side / max(image.size))
    wide, high = (max(1, round(length * scale)) for length in image.size)
    few = (max(1, round(wide * sharpness)), max(1, round(high * sharpness)))
    return image.resize(few, Image.Resampling.BOX, reducing_gap=1.0).resize(
        (wide, high), Image.Resampling.BICUBIC
    )
