"""Coming in to Discord and staying: tokens, intents, sessions, shards, and what is heard there."""

from __future__ import annotations

import asyncio

import aiohttp
import discord
import pytest

from tests.servers.discord import DiscordServer, pointed_at
from tests.servers.on_discord.parrot import SCALE, Parrot, Place, eventually, running, spoken


async def test_a_bot_answers_a_person(place: Place, parrot: Parrot) -> None:
    asked = await place.general.says(place.mia, "ping")
    await place.general.until(lambda c: len(c.messages) == 2)
    answer = place.general.messages[-1]
    assert (answer.content, answer.face.name, answer.reference) == ("pong", "Greenroom", asked)
    assert [one.kind for one in place.general.history] == ["created", "created"]
    assert not place.server.broken


async def test_a_bad_token_is_refused(server: DiscordServer) -> None:
    stranger = discord.Client(intents=discord.Intents.none())
    with pytest.raises(discord.LoginFailure):
        await stranger.start("no.such.token")
    await stranger.close()


async def test_an_intent_that_is_not_enabled_is_refused(server: DiscordServer) -> None:
    bot = server.bot(message_content=False)
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with running(Parrot(), bot):
            pytest.fail("it must not come in")


async def test_the_application_tells_which_intents_it_has(place: Place, parrot: Parrot) -> None:
    assert parrot.application is not None
    assert parrot.application.flags.gateway_message_content_limited
    assert not parrot.application.flags.gateway_guild_members_limited


async def test_without_the_intent_only_what_is_meant_for_the_bot_is_read(server: DiscordServer) -> None:
    bot = server.bot(message_content=False)
    mia = server.person("Mia")
    general = server.guild("Studio", bots=[bot], people=[mia]).text_channel("general")
    client = Parrot(intents=discord.Intents(guilds=True, messages=True))
    async with running(client, bot):
        await general.says(mia, "secret")
        await general.says(mia, f"{bot.mention} hello")
        await server.dm(bot, mia).says(mia, "just us")
        await eventually(lambda: len(client.heard) == 3)
    assert [one.content for one in client.heard] == ["", f"{bot.mention} hello", "just us"]


@pytest.mark.parametrize("resumable", [True, False])
async def test_what_was_missed_is_heard_after_a_resume_only(
    place: Place, parrot: Parrot, resumable: bool
) -> None:
    place.server.disconnect(place.bot, resumable=resumable)
    await place.general.says(place.mia, "while you were out")
    await eventually(lambda: parrot.seen.count("RESUMED" if resumable else "READY") > (not resumable))
    await place.general.says(place.mia, "back?")
    await eventually(lambda: any(one.content == "back?" for one in parrot.heard))
    assert any(one.content == "while you were out" for one in parrot.heard) is resumable
    assert not place.server.broken


async def test_a_bot_that_is_asked_to_reconnect_misses_nothing(place: Place, parrot: Parrot) -> None:
    place.server.ask_reconnect(place.bot)
    await place.general.says(place.mia, "one")
    await eventually(lambda: "RESUMED" in parrot.seen)
    await place.general.says(place.mia, "two")
    await eventually(lambda: len(parrot.heard) == 2)
    assert [one.content for one in parrot.heard] == ["one", "two"]


async def test_shards_serve_their_own_guilds_and_the_first_one_direct_messages() -> None:
    async with DiscordServer(scale=SCALE, shards=2) as server:
        bot, mia = server.bot(), server.person("Mia")
        places = [
            server.guild(f"G{n}", bots=[bot], people=[mia], shard=(n, 2)).text_channel("general")
            for n in range(2)
        ]
        with pointed_at(server):
            client = ShardedParrot()
            async with running(client, bot):
                assert client.shard_count == 2
                for channel in (*places, server.dm(bot, mia)):
                    await channel.says(mia, "hi")
                await eventually(lambda: len(client.heard) == 3)
        shards = [one.guild.shard_id if one.guild else None for one in client.heard]
        assert sorted(shards, key=str) == [0, 1, None]
        assert not server.broken


class ShardedParrot(discord.AutoShardedClient):
    def __init__(self) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True, messages=True, message_content=True), guild_ready_timeout=0.1
        )
        self.heard: list[discord.Message] = []

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await asyncio.sleep(5 * SCALE + 0.05)

    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message)


async def test_identifying_too_often_is_counted(place: Place, parrot: Parrot) -> None:
    second = Parrot()
    async with aiohttp.ClientSession() as session, session.ws_connect(place.server.gateway_url) as socket:
        await socket.receive_json()
        for _ in range(2):
            identify = {"token": place.bot.token, "intents": 0, "properties": {}}
            await socket.send_json({"op": 2, "d": identify})
        await eventually(lambda: place.server.broken)
    await second.close()
    assert set(place.server.broken) <= {
        "identified more than once in 5 s",
        "identified twice on one connection",
    }


async def test_silence_and_chatter_on_the_gateway_are_counted() -> None:
    now = [0.0]
    async with (
        DiscordServer(scale=0.01, monotonic=lambda: now[0]) as server,
        aiohttp.ClientSession() as session,
    ):
        async with session.ws_connect(server.gateway_url) as chatty:
            for _ in range(121):
                await chatty.send_json({"op": 1, "d": None})
            while not chatty.closed:
                await chatty.receive()
            assert chatty.close_code == 4008
        async with session.ws_connect(server.gateway_url) as silent:
            await silent.receive()
            now[0] += 10
            await silent.receive()
            assert silent.close_code == 4009
        assert server.broken == {"more than 120 gateway sends a minute": 1, "heartbeat missed": 1}


async def test_a_bot_learns_where_it_was_added(place: Place, parrot: Parrot) -> None:
    joined: list[discord.Guild] = []

    async def on_guild_join(guild: discord.Guild) -> None:
        joined.append(guild)

    parrot.event(on_guild_join)
    new = place.server.guild("New", people=[place.mia])
    lobby = new.text_channel("lobby", nsfw=True)
    new.joins(place.bot, "view_channel", "send_messages")
    await eventually(lambda: joined)
    assert spoken(parrot, lobby).nsfw
    assert not joined[0].me.guild_permissions.manage_webhooks


async def test_a_bot_learns_that_places_are_gone(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    place.general.delete()
    with pytest.raises(discord.NotFound) as refused:
        await channel.send("anybody?")
    assert refused.value.code == 10003
    place.guild.removes(place.bot)
    await eventually(lambda: not parrot.guilds)
    assert not place.server.broken


async def test_other_bots_and_webhooks_are_heard_as_bots(place: Place, parrot: Parrot) -> None:
    other = place.server.bot("Echo")
    place.guild.joins(other)
    await place.general.says(other, "ping")
    await place.general.hears(place.general.webhook("News", place.mia), "ping")
    await eventually(lambda: len(parrot.heard) == 2)
    assert all(one.author.bot for one in parrot.heard)
    assert len(place.general.messages) == 2
