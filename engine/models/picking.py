"""Which files of a repository are wanted, and where each lies in a model's folder. Pure: it sees lists of names."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from engine.errors import BadRequest, NotFound
from engine.locales import Said, say
from engine.models.entries import Entry, Kind
from engine.models.hub import PullFailed
from engine.models.promised import HubFile, Listing

#: Which of several files is meant by a repository alone, the first that there is: good, and half the size.
_USUAL = ("q4_k_m", "q4_k_s", "q5_k_m", "q4_0", "q8_0")
_SPLIT = re.compile(r"(?P<whole>.+)-\d{5}-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
#: Their files are looked for side by side, whatever folder the repository has them in.
_FLAT = {Kind.TEXT, Kind.VISION, Kind.EMBEDDING}


def _expected(entry: Entry, file: HubFile) -> HubFile:
    """What the catalogue knows of a file goes before what the hub says."""
    known = entry.sha256.get(file.name, "").casefold()
    if known and file.sha256 and known != file.sha256:
        raise PullFailed(
            f"{file.name} in {entry.repo} is no longer the file that the catalogue knows. Nothing was fetched; "
            f"a newer Greenroom may know it, and {entry.repo}:{file.name} pulls it as it is."
        )
    return HubFile(file.name, file.size, known or file.sha256, file.blob)


def chosen(entry: Entry, there: Listing) -> list[HubFile]:
    """The files that are wanted, of those that the repository has."""
    safe = [
        file for file in there.files if not file.name.startswith("/") and ".." not in file.name.split("/")
    ]
    if not entry.files:
        return _usual(entry, safe)
    wanted: dict[str, HubFile] = {}
    for pattern in entry.files:
        found = [file for file in safe if _matches(file.name, pattern)]
        if not found:
            raise NotFound(
                say("models.pull.no_such_file", repo=entry.repo, pattern=pattern, there=_there(safe))
            )
        for file in found:
            wanted |= {one.name: one for one in _with_its_parts(file, safe)}
    return [_expected(entry, file) for file in wanted.values()]


def _matches(name: str, pattern: str) -> bool:
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


def _usual(entry: Entry, files: list[HubFile]) -> list[HubFile]:
    """What is meant by a repository without a file: its only language model, or the usual one of several."""
    models = [
        file
        for file in files
        if file.name.casefold().endswith(".gguf") and "mmproj" not in file.name.casefold()
    ]
    first = [file for file in models if _SPLIT.fullmatch(file.name) is None or "-00001-of-" in file.name]
    for mark in _USUAL:
        if found := [file for file in first if mark in file.name.casefold()]:
            return _with_its_parts(found[0], files)
    if len(first) == 1:
        return _with_its_parts(first[0], files)
    raise BadRequest(say("models.pull.which_file", repo=entry.repo, there=_there(files)))


def _with_its_parts(file: HubFile, files: list[HubFile]) -> list[HubFile]:
    split = _SPLIT.fullmatch(file.name)
    if split is None:
        return [file]
    same = (split["whole"], split["count"])
    return [
        one
        for one in files
        if (other := _SPLIT.fullmatch(one.name)) and (other["whole"], other["count"]) == same
    ]


def _there(files: list[HubFile]) -> Said:
    weights = [file.name for file in files if file.name.casefold().endswith((".gguf", ".safetensors"))]
    shown = ", ".join(weights[:12]) + (", …" if len(weights) > 12 else "")
    return say("models.pull.has", names=shown) if weights else say("models.pull.has_none")


def place(kind: Kind, name: str) -> str:
    return name.rsplit("/", 1)[-1] if kind in _FLAT else name
