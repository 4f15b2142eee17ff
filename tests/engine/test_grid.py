"""Several pictures as one: each whole, each with its number, and never more than a platform takes."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from engine.pictures.faces import draw_face
from engine.pictures.grid import LARGEST, MOST_BYTES, MOST_SIDES, as_gallery, as_grid, as_jpeg
from engine.pictures.sheet import Colour
from personas.persona import Persona

INKS: list[Colour] = [(250, 250, 250), (5, 5, 5), (200, 40, 40), (40, 90, 200)]


def png(width: int, height: int, ink: Colour = (200, 40, 40)) -> bytes:
    return saved(Image.new("RGB", (width, height), ink))


def saved(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def noisy(width: int, height: int) -> bytes:
    return saved(Image.merge("RGB", [Image.effect_noise((width, height), 120) for _ in range(3)]))


def opened(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image.convert("RGB")


def test_one_picture_stays_as_it_is() -> None:
    assert as_grid([png(64, 64)]) == png(64, 64)


@pytest.mark.parametrize(
    ("count", "size", "columns", "rows"),
    [
        (2, (300, 400), 2, 1),
        (2, (400, 400), 2, 1),
        (2, (400, 300), 1, 2),
        (3, (400, 400), 2, 2),
        (4, (400, 300), 2, 2),
    ],
)
def test_pictures_stand_beside_or_above_each_other(
    count: int, size: tuple[int, int], columns: int, rows: int
) -> None:
    grid = opened(as_grid([png(*size)] * count))
    assert size[0] * columns <= grid.width <= size[0] * columns + 10
    assert size[1] * rows <= grid.height <= size[1] * rows + 10


def test_they_keep_their_order_and_their_colours() -> None:
    grid = opened(as_grid([png(200, 200, ink) for ink in INKS]))
    middles = [(100, 100), (304, 100), (100, 304), (304, 304)]
    for middle, ink in zip(middles, INKS, strict=True):
        assert near(grid.getpixel(middle), ink)


def near(seen: object, ink: Colour) -> bool:
    """To the eye the same, in a picture made for the eye."""
    return isinstance(seen, tuple) and max(abs(a - b) for a, b in zip(seen, ink, strict=True)) <= 2


def test_each_has_a_number_that_is_seen_on_snow_and_at_night() -> None:
    """In its corner there is something much darker than snow, and something much lighter than night."""
    grid = opened(as_grid([png(600, 600, ink) for ink in INKS]))
    for left, top in ((0, 0), (605, 0), (0, 605), (605, 605)):
        corner = grid.crop((left + 6, top + 6, left + 66, top + 66)).convert("L")
        low, high = corner.getextrema()
        assert isinstance(low, int)
        assert isinstance(high, int)
        assert low < 60
        assert high > 200
    plain = opened(as_grid([png(600, 600)] * 2))
    one, two = plain.crop((0, 0, 70, 70)), plain.crop((605, 0, 675, 70))
    assert sum(ImageStat.Stat(ImageChops.difference(one, two)).sum) > 0, "and they are not the same number"


def test_pictures_of_several_shapes_are_shown_whole() -> None:
    tall, wide = png(100, 400, (200, 40, 40)), png(400, 100, (40, 90, 200))
    grid = opened(as_grid([tall, wide]))
    found = [colour for _, colour in grid.getcolors(grid.width * grid.height) or []]
    assert all(any(near(colour, ink) for colour in found) for ink in ((200, 40, 40), (40, 90, 200)))


@pytest.mark.parametrize("count", [0, 5])
def test_none_and_five_make_no_grid(count: int) -> None:
    with pytest.raises(ValueError, match="no grid"):
        as_grid([png(8, 8)] * count)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 700), st.integers(1, 700)), min_size=2, max_size=4))
def test_any_sizes_make_a_grid(sizes: list[tuple[int, int]]) -> None:
    grid = opened(as_grid([png(*size) for size in sizes]))
    assert max(grid.size) <= LARGEST * 1.1


def test_a_grid_of_the_largest_and_noisiest_pictures_can_still_be_sent() -> None:
    grid = as_grid([noisy(2048, 2048)] * 4)
    assert len(grid) <= MOST_BYTES
    assert sum(opened(grid).size) <= MOST_SIDES


@pytest.mark.parametrize("most", [100_000, 60_000, 2_000])
def test_a_sight_of_too_many_bytes_is_made_to_fit(most: int) -> None:
    small = as_jpeg(opened(noisy(700, 700)), most)
    assert len(small) <= most
    assert opened(small)


FACE = draw_face(Persona(slug="ada", name="Ada"), 64)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 10, 37])
def test_a_gallery_holds_any_number_of_faces(count: int) -> None:
    gallery = opened(as_gallery([(f"Number {number}", FACE) for number in range(count)]))
    assert sum(gallery.size) <= MOST_SIDES
    assert gallery.width < gallery.height * 5


def test_beneath_a_face_is_its_name() -> None:
    assert as_gallery([("Ada", FACE)]) != as_gallery([("Bo", FACE)])
    assert as_gallery([("Ada", FACE)]) == as_gallery([("Ada", FACE)])


@settings(max_examples=15)
@given(st.text(max_size=300))
def test_any_name_can_be_written(name: str) -> None:
    assert as_gallery([(name, FACE), ("Ada", FACE)])
