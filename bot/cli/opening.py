"""What a command opens before it works: the settings, the log, the database, or the way to the owner."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from bot.client import Client
    from engine.engine import Engine
    from engine.settings import Settings
    from engine.store.database import Database

Answer = TypeVar("Answer")

#: A pipe has no width; what reads it should not find words cut.
PIPE_WIDTH = 160

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def settings_and_log(*, on_console: bool = False) -> Settings:
    """The settings, and a log that goes to its file from here on; to stderr too where it may, quietly to a person."""
    from bot.logs import start_logging
    from engine.home import Home
    from engine.settings_file import read_settings

    settings = read_settings()
    home = Home(settings.home)
    home.prepare()
    least = "warning" if sys.stderr.isatty() else "info"
    start_logging(home.log, settings.log, console=on_console, least=least)
    return settings


def run_async(work: Coroutine[Any, Any, Answer]) -> Answer:
    import asyncio

    return asyncio.run(work)


@asynccontextmanager
async def store(settings: Settings) -> AsyncIterator[Database]:
    """The database, beside whoever owns the home; a fresh one gets the shipped cast first."""
    from engine.clock import SystemClock
    from engine.store import personas
    from engine.store.database import Database
    from personas.cast import shipped_cast

    database = await Database.open(settings.database_url)
    try:
        async with database.read() as tx:
            fresh = not await personas.listing(tx)
        if fresh:
            async with database.write() as tx:
                await personas.seed(tx, shipped_cast(), now=SystemClock().now())
        yield database
    finally:
        await database.close()


def on_engine(work: Callable[[Engine], Awaitable[Answer]], settings: Settings | None = None) -> Answer:
    """Do something with all that can be asked, beside whoever owns the home; nothing is worked on here.

    `settings`: those of a command that read them before.
    """
    from engine.engine import Engine

    settings = settings or settings_and_log()

    async def done() -> Answer:
        async with Engine.open(settings) as engine:
            return await work(engine)

    return run_async(done())


def console(*, err: bool = False) -> Console:
    """Where things are drawn. What people wrote is never read as markup."""
    from rich.console import Console

    drawn = Console(stderr=err, markup=False, emoji=False, highlight=False)
    if not drawn.is_terminal and "COLUMNS" not in os.environ:
        drawn.width = PIPE_WIDTH
    return drawn


def facts(rows: Iterable[tuple[str, str, str]]) -> Table:
    """What is told line by line: a name, which is not said twice, what it says, and in which colour."""
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.words import safe_line

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    before = ""
    for name, says, colour in rows:
        table.add_row(name if name != before else "", Text(safe_line(says), colour))
        before = name
    return table


def put_json(told: Any) -> None:
    click.echo(json.dumps(told, ensure_ascii=False, indent=2))


def tell(told: Any, sentence: str, *, as_json: bool) -> None:
    """What a script is told, or else the sentence for a person."""
    if as_json:
        put_json(told)
    else:
        click.echo(sentence)


def is_own(client: Client) -> bool:
    """Whether the owner of the home is this very process."""
    return client.address.pid == os.getpid()


def somebody_sits_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def write_new(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file whole; what is there already stays, unless `force` says otherwise."""
    from engine.errors import StoreError
    from personas.cards import CardError, Written, save

    if not force and path.exists():
        raise click.UsageError(f"{path} is there already. --force overwrites it; --out names another.")
    if not path.parent.is_dir():
        raise click.UsageError(f"There is no folder {path.parent}.")
    try:
        save(path, Written(data, path.suffix))
    except CardError as error:
        raise StoreError(str(error)) from None
