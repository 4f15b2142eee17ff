"""The Discord of the tests, driven by the real discord.py: what it enforces, counts, and does wrong on request."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.servers.discord import (
    Bot,
    Channel,
    DiscordServer,
    Fault,
    Faults,
    Guild,
    NotOffered,
    Person,
    pointed_at,
    rules,
)
from tests.servers.discord.limits import SEND, Buckets

with warnings.catch_warnings():
    # Its voice part still wants a module that Python is giving up.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord
    from discord import app_commands

SCALE = 0.1
WEBHOOK = "GET /webhooks/{webhook}/{token}"


class Again(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"again:(?P<job>\d+)"):
    """A button that outlives its process."""

    def __init__(self, job: int) -> None:
        super().__init__(discord.ui.Button(label="Again", custom_id=f"again:{job}"))
        self.job = job

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(int(match["job"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.edit_message(content=f"job {self.job} again")


class Question(discord.ui.Modal, title="Edit the prompt"):
    prompt: discord.ui.TextInput[Self] = discord.ui.TextInput(label="Prompt", min_length=3)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        await interaction.response.send_message(f"now: {self.prompt.value}")


class Parrot(discord.Client):
    """A small bot that uses what a large one would."""

    def __init__(self, intents: discord.Intents | None = None, **options: Any) -> None:
        wanted = intents or discord.Intents(guilds=True, messages=True, message_content=True, reactions=True)
        super().__init__(
            intents=wanted,
            guild_ready_timeout=0.1,
            allowed_mentions=discord.AllowedMentions.none(),
            **options,
        )
        self.heard: list[discord.Message] = []
        self.seen: list[str] = []
        self.slow = 0.0
        self.tree = app_commands.CommandTree(self)
        self.tree.allowed_installs = app_commands.AppInstallationType(guild=True, user=True)
        self.tree.allowed_contexts = app_commands.AppCommandContext(
            guild=True, dm_channel=True, private_channel=True
        )
        self.tree.add_command(imagine)
        self.tree.add_command(ask)
        self.tree.add_command(whisper)
        self.add_dynamic_items(Again)

    async def setup_hook(self) -> None:
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """As long as the server asks, not five real seconds."""
        if not initial:
            await asyncio.sleep(5 * SCALE + 0.05)

    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message)
        if not message.author.bot and message.content == "ping":
            await message.reply("pong", mention_author=False)

    async def on_socket_event_type(self, event: str) -> None:
        self.seen.append(event)


@app_commands.command(description="Paint")
@app_commands.describe(scene="What", style="How", count="How many")
async def imagine(
    interaction: discord.Interaction[Any],
    scene: str,
    style: str = "photo",
    count: app_commands.Range[int, 1, 4] = 1,
) -> None:
    await interaction.response.defer()
    view = discord.ui.View(timeout=None)
    view.add_item(Again(7))
    picture = discord.File(io.BytesIO(png()), "picture.png")
    await interaction.followup.send(f"{scene} as {style}, {count}", file=picture, view=view)


@imagine.autocomplete("style")
async def styles(interaction: discord.Interaction[Any], current: str) -> list[app_commands.Choice[str]]:
    every = ["photo", "phantasy", "oil"]
    return [app_commands.Choice(name=one, value=one) for one in every if one.startswith(current)]


@app_commands.command(description="Ask in a form")
async def ask(interaction: discord.Interaction[Any]) -> None:
    await interaction.response.send_modal(Question())


@app_commands.command(description="Only you see it")
async def whisper(interaction: discord.Interaction[Any], wait: float = 0.0) -> None:
    await asyncio.sleep(wait)
    await interaction.response.send_message("psst", ephemeral=True)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.asynccontextmanager
async def running(client: discord.Client, bot: Bot) -> AsyncIterator[None]:
    task = asyncio.create_task(client.start(bot.token))
    ready = asyncio.create_task(eventually(client.is_ready))
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        await ready
        yield
    finally:
        ready.cancel()
        await client.close()
        # A closed client ends its own start; what it raises while being closed is of no interest.
        await asyncio.gather(task, ready, return_exceptions=True)


async def eventually(met: Callable[[], object], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while True:
            if met():
                return
            await asyncio.sleep(0.01)


class Place:
    """A guild with one bot, one person and one channel."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.bot: Bot = server.bot()
        self.mia: Person = server.person("Mia", locale="de")
        self.guild: Guild = server.guild("Studio", bots=[self.bot], people=[self.mia])
        self.general: Channel = self.guild.text_channel("general")


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(scale=SCALE) as opened:
        with pointed_at(opened):
            yield opened


