"""Faces: square, the same every time, told from one another, and small enough to be carried along."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from engine.pictures.faces import MEDAL, draw_face, fit_face
from engine.pictures.sheet import contrast
from personas.cast import shipped_cast
from personas.persona import Persona, PictureTaste

KIB_64 = 64 * 1024


def persona(name: str = "Íris Vale", **more: object) -> Persona:
    return Persona.model_validate({"slug": "iris", "name": name} | more)


def opened(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        return image.convert("RGB")


def png(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("side", [64, 128, 512])
def test_a_face_is_a_square_of_the_side_that_was_asked_for(side: int) -> None:
    assert opened(draw_face(persona(), side)).size == (side, side)


def test_the_same_persona_has_the_same_face() -> None:
    assert draw_face(persona(), 128) == draw_face(persona(description="Something new."), 128)


def test_no_two_of_the_cast_look_alike() -> None:
    faces = [opened(draw_face(one, 128)) for one in shipped_cast()]
    for one, other in combinations(faces, 2):
        assert sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) > 30


def test_the_initials_are_drawn_and_can_be_read() -> None:
    """On the medal there are exactly two tones far apart: what is written, and what it is written on."""
    for one in shipped_cast():
        face = opened(draw_face(one, 512))
        reach = round(512 * MEDAL * 0.6)
        middle = face.crop((256 - reach, 256 - reach // 2, 256 + reach, 256 + reach // 2))
        common = sorted(middle.getcolors(middle.width * middle.height) or [], reverse=True)
        field, ink = (colour for _, colour in common[:2])
        assert isinstance(field, tuple)
        assert isinstance(ink, tuple)
        assert contrast((field[0], field[1], field[2]), (ink[0], ink[1], ink[2])) >= 4.5, one.name


def test_the_initials_are_of_the_first_name_and_the_last() -> None:
    def letters(name: str) -> bytes:
        return draw_face(persona(name), 128)

    assert letters("Ada Byron") == letters("Anna van der Bloom")
    assert letters("Ada Byron") != letters("Bo Allen")
    assert letters("Ada") != letters("Ada Byron")


@settings(max_examples=15)
@given(
    st.text(min_size=1, max_size=40), st.lists(st.sampled_from(["#000000", "#ffffff", "#7f7f7f", "#00ff00"]))
)
def test_whatever_somebody_is_called_they_have_a_face(name: str, palette: list[str]) -> None:
    taste = PictureTaste(palette=tuple(palette))
    one = Persona.model_construct(slug="who", name=name, picture=taste, kind="", tags=(), occupation="")
    assert opened(draw_face(one, 32)).size == (32, 32)


@pytest.mark.parametrize("size", [(300, 300), (832, 1216), (1216, 832), (64, 2048), (50, 40)])
def test_a_picture_is_cut_to_a_square(size: tuple[int, int]) -> None:
    assert opened(fit_face(png(Image.new("RGB", size, (10, 90, 60))), 128)).size == (128, 128)


def test_of_a_tall_picture_the_upper_part_is_taken_and_of_a_wide_one_the_middle() -> None:
    tall = Image.new("RGB", (200, 600), (0, 0, 200))
    tall.paste((200, 0, 0), (0, 0, 200, 300))
    wide = Image.new("RGB", (600, 200), (0, 0, 200))
    wide.paste((200, 0, 0), (200, 0, 400, 200))
    for picture in (tall, wide):
        low, high = opened(fit_face(png(picture), 64)).getextrema()[0], (200, 200)
        assert low == high, "all of it is red"


def test_even_the_noisiest_face_is_small_enough_to_be_carried_along() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((900, 900), 120) for _ in range(3)])
    assert len(fit_face(png(noise), 128)) <= KIB_64
    assert len(fit_face(png(noise.resize((128, 128))), 128)) <= KIB_64


def test_a_picture_with_transparency_is_a_face_too() -> None:
    assert opened(fit_face(png(Image.new("RGBA", (90, 90), (9, 9, 9, 0))), 32)).mode == "RGB"
