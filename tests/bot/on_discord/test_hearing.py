"""What people say and do on Discord, in our nouns."""

from __future__ import annotations

import pytest

from bot.discord.front import account_in
from bot.discord.hearing import ordered, submitted, understood
from bot.front import ChatRef
from engine.errors import StoreError
from tests.bot.on_discord.recording import MENU, House, house, png


async def test_a_message_in_a_server_is_heard_with_all_that_belongs_to_it(at_home: House) -> None:
    role = at_home.guild.role("Painters")
    at_home.guild.gives(at_home.mia, role)
    at_home.general.set(nsfw=True)
    message = await at_home.general.says(at_home.mia, f"{at_home.bot.mention}, good evening")
    heard = await at_home.desk.one()
    assert heard.text == "good evening"
    assert heard.chat == ChatRef("discord", str(at_home.bot.id), str(at_home.general.id))
    assert (heard.key, heard.message) == (f"m{message.id}", str(message.id))
    assert (heard.account.platform_id, heard.account.name) == (str(at_home.mia.id), "Mia")
    assert heard.account.language == "en-GB"
    assert (heard.shared, heard.mentioned, heard.allows_mature, heard.pressed) == (True, True, True, False)
    assert heard.places == (f"discord:{at_home.guild.id}", f"discord:{at_home.general.id}")
    assert heard.roles == (f"discord:role:{role.id}",)


async def test_a_private_message_is_nobody_else_s(at_home: House) -> None:
    await at_home.dm.says(at_home.mia, "Hello")
    heard = await at_home.desk.one()
    assert heard.chat.chat == str(at_home.dm.id)
    assert (heard.shared, heard.allows_mature, heard.account.language) == (False, False, "")


async def test_a_thread_is_a_chat_of_its_own_in_its_channel(at_home: House) -> None:
    thread = at_home.general.thread("scene", at_home.mia)
    await thread.says(at_home.mia, "Here?")
    heard = await at_home.desk.one()
    assert heard.chat == ChatRef("discord", at_home.front.account, str(at_home.general.id), str(thread.id))
    assert f"discord:{at_home.general.id}" in heard.places


async def test_a_reply_names_the_message_that_it_is_about(at_home: House) -> None:
    first = await at_home.general.says(at_home.mia, "One")
    await at_home.general.says(at_home.mia, "Two", reply_to=first)
    await at_home.desk.until(lambda desk: len(desk.heard) == 2)
    assert at_home.desk.heard[1].reply_to == str(first.id)
    assert not at_home.desk.heard[1].mentioned


async def test_bots_and_webhooks_are_not_heard(at_home: House) -> None:
    other = at_home.server.bot("Other")
    at_home.guild.joins(other)
    await at_home.general.says(other, "beep")
    await at_home.general.hears(at_home.general.webhook("News", at_home.guild.owner), "news")
    await at_home.general.says(at_home.mia, "and I")
    assert (await at_home.desk.one()).text == "and I"
    assert len(at_home.desk.heard) == 1


async def test_a_photo_is_kept_as_a_note_of_it(at_home: House) -> None:
    await at_home.dm.says(at_home.mia, "", attachments=[("fox.png", png())])
    [photo] = (await at_home.desk.one()).attachments
    assert (photo.kind, photo.name, photo.mime) == ("photo", "fox.png", "image/png")
    assert photo.id.startswith(f"{at_home.dm.id}/")


async def test_a_reaction_is_kept_and_so_is_its_end(at_home: House) -> None:
    [message] = await at_home.says("Good evening.")
    shown = at_home.general.every_message[int(message)]
    await at_home.general.reacts(at_home.mia, shown, "👍")
    await at_home.general.unreacts(at_home.mia, shown, "👍")
    await at_home.desk.until(lambda desk: len(desk.reactions) == 2)
    assert {(one.emoji, one.added) for one in at_home.desk.reactions} == {("👍", True), ("👍", False)}
    assert {one.message for one in at_home.desk.reactions} == {message}


async def test_an_event_that_comes_twice_has_the_same_key(at_home: House) -> None:
    await at_home.general.says(at_home.mia, "once")
    await at_home.desk.one()
    at_home.server.replay(at_home.bot, "MESSAGE_CREATE")
    await at_home.desk.until(lambda desk: len(desk.heard) == 2)
    assert len({one.dedup_key for one in at_home.desk.heard}) == 1


