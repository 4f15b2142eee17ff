"""Which picture model this house paints with: what the settings name, else the first that lies on the disk.

It decides and opens nothing; the libraries that do are imported with the first picture.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import structlog

from engine.pictures import Renderer
from engine.pictures.sdxl import finding
from engine.settings import Settings

log = structlog.get_logger(__name__)

NEEDED = ("torch", "diffusers", "compel")


def choice(settings: Settings) -> finding.Choice:
    """Which model, or none, and why: a sentence for a person either way."""
    if settings.pictures.models == "off":
        return finding.Choice(None, None, "The settings say `[pictures] models = off`.")
    named = settings.pictures.model
    here = Path.cwd()
    made = finding.choose(finding.find_pictures(settings.home, here, named), named, here)
    if made.found is not None and (lacking := [name for name in NEEDED if find_spec(name) is None]):
        return finding.Choice(
            None,
            None,
            f"{made.found.name} is there, but not what runs it ({', '.join(lacking)}): "
            "`make up EXTRAS=pictures` installs that.",
        )
    return made


def painter(settings: Settings) -> Callable[[], Renderer | None]:
    """Looks for a model each time it is called, and says in the log when what it finds has changed."""
    told = ""

    def find() -> Renderer | None:
        nonlocal told
        made = choice(settings)
        if made.reason != told:
            told = made.reason
            name = made.found.name if made.found else ""
            log.info("picture_model_chosen", model=name, reason=made.reason)
        if made.found is None:
            return None
        from engine.pictures.sdxl.renderer import Sdxl

        wishes = settings.pictures
        return Sdxl(
            made.found,
            made.refiner if wishes.refiner else None,
            device=wishes.device,
            scheduler=wishes.scheduler,
        )

    return find
