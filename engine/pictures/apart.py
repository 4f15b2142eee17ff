"""Placeholders drawn in the atelier, a process of its own. The child tells each step, and is told to go on, to show
how far it is, or to stop. Where there is no child, the same picture is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from engine.errors import RenderFailed, Stopped
from engine.pictures import PictureWanted, Preview, Progress, Rendered
from engine.pictures.atelier import LARGE, Atelier, Missed, Raised, Talk
from engine.pictures.placeholder import Placeholder

if TYPE_CHECKING:
    from PIL.Image import Image

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

    def close(self) -> None:
        self._here.close()

    def _there(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        failed: BaseException | None = None
        with self._atelier.visit() as talk:

            def look() -> Image:
                talk.say(SHOW)
                seen = talk.heard()
                if isinstance(seen, Raised):
                    raise RenderFailed(str(seen.error))
                return cast("Image", seen)

            talk.say((draw, (list(wanted),), {"talk": None}))
            while isinstance(told := talk.heard(), tuple):
                step, steps = told
                try:
                    progress(step, steps, look)
                except BaseException as error:  # the child lets go of the picture before this goes on its way
                    failed = error
                talk.say(STOP if failed else GO_ON)
        if failed:
            raise failed
        if isinstance(told, Raised):
            raise told.error
        return cast("list[Rendered]", told)


def draw(wanted: Sequence[PictureWanted], talk: Talk) -> list[Rendered]:
    """In the child: each step is told, and waits for its answer."""

    def progress(step: int, steps: int, preview: Preview | None = None) -> None:
        talk.say((step, steps))
        while (answer := talk.heard()) == SHOW:
            talk.say(_seen(preview))
        if answer == STOP:
            raise Stopped

    return Placeholder().render(wanted, progress)


def _seen(preview: Preview | None) -> object:
    try:
        return preview and preview()
    except Exception as error:
        return Raised(RuntimeError(repr(error)))
