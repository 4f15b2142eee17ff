"""Which picture model this house paints with: what the settings name, else the first that lies on the disk; and
what looks at its pictures before anybody else does.

It decides and opens nothing; the libraries that do are imported with the first picture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import structlog

from engine.broker import Share
from engine.errors import BadRequest
from engine.locales import Said, say
from engine.pictures import Lora, Renderer
from engine.pictures.loras_told import settled
from engine.pictures.sdxl import finding, judging
from engine.pictures.sdxl.loras_found import FoundLora, find_loras
from engine.pictures.sdxl.loras_named import Rack, as_told
from engine.settings import Settings

log = structlog.get_logger(__name__)

NEEDED = ("torch", "diffusers", "compel")
CHECK_NEEDED = ("torch", "diffusers", "transformers")

#: `BadRequest` where the picture could not be made with what somebody named, or with all that it is to wear.
LorasChecked = Callable[[Sequence[Lora], Sequence[Lora]], None]


def there(settings: Settings) -> finding.Choice:
    """Which model lies here to be used, or none, and why: whether anything here runs it is another question."""
    if settings.pictures.models == "off":
        return finding.Choice(None, None, say("models.pictures.off"))
    wishes, here = settings.pictures, Path.cwd()
    found = finding.find_pictures(settings.home, here, wishes.model, pickles=wishes.pickles)
    return finding.choose(found, wishes.model, here, pickles=wishes.pickles)


def choice(settings: Settings) -> finding.Choice:
    """Which model, or none, and why: a sentence for a person either way."""
    made = there(settings)
    if made.found is not None and (lacking := [name for name in NEEDED if find_spec(name) is None]):
        return finding.Choice(None, None, _lacking(made.found.name, lacking))
    return made


def checker(settings: Settings) -> judging.CheckerChoice:
    """What looks at each picture, or nothing, and why: a sentence for a person either way."""
    if settings.pictures.check == "off":
        return judging.CheckerChoice(None, say("models.pictures.check_off"))
    made = judging.find_checker(settings.home, Path.cwd())
    lacking = [name for name in CHECK_NEEDED if find_spec(name) is None]
    if made.found is not None and lacking:
        return judging.CheckerChoice(None, _lacking(made.found.name, lacking), refused=True)
    return made


def _lacking(name: str, what: Sequence[str]) -> Said:
    return say("models.pictures.lacking", name=name, lacking=", ".join(what))


def loras_checked(settings: Settings) -> LorasChecked:
    """Looks at the disk each time it is called for what it does not know, and is nothing for the loop."""
    racks: dict[finding.Kind, Rack] = {}

    def check(named: Sequence[Lora], worn: Sequence[Lora]) -> None:
        as_told(named)
        found = choice(settings).found
        if found is not None:
            racks.setdefault(found.kind, Rack(_loras(settings), found.kind)).check(worn)
        elif wanted := settled(named):
            # A persona's own LoRA is no reason to draw nothing; whoever names one wants to see it.
            raise BadRequest(say("pictures.lora.no_model", name=wanted[0].name))

    return check


def loras_there(settings: Settings) -> list[FoundLora]:
    """Those on the disk that the model which paints can wear; where none does, all that are sound. It reads files."""
    found = choice(settings).found
    there = find_loras(settings.home, Path.cwd(), pickles=settings.pictures.pickles)
    return [one for one in there if found is None or one.base in (found.kind, "unknown")]


def painter(
    settings: Settings, stand_in: Renderer | None = None, memory: Share | None = None
) -> Callable[[], Renderer | None]:
    """Looks for a model each time it is called, and says in the log when what it finds has changed.

    `stand_in` draws in place of a picture that may not be shown; `memory` is the pictures' share of the GPU.
    """
    told = told_of_check = ""

    def find() -> Renderer | None:
        nonlocal told, told_of_check
        made = choice(settings)
        if made.reason != told:
            told = made.reason
            name = made.found.name if made.found else ""
            log.info("picture_model_chosen", model=name, reason=made.reason)
        if made.found is None:
            return None
        from engine.pictures.sdxl.loras import Loras
        from engine.pictures.sdxl.renderer import Sdxl

        wishes = settings.pictures
        sdxl = Sdxl(
            made.found,
            made.refiner if wishes.refiner else None,
            device=wishes.device,
            scheduler=wishes.scheduler,
            vram=wishes.vram,
            loras=Loras(_loras(settings), made.found.kind),
            memory=memory,
            threads=wishes.threads or max(1, (os.cpu_count() or 2) // 2),
        )
        looks = checker(settings)
        if looks.reason != told_of_check:
            told_of_check = looks.reason
            if looks.found is None:
                log.warning("picture_check_off", reason=looks.reason)
            else:
                log.info("picture_check_on", checker=looks.found.name, reason=looks.reason)
        if looks.found is None and not looks.refused:
            return sdxl
        from engine.pictures.placeholder import Placeholder
        from engine.pictures.review import Absent, Reviewed

        # On the processor: the memory of the GPU is for those who paint and write. Whoever put a checker there takes
        # the check for on: where it will not do, nothing is shown unchecked.
        judge = Absent(looks.reason) if looks.found is None else judging.Checker(looks.found)
        return Reviewed(sdxl, judge, stand_in or Placeholder())

    return find


def _loras(settings: Settings) -> Callable[[], list[FoundLora]]:
    """Looks for all that lie on the disk, and for what is wrong with those that will not do."""
    pickles = settings.pictures.pickles
    return partial(find_loras, settings.home, Path.cwd(), unusable=True, pickles=pickles)
