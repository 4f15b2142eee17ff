"""`kill -9` between what the house asks of a platform and what it writes down about the answer, on both platforms.

The platforms stay; the house is killed at a chosen moment, and its next life goes on. Discord knows a repeated
message again, Telegram does not: there a kill may cost one message that is said twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bot.town import PATIENCE, Nursery, Town, discord_answers, nursery, telegram_answers, whole
from tests.servers import discord, telegram
from tests.servers.telegram.faults import Params

SEND = "POST /channels/{channel}/messages"
EDIT = "PATCH /channels/{channel}/messages/{message}"
HOOK = "POST /webhooks/{webhook}/{token}"
ANSWER = "PATCH /webhooks/{webhook}/{token}/messages/{message}"
MOMENTS = ("before", "within", "after")


@dataclass
class Street:
    """A town with one person on each platform, whom the house knows, and the places where they are."""

    town: Town
    ana: telegram.Person
    chat: telegram.Chat
    group: telegram.Chat
    mia: discord.Person
    dm: discord.Channel
    general: discord.Channel

    def told(self, token: str) -> list[str]:
        return telegram_answers(self.chat, self.town.telegram_bot, token)

    def told_in_group(self, token: str) -> list[str]:
        return telegram_answers(self.group, self.town.telegram_bot, token)

    async def known(self) -> None:
        """Everybody has said something once, so that no greeting comes between."""
        bot = self.town.telegram_bot
        await self.chat.says(self.ana, "Hello w1")
        await self.group.says(self.ana, f"@{bot.username} hello w1")
        await self.dm.says(self.mia, "Hello w1")
        await self.general.says(self.mia, f"{self.town.discord_bot.mention} hello w1")
        await self.town.until(
            lambda: (
                whole(self.told("w1"))
                and whole(self.told_in_group("w1"))
                and whole(discord_answers(self.dm, "w1"))
                and whole(discord_answers(self.general, "w1"))
            )
        )


@pytest.fixture(scope="module")
def houses() -> Iterator[Nursery]:
    with nursery() as made:
        yield made


@pytest.fixture
async def street(houses: Nursery, tmp_path: Path) -> AsyncIterator[Street]:
    # A deadline of three seconds is one and a half here: enough for a machine that has other things to do.
    async with Town(tmp_path / "home", houses, scale=0.5) as town:
        ana, mia = town.telegram.person("Ana"), town.discord.person("Mia")
        chat = town.telegram.private(town.telegram_bot, ana, started=True)
        group = town.telegram.group("Tea room", [town.telegram_bot], [ana])
        guild = town.discord.guild("Studio", bots=[town.discord_bot], people=[mia])
        made = Street(
            town, ana, chat, group, mia, town.discord.dm(town.discord_bot, mia), guild.text_channel("general")
        )
        await town.open()
        await made.known()
        await town.until(town.owes_nothing)
        yield made
        assert not town.broken, town.breaches


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_reply_is_there_after_the_kill(street: Street, moment: str) -> None:
    town, bot = street.town, street.town.telegram_bot
    after = moment == "within"
    holds = town.discord.hold(SEND, after=after), town.discord.hold(HOOK, after=after)
    hold = town.telegram.hold("sendMessage", "after" if after else "before")
    if moment == "after":
        for one in (hold, *holds):
            one.release()
    await street.chat.says(street.ana, "And w2")
    await street.dm.says(street.mia, "And w2")
    await street.general.says(street.mia, f"{town.discord_bot.mention} and w2")
    if moment == "after":
        await town.until(lambda: street.told("w2") and discord_answers(street.dm, "w2"))
    else:
        await hold.reached()
        for held in holds:
            await held.reached()
    await town.kill()
    hold.release(drop=True)
    for held in holds:
        held.drop()
    await town.open()
    await street.chat.says(street.ana, "And w3")
    await town.until(
        lambda: (
            whole(street.told("w2"))
            and whole(discord_answers(street.dm, "w2"))
            and whole(discord_answers(street.general, "w2"))
            and whole(street.told("w3"))
        )
    )
    await town.close()
    assert len(street.told("w2")) in (1, 2)
    assert street.told("w2") == whole(street.told("w2"))
    assert len(discord_answers(street.dm, "w2")) == 1
    assert len(discord_answers(street.general, "w2")) == 1
    assert len(telegram_answers(street.chat, bot, "w3")) == 1, "what comes after is said once"


@pytest.mark.parametrize("moment", MOMENTS[:2])
async def test_a_picture_takes_the_place_of_its_card_though_the_house_was_killed(
    street: Street, moment: str
) -> None:
    town, bot = street.town, street.town.telegram_bot

    def pictures() -> list[telegram.Message]:
        said = [*street.chat.said_by(bot)]
        return [one for one in said if one.photo and one.button("Another one")]

    def paintings() -> list[discord.Message]:
        return [one for one in street.general.messages if one.attachments and len(one.buttons) > 1]

    def is_final(params: Params) -> bool:
        return "reroll" in str(params.get("reply_markup"))

    if moment == "before":
        await town.close()
        await town.open(point="discord picture")
    hold = town.telegram.hold("editMessageMedia", "after", match=is_final)
    await street.chat.says(street.ana, "/imagine a lighthouse --seed 7")
    asked = await street.general.command(street.mia, "imagine", scene="a lighthouse", seed=7)
    if moment == "before":
        await town.dies()
    else:
        held = await last_edit(town, asked)
        await hold.reached()
        await town.kill()
        held.drop()
    hold.release(drop=True)
    await town.open()
    await town.until(lambda: pictures() and paintings())
    await street.chat.says(street.ana, "And w3")
    await town.until(lambda: whole(street.told("w3")))
    await town.close()
    assert len(pictures()) == 1, "an edit is repeated, and is the same"
    assert len(paintings()) == 1
    assert [one for one in street.chat.said_by(bot) if one.button("Stop")] == [], "no card is left"
    assert [one.content for one in street.general.messages if one.loading] == []


async def last_edit(town: Town, asked: discord.Interaction) -> discord.Hold:
    """Let the changes of an answer pass until the one that puts the picture there; that one is held."""
    while True:
        held = town.discord.hold(ANSWER, after=True)
        await held.reached()
        if asked.response and asked.response.attachments and len(asked.response.buttons) > 1:
            return held
        held.release()


@pytest.mark.parametrize("after", [False, True])
async def test_a_commands_answer_takes_the_place_of_thinking(street: Street, after: bool) -> None:
    town = street.town
    held = town.discord.hold(ANSWER, after=after)
    asked = await street.general.command(street.mia, "help")
    await held.reached()
    await town.kill()
    held.drop()
    await town.open()
    answer = await asked.until_answered(PATIENCE)
    await town.close()
    assert "/imagine" in answer.content
    assert asked.messages == [answer]


async def test_a_draft_in_a_group_becomes_the_reply(street: Street) -> None:
    town, bot = street.town, street.town.telegram_bot
    await town.close()
    await town.open(word=0.02)
    hooked = town.discord.hold(HOOK, after=True)
    await street.group.says(street.ana, f"@{bot.username} tell me w2 in 200 words")
    await street.general.says(street.mia, f"{town.discord_bot.mention} tell me w2 in 200 words")
    await hooked.reached()  # it stands there, and nobody in the house knows of it
    edited = town.telegram.hold("editMessageText", "after")
    await edited.reached()
    await town.kill()
    hooked.drop()
    edited.release(drop=True)
    assert whole(street.told_in_group("w2")) == []
    assert whole(discord_answers(street.general, "w2")) == []
    await town.open()
    await town.until(
        lambda: whole(street.told_in_group("w2")) and whole(discord_answers(street.general, "w2"))
    )
    await town.close()
    assert len(street.told_in_group("w2")) == 1, "the draft itself was finished"
    assert len(discord_answers(street.general, "w2")) == 1
    assert [one for one in street.group.said_by(bot) if one.button("Stop")] == []
    assert [one for one in street.general.messages if one.buttons] == []


async def test_a_reply_being_written_at_a_sigterm_is_not_lost(street: Street) -> None:
    town, bot = street.town, street.town.telegram_bot
    await town.close()
    await town.open(word=0.02)
    await street.chat.says(street.ana, "Tell me w2 in 60 words")
    await street.group.says(street.ana, f"@{bot.username} tell me w3 in 600 words")
    await street.general.says(street.mia, f"{town.discord_bot.mention} tell me w4 in 60 words")
    await town.until(lambda: street.told_in_group("w3") and discord_answers(street.general, "w4"))
    assert await town.close() == 0
    # What could be finished was; what could not is resumed.
    assert len(whole(street.told("w2"))) == 1
    assert len(whole(discord_answers(street.general, "w4"))) == 1
    assert whole(street.told_in_group("w3")) == []
    await town.open()
    await town.until(lambda: whole(street.told_in_group("w3")))
    assert len(street.told("w2")) == 1
    assert len(street.told_in_group("w3")) == 1
    assert len(discord_answers(street.general, "w4")) == 1


async def test_what_is_told_twice_changes_nothing(street: Street) -> None:
    town, bot = street.town, street.town.telegram_bot
    await street.general.says(street.mia, f"{town.discord_bot.mention} and w2")
    await town.until(lambda: whole(discord_answers(street.general, "w2")))
    await town.kill()
    await town.open()
    for update in list(town.telegram.updates(bot)):
        town.telegram.replay(bot, update)
    (event,) = [
        street.general.every_message[one.id].event(town.discord_bot)
        for one in street.general.messages
        if one.author is street.mia and "w2" in one.content
    ]
    town.discord.push_raw(town.discord_bot, "MESSAGE_CREATE", event)
    town.discord.disconnect(town.discord_bot)
    await street.general.says(
        street.mia, f"{town.discord_bot.mention} and w3"
    )  # it hears of this when it resumes
    await town.until(lambda: town.discord.connected(town.discord_bot))
    town.discord.replay(town.discord_bot, "MESSAGE_CREATE")
    await street.chat.says(street.ana, "And w3")
    await street.dm.says(street.mia, "And w4")
    await town.until(
        lambda: (
            whole(street.told("w3"))
            and whole(discord_answers(street.general, "w3"))
            and whole(discord_answers(street.dm, "w4"))
        )
    )
    await town.close()
    assert len(street.told("w1")) == 1
    assert len(street.told_in_group("w1")) == 1
    for token in ("w1", "w2", "w3"):
        assert len(discord_answers(street.general, token)) == 1, token
    assert len(discord_answers(street.dm, "w4")) == 1


async def test_buttons_from_before_the_kill_work(street: Street) -> None:
    town, bot = street.town, street.town.telegram_bot
    await street.chat.says(street.ana, "/imagine a lighthouse")
    asked = await street.general.command(street.mia, "imagine", scene="a lighthouse")
    await town.until(
        lambda: (
            [one for one in street.chat.said_by(bot) if one.button("Another one")]
            and asked.response
            and asked.response.attachments
        )
    )
    await town.kill()
    await town.open()
    picture = next(one for one in street.chat.said_by(bot) if one.button("Another one"))
    press = await street.chat.presses(street.ana, picture, "Another one")
    await press.answered()
    assert asked.response is not None
    pressed = await street.general.presses(street.mia, asked.response, "Another one")
    await pressed.until_acknowledged()
    await town.until(
        lambda: (
            len([one for one in street.chat.said_by(bot) if one.photo]) == 2
            and len([one for one in street.general.messages if one.attachments]) == 2
        )
    )
    shown = await street.chat.presses(street.ana, picture, "Show prompt")
    await shown.answered()
    asks = await street.general.presses(street.mia, asked.response, "Edit prompt")
    form = await asks.until_asked()
    assert form["components"]
    await town.close()
