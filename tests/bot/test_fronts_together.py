"""One house on both platforms at once: whole conversations, from the first word to the second picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from bot import house as house_module
from engine.testing import FakeRenderer
from tests.bot.town import Town, discord_answers, telegram_answers, whole
from tests.servers import discord, telegram

HOST, GUEST = "Jide", "Wiebe Terpstra"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path / "home") as made:
        yield made
        assert not made.broken, made.breaches


def photos(chat: telegram.Chat, bot: telegram.Bot) -> list[telegram.Message]:
    """Finished pictures, not those in the making."""
    return [one for one in chat.said_by(bot) if one.photo and one.button("Another one")]


def paintings(channel: discord.Channel) -> list[discord.Message]:
    labels = [(one, [button.label for button in one.buttons]) for one in channel.messages if one.attachments]
    return [one for one, told in labels if "Another one" in told]


async def test_somebody_talks_and_has_pictures_made_on_both(town: Town) -> None:
    bot = town.telegram_bot
    ana, mia = town.telegram.person("Ana"), town.discord.person("Mia")
    chat, dm = town.telegram.private(bot, ana), town.discord.dm(town.discord_bot, mia)
    async with town.inside(renderer=FakeRenderer(pause=0.15), steps=8):
        await chat.starts()
        await town.until(lambda: len(chat.said_by(bot)) >= 3)
        await asyncio.gather(chat.says(ana, "Hello w1"), dm.says(mia, "Hello w1"))
        await town.until(
            lambda: whole(telegram_answers(chat, bot, "w1")) and whole(discord_answers(dm, "w1"))
        )
        assert "AI" in chat.said_by(bot)[0].words
        assert any("AI" in one.content for one in dm.messages), "on first contact"

        await chat.says(ana, "/imagine a lighthouse at dawn --seed 7")
        asked = await dm.command(mia, "imagine", scene="a lighthouse at dawn", seed=7)
        await asked.until_acknowledged()
        card = (await chat.until(lambda chat: [one for one in chat.said_by(bot) if one.button("Stop")]))[0]
        await town.until(lambda: photos(chat, bot) and asked.response and asked.response.attachments)
        await town.until(lambda: asked.response and len(asked.response.buttons) > 1)
        (picture,) = photos(chat, bot)
        assert picture is card, "the card itself turned into the picture"
        assert picture.edits > 1, "and it showed how far it was"
        assert "lighthouse" in picture.words
        assert asked.response is not None
        assert "lighthouse" in asked.response.content
        assert asked.response.edits > 1

        press = await chat.presses(ana, picture, "Another one")
        await press.answered()
        again = await dm.presses(mia, asked.response, asked.response.buttons[0].label)
        await again.until_acknowledged()
        await town.until(lambda: len(photos(chat, bot)) == 2)
        await town.until(
            lambda: len([one for one in dm.messages if one.attachments and len(one.buttons) > 1]) == 2
        )
        first, second = photos(chat, bot)
        assert first.photo != second.photo


async def test_several_personas_share_a_group_on_each_platform(town: Town) -> None:
    bot, other = town.telegram_bot, town.discord_bot
    ana, mia = town.telegram.person("Ana"), town.discord.person("Mia")
    group = town.telegram.group("Tea room", [bot], [ana])
    general = town.discord.guild("Studio", bots=[other], people=[], owner=mia).text_channel("general")
    async with town.inside():
        await group.says(ana, f"@{bot.username} hello w1")
        await general.says(mia, f"{other.mention} hello w1")
        await town.until(
            lambda: whole(telegram_answers(group, bot, "w1")) and whole(discord_answers(general, "w1"))
        )
        before = len(group.said_by(bot)), len(general.messages)
        await group.says(ana, f"/persona@{bot.username} invite wiebe-terpstra")
        invited = await general.command(mia, "persona invite", name="wiebe-terpstra")
        await invited.until_acknowledged()
        await town.until(
            lambda: (
                len(group.said_by(bot)) > before[0]
                and len([one for one in general.messages if not one.loading]) > before[1]
            )
        )
        await group.says(ana, f"@{bot.username} {HOST}, Wiebe: what of w2?")
        await general.says(mia, f"{HOST}, Wiebe: what of w2?")
        await town.until(
            lambda: (
                len(whole(telegram_answers(group, bot, "w2"))) == 2
                and len(whole(discord_answers(general, "w2"))) == 2
            )
        )
        assert [one.split("\n")[0] for one in telegram_answers(group, bot, "w2")] == [HOST, GUEST]
        faces = [one.face.name for one in general.messages if "heard w2," in one.content]
        assert faces == [HOST, GUEST]
        # Words among people are nobody's business here.
        await general.says(mia, "What a day, w3.")
        # To whom one replies, that one answers. Nobody replies before we know ourselves what we have said.
        await town.until(town.owes_nothing)
        guests = [one for one in general.messages if one.face.name == GUEST][-1]
        await general.says(mia, "And w4?", reply_to=guests)
        words = [one for one in group.said_by(bot) if one.words.startswith(GUEST)][-1]
        await group.says(ana, "And w4?", reply_to=words)
        await town.until(
            lambda: whole(telegram_answers(group, bot, "w4")) and whole(discord_answers(general, "w4"))
        )
        assert [one.face.name for one in general.messages if "heard w4," in one.content] == [GUEST]
        assert telegram_answers(group, bot, "w4")[0].startswith(GUEST)
        assert discord_answers(general, "w3") == []


@pytest.mark.parametrize("bad", ["telegram", "discord"])
async def test_a_token_that_is_refused_ends_its_front_with_a_sentence_and_the_other_answers(
    town: Town, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = CapturingLogger()
    monkeypatch.setattr(house_module, "log", logs)
    bot = town.telegram_bot
    ana, mia = town.telegram.person("Ana"), town.discord.person("Mia")
    chat, dm = town.telegram.private(bot, ana), town.discord.dm(town.discord_bot, mia)
    wrong = "7000000009:AAGnobody-knows-it"
    if bad == "telegram":
        town.life = town.life_with(telegram_tokens=(wrong,))
    else:
        wrong = town.discord_bot.token.replace("loopback", "revoked!")
        town.life = town.life_with(discord_tokens=(wrong,))

    def given_up() -> list[Any]:
        return [call for call in logs.calls if call.args == ("part_given_up",)]

    async with town.inside():
        if bad == "telegram":
            await dm.says(mia, "Hello w1")
            await town.until(lambda: whole(discord_answers(dm, "w1")))
        else:
            await chat.says(ana, "Hello w1")
            await town.until(lambda: whole(telegram_answers(chat, bot, "w1")))
        await town.until(given_up)
    [told] = given_up()
    assert told.method_name == "error"
    assert told.kwargs["part"] == bad
    assert "token" in told.kwargs["cause"].lower()
    assert wrong not in str(logs.calls), "a token is never in the log"
