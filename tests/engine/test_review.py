"""Pictures that are looked at: what suits passes, what does not is made again, and nothing passes unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from structlog.testing import capture_logs

from bot.cli.findings import Finding, of_check
from engine.errors import ModelUnavailable, RenderFailed, Stopped, TryAgain
from engine.imagining import Wish
from engine.locales import locale_of, say
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.painting import checker, painter
from engine.pictures.placeholder import STAGES, Placeholder
from engine.pictures.review import STRIDE, TRIES, Absent, Reviewed
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.judging import Checker, look_at
from engine.pictures.sdxl.renderer import Sdxl
from engine.settings import PictureSettings, Settings
from engine.testing import FakeRenderer
from personas.appearance import Scene
from personas.persona import Persona, Rating
from tests.engine.test_painting import painted
from tests.models.classifier import cut_short, write_classifier
from tests.models.sdxl import write_sdxl

pytestmark = pytest.mark.usefixtures("one_thread")

SECRET = "a lamp that nobody may hear of"
ADA = Persona(slug="ada", name="Ada", age=40, rating=Rating.ADULT)
WANTED = PictureWanted(Scene(ADA, SECRET), SECRET, "", 7, 64, 64, steps=4)
SEEDS = [(WANTED.seed + tried * STRIDE) % 2**32 for tried in range(TRIES + 1)]


class Painter(FakeRenderer):
    """Plain colours by their seeds; it fails when it is told to."""

    name = "painter"

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0
        #: What is raised when it is called the second time.
        self.then: Exception | None = None

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        if self.passes and self.then:
            raise self.then
        return super().render(wanted, progress)

    def close(self) -> None:
        self.closed += 1


def colour_of(seed: int) -> Image.Image:
    [made] = FakeRenderer().render([replace(WANTED, seed=seed)], quiet)
    return made.image


def quiet(_step: int, _steps: int, _preview: Preview | None = None) -> None: ...


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real classifiers: one that objects to nothing, ones that object to all, and ones that know a seed's colour."""
    folder = tmp_path_factory.mktemp("judges")
    write_classifier(folder / "kind", says="normal")
    write_classifier(folder / "strict", says="nsfw")
    write_classifier(folder / "sexy", ("neutral", "sexy", "porn"), says="sexy")
    # The picture of the first seed is what it objects to; or those of the first two.
    write_classifier(folder / "once", apart=(colour_of(SEEDS[1]), colour_of(SEEDS[0])))
    write_classifier(folder / "twice", apart=(colour_of(SEEDS[2]), colour_of(SEEDS[1])))
    return folder


def reviewed(judges: Path, name: str, by: Painter | None = None) -> tuple[Reviewed, Painter]:
    by = by or Painter()
    return Reviewed(by, Checker(look_at(judges / name)), Placeholder()), by


def made_by(renderer: Reviewed, **wanted: Any) -> Rendered:
    [made] = renderer.render([replace(WANTED, **wanted)], quiet)
    return made


def test_what_suits_passes_as_it_is_and_keeps_its_verdict(judges: Path) -> None:
    renderer, painter = reviewed(judges, "kind")
    made = made_by(renderer)
    assert made.image.tobytes() == colour_of(7).tobytes()
    assert painter.passes == [[7]]
    checked = made.facts.pop("checked")
    assert (checked["by"], checked["label"]) == ("kind", "normal")
    assert 0.9 < checked["likelihood"] <= 1
    assert made.facts == painter.render([WANTED], quiet)[0].facts


def test_it_goes_by_the_name_of_who_paints_and_closes_whom_it_opened(judges: Path) -> None:
    renderer, painter = reviewed(judges, "kind")
    assert renderer.name == "painter"
    company = [WANTED, replace(WANTED, width=128), *[WANTED] * 5]
    assert renderer.company(company) == painter.company(company) == [0, 2, 3, 4]
    made_by(renderer)
    renderer.close()
    renderer.close()
    assert painter.closed == 2
    assert made_by(renderer).facts["checked"]
    assert renderer.render([], quiet) == []


