"""A house that calls back, and kills its own process at a named point; `test_called_back.py` starts it again.

What it wraps is wrapped here: the product knows of no points, and its pauses are as long as they are.
"""

from __future__ import annotations

import asyncio
import sys

import engine.callbacks
from bot.house import open_house
from engine.pictures.worker import Worker
from engine.settings_file import read_settings
from engine.store import callbacks
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.house_to_kill import Countdown, Point, wrap

#: What is about to be done when the process dies.
POINTS: dict[str, Point] = {
    "a picture is made": (Worker, "work"),
    "what became of a callback is noted": (callbacks, "tried"),
}


async def live(point: str, nth: int) -> None:
    if point:
        wrap(POINTS[point], "before", Countdown(nth))
    engine.callbacks.PAUSES = (0.01,) * len(engine.callbacks.PAUSES)
    engine.callbacks.LOOK_EVERY = 0.05
    async with open_house(read_settings(), models=[FakeLanguage()], renderer=FakeRenderer()) as house:
        await house.stop.wait()


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], int(sys.argv[2])))
