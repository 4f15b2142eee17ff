"""Pure: what somebody wishes for in a picture, how much work that is, and what nobody can wish for.

It knows a persona's wardrobe and poses, and the settings that stand where a wish leaves something open. Who wishes,
and whether they may, it does not know.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.pictures.sdxl.recipes import SCHEDULERS, scheduler_named
from engine.settings import PictureSettings
from engine.styles import LONGEST_POSE, called
from personas.appearance import Ledger
from personas.persona import Persona, Pose, printable

#: Seeds are as other programs have them, so that they can be carried over.
SEEDS = range(2**32)
SIDES = range(64, 2049)
COUNTS = range(1, 5)
STEPS = range(1, 151)
MOST_GUIDANCE = 30
#: Picture models want sides in multiples of this.
GRAIN = 8


class Shape(StrEnum):
    """Width to height, as people say it."""

    SQUARE = "1:1"
    NEARLY_UPRIGHT = "4:5"
    UPRIGHT = "3:4"
    PORTRAIT = "2:3"
    TALL = "9:16"
    NEARLY_LYING = "5:4"
    LYING = "4:3"
    LANDSCAPE = "3:2"
    WIDE = "16:9"


class Quality(StrEnum):
    """How much work a picture is worth."""

    DRAFT = "draft"
    STANDARD = "standard"
    HIGH = "high"

    def steps(self, usual: int) -> int:
        """Half of the usual ones, as many, or half as many again."""
        if self is Quality.DRAFT:
            return (usual + 1) // 2
        return min(STEPS[-1], (usual * 3 + 1) // 2) if self is Quality.HIGH else usual


@dataclass(frozen=True)
class Wish:
    """What a person asked for, in their words. None leaves the choice to the house."""

    scene: str
    style: str | None = None
    seed: int | None = None
    count: int = 1
    width: int | None = None
    height: int | None = None
    negative: str = ""
    #: The language model that is to write the prompt, of those that the operator allows.
    model: str = ""
    quality: str | None = None
    #: These say more exactly what `quality` says in a word.
    steps: int | None = None
    guidance: float | None = None
    scheduler: str = ""
    #: Of the persona's wardrobe, by name.
    outfit: str = ""
    #: By name, of the persona's poses or of the house's; or in words.
    pose: str = ""


@dataclass(frozen=True)
class Effort:
    """How a picture is to be worked on."""

    steps: int
    guidance: float
    #: By name; empty: what suits the model.
    scheduler: str = ""
    #: In two passes.
    hires: bool = False


def check(wish: Wish, usual: PictureSettings) -> None:
    """Raises `BadRequest` for a number or a name that cannot be had, whoever is to be seen."""
    seed_of(wish)
    count_of(wish)
    size_of(wish, usual)
    effort_of(wish, usual)


def effort_of(wish: Wish, usual: PictureSettings) -> Effort:
    told = (wish.quality or "").strip().lower()
    try:
        quality = Quality(told or Quality.STANDARD)
    except ValueError:
        raise BadRequest(say("pictures.no_quality", told=told[:20], qualities=list(Quality))) from None
    steps = quality.steps(usual.steps) if wish.steps is None else wish.steps
    if not _within(STEPS, steps):
        raise BadRequest(say("pictures.steps", least=STEPS[0], most=STEPS[-1]))
    guidance = usual.guidance if wish.guidance is None else wish.guidance
    if not 0 <= guidance <= MOST_GUIDANCE:  # what is no number is not in there either
        raise BadRequest(say("pictures.guidance", most=MOST_GUIDANCE))
    return Effort(steps, guidance, scheduler_of(wish.scheduler), quality is Quality.HIGH)


def scheduler_of(name: str) -> str:
    """As the house calls it; empty where the model is to choose."""
    if not name.strip():
        return ""
    try:
        return scheduler_named(name).name
    except BadRequest:
        told = name.strip()[:20]
        near = difflib.get_close_matches(told.lower(), SCHEDULERS, n=4, cutoff=0.3) or list(SCHEDULERS)[:4]
        raise BadRequest(say("pictures.no_scheduler", told=told, schedulers=near)) from None


def seed_of(wish: Wish) -> int:
    if wish.seed is None:
        return any_seed()
    if not _within(SEEDS, wish.seed):
        raise BadRequest(say("pictures.seed", most=SEEDS[-1]))
    return wish.seed


def any_seed() -> int:
    return random.SystemRandom().randrange(SEEDS.stop)


def size_of(wish: Wish, usual: PictureSettings) -> tuple[int, int]:
    width = usual.width if wish.width is None else wish.width
    height = usual.height if wish.height is None else wish.height
    if not _within(SIDES, width, height):
        raise BadRequest(say("pictures.sides", least=str(SIDES[0]), most=str(SIDES[-1])))
    # Nobody asks for a pixel more or less.
    return width // GRAIN * GRAIN, height // GRAIN * GRAIN


def shaped(shape: Shape, width: int, height: int) -> tuple[int, int]:
    """The sides of another shape: about as much to paint as these, and as near to the shape as a model's sides are.
    Where no side is as long as that would take, there is less to paint.

    >>> shaped(Shape.WIDE, 1024, 1024), shaped(Shape.WIDE, 2048, 2048)
    ((1368, 768), (2048, 1152))
    """
    wide, high = (int(part) for part in shape.split(":"))
    less, more = sorted((wide, high))
    short = on_grain(min((width * height * less / more) ** 0.5, SIDES[-1] * less / more))
    # What the longer side lacks of the shape is less of it.
    long = on_grain(short * more / less)
    return (long, short) if wide > high else (short, long)


def on_grain(wanted: float) -> int:
    """The nearest side that a model has."""
    return min(SIDES[-1], max(SIDES[0], round(wanted / GRAIN) * GRAIN))


def count_of(wish: Wish) -> int:
    if not _within(COUNTS, wish.count):
        raise BadRequest(say("pictures.count", n=wish.count, least=COUNTS[0], most=COUNTS[-1]))
    return wish.count


def _within(bounds: range, *numbers: object) -> bool:
    """Only whole numbers: for any other one a range looks at each of its own in turn."""
    return all(isinstance(number, int) and number in bounds for number in numbers)


def as_wished(ledger: Ledger, wish: Wish, persona: Persona, house: Sequence[Pose]) -> Ledger:
    """How somebody looks right now, but for the clothes and the pose that were asked for."""
    if wish.outfit.strip():
        ledger = replace(ledger, clothes=_outfit(wish.outfit, persona))
    pose = " ".join(printable(wish.pose).split())
    if len(pose) > LONGEST_POSE:
        raise BadRequest(say("pictures.long_pose", n=len(pose), most=LONGEST_POSE))
    if pose:
        named = called(pose, (*persona.appearance.poses, *house))
        ledger = replace(ledger, pose=named.description if named else pose)
    return ledger


def another_pose(persona: Persona, house: Sequence[Pose], now: str) -> str:
    """Another way to stand or sit than now: one of their own, else one of the house's."""
    own = _but(now, persona.appearance.poses)
    others = own or _but(now, house)
    return random.SystemRandom().choice(others) if others else now


def _but(now: str, poses: Iterable[Pose]) -> list[str]:
    return [pose.description for pose in poses if pose.description and pose.description != now]


def _outfit(name: str, persona: Persona) -> str:
    wardrobe = persona.appearance.wardrobe
    if not wardrobe:
        raise NotFound(say("pictures.no_wardrobe", name=persona.called))
    outfit = called(name, wardrobe)
    if outfit is None:
        names = [one.name for one in wardrobe]
        raise NotFound(say("pictures.no_outfit", told=name[:40], name=persona.called, outfits=names))
    return outfit.description