@pytest.mark.parametrize(("judge", "tries"), [("once", 1), ("twice", 2)])
def test_what_does_not_suit_is_made_again_alone_and_its_seed_is_told(
    judges: Path, judge: str, tries: int
) -> None:
    renderer, painter = reviewed(judges, judge)
    with capture_logs() as told:
        made = made_by(renderer)
    assert painter.passes == [[seed] for seed in SEEDS[: tries + 1]]
    assert made.image.tobytes() == colour_of(SEEDS[tries]).tobytes()
    assert not made.stand_in
    assert made.facts["seed_taken"] == SEEDS[tries]
    assert made.facts["checked"]["label"] == "normal"
    lines = [one for one in told if one["event"] == "picture_unsuitable"]
    assert [line["seed"] for line in lines] == SEEDS[:tries]
    assert {(line["label"], line["fit_for"], line["wanted"]) for line in lines} == {
        ("nsfw", "adult", "all-ages")
    }
    # Whoever makes it once more with that seed has it at once.
    again = made_by(renderer, seed=SEEDS[tries])
    assert again.image.tobytes() == made.image.tobytes()
    assert "seed_taken" not in again.facts


def test_only_the_one_that_does_not_suit_is_made_again(judges: Path) -> None:
    renderer, painter = reviewed(judges, "once")
    wanted = [replace(WANTED, seed=seed) for seed in (SEEDS[1], SEEDS[0], SEEDS[1])]
    made = renderer.render(wanted, quiet)
    assert painter.passes == [[one.seed for one in wanted], [SEEDS[1]]]
    assert ["seed_taken" in one.facts for one in made] == [False, True, False]


def test_what_never_suits_is_stood_in_for_and_says_why(judges: Path) -> None:
    renderer, painter = reviewed(judges, "strict")
    with capture_logs() as told:
        made = made_by(renderer)
    assert painter.passes == [[seed] for seed in SEEDS], "bounded"
    assert made.stand_in
    assert made.facts["instead_of"] == "painter"
    assert made.facts["because"] == say("pictures.unsuitable")
    assert "another scene" in made.facts["because"]
    assert locale_of("de").say(made.facts["because_key"]) != made.facts["because"]
    assert made.facts["checked"]["label"] == "nsfw"
    assert "seed_taken" not in made.facts
    json.dumps(made.facts)
    assert len([one for one in told if one["event"] == "picture_unsuitable"]) == TRIES + 1
    assert SECRET not in repr(told)
    assert "Ada" not in repr(told)
    card = Placeholder().render([WANTED], quiet)[0]
    assert made.image.tobytes() == card.image.tobytes(), "the card for what was wished"


@pytest.mark.parametrize(
    ("judge", "rating", "shown"),
    [
        ("sexy", Rating.ALL_AGES, False),
        ("sexy", Rating.MATURE, True),
        ("sexy", Rating.ADULT, True),
        ("strict", Rating.MATURE, False),
        ("strict", Rating.ADULT, True),
        ("kind", Rating.ALL_AGES, True),
    ],
)
def test_a_picture_is_shown_where_its_rating_is_allowed(
    judges: Path, judge: str, rating: Rating, shown: bool
) -> None:
    made = made_by(reviewed(judges, judge)[0], rating=rating)
    assert made.stand_in is not shown
    assert made.facts["checked"]["by"] == judge


def test_pictures_of_several_ratings_in_one_pass_are_judged_each_by_its_own(judges: Path) -> None:
    renderer, _ = reviewed(judges, "sexy")
    wanted = [replace(WANTED, rating=rating) for rating in (Rating.ADULT, Rating.ALL_AGES, Rating.MATURE)]
    assert [one.stand_in for one in renderer.render(wanted, quiet)] == [False, True, False]


def test_a_stand_in_is_not_judged(judges: Path) -> None:
    renderer = Reviewed(Placeholder(), Checker(look_at(judges / "strict")), Placeholder())
    made = made_by(renderer)
    assert made.stand_in
    assert "checked" not in made.facts
    assert "because" not in made.facts


def test_a_persona_for_everybody_stays_so_wherever_they_are(judges: Path) -> None:
    mild = ADA.model_copy(update={"rating": Rating.ALL_AGES})
    renderer, _ = reviewed(judges, "strict")
    assert made_by(renderer, scene=Scene(mild, SECRET), rating=Rating.ADULT).stand_in
    assert not made_by(renderer, rating=Rating.ADULT).stand_in


@pytest.mark.parametrize(("rating", "spots"), [(Rating.ALL_AGES, True), (Rating.ADULT, False)])
def test_what_nobody_has_checked_yet_is_seen_as_spots_of_colour(
    judges: Path, rating: Rating, spots: bool
) -> None:
    seen: list[Image.Image] = []

    class Striped(Painter):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            stripes = Image.effect_mandelbrot((96, 96), (-2, -1, 1, 1), 50).convert("RGB")
            return super().render(wanted, lambda step, steps, _=None: progress(step, steps, lambda: stripes))

    def progress(_step: int, _steps: int, preview: Preview | None = None) -> None:
        assert preview is not None
        seen.append(preview())

    renderer, _ = reviewed(judges, "kind", Striped())
    renderer.render([replace(WANTED, rating=rating)], progress)
    assert seen[0].size == (96, 96)
    sharp = Image.effect_mandelbrot((96, 96), (-2, -1, 1, 1), 50).convert("RGB").tobytes()
    assert (seen[0].tobytes() != sharp) is spots


