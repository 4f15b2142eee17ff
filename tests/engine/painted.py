"""A small picture that is wanted of real models, and by how much two that came of it differ."""

from __future__ import annotations

from PIL import Image, ImageChops

from engine.pictures import PictureWanted, Preview
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


def apart(first: Image.Image, second: Image.Image) -> int:
    """By how much the two differ where they differ most."""
    bands = ImageChops.difference(first, second).split()
    return max(int(value) for band in bands for value in band.tobytes())
