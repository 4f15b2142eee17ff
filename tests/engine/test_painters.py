"""Who paints: a model where there is one, and the stand-in where it cannot; and that this is said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from engine.errors import BadRequest, PictureFailed, RenderFailed, Stopped, TryAgain
from engine.locales import say
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered, Renderer
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


def test_a_failure_that_can_be_told_in_every_language_is_kept_so(painters: Painters, moody: Moody) -> None:
    moody.trouble = PictureFailed(
        say("pictures.not_loaded", model="Lamp", why="no /srv/my/m.bin, C:\\my\\n.bin")
    )
    facts = drawn_by(painters).facts
    assert facts["because"] == str(moody.trouble)
    assert facts["because_key"] == "pictures.not_loaded"
    assert facts["because_facts"] == {"model": "Lamp", "why": "no m.bin, n.bin"}, (
        "folders are nobody's business"
    )
    moody.trouble = PictureFailed("odd")
    assert drawn_by(painters).facts.keys() & {"because", "because_key"} == {"because"}


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


def test_one_picture_that_fails_spoils_none_of_the_others(clock: ManualClock) -> None:
    class Picky(Moody):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            if any(one.seed == 8 for one in wanted):
                raise RenderFailed("Not this seed.")
            return super().render(wanted, progress)

    picky, steps = Picky(), []

    def heard(step: int, _steps: int, _preview: Preview | None = None) -> None:
        steps.append(step)

    painters = Painters(lambda: picky, Placeholder(), clock)
    made = painters.render([replace(WANTED, seed=seed) for seed in (7, 8, 9)], heard)
    assert [one.stand_in for one in made] == [False, True, False]
    assert made[1].facts["because"] == "Not this seed."
    assert steps == sorted(steps)
    assert picky.closed == 0, "a model that painted the others stays"


def test_pictures_that_are_tried_one_by_one_can_be_looked_at_each_by_who_waits_for_it(
    clock: ManualClock,
) -> None:
    class Apart(FakeRenderer):
        """Cannot make two at once, nor the one with the seed 8."""

        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            if len(wanted) > 1 or wanted[0].seed == 8:
                raise RenderFailed("Not these.")
            return super().render(wanted, progress)

    seen: dict[int, list[bytes]] = {}

    def heard(_step: int, _steps: int, preview: Preview | None = None) -> None:
        if preview is not None:
            assert isinstance(preview, Looks), "it says whose it is"
            for place, look in preview.each.items():
                seen.setdefault(place, []).append(look().convert("RGB").resize((8, 8)).tobytes())

    made = Painters(Apart, Placeholder(), clock).render(
        [replace(WANTED, seed=seed) for seed in (7, 8, 9)], heard
    )
    assert sorted(seen) == [0, 1, 2]
    for place, seed in enumerate((7, 8, 9)):
        alone: list[bytes] = []

        def noted(
            _step: int, _steps: int, preview: Preview | None = None, *, to: list[bytes] = alone
        ) -> None:
            if preview is not None:
                to.append(preview().convert("RGB").resize((8, 8)).tobytes())

        painter = Placeholder() if made[place].stand_in else FakeRenderer()
        painter.render([replace(WANTED, seed=seed)], noted)
        assert seen[place] == alone


def test_a_picture_that_cannot_be_made_as_it_was_asked_for_costs_nobody_the_model(
    painters: Painters, moody: Moody
) -> None:
    moody.trouble = PictureFailed("There is not enough memory for that size.")
    assert drawn_by(painters).stand_in
    assert moody.closed == 0
    moody.trouble = None
    assert not drawn_by(painters).stand_in


def test_what_is_asked_for_wrongly_is_told_and_costs_nobody_the_model(
    painters: Painters, moody: Moody
) -> None:
    moody.trouble = BadRequest("There is no LoRA of that name.")
    with pytest.raises(BadRequest):
        drawn_by(painters)
    assert moody.closed == 0


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
