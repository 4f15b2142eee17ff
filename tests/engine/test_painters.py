"""Who paints: a model where there is one, and the stand-in where it cannot; and that this is said once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from engine.errors import RenderFailed, Stopped, TryAgain
from engine.pictures import PictureWanted, Preview, Progress, Rendered, Renderer
from engine.pictures.painters import LOOK_AGAIN, Painters
from engine.pictures.placeholder import Placeholder
from engine.testing import FakeRenderer, ManualClock
from personas.appearance import Scene
from personas.persona import Persona

WANTED = PictureWanted(Scene(Persona(slug="ada", name="Ada"), "a lamp"), "a lamp", "", 7, 64, 64)


class Moody(FakeRenderer):
    """Paints, unless something keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Exception | None = None
        self.closed = 0

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        if self.trouble:
            raise self.trouble
        return super().render(wanted, progress)

    def close(self) -> None:
        self.closed += 1


def unheard(_step: int, _steps: int, _preview: Preview | None = None) -> None: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def painters(moody: Moody, clock: ManualClock) -> Painters:
    return Painters(lambda: moody, Placeholder(), clock)


def drawn_by(painters: Painters) -> Rendered:
    [made] = painters.render([WANTED], unheard)
    return made


def test_the_model_paints_where_there_is_one(painters: Painters) -> None:
    assert not drawn_by(painters).stand_in
    assert painters.name == FakeRenderer().name


async def test_without_a_model_the_stand_in_is_drawn_and_a_model_that_came_is_found(
    clock: ManualClock,
) -> None:
    there: list[Renderer] = []
    looks: list[int] = []

    def find() -> Renderer | None:
        looks.append(1)
        return there[0] if there else None

    painters = Painters(find, Placeholder(), clock)
    assert drawn_by(painters).stand_in
    there.append(FakeRenderer())
    assert drawn_by(painters).stand_in, "it is not looked for at every picture"
    assert len(looks) == 1
    await clock.advance(LOOK_AGAIN)
    assert not drawn_by(painters).stand_in


async def test_a_model_that_fails_is_stood_in_for_which_is_said_once_and_asked_again_later(
    painters: Painters, moody: Moody, clock: ManualClock
) -> None:
    drawn_by(painters)
    moody.trouble = RenderFailed("The memory of the GPU is full.")
    with capture_logs() as told:
        for _ in range(3):
            made = drawn_by(painters)
            assert made.stand_in
            await clock.advance(LOOK_AGAIN)
    assert made.facts["because"] == "The memory of the GPU is full."
    assert made.facts["instead_of"] == moody.name
    assert [one["log_level"] for one in told if one["event"] == "picture_model_failed"] == [
        "warning",
        "debug",
        "debug",
    ]
    assert moody.closed == 3, "what it holds is let go of each time"
    moody.trouble = None
    with capture_logs() as told:
        assert not drawn_by(painters).stand_in
    assert [one["event"] for one in told] == ["picture_model_back"]


@pytest.mark.parametrize("trouble", [Stopped("enough"), TryAgain("in a moment")])
def test_what_is_no_failure_of_the_model_is_no_reason_to_stand_in(
    painters: Painters, moody: Moody, trouble: Exception
) -> None:
    moody.trouble = trouble
    with pytest.raises(type(trouble)):
        drawn_by(painters)
    moody.trouble = None
    assert not drawn_by(painters).stand_in


def test_it_closes_what_it_opened(painters: Painters, moody: Moody) -> None:
    drawn_by(painters)
    painters.close()
    painters.close()
    assert moody.closed == 1