# Steps


@pytest.mark.parametrize("judge", ["kind", "once", "strict"])
def test_steps_only_grow_and_end_where_they_were_to_end(judges: Path, judge: str) -> None:
    told: list[tuple[int, int]] = []
    looks: list[object] = []

    def progress(step: int, steps: int, preview: Preview | None = None) -> None:
        told.append((step, steps))
        looks.append(preview)

    renderer, painter = reviewed(judges, judge)
    renderer.render([WANTED], progress)
    assert told[:4] == [(step, 4) for step in range(1, 5)]
    assert set(told[4:]) <= {(4, 4)}, "what is done again is not told again"
    cards = STAGES if judge == "strict" else 0
    assert len(told) == 4 * len(painter.passes) + cards
    assert all(looks)


def test_a_look_is_said_whose_it_is_also_when_one_of_several_is_made_again(judges: Path) -> None:
    looks: list[list[int]] = []

    def progress(_step: int, _steps: int, preview: Preview | None = None) -> None:
        assert isinstance(preview, Looks)
        looks.append(sorted(preview.each))

    renderer, painter = reviewed(judges, "once")
    wanted = [replace(WANTED, seed=seed) for seed in (SEEDS[1], SEEDS[0])]
    renderer.render(wanted, progress)
    assert painter.passes == [[SEEDS[1], SEEDS[0]], [SEEDS[1]]]
    assert looks == [[0, 1]] * 8 + [[1]] * 4


@pytest.mark.parametrize("count", [1, 2])
def test_what_does_not_say_whose_it_is_is_shown_only_where_there_is_but_one(judges: Path, count: int) -> None:
    looks: list[object] = []

    class Plain(Painter):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            grey = Image.new("RGB", (8, 8))
            return super().render(wanted, lambda step, steps, _=None: progress(step, steps, grey.copy))

    def progress(_step: int, _steps: int, preview: Preview | None = None) -> None:
        looks.append(preview and sorted(preview.each) if isinstance(preview, Looks) else preview)

    renderer, _ = reviewed(judges, "kind", Plain())
    renderer.render([WANTED, replace(WANTED, seed=SEEDS[1])][:count], progress)
    assert looks == ([[0]] * 4 if count == 1 else [None] * 8)


def test_a_stop_is_heard_while_a_picture_is_made_again(judges: Path) -> None:
    heard: list[int] = []

    def stop(step: int, _steps: int, _preview: Preview | None = None) -> None:
        heard.append(step)
        if len(heard) == 6:
            raise Stopped("enough")

    renderer, painter = reviewed(judges, "strict")
    with pytest.raises(Stopped):
        renderer.render([WANTED], stop)
    assert painter.passes == [[SEEDS[0]], [SEEDS[1]]]
    assert heard == [1, 2, 3, 4, 4, 4]


# Trouble


def test_a_failure_of_making_it_again_shows_nothing_that_does_not_suit(judges: Path) -> None:
    renderer, painter = reviewed(judges, "once")
    painter.then = RenderFailed(f"There is no LoRA “{SECRET}”.")
    with capture_logs() as told:
        made = renderer.render([WANTED, replace(WANTED, seed=SEEDS[1])], quiet)
    assert [one.stand_in for one in made] == [True, False], "and the others are not harmed"
    assert made[0].facts["because"] == say("pictures.unsuitable")
    assert [one["cause"] for one in told if one["event"] == "picture_not_made_again"] == ["RenderFailed"]
    assert SECRET not in repr(told)


@pytest.mark.parametrize("trouble", [Stopped("enough"), TryAgain("in a moment")])
def test_what_is_no_failure_goes_on_its_way(judges: Path, trouble: Exception) -> None:
    renderer, painter = reviewed(judges, "once")
    painter.then = trouble
    with pytest.raises(type(trouble)):
        made_by(renderer)


def test_a_failure_of_the_painter_is_for_whoever_asked_it(judges: Path) -> None:
    renderer, painter = reviewed(judges, "kind")
    painter.fails = 1
    with pytest.raises(RenderFailed):
        made_by(renderer)


