"""What Discord does wrong on request: calls that fail, are lost or are held, and events that come twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from tests.servers.discord import DiscordServer, Fault, Faults
from tests.servers.on_discord.parrot import Parrot, Place, eventually, spoken


async def test_a_call_may_have_been_done_though_the_answer_speaks_of_trouble(place: Place) -> None:
    place.server.fail_next("POST /channels/{channel}/messages", Fault.ERROR_AFTER)
    address = f"{place.server.api_url}/channels/{place.general.id}/messages"
    headers = {"Authorization": f"Bot {place.bot.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(address, json={"content": "done"}) as told,
    ):
        assert told.status == 502
    assert [one.content for one in place.general.messages] == ["done"]


async def test_an_injected_429_is_waited_out(place: Place, parrot: Parrot) -> None:
    place.server.fail_next("POST /channels/{channel}/messages", Fault.RATE_LIMIT)
    await spoken(parrot, place.general).send("in the end")
    assert [one.content for one in place.general.messages] == ["in the end"]
    assert not place.server.broken


@pytest.mark.parametrize(("fault", "there"), [(Fault.DROP_BEFORE, 0), (Fault.DROP_AFTER, 1)])
async def test_a_dropped_call_may_have_been_done(
    place: Place, parrot: Parrot, fault: Fault, there: int
) -> None:
    place.server.fail_next("POST /channels/{channel}/messages", fault)
    with pytest.raises(aiohttp.ClientError):
        await spoken(parrot, place.general).send("hello?", nonce="1")
    assert len(place.general.messages) == there
    await spoken(parrot, place.general).send("hello?", nonce="1")
    assert len(place.general.messages) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_a_call_can_be_held_around_its_effect(place: Place, parrot: Parrot, after: bool) -> None:
    held = place.server.hold("POST /channels/{channel}/messages", after=after)
    sending = asyncio.create_task(spoken(parrot, place.general).send("hold on"))
    await held.reached()
    assert len(place.general.messages) == int(after)
    held.release()
    await sending
    assert len(place.general.messages) == 1


async def test_an_event_can_be_sent_twice_or_made_up(place: Place, parrot: Parrot) -> None:
    await place.general.says(place.mia, "once")
    place.server.replay(place.bot, "MESSAGE_CREATE")
    place.server.push_raw(place.bot, "NOBODY_KNOWS", {"id": None})
    await eventually(lambda: "NOBODY_KNOWS" in parrot.seen)
    assert [one.content for one in parrot.heard] == ["once", "once"]
    assert parrot.heard[0].id == parrot.heard[1].id


async def test_the_same_seed_fails_alike() -> None:
    def drawn() -> Iterator[Fault | None]:
        faults = Faults(rate_429=0.2, rate_5xx=0.2, rate_drop_after=0.2, seed=4)
        return (faults.draw("GET /users/@me") for _ in range(50))

    first = list(drawn())
    assert first == list(drawn())
    assert {Fault.RATE_LIMIT, Fault.ERROR_502, Fault.DROP_AFTER, None} == set(first)


async def test_a_route_that_is_not_there_cannot_fail(server: DiscordServer) -> None:
    with pytest.raises(KeyError):
        server.fail_next("POST /channels/{id}/messages", Fault.DROP_AFTER)


async def test_a_call_takes_effect_though_its_sender_died_while_it_was_held(
    place: Place, parrot: Parrot
) -> None:
    held = place.server.hold("POST /channels/{channel}/messages")
    sending = asyncio.create_task(spoken(parrot, place.general).send("last words", nonce="w"))
    await held.reached()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    held.release()
    await place.general.until(lambda c: c.messages)
    await spoken(parrot, place.general).send("last words", nonce="w")
    assert len(place.general.messages) == 1
