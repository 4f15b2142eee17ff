"""How pictures are cooked: what was wanted, as far as it suits the model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.locales import locale_of
from engine.pictures.sdxl.finding import FewStep, Found
from engine.pictures.sdxl.recipes import (
    FINEST,
    MOST_AT_ONE_GO,
    SCHEDULERS,
    first_size,
    gone_over,
    recipe,
    scheduler_named,
    strength_of,
    whole,
)

PLAIN = Found(Path("sdxl"), "sdxl", "sdxl", "", "It is here.")


def few(kind: FewStep, name: str = "fast") -> Found:
    return replace(PLAIN, few_step=kind, name=name)


def test_a_model_that_takes_its_time_is_given_what_was_wanted() -> None:
    made = recipe(PLAIN, 28, 6.5, "DPM++ 2M Karras")
    assert (made.steps, made.guidance) == (28, 6.5)
    assert made.scheduler.kind == "DPMSolverMultistepScheduler"
    assert made.scheduler.options["use_karras_sigmas"] is True
    assert made.guided


@pytest.mark.parametrize(
    ("kind", "wanted", "steps", "guidance", "scheduler"),
    [
        ("turbo", (20, 7.5), 4, 0.0, "EulerAncestralDiscreteScheduler"),
        ("turbo", (1, 0.0), 1, 0.0, "EulerAncestralDiscreteScheduler"),
        ("lightning", (20, 7.5), 8, 1.0, "EulerDiscreteScheduler"),
        ("lightning", (1, 0.0), 4, 0.0, "EulerDiscreteScheduler"),
        ("hyper", (20, 7.5), 8, 1.0, "DDIMScheduler"),
        ("lcm", (20, 7.5), 8, 2.0, "LCMScheduler"),
        ("lcm", (2, 0.0), 4, 1.0, "LCMScheduler"),
    ],
)
def test_a_few_step_model_is_kept_to_what_it_was_taught(
    kind: FewStep, wanted: tuple[int, float], steps: int, guidance: float, scheduler: str
) -> None:
    made = recipe(few(kind), *wanted)
    assert (made.steps, made.guidance, made.scheduler.kind) == (steps, guidance, scheduler)
    assert made.guided == (guidance > 1)


@pytest.mark.parametrize("kind", ["turbo", "lightning", "hyper"])
def test_a_few_step_model_keeps_its_spacing_with_any_scheduler(kind: FewStep) -> None:
    assert recipe(few(kind), 4, 0).scheduler.options["timestep_spacing"] == "trailing"
    assert recipe(few(kind), 4, 0, "dpm++ 2m").scheduler.options["timestep_spacing"] == "trailing"
    assert "timestep_spacing" not in SCHEDULERS["dpm++ 2m"].options, "and nobody else does"


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("sdxl_lightning_2step", 2),
        ("Hyper-SDXL-8steps-CFG", 8),
        ("dreamy-4-step", 4),
        ("dreamy12stepper", 8),
        ("dreamy", 8),
    ],
)
def test_a_model_that_names_its_steps_is_given_these(name: str, steps: int) -> None:
    assert recipe(few("lightning", name), 20, 7.5).steps == steps


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Euler a", "euler a"),
        ("euler_a", "euler a"),
        ("Euler  Ancestral", "euler a"),
        ("dpm++_2m-karras", "dpm++ 2m karras"),
        ("DPMPP 2M Karras", "dpm++ 2m karras"),
        ("UniPC", "unipc"),
        ("PLMS", "pndm"),
    ],
)
def test_a_scheduler_goes_by_the_names_that_people_know(said: str, meant: str) -> None:
    assert scheduler_named(said) is SCHEDULERS[meant]


def test_an_unknown_scheduler_is_told_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"no scheduler “best”.*euler a.*dpm\+\+ 2m karras") as told:
        scheduler_named("best")
    assert locale_of("de").says(told.value).startswith("Den Scheduler „best“ gibt es nicht. Es gibt: ")


def test_a_scheduler_that_leaps_is_asked_for_no_more_leaps_than_it_knows() -> None:
    assert recipe(PLAIN, 150, 7.5, "lcm").steps == 50
    assert recipe(PLAIN, 150, 7.5, "euler").steps == 150


@pytest.mark.parametrize(
    ("steps", "strength", "cut", "gone"),
    [
        (20, 0.35, 20, 7),
        (20, 0.6, 20, 12),
        (10, 0.3, 10, 3),
        (100, 0.29, 100, 29),
        (20, 1.0, 20, 20),
        (1, 1.0, 1, 1),
        (20, 0.05, 20, 1),
        (20, 0.001, FINEST, 1),
        (4, 0.35, 4, 1),
        (1, 0.35, 3, 1),
        (1, 0.5, 2, 1),
    ],
)
def test_a_short_way_is_gone_in_the_last_of_its_steps(
    steps: int, strength: float, cut: int, gone: int
) -> None:
    """Where there are too few steps for so short a way, they are made smaller: one step of one would forget all."""
    assert gone_over(steps, strength) == (cut, gone)


@given(st.integers(1, 150), st.floats(0, 1))
def test_some_of_a_way_is_always_gone_and_never_more_than_there_is(steps: int, strength: float) -> None:
    cut, gone = gone_over(steps, strength)
    assert 1 <= gone <= cut
    assert steps <= cut <= max(steps, FINEST)
    if strength >= 1 / FINEST:
        assert abs(gone / cut - strength) <= 1 / (2 * cut) + 1e-9


@pytest.mark.parametrize(
    ("asked", "taken"),
    [(0.5, 0.5), (0, 0.0), (1, 1.0), (-1.0, 0.0), (9.0, 1.0), (math.inf, 1.0), (-math.inf, 0.0)],
)
def test_a_strength_is_one_from_0_to_1(asked: float, taken: float) -> None:
    assert strength_of(asked) == taken


def test_a_strength_that_is_no_number_is_told() -> None:
    with pytest.raises(BadRequest, match=r"no number\. Name one from 0") as told:
        strength_of(math.nan)
    assert locale_of("de").says(told.value).startswith("Die Stärke ist keine Zahl.")


@pytest.mark.parametrize(
    ("size", "native", "first"),
    [
        ((2048, 2048), 1024, (1024, 1024)),
        ((2048, 1152), 1024, (1368, 768)),
        ((1152, 2048), 1024, (768, 1368)),
        ((1024, 1024), 512, (512, 512)),
        ((1024, 1024), 768, (768, 768)),
        ((1024, 1024), 1024, None),
        ((1216, 832), 1024, None),
        ((1096, 1096), 1024, None),
        ((1104, 1104), 1024, (1024, 1024)),
    ],
)
def test_in_two_passes_the_first_is_as_large_as_the_model_was_taught(
    size: tuple[int, int], native: int, first: tuple[int, int] | None
) -> None:
    assert first_size(size, native) == first


@given(st.integers(8, 2048), st.integers(8, 2048), st.sampled_from([64, 512, 768, 1024]))
def test_the_first_of_two_passes_is_smaller_in_the_same_proportions(
    width: int, height: int, native: int
) -> None:
    first = first_size((width, height), native)
    assert (first is not None) == (width * height > MOST_AT_ONE_GO * native**2)
    if first is not None:
        assert all(side % 8 == 0 and side >= 8 for side in first)
        scale = native / math.sqrt(width * height)
        assert all(abs(side - was * scale) <= 8 for side, was in zip(first, (width, height), strict=True))


@given(st.integers(1, 4096))
def test_whole_squares_hold_all_of_a_side(side: int) -> None:
    assert side <= whole(side) < side + 8
    assert whole(side) % 8 == 0
