"""The catalogue, as `data/catalogue.toml` has it, and what may be pulled besides. It asks nobody."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any

from engine.errors import BadRequest, NotFound
from engine.locales import say

GB = 1_000_000_000
_REPO = re.compile(r"(?!.*\.\.)[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)
_NEEDED = ("kind", "title", "repo", "files", "size", "licence", "memory", "good_at")


class Kind(StrEnum):
    TEXT = "text"
    PICTURE = "picture"
    REFINER = "refiner"
    VAE = "vae"
    UPSCALER = "upscaler"
    ADAPTER = "adapter"
    VISION = "vision"
    EMBEDDING = "embedding"


@dataclass(frozen=True)
class Entry:
    """One model. `size` and `needs_memory` are bytes; 0 where nobody knows before the hub is asked."""

    id: str
    kind: Kind
    title: str
    repo: str
    #: Names, or patterns in which a * stays within its folder.
    files: tuple[str, ...]
    size: int = 0
    licence: str = ""
    needs_memory: int = 0
    good_at: str = ""
    #: The hub gives it only to who accepted its licence there.
    gated: bool = False
    #: Where it is offered by itself: `gpu`, `cpu`, `any`, or nowhere.
    offer: str = ""
    #: Fingerprints that are known beforehand, by file.
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """What `pull` takes for it; the title of what is not in the catalogue is just that."""
        return self.id if self.size else self.title


@dataclass(frozen=True)
class Catalogue:
    entries: tuple[Entry, ...]

    def get(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == name.strip().casefold()), None)

    def wanted(self, name: str) -> Entry:
        """What `pull` was asked for: an entry, or `owner/repository`, with `:file` if one file of it is meant."""
        entry = self.get(name)
        if entry is not None:
            return entry
        if "/" in name:
            return elsewhere(name)
        near = difflib.get_close_matches(name.casefold(), [entry.id for entry in self.entries], n=1)
        if near:
            raise NotFound(say("models.pull.unknown_near", name=name, near=near[0]))
        raise NotFound(say("models.pull.unknown", name=name))


def catalogue() -> Catalogue:
    return read(files("data").joinpath("catalogue.toml").read_text(encoding="utf-8"))


def read(text: str) -> Catalogue:
    """Raises ValueError, with a sentence that names the table and the key, for what cannot be used."""
    return Catalogue(tuple(_entry(name, table) for name, table in tomllib.loads(text).items()))


def _entry(name: str, table: Any) -> Entry:
    where = f"data/catalogue.toml: [{name}]"
    if not isinstance(table, dict) or not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise ValueError(f"{where} is not a model's table.")
    for key in _NEEDED:
        if key not in table:
            raise ValueError(f"{where} lacks `{key}`.")
    unknown = table.keys() - {*_NEEDED, "gated", "offer", "sha256"}
    if unknown:
        raise ValueError(f"{where} has a key that nobody knows: {min(unknown)}.")
    if table["kind"] not in set(Kind):
        raise ValueError(f"{where}: there is no kind “{table['kind']}”.")
    if not _REPO.fullmatch(table["repo"]):
        raise ValueError(f"{where}: “{table['repo']}” is not owner/repository.")
    return Entry(
        id=name,
        kind=Kind(table["kind"]),
        title=table["title"],
        repo=table["repo"],
        files=tuple(table["files"]),
        size=round(table["size"] * GB),
        licence=table["licence"],
        needs_memory=round(table["memory"] * GB),
        good_at=table["good_at"],
        gated=bool(table.get("gated", False)),
        offer=table.get("offer", ""),
        sha256=dict(table.get("sha256", {})),
    )


def elsewhere(reference: str) -> Entry:
    """`owner/repository`, or `owner/repository:file.gguf`. Without a file the hub's list decides which it is."""
    repo, _, file = reference.strip().partition(":")
    if not _REPO.fullmatch(repo):
        raise BadRequest(say("models.pull.no_repository", name=reference))
    if file and (file.startswith("/") or "\\" in file or ".." in file.split("/")):
        raise BadRequest(say("models.pull.no_file_name", name=file))
    picture = file.casefold().endswith(".safetensors")
    return Entry(
        id=_slug(file.rsplit("/", 1)[-1].rpartition(".")[0] or repo.partition("/")[2]),
        kind=Kind.PICTURE if picture else Kind.TEXT,
        title=reference,
        repo=repo,
        files=(file,) if file else (),
    )


def _slug(name: str) -> str:
    """A folder's name: a split model goes by its name without the numbers of its parts."""
    whole = re.sub(r"-\d{5}-of-\d{5}$", "", name)
    return re.sub(r"[^a-z0-9.]+", "-", whole.casefold()).strip("-.") or "model"
