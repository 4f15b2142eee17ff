"""Who paints: the picture model that lies on the disk, and the stand-in where there is none or it cannot.

It knows no model. What was drawn instead of a picture says in its facts what it stands for, and why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from engine.clock import Clock
from engine.errors import BadRequest, PictureFailed, Stopped, TryAgain
from engine.locales import Said
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered, Renderer
from engine.store import sentences

log = structlog.get_logger(__name__)

#: A model that was not there, or could not paint, is asked for again after so many seconds.
LOOK_AGAIN = 30.0

_FOLDERS = re.compile(r"(?:(?<![\w/])/|(?<!\w)[A-Za-z]:\\)(?:[^\s/\\\"']+[/\\])+")


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
        except (Stopped, TryAgain, BadRequest):
            raise  # it was given up, or asked for wrongly: no other painter could do that
        except Exception as error:
            self._warn(painter, error)
            if len(wanted) == 1:
                if not isinstance(error, PictureFailed):
                    self._let_go()
                return [self._stood_in(painter, wanted[0], error, progress)]
            return self._one_by_one(painter, wanted, _Way(progress))
        self._is_back(painter)
        return made

    def _one_by_one(self, painter: Renderer, wanted: Sequence[PictureWanted], way: _Way) -> list[Rendered]:
        """What failed together is tried apart, so that one picture spoils none of the others."""
        made: list[Rendered] = []
        failed = 0
        for place, one in enumerate(wanted):
            alone = way.of(place)
            try:
                made += painter.render([one], alone)
            except (Stopped, TryAgain, BadRequest):
                raise
            except Exception as error:
                self._warn(painter, error)
                failed += not isinstance(error, PictureFailed)
                made.append(self._stood_in(painter, one, error, alone))
        if failed == len(wanted):
            self._let_go()
        else:
            self._is_back(painter)
        return made

    def _stood_in(
        self, painter: Renderer, wanted: PictureWanted, error: Exception, progress: Progress
    ) -> Rendered:
        [drawn] = self._stand_in.render([wanted], progress)
        return replace(drawn, facts=drawn.facts | {"instead_of": painter.name} | _because(error))

    def _is_back(self, painter: Renderer) -> None:
        if self._failed:
            self._failed = ""
            log.info("picture_model_back", model=painter.name)

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        """The model's answer. One that fails at it will hardly paint: then the first goes alone, and shows why."""
        painter = self._there()
        if painter is None:
            return self._stand_in.company(wanted)
        try:
            return painter.company(wanted)
        except Exception as error:
            log.debug("company_unknown", model=painter.name, cause=str(error))
            return [0]

    def warm(self) -> bool:
        """A model that fails at it will say why to whoever wants a picture."""
        try:
            return self._painter is not None and self._painter.warm()
        except Exception as error:
            log.debug("picture_model_not_warmed", model=self.name, cause=str(error))
            return False

    def close(self) -> None:
        if self._painter is not None:
            self._painter.close()
        self._painter = None
        # Asked again after that, it is found again.
        self._again_at = 0.0
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


def _because(error: Exception) -> dict[str, Any]:
    """The English sentence; where it is one of the house, also what it takes to say it in another language."""
    words = error.args[0] if error.args else ""
    if not isinstance(words, Said):
        return {"because": str(error)}
    facts = json.loads(sentences.kept(words))["facts"]
    # Who asks for a picture need not know how this machine's folders are called.
    facts = {name: _FOLDERS.sub("", one) if isinstance(one, str) else one for name, one in facts.items()}
    return {"because": str(words), "because_key": words.key, "because_facts": facts}


class _Way:
    """How far a rendering is that is gone through once more, one after the other: it is not told backwards."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._furthest = 1

    def of(self, place: int) -> Progress:
        """While the picture at this place is made, that is what is to be seen, by nobody but who waits for it."""

        def told(step: int, steps: int, preview: Preview | None = None, /) -> None:
            self._furthest = max(self._furthest, step)
            seen = None if preview is None else Looks({place: preview})
            self._progress(self._furthest, max(self._furthest, steps), seen)

        return told
