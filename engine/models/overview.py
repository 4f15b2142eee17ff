"""The models at a glance: what the catalogue has, what of it is here, what fits this machine, which one is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.locales import say
from engine.models.entries import Entry, catalogue
from engine.models.finding import Choice, choose, find_text
from engine.models.fitting import Fit, fits, fits_file, recommended
from engine.models.hardware import Machine
from engine.models.keeping import PARTS, Kept, installed
from engine.models.measures import choose_measure, find_measures
from engine.models.pulling import Newer
from engine.settings import Settings


@dataclass(frozen=True)
class Row:
    """One model: of the catalogue, of the home, or both."""

    id: str
    kind: str
    title: str
    size: int
    repo: str = ""
    licence: str = ""
    good_at: str = ""
    needs_memory: int = 0
    gated: bool = False
    #: It is offered to this machine by itself.
    offered: bool = False
    #: `fits on gpu`, …; empty: nobody knows.
    fits: str = ""
    installed: bool = True
    in_use: bool = False
    folder: str = ""
    #: The revision that the hub has newer files of, or what kept it from being asked.
    update: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Overview:
    #: The file of the language model that is in use, and why it is that one or none.
    in_use: Path | None
    reason: str
    machine: Machine
    rows: tuple[Row, ...]

    def told(self) -> dict[str, Any]:
        """As other programs see it."""
        here = self.machine
        return {
            "in_use": str(self.in_use) if self.in_use else None,
            "reason": self.reason,
            "machine": {"ram": here.ram_bytes, "gpu": here.gpu_bytes, "gpu_name": here.gpu_name},
            "models": [asdict(row) for row in self.rows],
        }


def overview(settings: Settings, here: Machine, fresh: Sequence[Newer] = ()) -> Overview:
    """`fresh`: what the hub has newer files of. It reads folders, and asks nobody."""
    wanted = settings.language
    found = find_text(settings.home, Path.cwd(), wanted.model)
    choice = choose(found, wanted.model, here)
    if wanted.models == "off":
        choice = Choice(None, say("models.words.off"))
    in_use = choice.found.path if choice.found else None
    kept = {f"{one.kind}/{one.folder.name}": one for one in installed(settings.home)}
    offered = {entry.id for entry in recommended(here)}
    rows = []
    for entry in catalogue().entries:
        mine = kept.pop(f"{entry.kind}/{entry.id}", None)
        rows.append(_of_entry(entry, fits(entry, here), mine, offered=entry.id in offered))
    rows += [_of_kept(one) for one in kept.values()]
    places = {Path(row.folder): place for place, row in enumerate(rows) if row.folder}
    for model in found:
        place = places.get(model.path.parent)
        if place is None:
            place = len(rows)
            rows.append(Row(model.name, "text", model.path.stem, model.size, folder=str(model.path.parent)))
        row = rows[place]
        rows[place] = replace(
            row,
            fits=row.fits or fits_file(model.size, here).value,
            in_use=row.in_use or model.path == in_use,
        )
    measures = find_measures(settings.home, Path.cwd(), wanted.embeddings)
    measure = choose_measure(measures, wanted.embeddings).found if wanted.models != "off" else None
    for model in measures:
        place = places.get(model.path.parent)
        if place is None:
            place = len(rows)
            rows.append(
                Row(model.name, "embedding", model.path.stem, model.size, folder=str(model.path.parent))
            )
        row = rows[place]
        rows[place] = replace(
            row,
            fits=row.fits or fits_file(model.size, here).value,
            in_use=row.in_use or model == measure,
        )
    news = {str(one.kept.folder): one for one in fresh}
    for place, row in enumerate(rows):
        if row.folder and (one := news.get(row.folder)):
            rows[place] = replace(row, update=one.revision, problem=one.problem)
    return Overview(in_use, choice.reason, here, tuple(rows))


def _of_entry(entry: Entry, fit: Fit, kept: Kept | None, *, offered: bool) -> Row:
    size = sum(file.size for file in kept.files) if kept and kept.files else entry.size
    return Row(
        entry.id,
        entry.kind.value,
        entry.title,
        size,
        repo=entry.repo,
        licence=entry.licence,
        good_at=entry.good_at,
        needs_memory=entry.needs_memory,
        gated=entry.gated,
        fits=fit.value,
        offered=offered,
        installed=kept is not None and _whole(kept),
        folder=str(kept.folder) if kept else "",
    )


def _of_kept(kept: Kept) -> Row:
    return Row(
        kept.folder.name,
        kept.kind,
        kept.repo,
        sum(file.size for file in kept.files),
        repo=kept.repo,
        licence=kept.licence,
        installed=_whole(kept),
        folder=str(kept.folder),
    )


def _whole(kept: Kept) -> bool:
    """Pulled to its end, or put there by hand; not a part that waits for the next pull."""
    return kept.noted or any(one.name != PARTS for one in kept.folder.iterdir())