@pytest.fixture
def place(server: DiscordServer) -> Place:
    return Place(server)


@pytest.fixture
async def parrot(place: Place) -> AsyncIterator[Parrot]:
    client = Parrot()
    async with running(client, place.bot):
        yield client


def spoken(client: discord.Client, channel: Channel) -> discord.TextChannel:
    found = client.get_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


# Coming in.


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


# Commands, buttons, forms.


async def test_a_command_is_deferred_and_answered_with_a_picture(place: Place, parrot: Parrot) -> None:
    asked = await place.general.command(place.mia, "imagine", scene="a fox", count=2)
    answer = await asked.until_answered()
    assert asked.acknowledged == 5
    assert answer.content == "a fox as photo, 2"
    assert answer.attachments[0].data == png()
    assert [one.label for one in answer.buttons] == ["Again"]
    assert not asked.ephemeral
    assert not place.server.broken


async def test_a_button_works_for_a_process_that_never_made_it(place: Place, server: DiscordServer) -> None:
    async with running(Parrot(), place.bot):
        answer = await (await place.general.command(place.mia, "imagine", scene="a fox")).until_answered()
    async with running(Parrot(), place.bot):
        await asyncio.sleep(0)
        pressed = await place.general.presses(place.mia, answer, "Again")
        await pressed.until_acknowledged()
    assert answer.content == "job 7 again"
    assert pressed.response is answer


async def test_suggestions_and_forms(place: Place, parrot: Parrot) -> None:
    choices = await place.general.autocomplete(place.mia, "imagine", focused="style", value="ph", scene="x")
    assert [one["value"] for one in choices] == ["photo", "phantasy"]
    form = await place.general.command(place.mia, "ask")
    await form.until_asked()
    with pytest.raises(NotOffered):
        await form.submits({"Prompt": "x"})
    answer = await (await form.submits({"Prompt": "a red fox"})).until_answered()
    assert answer.content == "now: a red fox"
    assert not place.server.broken


async def test_a_hidden_answer_is_seen_by_one_person_only(place: Place, parrot: Parrot) -> None:
    asked = await place.general.command(place.mia, "whisper")
    answer = await asked.until_answered()
    assert asked.ephemeral
    assert place.general.messages == []
    assert place.general.seen_by(place.mia) == [answer]


async def test_the_app_lets_nobody_send_a_command_that_is_not_right(place: Place, parrot: Parrot) -> None:
    with pytest.raises(NotOffered, match="required"):
        await place.general.command(place.mia, "imagine")
    with pytest.raises(NotOffered, match="between"):
        await place.general.command(place.mia, "imagine", scene="x", count=9)
    with pytest.raises(NotOffered, match="no option"):
        await place.general.command(place.mia, "imagine", scene="x", size="large")
    with pytest.raises(NotOffered, match="no command"):
        await place.general.command(place.mia, "paint")


