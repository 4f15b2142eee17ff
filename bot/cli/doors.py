"""`greenroom keys` and `greenroom password`: who else may come in, and how.

They change rows and a file, beside whoever owns the home: a running house asks them each time.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening

if TYPE_CHECKING:
    from engine.settings import Settings
    from engine.store.records import Key

Message = dict[str, Any]

SCOPES = ("chat", "make", "read", "manage")


@click.group()
def keys() -> None:
    """Keys by which other programs use the API."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; may be said several times. chat: talk. make: have pictures made. read: look at "
    "everything. manage: change everything.",
)
@click.option(
    "--rate",
    type=click.IntRange(0, 1_000_000),
    default=60,
    show_default=True,
    help="So many requests a minute; 0: as many as it likes.",
)
@opening.as_json
def new(name: str, scopes: tuple[str, ...], rate: int, as_json: bool) -> None:
    """Make a key called NAME. It is shown this once."""
    settings = opening.settings_and_log()
    made = opening.run_async(_new(settings, name, scopes, rate))
    if as_json:
        opening.put_json(made)
        return
    often = f"{rate} requests a minute" if rate else "as often as it likes"
    click.echo(f"Key {made['id']}, {made['name']}: {', '.join(made['scopes'])}, {often}.", err=True)
    click.echo(
        "Keep it well, it is shown this once. Programs send it as `Authorization: Bearer …`.", err=True
    )
    if secret := made["callback_secret"]:
        click.echo(f"What it is called back with is signed by {secret}", err=True)
    click.echo(made["key"])


async def _new(settings: Settings, name: str, scopes: tuple[str, ...], rate: int) -> Message:
    from functools import partial

    from engine.callbacks import secret_of
    from engine.clock import SystemClock
    from engine.errors import BadRequest
    from engine.home import Home
    from engine.store import keys as store
    from engine.store.records import Scope

    name = name.strip()
    if not 0 < len(name) <= store.LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"A key's name has 1 to {store.LONGEST_NAME} characters that can be printed.")
    key = store.new_key()
    adding = partial(
        store.add,
        name=name,
        kept=store.kept_of(key),
        scopes=frozenset(map(Scope, scopes)),
        rate=rate,
        now=SystemClock().now(),
    )
    async with opening.store(settings) as database:
        made = await database.change(adding)
    # Only who has pictures made is ever called back.
    called = made.scopes & {Scope.MAKE, Scope.MANAGE}
    secret = secret_of(Home(settings.home).link_key(), made.id) if called else ""
    return shown(made) | {"key": key, "callback_secret": secret}


def shown(key: Key) -> Message:
    """A key as scripts are told of it."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "rate": key.rate,
        "created": key.created_at.isoformat(),
        "used": key.used_at.isoformat() if key.used_at else None,
        "revoked": key.revoked_at.isoformat() if key.revoked_at else None,
    }


@keys.command("list")
@opening.as_json
def list_(as_json: bool) -> None:
    """All keys, and when they were used last. What they are, nobody can tell any more."""
    from bot.terminal.words import safe_line

    settings = opening.settings_and_log()
    found = opening.run_async(_listing(settings))
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo("There are no keys. `greenroom keys new NAME --scope chat` makes one.")
    else:
        for one in found:
            click.echo(safe_line(f"{one['id']} {one['name']}: {_told(one)}"))


def _told(one: Message) -> str:
    if one["revoked"]:
        return f"revoked {one['revoked'][:10]}"
    often = f"{one['rate']} a minute" if one["rate"] else "no limit"
    used = f"used last {one['used'][:16].replace('T', ' ')}" if one["used"] else "never used"
    return f"{', '.join(one['scopes'])}; {often}; {used}"


async def _listing(settings: Settings) -> list[Message]:
    from engine.store import keys as store

    async with opening.store(settings) as database:
        return [shown(key) for key in await database.look(store.listing)]


@keys.command()
@click.argument("key", metavar="NAME|ID")
@opening.as_json
def revoke(key: str, as_json: bool) -> None:
    """Let a key open nothing any more, at once, and whoever came in by it."""
    from bot.terminal.words import safe_line

    settings = opening.settings_and_log()
    gone = opening.run_async(_revoke(settings, key))
    if as_json:
        opening.put_json(gone)
    else:
        click.echo(safe_line(f"Key {gone['id']}, {gone['name']}, opens nothing any more."))


async def _revoke(settings: Settings, wanted: str) -> Message:
    from functools import partial

    from engine.clock import SystemClock
    from engine.store import keys as store

    async with opening.store(settings) as database:
        revoking = partial(store.revoke, wanted=wanted, now=SystemClock().now())
        return shown(await database.change(revoking))


@click.command()
@click.option("--remove", is_flag=True, help="Take the password away.")
def password(remove: bool) -> None:
    """Set the password that the page asks for. Whoever is signed in by the old one is sent out.

    It is asked for twice; where nobody sits there, it is the first line of what is piped in.
    """
    settings = opening.settings_and_log()
    click.echo(opening.run_async(_remove(settings) if remove else _keep(settings, _asked())))


def _asked() -> str:
    if sys.stdin.isatty():
        told: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
        return told
    return sys.stdin.readline().rstrip("\r\n")


async def _keep(settings: Settings, told: str) -> str:
    from bot import passwords
    from engine.home import Home
    from engine.store import sessions

    async with opening.store(settings) as database:
        passwords.keep(Home(settings.home), told)
        await database.change(sessions.end_all)
    return "The page asks for it from now on. Whoever was signed in has to show it."


async def _remove(settings: Settings) -> str:
    from bot import passwords
    from engine.home import Home
    from engine.store import keys as store
    from engine.store import sessions

    async with opening.store(settings) as database:
        if not passwords.remove(Home(settings.home)):
            return "There was no password."
        await database.change(sessions.end_all)
        others = await database.look(store.are_there)
    if not settings.web.beyond_loopback:
        return "The password is gone. Whoever sits at this machine comes in without one."
    if others:
        return "The password is gone. Only a key opens the page now."
    return "The password is gone. The settings open Greenroom to others: without one, or a key, it starts no more."
