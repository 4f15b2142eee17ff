"""Models that turn texts into vectors, on this machine's disk: where they are looked for, and which one is taken."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine.locales import say
from engine.models.entries import Kind, catalogue
from engine.models.finding import Choice, Found, found_below, is_at, parts_of, there
from engine.models.gguf import is_gguf, is_measure


def find_measures(home: Path, here: Path, named: str = "") -> list[Found]:
    """Every GGUF for embeddings, in the order in which those are found that write:

    the one that `named` is the path of; the home's `models/embedding/*/`, then `models/*/`; the same below `here`.
    Whoever names a path, or puts a model where those for embeddings lie, means it; elsewhere its file has to say so.
    """
    tops = ("models/embedding", "models")
    return found_below(tops, home, here, named, lambda path, top: _can(path, likely=top != "models"))


def choose_measure(found: Sequence[Found], named: str) -> Choice:
    """The model to load. `named` may be a path, a file's name with or without .gguf, or a name of the catalogue."""
    places = say("embeddings.places")
    if named:
        chosen = next((one for one in found if goes_by(one, named) or is_at(one, named)), None)
        if chosen is not None:
            return Choice(chosen, say("embeddings.named", name=chosen.name, where=chosen.where))
        names = there(one.name for one in found)
        return Choice(None, say("embeddings.absent", name=named, places=places, there=names))
    if found:
        return Choice(found[0], say("embeddings.first", name=found[0].name, where=found[0].where))
    pull = next((one.id for one in catalogue().entries if one.kind is Kind.EMBEDDING), "")
    return Choice(None, say("embeddings.none", places=places, name=pull))


def goes_by(found: Found, name: str) -> bool:
    """Whether somebody who says this means that model. The disk is not looked at."""
    names = {found.name, found.path.name, found.path.stem}
    if found.path.parent.parent.name == Kind.EMBEDDING:
        names.add(found.path.parent.name)  # which is what the catalogue calls it
    return name.strip().casefold() in {one.casefold() for one in names}


def _can(path: Path, *, likely: bool) -> bool:
    try:
        whole = all(one.is_file() for one in parts_of(path))
    except OSError:  # a folder that we may not look into
        return False
    if not whole or path.name.casefold().startswith("mmproj"):
        return False
    return os.access(path, os.R_OK) and is_gguf(path) and is_measure(path, likely=likely)
