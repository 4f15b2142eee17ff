"""A house that works in a process of its own, and may be killed at any moment; who kills it is `pictures_killed`.

Reads a line with a home for each life, forks, and writes down when that life works and how it ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bot.logs import start_logging
from engine.engine import Engine
from engine.home import Home
from engine.pictures import PictureWanted, Preview, Progress, Rendered
from engine.testing import FakeRenderer
from tests.bench.pictures_house import settings_of
from tests.working import working

#: Seconds that a step takes.
STEP = 0.002


class Quick(FakeRenderer):
    """Takes a moment for each step, so that there are moments between them."""

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        def slowly(step: int, steps: int, preview: Preview | None = None) -> None:
            time.sleep(STEP)
            progress(step, steps, preview)

        return super().render(wanted, slowly)


async def live(home: Path) -> None:
    settings = settings_of(home)
    start_logging(Home(home).log, settings.log, console=False)
    async with Engine.open(settings, renderer=Quick()) as engine, working(engine):
        print(json.dumps({"works": os.getpid()}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    # Everything is imported once; each life is a fork of this process, which itself opens nothing.
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(live(Path(json.loads(line)["home"])))
            finally:
                os._exit(1)
        print(json.dumps({"born": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
