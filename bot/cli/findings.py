"""What the doctor finds: each part of a house is looked at by a function of its own, and says what would mend it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.home import Home
    from engine.settings import Settings

#: Below this much room a picture or two more is all there is.
LITTLE_ROOM = 1_000_000_000
NO_ROOM = 50_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `state` is ok, note (nothing to do), warning or broken."""

    what: str
    state: str
    says: str
    mend: str = ""


def of_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 - an installer can be talked out of asking
        return Finding("python", "broken", f"{version} is too old: Greenroom needs 3.11", "make up")
    return Finding("python", "ok", f"{version} at {sys.executable}")


def of_home(home: Home) -> Finding:
    import os

    from engine.errors import StoreError

    if not home.path.exists():
        near = next(parent for parent in home.path.parents if parent.exists())
        if near.is_dir() and os.access(near, os.W_OK):
            return Finding("home", "note", f"{home.path} is made at the first start", "greenroom up")
        return Finding(
            "home", "broken", f"{home.path} cannot be made in {near}", "export GREENROOM_HOME=~/greenroom"
        )
    try:
        home.prepare()
    except StoreError as error:
        mend = f"chmod -R u+rwX '{home.path}'" if home.path.is_dir() else "export GREENROOM_HOME=~/greenroom"
        return Finding("home", "broken", str(error), mend)
    if home.is_open_to_others:
        says = f"{home.path} can be looked into by other users of this machine, and holds what people said"
        return Finding("home", "warning", says, f"chmod 700 '{home.path}'")
    return Finding("home", "ok", f"{home.path} can be written")


def of_settings(home: Home, mistakes: list[str]) -> Iterator[Finding]:
    import os

    from engine.settings import PREFIX
    from engine.settings_file import OUTSIDE, settings_file

    path = settings_file(home.path)
    for mistake in mistakes:
        variable = mistake.partition(":")[0]
        mend = f"unset {variable}" if variable.startswith(PREFIX) else f"${{EDITOR:-vi}} '{path}'"
        yield Finding("settings", "broken", mistake, mend)
    if mistakes:
        return
    variables = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in OUTSIDE)
    also = f"; also {', '.join(variables)}" if variables else ""
    if path.exists():
        yield Finding("settings", "ok", f"{path} is understood{also}")
    else:
        yield Finding(
            "settings", "note", f"no {path}: everything is as it ships{also}", f"${{EDITOR:-vi}} '{path}'"
        )


async def of_database(settings: Settings, home: Home) -> Finding:
    from engine.errors import StoreError
    from engine.store import outbox
    from engine.store.database import HEAD, Database, address

    try:
        url = address(settings.database_url)
    except StoreError as error:
        return Finding("database", "broken", str(error), "greenroom doctor --help")
    where = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite":
        file = home.path / "greenroom.db"
        if not settings.store.database.get_secret_value() and not file.exists():
            return Finding("database", "note", f"{file} is made at the first start", "greenroom up")
    mend = f"mv '{url.database}' '{url.database}.damaged'" if url.get_backend_name() == "sqlite" else ""
    try:
        database = await Database.open(settings.database_url)
    except StoreError as error:
        return Finding("database", "broken", str(error), mend)
    except ImportError:
        return Finding("database", "broken", f"{where} needs the extra cluster", "make up EXTRAS=cluster")
    except Exception as error:
        return Finding("database", "broken", f"{where} cannot be opened ({type(error).__name__})", mend)
    try:
        async with database.read() as tx:
            owed = await outbox.owed(tx)
    finally:
        await database.close()
    waiting = f"; {owed} messages wait for somebody to come" if owed else ""
    return Finding("database", "ok", f"{where} answers, revision {HEAD}{waiting}")


async def of_files(settings: Settings, home: Home) -> Finding:
    """Where pictures are kept. A few bytes are written there, read, listed and deleted."""
    import secrets
    from contextlib import suppress

    from engine.errors import GreenroomError, StoreError
    from engine.settings_file import settings_file
    from engine.store.files import StoredFiles

    bucket = settings.files.store
    where = bucket or str(home.files)
    if not bucket and not home.files.exists():
        return Finding("files", "note", f"{where} is made at the first start", "greenroom up")
    mend = f"${{EDITOR:-vi}} '{settings_file(home.path)}'" if bucket else f"chmod -R u+rwX '{home.files}'"
    waiting = sum(
        1 for kind in ("kept", "going") for path in (home.outgoing / kind).rglob("*") if path.is_file()
    )
    left = f"; {waiting} files wait in {home.outgoing} for the bucket" if waiting else ""
    folder = "doctor"
    probe = f"{folder}/{secrets.token_hex(8)}.txt"
    try:
        files = StoredFiles.in_bucket(settings.files) if bucket else StoredFiles.in_folder(home.files)
        await files.put(probe, probe.encode())
        try:
            if await files.get(probe) != probe.encode():
                raise StoreError("What was written there is not what is read there.")
            if probe not in [key async for key in files.keys(folder)]:
                raise StoreError("What was written there is not found there.")
        finally:
            await files.delete(probe)
            with suppress(OSError):  # somebody else's probe lies there
                (home.files / folder).rmdir()
    except GreenroomError as error:
        return Finding("files", "broken", f"{where}: {error}{left}", mend)
    if waiting and not bucket:
        says = (
            f"{where} can be used, but {waiting} files wait in {home.outgoing} for a bucket that is not set"
        )
        return Finding("files", "warning", says, f"${{EDITOR:-vi}} '{settings_file(home.path)}'")
    return Finding("files", "ok", f"{where} can be written, read, listed and deleted in{left}")