async def test_a_command_works_where_only_the_person_installed_the_bot(server: DiscordServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    elsewhere = server.guild("Elsewhere", people=[mia]).text_channel("general")
    async with running(Parrot(), bot):
        with pytest.raises(NotOffered):
            await elsewhere.command(mia, "whisper")
        mia.installs(bot)
        answer = await (await elsewhere.command(mia, "whisper")).until_answered()
    assert answer.content == "psst"


async def test_a_late_acknowledgement_is_refused_and_counted(place: Place, parrot: Parrot) -> None:
    asked = await place.general.command(place.mia, "whisper", wait=3 * SCALE + 0.1)
    await eventually(lambda: place.server.ledger.refused[10062])
    assert asked.acknowledged is None
    assert place.server.broken == {"interaction not acknowledged in time": 1}


async def test_an_interaction_that_nobody_could_hear_is_nobodys_fault(place: Place) -> None:
    async with running(Parrot(), place.bot):
        pass
    asked = await place.general.command(place.mia, "whisper")
    await asyncio.sleep(3 * SCALE + 0.05)
    assert not place.server.broken
    assert sum(place.server.excused.values()) == 1
    assert asked.acknowledged is None


async def test_the_second_acknowledgement_and_a_dead_token_are_counted() -> None:
    now = [1000.0]
    async with DiscordServer(scale=SCALE, monotonic=lambda: now[0]) as server:
        place = Place(server)
        with pointed_at(server):
            async with running(Parrot(), place.bot), aiohttp.ClientSession() as session:
                asked = await place.general.command(place.mia, "whisper")
                await asked.until_answered()
                address = f"{server.api_url}/interactions/{asked.id}/{asked.token}/callback"
                async with session.post(address, json={"type": 5}) as refused:
                    assert (refused.status, (await refused.json())["code"]) == (400, 40060)
                now[0] += 15 * 60 * SCALE + 1
                address = f"{server.api_url}/webhooks/{place.bot.id}/{asked.token}"
                async with session.post(address, json={"content": "late"}) as refused:
                    assert (refused.status, (await refused.json())["code"]) == (401, 50027)
        wanted = {"interaction acknowledged twice": 1, "interaction token used after its life": 1}
        assert {rule: count for rule, count in server.broken.items() if "heartbeat" not in rule} == wanted


# Messages and their rules.


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


async def test_a_command_with_a_bad_name_is_not_registered(place: Place, parrot: Parrot) -> None:
    assert parrot.application_id is not None
    form: Any = [{"name": "Not Good", "description": "", "type": 1}]
    with pytest.raises(discord.HTTPException):
        await parrot.http.bulk_upsert_global_commands(parrot.application_id, payload=form)
    assert place.server.broken == {"command name not allowed": 1}
    assert {one["name"] for one in place.bot.commands.values()} == {"imagine", "ask", "whisper"}


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


# How often.


async def test_the_client_waits_as_the_scaled_headers_say(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    await asyncio.gather(*(channel.send(str(n)) for n in range(12)))
    first, *_, last = place.general.history
    assert last.at - first.at >= 2 * 5 * SCALE * 0.9
    assert len(place.general.messages) == 12
    assert not place.server.broken


async def test_who_does_not_wait_is_counted(place: Place) -> None:
    address = f"{place.server.api_url}/channels/{place.general.id}/messages"
    headers = {"Authorization": f"Bot {place.bot.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for n in range(6):
            async with session.post(address, json={"content": str(n)}) as answer:
                status = answer.status
        assert status == 429
        assert answer.headers["Via"]
        assert place.server.limited == {"POST /channels/{channel}/messages": 1}
        assert not place.server.broken
        async with session.post(address, json={"content": "5"}):
            pass
    assert place.server.broken == {"sent again before retry_after had passed": 1}


async def test_calls_to_webhooks_count_in_all_when_they_are_signed_and_interactions_do_not() -> None:
    # A clock that stands: no window ends.
    async with DiscordServer(scale=SCALE, monotonic=lambda: 0.0) as server:
        place = Place(server)
        with pointed_at(server):
            async with running(Parrot(), place.bot):
                asked = await place.general.command(place.mia, "whisper")
                await asked.until_answered()
        webhook = place.general.webhook("Cast", place.bot)
        hooked = f"{server.api_url}/webhooks/{webhook.id}/{webhook.token}"
        answer = f"{server.api_url}/webhooks/{place.bot.id}/{asked.token}/messages/@original"

        async def limited(address: str, headers: dict[str, str]) -> bool:
            async with aiohttp.ClientSession(headers=headers) as session, session.get(address) as told:
                return told.status == 429 and told.headers["X-RateLimit-Scope"] == "global"

        signed = {"Authorization": f"Bot {place.bot.token}"}
        while not (over := await limited(hooked, signed)) and server.calls[WEBHOOK] < 20:
            await limited(f"{server.api_url}/users/@me", signed)
            await limited(f"{server.api_url}/channels/{place.general.id}", signed)
        assert over
        assert not await limited(answer, signed)
        assert not await limited(hooked, {})


async def test_names_for_everybody_are_refused(place: Place, parrot: Parrot) -> None:
    webhook = await spoken(parrot, place.general).create_webhook(name="Cast")
    for name in ("Here", "everyone"):
        with pytest.raises(discord.HTTPException, match="In username: Username cannot be"):
            await webhook.send("hello", username=name)
    await webhook.send("hello", username="Theresa")
    assert not place.server.broken


async def test_a_guest_follows_up_five_times(server: DiscordServer) -> None:
    bot, mia = server.bot(), server.person("Mia")
    mia.installs(bot)
    elsewhere = server.guild("Elsewhere", people=[mia]).text_channel("general")
    async with running(Parrot(), bot):
        asked = await elsewhere.command(mia, "whisper")
        await asked.until_answered()
    address = f"{server.api_url}/webhooks/{bot.id}/{asked.token}"
    async with aiohttp.ClientSession() as session:
        statuses = []
        for number in range(6):
            async with session.post(address, json={"content": str(number)}) as told:
                statuses.append(told.status)
            await asyncio.sleep(2 * SCALE / 5)
    assert statuses == [200] * 5 + [400]
    assert server.ledger.refused[40094] == 1


# What goes wrong on purpose.


async def test_a_call_may_have_been_done_though_the_answer_speaks_of_trouble(place: Place) -> None:
    place.server.fail_next("POST /channels/{channel}/messages", Fault.ERROR_AFTER)
    address = f"{place.server.api_url}/channels/{place.general.id}/messages"
    headers = {"Authorization": f"Bot {place.bot.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(address, json={"content": "done"}) as told,
    ):
        assert told.status == 502
    assert [one.content for one in place.general.messages] == ["done"]


async def test_an_injected_429_is_waited_out(place: Place, parrot: Parrot) -> None:
    place.server.fail_next("POST /channels/{channel}/messages", Fault.RATE_LIMIT)
    await spoken(parrot, place.general).send("in the end")
    assert [one.content for one in place.general.messages] == ["in the end"]
    assert not place.server.broken


@pytest.mark.parametrize(("fault", "there"), [(Fault.DROP_BEFORE, 0), (Fault.DROP_AFTER, 1)])
async def test_a_dropped_call_may_have_been_done(
    place: Place, parrot: Parrot, fault: Fault, there: int
) -> None:
    place.server.fail_next("POST /channels/{channel}/messages", fault)
    with pytest.raises(aiohttp.ClientError):
        await spoken(parrot, place.general).send("hello?", nonce="1")
    assert len(place.general.messages) == there
    await spoken(parrot, place.general).send("hello?", nonce="1")
    assert len(place.general.messages) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_a_call_can_be_held_around_its_effect(place: Place, parrot: Parrot, after: bool) -> None:
    held = place.server.hold("POST /channels/{channel}/messages", after=after)
    sending = asyncio.create_task(spoken(parrot, place.general).send("hold on"))
    await held.reached()
    assert len(place.general.messages) == int(after)
    held.release()
    await sending
    assert len(place.general.messages) == 1


async def test_an_event_can_be_sent_twice_or_made_up(place: Place, parrot: Parrot) -> None:
    await place.general.says(place.mia, "once")
    place.server.replay(place.bot, "MESSAGE_CREATE")
    place.server.push_raw(place.bot, "NOBODY_KNOWS", {"id": None})
    await eventually(lambda: "NOBODY_KNOWS" in parrot.seen)
    assert [one.content for one in parrot.heard] == ["once", "once"]
    assert parrot.heard[0].id == parrot.heard[1].id


async def test_the_same_seed_fails_alike() -> None:
    def drawn() -> Iterator[Fault | None]:
        faults = Faults(rate_429=0.2, rate_5xx=0.2, rate_drop_after=0.2, seed=4)
        return (faults.draw("GET /users/@me") for _ in range(50))

    first = list(drawn())
    assert first == list(drawn())
    assert {Fault.RATE_LIMIT, Fault.ERROR_502, Fault.DROP_AFTER, None} == set(first)


async def test_a_route_that_is_not_there_cannot_fail(server: DiscordServer) -> None:
    with pytest.raises(KeyError):
        server.fail_next("POST /channels/{id}/messages", Fault.DROP_AFTER)


# What a larger bot does.


class Panel(discord.ui.View):
    """Buttons and a select, each answered in another way."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Slow", custom_id="slow")
    async def slow(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Self]) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="slow is done")

    @discord.ui.button(label="Mine", custom_id="mine")
    async def mine(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Self]) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.followup.send("for you")
        await interaction.followup.send("for all", file=discord.File(io.BytesIO(png()), "p.png"))

    @discord.ui.select(custom_id="pick", options=[discord.SelectOption(label="Oil", value="oil")])
    async def pick(self, interaction: discord.Interaction[Any], select: discord.ui.Select[Self]) -> None:
        await interaction.response.edit_message(content=f"picked {select.values[0]}", view=None)

    @discord.ui.button(label="Form", custom_id="form")
    async def form(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Self]) -> None:
        await interaction.response.send_modal(Wishes())


class Wishes(discord.ui.Modal, title="Wishes"):
    style: discord.ui.Label[Self] = discord.ui.Label(
        text="Style", component=discord.ui.Select(options=[discord.SelectOption(label="Oil", value="oil")])
    )

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        assert isinstance(self.style.component, discord.ui.Select)
        await interaction.response.edit_message(content=f"wished for {self.style.component.values[0]}")


async def test_each_way_to_answer_a_button_is_seen(place: Place, parrot: Parrot) -> None:
    await spoken(parrot, place.general).send("panel", view=Panel())
    panel = place.general.messages[0]
    slow = await place.general.presses(place.mia, panel, "Slow")
    await slow.until(lambda _: panel.content == "slow is done")
    assert (slow.acknowledged, slow.response) == (6, panel)
    mine = await place.general.presses(place.mia, panel, "Mine")
    await mine.until(lambda one: one.followups)
    assert mine.ephemeral
    assert [one.content for one in mine.messages] == ["for you", "for all"]
    form = await place.general.presses(place.mia, panel, "Form")
    await form.until_asked()
    await form.submits({"Style": "oil"})
    await place.general.until(lambda _: panel.content == "wished for oil")
    await place.general.selects(place.mia, panel, ["Oil"])
    await place.general.until(lambda _: panel.content == "picked oil")
    with pytest.raises(NotOffered):
        await place.general.presses(place.mia, panel, "Slow")
    assert not place.server.broken


async def test_commands_from_menus_and_in_direct_messages(place: Place) -> None:
    client = Parrot()

    @client.tree.context_menu(name="Count words")
    async def count(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        await interaction.response.send_message(f"{len(message.content.split())} words")

    async with running(client, place.bot):
        said = await place.general.says(place.mia, "one two three")
        answer = await (await place.general.on_message(place.mia, "Count words", said)).until_answered()
        assert answer.content == "3 words"
        private = place.server.dm(place.bot, place.mia)
        answer = await (await private.command(place.mia, "imagine", scene="a fox")).until_answered()
        assert answer.content == "a fox as photo, 1"
    assert not place.server.broken


async def test_a_call_takes_effect_though_its_sender_died_while_it_was_held(
    place: Place, parrot: Parrot
) -> None:
    held = place.server.hold("POST /channels/{channel}/messages")
    sending = asyncio.create_task(spoken(parrot, place.general).send("last words", nonce="w"))
    await held.reached()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    held.release()
    await place.general.until(lambda c: c.messages)
    await spoken(parrot, place.general).send("last words", nonce="w")
    assert len(place.general.messages) == 1


async def test_a_channel_has_room_for_fifteen_webhooks(place: Place, parrot: Parrot) -> None:
    channel = spoken(parrot, place.general)
    for n in range(15):
        await channel.create_webhook(name=f"W{n}")
    with pytest.raises(discord.HTTPException) as refused:
        await channel.create_webhook(name="one more")
    assert refused.value.code == 30007


async def test_other_bots_and_webhooks_are_heard_as_bots(place: Place, parrot: Parrot) -> None:
    other = place.server.bot("Echo")
    place.guild.joins(other)
    await place.general.says(other, "ping")
    await place.general.hears(place.general.webhook("News", place.mia), "ping")
    await eventually(lambda: len(parrot.heard) == 2)
    assert all(one.author.bot for one in parrot.heard)
    assert len(place.general.messages) == 2


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


# The pure parts.


@given(steps=st.lists(st.floats(0, 2), max_size=80), scale=st.sampled_from([0.05, 1.0]))
def test_a_bucket_never_lets_more_through_than_it_says(steps: list[float], scale: float) -> None:
    now = 0.0
    buckets = Buckets(scale, lambda: now)
    began, passed = -1000.0, 0
    for step in steps:
        now += step * scale
        taken = buckets.take(SEND, "here")
        if now >= began + SEND.seconds * scale:
            began, passed = now, 0
        passed += taken.retry_after is None
        assert passed <= SEND.count
        if taken.retry_after is not None:
            assert passed == SEND.count
        assert taken.reset_after <= SEND.seconds * scale + 0.001


def button(**more: object) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "x", "custom_id": "x", **more}


def select(count: int) -> dict[str, Any]:
    return {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}] * count}


def row(*inside: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(inside)}


@pytest.mark.parametrize(
    ("components", "rule"),
    [
        ([row(button(custom_id=str(n))) for n in range(6)], "more than 5 action rows"),
        ([row(*(button(custom_id=str(n)) for n in range(6)))], "more than 5 buttons in a row"),
        ([row(button(custom_id="x" * 101))], "custom_id not 1–100"),
        ([row(button(custom_id=None))], "button without custom_id"),
        ([row(button(), button())], "custom_id used twice"),
        ([row(button(style=5, custom_id=None))], "link button without a URL"),
        ([row(button(label=""))], "button without label or emoji"),
        (
            [row(select(26))],
            "select options not 1–25",
        ),
        ([button()], "not an action row"),
    ],
)
def test_components_have_their_limits(components: list[dict[str, Any]], rule: str) -> None:
    with pytest.raises(rules.Refusal) as refused:
        rules.check_rows(components)
    assert refused.value.rule == rule


def command(**more: object) -> dict[str, Any]:
    return {"name": "imagine", "description": "Paint", "type": 1, **more}


def option(name: str, **more: object) -> dict[str, Any]:
    return {"name": name, "description": "x", "type": 3, **more}


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        (command(name="Imagine"), "command name not allowed"),
        (command(description=""), "command description not 1–100"),
        (command(options=[option(f"o{n}") for n in range(26)]), "more than 25 options"),
        (command(options=[option("a"), option("b", required=True)]), "required option after an optional one"),
        (command(options=[option("a", choices=[{"name": "x", "value": "x"}] * 26)]), "more than 25 choices"),
        (
            command(options=[option("a", choices=[{"name": "x" * 101, "value": "x"}])]),
            "choice name not 1–100",
        ),
    ],
)
def test_commands_have_their_limits(form: dict[str, Any], rule: str) -> None:
    rules.check_command(command(options=[option("a", required=True), option("b")]))
    with pytest.raises(rules.Refusal) as refused:
        rules.check_command(form)
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        ({"custom_id": "m", "title": "x" * 46, "components": [row(button())]}, "modal title not 1–45"),
        ({"custom_id": "m", "title": "x", "components": []}, "modal inputs not 1–5"),
        ({"custom_id": "", "title": "x", "components": [row(button())]}, "custom_id not 1–100"),
    ],
)
def test_forms_have_their_limits(form: dict[str, Any], rule: str) -> None:
    with pytest.raises(rules.Refusal) as refused:
        rules.check_modal(form)
    assert refused.value.rule == rule