def broken(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"].fill_(float("nan"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("rating", Rating)
@pytest.mark.parametrize(("damage", "rendered"), [(cut_short, 0), (broken, 1)])
def test_a_judge_that_fails_lets_nothing_through_that_it_might_have_kept_back(
    judges: Path, tmp_path: Path, damage: Callable[[Path], None], rendered: int, rating: Rating
) -> None:
    shutil.copytree(judges / "kind", tmp_path / "kind")
    damage(tmp_path / "kind")
    renderer, painter = reviewed(tmp_path, "kind")
    with capture_logs() as told:
        for _ in range(3):
            made = made_by(renderer, rating=rating)
            assert made.stand_in is (rating is not Rating.ADULT)
            assert "checked" not in made.facts
    levels = [one["log_level"] for one in told if one["event"] == "picture_check_failed"]
    assert levels == ["warning", "debug", "debug"], "said once"
    if rating is Rating.ADULT:
        return
    assert made.facts["because"] == say("pictures.unchecked")
    assert made.facts["instead_of"] == "painter"
    assert len(painter.passes) == 3 * rendered, "nobody waits for what cannot be shown"
    # And as soon as it is mended, pictures are shown again.
    shutil.copyfile(judges / "kind" / "model.safetensors", tmp_path / "kind" / "model.safetensors")
    with capture_logs() as told:
        assert not made_by(renderer, rating=rating).stand_in
        assert not made_by(renderer, rating=rating).stand_in
    assert [one["event"] for one in told].count("picture_check_back") == 1


def test_a_judge_without_memory_fails_safely_and_is_opened_anew(judges: Path) -> None:
    judge = Checker(look_at(judges / "kind"))
    renderer = Reviewed(Painter(), judge, Placeholder())
    judge.open()
    assert judge._loaded is not None

    def cramped(_module: object, _given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    judge._loaded.model.register_forward_pre_hook(cramped)
    made = made_by(renderer)
    assert made.stand_in
    assert made.facts["because"] == say("pictures.unchecked")
    assert not made_by(renderer).stand_in


def test_without_a_judge_those_who_may_see_anything_are_painted_for_and_the_others_stood_in_for(
    judges: Path, tmp_path: Path
) -> None:
    shutil.copytree(judges / "kind", tmp_path / "kind")
    cut_short(tmp_path / "kind")
    renderer, painter = reviewed(tmp_path, "kind")
    ratings = (Rating.ALL_AGES, Rating.ADULT, Rating.MATURE)
    wanted = [replace(WANTED, seed=seed, rating=rating) for seed, rating in enumerate(ratings)]
    told: list[tuple[int, int]] = []
    looks: list[list[int]] = []

    def progress(step: int, steps: int, preview: Preview | None = None) -> None:
        assert isinstance(preview, Looks)
        told.append((step, steps))
        looks.append(sorted(preview.each))

    made = renderer.render(wanted, progress)
    assert [one.stand_in for one in made] == [True, False, True]
    assert painter.passes == [[1]]
    assert looks == [[1]] * 4 + [[0]] * STAGES + [[2]] * STAGES, "nobody sees another one's"
    assert told[:4] == [(step, 4) for step in range(1, 5)]
    assert set(told[4:]) == {(4, 4)}
    # Where nothing is painted, the cards' own steps are told.
    told.clear()
    renderer.render(wanted[:1], progress)
    assert told == [(step, STAGES) for step in range(1, STAGES + 1)]
    assert looks[-STAGES:] == [[0]] * STAGES
    renderer.render([wanted[0], wanted[2]], progress)
    assert looks[-2 * STAGES :] == [[0]] * STAGES + [[1]] * STAGES


# In the house


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", pictures=PictureSettings(width=64, height=64, steps=2))
    write_sdxl(settings.home / "models" / "picture" / "tiny")
    return settings


def checkers(house: Settings) -> Path:
    return house.home / "models" / "checker"


def switched_off(house: Settings) -> Settings:
    return house.model_copy(update={"pictures": house.pictures.model_copy(update={"check": "off"})})


async def test_a_picture_by_a_real_model_is_looked_at_on_its_way_to_its_row(house: Settings) -> None:
    write_classifier(checkers(house) / "kind", says="normal")
    made, _ = await painted(house, Wish("on a pier", seed=4, count=2))
    assert [one.stand_in for one in made] == [False, False]
    assert [one.facts["checked"]["by"] for one in made] == ["kind", "kind"]


async def test_a_picture_by_a_real_model_that_does_not_suit_never_reaches_a_row(house: Settings) -> None:
    write_classifier(checkers(house) / "strict", says="porn", labels=("neutral", "porn"))
    made, _ = await painted(house, Wish("on a pier", seed=4))
    assert made[0].stand_in
    assert made[0].facts["instead_of"] == "tiny"
    assert made[0].facts["because"] == say("pictures.unsuitable")
    assert made[0].facts["checked"]["label"] == "porn"


def test_another_seed_of_a_real_model_is_another_picture_that_can_be_made_once_more(house: Settings) -> None:
    sdxl = Sdxl(look(house.home / "models" / "picture" / "tiny"), device="cpu")
    wanted = replace(WANTED, steps=2)
    pictures = [sdxl.render([replace(wanted, seed=seed)], quiet)[0].image for seed in SEEDS[:2]]
    write_classifier(checkers(house) / "once", apart=(pictures[1], pictures[0]))
    renderer = Reviewed(sdxl, Checker(look_at(checkers(house) / "once")), Placeholder())
    told: list[int] = []
    [made] = renderer.render([wanted], lambda *step: told.append(step[0]))
    assert made.image.tobytes() == pictures[1].tobytes()
    assert made.facts["seed_taken"] == SEEDS[1]
    assert made.facts["steps"] == 2
    assert told == [1, 2, 2, 2]
    renderer.close()


def test_where_nothing_looks_at_pictures_it_is_said_once_and_with_its_reason(house: Settings) -> None:
    with capture_logs() as told:
        find = painter(house)
        assert isinstance(find(), Sdxl)
        assert isinstance(find(), Sdxl)
    [line] = [one for one in told if one["event"] == "picture_check_off"]
    assert "models/checker" in line["reason"]
    write_classifier(checkers(house) / "kind", says="normal")
    assert isinstance(find(), Reviewed), "one that came is found"
    assert isinstance(painter(switched_off(house))(), Sdxl)


def test_what_runs_the_check_must_be_installed(house: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_classifier(checkers(house) / "kind", says="normal")
    assert checker(house).found
    assert "check = off" in checker(switched_off(house)).reason
    monkeypatch.setattr("engine.pictures.painting.CHECK_NEEDED", ("torch", "no_such_library"))
    assert checker(house).found is None
    assert "EXTRAS=pictures" in checker(house).reason


def test_the_doctor_says_plainly_that_nothing_looks_and_where_to_put_what_would(house: Settings) -> None:
    def finding(settings: Settings) -> Finding:
        found = of_check(settings)
        assert found.what == "picture check"
        return found

    told = finding(house)
    assert told.state == "warning"
    assert told.says.startswith("off: nothing looks at pictures before they are shown.")
    assert str(checkers(house)) in told.mend
    assert finding(switched_off(house)).state == "note"
    (checkers(house) / "odd").mkdir(parents=True)
    assert "odd has no config.json" in finding(house).says
    write_classifier(checkers(house) / "kind", says="normal")
    assert finding(house).state == "ok"
    shutil.rmtree(house.home / "models")
    assert finding(house).state == "note", "where nothing paints, nothing needs to be looked at"


@pytest.mark.parametrize("rating", Rating)
def test_a_checker_that_will_not_do_is_none_and_shows_nobody_what_it_was_to_keep_back(
    house: Settings, rating: Rating
) -> None:
    """Whoever put it there takes the check for on."""
    (checkers(house) / "odd").mkdir(parents=True)
    with capture_logs() as told:
        renderer = painter(house)()
        assert isinstance(renderer, Reviewed)
        assert isinstance(renderer._judge, Absent)
        for _ in range(3):
            [made] = renderer.render([replace(WANTED, rating=rating, steps=2)], quiet)
    off = [one for one in told if one["event"] == "picture_check_off"]
    failed = [one for one in told if one["event"] == "picture_check_failed"]
    assert len(off) == 1
    assert "odd has no config.json" in off[0]["reason"]
    assert [one["log_level"] for one in failed] == ["warning", "debug", "debug"], "said once"
    assert {(one["checker"], one["cause"]) for one in failed} == {("none", off[0]["reason"])}
    assert made.stand_in is (rating is not Rating.ADULT)
    if made.stand_in:
        assert made.facts["because_key"] == "pictures.unchecked"
    renderer.close()
    renderer.close()


def test_a_judge_that_is_not_there_says_why_it_looks_at_nothing() -> None:
    judge = Absent("It was eaten.")
    with pytest.raises(ModelUnavailable, match="eaten"):
        judge.verdicts([colour_of(7)])
    with pytest.raises(ModelUnavailable, match="eaten"):
        judge.open()
    judge.close()