async def of_doors(settings: Settings, home: Home) -> list[Finding]:
    from bot.cli.entrances import looked_at

    return [Finding(what, *told) for what, *told in await looked_at(settings, home)]


def of_extras(settings: Settings) -> Finding:
    from importlib.util import find_spec

    missing = [name for name in ("procrastinate", "psycopg") if find_spec(name) is None]
    if not missing:
        return Finding("extras", "ok", "cluster is installed")
    needed = settings.database_url.startswith("postgres")
    return Finding(
        "extras",
        "broken" if needed else "note",
        f"cluster (PostgreSQL) is not installed{', and the database needs it' if needed else ''}",
        "make up EXTRAS=cluster",
    )


async def of_fronts(settings: Settings) -> list[Finding]:
    from bot.fronts import looked_at
    from engine.settings_file import settings_file

    found = []
    for name, told in (await looked_at(settings)).items():
        found += [Finding(name, state, says, mend) for state, says, mend in told]
        if not told:
            file = settings_file(settings.home)
            found.append(
                Finding(name, "note", "no token: nobody meets your personas there", f"[{name}] in {file}")
            )
    return found


def of_room(home: Home) -> Finding:
    import shutil

    near = next(path for path in (home.path, *home.path.parents) if path.exists())
    free = shutil.disk_usage(near).free
    said = f"{free / 1e9:,.1f} GB free at {near}"
    if free < NO_ROOM:
        return Finding("disk", "broken", f"only {said}", f"du -sh '{home.files}'")
    if free < LITTLE_ROOM:
        return Finding("disk", "warning", f"only {said}", f"du -sh '{home.files}'")
    return Finding("disk", "ok", said)


async def of_owner(home: Home) -> Finding:
    import asyncio

    from bot.client import Client
    from engine.errors import GreenroomError

    owner = home.owner()
    if owner is None:
        return Finding("running", "note", "no: a command opens the house for itself", "greenroom up")
    client = Client(owner)
    try:
        async with asyncio.timeout(3.0):
            await client.get("/health")
    except (GreenroomError, TimeoutError):
        return Finding(
            "running", "broken", f"process {owner.pid} owns the home and does not answer", f"kill {owner.pid}"
        )
    finally:
        await client.close()
    return Finding("running", "ok", f"yes, at {owner.url} (process {owner.pid})")


def of_log(home: Home) -> Finding:
    import os

    if not home.log.exists():
        return Finding("log", "note", f"{home.log} begins at the first start")
    if not os.access(home.log, os.W_OK):
        return Finding("log", "broken", f"{home.log} cannot be written", f"chmod u+w '{home.log}'")
    return Finding("log", "ok", str(home.log))


async def of_language(settings: Settings, *, tries: bool) -> list[Finding]:
    from bot.cli.writers import looked_at

    return [
        Finding("language", state, says, mend) for state, says, mend in await looked_at(settings, tries=tries)
    ]


def of_pictures(settings: Settings) -> Finding:
    from engine.pictures.painting import choice

    made = choice(settings)
    if made.found is None:
        return Finding("picture model", "note", f"{made.reason} Pictures are placeholders, plainly labelled")
    refined = f", then {made.refiner.name}" if made.refiner and settings.pictures.refiner else ""
    return Finding("picture model", "ok", f"{made.found.name}{refined}: {made.reason}")


def of_check(settings: Settings) -> Finding:
    from engine.pictures.painting import checker, choice

    looks = checker(settings)
    if looks.found is not None:
        return Finding("picture check", "ok", looks.reason)
    # Where nothing paints, or the operator wants it so, nothing needs to be done.
    open_door = choice(settings).found is not None and settings.pictures.check != "off"
    return Finding(
        "picture check",
        "warning" if open_door or looks.refused else "note",
        f"off: nothing looks at pictures before they are shown. {looks.reason}",
        f"put a folder with an image classifier into '{settings.home / 'models' / 'checker'}'",
    )


def of_styles(home: Home) -> Finding:
    from engine.styles import load_poses, load_styles

    counts = []
    for what, load in (("styles", load_styles), ("poses", load_poses)):
        own = home.path / f"{what}.toml"
        try:
            there = load(own if own.exists() else None)
        except ValueError as error:
            return Finding("styles", "broken", str(error), f"${{EDITOR:-vi}} '{own}'")
        counts.append(f"{len(there)} {what}" + (f", with your {own}" if own.exists() else ""))
    return Finding("styles", "ok", "; ".join(counts))
