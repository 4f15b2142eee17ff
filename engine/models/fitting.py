"""What fits where: pure arithmetic on bytes, and which models are offered to a machine that has none."""

from __future__ import annotations

from enum import StrEnum

from engine.models.entries import GB, Catalogue, Entry, Kind, catalogue
from engine.models.hardware import Machine

#: The system, the fronts and the database want some of the memory too.
OURS = 0.8
#: A processor reads all weights for each word: beyond this nobody waits for it. It may be pulled, and is not offered.
PATIENCE = 5 * GB
#: On a processor pictures are computed in twice the precision.
_DOUBLED = {Kind.PICTURE, Kind.REFINER}


class Fit(StrEnum):
    GPU = "fits on gpu"
    RAM = "fits in ram, slow"
    NO = "no"


def fits(entry: Entry, machine: Machine) -> Fit:
    return _fit(entry.needs_memory, entry.needs_memory * (2 if entry.kind in _DOUBLED else 1), machine)


def fits_file(size: int, machine: Machine) -> Fit:
    """The same for a language model of which nothing but its size is known."""
    return _fit(text_needs(size), text_needs(size), machine)


def text_needs(size: int) -> int:
    """The memory of a language model: its weights, and room for the talks that are kept warm."""
    return round(size * 1.1) + GB // 2


def _fit(on_gpu: int, in_ram: int, machine: Machine) -> Fit:
    if machine.gpu_bytes and on_gpu <= machine.gpu_bytes:
        return Fit.GPU
    return Fit.RAM if in_ram <= machine.ram_bytes * OURS else Fit.NO


def recommended(machine: Machine, among: Catalogue | None = None) -> tuple[Entry, ...]:
    """The set that fits: a model for words and one for pictures, the best that this machine can hold together.

    Both share one GPU. Where they do not fit on it together, pictures get it, and the processor writes the words:
    a small model is quick enough there, and pictures are not.
    """
    offered = [entry for entry in (among or catalogue()).entries if entry.offer]
    picture = _best(offered, Kind.PICTURE, "gpu", machine.gpu_bytes)
    beside = picture.needs_memory if picture else 0
    text = _best(offered, Kind.TEXT, "gpu", machine.gpu_bytes - beside)
    room = round(machine.ram_bytes * OURS)
    slow = _best(offered, Kind.TEXT, "cpu", min(room, PATIENCE))
    if slow is not None and (text is None or slow.needs_memory > text.needs_memory):
        text = slow
        room -= slow.needs_memory
    if picture is None:
        picture = _best(offered, Kind.PICTURE, "cpu", room // 2)
    return tuple(entry for entry in (text, picture) if entry is not None)


def _best(offered: list[Entry], kind: Kind, where: str, room: int) -> Entry | None:
    """The largest that is offered there, for a larger one writes and paints better."""
    able = [
        entry
        for entry in offered
        if entry.kind is kind and entry.offer in (where, "any") and entry.needs_memory <= room
    ]
    return max(able, key=lambda entry: entry.needs_memory, default=None)
