"""A platform on loopback holds nobody to the time in which nothing could go on, and everybody to the rest."""

from __future__ import annotations

import asyncio
import time

from tests.servers.discord import DiscordServer
from tests.servers.stalls import Stalls


async def test_time_in_which_the_loop_stood_still_is_lost_and_other_time_is_not() -> None:
    stalls = Stalls()
    assert stalls.lost() == 0
    stalls.start()
    await asyncio.sleep(0.05)
    before = stalls.lost()
    time.sleep(0.3)  # noqa: ASYNC251 - what a busy machine does to a loop
    at_once = stalls.lost() - before
    await asyncio.sleep(0.05)
    later = stalls.lost() - before
    await stalls.stop()
    stopped = stalls.lost()
    time.sleep(0.1)  # noqa: ASYNC251 - nobody is asked for anything any more
    assert stalls.lost() == stopped
    assert at_once > 0.25, "whoever looks before the next beat knows of it too"
    assert later >= at_once


async def test_an_interaction_may_be_acknowledged_for_as_long_as_somebody_could() -> None:
    async with DiscordServer(scale=0.05) as server:
        bot, mia = server.bot(), server.person("Mia")
        general = server.guild("Studio", bots=[bot], people=[mia]).text_channel("general")
        bot.commands[1] = {"id": "1", "name": "whisper", "type": 1, "options": []}
        await asyncio.sleep(0.05)
        asked = await general.command(mia, "whisper")
        time.sleep(0.3)  # noqa: ASYNC251 - twice as long as anybody has
        assert not asked.failed
        async with asyncio.timeout(30):
            while not asked.failed:  # noqa: ASYNC110 - nobody acknowledges it
                await asyncio.sleep(0.01)
