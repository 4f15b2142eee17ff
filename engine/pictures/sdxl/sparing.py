"""How to make do with less memory: what a bound on it means from the start, and what is tried next when it runs out.

All of it is decisions. What a step is worth, and how it is taken, it does not know.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

GIB = 1 << 30

#: Others let go of what they hold; fewer pictures at once; the VAE a tile at a time; weights on the GPU only while
#: they work; no GPU at all.
Step = Literal["swap", "halves", "tiles", "offload", "processor"]
#: The order in which they are tried, and told.
STEPS: tuple[Step, ...] = ("swap", "halves", "tiles", "offload", "processor")


@dataclass(frozen=True)
class Room:
    """How a model is run in the memory that there is."""

    #: So many pictures share a pass at most; 0: as many as are wanted.
    at_once: int = 0
    tiles: bool = False
    offload: bool = False
    #: Fused projections are quicker, and held beside those that they are made of.
    fused: bool = True


USUAL = Room()
#: Up to how many GiB, and how it is run there: SDXL in 16 bit is 7, and a pass for one picture of 1024² takes 2 to 4.
_ROOMS: tuple[tuple[float, Room], ...] = (
    (12, Room(at_once=1, tiles=True, offload=True, fused=False)),
    (24, Room(at_once=2, tiles=True, fused=False)),
)


def room_for(vram: float) -> Room:
    """`vram` are the GiB that pictures may take; 0: as much as there is."""
    if vram <= 0:
        return USUAL
    return next((room for below, room in _ROOMS if vram < below), USUAL)


def share_of(vram: float, card_bytes: int) -> float:
    """Which share of the card that is: 1 where nothing bounds it, or the card has no more anyway."""
    if vram <= 0 or card_bytes <= 0:
        return 1.0
    return min(1.0, vram * GIB / card_bytes)


def next_step(pictures: int, *, tiles: bool, offload: bool, on_gpu: bool) -> Step | None:
    """What to try after a pass of so many pictures did not fit. `tiles` and `offload`: whether these were tried."""
    if pictures > 1:
        return "halves"
    if not tiles:
        return "tiles"
    if not on_gpu:
        return None
    return "processor" if offload else "offload"


#: Whoever makes do with less tries the better way again after so many seconds without trouble, or so many pictures.
SECONDS, PICTURES = 600.0, 20
#: Each time that the better way fails again it takes twice as long, up to so many times.
LONGEST = 128


@dataclass(frozen=True)
class Trouble:
    """Memory ran out, and what is made since then is made with less."""

    #: When it ran out last, or when the better way was taken again.
    since: float
    #: Pictures that were made since.
    made: int = 0
    #: How many times the usual while it takes.
    times: int = 1
    #: The better way is taken again, and has not held for as long yet.
    trying: bool = False

    def is_over(self, now: float) -> bool:
        return now - self.since >= SECONDS * self.times or self.made >= PICTURES * self.times

    def after(self, pictures: int) -> Trouble:
        return replace(self, made=self.made + pictures)


def ran_out(before: Trouble | None, now: float) -> Trouble:
    """Memory ran out now; `before` is the trouble that there is already."""
    if before is None or (before.trying and before.is_over(now)):
        return Trouble(now)
    return Trouble(now, times=min(LONGEST, before.times * 2) if before.trying else before.times)


def better_again(trouble: Trouble | None, now: float) -> bool:
    """Whether to take the better way again, at which memory ran out before."""
    return trouble is not None and not trouble.trying and trouble.is_over(now)


def tried_again(trouble: Trouble, now: float) -> Trouble:
    return Trouble(now, times=trouble.times, trying=True)


def in_order(steps: Set[Step]) -> list[Step]:
    return [step for step in STEPS if step in steps]
