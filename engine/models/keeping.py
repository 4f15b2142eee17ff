"""The models that are kept in the home: what each came from, whether it is still whole, what room it takes.

Beside each pulled model lies a small note. Nothing here asks the hub.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import NotFound, Refused, StoreError
from engine.locales import say
from engine.models.entries import Kind

NOTE = "greenroom-model.json"
#: Where what is not whole yet lies, inside a model's folder.
PARTS = ".parts"
_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class KeptFile:
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Kept:
    """A model in the home. One that somebody put there by hand has no repository, and no files that are known."""

    id: str
    kind: str
    folder: Path
    repo: str = ""
    revision: str = ""
    pulled_at: str = ""
    licence: str = ""
    files: tuple[KeptFile, ...] = ()

    @property
    def noted(self) -> bool:
        return bool(self.repo)


@dataclass(frozen=True)
class Check:
    """What `verify` found of one model: `problems` are sentences, and none means that it is whole."""

    kept: Kept
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Room:
    """Bytes of one model on the disk, and of what of it is not whole yet."""

    kept: Kept
    size: int
    unfinished: int


def models_folder(home: Path) -> Path:
    return home / "models"


def folder_of(home: Path, kind: Kind, name: str) -> Path:
    return models_folder(home) / kind.value / name


def installed(home: Path) -> list[Kept]:
    """All models in the home: by kind, then by name. What was begun and never finished is among them."""
    found = []
    for kind in Kind:
        for folder in _folders(models_folder(home) / kind.value):
            kept = read_note(folder) or Kept(folder.name, kind.value, folder)
            if kept.noted or any(_files(folder)):
                found.append(kept)
    return found


def read_note(folder: Path) -> Kept | None:
    """What the note of a folder says; None where there is none, or one that cannot be understood."""
    try:
        told = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        files = tuple(KeptFile(str(f["name"]), int(f["size"]), str(f["sha256"])) for f in told["files"])
        if any(PurePosixPath(file.name).is_absolute() or ".." in file.name.split("/") for file in files):
            return None
        texts = {key: str(told.get(key, "")) for key in ("repo", "revision", "pulled_at", "licence")}
        return Kept(str(told["id"]), str(told["kind"]), folder, files=files, **texts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(kept: Kept) -> None:
    told: dict[str, Any] = asdict(kept)
    del told["folder"]
    draft = kept.folder / f"{NOTE}.new"
    draft.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    draft.replace(kept.folder / NOTE)


def verify(
    home: Path, names: Collection[str] = (), *, told: Callable[[Kept, str, int, int], None] | None = None
) -> list[Check]:
    """Read every file of every pulled model, or of those named, and compare. It takes as long as the disk takes.

    `told` hears of each file, and how many of its bytes are read.
    """
    wanted = [find(home, name) for name in names] or installed(home)
    return [Check(kept, tuple(_problems(kept, told))) for kept in wanted]


def _problems(kept: Kept, told: Callable[[Kept, str, int, int], None] | None) -> Iterator[str]:
    if not kept.noted:
        unfinished = not any(PARTS not in file.relative_to(kept.folder).parts for file in _files(kept.folder))
        yield (
            f"It was never finished: `greenroom models pull {kept.id}` goes on."
            if unfinished
            else "It was not pulled by Greenroom, so there is nothing to compare it with."
        )
        return
    mend = f"`greenroom models pull {kept.id if not kept.repo else _reference(kept)}` fetches it again."
    for file in kept.files:
        path = kept.folder / file.name
        try:
            size = path.stat().st_size
            if size != file.size:
                yield f"{file.name} has {size:,} bytes instead of {file.size:,}. {mend}"
            elif _sha256(path, kept, file, told) != file.sha256:
                yield f"{file.name} is not what was pulled: its fingerprint is another. {mend}"
        except FileNotFoundError:
            yield f"{file.name} is missing. {mend}"
        except OSError as error:
            yield f"{file.name} cannot be read: {error.strerror}."


def _reference(kept: Kept) -> str:
    from engine.models.entries import catalogue

    if catalogue().get(kept.id) is not None:
        return kept.id
    return f"{kept.repo}:{kept.files[0].name}" if len(kept.files) == 1 else kept.repo


def _sha256(
    path: Path, kept: Kept, file: KeptFile, told: Callable[[Kept, str, int, int], None] | None
) -> str:
    seen, done = hashlib.sha256(), 0
    with path.open("rb") as opened:
        while block := opened.read(_BLOCK):
            seen.update(block)
            done += len(block)
            if told is not None:
                told(kept, file.name, done, file.size)
    return seen.hexdigest()


def find(home: Path, name: str) -> Kept:
    """A model of the home by its name, or by `kind/name`."""
    wanted = name.strip().strip("/").casefold()
    there = installed(home)
    found = [
        kept
        for kept in there
        if wanted in (kept.folder.name.casefold(), f"{kept.kind}/{kept.folder.name}".casefold())
    ]
    if len(found) > 1:
        either = ", ".join(f"{kept.kind}/{kept.folder.name}" for kept in found)
        raise NotFound(say("models.kept.ambiguous", name=name, either=either))
    if not found:
        if not there:
            raise NotFound(say("models.kept.none", name=name))
        listed = ", ".join(kept.folder.name for kept in there)
        raise NotFound(say("models.kept.unknown", name=name, names=listed))
    return found[0]


def remove(home: Path, name: str) -> Room:
    """Delete a model with all that lies in its folder; answers what that was. A link goes, what it leads to stays."""
    kept = find(home, name)
    room = _room(kept)
    try:
        if kept.folder.is_symlink():
            kept.folder.unlink()
            return Room(kept, 0, 0)
        shutil.rmtree(kept.folder)
    except PermissionError as error:
        raise Refused(say("models.kept.not_deleted", path=error.filename, why=error.strerror)) from None
    except OSError as error:
        raise StoreError(say("models.kept.not_whole", path=kept.folder, why=error.strerror)) from None
    return room


def disk(home: Path) -> list[Room]:
    """What each model takes, the largest first."""
    return sorted((_room(kept) for kept in installed(home)), key=lambda room: -(room.size + room.unfinished))


def _room(kept: Kept) -> Room:
    whole = parts = 0
    for file in _files(kept.folder):
        size = file.lstat().st_size
        if PARTS in file.relative_to(kept.folder).parts:
            parts += size
        else:
            whole += size
    return Room(kept, whole, parts)


def _files(folder: Path) -> Iterator[Path]:
    for one in folder.rglob("*"):  # which does not follow links to folders
        if one.is_file() or one.is_symlink():
            yield one


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return []
