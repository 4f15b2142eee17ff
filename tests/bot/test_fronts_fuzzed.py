"""Strange updates, events and interactions: the house stays, and nobody reads what only we understand."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.bot.strangers import Strangers
from tests.bot.town import Town

STRANGE = 300
#: What must never happen, by its name in the log, and what must not where nothing is broken.
ENDS = {"part_failed", "part_ended", "part_given_up", "turn_failed"}
FAILURES = {"telegram_news_failed", "discord_event_failed", "discord_event_not_understood"}


def running() -> Counter[str]:
    """What runs in this process, but for the platforms: theirs are as many as there are connections."""
    tasks = [task.get_coro() for task in asyncio.all_tasks()]
    codes = [getattr(one, "cr_code", None) for one in tasks]
    ours = [code for code in codes if code and not {"aiohttp", "servers"} & set(Path(code.co_filename).parts)]
    return Counter(code.co_qualname for code in ours)


@pytest.mark.parametrize("broken", [False, True], ids=["right forms", "broken forms"])
async def test_strange_things_harm_nobody(tmp_path: Path, broken: bool) -> None:
    seed = 20_261_121  # the bench takes others, and many more of them
    async with Town(tmp_path / "home", scale=0.02) as town:
        strangers = Strangers.of(town, random.Random(seed), formless=broken)
        with capture_logs() as logs:
            async with town.inside() as house:
                await strangers.still_answered("w1")
                await house.desk.quiet()
                before = running()
                for _ in range(STRANGE):
                    strangers.send_one()
                    await asyncio.sleep(0.005)
                await strangers.still_answered("w2")
                await house.desk.quiet()
                await town.until(lambda: running() <= before)
        assert strangers.unfit() == []
        # What has no form may be passed over, with a line in the log; what has one is understood.
        harm = ENDS if broken else ENDS | FAILURES
        assert [one for one in logs if one["event"] in harm] == []
        assert not strangers.broken(), town.breaches
