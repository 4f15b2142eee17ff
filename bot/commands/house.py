"""Commands about the house: what there is, how it begins, how it stops, and, for operators, how it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot import orders
from bot.commands.calling import Answer, Call, Command
from bot.progress import told_record
from engine import limits
from engine.condition import condition, gigabytes, verdict
from engine.locales import locale_of
from engine.monitor import Machine
from engine.store import chats, figures

MEGABYTE = 1_000_000


async def _help(call: Call) -> None:
    operator = await call.is_operator()
    await call.tell("\n\n".join(_topics(call, call.commands, operator=operator)))


def _topics(call: Call, commands: Iterable[Command], *, operator: bool) -> Iterable[str]:
    """One line for each command that whoever asks may give, under its heading."""
    topics: dict[str, list[str]] = {}
    for command in commands:
        if command.listed and (operator or not command.operators_only):
            line = f"/{command.name}: {call.say(f'commands.{command.name}.says')}"
            topics.setdefault(command.topic, []).append(line)
    for topic, lines in topics.items():
        yield "\n".join([call.say(f"commands.topics.{topic}"), *lines])


async def _start(call: Call) -> None:
    async def happens(answer: Answer) -> None:
        place = await chats.place(answer.tx, call.place.ref)
        if place is None or place.head_turn_id is None:
            await call.engine.presence.start_over(answer.tx, call.place, call.person)
        answer.text = call.say("status.start")

    await call.answer(happens)


async def _stop(call: Call) -> None:
    await call.tell(call.say("status.stopped"))


async def _status(call: Call) -> None:
    now = call.engine.clock.now()
    async with call.engine.database.read() as tx:
        found = await figures.of_house(tx, since=now - limits.DAY)
    owed = call.say("status.owed", n=found.owed)
    lines = [
        *_uptime(call),
        call.say("status.fronts", fronts=found.fronts) if found.fronts else "",
        call.say("status.people", people=found.people, places=found.places, active=found.active_people),
        call.say("status.turns", n=found.turns),
        *(call.say(f"status.replies.{source}", n=count) for source, count in sorted(found.replies.items())),
        *_models(call),
        call.say("status.jobs", queued=found.queued, running=found.running, failed=found.failed),
        owed,
        call.say("status.database", megabytes=round(found.database_bytes / MEGABYTE, 1)),
        *_memory(call),
        *await _condition(call, now),
    ]
    await call.tell("\n".join(line for line in lines if line))


def _uptime(call: Call) -> Iterable[str]:
    began = _process_began()
    if began is not None:
        up = timedelta(seconds=max(1.0, time.time() - began))
        since = datetime.fromtimestamp(began, UTC)
        yield call.say("status.up", since=f"{since:%Y-%m-%d %H:%M} UTC", up=up)


def _models(call: Call) -> Iterable[str]:
    """Whoever writes, and how they are."""
    for name, state, why in call.engine.shelf.told():
        yield call.say(
            "status.model", model=name, state=call.say(f"status.model_is.{state.value}"), why=why or "–"
        )


def _memory(call: Call) -> Iterable[str]:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return  # only Linux tells it so
    yield call.say("status.memory", megabytes=round(pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE))


async def _condition(call: Call, now: datetime) -> list[str]:
    """The machine in short, how good estimates were, and what should be done."""
    found = await condition(call.engine.database, call.engine.settings, now=now)
    told_of_estimates = told_record(locale_of(call.person.language), found.record)
    advice = (call.say("status.verdict.is", verdict=one) for one in verdict(found))
    return [*_machine(call, found.machine), told_of_estimates, *advice]


def _machine(call: Call, machine: Machine) -> Iterable[str]:
    for gpu in machine.gpus:
        yield call.say(
            "status.gpu",
            gpu=gpu.name,
            used=gigabytes(gpu.used),
            total=gigabytes(gpu.total),
            busy=_or_dash(gpu.busy),
            degrees=_or_dash(gpu.temperature),
        )
    system = machine.system
    if system.memory_free is not None:
        yield call.say(
            "status.system",
            free=gigabytes(system.memory_free),
            total=gigabytes(system.memory),
            disk=gigabytes(system.disk_free),
        )


def _or_dash(number: int | None) -> object:
    return "–" if number is None else number


def _process_began() -> float | None:
    """When this process began, in seconds of the wall clock; None where the system does not tell."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return time.time() - (up - ticks / os.sysconf("SC_CLK_TCK"))


COMMANDS = (
    Command("start", _start, topic="house"),
    # The desk obeys it at once; in line it is only answered.
    Command(orders.STOP, _stop, topic="talk", quiet=True),
    Command("status", _status, topic="house", quiet=True, operators_only=True),
    Command("help", _help, topic="house", quiet=True),
)
