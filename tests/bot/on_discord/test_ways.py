"""Which way a message takes: under whose name, in the channel, by the token of what was asked, or in private."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.discord import wire
from bot.discord.pacing import Gate
from bot.discord.wire import Answer, Body, Stumbled
from bot.front import Draft, Outgoing
from engine.errors import DeliveryFailed, TryAgain
from engine.store.records import Button, DeliveryKind, Manner
from tests.bot.on_discord.recording import SCALE, House, buttons, face, house, png
from tests.servers.discord import Channel, Fault

SEND = "POST /channels/{channel}/messages"
HOOK = "POST /webhooks/{webhook}/{token}"
TYPING = "POST /channels/{channel}/typing"
STORY = "\n".join(f"line {number} of a long story" for number in range(200))


def again(owed: Outgoing, attempts: int = 2) -> Outgoing:
    return replace(owed, delivery=replace(owed.delivery, attempts=attempts))


def under(owed: Outgoing, turn: int) -> Outgoing:
    return replace(owed, delivery=replace(owed.delivery, answers_id=turn))


def shown(channel: Channel) -> list[str]:
    return [one.content for one in channel.messages]


async def refused(home: House) -> None:
    """The bot may neither send nor make webhooks any more, and has heard of it."""
    home.guild.deny(home.bot, "manage_webhooks", "send_messages")
    await asyncio.sleep(1.2 * SCALE)


@pytest.fixture
async def lobby() -> AsyncIterator[tuple[House, Channel]]:
    """Somebody takes the bot along into a server that it is no member of."""
    async with house() as home:
        home.mia.installs(home.bot)
        yield home, home.server.guild("Elsewhere", people=[home.mia]).text_channel("lobby")


@pytest.fixture
def the_token_dies(monkeypatch: pytest.MonkeyPatch) -> object:
    """A quarter of an hour passes when it is called."""
    return lambda: monkeypatch.setattr(wire, "TOKEN_LIVES", -3_600.0)


# Pages


@pytest.mark.parametrize("drafted", [False, True])
@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER])
async def test_pages_that_stand_are_not_shown_again_when_the_line_breaks(
    at_home: House, drafted: bool, fault: Fault
) -> None:
    await at_home.says("warm")
    stop = Button("Stop", "stop", "danger")
    drafts: tuple[str, ...] = ()
    if drafted:
        drafts = await at_home.front.draft(Draft(at_home.chat(), 5, "line", face=face(), stop=stop))
    held = at_home.server.hold(HOOK)
    owed = at_home.owed(STORY, replaces=drafts)
    delivering = asyncio.create_task(at_home.front.deliver(owed))
    await held.reached()
    at_home.server.fail_next(HOOK, fault)
    held.release()
    await asyncio.wait([delivering])
    assert isinstance(delivering.exception(), TryAgain)
    messages = await at_home.front.deliver(again(owed))
    assert "\n".join(shown(at_home.general)[1:]) == STORY
    assert list(messages) == [str(one.id) for one in at_home.general.messages[1:]]


async def test_what_was_done_though_discord_stumbled_is_not_sent_twice(at_home: House) -> None:
    await at_home.says("warm")
    at_home.server.fail_next(HOOK, Fault.ERROR_AFTER)
    owed = at_home.owed("Good evening.")
    with pytest.raises(TryAgain, match="cannot be reached"):
        await at_home.front.deliver(owed)
    await at_home.front.deliver(again(owed))
    assert shown(at_home.general) == ["warm", "Good evening."]


# Names


async def test_a_name_that_discord_refuses_stands_in_bold_from_then_on(at_home: House) -> None:
    for text in ("Good evening.", "And good night."):
        await at_home.front.deliver(at_home.owed(text, face=face(name="Here")))
    assert shown(at_home.general) == ["**Here**\nGood evening.", "**Here**\nAnd good night."]
    assert at_home.server.calls[HOOK] == 1
    await at_home.says("As before.")
    assert at_home.general.messages[-1].face.name == "Ada Quill"


async def test_where_only_mentions_are_heard_a_reply_to_a_persona_is_one() -> None:
    async with house(message_content=False) as home:
        await home.says("Good evening.")
        said = home.general.messages[-1]
        assert said.content == "**Ada Quill**\nGood evening."
        await home.general.says(home.mia, "and to you", reply_to=said)
        heard = await home.desk.one()
        assert (heard.text, heard.reply_to) == ("and to you", str(said.id))


# Where the bot may not write


async def test_an_answer_of_several_pages_is_whole_where_the_bot_may_not_write(at_home: House) -> None:
    await refused(at_home)
    await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    await at_home.front.deliver(at_home.owed(STORY, DeliveryKind.NOTICE, answers=heard))
    assert "\n".join(shown(at_home.general)) == STORY


async def test_a_button_is_answered_where_the_bot_may_not_write(at_home: House) -> None:
    card = at_home.owed("In line", DeliveryKind.NOTICE, manner=Manner(buttons=buttons("reroll 1")))
    await at_home.front.deliver(card)
    await refused(at_home)
    await at_home.general.presses(at_home.mia, at_home.general.messages[-1], "g:reroll 1")
    heard = await at_home.desk.one()
    await at_home.front.deliver(at_home.owed("Again.", DeliveryKind.NOTICE, answers=heard))
    assert shown(at_home.general) == ["In line", "Again."]


# For one pair of eyes


async def whispered(home: House, command: str, text: str) -> None:
    await home.general.command(home.mia, command)
    heard = await home.desk.one()
    quiet = Manner(quiet=True, buttons=buttons("forget yes"))
    await home.front.deliver(home.owed(text, DeliveryKind.NOTICE, answers=heard, manner=quiet))


@pytest.mark.parametrize("command", ["persona list", "settings"])
async def test_a_quiet_answer_that_comes_late_is_told_in_private(
    at_home: House, the_token_dies: object, command: str
) -> None:
    assert callable(the_token_dies)
    the_token_dies()
    await whispered(at_home, command, "A secret.")
    assert shown(at_home.dm) == ["A secret."]
    assert not any(one.content or one.buttons for one in at_home.general.messages)


async def test_a_quiet_answer_to_an_order_that_was_not_acknowledged_is_told_in_private(
    at_home: House,
) -> None:
    callback = "POST /interactions/{interaction}/{token}/callback"
    at_home.server.fail_next(callback, Fault.DROP_BEFORE, times=2)
    await whispered(at_home, "persona list", "A secret.")
    assert (shown(at_home.dm), shown(at_home.general)) == (["A secret."], [])


async def test_a_quiet_answer_that_reaches_nobody_alone_is_not_shown_to_all(
    at_home: House, the_token_dies: object
) -> None:
    assert callable(the_token_dies)
    at_home.mia.blocks(at_home.bot)
    the_token_dies()
    for _ in range(2):
        await whispered(at_home, "settings", "A secret.")
        said = at_home.general.messages[-1]
        assert (said.content.endswith("Please ask me again."), said.buttons) == (True, [])
    assert shown(at_home.dm) == []
    assert not any("secret" in text for text in shown(at_home.general))
    assert at_home.desk.gone == []


async def test_a_quiet_answer_does_not_take_the_place_of_what_everybody_saw(at_home: House) -> None:
    drafts = await at_home.front.draft(Draft(at_home.chat(), 5, "Well", face=face()))
    asked = await at_home.general.command(at_home.mia, "persona list")
    heard = await at_home.desk.one()
    quiet = Manner(quiet=True)
    owed = at_home.owed("A secret.", DeliveryKind.NOTICE, answers=heard, manner=quiet, replaces=drafts)
    await at_home.front.deliver(owed)
    assert shown(at_home.general) == []
    assert [one.content for one in asked.messages] == ["A secret."]


# Where somebody brought us along


async def test_of_many_pages_the_last_come_in_private(lobby: tuple[House, Channel]) -> None:
    home, there = lobby
    await there.command(home.mia, "settings", bot=home.bot)
    heard = await home.desk.one()
    text = "\n".join(f"line {number} of a very long story" for number in range(480))
    messages = await home.front.deliver(home.owed(text, DeliveryKind.NOTICE, to=there, answers=heard))
    assert len(messages) == len(there.messages) + len(home.dm.messages)
    assert len(there.messages) == 6  # the first answer, and five that follow
    assert "\n".join(shown(there) + shown(home.dm)) == text


async def test_that_discord_takes_no_more_is_learnt_from_it_after_a_restart(
    lobby: tuple[House, Channel],
) -> None:
    home, there = lobby
    await there.command(home.mia, "settings", bot=home.bot)
    heard = await home.desk.one()
    for number in range(6):
        await home.front.deliver(home.owed(f"{number}", DeliveryKind.NOTICE, to=there, answers=heard))
    await home.again()
    for number in range(6, 8):
        await home.front.deliver(home.owed(f"{number}", DeliveryKind.NOTICE, to=there, answers=heard))
    assert shown(there) == [f"{number}" for number in range(6)]
    assert shown(home.dm) == ["6", "7"]
    assert home.server.ledger.refused[40094] == 1


async def test_a_picture_that_comes_late_comes_in_private(
    lobby: tuple[House, Channel], the_token_dies: object
) -> None:
    assert callable(the_token_dies)
    home, there = lobby
    await there.command(home.mia, "settings", bot=home.bot)
    heard = await home.desk.one()
    card = await home.front.deliver(home.owed("In line", DeliveryKind.NOTICE, to=there, answers=heard))
    the_token_dies()
    picture = home.owed("A fox", DeliveryKind.PICTURE, to=there, image=png(), replaces=card, job=7)
    await home.front.deliver(picture)
    [said] = home.dm.messages
    assert (said.content, said.attachments[0].filename) == ("A fox", "greenroom-7.png")
    assert home.desk.gone == []
    assert home.server.ledger.refused[50001] == 0


async def test_who_brought_us_along_and_blocked_us_gets_nothing(
    lobby: tuple[House, Channel], the_token_dies: object
) -> None:
    assert callable(the_token_dies)
    home, there = lobby
    await there.command(home.mia, "settings", bot=home.bot)
    heard = await home.desk.one()
    home.mia.blocks(home.bot)
    the_token_dies()
    for text in ("One.", "Two."):
        with pytest.raises(DeliveryFailed, match="blocked"):
            await home.front.deliver(home.owed(text, DeliveryKind.NOTICE, to=there, answers=heard))


async def test_a_reply_is_shown_after_a_restart_where_the_bot_is_no_member(
    lobby: tuple[House, Channel],
) -> None:
    home, there = lobby
    await there.command(home.mia, "settings", bot=home.bot)
    heard = await home.desk.one()
    await home.again()
    # What everybody sees somebody think of has been answered: this is another message.
    await home.front.deliver(home.owed("At once.", DeliveryKind.NOTICE, to=there, answers=heard))
    await home.front.deliver(under(home.owed("Good evening.", to=there, answers=heard), 77))
    assert shown(there) == ["At once.", "**Ada Quill**\nGood evening."]
    assert home.desk.gone == []


async def test_nothing_is_tried_in_passing_where_the_bot_may_not_write(
    lobby: tuple[House, Channel],
) -> None:
    home, there = lobby
    await there.command(home.mia, "settings", bot=home.bot)
    heard = await home.desk.one()
    await home.front.deliver(home.owed("At once.", DeliveryKind.NOTICE, to=there, answers=heard))
    growing = Draft(
        home.chat(there), 5, "", answers_message=heard.message, answer_to=heard.answer_to, face=face()
    )
    assert await home.front.draft(growing) == ()
    assert await home.front.draft(replace(growing, text="Good")) == ()
    assert (home.server.calls[TYPING], home.server.calls[SEND]) == (0, 0)


# The wire


class Counting(Gate):
    def __init__(self) -> None:
        super().__init__(1_000.0, SCALE)
        self.count = 0

    async def passed(self) -> None:
        self.count += 1
        await super().passed()


async def test_webhooks_wait_their_turn_and_answers_go_at_once(at_home: House) -> None:
    await at_home.says("warm")
    await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    stage = at_home.here.stage
    gate = stage.wire._gate = Counting()
    await at_home.says("Good evening.")
    assert gate.count == 1
    await at_home.front.deliver(at_home.owed("Here.", DeliveryKind.NOTICE, answers=heard))
    assert gate.count == 1


async def test_no_token_of_a_question_is_shown_by_what_goes_wrong(
    at_home: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    asked = await at_home.general.command(at_home.mia, "persona list")
    heard = await at_home.desk.one()
    answer = Answer.read(heard.answer_to)
    assert answer is not None
    assert answer.token == asked.token
    at_home.server.fail_next(HOOK, Fault.DROP_BEFORE)
    quiet = Manner(quiet=True)
    first = at_home.owed("Here.", DeliveryKind.NOTICE, answers=heard, manner=quiet)
    more = at_home.owed("More.", DeliveryKind.NOTICE, answers=heard, manner=quiet)
    await at_home.front.deliver(first)
    with pytest.raises(TryAgain) as failed:
        await at_home.front.deliver(more)
    assert asked.token not in repr((failed.value, failed.value.__cause__))
    at_home.server.fail_next(HOOK, Fault.RATE_LIMIT)
    await at_home.front.deliver(again(more))
    assert asked.token not in caplog.text
    assert asked.token not in repr(answer)


async def test_a_stumble_names_no_webhook(at_home: House) -> None:
    await at_home.says("warm")
    [webhook] = at_home.server.world.webhooks.values()
    at_home.server.fail_next(HOOK, Fault.ERROR_502)
    at = await at_home.here.stage.voices.hook(at_home.general.id)
    assert at is not None
    with pytest.raises(Stumbled) as stumbled:
        await at_home.here.stage.wire.send(at, Body("Hello"))
    assert webhook.token not in repr(stumbled.value)


def test_who_asked_is_read_from_where_the_answer_is_wanted() -> None:
    for answer in (Answer(1, "a.b/c", 2, 3), Answer(1, "a", 2, 3, guest=True), Answer(1, "", 2, 3)):
        assert Answer.read(answer.opaque) == answer
    assert Answer.read("1/token/2") == Answer(1, "token", 2)
    for nothing in ("", "1/2", "1/token/x", "1/token/2.x"):
        assert Answer.read(nothing) is None


async def test_who_is_in_charge_is_nobody_while_discord_cannot_be_asked(at_home: House) -> None:
    mia = str(at_home.mia.id)
    moderators = at_home.guild.role("Moderators", "manage_messages")
    at_home.guild.gives(at_home.mia, moderators)
    await asyncio.sleep(1.2 * SCALE)
    at_home.server.fail_next("GET /guilds/{guild}/members/{user}", Fault.DROP_BEFORE, times=5)
    assert not await at_home.front.in_charge(at_home.chat(), mia)
    at_home.server.fail_next("GET /channels/{channel}", Fault.DROP_BEFORE, times=5)
    assert not await at_home.front.in_charge(at_home.chat(at_home.dm), mia)
