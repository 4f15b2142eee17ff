"""A small picture that is wanted of real models; by how much two of them differ, and what a file says of itself."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops

from engine.pictures import PictureWanted, Preview, Rendered, Renderer
from personas.appearance import Ledger, Scene
from personas.persona import Persona

ON_A_BRIDGE = PictureWanted(
    scene=Scene(Persona(slug="ada", name="Ada Quill", age=40), "on a bridge", Ledger(), 7),
    prompt="a woman on a bridge at night",
    negative="fog",
    seed=7,
    width=64,
    height=64,
    steps=2,
)


def quiet(_step: int, _steps: int, _preview: Preview | None = None) -> None: ...


def one(renderer: Renderer, *, of: PictureWanted = ON_A_BRIDGE, **wanted: Any) -> Rendered:
    """A picture by a renderer, with what is wanted otherwise."""
    [made] = renderer.render([replace(of, **wanted)], quiet)
    return made


def apart(first: Image.Image, second: Image.Image) -> int:
    """By how much the two differ where they differ most."""
    bands = ImageChops.difference(first, second).split()
    return max(int(value) for band in bands for value in band.tobytes())


def told_by(png: bytes) -> dict[str, str]:
    """What stands in a file's text chunks, by their names."""
    with Image.open(BytesIO(png), formats=("PNG",)) as image:
        image.load()
        return {str(name): text for name, text in image.info.items() if isinstance(text, str)}
