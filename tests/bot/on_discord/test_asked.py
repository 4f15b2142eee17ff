"""Commands, buttons and forms: acknowledged at once, heard once, and answered where they were given."""

from __future__ import annotations

import asyncio

import pytest

from bot.discord import wire
from bot.discord.asked import FORM_LENGTH, HINT_LENGTH, form
from bot.discord.wire import Answer
from bot.front import Incoming, Question
from engine.locales import languages, locale_of
from engine.store.records import DeliveryKind, Manner
from tests.bot.on_discord.recording import House, buttons, house
from tests.servers.discord import Fault

CALLBACK = "POST /interactions/{interaction}/{token}/callback"


async def test_a_command_is_deferred_before_it_is_stored_and_its_answer_is_the_response(
    at_home: House,
) -> None:
    held = asyncio.Event()

    async def slow(_incoming: Incoming) -> None:
        await held.wait()

    at_home.desk.answers = slow
    asked = await at_home.general.command(at_home.mia, "imagine", scene="a red coat", count=2)
    await asked.until_acknowledged()
    assert at_home.desk.heard == []
    held.set()
    heard = await at_home.desk.one()
    assert heard.text == '/imagine a red coat --count "2"'
    assert (heard.key, heard.account.language, heard.mentioned) == (f"i{asked.id}", "de", True)
    assert asked.response is not None
    assert heard.message == str(asked.response.id)
    assert asked.response.loading
    shown = await at_home.front.deliver(at_home.owed("Queued.", DeliveryKind.NOTICE, answers=heard))
    assert shown == (heard.message,)
    assert asked.response.content == "Queued."
    assert not asked.response.loading
    later = await at_home.front.deliver(at_home.owed("And done.", DeliveryKind.NOTICE, answers=heard))
    assert later != shown
    assert [one.content for one in at_home.general.messages] == ["Queued.", "And done."]


async def test_a_quiet_command_is_answered_for_the_asker_s_eyes(at_home: House) -> None:
    asked = await at_home.general.command(at_home.mia, "persona list")
    heard = await at_home.desk.one()
    quiet = Manner(quiet=True)
    await at_home.front.deliver(at_home.owed("Ada, Bo", DeliveryKind.NOTICE, answers=heard, manner=quiet))
    assert asked.ephemeral
    assert (await asked.until_answered()).content == "Ada, Bo"
    assert at_home.general.messages == []


async def test_no_part_of_a_quiet_answer_is_seen_by_others(at_home: House) -> None:
    await at_home.general.command(at_home.mia, "help")
    heard = await at_home.desk.one()
    long = "\n".join("a line of a long answer" for _ in range(200))
    shown = await at_home.front.deliver(at_home.owed(long, DeliveryKind.NOTICE, answers=heard))
    assert len(shown) > 1
    assert at_home.general.messages == []
    assert "\n".join(one.content for one in at_home.general.seen_by(at_home.mia)) == long


async def test_a_quiet_word_on_a_public_command_is_still_quiet(at_home: House) -> None:
    await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    await at_home.front.deliver(
        at_home.owed("Psst", DeliveryKind.NOTICE, answers=heard, manner=Manner(quiet=True))
    )
    assert at_home.general.messages == []
    assert [one.content for one in at_home.general.seen_by(at_home.mia)] == ["Psst"]


async def test_what_is_refused_is_told_to_the_asker_alone_and_nobody_is_left_thinking(at_home: House) -> None:
    async def refuse(incoming: Incoming) -> None:
        await at_home.front.tell(incoming, "Too fast.")

    at_home.desk.answers = refuse
    asked = await at_home.general.command(at_home.mia, "settings")
    await at_home.desk.one()
    assert at_home.general.messages == []
    [told] = at_home.general.seen_by(at_home.mia)
    assert (told.content, told.ephemeral) == ("Too fast.", True)
    assert asked.acknowledged == 5


async def test_a_message_that_is_refused_is_answered_with_a_reply(at_home: House) -> None:
    async def refuse(incoming: Incoming) -> None:
        await at_home.front.tell(incoming, "Too *fast*.")

    at_home.desk.answers = refuse
    said = await at_home.general.says(at_home.mia, "hello")
    await at_home.desk.one()
    assert at_home.general.messages[-1].content == "Too \\*fast\\*."
    assert at_home.general.messages[-1].reference is said