async def test_what_could_not_be_stored_is_offered_again(at_home: House) -> None:
    at_home.desk.troubles.extend([StoreError("the disk is full")] * 2)
    await at_home.dm.says(at_home.mia, "Hello")
    assert (await at_home.desk.one()).text == "Hello"


async def test_somebody_whose_words_cannot_be_kept_is_told(at_home: House) -> None:
    at_home.desk.troubles.extend([StoreError("the disk is full")] * 5)
    await at_home.dm.says(at_home.mia, "Hello")
    await at_home.dm.until(lambda dm: len(dm.messages) == 2)
    assert "say it again" in at_home.dm.messages[1].content


async def test_channels_that_go_are_told(at_home: House) -> None:
    other = at_home.guild.text_channel("other")
    thread = other.thread("scene", at_home.mia)
    await thread.says(at_home.mia, "here")
    await at_home.desk.one()
    chats = {at_home.chat(thread), at_home.chat(other)}
    other.delete()
    await at_home.desk.until(lambda desk: chats <= set(desk.gone))
    at_home.guild.removes(at_home.bot)
    await at_home.desk.until(lambda desk: at_home.chat() in desk.gone)


async def test_it_hears_mentions_where_it_may_not_read_messages() -> None:
    async with house(message_content=False) as home:
        await home.general.says(home.mia, "not for the bot")
        await home.general.says(home.mia, f"{home.bot.mention} but this")
        assert (await home.desk.one()).text == "but this"
        assert len(home.desk.heard) == 1


async def test_a_connection_that_breaks_is_taken_up_again(at_home: House) -> None:
    at_home.server.disconnect(at_home.bot)
    await at_home.general.says(at_home.mia, "still there?")
    assert (await at_home.desk.one()).text == "still there?"


@pytest.mark.parametrize(
    ("said", "text", "mentioned"),
    [
        ("<@1> hello", "hello", True),
        ("<@!1>: hello", "hello", True),
        ("<@&9> hello", "hello", True),
        ("hello <@1>", "hello @Greenroom", True),
        ("<@2> hello <#5> and <#6>", "@Mia hello #general and #somewhere", False),
        ("<@3> <@&4>", "@someone @someone", False),
        ("<:fox:123> <a:dance:4> </imagine:5>", ":fox: :dance: /imagine", False),
        ("<@1>", "", True),
        ("  plain  ", "plain", False),
    ],
)
def test_words_are_read_as_a_person_reads_them(said: str, text: str, mentioned: bool) -> None:
    people = {1: "Greenroom", 2: "Mia"}
    channel = {5: "general"}.get
    assert understood(said, ours={1, 9}, people=people, roles={}, channel=channel) == (text, mentioned)


def test_a_command_is_put_into_one_line() -> None:
    options = [
        {"name": "scene", "type": 3, "value": "a red coat"},
        {"name": "count", "type": 4, "value": 2},
    ]
    order = ordered({"name": "imagine", "options": options}, MENU)
    assert order.text == '/imagine a red coat --count "2"'
    assert not order.wants_words
    assert ordered({"name": "imagine", "options": []}, MENU).wants_words
    part = {"name": "use", "type": 1, "options": [{"name": "name", "type": 3, "value": "ada"}]}
    assert ordered({"name": "persona", "options": [part]}, MENU).text == "/persona use ada"
    assert (
        ordered({"name": "gone", "options": options}, MENU).text == '/gone --scene "a red coat" --count "2"'
    )


def test_a_form_is_the_rest_of_its_order() -> None:
    field = {"type": 4, "custom_id": "words", "value": " a red fox "}
    form = {"custom_id": "g:imagine", "components": [{"type": 18, "component": field}]}
    assert submitted(form) == "/imagine a red fox"
    assert submitted({**form, "components": [{"type": 1, "components": [field]}]}) == "/imagine a red fox"
    assert submitted({**form, "custom_id": "else"}) == ""


@pytest.mark.parametrize("token", ["", "abc", "abc.def.ghi", "💥.a.b", "MTIz"])
def test_a_token_tells_whose_it_is_or_that_it_is_none(token: str) -> None:
    assert account_in(token) == ("123" if token == "MTIz" else "?")
