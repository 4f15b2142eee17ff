"""Who paints: the picture model that lies on the disk, and the stand-in where there is none or it cannot.

It knows no model. What was drawn instead of a picture says in its facts what it stands for, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from engine.clock import Clock
from engine.errors import Stopped, TryAgain
from engine.pictures import PictureWanted, Progress, Rendered, Renderer

log = structlog.get_logger(__name__)

#: A model that was not there, or could not paint, is asked for again after so many seconds.
LOOK_AGAIN = 30.0


class Painters:
    """A Renderer that always succeeds."""

    def __init__(self, find: Callable[[], Renderer | None], stand_in: Renderer, clock: Clock) -> None:
        self._find = find
        self._stand_in = stand_in
        self._clock = clock
        self._painter: Renderer | None = None
        self._again_at = 0.0
        #: Why it failed the last time: the operator is told once, not at every picture.
        self._failed = ""

    @property
    def name(self) -> str:
        return (self._painter or self._stand_in).name

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        painter = self._there()
        if painter is None:
            return self._stand_in.render(wanted, progress)
        try:
            made = painter.render(wanted, progress)
        except (Stopped, TryAgain):
            raise
        except Exception as error:
            self._warn(painter, error)
            self._let_go()
            drawn = self._stand_in.render(wanted, progress)
            facts = {"instead_of": painter.name, "because": str(error)}
            return [replace(one, facts=one.facts | facts) for one in drawn]
        if self._failed:
            self._failed = ""
            log.info("picture_model_back", model=painter.name)
        return made

    def close(self) -> None:
        if self._painter is not None:
            self._painter.close()
        self._painter = None
        self._stand_in.close()

    def _there(self) -> Renderer | None:
        if self._painter is None and self._clock.monotonic() >= self._again_at:
            self._again_at = self._clock.monotonic() + LOOK_AGAIN
            self._painter = self._find()
        return self._painter

    def _let_go(self) -> None:
        """What failed is opened anew in a while: its file may have been mended, the memory be free again."""
        painter, self._painter = self._painter, None
        self._again_at = self._clock.monotonic() + LOOK_AGAIN
        if painter is not None:
            painter.close()

    def _warn(self, painter: Renderer, error: Exception) -> None:
        told = log.debug if self._failed == str(error) else log.warning
        self._failed = str(error)
        told("picture_model_failed", model=painter.name, cause=str(error))
