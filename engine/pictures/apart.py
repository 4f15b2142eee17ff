"""Placeholders drawn in the atelier, a process of its own. The child tells each step, and is told to go on, to show
how far it is, or to stop. Where there is no child, the same picture is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, cast

from PIL import Image

from engine.errors import RenderFailed, Stopped
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.atelier import LARGE, Atelier, Missed, Raised, Talk
from engine.pictures.metadata import plain_png
from engine.pictures.placeholder import Placeholder

# What the child is told after a step.
GO_ON, SHOW, STOP = "go on", "show", "stop"


class Apart:
    """A Renderer of placeholders that leaves Python's lock to the house."""

    def __init__(self, atelier: Atelier, large: int = LARGE) -> None:
        self._atelier = atelier
        self._large = large
        self._here = Placeholder()

    @property
    def name(self) -> str:
        return self._here.name

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        if all(one.width * one.height < self._large for one in wanted):
            return self._here.render(wanted, progress)
        try:
            return self._there(wanted, progress)
        except Missed:
            return self._here.render(wanted, progress)

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        return self._here.company(wanted)

    def warm(self) -> bool:
        return self._here.warm()

    def close(self) -> None:
        self._here.close()

    def _there(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        failed: BaseException | None = None
        with self._atelier.visit() as talk:

            def look() -> Image.Image:
                talk.say(SHOW)
                seen = talk.heard()
                if isinstance(seen, Raised):
                    raise RenderFailed(str(seen.error))
                return cast("Image.Image", seen)

            talk.say((draw, (list(wanted),), {"talk": None}))
            while isinstance(told := talk.heard(), tuple):
                step, steps, place = told
                try:
                    progress(step, steps, Looks({place: look}))
                except BaseException as error:  # the child lets go of the picture before this goes on its way
                    failed = error
                talk.say(STOP if failed else GO_ON)
        if failed:
            raise failed
        if isinstance(told, Raised):
            raise told.error
        return [_unpacked(*one) for one in cast("list[_Packed]", told)]


#: All of a `Rendered` but its picture, which is on its way as a PNG: its pixels are four times as many bytes.
_Packed = tuple[bytes, str, str, bool, dict[str, Any]]


def _packed(made: Rendered) -> _Packed:
    return plain_png(made.image), made.model, made.device, made.stand_in, made.facts


def _unpacked(png: bytes, model: str, device: str, stand_in: bool, facts: dict[str, Any]) -> Rendered:
    # It is decoded only if somebody looks at it.
    return Rendered(Image.open(BytesIO(png)), model, device, stand_in=stand_in, facts=facts, png=png)


def draw(wanted: Sequence[PictureWanted], talk: Talk) -> list[_Packed]:
    """In the child: each step is told, and waits for its answer."""

    def progress(step: int, steps: int, preview: Preview | None = None) -> None:
        talk.say((step, steps, min(preview.each) if isinstance(preview, Looks) else 0))
        while (answer := talk.heard()) == SHOW:
            talk.say(_seen(preview))
        if answer == STOP:
            raise Stopped

    return [_packed(made) for made in Placeholder().render(wanted, progress)]


def _seen(preview: Preview | None) -> object:
    try:
        return preview and preview()
    except Exception as error:
        return Raised(RuntimeError(repr(error)))
