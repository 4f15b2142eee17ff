"""A house that works in a process of its own, and may be killed at any moment; who kills it is `pictures_killed`.

Reads a line with a home for each life, forks, and writes down when that life works and how it ended.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from bot.logs import start_logging
from engine.engine import Engine
from engine.home import Home
from engine.testing import FakeRenderer
from tests.bench.pictures_house import settings_of
from tests.lives import bear
from tests.working import working

#: Seconds that a step takes, so that there are moments between them.
STEP = 0.002


async def live(order: dict[str, str]) -> None:
    home = Path(order["home"])
    settings = settings_of(home)
    start_logging(Home(home).log, settings.log, console=False)
    async with Engine.open(settings, renderer=FakeRenderer(pause=STEP)) as engine, working(engine):
        print(json.dumps({"works": os.getpid()}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    bear(live)
