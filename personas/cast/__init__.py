"""The personas that ship. Each file here can be read, copied and changed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources

from personas.persona import Persona


def shipped_cast() -> Iterator[Persona]:
    """Everybody who ships, by slug."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    for file in sorted(files, key=lambda file: file.name):
        yield Persona.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
