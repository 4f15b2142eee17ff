"""How pictures are cooked: what was wanted, as far as it suits the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import BadRequest
from engine.pictures.sdxl.finding import FewStep, Found
from engine.pictures.sdxl.recipes import SCHEDULERS, recipe, scheduler_named

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
    with pytest.raises(BadRequest, match=r"no scheduler “best”.*euler a.*dpm\+\+ 2m karras"):
        scheduler_named("best")


def test_a_scheduler_that_leaps_is_asked_for_no_more_leaps_than_it_knows() -> None:
    assert recipe(PLAIN, 150, 7.5, "lcm").steps == 50
    assert recipe(PLAIN, 150, 7.5, "euler").steps == 150
