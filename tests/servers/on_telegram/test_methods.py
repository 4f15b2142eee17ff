"""The methods of the Telegram of the tests are aiogram's, and a call that is not right is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram import methods
from aiogram.enums import ChatAction
from aiogram.exceptions import TelegramBadRequest, TelegramNotFound
from aiogram.types import BotCommand, BotCommandScopeAllPrivateChats
from aiohttp import ClientSession, FormData

from tests.servers.on_telegram.client import client_of
from tests.servers.telegram import Rule, TelegramServer
from tests.servers.telegram.table import METHODS
from tests.servers.telegram.world import Bot


async def _post(server: TelegramServer, bot: Bot, method: str, data: Any) -> int:
    async with (
        ClientSession() as session,
        session.post(f"{server.url}/bot{bot.token}/{method}", **data) as answer,
    ):
        assert answer.content_type == "application/json"
        return answer.status


async def test_unknown_methods_and_parameters_and_wrong_types(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    assert await _post(server, bot, "sendTelepathy", {"json": {}}) == 404
    assert server.broken == {Rule.UNKNOWN_METHOD: 1}
    call = {"chat_id": mia.id, "text": "hi"}
    assert await _post(server, bot, "sendMessage", {"json": {**call, "colour": "green"}}) == 200
    assert await _post(server, bot, "SENDMESSAGE", {"json": {**call, "text": 5}}) == 400
    assert await _post(server, bot, "sendMessage", {"json": {**call, "entities": {"type": "bold"}}}) == 400
    form = FormData({"chat_id": "first", "text": "hi"})
    assert await _post(server, bot, "sendMessage", {"data": form}) == 400
    assert (
        await _post(
            server, bot, "sendMessage", {"data": b"{", "headers": {"Content-Type": "application/json"}}
        )
        == 400
    )
    assert await _post(server, bot, "sendMessage", {"json": {"chat_id": mia.id}}) == 400
    assert server.broken == {
        Rule.UNKNOWN_METHOD: 1,
        Rule.UNKNOWN_PARAMETER: 1,
        Rule.WRONG_TYPE: 4,
        Rule.MISSING_PARAMETER: 1,
    }


async def test_what_a_bot_says_about_itself(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    server.private(bot, mia, started=True)
    commands = [BotCommand(command="imagine", description="Make a picture")]
    scope = BotCommandScopeAllPrivateChats()
    async with client_of(server, bot) as client:
        assert await client.set_my_commands(commands, scope=scope, language_code="de")
        kept = await client.get_my_commands(scope=scope, language_code="de")
        assert [(one.command, one.description) for one in kept] == [("imagine", "Make a picture")]
        assert await client.get_my_commands() == []
        assert await client.delete_my_commands(scope=scope, language_code="de")
        assert await client.set_my_description("Personas")
        assert (await client.get_my_description(language_code="de")).description == "Personas"
        assert await client.set_my_short_description("Short")
        assert (await client.get_my_short_description()).short_description == "Short"
        assert await client.set_my_name("Green")
        assert (await client.get_my_name()).name == "Green"
        assert (await client.get_user_profile_photos(mia.id)).total_count == 0
        assert await client.send_chat_action(mia.id, ChatAction.TYPING)
        with pytest.raises(TelegramBadRequest, match="BOT_COMMAND_INVALID"):
            await client.set_my_commands([BotCommand(command="Imagine!", description="x")])
    assert server.broken == {Rule.BAD_VALUE: 1}


def test_every_parameter_is_the_one_that_aiogram_knows() -> None:
    theirs = {
        one.__api_method__: one
        for one in vars(methods).values()
        if isinstance(one, type)
        and issubclass(one, methods.TelegramMethod)
        and one is not methods.TelegramMethod
    }
    for method in METHODS.values():
        assert set(method.params) == set(theirs[method.name].model_fields), method.name
        required = {name for name, field in theirs[method.name].model_fields.items() if field.is_required()}
        assert {name for name, param in method.params.items() if param.required} == required, method.name


async def test_a_missing_method_is_what_aiogram_calls_not_found(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramNotFound):
            await client.send_dice(mia.id)
    assert server.breaches[0].detail == "sendDice"
