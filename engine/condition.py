"""How the house is, in one look: the machine, pictures in line and made, what went wrong; and what to do about it.

It looks and judges, and changes nothing. It works beside a running house, and where none runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from engine import estimating, monitor
from engine.estimating import Record
from engine.locales import Said, say
from engine.monitor import Gpu, Machine
from engine.pictures.painting import choice
from engine.settings import Settings
from engine.store import figures, promises
from engine.store.database import Database
from engine.store.figures import PictureFigures

GIGABYTE = 1_000_000_000
GIBIBYTE = 1024**3

#: A GPU with less of its memory free has no room for a larger picture, or for a longer talk.
GPU_FULL = 0.92
#: Degrees Celsius from which cards slow themselves down.
HOT = 85
#: Of the machine's memory.
MEMORY_LOW = 0.06
DISK_LOW = 2 * GIGABYTE
#: The line grows if so many times more is asked for than gets done, and more than a few wait.
GROWS, FEW = 1.2, 10
#: Single failures happen; so many a day that are such a share of all are worth a word.
FAILURES, OFTEN = 3, 0.1
#: The bounds that `pictures.vram` was tried with, in GiB, and what the other models need beside it.
BOUNDS = (24, 12, 8)
BESIDE = 0.75
#: Of a reason, in a verdict.
LONGEST_REASON = 200


@dataclass(frozen=True)
class Condition:
    machine: Machine
    pictures: PictureFigures
    #: How good the estimates were; None until that can be said.
    record: Record | None
    #: The picture model, or none, and why: a sentence.
    painter: str
    why: str
    #: The operator wants no picture model: `[pictures] models = off`.
    painter_off: bool = False
    #: `pictures.vram`.
    vram: int = 0
    #: Somebody works on what is in line.
    open: bool = True


async def condition(
    database: Database, settings: Settings, *, now: datetime, process: int | None = None, is_open: bool = True
) -> Condition:
    """`process` is the house's, where that is not this one."""
    machine = await asyncio.to_thread(monitor.look, settings.home, process)
    made = await asyncio.to_thread(choice, settings)
    async with database.read() as tx:
        pictures = await figures.of_pictures(tx, now=now)
        met = await promises.met(tx)
    return Condition(
        machine=machine,
        pictures=pictures,
        record=estimating.record(met),
        painter=made.found.name if made.found else "",
        why=made.reason,
        painter_off=settings.pictures.models == "off",
        vram=settings.pictures.vram,
        open=is_open,
    )


def verdict(found: Condition) -> list[Said]:
    """What is wrong and what mends it, the most urgent first; or that all is well."""
    return list(_wrong(found)) or [say("status.verdict.well")]


def _wrong(found: Condition) -> Iterator[Said]:
    system, pictures = found.machine.system, found.pictures
    if system.disk and system.disk_free < DISK_LOW:
        yield say("status.verdict.disk", free=gigabytes(system.disk_free))
    for gpu in found.machine.gpus:
        if gpu.temperature is not None and gpu.temperature >= HOT:
            yield say("status.verdict.hot", gpu=gpu.name, degrees=gpu.temperature)
        if gpu.share >= GPU_FULL:
            yield _full(gpu, found.vram)
    if system.memory_free is not None and system.memory_free < system.memory * MEMORY_LOW:
        yield say("status.verdict.memory", free=gigabytes(system.memory_free))
    if pictures.waiting and not found.open:
        yield say("status.verdict.closed", n=pictures.waiting)
    elif pictures.waiting > FEW and pictures.asked > pictures.pictures * GROWS:
        yield say(
            "status.verdict.growing", asked=pictures.asked, made=pictures.pictures, waiting=pictures.waiting
        )
    if pictures.failed >= FAILURES and pictures.failed >= pictures.ended * OFTEN:
        reason = pictures.reason
        if not isinstance(reason, Said) or len(reason) > LONGEST_REASON:
            reason = " ".join(reason.split())
            reason = reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"
        yield say(
            "status.verdict.failing", failed=pictures.failed, ended=pictures.ended, reason=reason or "–"
        )
    if not found.painter and not found.painter_off:
        yield say("status.verdict.no_painter", why=found.why)


def _full(gpu: Gpu, vram: int) -> Said:
    told = {"gpu": gpu.name, "used": gigabytes(gpu.used), "total": gigabytes(gpu.total)}
    smaller = [
        bound for bound in BOUNDS if bound * GIBIBYTE <= gpu.total * BESIDE and (not vram or bound < vram)
    ]
    if smaller:
        return say("status.verdict.gpu_full", **told, vram=str(smaller[0]))
    return say("status.verdict.gpu_full_all_the_same", **told)


def gigabytes(count: int) -> float:
    return round(count / GIGABYTE, 1)
