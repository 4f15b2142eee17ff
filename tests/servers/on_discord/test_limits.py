"""How often something may be asked of Discord, and that it is counted if somebody does not wait."""

from __future__ import annotations

import asyncio

import aiohttp
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.discord import DiscordServer, pointed_at
from tests.servers.discord.limits import SEND, Buckets
from tests.servers.on_discord.parrot import SCALE, Parrot, Place, running, spoken

WEBHOOK = "GET /webhooks/{webhook}/{token}"


async def test_the_client_waits_as_the_scaled_headers_say(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    await asyncio.gather(*(channel.send(str(n)) for n in range(12)))
    first, *_, last = place.general.history
    assert last.at - first.at >= 2 * 5 * SCALE * 0.9
    assert len(place.general.messages) == 12
    assert not place.server.broken


async def test_who_does_not_wait_is_counted(place: Place) -> None:
    address = f"{place.server.api_url}/channels/{place.general.id}/messages"
    headers = {"Authorization": f"Bot {place.bot.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for n in range(6):
            async with session.post(address, json={"content": str(n)}) as answer:
                status = answer.status
        assert status == 429
        assert answer.headers["Via"]
        assert place.server.limited == {"POST /channels/{channel}/messages": 1}
        assert not place.server.broken
        async with session.post(address, json={"content": "5"}):
            pass
    assert place.server.broken == {"sent again before retry_after had passed": 1}


async def test_calls_to_webhooks_count_in_all_when_they_are_signed_and_interactions_do_not() -> None:
    # A clock that stands: no window ends.
    async with DiscordServer(scale=SCALE, monotonic=lambda: 0.0) as server:
        place = Place(server)
        with pointed_at(server):
            async with running(Parrot(), place.bot):
                asked = await place.general.command(place.mia, "whisper")
                await asked.until_answered()
        webhook = place.general.webhook("Cast", place.bot)
        hooked = f"{server.api_url}/webhooks/{webhook.id}/{webhook.token}"
        answer = f"{server.api_url}/webhooks/{place.bot.id}/{asked.token}/messages/@original"

        async def limited(address: str, headers: dict[str, str]) -> bool:
            async with aiohttp.ClientSession(headers=headers) as session, session.get(address) as told:
                return told.status == 429 and told.headers["X-RateLimit-Scope"] == "global"

        signed = {"Authorization": f"Bot {place.bot.token}"}
        while not (over := await limited(hooked, signed)) and server.calls[WEBHOOK] < 20:
            await limited(f"{server.api_url}/users/@me", signed)
            await limited(f"{server.api_url}/channels/{place.general.id}", signed)
        assert over
        assert not await limited(answer, signed)
        assert not await limited(hooked, {})


async def test_a_guest_follows_up_five_times(server: DiscordServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    mia.installs(bot)
    elsewhere = server.guild("Elsewhere", people=[mia]).text_channel("general")
    async with running(Parrot(), bot):
        asked = await elsewhere.command(mia, "whisper")
        await asked.until_answered()
    address = f"{server.api_url}/webhooks/{bot.id}/{asked.token}"
    async with aiohttp.ClientSession() as session:
        statuses = []
        for number in range(6):
            async with session.post(address, json={"content": str(number)}) as told:
                statuses.append(told.status)
            await asyncio.sleep(2 * SCALE / 5)
    assert statuses == [200] * 5 + [400]
    assert server.ledger.refused[40094] == 1


@given(steps=st.lists(st.floats(0, 2), max_size=80), scale=st.sampled_from([0.05, 1.0]))
def test_a_bucket_never_lets_more_through_than_it_says(steps: list[float], scale: float) -> None:
    now = 0.0
    buckets = Buckets(scale, lambda: now)
    began, passed = -1000.0, 0
    for step in steps:
        now += step * scale
        taken = buckets.take(SEND, "here")
        if now >= began + SEND.seconds * scale:
            began, passed = now, 0
        passed += taken.retry_after is None
        assert passed <= SEND.count
        if taken.retry_after is not None:
            assert passed == SEND.count
        assert taken.reset_after <= SEND.seconds * scale + 0.001
