"""What Discord's people see of deliveries, drafts and jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.discord.faces import name_of
from bot.discord.front import DiscordFront
from bot.front import Draft, Progress
from engine.errors import DeliveryFailed, TryAgain
from engine.store.records import Button, DeliveryKind, Manner
from tests.bot.on_discord.recording import SCALE, House, buttons, face, house, png
from tests.servers.discord import Fault

SEND = "POST /channels/{channel}/messages"
HOOK = "POST /webhooks/{webhook}/{token}"


async def test_a_reply_in_a_server_has_the_persona_s_name_and_face(at_home: House) -> None:
    for text in ("Good *evening*.", "And good night."):
        await at_home.front.deliver(at_home.owed(text, face=face()))
    first, second = at_home.general.messages
    assert (first.content, first.face.name) == ("Good *evening*.", "Ada Quill")
    [number] = at_home.server.emojis
    assert first.face.avatar_url == second.face.avatar_url == f"{at_home.server.url}/emojis/{number}.png"
    assert at_home.server.emojis[number]["name"] == name_of("ada-1")
    assert len(at_home.server.world.webhooks) == 1


async def test_a_face_that_cannot_be_had_costs_no_message(at_home: House) -> None:
    async def broken() -> bytes:
        raise OSError("the file is gone")

    await at_home.front.deliver(at_home.owed("Good evening.", face=replace(face(), picture=broken)))
    assert at_home.general.messages[-1].face.avatar_url is None


@pytest.mark.parametrize("name", ["Discordia", "CLYDE", "x" * 200, " "])
async def test_every_name_can_be_shown(at_home: House, name: str) -> None:
    await at_home.front.deliver(at_home.owed("Hello", face=face(name=name)))
    assert at_home.general.messages[-1].content.endswith("Hello")


async def test_the_webhook_of_an_earlier_process_is_used_again_and_a_new_one_made_when_it_is_gone(
    at_home: House,
) -> None:
    await at_home.says("One")
    await at_home.again()
    await at_home.says("Two")
    assert len(at_home.server.world.webhooks) == 1
    at_home.server.world.webhooks.clear()
    owed = at_home.owed("Three")
    with pytest.raises(TryAgain):
        await at_home.front.deliver(owed)
    await at_home.front.deliver(owed)
    assert [one.content for one in at_home.general.messages] == ["One", "Two", "Three"]
    # The server cannot tell a webhook that somebody removed from one that never was.
    del at_home.server.broken["an unknown token"]


async def test_in_a_thread_it_speaks_through_the_webhook_of_the_channel(at_home: House) -> None:
    thread = at_home.general.thread("scene", at_home.mia)
    # News of the thread must have arrived.
    await thread.says(at_home.mia, "here")
    await at_home.desk.one()
    await at_home.says("Good evening.", thread)
    assert thread.messages[-1].face.name == "Ada Quill"


async def test_in_private_and_without_webhooks_the_name_stands_in_bold(at_home: House) -> None:
    at_home.guild.deny(at_home.bot, "manage_webhooks")
    await asyncio.sleep(1.2 * SCALE)
    for channel in (at_home.dm, at_home.general):
        await at_home.says("Good evening.", channel)
        assert channel.messages[-1].content == "**Ada Quill**\nGood evening."


async def test_a_notice_answers_the_message_that_it_is_about_and_pings_nobody(at_home: House) -> None:
    said = await at_home.general.says(at_home.mia, "hello")
    heard = await at_home.desk.one()
    text = f"@everyone **{at_home.mia.mention}**"
    await at_home.front.deliver(at_home.owed(text, DeliveryKind.NOTICE, answers=heard))
    shown = at_home.general.messages[-1]
    assert shown.reference is said
    assert shown.content == f"@everyone \\*\\*\\{at_home.mia.mention}\\*\\*"
    assert dict(at_home.server.pings) == {}


async def test_prompts_in_a_notice_can_be_copied_and_stay_whole(at_home: House) -> None:
    prompts = [f"{number} (red coat:1.3), [fog] `x` " + "by the *sea* " * 90 for number in range(3)]
    text = "\n\n".join(f"*{number}*\n{prompt}" for number, prompt in enumerate(prompts))
    owed = at_home.owed(text, DeliveryKind.NOTICE, manner=Manner(code=tuple(prompts)))
    shown = [at_home.general.every_message[int(one)].content for one in await at_home.front.deliver(owed)]
    assert [one.rstrip() for one in shown] == [
        f"\\*{number}\\*\n```\n{prompt}\n```" for number, prompt in enumerate(prompts)
    ]


async def test_an_answer_to_a_message_that_has_gone_is_shown(at_home: House) -> None:
    said = await at_home.general.says(at_home.mia, "hello")
    heard = await at_home.desk.one()
    await at_home.general.deletes(at_home.mia, said)
    await at_home.front.deliver(at_home.owed("Hello.", DeliveryKind.NOTICE, answers=heard))
    assert at_home.general.messages[-1].content == "Hello."


async def test_a_long_reply_is_several_messages_in_order(at_home: House) -> None:
    text = "\n".join(f"line {number} of a long story" for number in range(200))
    shown = await at_home.says(text)
    messages = [at_home.general.every_message[int(one)] for one in shown]
    assert len(messages) > 1
    assert "\n".join(one.content for one in messages) == text


async def test_what_takes_the_place_of_a_draft_is_edited_grown_and_shrunk(at_home: House) -> None:
    long = "\n".join("a line of a long story" for _ in range(200))
    first = await at_home.says(long)
    second = await at_home.front.deliver(at_home.owed("Short.", replaces=first))
    assert second == first[:1]
    assert [one.content for one in at_home.general.messages] == ["Short."]
    third = await at_home.front.deliver(at_home.owed(long, replaces=second))
    assert third[0] == first[0]
    assert len(third) == len(first)


async def test_messages_of_an_earlier_process_are_edited_too(at_home: House) -> None:
    [hooked] = await at_home.says("One")
    [ours] = await at_home.front.deliver(at_home.owed("Two", DeliveryKind.NOTICE))
    await at_home.again()
    assert await at_home.front.deliver(at_home.owed("Three", replaces=[hooked])) == (hooked,)
    notice = at_home.owed("Four", DeliveryKind.NOTICE, replaces=[ours])
    assert await at_home.front.deliver(notice) == (ours,)
    assert [one.content for one in at_home.general.messages] == ["Three", "Four"]


async def test_what_was_to_be_replaced_and_is_gone_is_shown_anew(at_home: House) -> None:
    [shown] = await at_home.says("One")
    await at_home.general.deletes(at_home.mia, at_home.general.every_message[int(shown)])
    await at_home.front.deliver(at_home.owed("Two", replaces=[shown]))
    assert [one.content for one in at_home.general.messages] == ["Two"]


async def test_a_picture_takes_the_place_of_its_job(at_home: House) -> None:
    [card] = await at_home.front.deliver(at_home.owed("In line: 3", DeliveryKind.NOTICE))
    preview = Progress(at_home.chat(), card, "Step 3 of 20", buttons("cancel 7"), png())
    await at_home.front.progress(preview)
    shown = at_home.general.every_message[int(card)]
    assert (shown.content, shown.buttons[0].custom_id) == ("Step 3 of 20", "g:cancel 7")
    assert shown.attachments[0].filename == "preview.png"
    picture = at_home.owed(
        "A fox",
        DeliveryKind.PICTURE,
        image=png(shade=10),
        manner=Manner(buttons=buttons("upscale 7 1", "vary 7 1", "reroll 7", "edit 7", "show 7", "delete 7")),
        replaces=[card],
        job=7,
    )
    assert await at_home.front.deliver(picture) == (card,)
    [attached] = shown.attachments
    assert (attached.filename, attached.data) == ("greenroom-7.png", png(shade=10))
    assert shown.content == "A fox"
    assert len(shown.buttons) == 6


async def test_progress_comes_at_the_pace_that_the_channel_likes_and_the_latest_wins(at_home: House) -> None:
    [card] = await at_home.front.deliver(at_home.owed("In line", DeliveryKind.NOTICE))
    steps = [Progress(at_home.chat(), card, f"Step {number}") for number in range(20)]
    await asyncio.gather(*[at_home.front.progress(step) for step in steps])
    shown = at_home.general.every_message[int(card)]
    assert shown.content == "Step 19"
    assert shown.edits <= 2


async def test_a_picture_that_is_too_large_is_told(at_home: House) -> None:
    large = png() + bytes(10 * 2**20)
    await at_home.front.deliver(at_home.owed("A fox", DeliveryKind.PICTURE, image=large, job=7))
    shown = at_home.general.messages[-1]
    assert shown.attachments == []
    assert "larger than the 10 MB" in shown.content


async def test_messages_are_taken_away(at_home: House) -> None:
    hooked = await at_home.says("One")
    ours = await at_home.front.deliver(at_home.owed("Two", DeliveryKind.NOTICE))
    removal = at_home.owed("", DeliveryKind.REMOVAL, manner=Manner(removes=(*hooked, *ours, "123")))
    for _ in range(2):
        assert await at_home.front.deliver(removal) == ()
    assert at_home.general.messages == []


# Drafts


def draft(home: House, text: str, turn: int = 5, messages: tuple[str, ...] = ()) -> Draft:
    stop = Button("Stop", "stop", "danger")
    return Draft(home.chat(), turn, text, face=face(), messages=messages, stop=stop)


async def test_a_reply_grows_in_one_message_and_ends_there(at_home: House) -> None:
    assert await at_home.front.draft(draft(at_home, "")) == ()
    messages = await at_home.front.draft(draft(at_home, "Good"))
    shown = at_home.general.every_message[int(messages[0])]
    assert (shown.content, shown.face.name) == ("Good", "Ada Quill")
    assert shown.buttons[0].custom_id == "g:stop|5"
    for text in ("Good eve", "Good evening", "x" * 5_000):
        assert await at_home.front.draft(draft(at_home, text, messages=messages)) == messages
    assert await at_home.front.deliver(at_home.owed("Good evening.", replaces=messages)) == messages
    assert (shown.content, shown.buttons) == ("Good evening.", [])
    assert len(at_home.general.messages) == 1
    assert [one.kind for one in at_home.general.history][:1] == ["typing"]


async def test_drafts_keep_to_the_pace_and_the_latest_wins(at_home: House) -> None:
    messages = await at_home.front.draft(draft(at_home, "0"))
    drafts = [draft(at_home, f"text {number}", messages=messages) for number in range(30)]
    await asyncio.gather(*[at_home.front.draft(one) for one in drafts])
    shown = at_home.general.every_message[int(messages[0])]
    assert shown.content == "text 29"
    assert shown.edits <= 2


async def test_a_draft_that_nobody_waits_for_any_more_is_not_left_behind(at_home: House) -> None:
    held = at_home.server.hold(HOOK)
    drafting = asyncio.create_task(at_home.front.draft(draft(at_home, "Good")))
    await held.reached()
    drafting.cancel()
    await asyncio.wait([drafting])
    held.release()
    owed = at_home.owed("Good evening.")
    await at_home.front.deliver(replace(owed, delivery=replace(owed.delivery, answers_id=5)))
    assert [one.content for one in at_home.general.messages] == ["Good evening."]


async def test_the_draft_that_the_last_process_left_behind_is_written_on(at_home: House) -> None:
    said = await at_home.general.says(at_home.mia, "hello")
    await at_home.front.draft(draft(at_home, "Good"))
    await at_home.again()
    again = replace(draft(at_home, "Good evening"), answers_message=str(said.id))
    await at_home.front.draft(again)
    assert [one.content for one in at_home.general.messages] == ["hello", "Good evening"]


async def test_a_reply_takes_the_place_of_the_draft_that_the_last_process_left_behind(at_home: House) -> None:
    said = await at_home.general.says(at_home.mia, "hello")
    heard = await at_home.desk.one()
    await at_home.front.draft(draft(at_home, "Good"))
    await at_home.front.draft(draft(at_home, "Another's", turn=6))
    await at_home.again()
    owed = at_home.owed("Good evening.", answers=heard)
    await at_home.front.deliver(replace(owed, delivery=replace(owed.delivery, answers_id=5)))
    assert [one.content for one in at_home.general.messages] == ["hello", "Good evening.", "Another's"]
    assert said.id == int(heard.message)


async def test_two_personas_who_answer_one_turn_have_a_message_each(at_home: House) -> None:
    at_home.guild.deny(at_home.bot, "manage_webhooks")
    await asyncio.sleep(1.2 * SCALE)
    for name in ("Ada", "Bo"):
        messages = await at_home.front.draft(replace(draft(at_home, "Good"), face=face(name=name)))
        owed = at_home.owed(f"I am {name}.", replaces=messages, face=face(name=name))
        await at_home.front.deliver(replace(owed, delivery=replace(owed.delivery, answers_id=5)))
    shown = [one.content for one in at_home.general.messages]
    assert shown == ["**Ada**\nI am Ada.", "**Bo**\nI am Bo."]


async def test_a_draft_on_its_way_when_the_house_closes_is_finished_all_the_same(at_home: House) -> None:
    await at_home.says("warm")
    held = at_home.server.hold(HOOK, after=True)
    drafting = asyncio.create_task(at_home.front.draft(draft(at_home, "Good")))
    await held.reached()
    await at_home.stop()
    held.release()
    await asyncio.wait([drafting])
    owed = at_home.owed("Good evening.")
    await at_home.front.deliver(replace(owed, delivery=replace(owed.delivery, answers_id=5)))
    assert [one.content for one in at_home.general.messages] == ["warm", "Good evening."]


async def test_the_button_under_a_draft_stops_it(at_home: House) -> None:
    [message] = await at_home.front.draft(draft(at_home, "Good"))
    await at_home.general.presses(at_home.mia, at_home.general.every_message[int(message)], "Stop")
    assert (await at_home.desk.one()).text == "/stop"


async def test_the_answer_to_a_command_is_written_where_it_was_thought_about(at_home: House) -> None:
    asked = await at_home.general.command(at_home.mia, "settings")
    heard = await at_home.desk.one()
    growing = replace(draft(at_home, "Good"), answers_message=heard.message, answer_to=heard.answer_to)
    messages = await at_home.front.draft(growing)
    assert messages == (heard.message,)
    assert (await asked.until_answered()).content == "**Ada Quill**\nGood"
    owed = at_home.owed("Good evening.", answers=heard, replaces=messages)
    assert await at_home.front.deliver(owed) == messages
    assert [one.content for one in at_home.general.messages] == ["**Ada Quill**\nGood evening."]


@pytest.mark.parametrize("again", [True, False])
async def test_a_first_draft_that_arrived_without_our_knowing_is_not_left_behind(
    at_home: House, again: bool
) -> None:
    await at_home.says("warm")
    at_home.server.fail_next(HOOK, Fault.DROP_AFTER)
    assert await at_home.front.draft(draft(at_home, "Good")) == ()
    messages: tuple[str, ...] = ()
    if again:
        messages = await at_home.front.draft(draft(at_home, "Good even"))
        assert messages
    owed = at_home.owed("Good evening.", replaces=messages)
    await at_home.front.deliver(replace(owed, delivery=replace(owed.delivery, answers_id=5)))
    assert [one.content for one in at_home.general.messages] == ["warm", "Good evening."]


# Trouble


@pytest.mark.parametrize("kind", [DeliveryKind.REPLY, DeliveryKind.NOTICE])
async def test_what_arrived_without_our_knowing_is_not_sent_twice(at_home: House, kind: DeliveryKind) -> None:
    await at_home.says("warm")
    at_home.server.fail_next(HOOK if kind is DeliveryKind.REPLY else SEND, Fault.DROP_AFTER)
    owed = at_home.owed("Good evening.", kind)
    with pytest.raises(TryAgain):
        await at_home.front.deliver(owed)
    again = replace(owed, delivery=replace(owed.delivery, attempts=2))
    shown = await at_home.front.deliver(again)
    assert [one.content for one in at_home.general.messages] == ["warm", "Good evening."]
    assert shown == (str(at_home.general.messages[-1].id),)


async def test_of_a_long_reply_only_what_is_missing_is_sent_after_a_restart(at_home: House) -> None:
    text = "\n".join(f"line {number} of a long story" for number in range(200))
    await at_home.says("warm")
    owed = at_home.owed(text, unsure=True)
    held = at_home.server.hold(HOOK, after=True)
    delivering = asyncio.create_task(at_home.front.deliver(owed))
    await held.reached()
    held.drop()
    await asyncio.wait([delivering])
    assert isinstance(delivering.exception(), TryAgain)
    await at_home.again()
    shown = await at_home.front.deliver(owed)
    assert "\n".join(one.content for one in at_home.general.messages[1:]) == text
    assert len(set(shown)) == len(shown) == len(at_home.general.messages) - 1


async def test_a_missing_permission_is_named(at_home: House) -> None:
    at_home.guild.deny(at_home.bot, "manage_webhooks", "send_messages")
    await asyncio.sleep(1.2 * SCALE)
    with pytest.raises(DeliveryFailed, match="It needs: Send Messages, Manage Webhooks"):
        await at_home.says("Hello")


async def test_a_channel_that_has_gone_is_given_up(at_home: House) -> None:
    other = at_home.guild.text_channel("other")
    at_home.server.world.channels.pop(other.id)
    with pytest.raises(DeliveryFailed, match="not there any more"):
        await at_home.front.deliver(at_home.owed("Hello", DeliveryKind.NOTICE, to=other))
    assert at_home.desk.gone == [at_home.chat(other)]


async def test_somebody_who_blocked_the_bot_is_left_alone(at_home: House) -> None:
    at_home.mia.blocks(at_home.bot)
    with pytest.raises(DeliveryFailed, match="blocked"):
        await at_home.says("Hello", at_home.dm)
    assert at_home.desk.gone == [at_home.chat(at_home.dm)]


async def test_nothing_is_shown_before_it_is_connected(at_home: House) -> None:
    front = DiscordFront(at_home.bot.token, shards=1, hurry=SCALE)
    with pytest.raises(TryAgain):
        await front.deliver(at_home.owed("Hello"))


async def test_what_is_finished_while_the_house_closes_is_still_shown(at_home: House) -> None:
    messages = await at_home.front.draft(draft(at_home, "Good"))
    await at_home.stop()
    assert await at_home.front.draft(draft(at_home, "Good eve", messages=messages)) == messages
    owed = at_home.owed("Good evening.", replaces=messages)
    more = [at_home.owed(f"{one}") for one in range(3)]
    assert await at_home.front.deliver(owed) == messages
    await asyncio.gather(*[at_home.front.deliver(one) for one in more])
    assert at_home.general.messages[0].content == "Good evening."
    assert {one.content for one in at_home.general.messages[1:]} == {"0", "1", "2"}
    at_home.server.fail_next("GET /users/@me", Fault.DROP_BEFORE, times=5)
    with pytest.raises(TryAgain):
        await at_home.says("Too late")


async def test_who_is_in_charge_of_a_channel(at_home: House) -> None:
    mia, owner = str(at_home.mia.id), str(at_home.guild.owner.id)
    assert not await at_home.front.in_charge(at_home.chat(), mia)
    assert await at_home.front.in_charge(at_home.chat(), owner)
    assert await at_home.front.in_charge(at_home.chat(at_home.dm), mia)
    assert not await at_home.front.in_charge(at_home.chat(), "12345")
    at_home.guild.gives(at_home.mia, at_home.guild.role("Moderators", "manage_messages"))
    await asyncio.sleep(1.2 * SCALE)
    assert await at_home.front.in_charge(at_home.chat(), mia)


async def test_it_waits_as_long_as_it_is_told() -> None:
    async with house() as home:
        home.server.fail_next(SEND, Fault.RATE_LIMIT, times=2)
        await asyncio.gather(
            *[home.front.deliver(home.owed(f"{one}", DeliveryKind.NOTICE)) for one in range(12)]
        )
        assert {one.content for one in home.general.messages} == {str(one) for one in range(12)}
