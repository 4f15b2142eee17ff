"""How a picture is cooked: steps, guidance and scheduler, from the kind of the model and what was wanted.

It knows the names that people give to schedulers. It imports nothing heavy, and runs nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine.errors import BadRequest
from engine.locales import say
from engine.pictures.sdxl.finding import FewStep, Found
from engine.pictures.sdxl.seeing import GRAIN

Number = TypeVar("Number", int, float)

#: Where the base hands over to the refiner, as a share of the way.
HANDOVER = 0.8
#: A picture of at most this many times the area that a model was taught is made in one go.
MOST_AT_ONE_GO = 1.15
#: How far the second pass may go from the first: enough for detail, too little for a second head.
HIRES_STRENGTH = 0.35
#: To go a short way with few steps, the way is cut into more; into so many at most.
FINEST = 50


@dataclass(frozen=True)
class Scheduler:
    """One way down from noise to a picture: as people call it, its class in diffusers, and how that is set."""

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Recipe:
    """What a forward pass is made with. Pictures of the same recipe and size can share one."""

    steps: int
    guidance: float
    scheduler: Scheduler

    @property
    def guided(self) -> bool:
        """Below this the negative prompt is not looked at, and a step costs half."""
        return self.guidance > 1.0


@dataclass(frozen=True)
class _Habit:
    """What a few-step model was taught: more steps or guidance than that spoil its pictures."""

    steps: tuple[int, int]
    guidance: tuple[float, float]
    scheduler: str


_TRAILING = {"timestep_spacing": "trailing"}
_KARRAS = {"use_karras_sigmas": True}
_MULTI = "DPMSolverMultistepScheduler"
_SINGLE = "DPMSolverSinglestepScheduler"
# The last, halved step of the plain form leaves specks in SDXL's pictures.
_PLAIN_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2, "euler_at_final": True}
_PLAIN_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "euler_at_final": True}

SCHEDULERS: dict[str, Scheduler] = {
    one.name: one
    for one in (
        Scheduler("euler", "EulerDiscreteScheduler"),
        Scheduler("euler a", "EulerAncestralDiscreteScheduler"),
        Scheduler("euler karras", "EulerDiscreteScheduler", _KARRAS),
        Scheduler("heun", "HeunDiscreteScheduler"),
        Scheduler("dpm2", "KDPM2DiscreteScheduler"),
        Scheduler("dpm2 a", "KDPM2AncestralDiscreteScheduler"),
        Scheduler("dpm++ 2m", _MULTI, _PLAIN_2M),
        Scheduler("dpm++ 2m karras", _MULTI, {"algorithm_type": "dpmsolver++", "solver_order": 2} | _KARRAS),
        Scheduler("dpm++ 3m karras", _MULTI, {"algorithm_type": "dpmsolver++", "solver_order": 3} | _KARRAS),
        Scheduler("dpm++ 2m sde", _MULTI, _PLAIN_SDE),
        Scheduler(
            "dpm++ 2m sde karras", _MULTI, {"algorithm_type": "sde-dpmsolver++", "solver_order": 2} | _KARRAS
        ),
        Scheduler("dpm++ sde", _MULTI, _PLAIN_SDE | {"solver_order": 1}),
        Scheduler(
            "dpm++ sde karras", _MULTI, {"algorithm_type": "sde-dpmsolver++", "solver_order": 1} | _KARRAS
        ),
        Scheduler("dpm++ 2s", _SINGLE, {"lower_order_final": True}),
        Scheduler("dpm++ 2s karras", _SINGLE, {"lower_order_final": True} | _KARRAS),
        Scheduler("deis", "DEISMultistepScheduler"),
        # Both clip to ±1 unless told otherwise, which is for models of pixels.
        Scheduler("ddim", "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
        Scheduler("ddpm", "DDPMScheduler", {"clip_sample": False}),
        Scheduler("pndm", "PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}),
        Scheduler("unipc", "UniPCMultistepScheduler"),
        Scheduler("unipc karras", "UniPCMultistepScheduler", _KARRAS),
        Scheduler("lcm", "LCMScheduler"),
        Scheduler("tcd", "TCDScheduler"),
    )
}
#: Other words for the same.
_ALSO = {
    "euler ancestral": "euler a",
    "dpm 2m": "dpm++ 2m",
    "dpm 2m karras": "dpm++ 2m karras",
    "dpmpp 2m": "dpm++ 2m",
    "dpmpp 2m karras": "dpm++ 2m karras",
    "dpmpp sde": "dpm++ sde",
    "dpmpp sde karras": "dpm++ sde karras",
    "dpmpp 2m sde": "dpm++ 2m sde",
    "dpmpp 2m sde karras": "dpm++ 2m sde karras",
    "uni pc": "unipc",
    "plms": "pndm",
}
DEFAULT = "euler"
#: These leap over times of their own, and know no more of them.
_LEAPING = ("LCMScheduler", "TCDScheduler")
MOST_LEAPS = 50
_HABITS: dict[FewStep, _Habit] = {
    "turbo": _Habit((1, 4), (0.0, 0.0), "euler a"),
    "lightning": _Habit((4, 8), (0.0, 1.0), "euler"),
    "hyper": _Habit((4, 8), (0.0, 1.0), "ddim"),
    "lcm": _Habit((4, 8), (1.0, 2.0), "lcm"),
}
#: Fewer steps than these are gone from the very beginning.
FEW = 4
_MADE_FOR = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])", re.IGNORECASE)


def scheduler_named(name: str) -> Scheduler:
    """`DPM++ 2M Karras`, `dpm++_2m-karras` and `dpmpp 2m karras` are the same."""
    plain = " ".join(re.sub(r"[-_]", " ", name).casefold().split())
    found = SCHEDULERS.get(_ALSO.get(plain, plain))
    if found is None:
        known = ", ".join(SCHEDULERS)
        raise BadRequest(say("pictures.scheduler_unknown", name=name, known=known))
    return found


def recipe(found: Found, steps: int, guidance: float, scheduler: str = "") -> Recipe:
    """What was wanted, as far as it suits this model. `scheduler` is by name; empty: what the model is best with."""
    habit = _HABITS.get(found.few_step)
    if habit is None:
        chosen = scheduler_named(scheduler or DEFAULT)
        if steps < FEW and chosen.kind not in _LEAPING:
            # Spaced as usual, so few steps begin where little noise is, and leave all that there was.
            chosen = Scheduler(chosen.name, chosen.kind, chosen.options | _TRAILING)
        return Recipe(min(steps, MOST_LEAPS) if chosen.kind in _LEAPING else steps, guidance, chosen)
    taught = _MADE_FOR.search(found.name)
    low, high = habit.steps if taught is None else (int(taught[1]), int(taught[1]))
    chosen = scheduler_named(scheduler or habit.scheduler)
    # They were taught on these very times: another spacing shows them noise that they never saw.
    spaced = Scheduler(chosen.name, chosen.kind, chosen.options | _TRAILING)
    return Recipe(
        _between(steps, low, high),
        _between(guidance, *habit.guidance),
        chosen if chosen.kind in _LEAPING else spaced,
    )


def strength_of(strength: float) -> float:
    """How far from its start a picture may go, from 0 to 1."""
    if math.isnan(strength):
        raise BadRequest(say("pictures.strength"))
    return _between(float(strength), 0.0, 1.0)


def gone_over(steps: int, strength: float) -> tuple[int, int]:
    """Into how many steps the whole way is cut, and how many of them, the last ones, are gone: at least one."""
    if steps * strength < 1:
        finest = max(steps, FINEST)
        steps = math.ceil(1 / strength) if finest * strength > 1 else finest
    return steps, min(steps, max(1, math.floor(steps * strength + 0.5)))


def first_size(size: tuple[int, int], native: int) -> tuple[int, int] | None:
    """In two passes, the size of the first: what the model knows best, in the same proportions.

    None where one pass will do. `native` is the side of the square that the model was taught on.
    """
    area = size[0] * size[1]
    if area <= MOST_AT_ONE_GO * native * native:
        return None
    scale = native / math.sqrt(area)
    width, height = (max(GRAIN, round(side * scale / GRAIN) * GRAIN) for side in size)
    return width, height


def whole(side: int) -> int:
    """In whole squares: what is too much is cut off in the end."""
    return max(GRAIN, -(-side // GRAIN) * GRAIN)


def _between(value: Number, low: Number, high: Number) -> Number:
    return max(low, min(high, value))
