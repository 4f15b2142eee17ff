"""A small bot on the real discord.py that uses what a large one would, and a place for it on the Discord server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import discord
from discord import app_commands
from PIL import Image

from tests.servers.discord import Bot, Channel, DiscordServer, Guild, Person

SCALE = 0.1


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


def spoken(client: discord.Client, channel: Channel) -> discord.TextChannel:
    found = client.get_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    return found
