"""`greenroom status`: how the house is at this moment, and what one should do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening

if TYPE_CHECKING:
    from datetime import datetime

    from engine.condition import Condition
    from engine.home import Address
    from engine.monitor import Gpu, System
    from engine.settings import Settings
    from engine.store.database import Database

#: Of the jobs that are done, so many of the last are told; of those in work, so many at most.
DONE, IN_WORK = 3, 8

#: A row's name, what it says, and its colour where it has one.
Row = tuple[str, str, str]

QUIET = "bright_black"


@dataclass(frozen=True)
class Use:
    """What one job uses or has used of the machine."""

    job: int
    state: str
    step: int
    steps: int
    #: In work so far, or of one picture that is done.
    seconds: float
    #: As they were made; none while it is in work.
    pictures: int = 0
    device: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@click.command()
@opening.as_json
def status(as_json: bool) -> None:
    """GPU, memory, the queue, the last pictures, and a verdict.

    It works beside a running house, and where none runs.
    """
    from engine.clock import SystemClock
    from engine.home import Home

    settings = opening.settings_and_log()
    owner = Home(settings.home).owner()
    now = SystemClock().now()
    found, uses = opening.run_async(_look(settings, owner, now))
    if as_json:
        opening.put_json(_as_json(found, uses, owner))
    else:
        _draw(found, uses, owner, settings, now)


async def _look(settings: Settings, owner: Address | None, now: datetime) -> tuple[Condition, list[Use]]:
    from engine.condition import condition

    async with opening.store(settings) as database:
        # On PostgreSQL others may work on the line too: nobody here knows of them.
        is_open = owner is not None or not database.is_sqlite
        process = owner.pid if owner else None
        found = await condition(database, settings, now=now, process=process, is_open=is_open)
        return found, await _uses(database, now)


async def _uses(database: Database, now: datetime) -> list[Use]:
    """Of the jobs in work, and of the last that are done: the newest first."""
    from engine.store import jobs, pictures
    from engine.store.records import JobState

    async with database.read() as tx:
        running = await jobs.listing(tx, states=[JobState.RUNNING], limit=IN_WORK)
        done = await jobs.listing(tx, states=[JobState.DONE], limit=DONE)
        made = await pictures.of_jobs(tx, [job.id for job in done])
    uses = [
        Use(
            job.id,
            job.state.value,
            job.step,
            job.steps,
            round(max(0.0, (now - (job.started_at or now)).total_seconds()), 1),
        )
        for job in running
    ]
    for job in done:
        if there := made.get(job.id):
            each = sum(one.seconds for one in there) / len(there)
            memory = max(
                (one.facts["memory"] for one in there if "memory" in one.facts), key=_peak, default=None
            )
            uses.append(
                Use(
                    job.id,
                    job.state.value,
                    job.step,
                    job.steps,
                    round(each, 1),
                    len(there),
                    there[0].device,
                    {"memory": memory} if memory else {},
                )
            )
    return uses


def _peak(memory: dict[str, Any]) -> int:
    return int(memory["peak"])


def _as_json(found: Condition, uses: list[Use], owner: Address | None) -> dict[str, Any]:
    from engine.condition import verdict

    told = asdict(found)
    for lane in told["pictures"]["lanes"]:
        lane["oldest"] = lane["oldest"].isoformat() if lane["oldest"] else None
    return {
        "running": owner.url if owner else None,
        **told,
        "jobs": [asdict(use) for use in uses],
        "verdict": [str(one) for one in verdict(found)],
    }


def _draw(
    found: Condition, uses: list[Use], owner: Address | None, settings: Settings, now: datetime
) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.words import safe_line
    from engine.condition import verdict

    out = opening.console()
    out.print()
    out.print(opening.facts(_rows(found, uses, owner, settings, now)))
    out.print()
    said = verdict(found)
    well = [one.key for one in said] == ["status.verdict.well"]
    mark, colour = ("✓", "green") if well else ("→", "yellow")
    advice = Table.grid(padding=(0, 1))
    for one in said:
        advice.add_row(Text(f" {mark}", colour), Text(safe_line(one), "green" if well else ""))
    out.print(advice)


def _rows(
    found: Condition, uses: list[Use], owner: Address | None, settings: Settings, now: datetime
) -> Iterator[Row]:
    if owner is not None:
        yield "house", f"runs at {owner.url} (process {owner.pid})", ""
    else:
        yield "house", "does not run here: `greenroom up` opens it", QUIET
    for gpu in found.machine.gpus:
        yield _gpu(gpu)
    if not found.machine.gpus:
        yield "GPU", f"none: {found.machine.no_gpu}", QUIET
    yield from _system(found.machine.system, settings, running=owner is not None)
    yield "picture model", found.painter or found.why, "" if found.painter else QUIET
    yield from _pictures(found, now)
    yield from map(_use, uses)
    yield _estimates(found)


def _use(use: Use) -> Row:
    from bot.cli.jobs import used
    from bot.terminal.words import counted

    if not use.pictures:
        step = f"step {use.step} of {use.steps}" if use.steps else "just begun"
        return "jobs", f"{use.job}: {step}, in work for {_span(use.seconds)}", ""
    each = used(use.seconds, use.facts)
    return "jobs", f"{use.job}: {counted(use.pictures, 'picture')} on {use.device}, each {each}", QUIET


def _gpu(gpu: Gpu) -> Row:
    from bot.terminal.drawing import bar
    from engine.condition import GPU_FULL, HOT

    parts = [gpu.name]
    if gpu.total:
        parts.append(f"{bar(gpu.used, gpu.total, 12)} {_size(gpu.used)} of {_size(gpu.total)}")
    if gpu.busy is not None:
        parts.append(f"{gpu.busy} % busy")
    if gpu.temperature is not None:
        parts.append(f"{gpu.temperature} °C")
    hot = gpu.temperature is not None and gpu.temperature >= HOT
    return "GPU", " · ".join(parts), "yellow" if hot or gpu.share >= GPU_FULL else ""


def _system(system: System, settings: Settings, *, running: bool) -> Iterator[Row]:
    from bot.terminal.drawing import bar
    from engine.condition import DISK_LOW, MEMORY_LOW

    parts = [f"{_size(system.memory)} in all"] if system.memory else []
    low = False
    if system.memory_free is not None and system.memory:
        taken = max(0, system.memory - system.memory_free)
        parts = [f"{bar(taken, system.memory, 12)} {_size(taken)} of {_size(system.memory)}"]
        low = system.memory_free < system.memory * MEMORY_LOW
    if running and system.process is not None:
        parts.append(f"{_size(system.process)} of it Greenroom's")
    if system.load is not None:
        parts.append(f"load {system.load:.1f} on {system.cores} {'core' if system.cores == 1 else 'cores'}")
    yield "memory", " · ".join(parts), "yellow" if low else ""
    free = f"{_size(system.disk_free)} free of {_size(system.disk)} at {settings.home}"
    yield "disk", free, "yellow" if system.disk_free < DISK_LOW else ""


def _pictures(found: Condition, now: datetime) -> Iterator[Row]:
    from bot.terminal.words import counted

    pictures = found.pictures
    for lane in pictures.lanes:
        since = f", the oldest for {_span((now - lane.oldest).total_seconds())}" if lane.oldest else ""
        yield "queue", f"{lane.lane.value}: {lane.waiting} waiting{since}; {lane.running} in work", ""
    if not pictures.lanes:
        yield "queue", "nobody waits for a picture", QUIET
    for one in pictures.made:
        each = f"{counted(one.pictures, 'picture')}, {one.seconds:.1f} s each, {one.model} on {one.device}"
        yield "last hour", f"{each}{' (stand-ins)' if one.stand_in else ''}", ""
    if not pictures.made:
        yield "last hour", "no picture was made", QUIET
    if pictures.failed:
        share = f"{pictures.failed} of {counted(pictures.ended, 'job')} in the last day"
        yield "failures", f"{share}, most often: {pictures.reason or '–'}", "yellow"
    else:
        yield "failures", "none in the last day", QUIET


def _estimates(found: Condition) -> Row:
    record = found.record
    if record is None:
        return "estimates", "too few were given to say how good they are", QUIET
    told = f"of the last {record.promises}, {record.in_time:.0%} came before the later time"
    return "estimates", f"{told}; usually off by {record.off:.0%}", ""


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"


def _span(seconds: float) -> str:
    """Roughly, as one says it: `40 s`, `12 min`, `3 h`, `2 d`."""
    for most, unit, name in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < most:
            return f"{max(0, round(seconds / unit))} {name}"
    return f"{round(seconds / 86_400)} d"
