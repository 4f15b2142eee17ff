"""Commands, menus, buttons and forms on Discord, how each is answered, and by when."""

from __future__ import annotations

import asyncio
import io
from typing import Any, Self

import aiohttp
import discord
import pytest

from tests.servers.discord import DiscordServer, NotOffered, pointed_at
from tests.servers.on_discord.parrot import SCALE, Parrot, Place, eventually, png, running, spoken


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
    asked = await place.general.command(place.mia, "whisper", wait=10 * SCALE)
    await eventually(lambda: place.server.ledger.refused[10062])
    assert asked.acknowledged is None
    assert place.server.broken == {"interaction not acknowledged in time": 1}


async def test_an_interaction_that_nobody_could_hear_is_nobodys_fault(place: Place) -> None:
    async with running(Parrot(), place.bot):
        pass
    asked = await place.general.command(place.mia, "whisper")
    await eventually(lambda: sum(place.server.excused.values()) == 1)
    assert not place.server.broken
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


async def test_a_command_with_a_bad_name_is_not_registered(place: Place, parrot: Parrot) -> None:
    assert parrot.application_id is not None
    form: Any = [{"name": "Not Good", "description": "", "type": 1}]
    with pytest.raises(discord.HTTPException):
        await parrot.http.bulk_upsert_global_commands(parrot.application_id, payload=form)
    assert place.server.broken == {"command name not allowed": 1}
    assert {one["name"] for one in place.bot.commands.values()} == {"imagine", "ask", "whisper"}


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
