"""Coming up, going down, and what the menu and `greenroom doctor` say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import discord
import pytest
from pydantic import SecretStr

from bot.discord import discord_fronts, menu
from bot.discord.checking import check
from bot.discord.faces import MOST, Faces
from bot.discord.front import DiscordFront
from bot.discord.permits import needed
from bot.front import Choice, Entry, Option, OptionKind
from engine.errors import SettingsError, TryAgain
from engine.settings import DiscordSettings, Settings
from tests.bot.on_discord.recording import (
    MENU,
    SCALE,
    FacedServer,
    House,
    RecordingDesk,
    face,
    house,
    token_of,
    until,
)
from tests.servers.discord import Fault, Faults, pointed_at

PUT = "PUT /applications/{application}/commands"
GERMAN = {"de": RecordingDesk().menu("de")}
MENUS = {"en": MENU, **GERMAN}


async def test_a_token_that_is_none_or_is_refused_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match="no token"):
        await DiscordFront("no-token").run(RecordingDesk())
    async with FacedServer(scale=SCALE) as server:
        with pointed_at(server):
            with pytest.raises(SettingsError, match="Reset Token"):
                await DiscordFront("MTIz.b.c", shards=1, hurry=SCALE).run(RecordingDesk())
            bot = server.bot("Greenroom")
            token_of(server, bot)
            server.world.bots["MTIz.b.c"] = bot
            with pytest.raises(SettingsError, match="another bot than 123"):
                await DiscordFront("MTIz.b.c", shards=1, hurry=SCALE).run(RecordingDesk())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4010, "discord.shards: Discord does not take this number"),
        (4011, "discord.shards: this bot is in too many servers"),
        (4012, "does not speak the version"),
        (4013, "does not know what"),
    ],
)
async def test_a_connection_that_is_closed_for_good_says_what_to_do(code: int, words: str) -> None:
    async with FacedServer(scale=SCALE) as server:
        with pointed_at(server):
            bot = server.bot("Greenroom")
            front = DiscordFront(token_of(server, bot), shards=1, hurry=SCALE)
            running = asyncio.create_task(front.run(RecordingDesk()))
            await until(lambda: bot.commands)
            server.disconnect(bot, resumable=False, code=code)
            async with asyncio.timeout(30):
                with pytest.raises(SettingsError, match=words):
                    await running


def test_nobody_is_asked_for_a_right_that_is_not_used() -> None:
    used = discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        manage_webhooks=True,
        attach_files=True,
        read_message_history=True,
    )
    assert needed() == used


async def test_it_ends_when_it_is_told_to(at_home: House) -> None:
    assert at_home.running is not None
    at_home.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await at_home.running
    await until(lambda: not at_home.server.connected(at_home.bot))


async def test_what_is_being_heard_when_it_ends_is_still_stored(at_home: House) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(_incoming: object) -> None:
        begun.set()
        await may_go_on.wait()

    at_home.desk.answers = slow
    await at_home.general.says(at_home.mia, "just in time")
    await begun.wait()
    stopping = asyncio.create_task(at_home.stop())
    await asyncio.sleep(0)
    may_go_on.set()
    await stopping
    assert [one.text for one in at_home.desk.heard] == ["just in time"]


async def test_the_menu_is_told_once_and_again_only_when_it_changes(at_home: House) -> None:
    await at_home.again()
    assert at_home.server.calls[PUT] == 1
    at_home.desk.entries = [*MENU, replace(MENU[2], name="privacy")]
    await at_home.stop()
    await asyncio.sleep(5.2 * SCALE)
    at_home.front = DiscordFront(at_home.bot.token, shards=1, hurry=SCALE)
    await at_home.start()
    await until(lambda: at_home.server.calls[PUT] == 2)


async def test_two_shards_serve_all_servers() -> None:
    async with FacedServer(scale=SCALE, shards=2) as server:
        with pointed_at(server):
            bot = server.bot("Greenroom")
            token_of(server, bot)
            mia = server.person("Mia")
            guilds = [server.guild(f"{one}", bots=[bot], people=[mia], shard=(one, 2)) for one in range(2)]
            channels = [guild.text_channel("general") for guild in guilds]
            desk = RecordingDesk()
            running = asyncio.create_task(DiscordFront(bot.token, hurry=SCALE).run(desk))
            await until(lambda: bot.commands)
            for channel in channels:
                await channel.says(mia, "hello")
            await desk.until(lambda desk: len(desk.heard) == 2)
            assert {one.chat.chat for one in desk.heard} == {str(channel.id) for channel in channels}
            running.cancel()
            await asyncio.wait([running])
        assert dict(server.broken) == {}


@pytest.mark.parametrize(
    "event", ["MESSAGE_CREATE", "INTERACTION_CREATE", "MESSAGE_REACTION_ADD", "GUILD_DELETE"]
)
async def test_news_that_nobody_can_read_costs_nothing_but_itself(at_home: House, event: str) -> None:
    unreadable: list[dict[str, object]] = [{}, {"id": "x"}, {"id": "1", "channel_id": None, "type": 99}]
    for data in unreadable:
        at_home.server.push_raw(at_home.bot, event, data)
    await at_home.general.says(at_home.mia, "and this?")
    assert (await at_home.desk.one()).text == "and this?"
    assert at_home.running_ended is False
    assert len(at_home.server.gateway.sessions(at_home.bot)) == 1


async def test_no_token_is_written_into_the_log(at_home: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for fault in (Fault.RATE_LIMIT, Fault.DROP_AFTER):
        at_home.server.fail_next("POST /webhooks/{webhook}/{token}", fault)
        with suppress(TryAgain):
            await at_home.says("Hello")
    [webhook] = at_home.server.world.webhooks.values()
    assert webhook.token not in caplog.text
    assert at_home.bot.token not in caplog.text


async def test_everything_is_answered_once_when_much_goes_wrong() -> None:
    faults = Faults(rate_429=0.1, rate_drop_after=0.1, rate_drop_before=0.1, seed=3)
    async with house() as home:
        await home.says("warm")
        home.server.faults = faults
        for number in range(30):
            owed = home.owed(f"reply {number}")
            for attempt in range(1, 30):
                try:
                    await home.front.deliver(replace(owed, delivery=replace(owed.delivery, attempts=attempt)))
                except TryAgain as error:
                    await asyncio.sleep(error.after_s)
                else:
                    break
        home.server.faults = Faults()
        shown = [one.content for one in home.general.messages][1:]
        assert shown == [f"reply {number}" for number in range(30)]


async def test_the_oldest_faces_that_nobody_wears_give_way(at_home: House) -> None:
    kept = at_home.server.emojis
    for number in range(MOST):
        name = f"face_{number:024x}" if number else "not_ours"
        kept[str(number + 1)] = {"id": str(number + 1), "name": name, "animated": False, "available": True}
    stage = at_home.here.stage
    assert (await Faces(stage.client, SCALE).address(face())).startswith(at_home.server.url)
    assert len(kept) == MOST
    assert "1" in kept
    assert "2" not in kept


# The menu


def test_commands_are_told_with_their_parts_options_and_languages() -> None:
    told = {one["name"]: one for one in menu.commands(MENUS)}
    imagine = told["imagine"]
    assert imagine["description_localizations"] == {"de": "Make a picture (de)"}
    assert (imagine["integration_types"], imagine["contexts"]) == ([0, 1], [0, 1, 2])
    scene, style, count, shape = imagine["options"]
    assert (scene["type"], scene["required"]) == (3, False)
    assert style["autocomplete"]
    assert (count["type"], count["min_value"], count["max_value"]) == (4, 1, 4)
    assert [one["value"] for one in shape["choices"]] == ["wide", "tall"]
    assert [one["name"] for one in told["persona"]["options"]] == ["list", "use"]
    assert told["status"]["default_member_permissions"] == "8"
    assert told["help"]["default_member_permissions"] is None


@pytest.mark.parametrize("kind", ["persona", "style", "job", "pose", "outfit"])
def test_what_there_is_to_suggest_is_suggested_while_somebody_types(kind: str) -> None:
    entry = Entry("imagine", "A picture", (Option("which", "Which", OptionKind(kind), flag="which"),))
    [told] = menu.commands({"en": [entry]})
    assert told["options"][0]["autocomplete"]


def test_what_discord_adds_and_leaves_out_changes_nothing() -> None:
    ours = menu.commands(MENUS)
    theirs = [
        {**one, "id": "1", "version": "2", "nsfw": False, "options": one["options"] or None} for one in ours
    ]
    assert menu.known(ours, list(reversed(theirs)))
    assert not menu.known(ours, theirs[1:])
    assert not menu.known(ours, [{**theirs[0], "description": "Another"}, *theirs[1:]])


def test_at_most_25_short_suggestions_are_made() -> None:
    choices = [Choice(f"v{number}", "x" * 200) for number in range(40)]
    made = menu.suggested([Choice("y" * 101, "too long"), *choices])
    assert len(made) == 25
    assert all(len(one["name"]) <= 100 for one in made)


# The set-up


def settings(token: str = "", api: str = "") -> Settings:
    return Settings(discord=DiscordSettings(token=SecretStr(token), api=api))


def test_there_is_a_front_for_each_token() -> None:
    assert discord_fronts(settings()) == []
    told = DiscordSettings(token=SecretStr("MTIz.b.c"), more_tokens=(SecretStr("NDU2.b.c"),))
    fronts = discord_fronts(Settings(discord=told))
    assert [(one.name, one.account) for one in fronts] == [("discord", "123"), ("discord", "456")]


async def test_the_check_names_what_is_missing_and_where_to_get_it() -> None:
    async with FacedServer(scale=SCALE) as server:
        with pointed_at(server):
            bot = server.bot("Greenroom", message_content=False)
            token = token_of(server, bot)
            states = [state for state, _, _ in await check(token, settings(token))]
            assert states == ["ok", "warning", "note"]
            guild = server.guild("Studio", bots=[bot])
            guild.deny(bot, "manage_webhooks", "attach_files")
            found = {str(says): str(mend) for _, says, mend in await check(token, settings(token))}
            assert found["It is in 1 server."]
            mend = found["In Studio it lacks: Manage Webhooks and Attach Files."]
            assert f"client_id={bot.id}" in mend
            assert "scope=bot+applications.commands" in mend
            [(state, says, _)] = await check("MTIz.b.c", settings())
            assert state == "broken"
            assert "does not know this token" in says
            server.fail_next("GET /users/@me", Fault.DROP_BEFORE, times=5)
            [(state, says, _)] = await check(token, settings())
            assert (state, says.startswith("Discord cannot be reached")) == ("broken", True)
        assert [state for state, _, _ in await check("nothing", settings())] == ["broken"]


async def test_another_server_can_be_named() -> None:
    async with FacedServer(scale=SCALE) as server:
        with pointed_at(FacedServer()):  # what is set is set back at the end
            bot = server.bot("Greenroom")
            token = token_of(server, bot)
            [front] = discord_fronts(settings(token, api=server.url), hurry=SCALE)
            running = asyncio.create_task(front.run(RecordingDesk()))
            await until(lambda: bot.commands)
            running.cancel()
            await asyncio.wait([running])
        assert dict(server.broken) == {}


def test_the_library_is_imported_only_where_there_is_a_token() -> None:
    asked = (
        "import sys; from bot.discord import discord_fronts; from engine.settings import Settings;"
        "discord_fronts(Settings()); print('discord' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
