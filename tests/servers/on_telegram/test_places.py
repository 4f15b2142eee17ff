"""Where a bot may write on Telegram: to people, in groups, channels and topics, and what changes there."""

from __future__ import annotations

import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramMigrateToChat

from tests.servers.on_telegram.client import client_of, png
from tests.servers.telegram import Rule, TelegramServer


async def test_nobody_is_written_to_who_did_not_start_the_bot(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia)
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="chat not found"):
            await client.send_message(mia.id, "Buy!")
        assert server.broken == {Rule.STRANGER: 1}
        server.group("Studio", [bot], [mia])
        with pytest.raises(TelegramForbiddenError, match="can't initiate conversation"):
            await client.send_message(mia.id, "Buy!")
        assert server.broken == {Rule.STRANGER: 2}
        with pytest.raises(TelegramBadRequest, match="chat not found"):
            await client.send_message(123, "Who?")
        await chat.starts("invited")
        await client.send_message(mia.id, "Welcome")
    assert chat.messages[0].text == "/start invited"
    assert server.broken == {Rule.STRANGER: 2}


async def test_a_person_who_blocks_the_bot(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.private(bot, mia, started=True)
    await chat.blocks()
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
            await client.send_message(mia.id, "Hello?")
        await chat.unblocks()
        assert await client.send_message(mia.id, "Hello again")
        changes = [one.my_chat_member for one in await client.get_updates()]
    assert [one and one.new_chat_member.status for one in changes] == ["kicked", "member"]
    assert not server.broken


async def test_a_bot_in_a_group_added_restricted_promoted_removed(server: TelegramServer) -> None:
    bot, mia, tom = server.bot(), server.person("Mia"), server.person("Tom")
    chat = server.group("Studio", [], [mia, tom])
    async with client_of(server, bot) as client:
        await chat.adds(mia, bot)
        assert await client.send_message(chat.id, "Hello all")
        await chat.restricts(mia, bot, can_send_photos=False)
        with pytest.raises(TelegramBadRequest, match="not enough rights to send photos to the chat"):
            await client.send_photo(chat.id, png())
        await chat.restricts(mia, bot, can_send_messages=False)
        with pytest.raises(TelegramBadRequest, match="not enough rights to send text messages to the chat"):
            await client.send_message(chat.id, "Hello?")
        await chat.promotes(mia, bot, can_delete_messages=False)
        admins = await client.get_chat_administrators(chat.id)
        assert {one.user.id: one.status for one in admins} == {mia.id: "creator", bot.id: "administrator"}
        assert (await client.get_chat_member(chat.id, tom.id)).status == "member"
        assert await client.get_chat_member_count(chat.id) == 3
        said = await chat.says(tom, "hi")
        with pytest.raises(TelegramBadRequest, match="message can't be deleted"):
            await client.delete_message(chat.id, said.id)
        full = await client.get_chat(chat.id)
        assert (full.title, full.type) == ("Studio", "group")
        await chat.removes(mia, bot)
        with pytest.raises(TelegramForbiddenError, match="bot was kicked from the group chat"):
            await client.send_message(chat.id, "Why?")
        await chat.adds(mia, bot)
        assert await client.leave_chat(chat.id)
        updates = await client.get_updates()
    statuses = [one.my_chat_member.new_chat_member.status for one in updates if one.my_chat_member]
    added = ["member", "restricted", "restricted", "administrator", "kicked", "member", "left"]
    assert statuses == added
    assert not server.broken


async def test_a_group_becomes_a_supergroup(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    chat = server.group("Studio", [bot], [mia])
    old = chat.id
    async with client_of(server, bot) as client:
        before = await client.send_message(old, "Hello")
        new = await chat.upgrades(mia)
        with pytest.raises(TelegramMigrateToChat) as moved:
            await client.send_message(old, "Hello?")
        assert moved.value.migrate_to_chat_id == new
        assert (await client.send_message(new, "Hello!")).chat.type == "supergroup"
        with pytest.raises(TelegramBadRequest, match="message to edit not found"):
            await client.edit_message_text("x", chat_id=new, message_id=before.message_id + 50)
        updates = [one.message for one in await client.get_updates() if one.message]
    assert [(one.chat.id, one.migrate_to_chat_id, one.migrate_from_chat_id) for one in updates] == [
        (old, new, None),
        (new, None, old),
    ]


async def test_privacy_mode_lets_through_what_is_meant_for_the_bot(server: TelegramServer) -> None:
    shy, open_bot = server.bot("shy_bot"), server.bot("open_bot", can_read_all_group_messages=True)
    mia = server.person("Mia")
    chat = server.group("Studio", [shy, open_bot], [mia])
    async with client_of(server, shy) as client, client_of(server, open_bot) as other:
        await client.send_message(chat.id, "I am shy")
        mine = chat.messages[0]
        await chat.says(mia, "nobody in particular")
        await chat.says(mia, "hello @Shy_bot")
        await chat.says(mia, "/help@shy_bot")
        await chat.says(mia, "/help@open_bot")
        await chat.says(mia, "/queue")
        await chat.says(mia, "to you", reply_to=mine)
        await other.send_message(chat.id, "I spoke last")
        await chat.says(mia, "/undo")
        heard = [one.message.text for one in await client.get_updates() if one.message]
        everything = [one.message.text for one in await other.get_updates() if one.message]
    assert heard == ["hello @Shy_bot", "/help@shy_bot", "/queue", "to you"]
    assert len(everything) == 7


async def test_a_channel(server: TelegramServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    channel = server.channel("Diary", [bot], [mia], username="diary")
    async with client_of(server, bot) as client:
        posted = await client.send_photo("@diary", png(), caption="Morning")
        assert posted.chat.type == "channel"
        await channel.says(mia, "Good morning")
        (update,) = await client.get_updates()
        assert update.channel_post is not None
        assert update.channel_post.text == "Good morning"
        await channel.promotes(mia, bot, can_post_messages=False)
        with pytest.raises(TelegramBadRequest, match="need administrator rights in the channel"):
            await client.send_message(channel.id, "Evening")


async def test_topics_of_a_forum_and_of_a_private_chat(server: TelegramServer) -> None:
    bot, mia = server.bot(has_topics_enabled=True), server.person("Mia")
    private = server.private(bot, mia, started=True)
    forum = server.group("Studio", [bot], [mia], forum=True)
    plain = server.group("Kitchen", [bot], [mia])
    async with client_of(server, bot) as client:
        with pytest.raises(TelegramBadRequest, match="not enough rights"):
            await client.create_forum_topic(forum.id, "Mira")
        with pytest.raises(TelegramBadRequest, match="not a forum"):
            await client.create_forum_topic(plain.id, "Mira")
        await forum.promotes(mia, bot)
        for chat in (private, forum):
            topic = await client.create_forum_topic(chat.id, "Mira", icon_color=7322096)
            thread = topic.message_thread_id
            sent = await client.send_message(chat.id, "Here I am", message_thread_id=thread)
            assert (sent.message_thread_id, sent.is_topic_message) == (thread, True)
            said = await chat.says(mia, "hello @green_bot", thread=thread)
            assert await client.edit_forum_topic(chat.id, thread, name="Mira B.")
            assert await client.close_forum_topic(chat.id, thread)
            assert await client.reopen_forum_topic(chat.id, thread)
            assert await client.delete_forum_topic(chat.id, thread)
            assert said.deleted
            with pytest.raises(TelegramBadRequest, match="message thread not found"):
                await client.send_message(chat.id, "Gone?", message_thread_id=thread)
        opened = await forum.opens_topic(mia, "Tom")
        told = [one.message for one in await client.get_updates() if one.message]
    assert told[0].message_thread_id is not None
    assert told[-1].forum_topic_created is not None
    assert told[-1].message_thread_id == opened.id
    assert not server.broken
