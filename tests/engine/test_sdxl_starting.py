"""Pictures to begin from: whatever people send becomes an upright picture of the size that is wanted, or a reason."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from engine.errors import BadRequest
from engine.locales import locale_of
from engine.pictures.sdxl.starting import BEHIND, filled_up, fitted

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), BEHIND[:3]


def halves(size: tuple[int, int]) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def through_a_file(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(BytesIO(file.getvalue()))


def close(image: Image.Image, place: tuple[int, int], colour: tuple[int, ...], by: int = 3) -> bool:
    seen = image.getpixel(place)
    assert isinstance(seen, tuple)
    return all(abs(one - other) <= by for one, other in zip(seen, colour, strict=True))


@pytest.mark.parametrize("size", [(64, 64), (64, 32), (24, 96), (61, 70)])
@pytest.mark.parametrize("made", [(64, 64), (200, 50), (50, 200), (16, 16), (16, 2000)])
def test_its_middle_fills_the_size_that_is_wanted(size: tuple[int, int], made: tuple[int, int]) -> None:
    seen = fitted(halves(made), size)
    assert (seen.size, seen.mode) == (size, "RGB")
    assert close(seen, (0, size[1] // 2), RED, by=40)
    assert close(seen, (size[0] - 1, size[1] // 2), BLUE, by=40), (
        "as much is cut off on the left as on the right"
    )


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    image = halves((64, 48))
    assert fitted(image, (64, 48)).tobytes() == image.tobytes()


def test_a_photo_that_was_taken_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = fitted(through_a_file(halves((64, 32)), "JPEG", exif=exif, quality=95), (32, 64))
    assert close(seen, (16, 4), RED, by=8)
    assert close(seen, (16, 60), BLUE, by=8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_what_is_transparent_is_grey(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (32, 0, 64, 64))
    if mode == "P":
        # As GIFs have it: one of the colours stands for nothing.
        image = image.convert("RGB").convert("P")
        image.paste(7, (0, 0, 32, 64))
        image.info["transparency"] = 7
    elif mode != "RGBA":
        image = image.convert(mode)
    seen = fitted(image, (64, 64))
    assert close(seen, (4, 32), GREY)
    assert close(seen, (60, 32), (255, 255, 255))


def test_hidden_colours_do_not_bleed_into_what_is_seen() -> None:
    image = Image.new("RGBA", (256, 256), (255, 0, 0, 0))
    image.paste((128, 128, 128, 255), (128, 0, 256, 256))
    seen = fitted(image, (32, 32))
    assert all(close(seen, (x, 16), GREY) for x in range(32))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_a_grey_of_sixteen_bits_stays_that_grey(mode: str) -> None:
    seen = fitted(Image.new(mode, (32, 32), 32768), (32, 32))
    assert close(seen, (9, 9), (127, 127, 127))


@pytest.mark.parametrize(("value", "grey"), [(0.5, 127), (200.0, 200), (-5.0, 0)])
def test_numbers_with_a_point_are_read_by_how_large_they_are(value: float, grey: int) -> None:
    image = Image.new("F", (32, 32), value)
    image.putpixel((0, 0), 1.0 if value <= 1 else 255.0)
    assert close(fitted(image, (32, 32)), (20, 20), (grey,) * 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa"])
def test_colours_of_every_kind_are_read(mode: str) -> None:
    assert fitted(Image.new(mode, (32, 32)), (64, 64)).mode == "RGB"


def test_print_colours_become_those_of_a_screen() -> None:
    seen = fitted(through_a_file(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG"), (64, 64))
    assert close(seen, (30, 30), RED, by=40)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_counts(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE, GREY)]
    image = through_a_file(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    image.seek(2)
    assert close(fitted(image, (32, 32)), (9, 9), RED, by=8)


@pytest.mark.parametrize("size", [(15, 64), (64, 15), (1, 1)])
def test_a_picture_that_is_too_small_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(
        BadRequest, match=r"× \d+ pixels, which is too small: each side needs 16\. Send a larger"
    ):
        fitted(Image.new("RGB", size), (64, 64))


class Vast(Image.Image):
    """As large as it says, and read by nobody."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self._mode = "RGB"
        self._size = size

    def load(self) -> Any:
        raise AssertionError("it was decoded")


@pytest.mark.parametrize("size", [(16_385, 64), (64, 16_385), (8_001, 8_000)])
def test_a_picture_that_is_too_large_is_refused_before_it_is_read(size: tuple[int, int]) -> None:
    with pytest.raises(
        BadRequest, match=r"pixels, which is too large: a side may have 16384.* Send a smaller"
    ):
        fitted(Vast(size), (64, 64))


def test_the_largest_that_may_be_sent_is_taken() -> None:
    assert fitted(Image.new("L", (16_384, 3_900)), (64, 64)).size == (64, 64)


def test_a_file_that_ends_too_early_is_told() -> None:
    file = BytesIO()
    Image.effect_noise((256, 256), 90).save(file, "PNG")
    with pytest.raises(BadRequest, match="cannot be read: it is damaged"):
        fitted(Image.open(BytesIO(file.getvalue()[:20_000])), (64, 64))


def test_a_picture_of_broken_numbers_is_told() -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        fitted(Image.new("F", (32, 32), float("nan")), (32, 32))


def test_up_to_whole_squares_the_last_column_and_row_are_drawn_on() -> None:
    seen = filled_up(halves((61, 70)), (64, 72))
    assert seen.size == (64, 72)
    assert seen.crop((0, 0, 61, 70)).tobytes() == halves((61, 70)).tobytes()
    assert [seen.getpixel(place) for place in ((0, 71), (63, 71), (63, 0))] == [RED, BLUE, BLUE]


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (Image.new("RGB", (8, 64)), "hat 8 × 64 Pixel, und das ist zu klein: Jede Seite braucht 16."),
        (
            Image.new("1", (17_000, 16)),
            "hat 17000 × 16 Pixel, und das ist zu groß: Eine Seite darf 16384 haben",
        ),
    ],
)
def test_why_one_cannot_be_used_is_told_in_somebodys_own_language(start: Image.Image, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        fitted(start, (64, 64))
    assert told in locale_of("de").says(refused.value)
