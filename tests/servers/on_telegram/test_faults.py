"""What Telegram does wrong by order and by chance: calls that fail, are lost, are held, or are done for the dead."""

from __future__ import annotations

import asyncio

import pytest
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)

from tests.servers.on_telegram.client import client_of, keys
from tests.servers.telegram import Fault, Faults, TelegramServer


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        (Fault.LIMITED, TelegramRetryAfter, 0),
        (Fault.SERVER_ERROR, TelegramServerError, 0),
        (Fault.BAD_GATEWAY, TelegramServerError, 0),
        (Fault.GATEWAY_PAGE, ClientDecodeError, 0),
        (Fault.DROP_BEFORE, TelegramNetworkError, 0),
        (Fault.DROP_AFTER, TelegramNetworkError, 1),
    ],
)
async def test_a_fault_by_order(
    server: TelegramServer, fault: Fault, error: type[Exception], happened: int
) -> None:
    bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom")
    chat = server.private(bot, mia, started=True)
    server.private(bot, tom, started=True)
    server.fail_next("sendMessage", fault, match=lambda params: params["chat_id"] == str(mia.id))
    async with client_of(server, bot) as client:
        await client.send_message(tom.id, "not this one")
        with pytest.raises(error):
            await client.send_message(mia.id, "this one")
        assert len(chat.messages) == happened
    assert not server.broken


async def test_faults_by_chance_are_the_same_for_the_same_seed() -> None:
    async def run(seed: int) -> list[str]:
        faults = Faults(rate_429=0.1, rate_5xx=0.2, rate_drop_before=0.1, rate_drop_after=0.1, seed=seed)
        async with TelegramServer(faults=faults) as server:
            bot, mia = server.bot(), server.person("Mia")
            server.private(bot, mia, started=True)
            seen = []
            async with client_of(server, bot) as client:
                for at in range(40):
                    try:
                        await client.get_chat_member(mia.id, mia.id if at % 2 else bot.id)
                        seen.append("fine")
                    except (TelegramAPIError, ClientDecodeError) as error:
                        seen.append(type(error).__name__)
            return seen

    one, again, other = await run(1), await run(1), await run(2)
    assert one == again != other
    assert {"fine", "TelegramServerError", "TelegramNetworkError"} <= set(one)


async def test_a_call_is_held_in_the_window_and_let_go(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        before, after = server.hold("sendMessage"), server.hold("sendMessage", "after")
        first = asyncio.create_task(client.send_message(mia.id, "one"))
        assert (await before.reached())["text"] == "one"
        second = asyncio.create_task(client.send_message(mia.id, "two"))
        await after.reached()
        assert [one.text for one in chat.messages] == ["two"]
        before.release()
        after.release(drop=True)
        assert (await first).text == "one"
        with pytest.raises(TelegramNetworkError):
            await second
    assert [one.text for one in chat.messages] == ["two", "one"]


async def test_a_call_that_is_held_before_it_takes_effect_can_be_lost(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as client:
        hold = server.hold("sendMessage")
        call = asyncio.create_task(client.send_message(mia.id, "one"))
        await hold.reached()
        hold.release(drop=True)
        with pytest.raises(TelegramNetworkError):
            await call
    assert chat.messages == []


async def test_what_a_dead_client_asked_for_is_done_and_may_be_asked_again(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    async with client_of(server, bot) as first:
        await first.send_message(mia.id, "Press", reply_markup=keys("a"))
        press = await chat.presses(mia, chat.messages[0], "a")
        hold = server.hold("answerCallbackQuery", "after")
        call = asyncio.create_task(first.answer_callback_query(press.id, text="Yes"))
        await hold.reached()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    hold.release()
    assert (await press.answered()).text == "Yes"
    async with client_of(server, bot) as second:
        assert await second.answer_callback_query(press.id, text="Yes")
    assert not server.broken