async def test_a_button_is_an_order_that_nobody_typed(at_home: House) -> None:
    owed = at_home.owed("Done", DeliveryKind.NOTICE, manner=Manner(buttons=buttons("reroll 12", "delete 12")))
    [message] = await at_home.front.deliver(owed)
    shown = at_home.general.every_message[int(message)]
    assert [(one.label, one.custom_id) for one in shown.buttons] == [
        ("Reroll 12", "g:reroll 12"),
        ("Delete 12", "g:delete 12"),
    ]
    pressed = await at_home.general.presses(at_home.mia, shown, "Reroll 12")
    heard = await at_home.desk.one()
    assert pressed.acknowledged == 6
    assert (heard.text, heard.pressed, heard.message) == ("/reroll 12", True, "")
    assert heard.reply_to == message
    assert heard.answer_to
    # An answer to it is a message of its own, and a quiet one is for the one who pressed.
    await at_home.front.deliver(at_home.owed("Again.", DeliveryKind.NOTICE, answers=heard))
    quiet = at_home.owed("Only you.", DeliveryKind.NOTICE, answers=heard, manner=Manner(quiet=True))
    await at_home.front.deliver(quiet)
    assert [one.content for one in at_home.general.messages] == ["Done", "Again."]
    assert at_home.general.seen_by(at_home.mia)[-1].content == "Only you."


async def test_a_button_of_an_earlier_process_still_works(at_home: House) -> None:
    owed = at_home.owed("Done", DeliveryKind.NOTICE, manner=Manner(buttons=buttons("reroll 12")))
    [message] = await at_home.front.deliver(owed)
    await at_home.again()
    shown = at_home.general.every_message[int(message)]
    pressed = await at_home.general.presses(at_home.mia, shown, "Reroll 12")
    assert (await at_home.desk.one()).text == "/reroll 12"
    assert pressed.acknowledged == 6


async def test_a_button_with_a_quiet_answer_thinks_for_one_person(at_home: House) -> None:
    owed = at_home.owed("Hello", DeliveryKind.NOTICE, manner=Manner(buttons=buttons("help")))
    [message] = await at_home.front.deliver(owed)
    shown = at_home.general.every_message[int(message)]
    pressed = await at_home.general.presses(at_home.mia, shown, "Help")
    heard = await at_home.desk.one()
    assert (pressed.acknowledged, pressed.ephemeral) == (5, True)
    await at_home.front.deliver(
        at_home.owed("So it goes.", DeliveryKind.NOTICE, answers=heard, manner=Manner(quiet=True))
    )
    assert (await pressed.until_answered()).content == "So it goes."


async def test_a_command_that_lacks_its_words_is_met_with_a_form(at_home: House) -> None:
    at_home.desk.asks["/imagine"] = ("What should the picture show?", Question("imagine", "a fox"))
    asked = await at_home.general.command(at_home.mia, "imagine")
    form = await asked.until_asked()
    assert form["title"] == "Greenroom fragt"
    assert form["components"][0]["component"]["value"] == "a fox"
    assert at_home.desk.heard == []
    sent = await asked.submits({"What should the picture show?": "a red fox"})
    heard = await at_home.desk.one()
    assert (heard.text, heard.pressed) == ("/imagine a red fox", True)
    await at_home.front.deliver(at_home.owed("Queued.", DeliveryKind.NOTICE, answers=heard))
    assert (await sent.until_answered()).content == "Queued."


