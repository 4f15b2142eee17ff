"""`greenroom up` and `greenroom chat`: the house opens, and somebody talks in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli import opening
from bot.cli.ending import version

if TYPE_CHECKING:
    from bot.house import House
    from engine.settings import Settings


@click.command()
@click.option(
    "--chat/--no-chat",
    "chats",
    default=None,
    help="Talk on this terminal at once, or do not. Without either: if somebody sits there and nothing else is "
    "configured.",
)
def up(chats: bool | None) -> None:
    """Open the house, with every front that is configured.

    It runs until Ctrl-C or SIGTERM, and closes in order within ten seconds; a second signal ends it at once.
    """
    from bot.cli.models import offer
    from bot.cli.writers import can_write
    from bot.fronts import tokens_of
    from bot.terminal import on_a_terminal
    from engine.settings_file import read_settings

    told = read_settings()
    elsewhere = bool(tokens_of(told.telegram) or tokens_of(told.discord))
    here = (on_a_terminal() and not elsewhere) if chats is None else chats
    settings = opening.settings_and_log(on_console=not here)
    if here and can_write():
        offer(settings)
    opening.run_async(_up(settings, here=here))


async def _up(settings: Settings, *, here: bool) -> None:
    import asyncio

    from bot.client import Client
    from bot.fronts import configured_fronts
    from bot.house import open_house, stopped_by_signals
    from bot.terminal import talk_here

    left = asyncio.Event()
    # Around the house, so that a second signal ends also one that is being closed.
    with stopped_by_signals(left):
        async with open_house(settings, configured_fronts(settings)) as house:
            await _banner(house, here=here)
            if not here:
                looking = asyncio.create_task(_tell_fronts(settings))
                await left.wait()
                looking.cancel()
                return
            client = Client(house.address)
            try:
                await talk_here(settings, client, left)
            finally:
                await client.close()


async def _banner(house: House, *, here: bool) -> None:
    """What is open, where, and what is loaded; a few lines, once."""
    from rich.text import Text

    from engine.store import personas

    async with house.engine.database.read() as tx:
        cast = await personas.listing(tx)
    rows = [
        ("home", str(house.engine.home.path)),
        ("door", house.address.url),
        ("log", str(house.engine.home.log)),
        ("words", await _who_writes(house)),
        ("pictures", _who_paints(house)),
        ("cast", f"{len(cast)} personas"),
    ]
    drawn = Text("\n")
    drawn.append(" Greenroom ", "bold black on #8fbf9f").append(f" {version()}\n\n")
    for name, value in rows:
        drawn.append(f" {name:<9}", "bright_black").append(f"{value}\n")
    if not here:
        drawn.append("\n Open. `greenroom chat` talks to it; Ctrl-C closes it.\n", "bright_black")
    out = opening.console()
    out.print(drawn, soft_wrap=True)
    out.file.flush()


def _who_paints(house: House) -> str:
    from engine.pictures.painting import checker, choice

    made = choice(house.engine.settings)
    if made.found is None:
        return "placeholder: no picture model is loaded"
    looks = checker(house.engine.settings).found
    if looks is not None:
        return f"{made.found.name}, checked by {looks.name}"
    return f"{made.found.name}; nothing checks its pictures: put a classifier into the home's models/checker"


async def _who_writes(house: House) -> str:
    """The model that talks, or why there is none."""
    from bot.cli.writers import INSTALL, can_write
    from engine.language import Task

    settings = house.engine.settings
    if settings.language.models == "off":
        return "understudy: models are switched off"
    choice = await house.engine.shelf.choice(Task.CHAT)
    own = choice.found.name if choice.found and can_write() else "understudy: no language model is loaded"
    if not can_write():
        own += f" (`{INSTALL}` brings what runs one)"
    if not settings.server.address:
        return own
    first, second = (
        (settings.server.address, own) if settings.server.turn == "first" else (own, settings.server.address)
    )
    return f"{first}, then {second}"


async def _tell_fronts(settings: Settings) -> None:
    """What each platform says of its bots, and of what keeps them from hearing and showing."""
    from rich.text import Text

    from bot.cli.doctor import MARKS
    from bot.fronts import looked_at
    from bot.terminal.words import safe

    out = opening.console()
    for name, found in (await looked_at(settings)).items():
        for state, says, mend in found:
            mark, colour = MARKS[state]
            drawn = Text(f" {name:<9}", "bright_black").append(f"{mark} ", colour).append(safe(says))
            out.print(drawn.append(f"\n           → {mend}" if mend else "", colour), soft_wrap=True)
    out.file.flush()


@click.command()
@click.argument("persona", default="")
def chat(persona: str) -> None:
    """Talk to a persona, where you left off.

    Without PERSONA to whoever was there last. In the talk: /help lists the commands, Ctrl-C stops a reply,
    Ctrl-D leaves. With a pipe instead of a terminal each line is said, and the answers are printed plainly.
    """
    opening.run_async(_chat(opening.settings_and_log(), persona))


async def _chat(settings: Settings, persona: str) -> None:
    import asyncio

    from bot.client import reach
    from bot.house import stopped_by_signals
    from bot.terminal import talk_here

    left = asyncio.Event()
    with stopped_by_signals(left):
        async with reach(settings) as client:
            await talk_here(settings, client, left, persona=persona)
