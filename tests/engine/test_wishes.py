"""What can be wished for, and what cannot: every number and name, whatever somebody or some program says."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import BadRequest, GreenroomError
from engine.pictures.sdxl.recipes import SCHEDULERS
from engine.remaking import LEAST_GROWTH, doubled
from engine.settings import PictureSettings
from engine.styles import load_poses
from engine.wishes import (
    MOST_GUIDANCE,
    SIDES,
    STEPS,
    Quality,
    Wish,
    another_pose,
    as_wished,
    check,
    effort_of,
    scheduler_of,
    size_of,
)
from personas.appearance import Ledger
from personas.persona import Appearance, Outfit, Persona, Pose

USUAL = PictureSettings(width=64, height=96, steps=20, guidance=7.5)
HOUSE = load_poses()
IDA = Persona(
    slug="ida",
    name="Ida",
    appearance=Appearance(
        wardrobe=(Outfit(name="pilot coat", description="a navy coat"), Outfit(name="", description="rags")),
        poses=(Pose(name="at the helm", description="both hands on a wheel"),),
    ),
)
BARE = Persona(slug="bo", name="Bo")


@pytest.mark.parametrize(("usual", "steps"), [(1, (1, 1, 2)), (20, (10, 20, 30)), (25, (13, 25, 38))])
def test_a_draft_takes_half_and_high_quality_half_as_many_again(
    usual: int, steps: tuple[int, int, int]
) -> None:
    assert tuple(quality.steps(usual) for quality in Quality) == steps


@given(st.sampled_from(list(Quality)), st.integers(STEPS[0], STEPS[-1]))
def test_any_quality_of_any_setting_is_possible(quality: Quality, usual: int) -> None:
    settings = USUAL.model_copy(update={"steps": usual})
    effort = effort_of(Wish("x", quality=quality), settings)
    assert effort.steps in STEPS
    assert effort.hires == (quality is Quality.HIGH)


ODD = st.one_of(st.none(), st.integers(), st.floats(), st.sampled_from([0, -1, 10**30, math.nan, math.inf]))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "steps": ODD,
            "guidance": ODD,
            "width": ODD,
            "height": ODD,
            "seed": ODD,
            "quality": st.one_of(st.none(), st.text()),
            "scheduler": st.text(),
            "outfit": st.text(),
            "pose": st.text(),
        },
    )
)
@example({"guidance": math.nan})
@example({"guidance": -0.0})
@example({"width": 0})
@example({"scheduler": "x" * 100_000})
@example({"quality": "\ud800"})
def test_whatever_is_wished_for_is_possible_or_refused_in_one_short_sentence(wish: dict[str, Any]) -> None:
    told = Wish("x", **wish)
    refused = ""
    try:
        check(told, USUAL)
        as_wished(Ledger(), told, IDA, HOUSE)
    except GreenroomError as error:
        refused = str(error)
    assert len(refused) < 250
    if refused:
        return
    effort, sides = effort_of(told, USUAL), size_of(told, USUAL)
    assert effort.steps in STEPS
    assert 0 <= effort.guidance <= MOST_GUIDANCE
    assert effort.scheduler == "" or effort.scheduler in SCHEDULERS
    assert all(side in SIDES and side % 8 == 0 for side in sides)


def test_no_pixels_are_not_as_many_as_usual() -> None:
    with pytest.raises(BadRequest, match="pixels"):
        size_of(Wish("x", width=0), USUAL)
    assert size_of(Wish("x"), USUAL) == (64, 96)


@pytest.mark.parametrize("name", [*SCHEDULERS, "Euler_A", "DPMPP 2M-Karras"])
def test_a_scheduler_goes_by_many_spellings_and_one_name(name: str) -> None:
    assert scheduler_of(f" {name.upper()} ") in SCHEDULERS


def test_a_scheduler_that_is_not_there_is_told_with_those_that_are_near() -> None:
    with pytest.raises(BadRequest, match=r"dpm\+\+ 2m"):
        scheduler_of("dpm++")
    with pytest.raises(BadRequest, match="Nearest are: euler"):
        scheduler_of("ЩЩЩ")


def test_clothes_and_a_pose_go_over_those_of_the_moment_and_nothing_else_changes() -> None:
    now = Ledger("a shirt", "the bridge", "noon", "glad", "leaning")
    assert as_wished(now, Wish("x"), IDA, HOUSE) == now
    dressed = as_wished(now, Wish("x", outfit="Pilot-Coat", pose="  On   one\nleg "), IDA, HOUSE)
    assert dressed == Ledger("a navy coat", "the bridge", "noon", "glad", "On one leg")


def test_a_pose_by_name_is_their_own_or_the_house_s() -> None:
    def posed(name: str, persona: Persona) -> str:
        return as_wished(Ledger(), Wish("x", pose=name), persona, HOUSE).pose

    assert posed("At the helm", IDA) == "both hands on a wheel"
    assert posed("waving", IDA) == posed("Waving", BARE) == "raising one arm high to wave at the viewer"
    assert posed("at the helm", BARE) == "at the helm"


def test_another_pose_is_another_one() -> None:
    own = IDA.appearance.poses[0].description
    assert another_pose(IDA, HOUSE, "") == own
    house = {pose.description for pose in HOUSE}
    assert another_pose(IDA, HOUSE, own) in house, "who has one way only takes one of the house's next"
    now = HOUSE[0].description
    assert {another_pose(BARE, HOUSE[:2], now) for _ in range(20)} == {HOUSE[1].description}
    assert another_pose(BARE, (), now) == now


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_what_is_enlarged_keeps_its_proportions_and_grows(width: int, height: int) -> None:
    sides = doubled(width, height)
    if sides is None:
        assert max(width, height) * LEAST_GROWTH > SIDES[-1]
        return
    assert all(side in SIDES and side % 8 == 0 for side in sides)
    assert sides[0] > width or width == height == 64
    factor = min(2.0, 2048 / max(width, height))
    assert sides[0] == pytest.approx(width * factor, abs=4)
    assert sides[1] == pytest.approx(height * factor, abs=4)
