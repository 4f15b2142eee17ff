"""How fast a bot may write on Telegram, and that it is noticed if it does not wait."""

from __future__ import annotations

import pytest
from aiogram.exceptions import TelegramRetryAfter
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.on_telegram.client import Hands, client_of
from tests.servers.telegram import Rule, TelegramServer, rules


async def test_who_sends_too_fast_must_wait_and_is_noticed_if_he_does_not() -> None:
    clock = Hands()
    async with TelegramServer(scale=0.1, monotonic=clock) as server:
        bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom")
        for person in (mia, tom):
            server.private(bot, person, started=True)
        async with client_of(server, bot) as client:
            sent = [await client.send_message(mia.id, f"{at}") for at in range(3)]
            with pytest.raises(TelegramRetryAfter) as told:
                await client.edit_message_text("edit", chat_id=mia.id, message_id=sent[0].message_id)
            assert told.value.retry_after == 1
            assert (server.limited, server.broken) == ({"editMessageText": 1}, {})
            await client.send_message(tom.id, "another chat")
            with pytest.raises(TelegramRetryAfter):
                await client.send_message(mia.id, "still")
            assert server.broken == {Rule.IMPATIENT: 1}
            clock.now += 0.1
            await client.send_message(mia.id, "waited one second, scaled")
    assert server.broken == {Rule.IMPATIENT: 1}


async def test_the_rates_of_a_group_of_a_bot_and_of_drafts() -> None:
    clock = Hands()
    async with TelegramServer(monotonic=clock) as server:
        bot, mia = server.bot(), server.person("Mia")
        group = server.group("Studio", [bot], [mia])
        server.private(bot, mia, started=True)
        others = [server.private(bot, server.person(f"P{at}"), started=True) for at in range(31)]
        async with client_of(server, bot) as client:
            for _ in range(20):
                await client.send_message(group.id, "x")
                clock.now += 1
            with pytest.raises(TelegramRetryAfter) as told:
                await client.send_message(group.id, "x")
            assert told.value.retry_after == 40
            for _ in range(5):
                await client.send_message_draft(mia.id, 1, text="x")
            with pytest.raises(TelegramRetryAfter):
                await client.send_message_draft(mia.id, 1, text="x")
            await client.send_message(mia.id, "x")
            clock.now += 60
            for other in others[:30]:
                await client.send_message(other.id, "x")
            with pytest.raises(TelegramRetryAfter):
                await client.send_message(others[30].id, "x")
    assert server.limited == {"sendMessage": 2, "sendMessageDraft": 1}
    assert not server.broken


@given(st.lists(st.floats(0, 3), max_size=60), st.sampled_from([1.0, 0.05]))
def test_no_chat_gets_more_than_its_rate_and_who_waits_is_let_through(
    pauses: list[float], scale: float
) -> None:
    rates = rules.Rates()
    flood, now, sent = rules.Flood(rates, scale), 0.0, list[float]()
    for pause in pauses:
        now += pause * scale
        wait = flood.wait(now, 1, 2, "send", crowd=True, cost=1)
        if wait:
            now += wait * scale
            assert flood.wait(now, 1, 2, "send", crowd=True, cost=1) == 0
        sent.append(now)
    minute = 60 * scale - 1e-6
    assert all(sum(start <= at < start + minute for at in sent) <= 20 for start in sent)
    second = 10 * scale - 1e-6
    assert all(sum(start <= at < start + second for at in sent) <= 3 + 10 for start in sent)
