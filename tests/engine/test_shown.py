"""Pictures that somebody shows, before a model looks at them: small, upright, and silent about themselves."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import BadRequest
from engine.pictures.shown import MOST_SIDE, as_shown
from tests.engine.shown_files import BLUE, HOSTILE, OWNER, RED, file_of, moving, of_a_camera, two_halves


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data), formats=("JPEG",))
    image.load()
    return image


def is_near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...]) -> bool:
    seen = image.getpixel(at)
    assert isinstance(seen, tuple)
    return all(abs(one - other) < 12 for one, other in zip(seen, colour, strict=True))


def shows_two_halves(image: Image.Image) -> bool:
    left, right = (image.width // 8, image.height // 2), (image.width * 7 // 8, image.height // 2)
    return is_near(image, left, RED) and is_near(image, right, BLUE)


def test_a_photo_is_scaled_down_turned_upright_and_says_nothing_of_who_took_it() -> None:
    photo = of_a_camera()
    assert OWNER.encode() in photo
    shown = as_shown(photo)
    image = opened(shown)
    assert image.size == (round(MOST_SIDE * 2 / 3), MOST_SIDE)
    assert is_near(image, (image.width // 2, 100), RED)
    assert is_near(image, (image.width // 2, image.height - 100), BLUE)
    assert dict(image.getexif()) == {}
    assert OWNER.encode() not in shown
    assert {"exif", "comment", "icc_profile"} & set(image.info) == set()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_small_picture_keeps_its_size(kind: str) -> None:
    image = opened(as_shown(file_of(two_halves(), kind)))
    assert image.size == (400, 200)
    assert shows_two_halves(image)


@pytest.mark.parametrize(
    ("mode", "kind"), [("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP"), ("YCbCr", "JPEG")]
)
@pytest.mark.parametrize("size", [(400, 200), (4_000, 2_000)])
def test_colours_are_the_same_however_they_were_kept(mode: str, kind: str, size: tuple[int, int]) -> None:
    image = opened(as_shown(file_of(two_halves(*size, mode=mode), kind)))
    assert max(image.size) == min(size[0], MOST_SIDE)
    assert image.mode == "RGB"
    assert shows_two_halves(image)


@pytest.mark.parametrize("size", [(400, 200), (4_000, 2_000)])
def test_greys_of_sixteen_bits_stay_greys(size: tuple[int, int]) -> None:
    deep = Image.new("I;16", size, 0x8000)
    image = opened(as_shown(file_of(deep, "PNG")))
    assert is_near(image, (10, 10), (128, 128, 128))


def test_black_and_white_and_grey_are_taken() -> None:
    for mode in ("1", "L", "LA"):
        image = opened(as_shown(file_of(Image.new("RGB", (50, 50), "white").convert(mode), "PNG")))
        assert is_near(image, (10, 10), (255, 255, 255))


def test_behind_what_is_clear_there_is_paper() -> None:
    clear = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    assert is_near(opened(as_shown(file_of(clear, "PNG"))), (150, 150), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_what_moves_the_first_picture_is_shown(kind: str) -> None:
    image = opened(as_shown(moving(kind)))
    assert getattr(image, "n_frames", 1) == 1
    assert shows_two_halves(image)


def test_a_line_stays_a_line() -> None:
    assert opened(as_shown(file_of(Image.new("RGB", (20_000, 1)), "PNG"))).size == (MOST_SIDE, 1)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("wrong", HOSTILE)
def test_what_cannot_be_shown_is_refused_in_a_sentence(wrong: str) -> None:
    data, told = HOSTILE[wrong]
    with pytest.raises(BadRequest, match=told):
        as_shown(data)


@given(st.data())
def test_a_damaged_file_is_shown_or_refused_and_does_no_harm(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(SMALL)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        shown = as_shown(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except BadRequest:
        return
    assert max(opened(shown).size) <= MOST_SIDE


SMALL = [file_of(two_halves(40, 20), kind) for kind in ("PNG", "JPEG", "WEBP")] + [of_a_camera(60, 40)]
