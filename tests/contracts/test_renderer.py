"""Renderers: the same wanted, the same picture; each step told in order; and they stop when they are told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.errors import Stopped
from engine.pictures import Looks, PictureWanted, Preview, Renderer
from engine.pictures.apart import Apart
from engine.pictures.atelier import Atelier
from engine.pictures.painters import Painters
from engine.pictures.placeholder import Placeholder
from engine.pictures.review import Reviewed
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.judging import Verdict
from engine.pictures.sdxl.renderer import Sdxl
from engine.testing import FakeRenderer, ManualClock
from personas.appearance import Ledger, Scene
from personas.persona import Persona, Rating
from tests.models.sdxl import write_sdxl

ADA = Persona(slug="ada", name="Ada Quill", age=40)
WANTED = PictureWanted(
    scene=Scene(ADA, "on the roof at dusk", Ledger(), 7),
    prompt="a woman on a roof at dusk",
    negative="fog",
    seed=7,
    width=96,
    height=64,
    steps=4,
)
ATELIER = Atelier()


class Pleased:
    """A judge who finds everything suitable for everybody."""

    name = "pleased"

    def open(self) -> None:
        """There is nothing to make ready."""

    def verdicts(self, images: Sequence[Image.Image]) -> list[Verdict]:
        return [Verdict(Rating.ALL_AGES, "fine", 1.0) for _ in images]

    def close(self) -> None:
        """Nor anything to let go of."""


#: What is made once for all tests is asked of the request, by those who need it.
MAKERS: dict[str, Callable[[pytest.FixtureRequest], Renderer]] = {
    "placeholder": lambda _: Placeholder(),
    "apart": lambda _: Apart(ATELIER, large=0),
    "painters": lambda _: Painters(FakeRenderer, Placeholder(), ManualClock()),
    "painters without a model": lambda _: Painters(lambda: None, Placeholder(), ManualClock()),
    "fake": lambda _: FakeRenderer(),
    "reviewed": lambda _: Reviewed(FakeRenderer(), Pleased(), Placeholder()),
    # Random weights make nothing but noise, which is never delivered otherwise.
    "sdxl": lambda request: Sdxl(look(request.getfixturevalue("tiny_sdxl")), device="cpu", least_likeness=-1),
}


@pytest.fixture(autouse=True, scope="module")
def atelier() -> Iterator[None]:
    yield
    ATELIER.close()


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.set_num_threads(1)
    return write_sdxl(tmp_path_factory.mktemp("pictures") / "tiny")


@pytest.fixture(params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def renderer(kind: str, request: pytest.FixtureRequest) -> Iterator[Renderer]:
    renderer = MAKERS[kind](request)
    yield renderer
    renderer.close()


def quiet(_step: int, _steps: int, _preview: Preview | None = None) -> None: ...


def pixels(renderer: Renderer, *wanted: PictureWanted) -> list[bytes]:
    return [made.image.tobytes() for made in renderer.render(wanted, quiet)]


def test_it_has_a_name_and_signs_what_it_makes(renderer: Renderer) -> None:
    [made] = renderer.render([WANTED], quiet)
    assert renderer.name
    assert made.model
    assert made.device
    assert isinstance(made.facts, dict)


def test_the_same_wanted_is_the_same_picture(
    renderer: Renderer, kind: str, request: pytest.FixtureRequest
) -> None:
    [first] = pixels(renderer, WANTED)
    assert pixels(renderer, WANTED) == [first]
    with closing(MAKERS[kind](request)) as another:
        assert pixels(another, WANTED) == [first]


def test_another_seed_is_another_picture(renderer: Renderer) -> None:
    assert pixels(renderer, WANTED) != pixels(renderer, replace(WANTED, seed=8))


@pytest.mark.parametrize("size", [(64, 64), (64, 512), (512, 64), (832, 1216)])
def test_a_picture_has_the_size_that_was_asked_for(renderer: Renderer, size: tuple[int, int]) -> None:
    [made] = renderer.render([replace(WANTED, width=size[0], height=size[1])], quiet)
    assert made.image.size == size
    assert made.image.mode == "RGB"


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_steps_are_told_in_order_up_to_the_last(renderer: Renderer, steps: int) -> None:
    told: list[tuple[int, int]] = []
    renderer.render([replace(WANTED, steps=steps)], lambda *step: told.append(step[:2]))
    totals = {total for _, total in told}
    assert len(totals) == 1
    assert [step for step, _ in told] == list(range(1, totals.pop() + 1))


@pytest.mark.parametrize("at", [1, 2])
def test_raising_from_a_step_ends_it_there(renderer: Renderer, at: int) -> None:
    told: list[int] = []

    def stop(step: int, _steps: int, _preview: Preview | None = None) -> None:
        told.append(step)
        if step == at:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        renderer.render([WANTED], stop)
    assert told == list(range(1, at + 1))
    assert pixels(renderer, WANTED), "and the next picture is made"


def test_a_look_may_be_taken_after_each_step_and_changes_nothing(renderer: Renderer) -> None:
    looks: list[tuple[int, bytes]] = []

    def look(step: int, _steps: int, preview: Preview | None = None) -> None:
        if preview is not None:
            seen = preview()
            assert seen.mode == "RGB"
            looks.append((step, seen.tobytes()))

    big = replace(WANTED, width=1024, height=640)
    [made] = renderer.render([big], look)
    assert looks
    assert len({step for step, _ in looks}) == len(looks)
    assert all(len(seen) < len(made.image.tobytes()) / 4 for _, seen in looks), "a look is small"
    assert pixels(renderer, big) == [made.image.tobytes()]


def test_of_several_pictures_each_is_looked_at_by_itself(renderer: Renderer) -> None:
    """Whoever shares a pass sees their own: the same as if it were made alone."""
    wanted = [replace(WANTED, seed=seed) for seed in range(3)]
    seen: dict[int, Image.Image] = {}

    def look(_step: int, _steps: int, preview: Preview | None = None) -> None:
        assert isinstance(preview, Looks)
        assert preview().size
        seen.update({place: one() for place, one in preview.each.items()})

    renderer.render(wanted, look)
    together = dict(seen)
    assert set(together) == {0, 1, 2}
    assert len({image.tobytes() for image in together.values()}) == 3
    for place, one in enumerate(wanted):
        seen.clear()
        renderer.render([one], look)
        alone = seen[0]
        pairs = zip(together[place].tobytes(), alone.tobytes(), strict=True)
        assert max(abs(here - there) for here, there in pairs) <= 1


def test_several_at_once_keep_their_order(renderer: Renderer) -> None:
    wanted = [replace(WANTED, seed=seed, width=64 + 8 * seed) for seed in range(4)]
    together = pixels(renderer, *wanted)
    assert together == [pixels(renderer, one)[0] for one in wanted]
    assert renderer.render([], quiet) == []


@pytest.mark.parametrize("count", [1, 2, 9])
def test_company_is_the_first_and_whoever_goes_with_it_and_nothing_is_rendered(
    renderer: Renderer, count: int
) -> None:
    wanted = [replace(WANTED, seed=seed, width=(96, 64)[seed % 2]) for seed in range(count)]
    places = renderer.company(wanted)
    assert places[0] == 0
    assert places == sorted(set(places) & set(range(count))), "in their order, and none of them twice"
    assert {wanted[place].width for place in places} == {96}, "pictures of two sizes never share a pass"
    assert renderer.company(wanted) == places
    assert renderer.company([wanted[place] for place in places]) == list(range(len(places)))
    if isinstance(renderer, FakeRenderer):
        assert renderer.passes == []
    together = pixels(renderer, *(wanted[place] for place in places))
    for made, place in zip(together, places, strict=True):
        [alone] = pixels(renderer, wanted[place])
        assert max(abs(one - other) for one, other in zip(made, alone, strict=True)) <= 1


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": ""},
        {"prompt": "x" * 5_000, "negative": "y" * 5_000},
        {"style": "no-such-style"},
        {"seed": 2**32 - 1},
        {
            "scene": Scene(
                Persona(slug="x", name="\u200f👩‍👩‍👧" * 9), "{{x}} <b>%s</b> \u202e שלום", Ledger(), 0
            )
        },
    ],
)
def test_anything_that_can_be_asked_for_can_be_made(renderer: Renderer, changed: dict[str, Any]) -> None:
    assert len(pixels(renderer, replace(WANTED, **changed))) == 1


def test_a_stand_in_says_that_it_is_one() -> None:
    [made] = Placeholder().render([WANTED], quiet)
    assert made.stand_in


def test_it_can_be_closed_twice(renderer: Renderer) -> None:
    renderer.render([WANTED], quiet)
    renderer.close()
    renderer.close()
