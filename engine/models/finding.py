"""Language models on this machine's disk: where they are looked for, and which one is taken, and why, in words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.locales import Said, say
from engine.models.entries import catalogue
from engine.models.fitting import Fit, fits_file
from engine.models.gguf import is_gguf, is_writer
from engine.models.hardware import Machine

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
    return found_below(("models/text", "models"), home, here, named, lambda path, _: not _why_not(path))


def found_below(
    tops: Sequence[str], home: Path, here: Path, named: str, is_good: Callable[[Path, str], bool]
) -> list[Found]:
    """Every GGUF that is good for something: `is_good` is told the file, and below which of the tops it lies; empty:
    it was named.
    """
    found: list[Found] = []
    seen: set[str] = set()
    for path, where, top in _places(tops, home, here, named):
        real = os.path.realpath(path)  # which, other than Path.resolve, survives a loop
        if real not in seen and is_good(path, top):
            seen.add(real)
            found.append(_found_at(path, where))
    return found


def _places(tops: Sequence[str], home: Path, here: Path, named: str) -> Iterator[tuple[Path, str, str]]:
    if named and (path := as_path(named, here)) is not None:
        where = say("models.where.settings")
        for file in ggufs(path) if path.is_dir() else [first_part(path)]:
            yield file, where, ""
    for root in (home, here):
        for top in tops:
            for folder in folders(root / top):
                where = where_it_is(folder.relative_to(root).as_posix(), at_home=root is home)
                for file in ggufs(folder):
                    yield file, where, top


def where_it_is(folder: str, *, at_home: bool) -> Said:
    return say("models.where.home", folder=folder) if at_home else say("models.where.here", folder=folder)


def as_path(named: str, here: Path) -> Path | None:
    try:
        path = here / Path(named).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, a user that is none, a zero byte
        return None


def folders(folder: Path) -> list[Path]:
    return sorted((one for one in inside_of(folder) if _is_folder(one)), key=by_name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link into somewhere that we may not look into
        return False


def ggufs(folder: Path) -> list[Path]:
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


def first_part(path: Path) -> Path:
    """Whoever names the third part of a split model means the model."""
    part = _PART.fullmatch(path.stem)
    return path.with_stem(f"{part['whole']}-00001-of-{part['count']}") if part else path


def _found_at(path: Path, where: str) -> Found:
    """What lies there, whatever it is good for; all its parts are there."""
    part = _PART.fullmatch(path.stem)
    size = sum(one.stat().st_size for one in parts_of(path))
    return Found(path, part["whole"] if part else path.stem, size, where)


def parts_of(path: Path) -> list[Path]:
    part = _PART.fullmatch(path.stem)
    if part is None:
        return [path]
    count = part["count"]
    return [path.with_stem(f"{part['whole']}-{number:05}-of-{count}") for number in range(1, int(count) + 1)]


def _why_not(path: Path) -> str:
    """What keeps a file from being a model that writes; empty: nothing."""
    try:
        if not path.is_file():
            return say("models.words.problem.no_file")
    except OSError:
        return say("models.words.problem.not_looked_at")
    if not os.access(path, os.R_OK):
        return say("models.words.problem.not_read")
    if not is_gguf(path):
        return say("models.words.problem.no_gguf")
    name = path.name.casefold()
    if name.startswith("mmproj") or not is_writer(path):
        return say("models.words.problem.no_writer")
    missing = [one.name for one in parts_of(path) if not one.is_file()]
    return say("models.words.problem.in_parts", missing=missing[0]) if missing else ""


def choose(found: Sequence[Found], named: str, memory: Machine) -> Choice:
    """The model to load. `named` may be a path, a file's name with or without .gguf, or a name of the catalogue."""
    if named:
        return _choose_named(found, named)
    if not found:
        places = say("models.words.places")
        if pull := _fitting(memory):
            return Choice(None, say("models.words.none_and_pull", places=places, name=pull))
        return Choice(None, say("models.words.none", places=places))
    for model in found:
        fit = fits_file(model.size, memory)
        if fit is not Fit.NO:
            told = say("models.words.fit.gpu") if fit is Fit.GPU else say("models.words.fit.ram")
            facts = {"name": model.name, "where": model.where, "fit": told}
            if model is found[0]:
                return Choice(model, say("models.words.first", **facts))
            return Choice(model, say("models.words.first_fitting", **facts))
    least = min(found, key=lambda model: model.size)
    facts = {"name": least.name, "count": str(len(found)), "where": least.where}
    if pull := _fitting(memory):
        return Choice(least, say("models.words.smallest_and_pull", **facts, pull=pull))
    return Choice(least, say("models.words.smallest", **facts))


def _choose_named(found: Sequence[Found], named: str) -> Choice:
    for model in found:
        if _goes_by(model, named):
            return Choice(model, say("models.words.named", name=model.name, where=model.where))
    if (path := as_path(named, Path.cwd())) is not None:
        problem = say("models.words.problem.empty") if path.is_dir() else _why_not(first_part(path))
        problem = problem or say("models.words.problem.late")
        return Choice(None, say("models.words.wrong", path=path, problem=problem))
    entry = catalogue().get(named)
    mend = say("models.words.pull", name=entry.id) if entry else say("models.words.list")
    facts = {
        "places": say("models.words.places"),
        "there": there(model.name for model in found),
        "mend": mend,
    }
    return Choice(None, say("models.words.absent", name=named, **facts))


def there(names: Iterable[str]) -> Said:
    """Which models there are, as far as one wants to read that."""
    some = ", ".join(list(dict.fromkeys(names))[:8])
    return say("models.there.some", names=some) if some else say("models.there.none")


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
    return is_at(model, named)


def is_at(model: Found, named: str) -> bool:
    """Whether that is the path of its file, or of its folder."""
    path = as_path(named, Path.cwd())
    if path is None:
        return False
    real = os.path.realpath(first_part(path))
    return real in (os.path.realpath(model.path), os.path.realpath(model.path.parent))


def _fitting(memory: Machine) -> str:
    """The model of the catalogue that fits; empty: none does."""
    from engine.models.fitting import recommended

    return next((entry.id for entry in recommended(memory) if entry.kind == "text"), "")
