"""What the fronts stand: saturation, storms, strangers; and what they cost at rest. Both platforms are on loopback.

`python -m tests.bench fronts --only memory` takes one part alone; `--chats 20 --fuzz 500` and the like make it small.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench import acknowledging, storm
from tests.bench.engine import GREENROOM, ROOT
from tests.bench.harness import Figure, median, report
from tests.bot.strangers import Strangers
from tests.bot.town import Nursery, Town, nursery

PARTS = ("ack", "storm", "fuzz", "memory")
#: Of the strangers' deeds, so many before it is asked whether ordinary people are still answered.
BATCH = 100
CRASHES = ("part_failed", "part_ended", "part_given_up", "turn_failed")
#: For what is cached on first use; it is done before anything is measured.
WARM = 500


@dataclass
class Fuzzed:
    sent: int = 0
    crashes: int = 0
    passed_over: int = 0
    unfit: tuple[str, ...] = ()
    grown: float = 0.0
    tasks: tuple[int, int] = (0, 0)
    left: str = ""
    #: The end of the first crash's line in the log.
    first: str = ""
    broken: dict[str, int] | None = None


def resident(process: int) -> float:
    return float(psutil.Process(process).memory_info().rss / 1e6)


async def fuzz(count: int, seed: int) -> Fuzzed:
    """So many strange things, from one seed, with ordinary people between them."""
    told = Fuzzed()
    with nursery() as houses, tempfile.TemporaryDirectory() as folder:
        async with Town(Path(folder) / "home", houses, scale=0.02) as town:
            strangers = Strangers.of(town, random.Random(seed), formless=True)
            await town.open()
            assert houses.house is not None
            await _strange(strangers, WARM, first=0)
            memory, tasks = resident(houses.house), await _at_rest(houses)
            try:
                await _strange(strangers, count, first=WARM)
                told.sent = count
                after = await _at_rest(houses)
                told.grown = resident(houses.house) - memory
                told.tasks = len(tasks), len(after)
                told.left = ", ".join((Counter(after) - Counter(tasks)).keys())
            except (TimeoutError, AssertionError, TypeError):
                told.crashes += 1  # it answers nobody any more, or is gone
            log = [line for file in (town.home / "log").iterdir() for line in file.read_text().splitlines()]
            crashes = [line for line in log if any(f'"{name}"' in line for name in CRASHES)]
            told.crashes += len(crashes)
            told.first = crashes[0][-1_500:] if crashes else ""
            told.passed_over = len([line for line in log if "_not_understood" in line or "_failed" in line])
            told.unfit = tuple(strangers.unfit())
            told.broken = strangers.broken()
    return told


async def _strange(strangers: Strangers, count: int, *, first: int) -> None:
    for number in range(first, first + count):
        strangers.send_one()
        await asyncio.sleep(0)
        if number % BATCH == BATCH - 1:
            await strangers.still_answered(f"w{number}")


async def _at_rest(houses: Nursery) -> list[str]:
    """What runs when nobody says anything any more."""
    tasks = await houses.tasks()
    for _ in range(60):
        await asyncio.sleep(0.5)
        before, tasks = tasks, await houses.tasks()
        if before == tasks and not [one for one in tasks if "_work_off" in one or "_show_all" in one]:
            break
    return tasks


async def memory_at_rest() -> float:
    """Megabytes of `greenroom up` with a bot on each platform, some seconds after it opened."""
    with tempfile.TemporaryDirectory() as folder:
        async with Town(Path(folder) / "home", scale=1.0) as town:
            process = await asyncio.create_subprocess_exec(
                str(GREENROOM),
                "up",
                cwd=ROOT,
                env=os.environ
                | {
                    "GREENROOM_HOME": str(town.home),
                    "GREENROOM_WEB__PORT": "0",
                    "GREENROOM_TELEGRAM__TOKEN": town.telegram_bot.token,
                    "GREENROOM_TELEGRAM__API": town.telegram.url,
                    "GREENROOM_DISCORD__TOKEN": town.discord_bot.token,
                    "GREENROOM_DISCORD__API": town.discord.url,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                await town.until(
                    lambda: town.telegram.is_polled(town.telegram_bot) and town.discord_bot.commands, 60
                )
                await asyncio.sleep(5)
                return resident(process.pid)
            finally:
                process.terminate()
                await process.wait()


def ack_figures(taken: acknowledging.Taken) -> list[Figure]:
    busy, idle = taken.p99(acknowledging.BUSY), taken.p99(acknowledging.IDLE)
    trip = f"the loopback round trip: {median(taken.round_trips) * 1e3:.1f} ms"
    return [
        Figure("acknowledgement p99, saturated ÷ idle", busy / idle, "≤ 2", "lower", "1"),
        Figure("the same, of the kind that suffers most", taken.worst(), "told", "lower", "1"),
        Figure("acknowledgement p99 while saturated, seconds", busy, "< 0.3", "lower", trip),
        Figure("acknowledgement p99 while idle, seconds", idle, "told", "lower", trip),
        Figure(
            "never acknowledged, and rules broken",
            taken.unanswered + sum(taken.broken.values()),
            "0",
            "lower",
            "0",
        ),
    ]


def storm_figures(outcome: storm.Outcome) -> list[Figure]:
    accepted, answered = outcome.accepted.total(), outcome.answered.total()
    lost_pictures = outcome.pictures_asked - outcome.pictures_shown
    most = outcome.kills + outcome.answers_lost
    return [
        Figure("messages accepted in the storm", accepted, "told", "higher", str(outcome.told.total())),
        Figure("accepted and not answered", accepted - answered, "0", "lower", "0"),
        Figure(
            "shown again on Telegram",
            storm.duplicates(outcome, ["telegram"]),
            f"≤ {most}: {outcome.kills} kills, {outcome.answers_lost} answers lost on the way",
            "lower",
            "it has no key for repeats",
        ),
        Figure("shown again on Discord", storm.duplicates(outcome, ["discord"]), "0", "lower", "0"),
        Figure("pictures asked for and not delivered", lost_pictures, "0", "lower", "0"),
        Figure("platform rules broken in the storm", sum(outcome.broken.values()), "0", "lower", "0"),
    ]


def fuzz_figures(told: Fuzzed) -> list[Figure]:
    before, after = told.tasks
    return [
        Figure("strange updates, events and interactions", told.sent, "20,000", "higher", "what was sent"),
        Figure("crashes", told.crashes, "0", "lower", "0"),
        Figure("shown to a person though only we understand it", len(told.unfit), "0", "lower", "0"),
        Figure("memory grown meanwhile, MB", told.grown, "told", "lower", "0"),
        Figure("tasks left over", after - before, "0", "lower", "0"),
        Figure("platform rules broken", sum((told.broken or {}).values()), "0", "lower", "0"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    options.add_argument("--rounds", type=int, default=5, help="of idle and saturated phases")
    options.add_argument("--seconds", type=float, default=8.0, help="of each phase")
    options.add_argument(
        "--load", type=int, default=8, help="chats on each platform that want replies; the model has 16 rows"
    )
    options.add_argument("--chats", type=int, default=500, help="on each platform, in the storm")
    options.add_argument("--messages", type=int, default=2, help="from each of them")
    options.add_argument("--kills", type=int, default=5)
    options.add_argument("--storm", type=float, default=90.0, help="seconds over which they speak")
    options.add_argument("--scale", type=float, default=0.2, help="of the platforms' limits in the storm")
    options.add_argument("--fuzz", type=int, default=20_000, help="strange things")
    options.add_argument("--seed", type=int, default=20_261_121)
    chosen = options.parse_args(arguments)
    parts = chosen.only or PARTS
    if "ack" in parts:
        taken = asyncio.run(acknowledging.take(chosen.rounds, chosen.seconds, chosen.load))
        how = (
            f"{chosen.rounds} rounds of {chosen.seconds:.0f} s idle and {chosen.seconds:.0f} s saturated, in turn;"
            f" saturated by {2 * chosen.load} chats that a real model of 125 million parameters answers, and by a"
            " tiny SDXL that paints without a pause"
        )
        report("fronts: acknowledgement", ack_figures(taken), taken.told(), how=how)
    if "storm" in parts:
        outcome = asyncio.run(
            storm.blow(
                chats=chosen.chats,
                messages=chosen.messages,
                kills=chosen.kills,
                seconds=chosen.storm,
                scale=chosen.scale,
                seed=chosen.seed,
            )
        )
        how = (
            f"once, {chosen.chats} chats on each platform, limits and waits × {chosen.scale:g}; of 100 calls"
            f" 1 is met with 429, 1 with 5xx, 1 loses its connection; seed {chosen.seed}"
        )
        report("fronts: storm", storm_figures(outcome), outcome.told_words(), how=how)
    if "fuzz" in parts:
        told = asyncio.run(fuzz(chosen.fuzz, chosen.seed))
        notes = "\n".join(
            [
                f"tasks before and after: {told.tasks[0]} and {told.tasks[1]}; new among them: {told.left or 'none'}",
                f"passed over with a line in the log: {told.passed_over}",
                f"broken rules: {told.broken or 'none'}",
                *([f"the first crash: …{told.first}"] if told.first else []),
                *[words[:200] for words in told.unfit[:5]],
            ]
        )
        report(
            "fronts: strangers",
            fuzz_figures(told),
            notes,
            how=f"once, limits and waits × 0.02, seed {chosen.seed}",
        )
    if "memory" in parts:
        figure = Figure(
            "memory at rest with both fronts, MB",
            asyncio.run(memory_at_rest()),
            "≤ 220",
            "lower",
            "Python, aiogram and discord.py imported: see notes",
        )
        imported = _imported()
        report(
            "fronts: memory",
            [figure],
            f"Python with aiogram and discord.py imported: {imported:.0f} MB",
            how="once",
        )


def _imported() -> float:
    """Megabytes of a Python that imported what the fronts are made of, and does nothing."""
    code = "import aiogram, discord, psutil; print(psutil.Process().memory_info().rss / 1e6)"
    told = subprocess.run(
        [str(GREENROOM.parent / "python"), "-W", "ignore", "-c", code], capture_output=True, check=True
    )
    return float(told.stdout)


if __name__ == "__main__":
    main()
