"""The stand-in picture: always there, always the same for the same wanted, never taken for the real thing."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from engine.pictures import PictureWanted, Preview, Rendered
from engine.pictures.compositions import CALLS, FAMILIES, OUTDOORS
from engine.pictures.lettering import LONGEST, Face, Lettering, cleaned
from engine.pictures.mood import Mood
from engine.pictures.placeholder import LABEL, PRINTS, SHORT_LABEL, Inks, Placeholder
from engine.pictures.sheet import Palette, Sheet, contrast, luminance
from engine.styles import load_styles
from personas.appearance import Scene
from personas.persona import Persona, PictureTaste

HOSTILE = [
    "",
    "x" * 100_000,
    "word " * 20_000,
    "🎭💃🏽👩‍👩‍👧",
    "\u202eمرحبا בעולם\u202c",
    "\x00\x07\x1b[31m\r\n\t",
    "\ud800 lone \udfff",
    "<b>bold</b><script>alert(1)</script> {{user}} {% x %} %s",
    "日本語のテキスト",
    "e\u0301" + "\u0300" * 500,
]

#: Made anew for each picture below would read the fonts a hundred times over.
PLACEHOLDER = Placeholder()


def wanted(
    request: str = "reading by the window at night",
    *,
    name: str = "Íris Vale",
    palette: tuple[str, ...] = ("#22333b", "#c6ac8f", "#eae0d5"),
    seed: int = 7,
    width: int = 256,
    height: int = 256,
    style: str = "photorealistic",
) -> PictureWanted:
    persona = Persona(slug="iris", name=name, picture=PictureTaste(palette=palette))
    return PictureWanted(Scene(persona, request), "a prompt", "a negative", seed, width, height, style)


def unheard(step: int, steps: int, preview: Preview | None = None) -> None:
    """Progress that nobody follows."""


def rendered(one: PictureWanted) -> Rendered:
    return PLACEHOLDER.render([one], unheard)[0]


def pixels(one: PictureWanted) -> bytes:
    return rendered(one).image.tobytes()


def test_the_picture_says_that_it_is_a_stand_in() -> None:
    picture = rendered(wanted())
    assert picture.stand_in
    assert (picture.model, picture.device) == ("placeholder", "cpu")
    assert picture.facts["label"] == LABEL
    assert picture.facts["composition"] in FAMILIES
    assert picture.image.mode == "RGB"


def test_the_same_wanted_gives_the_same_pixels_from_another_renderer() -> None:
    again = Placeholder().render([wanted()], unheard)[0]
    assert again.image.tobytes() == pixels(wanted())


def test_a_picture_does_not_depend_on_what_was_rendered_beside_it() -> None:
    batch = PLACEHOLDER.render([wanted(seed=1), wanted(seed=2)], unheard)
    assert [picture.image.tobytes() for picture in batch] == [pixels(wanted(seed=1)), pixels(wanted(seed=2))]


def test_different_seeds_give_visibly_different_pictures() -> None:
    images = [rendered(wanted("", seed=seed)).image for seed in range(6)]
    for one, other in pairwise(images):
        assert ImageStat.Stat(ImageChops.difference(one, other).convert("L")).mean[0] > 5


def test_seeds_reach_many_families_when_the_request_leaves_it_open() -> None:
    found = {rendered(wanted("", seed=seed, width=64, height=64)).facts["composition"] for seed in range(45)}
    assert len(found) >= 8


@pytest.mark.parametrize(
    ("request_", "family"),
    [
        ("sailing on the sea", "waves"),
        ("on stage at the theatre", "stage"),
        ("flowers in the garden", "stems"),
    ],
)
def test_words_of_the_request_choose_the_composition(request_: str, family: str) -> None:
    found = [
        rendered(wanted(request_, seed=seed, width=64, height=64)).facts["composition"] for seed in range(20)
    ]
    assert found.count(family) > 14


def test_night_is_darker_than_day() -> None:
    def light(hour: str) -> float:
        grey = rendered(
            wanted(f"hills mountains valley at {hour}", seed=3, width=128, height=128)
        ).image.convert("L")
        return float(ImageStat.Stat(grey.crop((20, 10, 108, 60))).mean[0])

    assert light("night") < light("noon") - 20


def test_light_and_weather_are_read_from_the_words() -> None:
    mood = Mood.of(frozenset({"rainy", "night"}), Random(1))
    assert mood.night
    assert mood.rain
    assert not mood.snow


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (64, 64),
        (64, 2048),
        (2048, 64),
        (256, 64),
        (65, 97),
        (256, 256),
        (320, 180),
        (832, 1216),
        (1, 1),
        (5, 300),
    ],
)
def test_any_size_comes_out_as_wanted(width: int, height: int) -> None:
    picture = rendered(wanted("a long walk along the river with an old friend", width=width, height=height))
    assert picture.image.size == (width, height)


@pytest.mark.parametrize("height", [64, 100, 256, 900])
@pytest.mark.parametrize("width", [256, 300, 700])
def test_the_label_is_there_whenever_the_picture_is_256_wide(width: int, height: int) -> None:
    assert rendered(wanted(width=width, height=height)).facts["label"].startswith(SHORT_LABEL)


@pytest.mark.parametrize("side", [64, 96, 128])
def test_even_a_thumbnail_says_stand_in(side: int) -> None:
    assert rendered(wanted(width=side, height=side)).facts["label"] == SHORT_LABEL


@pytest.mark.parametrize("request_", HOSTILE)
def test_hostile_requests_still_make_a_picture(request_: str) -> None:
    assert rendered(wanted(request_)).image.size == (256, 256)


@pytest.mark.parametrize("name", ["😀", "W" * 80, "Anna-" * 16, "נועה לוי", "李", ".", "\u0301"])
def test_hostile_names_still_make_a_picture(name: str) -> None:
    for width, height in ((300, 300), (400, 256), (128, 128)):
        assert rendered(wanted(name=name, width=width, height=height)).image.size == (width, height)


@pytest.mark.parametrize("style", ["", "nobody-knows-it", "\ud800", "x" * 5_000, *PRINTS])
def test_any_style_makes_a_picture(style: str) -> None:
    assert rendered(wanted(style=style, width=160, height=160)).stand_in


def test_every_print_belongs_to_a_style_that_ships() -> None:
    assert set(PRINTS) <= set(load_styles())


@settings(max_examples=40, deadline=None)
@given(
    request_=st.text(st.characters(exclude_categories=()), max_size=300),
    style=st.text(max_size=20),
    seed=st.integers(),
    width=st.integers(64, 150),
    height=st.integers(64, 150),
)
def test_nothing_anybody_writes_breaks_it(
    request_: str, style: str, seed: int, width: int, height: int
) -> None:
    picture = rendered(wanted(request_, seed=seed, width=width, height=height, style=style))
    assert picture.image.size == (width, height)


@settings(max_examples=120, deadline=None)
@given(
    colours=st.lists(st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}"), max_size=5),
    dark=st.booleans(),
    saturation=st.sampled_from((0.0, 0.8, 1.25)),
)
def test_every_word_on_the_card_can_be_read_in_any_palette(
    colours: list[str], dark: bool, saturation: float
) -> None:
    palette = Palette.of(colours, saturation=saturation)
    inks = Inks.of(palette, dark=dark)
    assert luminance(palette.ground) < luminance(palette.light)
    assert contrast(inks.on_strip, inks.strip) >= 4.5
    assert contrast(inks.ink, inks.paper) >= 7
    assert contrast(inks.quiet, inks.paper) >= 4.5


def test_progress_is_told_several_times_and_ends_at_the_whole() -> None:
    told: list[tuple[int, int]] = []
    PLACEHOLDER.render([wanted(seed=1), wanted(seed=2)], lambda *step: told.append(step[:2]))
    assert len(told) >= 8
    assert [step for step, _ in told] == sorted({step for step, _ in told})
    assert told[-1][0] == told[-1][1]


def test_raising_in_progress_ends_the_work() -> None:
    class Enough(Exception):
        pass

    told: list[int] = []

    def stop_at_the_second(step: int, steps: int, preview: Preview | None = None) -> None:
        told.append(step)
        if step == 2:
            raise Enough

    with pytest.raises(Enough):
        PLACEHOLDER.render([wanted(), wanted(seed=9)], stop_at_the_second)
    assert told == [1, 2]


def test_no_wanted_no_pictures() -> None:
    assert PLACEHOLDER.render([], unheard) == []


def test_it_can_be_closed_and_used_again() -> None:
    placeholder = Placeholder()
    placeholder.close()
    assert placeholder.render([wanted()], unheard)[0].image.tobytes() == pixels(wanted())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(1, 1), (40, 30), (30, 400), (400, 30)])
def test_every_family_fills_any_sheet(family: str, size: tuple[int, int]) -> None:
    palette = Palette.of(())
    sheet = Sheet(*size, palette.ground)
    FAMILIES[family](sheet, palette, Mood(night=True, dusk=False, rain=False, snow=False), Random(5))
    assert sheet.finished(*size).size == size


def test_every_family_has_words_that_call_for_it() -> None:
    assert set(CALLS) == set(FAMILIES)
    assert set(FAMILIES) >= OUTDOORS
    assert all(re.fullmatch(r"[a-z\s]+", words) for words in CALLS.values())


def test_a_line_is_elided_and_never_wider_than_its_room() -> None:
    lettering = Lettering()
    for text in ("one two three four five six seven eight nine ten " * 5, "w" * 400):
        for room in (40.0, 120.0, 500.0):
            block = lettering.block(text, Face.TEXT, 20, room, 3)
            assert 1 <= len(block.lines) <= 3
            assert block.width <= room
            assert block.lines[-1].endswith("…")


def test_a_text_that_fits_is_kept_whole() -> None:
    text = "by the window, with the last of the coffee"
    assert " ".join(Lettering().block(text, Face.TEXT, 20, 220, 3).lines) == text


def test_what_a_face_lacks_is_left_out_and_other_scripts_find_theirs() -> None:
    lettering = Lettering()
    assert lettering.readable("Ελένη и Łódź 😀 漢字", Face.DISPLAY) == ("Ελένη и Łódź", Face.DISPLAY)
    assert lettering.readable("נועה לוי", Face.DISPLAY) == ("נועה לוי", Face.EASTERN)


def test_cleaned_text_is_one_short_line() -> None:
    assert cleaned(" a\x00b\r\n\u202ec \ud800") == "a b c"
    assert len(cleaned("x" * 100_000)) == LONGEST


def test_a_larger_card_of_the_same_wanted_shows_the_same_composition() -> None:
    small, large = rendered(wanted()), rendered(replace(wanted(), width=512, height=512))
    assert small.facts == large.facts
    shrunk = large.image.resize((256, 256), Image.Resampling.BOX)
    assert ImageStat.Stat(ImageChops.difference(small.image, shrunk).convert("L")).mean[0] < 30
