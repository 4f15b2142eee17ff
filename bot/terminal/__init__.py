"""A talk in a terminal, over the house's API alone: the same in the owner's process and in a client's.

On a terminal it is a screen that one can type into while a reply is written; with a pipe it is lines in, lines out.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from bot.client import Client
    from engine.settings import Settings


def on_a_terminal() -> bool:
    """Whether somebody sits there: both ends are a terminal, and one that can move its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


async def talk_here(settings: Settings, client: Client, left: asyncio.Event, *, persona: str = "") -> None:
    """Talk on this terminal or pipe until it ends, or `left` is set."""
    from bot.client import Client
    from bot.terminal.talk import Talk
    from engine.home import Home

    home = Home(settings.home)

    def find() -> Client | None:
        owner = home.owner()
        return Client(owner) if owner is not None else None

    talk = Talk(client, find)
    try:
        if on_a_terminal():
            from bot.terminal.screen import Terminal

            await Terminal(talk, home.path).run(persona, left)
        else:
            from bot.terminal.plain import talk_in_lines

            await talk_in_lines(talk, home.files, persona, left)
    finally:
        if talk.client is not client:
            await talk.client.close()
