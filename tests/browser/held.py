"""A renderer that holds still in the middle of a picture, so that somebody can look at the line meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from engine.pictures import PictureWanted, Progress, Rendered
from engine.testing import FakeRenderer


class Held(FakeRenderer):
    """Makes its first step, and goes on when it may."""

    at_once = 1

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        progress(1, 3, None)
        self.may.wait()
        return super().render(wanted, progress)
