"""Messages on Discord, whom they wake, under whose name they are said, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import discord
import pytest

from tests.servers.discord import DiscordServer, pointed_at
from tests.servers.on_discord.parrot import SCALE, Parrot, Place, eventually, png, running, spoken


@pytest.mark.parametrize(
    ("message", "code", "rule"),
    [
        ({"content": "x" * 2001}, 50035, "content too long"),
        ({"content": ""}, 50006, "empty message"),
        ({"embed": discord.Embed(description="x" * 4097)}, 50035, "embed description too long"),
        (
            {"embeds": [discord.Embed(description="x" * 3500)] * 2},
            50035,
            "embeds over 6000 characters",
        ),
        (
            {"file": discord.File(io.BytesIO(b"no picture"), "a.png")},
            50046,
            "upload is not the image it claims to be",
        ),
    ],
)
async def test_what_discord_refuses_is_refused_and_counted(
    place: Place, parrot: Parrot, message: dict[str, Any], code: int, rule: str
) -> None:
    with pytest.raises(discord.HTTPException) as refused:
        await spoken(parrot, place.general).send(**message)
    assert refused.value.code == code
    assert place.server.broken == {rule: 1}
    assert place.general.messages == []


async def test_a_large_file_is_refused() -> None:
    async with DiscordServer(scale=SCALE, attachment_size_limit=1000) as server:
        place = Place(server)
        with pointed_at(server):
            client = Parrot()
            async with running(client, place.bot):
                with pytest.raises(discord.HTTPException) as refused:
                    await spoken(client, place.general).send(
                        file=discord.File(io.BytesIO(b"x" * 1001), "a.bin")
                    )
        assert (refused.value.status, refused.value.code) == (413, 40005)


async def test_a_nonce_makes_one_message_however_often_it_is_sent(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    first = await channel.send("once", nonce="n1")
    again = await channel.send("once", nonce="n1")
    other = await channel.send("once", nonce="n2")
    assert first.id == again.id != other.id
    assert len(place.general.messages) == 2


async def test_edits_deletes_reactions_and_files(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    sent = await channel.send("a", file=discord.File(io.BytesIO(png()), "a.png"))
    assert (sent.attachments[0].width, await sent.attachments[0].read()) == (8, png())
    await sent.edit(content="b", attachments=[])
    await sent.add_reaction("👍")
    shown = place.general.messages[0]
    assert (shown.content, shown.attachments, shown.edits) == ("b", [], 1)
    assert list(shown.reactions) == ["👍"]
    await place.general.reacts(place.mia, shown, "❤")
    await eventually(lambda: "MESSAGE_REACTION_ADD" in parrot.seen)
    found = [one async for one in channel.history()]
    assert [one.content for one in found] == ["b"]
    await place.general.deletes(place.mia, shown)
    with pytest.raises(discord.NotFound):
        await sent.edit(content="c")
    assert not place.server.broken


async def test_whom_a_message_wakes_is_counted(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    await channel.send(f"@everyone {place.mia.mention}")
    assert not place.server.pings
    await channel.send(f"hello {place.mia.mention}", allowed_mentions=discord.AllowedMentions(users=True))
    assert place.server.pings == {"person": 1}
    assert not place.server.broken
    await channel.send("@everyone", allowed_mentions=discord.AllowedMentions.all())
    assert place.server.broken == {"pinged everyone": 1}


async def test_webhooks_show_another_name_and_keep_their_rules(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    webhook = await channel.create_webhook(name="Cast")
    sent = await webhook.send("hello", username="Nora", avatar_url="https://example.org/n.png", wait=True)
    shown = place.general.messages[-1]
    assert (shown.face.name, shown.face.avatar_url) == ("Nora", "https://example.org/n.png")
    await webhook.edit_message(sent.id, content="hello there")
    assert shown.content == "hello there"
    await eventually(lambda: parrot.heard)
    assert parrot.heard[0].author.bot
    assert parrot.heard[0].webhook_id == webhook.id
    assert [one.id for one in await channel.webhooks()] == [webhook.id]
    with pytest.raises(discord.HTTPException):
        await webhook.send("hello", username="Discord Nora")
    assert place.server.broken == {"webhook name not allowed": 1}


async def test_threads_hold_messages_of_their_own(place: Place, parrot: Parrot) -> None:
    thread = await spoken(parrot, place.general).create_thread(
        name="scene", type=discord.ChannelType.public_thread
    )
    await thread.send("in here")
    webhook = await spoken(parrot, place.general).create_webhook(name="Cast")
    await webhook.send("me too", thread=thread, wait=True)
    assert [one.content for one in place.server.channel(thread.id).messages] == ["in here", "me too"]
    assert place.general.messages == []


async def test_a_person_who_blocks_is_not_written_to_twice(place: Place, parrot: Parrot) -> None:
    user = await parrot.fetch_user(place.mia.id)
    await user.send("hello")
    place.mia.blocks(place.bot)
    for _ in range(2):
        with pytest.raises(discord.Forbidden) as refused:
            await user.send("hello?")
        assert refused.value.code == 50007
    assert place.server.broken == {"sent again to a person who cannot be reached": 1}


async def test_a_right_that_is_taken_is_missing_and_known(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    place.general.deny(place.bot, "send_messages")
    with pytest.raises(discord.Forbidden) as refused:
        await channel.send("may I?")
    assert refused.value.code == 50013
    assert not place.server.broken
    assert channel.guild.me is not None
    await eventually(lambda: not channel.permissions_for(channel.guild.me).send_messages)


async def test_a_right_that_was_long_gone_should_have_been_known() -> None:
    now = [0.0]
    async with DiscordServer(scale=SCALE, monotonic=lambda: now[0]) as server:
        place = Place(server)
        place.general.deny(place.bot, "attach_files")
        now[0] += 2
        with pointed_at(server):
            client = Parrot()
            async with running(client, place.bot):
                with pytest.raises(discord.Forbidden):
                    await spoken(client, place.general).send(file=discord.File(io.BytesIO(b"x"), "a.txt"))
        assert server.broken == {"without permission: attach_files": 1}


async def test_a_stranger_cannot_be_written_to(place: Place, parrot: Parrot) -> None:
    stranger = await parrot.fetch_user(place.server.person("Nobody").id)
    with pytest.raises(discord.Forbidden) as refused:
        await stranger.send("hello")
    assert refused.value.code == 50007
    assert not place.server.broken


async def test_names_for_everybody_are_refused(place: Place, parrot: Parrot) -> None:
    webhook = await spoken(parrot, place.general).create_webhook(name="Cast")
    for name in ("Here", "everyone"):
        with pytest.raises(discord.HTTPException, match="In username: Username cannot be"):
            await webhook.send("hello", username=name)
    await webhook.send("hello", username="Theresa")
    assert not place.server.broken


async def test_a_channel_has_room_for_fifteen_webhooks(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    for n in range(15):
        await channel.create_webhook(name=f"W{n}")
    with pytest.raises(discord.HTTPException) as refused:
        await channel.create_webhook(name="one more")
    assert refused.value.code == 30007


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"no json",
        b'{"content": 5}',
        b'{"content": "x", "embeds": "y"}',
        b'{"content": "x", "flags": "z"}',
        b'{"content": "x", "components": [{"type": 1, "components": [{"type": 2}]}]}',
        b'{"content": "x", "components": [5]}',
        b'{"content": "x", "message_reference": {"message_id": "q"}}',
        b'{"content": "x", "allowed_mentions": []}',
    ],
)
async def test_nothing_malformed_is_taken_or_breaks_the_server(place: Place, body: bytes) -> None:
    address = f"{place.server.api_url}/channels/{place.general.id}/messages"
    headers = {"Authorization": f"Bot {place.bot.token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(address, data=body) as answer:
        status = answer.status
    assert status == 400
    assert place.server.broken.total() == 1
    assert place.general.messages == []