async def test_a_button_can_ask_with_a_form_too(at_home: House) -> None:
    long = "This is what was asked for, and it can be changed: what should it be from now on?"
    at_home.desk.asks["/edit 7"] = (long, Question("/edit 7", "a prompt " * 600))
    owed = at_home.owed("Done", DeliveryKind.NOTICE, manner=Manner(buttons=buttons("edit 7")))
    [message] = await at_home.front.deliver(owed)
    shown = at_home.general.every_message[int(message)]
    pressed = await at_home.general.presses(at_home.mia, shown, "Edit 7")
    asked = await pressed.until_asked()
    [field] = asked["components"]
    assert "value" not in field["component"], "a part of it would take the place of the whole"
    assert field["description"].startswith("Es ist zu lang")
    await pressed.submits({"words": "another prompt"})
    assert (await at_home.desk.one()).text == "/edit 7 another prompt"


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("character", ["x", "🎨"])
def test_a_form_holds_all_that_is_there_or_nothing_of_it(code: str, character: str) -> None:
    too_long = locale_of(code).say("discord.form_too_long")
    assert len(too_long) <= HINT_LENGTH
    for length in (FORM_LENGTH // len(character.encode("utf-16-le")) * 2, FORM_LENGTH + 1):
        there = Question("edit", prefill=character * length)
        [label] = form("Well? A hint.", there, title="t", too_long=too_long)["components"]
        fits = length <= FORM_LENGTH
        assert label["component"].get("value", "") == (there.prefill if fits else "")
        assert label["description"] == ("A hint." if fits else too_long)


async def test_it_is_deferred_when_the_question_takes_too_long(at_home: House) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    at_home.desk.thinks_about_asking = for_ever
    asked = await at_home.general.command(at_home.mia, "imagine")
    await asked.until_acknowledged()
    assert asked.acknowledged == 5
    assert (await at_home.desk.one()).text == "/imagine"


async def test_suggestions_come_while_somebody_types(at_home: House) -> None:
    choices = await at_home.general.autocomplete(at_home.mia, "imagine", focused="style", value="no")
    assert choices == [{"name": "Noir", "value": "noir"}]


async def test_an_order_whose_acknowledgement_was_lost_on_the_way_is_heard_once(at_home: House) -> None:
    at_home.server.fail_next(CALLBACK, Fault.DROP_AFTER)
    await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    assert len(at_home.desk.heard) == 1
    await at_home.front.deliver(at_home.owed("Here.", DeliveryKind.NOTICE, answers=heard))
    assert [(one.content, one.loading) for one in at_home.general.messages] == [("Here.", False)]


async def test_an_order_that_could_not_be_acknowledged_is_heard_and_answered_all_the_same(
    at_home: House,
) -> None:
    at_home.server.fail_next(CALLBACK, Fault.DROP_BEFORE, times=2)
    await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    answer = Answer.read(heard.answer_to)
    assert answer is not None
    assert (answer.alive(1.0), answer.user) == (False, at_home.mia.id)
    await at_home.front.deliver(at_home.owed("Here.", DeliveryKind.NOTICE, answers=heard))
    assert [one.content for one in at_home.general.messages] == ["Here."]


async def test_a_command_that_the_last_process_left_thinking_is_answered_in_its_place(at_home: House) -> None:
    asked = await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    await at_home.again()
    owed = at_home.owed("Here.", DeliveryKind.NOTICE, answers=heard)
    assert await at_home.front.deliver(owed) == (heard.message,)
    assert asked.response is not None
    assert asked.response.content == "Here."
    later = at_home.owed("More.", DeliveryKind.NOTICE, answers=heard)
    assert await at_home.front.deliver(later) != (heard.message,)


async def test_an_answer_outlives_the_token(at_home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    await at_home.front.deliver(at_home.owed("At first.", DeliveryKind.NOTICE, answers=heard))
    one = at_home.server.interactions.by_token[asked.token]
    one.dies_at = 0.0
    owed = at_home.owed("At last.", DeliveryKind.NOTICE, answers=heard, replaces=[heard.message])
    monkeypatch.setattr(wire, "TOKEN_LIVES", -3_600.0)
    assert await at_home.front.deliver(owed) == (heard.message,)
    assert [message.content for message in at_home.general.messages] == ["At last."]


async def test_commands_work_where_the_bot_is_no_member() -> None:
    async with house() as home:
        home.mia.installs(home.bot)
        elsewhere = home.server.guild("Elsewhere", people=[home.mia])
        lobby = elsewhere.text_channel("lobby")
        await lobby.command(home.mia, "settings", bot=home.bot)
        heard = await home.desk.one()
        for text in ("One.", "Two."):
            await home.front.deliver(home.owed(text, DeliveryKind.NOTICE, to=lobby, answers=heard))
        assert [one.content for one in lobby.messages] == ["One.", "Two."]
