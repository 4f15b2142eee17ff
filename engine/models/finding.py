"""Language models on this machine's disk: where they are looked for, and which one is taken, and why, in words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.models.entries import catalogue
from engine.models.fitting import Fit, fits_file
from engine.models.gguf import is_gguf, is_writer
from engine.models.hardware import Machine

#: The order, as a person is told it.
PLACES = "the home's models/text/*/ and models/*/, then ./models/text/*/ and ./models/*/"
_PART = re.compile(r"(?P<whole>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")


@dataclass(frozen=True)
class Found:
    """One model on the disk; of a split one `path` is the first part, and `size` that of all."""

    path: Path
    name: str
    size: int
    #: A sentence that says where it was found.
    where: str


@dataclass(frozen=True)
class Choice:
    """Which model writes, or none; `reason` is a sentence for a person either way."""

    found: Found | None
    reason: str


def find_text(home: Path, here: Path, named: str = "") -> list[Found]:
    """Every GGUF that can write, in this order, and by name within one folder:

    the one that `named` is the path of; the home's `models/text/*/`, then `models/*/`; the same two below `here`.
    One file that can be reached on several ways counts where it is met first.
    """
    found: list[Found] = []
    seen: set[str] = set()
    for path, where in _places(home, here, named):
        real = os.path.realpath(path)  # which, other than Path.resolve, survives a loop
        if real not in seen and (model := _look(path, where)) is not None:
            seen.add(real)
            found.append(model)
    return found


def _places(home: Path, here: Path, named: str) -> Iterator[tuple[Path, str]]:
    if named and (path := as_path(named, here)) is not None:
        where = "The settings name this path."
        for file in _ggufs(path) if path.is_dir() else [_first_part(path)]:
            yield file, where
    for root, called in ((home, "the home's"), (here, "the current folder's")):
        for below in ("models/text", "models"):
            for folder in _folders(root / below):
                inside = folder.relative_to(root)
                for file in _ggufs(folder):
                    yield file, f"It is in {called} {inside.as_posix()}."


def as_path(named: str, here: Path) -> Path | None:
    try:
        path = here / Path(named).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, a user that is none, a zero byte
        return None


def _folders(folder: Path) -> list[Path]:
    return sorted((one for one in inside_of(folder) if _is_folder(one)), key=by_name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link into somewhere that we may not look into
        return False


def _ggufs(folder: Path) -> list[Path]:
    files = [one for one in inside_of(folder) if one.suffix.casefold() == ".gguf"]
    return sorted(
        (one for one in files if (part := _PART.fullmatch(one.stem)) is None or int(part["number"]) == 1),
        key=by_name,
    )


def inside_of(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if not one.name.startswith(".")]
    except OSError:  # not there, not ours to read, a loop of links
        return []


def by_name(path: Path) -> tuple[str, str]:
    return path.name.casefold(), path.name


def _first_part(path: Path) -> Path:
    """Whoever names the third part of a split model means the model."""
    part = _PART.fullmatch(path.stem)
    return path.with_stem(f"{part['whole']}-00001-of-{part['count']}") if part else path


def _look(path: Path, where: str) -> Found | None:
    if _why_not(path):
        return None
    parts = _parts(path)
    part = _PART.fullmatch(path.stem)
    return Found(path, part["whole"] if part else path.stem, sum(one.stat().st_size for one in parts), where)


def _parts(path: Path) -> list[Path]:
    part = _PART.fullmatch(path.stem)
    if part is None:
        return [path]
    count = part["count"]
    return [path.with_stem(f"{part['whole']}-{number:05}-of-{count}") for number in range(1, int(count) + 1)]


def _why_not(path: Path) -> str:
    """What keeps a file from being a model that writes; empty: nothing."""
    try:
        if not path.is_file():
            return "is not a file"
    except OSError:
        return "may not be looked at"
    if not os.access(path, os.R_OK):
        return "may not be read"
    if not is_gguf(path):
        return "is not a GGUF file"
    name = path.name.casefold()
    if name.startswith("mmproj") or not is_writer(path):
        return "is no language model, but a part or an adapter of one, or one for other work"
    missing = [one.name for one in _parts(path) if not one.is_file()]
    return f"is one of several parts, and {missing[0]} is missing" if missing else ""


def choose(found: Sequence[Found], named: str, memory: Machine) -> Choice:
    """The model to load. `named` may be a path, a file's name with or without .gguf, or a name of the catalogue."""
    if named:
        return _choose_named(found, named)
    if not found:
        return Choice(None, f"There is no language model here. Looked in {PLACES}. {_pull_something(memory)}")
    for model in found:
        fit = fits_file(model.size, memory)
        if fit is not Fit.NO:
            first = "the first that was found" if model is found[0] else "the first that fits in memory"
            return Choice(model, f"{model.name} is {first}. {model.where} It {fit.value}.")
    least = min(found, key=lambda model: model.size)
    return Choice(
        least,
        f"{least.name} is the smallest of {len(found)}, and none fits in memory: expect it to be very slow, or to "
        f"fail. {least.where} {_pull_something(memory)}",
    )


def _choose_named(found: Sequence[Found], named: str) -> Choice:
    for model in found:
        if _goes_by(model, named):
            return Choice(model, f"{model.name} is named in the settings. {model.where}")
    if (path := as_path(named, Path.cwd())) is not None:
        problem = _why_not(_first_part(path)) if not path.is_dir() else "has no language model in it"
        return Choice(
            None, f"{path} {problem or 'was not there when it was looked for'}. Name another model."
        )
    here = ", ".join(dict.fromkeys(model.name for model in found[:8]))
    there = f"There: {here}." if here else "None is there."
    entry = catalogue().get(named)
    mend = (
        f"`greenroom models pull {entry.id}` fetches it."
        if entry
        else "`greenroom models list` shows what can be had."
    )
    return Choice(None, f"“{named}” is not here. Looked for it as a path, and in {PLACES}. {there} {mend}")


def _goes_by(model: Found, named: str) -> bool:
    wanted = named.strip().casefold()
    names = {model.name, model.path.name, model.path.stem}
    entry = catalogue().get(named)
    if entry is not None:
        # By the folder that `pull` puts it in, or the file, wherever somebody put that.
        names |= {entry.id} if model.path.parent.name.casefold() == entry.id else set()
        return wanted in {name.casefold() for name in names} or model.path.name in entry.files
    if wanted in {name.casefold() for name in names}:
        return True
    if model.path.parent.name.casefold() == wanted and model.path.parent.parent.name == "text":
        return True  # pulled from elsewhere, and so called by its folder
    path = as_path(named, Path.cwd())
    if path is None:
        return False
    real = os.path.realpath(_first_part(path))
    return os.path.realpath(model.path) == real or os.path.realpath(model.path.parent) == real


def _pull_something(memory: Machine) -> str:
    from engine.models.fitting import recommended

    fitting = [entry.id for entry in recommended(memory) if entry.kind == "text"]
    return f"`greenroom models pull {fitting[0]}` fetches one that fits." if fitting else ""
